/**
 * Where processes run, as the kernel sees it. Hart 0 is the kernel's own thread: a `StandardHost` and a guest of the engine. Other
 * harts are threads of their own, behind this interface; registers, blobs and timers of their processes live there, and questions
 * about capabilities and the process table come back through the process's `KernelLink`.
 */
import type {
  Address,
  KernelMessage,
  OnExit,
  ProcessId,
  SendErrorKind,
  U64,
} from '../wit/types.ts';
import type { Guest, Image } from './engine.ts';
import type { KernelLink } from './host-standard.ts';

/** What the kernel does to a process's mailbox and registers, wherever they are. */
export interface HostSide {
  /** Takes a request; false when there is no room for it. */
  offer(message: KernelMessage): boolean;
  /** Puts a sender that `offer` refused to sleep; resolves when the message was taken or given up. */
  suspend(message: KernelMessage, giveUp: () => void): Promise<void>;
  /** Takes a response; false when it is known that nobody asked for it. */
  reply(message: KernelMessage): boolean;
  /** Ends the outstanding request of that id with a send error, if there is one. */
  fail(id: U64, kind: SendErrorKind, target: Address, refusal?: string): void;
  close(): void;
  readonly suspendedSenders: number;
  /** How this instance exits, as it last said itself. */
  readonly onExit: OnExit;
  readonly mailbox: { readonly size: number; readonly bytes: number };
}

/** A process whose guest and registers are on another thread: both sides of it in one. */
export interface RemoteProcess extends HostSide, Guest {}

/** What is needed to start a process on another hart. */
export interface RemoteStart {
  readonly id: ProcessId;
  readonly image: Image;
  /** Answers what the process asks of the kernel; on the kernel's thread. */
  readonly link: KernelLink;
  readonly onExit: OnExit;
  /** Takes over the requests that arrived before it started, in order; called once if it starts. */
  readonly handOver: () => readonly KernelMessage[];
}

/** Places processes. */
export interface HartPool extends AsyncDisposable {
  /** Starts the process on another hart, or returns undefined when it belongs on hart 0. */
  start(start: RemoteStart): RemoteProcess | undefined;
  /** Tells of a process on hart 0, so that one that hogs it can be moved at its next start. */
  watch(id: ProcessId, guest: Guest): void;
}
