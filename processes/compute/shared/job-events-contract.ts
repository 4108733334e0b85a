/**
 * What a provider's `gpu:compute:sys` tells the market that gave it a job, and asks of it. Only the node that the job is assigned to is
 * heard, and only under the lease of the attempt that runs.
 */
import { runEndFields } from '../../../contracts/compute-result.ts';
import { bool, list, option, record, text, u32, union, unit } from '../../../wit/codec.ts';
import { outputFile } from '../../../wit/jobs/result.ts';
import { method } from '../../lib/contract.ts';
import { leased, partOf } from './gpu-contract.ts';

/** How a run ended, as the executor says; the receipt commits to all of it. */
export const runResult = record({ ...runEndFields, outputs: list(outputFile) });

export const jobEventMethods = {
  JobState: method(
    record({
      ...leased,
      /** `Started` counts from now. */
      state: union({ Preparing: unit, Started: unit, Collecting: unit }),
      detail: option(text),
    }),
    unit,
  ),
  Progress: method(record({ ...leased, ppm: u32, note: option(text) }), unit),
  /** The records (wit/jobs/log-records.ts) are the blob; the next ones are sent when these are answered. */
  Logs: method(record({ ...leased, firstSeq: u32 }), unit),
  JobResult: method(record({ ...leased, result: runResult }), unit),
  /** The attempt ended without a receipt; `code` is one of `FAULTS`. */
  JobLost: method(record({ ...leased, code: text, message: text }), unit),
  /** A part of an input or of the module. */
  Input: method(record({ ...leased, ...partOf }), record({ end: bool })),
} as const;
