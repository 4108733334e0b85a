/**
 * What the kernel's thread and a worker hart say to each other: arrays of these, in order, one post for all that gathered in a turn.
 * Everything survives a structured clone. Processes are named by a number of the pool's, so that a late message of an earlier
 * instance is recognised.
 */
import type {
  Address,
  Capability,
  KernelMessage,
  OnExit,
  SendErrorKind,
  SpawnOptions,
  U64,
} from '../../wit/types.ts';
import type { GuestEnd, GuestUsage } from '../engine.ts';
import type { TrampolineSignature } from './trampoline.ts';

/** The methods of KernelLink that a worker asks for and awaits, with their arguments. */
export type LinkCall =
  | {
      readonly name: 'filterOutgoing' | 'saveCapabilities' | 'dropCapabilities';
      readonly args: [readonly Capability[]];
    }
  | { readonly name: 'ourCapabilities' | 'getState' | 'clearState'; readonly args: [] }
  | { readonly name: 'setState'; readonly args: [Uint8Array] }
  | { readonly name: 'setOnExit'; readonly args: [OnExit] }
  | { readonly name: 'spawn'; readonly args: [SpawnOptions, Uint8Array] };

/** Kernel to hart. */
export type ToHart =
  | {
      readonly kind: 'image';
      readonly hash: string;
      readonly component: Uint8Array;
      readonly modules: readonly WebAssembly.Module[];
      readonly trampoline: WebAssembly.Module;
      readonly signatures: readonly TrampolineSignature[];
    }
  | {
      readonly kind: 'start';
      readonly process: number;
      readonly our: Address;
      readonly hash: string;
      readonly onExit: OnExit;
    }
  | {
      readonly kind: 'request' | 'reply';
      readonly process: number;
      readonly message: KernelMessage;
    }
  | {
      readonly kind: 'fail';
      readonly process: number;
      readonly id: U64;
      readonly error: SendErrorKind;
      readonly target: Address;
      readonly refusal: string | undefined;
    }
  | {
      readonly kind: 'answer';
      readonly process: number;
      readonly call: number;
      readonly value: unknown;
    }
  /** The call failed; a `trap` ends the guest with that text. */
  | {
      readonly kind: 'refuse';
      readonly process: number;
      readonly call: number;
      readonly message: string;
    }
  /** That many of the process's sends and prints were taken. */
  | { readonly kind: 'taken'; readonly process: number; readonly count: number }
  | { readonly kind: 'kill'; readonly process: number }
  /** Fault injection for the watchdog's test: the thread stops answering. Obeyed only by a hart made for it. */
  | { readonly kind: 'freeze' };

/** Hart to kernel. */
export type FromHart =
  | { readonly kind: 'send'; readonly process: number; readonly message: KernelMessage }
  | {
      readonly kind: 'print';
      readonly process: number;
      readonly verbosity: number;
      readonly text: string;
    }
  | {
      readonly kind: 'call';
      readonly process: number;
      readonly call: number;
      readonly link: LinkCall;
    }
  /** What the guest has taken out of its mailbox since it started. */
  | {
      readonly kind: 'room';
      readonly process: number;
      readonly consumed: number;
      readonly consumedBytes: number;
    }
  | {
      readonly kind: 'ended';
      readonly process: number;
      readonly end: GuestEnd;
      readonly usage: GuestUsage;
      readonly onExit: OnExit;
    }
  | {
      readonly kind: 'alive';
      readonly usage: readonly (readonly [process: number, usage: GuestUsage])[];
    };

/** Sends and prints a process may have on the way before it is suspended. */
export const WINDOW = 64;
/** How often a hart says that it lives, in milliseconds. */
export const HEARTBEAT_MS = 250;

/** Gathers messages for one post a turn. */
export class Outbox<T> {
  readonly #post: (batch: readonly T[]) => void;
  #batch: T[] = [];
  /** Posts so far. */
  batches = 0;

  constructor(post: (batch: readonly T[]) => void) {
    this.#post = post;
  }

  push(message: T): void {
    this.#batch.push(message);
    // After the microtasks of this turn: what guests and modules say in it goes together.
    if (this.#batch.length === 1) setImmediate(() => this.flush());
  }

  flush(): void {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.batches += 1;
    this.#post(batch);
  }
}
