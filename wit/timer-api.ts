/** Bodies of `timer:distro:sys` (runtime-modules.md §5). The response to SetTimer has an empty body. */
import { u64, union, unit, type Decoded } from './codec.ts';

/** SetTimer: milliseconds until the response. Debug: prints the pending timers; no response. */
export const timerRequest = union({ SetTimer: u64, Debug: unit });
export type TimerRequest = Decoded<typeof timerRequest>;
