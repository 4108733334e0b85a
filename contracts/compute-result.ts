/** How a run ended, as its executor signs it (compute-market.md §7.2, §10.4): the receipt, and the documents that it commits to. */
import { record, text, u32, bool, type Decoded } from '../wit/codec.ts';
import { logSummary, runtime, usage } from '../wit/jobs/result.ts';
import { hashText, signatureText, structCodec } from './compute-json.ts';

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
