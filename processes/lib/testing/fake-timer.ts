/** `timer:distro:sys` on the clock of the in-memory host, for tests of processes. */
import { timerRequest } from '../../../wit/timer-api.ts';
import type { Peer } from './memory-host.ts';

/** Answers when `host.advance` has passed the time. In a serial process, whose requests block, at once. */
export function fakeTimer(): Peer {
  return (sent, host) => {
    const decoded = timerRequest.decode(sent.request.body);
    if (!decoded.ok || decoded.value.kind !== 'SetTimer') return undefined;
    // A blocking request has no context, and nothing can move the clock while it waits.
    if (sent.context === undefined) return '';
    host.later(Number(decoded.value.value) / 1_000, () => host.answer(sent, ''));
    return undefined;
  };
}
