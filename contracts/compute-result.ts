/** How a run ended, as its executor signs it (compute-market.md §7.2, §10.4): the receipt, and the documents that it commits to. */
import { record, text, u32, bool, type Decoded } from '../wit/codec.ts';
import { logSummary, runtime, usage } from '../wit/jobs/result.ts';
import { hashText, hexIn, signatureText, structCodec, structIn } from './compute-json.ts';

/** All of it but the outputs, which may be many. */
export const runEndFields = {
  receipt: structCodec('JobReceipt'),
  /** Of the executor; free jobs are signed too. */
  signature: signatureText,
  receiptHash: hashText,
  logs: logSummary,
  usage,
  runtime,
} as const;

export const runEnd = record(runEndFields);
export type RunEndDocument = Decoded<typeof runEnd>;

/**
 * The same as `runEnd.decode`, but undefined for what is none. In a guest, whose engine parses by itself, it takes a third of the time; what
 * the engine might read otherwise is left to `runEnd`.
 */
export function readRunEnd(source: string): RunEndDocument | undefined {
  return source.includes('\\') ? codecRead(source) : (engineRead(source) ?? codecRead(source));
}

function codecRead(source: string): RunEndDocument | undefined {
  const read = runEnd.decode(source);
  return read.ok ? read.value : undefined;
}

function engineRead(source: string): RunEndDocument | undefined {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    return undefined;
  }
  if (!isPlain(value)) return undefined;
  const { signature, receiptHash, logs, usage: used, runtime: ran } = value;
  const receipt = structIn('JobReceipt', value['receipt']);
  const isRead =
    receipt !== undefined &&
    hexIn(signature, 65) !== undefined &&
    hexIn(receiptHash, 32) !== undefined &&
    isPlain(logs) &&
    isCount(logs['count'], 0xffff_ffff) &&
    typeof logs['truncated'] === 'boolean' &&
    isPlain(used) &&
    USED.every((name) => isCount(used[name], Infinity)) &&
    isPlain(ran) &&
    RAN.every((name) => typeof ran[name] === 'string');
  // Proof of the types: each member was looked at, those that do not belong there are left out.
  return isRead
    ? ({
        receipt,
        signature,
        receiptHash,
        logs: only(logs, ['count', 'truncated']),
        usage: only(used, USED),
        runtime: only(ran, RAN),
      } as unknown as RunEndDocument)
    : undefined;
}

type Plain = Readonly<Record<string, unknown>>;

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown, most: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most;
}

function only(value: Plain, names: readonly string[]): Plain {
  const kept: Record<string, unknown> = {};
  for (const name of names) kept[name] = value[name];
  return kept;
}

/** Members of a usage. */
export const USED = [
  'wallMs',
  'cpuMs',
  'gpuMs',
  'peakMemMiB',
  'peakVramMiB',
  'bytesIn',
  'bytesOut',
  'tokensIn',
  'tokensOut',
] as const satisfies readonly (keyof RunEndDocument['usage'])[];
/** Members of a runtime. */
export const RAN = [
  'arch',
  'driver',
  'gpu',
  'image',
  'module',
  'runner',
  'runnerVersion',
] as const satisfies readonly (keyof RunEndDocument['runtime'])[];

/** An acceptance and its signature. */
export const signedAcceptance = record({
  value: structCodec('Acceptance'),
  signature: signatureText,
});

/** What an extension says of an attempt when it connects (compute-market.md §10.3). */
export const heldJob = record({
  jobId: hashText,
  attempt: u32,
  lease: text,
  state: text,
  logSeq: u32,
  haveResult: bool,
});
export type HeldJob = Decoded<typeof heldJob>;
