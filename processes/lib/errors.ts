/** The errors that application code may meet. */
import type { Address, SendErrorKind } from '../../wit/types.ts';
import { formatAddress } from '../../wit/address.ts';

/** A request got no response: its target's node was unreachable, or its time ran out. */
export class NoResponse extends Error {
  override readonly name = 'NoResponse';
  readonly kind: SendErrorKind;
  readonly target: Address;
  constructor(kind: SendErrorKind, target: Address) {
    super(`${formatAddress(target)}: ${kind}`);
    this.kind = kind;
    this.target = target;
  }
}

/** The other side answered with an error. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Thrown by a handler to refuse a request; the requester gets it as a `RemoteError` of the same kind. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Of errors that are nobody else's: a fault of this process. */
export const INTERNAL = 'Internal';

/** What a requester is told about an error: what others refused or did not answer is passed on by its kind. */
export function errorBodyOf(reason: unknown): { readonly kind: string; readonly message: string } {
  const message = reason instanceof Error ? reason.message : String(reason);
  if (reason instanceof Refusal || reason instanceof RemoteError) {
    return { kind: reason.kind, message };
  }
  return { kind: reason instanceof NoResponse ? 'NoResponse' : INTERNAL, message };
}
