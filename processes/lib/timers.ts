/** Time, through `timer:distro:sys`: a request that is answered when the time has come. */
import { timerRequest } from '../../wit/timer-api.ts';
import type { Requester } from './client.ts';

/** Seconds beyond the delay before a missing answer counts as an error. */
const SLACK_S = 10;

/** Resolves after `ms` milliseconds; other handlers run meanwhile. */
export async function sleep(process: Requester, ms: number): Promise<void> {
  const delayMs = Math.max(0, Math.ceil(ms));
  const body = timerRequest.encode({ kind: 'SetTimer', value: delayMs });
  await process.request('timer:distro:sys', body, { timeoutS: delayMs / 1_000 + SLACK_S });
}

/** Calls `work` every `ms` milliseconds, each time after the one before has finished; until it returns false. */
export async function every(
  process: Requester,
  ms: number,
  work: () => boolean | void | Promise<boolean | void>,
): Promise<void> {
  do await sleep(process, ms);
  while ((await work()) !== false);
}
