/** `timer:distro:sys` on the clock of the in-memory host, for tests of processes. */
import { RUNG, timerRequest } from '../../../wit/timer-api.ts';
import type { Peer, Sent } from './memory-host.ts';

/** Answers when `host.advance` has passed the time, or when it is rung. In a serial process, whose requests block, at once. */
export function fakeTimer(): Peer {
  const byLabel = new Map<string | undefined, Sent>();
  return (sent, host) => {
    const decoded = timerRequest.decode(sent.request.body);
    if (decoded.ok && decoded.value.kind === 'Ring') {
      const rung = byLabel.get(decoded.value.value);
      if (rung !== undefined) host.answer(rung, RUNG);
      return undefined;
    }
    if (!decoded.ok || decoded.value.kind !== 'SetTimer') return undefined;
    byLabel.set(sent.request.metadata, sent);
    // A blocking request has no context, and nothing can move the clock while it waits.
    if (sent.context === undefined) return '';
    host.later(Number(decoded.value.value) / 1_000, () => host.answer(sent, ''));
    return undefined;
  };
}
