/** The errors that application code may meet. */
import type { Address, SendError, SendErrorKind } from '../../wit/types.ts';
import { formatAddress } from '../../wit/address.ts';
import { decodeSendRefusal } from '../../wit/send-refusal.ts';

/** A request got no response: its target's node was unreachable, or its time ran out. */
export class NoResponse extends Error {
  override readonly name: string = 'NoResponse';
  readonly kind: SendErrorKind;
  readonly target: Address;
  constructor(kind: SendErrorKind, target: Address, message: string = kind) {
    super(`${formatAddress(target)}: ${message}`);
    this.kind = kind;
    this.target = target;
  }
}

/**
 * A request was not sent, since it is longer than its target's node takes at a time; trying it again is of no use, `sendLarge` of
 * `hyperware/large` cuts a blob into pieces. Both in bytes as on the wire, where those of a blob may take two each.
 */
export class MessageTooLarge extends NoResponse {
  override readonly name = 'MessageTooLarge';
  readonly bytes: number;
  readonly bytesMax: number;
  constructor(target: Address, bytes: number, bytesMax: number) {
    super(
      'timeout',
      target,
      `a message of ${bytes} bytes, and its node takes ${bytesMax} at a time`,
    );
    this.bytes = bytes;
    this.bytesMax = bytesMax;
  }
}

/** The error that a send error stands for. */
export function noResponse({ kind, target, message }: SendError): NoResponse {
  const metadata = message.kind === 'request' ? message.request.metadata : undefined;
  const refusal = decodeSendRefusal(metadata);
  if (refusal === undefined) return new NoResponse(kind, target);
  const { bytes, bytes_max } = refusal.value;
  return new MessageTooLarge(target, Number(bytes), Number(bytes_max));
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
