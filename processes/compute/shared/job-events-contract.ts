/**
 * What a provider's `gpu:compute:sys` tells the market that gave it a job, and asks of it. Only the node that the job is assigned to is
 * heard, and only under the lease of the attempt that runs.
 */
import { addressText } from '../../../contracts/compute-json.ts';
import { runEndFields } from '../../../contracts/compute-result.ts';
import {
  bool,
  type Decoded,
  list,
  option,
  record,
  text,
  u32,
  union,
  unit,
} from '../../../wit/codec.ts';
import { outputFile } from '../../../wit/jobs/result.ts';
import { method } from '../../lib/contract.ts';
import { leased, partOf } from './gpu-contract.ts';

/** How a run ended, as the executor says; the receipt commits to all of it. */
export const runResult = record({ ...runEndFields, outputs: list(outputFile) });

/** What is new of one attempt: only what is, and in this order. */
export const news = record({
  ...leased,
  /** Which attempt, and whose executor has accepted it: until the market has answered once, whose answer to the offer may be slower. */
  accepted: option(record({ attempt: u32, executor: addressText })),
  /** `Started` counts from now. */
  state: option(union({ Preparing: unit, Started: unit, Collecting: unit })),
  progress: option(record({ ppm: u32, note: option(text) })),
  /** Records (wit/jobs/log-records.ts), so many bytes of the blob; the next ones are sent when these are answered. */
  log: option(record({ firstSeq: u32, bytes: u32 })),
  /** It ended with a receipt: `runEnd` and a list of `outputFile`, each as JSON text. */
  result: option(record({ end: text, outputs: text })),
  /** It ended without one; `code` is one of `FAULTS`. */
  lost: option(record({ code: text, message: text })),
});
export type News = Decoded<typeof news>;

/** What becomes of a news. Whoever gets no answer tells it again. */
export const newsAnswer = union({
  /** It is on disk. */
  Taken: unit,
  /** So it is, and nothing more is wanted of the attempt: no `Drop` follows. */
  Over: unit,
  Refused: record({ kind: text, message: text }),
});
export type NewsAnswer = Decoded<typeof newsAnswer>;

export const jobEventMethods = {
  /** Of any of the attempts that the market has given. The logs are the blob, in the order of the news. */
  Told: method(record({ news: list(news) }), record({ answers: list(newsAnswer) })),
  /** A part of an input or of the module. */
  Input: method(record({ ...leased, ...partOf }), record({ end: bool })),
} as const;
