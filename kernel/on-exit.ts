/** The requests of a process whose on-exit is `requests` (kernel.md §5.5, K89; at boot §7.2, K124). Pure. */
import { messagingCapability } from './process-table.ts';
import { capabilityKey } from '../wit/json.ts';
import type { Address, KernelMessage, OnExit, Request } from '../wit/types.ts';
import type { Ids } from './ids.ts';

type ExitRequest = KernelMessage & {
  readonly message: { readonly kind: 'request'; readonly request: Request };
};

/** In order, from `process` itself, expecting no response; targets as written. */
export function exitRequests(
  process: { readonly address: Address },
  onExit: OnExit & { readonly kind: 'requests' },
  ids: Ids,
): ExitRequest[] {
  return onExit.requests.map(({ target, request, blob }) => ({
    id: ids.id53(),
    source: process.address,
    target,
    rsvp: undefined,
    message: { kind: 'request', request: { ...request, expectsResponse: undefined } },
    blob,
  }));
}

/** At boot only those go out whose exact target the process holds a messaging capability for. */
export function bootRequests(
  process: { readonly address: Address; readonly held: { has(key: string): boolean } },
  onExit: OnExit & { readonly kind: 'requests' },
  ids: Ids,
): ExitRequest[] {
  return exitRequests(process, onExit, ids).filter((message) =>
    process.held.has(capabilityKey(messagingCapability(message.target))),
  );
}
