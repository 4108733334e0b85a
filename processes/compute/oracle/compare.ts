/**
 * Whether two runs of one job came to the same (compute-market.md §8.3), by the class that the spec names. Integers only: two verifiers never
 * differ. Pure. What cannot be read as its class says is compared byte by byte.
 */
import { RECEIPT_STATUS } from '../../../contracts/compute.ts';
import type { JobSpec } from '../../../wit/jobs/spec.ts';
import type { OutputFile } from '../../../wit/jobs/result.ts';
import { closeImages } from './compare-images.ts';
import { closeNumbers } from './compare-numbers.ts';

/** How a run ended. */
export interface Outcome {
  readonly status: number;
  readonly exitCode: number;
  readonly outputsRoot: string;
  readonly outputs: readonly OutputFile[];
}

/** Tokens at the start that settle it. */
const TOKENS = 32;
/** Of the shorter text, in percent, that has to be the same from the start on, over three runs. */
const PREFIX_PERCENT = 90;

export type Comparison = 'same' | 'different' | 'undecided';

/** Bytes of an output of one of the two; undefined: too long to be compared, or gone. */
export type ReadOutput = (
  which: 'first' | 'second',
  file: OutputFile,
) => Promise<Uint8Array | undefined>;

export async function compareRuns(
  spec: JobSpec,
  first: Outcome,
  second: Outcome,
  read: ReadOutput,
): Promise<Comparison> {
  // A provider's own fault says nothing of the other run.
  if (second.status === RECEIPT_STATUS.providerError) return 'undecided';
  if (first.status !== second.status) return 'different';
  // Of what failed only that it fails so is compared: how far a program got depends on the machine.
  if (first.status !== RECEIPT_STATUS.ok)
    return first.exitCode === second.exitCode ? 'same' : 'different';
  const mode = spec.verify?.mode ?? 'exact';
  if (mode === 'none') return 'undecided';
  if (first.outputsRoot === second.outputsRoot) return 'same';
  if (mode === 'exact') return 'different';
  return compareFiles(spec, first, second, read);
}

async function compareFiles(
  spec: JobSpec,
  first: Outcome,
  second: Outcome,
  read: ReadOutput,
): Promise<Comparison> {
  const others = new Map(second.outputs.map((file) => [file.path, file]));
  if (others.size !== first.outputs.length) return 'different';
  for (const file of first.outputs) {
    const other = others.get(file.path);
    if (other === undefined) return 'different';
    if (file.sha256 === other.sha256) continue;
    const [a, b] = [await read('first', file), await read('second', other)];
    if (a === undefined || b === undefined) return 'undecided';
    if (!isClose(spec, file.path, a, b)) return 'different';
  }
  return 'same';
}

function isClose(spec: JobSpec, path: string, a: Uint8Array, b: Uint8Array): boolean {
  const { mode, absPpb = 0, relPpb = 0 } = spec.verify ?? { mode: 'exact' };
  switch (mode) {
    case 'tolerance':
      return closeNumbers(path, a, b, { absPpb: BigInt(absPpb), relPpb: BigInt(relPpb) });
    case 'image':
      return closeImages(a, b);
    case 'text-greedy':
      return closeTexts(a, b);
    default:
      return false;
  }
}

/** The first 32 words are the same, or nine tenths of the text. */
export function closeTexts(a: Uint8Array, b: Uint8Array): boolean {
  const [one, other] = [new TextDecoder().decode(a), new TextDecoder().decode(b)];
  const words = (text: string): string[] => text.trim().split(/\s+/).slice(0, TOKENS);
  const [first, second] = [words(one), words(other)];
  if (first.length === TOKENS && first.every((word, index) => word === second[index])) return true;
  const shorter = Math.min(one.length, other.length);
  if (shorter === 0) return one === other;
  let same = 0;
  while (same < shorter && one[same] === other[same]) same += 1;
  const longer = Math.max(one.length, other.length);
  return same * 100 >= longer * PREFIX_PERCENT;
}
