/**
 * What the terminal and its scripts need of the process they run in. `shared/host.ts` is the real one; tests hand in their own.
 * All calls block, as a process's calls do.
 */
import type { Address, Capability, LazyLoadBlob, SendErrorKind } from '../../../wit/types.ts';

/** How an awaited request ended. */
export type Reply =
  | { readonly kind: 'response'; readonly body: Uint8Array }
  | { readonly kind: SendErrorKind };

export interface AskOptions {
  /** Whole seconds. */
  readonly timeoutS: number;
  /** Hands on the last blob received, without copying it into the guest. */
  readonly inherit?: boolean;
  readonly capabilities?: readonly Capability[];
}

export interface Guest {
  readonly our: Address;
  print(verbosity: number, text: string): void;
  /** Sends a request and waits for its answer. */
  ask(target: Address, body: string | Uint8Array, options: AskOptions): Reply;
  /** Sends a request that wants no answer. */
  send(target: Address, body: string | Uint8Array): void;
  /** The blob that came with the last answer or message. */
  blob(): LazyLoadBlob | undefined;
  capabilities(): readonly Capability[];
  /** A random unsigned 64-bit number in decimal. */
  randomName(): string;
  state(): Uint8Array | undefined;
  setState(bytes: Uint8Array): void;
}

/** A body as text; U+FFFD where it is not UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A body as JSON; undefined when it is none. */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes)) as unknown;
  } catch {
    return undefined;
  }
}

/** Text that stands for itself in `shown`: bodies that are no UTF-8 as a list of bytes. */
export function shown(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return `[${Array.from(body).join(', ')}]`;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
