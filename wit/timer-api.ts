/** Bodies of `timer:distro:sys` (runtime-modules.md §5). The response to SetTimer has an empty body. */
import { text, u64, union, unit, type Decoded } from './codec.ts';

/**
 * SetTimer: milliseconds until the response. Debug: prints the pending timers; no response. Ring (ours): the process's own timer whose
 * request had this text as metadata is up now, and its response has the body `RUNG`; no response of its own.
 */
export const timerRequest = union({ SetTimer: u64, Debug: unit, Ring: text });
export const RUNG = '"Rung"';
export type TimerRequest = Decoded<typeof timerRequest>;
