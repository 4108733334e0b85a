/**
 * WASI 0.2 for one process: clocks and randomness, two outputs, and otherwise refusals (kernel.md §5.8, findings.md F8). Nothing
 * here blocks the thread, touches a file or a socket, or ends the node.
 */
import { cliInterfaces } from './cli.ts';
import { monotonicClockInterface, timezoneInterface, wallClockInterface } from './clocks.ts';
import type { Clock } from './clocks.ts';
import { filesystemInterfaces } from './filesystem.ts';
import { unversioned } from './interface.ts';
import type { WasiInterface } from './interface.ts';
import { stderrRingBytes } from './limits.ts';
import { pollInterface } from './poll.ts';
import { PREVIEW1 } from './preview1.ts';
import type { SetTimer } from './poll.ts';
import { randomInterfaces } from './random.ts';
import type { RandomBytes } from './random.ts';
import { OutputRing } from './ring.ts';
import { socketsInterfaces } from './sockets.ts';
import { errorInterface, streamsInterface } from './streams.ts';

export interface WasiOptions {
  /** What the guest prints, in pieces of at most 64 KiB, each its receiver's to keep. Without one it is discarded. */
  readonly process?: {
    stdout?(bytes: Uint8Array): void;
    /** In addition to the ring of the trap report. */
    stderr?(bytes: Uint8Array): void;
  };
  readonly clock: Clock;
  /** Cryptographically secure. */
  readonly randomBytes: RandomBytes;
  /** Default: the runtime's. */
  readonly setTimer?: SetTimer;
  /** Aborts when the process dies, after it was marked dead: waits end at once and their timers are cancelled. */
  readonly signal: AbortSignal;
}

export interface WasiHost {
  /** The interface of an import name with any version 0.2.x; undefined when this node does not provide it. */
  lookup(importName: string): WasiInterface | undefined;
  /** The end of what the guest wrote to stderr, at most 5,000 bytes. */
  stderrText(): string;
}

/** Interfaces without state, one copy for all processes. */
const shared: Readonly<Record<string, WasiInterface>> = {
  'wasi:io/error': errorInterface,
  'wasi:io/streams': streamsInterface,
  'wasi:clocks/timezone': timezoneInterface,
  ...filesystemInterfaces,
  ...socketsInterfaces,
};

const startTimer: SetTimer = (callback, ms) => {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
};

export function createWasi(options: WasiOptions): WasiHost {
  const ring = new OutputRing(stderrRingBytes);
  // Most processes call little of it: built at the first look-up.
  let own: Readonly<Record<string, WasiInterface>> | undefined;
  return {
    lookup(importName) {
      const name = unversioned(importName);
      if (name === undefined) return undefined;
      if (Object.hasOwn(shared, name)) return shared[name];
      own ??= ownInterfaces(options, ring);
      return Object.hasOwn(own, name) ? own[name] : undefined;
    },
    stderrText: () => ring.text(),
  };
}

/**
 * Whether a component may import this instance from us: its name, with a version, is an interface of ours. For the image's
 * allow-list, before there is a process.
 */
export function isWasiImport(importName: string): boolean {
  return catalogue.lookup(importName) !== undefined;
}

/** By interface without its version. Outputs wait for who reads the log of a program (extensions); those of a process never do. */
const WAITING: Readonly<Record<string, readonly string[]>> = {
  'wasi:io/poll': ['poll', '[method]pollable.block'],
  'wasi:io/streams': [
    '[method]output-stream.write',
    '[method]output-stream.write-zeroes',
    '[method]output-stream.splice',
    '[method]output-stream.blocking-write-and-flush',
    '[method]output-stream.blocking-write-zeroes-and-flush',
    '[method]output-stream.blocking-splice',
  ],
  [PREVIEW1]: ['fd_write'],
};

/** Whether this function may return a promise, so that its core import must be able to suspend. */
export function mayWait(importName: string, functionName: string): boolean {
  const name = importName === PREVIEW1 ? PREVIEW1 : unversioned(importName);
  return name !== undefined && WAITING[name]?.includes(functionName) === true;
}

function ownInterfaces(
  options: WasiOptions,
  ring: OutputRing,
): Readonly<Record<string, WasiInterface>> {
  const { clock, process, randomBytes, setTimer = startTimer, signal } = options;
  return {
    'wasi:io/poll': pollInterface({
      monotonicNowNs: () => clock.monotonicNowNs(),
      setTimer,
      signal,
    }),
    'wasi:clocks/wall-clock': wallClockInterface(clock),
    'wasi:clocks/monotonic-clock': monotonicClockInterface(clock),
    ...randomInterfaces(randomBytes),
    ...cliInterfaces({
      stdout: (bytes) => process?.stdout?.(bytes),
      stderr: (bytes) => {
        ring.write(bytes);
        process?.stderr?.(bytes);
      },
    }),
  };
}

/** A host nobody runs on; it answers which names exist. */
const catalogue = createWasi({
  clock: { wallNowMs: () => 0, monotonicNowNs: () => 0n },
  randomBytes: (count) => new Uint8Array(count),
  signal: new AbortController().signal,
});
