/**
 * The kernel's side of a worker hart: one thread, the processes on it, and what happens when it stops answering.
 *
 *   alive --silent for HEARTBEAT_LIMIT_MS, or an error--> dead (its thread is terminated, its processes trapped)
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Address, KernelMessage, OnExit, SendErrorKind, U64 } from '../../wit/types.ts';
import type { GuestEnd, GuestUsage } from '../engine.ts';
import { keep } from '../held-blob.ts';
import type { KernelLink } from '../host-standard.ts';
import type { RemoteProcess, RemoteStart } from '../harts.ts';
import { MAILBOX_BYTES_MAX, MAILBOX_MESSAGES_MAX } from '../limits.ts';
import { messageBytes, SuspendedSenders } from '../mailbox.ts';
import type { WasmImage } from './engine.ts';
import { Outbox, type FromHart, type LinkCall, type ToHart } from './worker-protocol.ts';

/** Longest silence of a hart, in milliseconds (findings.md section 5). */
export const HEARTBEAT_LIMIT_MS = 2_000;
/** How often silence is looked for. */
const WATCH_MS = 250;

export interface WorkerHartOptions {
  readonly number: number;
  /** One line to the operator. */
  readonly report: (text: string) => void;
  /** For the watchdog's test. */
  readonly freezable?: boolean;
}

export class WorkerHart implements AsyncDisposable {
  readonly number: number;
  readonly #options: WorkerHartOptions;
  readonly #worker: Worker;
  readonly #outbox: Outbox<ToHart>;
  readonly #processes = new Map<number, WorkerProcess>();
  readonly #images = new Set<string>();
  readonly #watch: NodeJS.Timeout;
  #heardAt = performance.now();
  #count = 0;
  #dead = false;

  constructor(options: WorkerHartOptions) {
    this.number = options.number;
    this.#options = options;
    this.#worker = new Worker(
      new URL(`./worker-main${extname(import.meta.filename)}`, import.meta.url),
      {
        workerData: { freezable: options.freezable ?? false },
      },
    );
    this.#outbox = new Outbox((batch) => this.#worker.postMessage(batch));
    this.#worker.on('message', (batch: readonly FromHart[]) => {
      this.#heardAt = performance.now();
      for (const message of batch) this.#hear(message);
    });
    this.#worker.on('error', (error) => this.#fail(`hart ${this.number} failed: ${String(error)}`));
    this.#worker.on('exit', () => this.#fail(`hart ${this.number} ended`));
    this.#worker.once('online', () => (this.#heardAt = performance.now()));
    this.#watch = setInterval(() => {
      if (performance.now() - this.#heardAt > HEARTBEAT_LIMIT_MS)
        this.#fail(`hart ${this.number} has not answered for ${HEARTBEAT_LIMIT_MS / 1000} s`);
    }, WATCH_MS);
    this.#watch.unref();
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Processes on it. */
  get size(): number {
    return this.#processes.size;
  }

  start(start: RemoteStart): RemoteProcess {
    // The pool is only given images of the engine it was made with.
    const image = start.image as WasmImage;
    if (!this.#images.has(image.hash)) {
      this.#images.add(image.hash);
      const { hash, component, modules, trampoline, signatures } = image;
      this.#outbox.push({ kind: 'image', hash, component, modules, trampoline, signatures });
    }
    const process = new WorkerProcess(++this.#count, start, this.#outbox);
    this.#processes.set(process.number, process);
    const { our } = start.link;
    this.#outbox.push({
      kind: 'start',
      process: process.number,
      our,
      hash: image.hash,
      onExit: start.onExit,
    });
    for (const message of start.handOver()) process.give(message);
    return process;
  }

  /** Fault injection: the thread stops answering. Only for a hart made freezable. */
  freeze(): void {
    this.#outbox.push({ kind: 'freeze' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#dead = true;
    clearInterval(this.#watch);
    await this.#worker.terminate();
    for (const process of this.#processes.values()) process.end({ kind: 'killed' });
    this.#processes.clear();
  }

  #hear(message: FromHart): void {
    if (message.kind === 'alive') {
      for (const [number, usage] of message.usage) this.#processes.get(number)?.used(usage);
      return;
    }
    const process = this.#processes.get(message.process);
    if (process === undefined) return;
    if (message.kind === 'ended') {
      this.#processes.delete(message.process);
      process.used(message.usage);
      process.end(message.end, message.onExit);
    } else process.hear(message);
  }

  #fail(text: string): void {
    if (this.#dead) return;
    this.#dead = true;
    clearInterval(this.#watch);
    void this.#worker.terminate();
    const processes = [...this.#processes.values()];
    this.#processes.clear();
    this.#options.report(
      `${text}; the ${processes.length} processes on it end and follow their on-exit`,
    );
    for (const process of processes) process.end({ kind: 'trapped', report: text, stderr: '' });
  }
}

type OfProcess = Exclude<FromHart, { kind: 'alive' | 'ended' }>;

/** One process on a worker hart. What it sends is handled in order; a send that must wait holds up what follows it. */
class WorkerProcess implements RemoteProcess {
  readonly number: number;
  readonly ended: Promise<GuestEnd>;
  onExit: OnExit;
  readonly #link: KernelLink;
  readonly #outbox: Outbox<ToHart>;
  readonly #senders: SuspendedSenders;
  #settle!: (end: GuestEnd) => void;
  #over = false;
  #usage: GuestUsage = { fuel: 0, cpuMs: 0, memoryBytes: 0 };
  /** Requests given to it, and of those what it has taken. */
  #given = 0;
  #givenBytes = 0;
  #consumed = 0;
  #consumedBytes = 0;
  /** Sends that wait for an earlier one. */
  #backlog: Promise<void> | undefined;

  constructor(number: number, start: RemoteStart, outbox: Outbox<ToHart>) {
    this.number = number;
    this.onExit = start.onExit;
    this.#link = start.link;
    this.#outbox = outbox;
    this.#senders = new SuspendedSenders(start.link.timers);
    this.ended = new Promise((resolve) => (this.#settle = resolve));
  }

  get mailbox(): { readonly size: number; readonly bytes: number } {
    return { size: this.#given - this.#consumed, bytes: this.#givenBytes - this.#consumedBytes };
  }

  get suspendedSenders(): number {
    return this.#senders.size;
  }

  offer(message: KernelMessage): boolean {
    return this.#senders.size === 0 && this.#giveIfRoom(message);
  }

  suspend(message: KernelMessage, giveUp: () => void): Promise<void> {
    keep(message.blob);
    return this.#senders.suspend(message, { admit: () => this.#giveIfRoom(message), giveUp });
  }

  reply(message: KernelMessage): boolean {
    keep(message.blob);
    this.#outbox.push({ kind: 'reply', process: this.number, message });
    return true;
  }

  fail(id: U64, error: SendErrorKind, target: Address, refusal?: string): void {
    this.#outbox.push({ kind: 'fail', process: this.number, id, error, target, refusal });
  }

  close(): void {
    this.#senders.close();
  }

  kill(): void {
    if (!this.#over) this.#outbox.push({ kind: 'kill', process: this.number });
  }

  usage(): GuestUsage {
    return this.#usage;
  }

  used(usage: GuestUsage): void {
    this.#usage = usage;
  }

  end(end: GuestEnd, onExit: OnExit = this.onExit): void {
    if (this.#over) return;
    this.#over = true;
    this.onExit = onExit;
    // What it sent before its end is routed before its end is known (kernel.md §1.11).
    const settle = (): void => this.#settle(end);
    if (this.#backlog === undefined) settle();
    else void this.#backlog.then(settle);
  }

  hear(message: OfProcess): void {
    switch (message.kind) {
      case 'send':
        this.#inOrder(() => this.#link.send(message.message));
        return;
      case 'print':
        this.#inOrder(() => this.#link.print(message.verbosity, message.text));
        return;
      case 'call':
        // Behind what it sent before: a grant that follows a send must not overtake it.
        if (this.#backlog === undefined) void this.#answer(message.call, message.link);
        else void this.#backlog.then(() => this.#answer(message.call, message.link));
        return;
      case 'room':
        this.#consumed = message.consumed;
        this.#consumedBytes = message.consumedBytes;
        if (this.#senders.size > 0) this.#senders.admit();
    }
  }

  /** Hands a request over, room or not. */
  give(message: KernelMessage): void {
    keep(message.blob);
    this.#given += 1;
    this.#givenBytes += messageBytes(message);
    this.#outbox.push({ kind: 'request', process: this.number, message });
  }

  #giveIfRoom(message: KernelMessage): boolean {
    const { size, bytes } = this.mailbox;
    if (size >= MAILBOX_MESSAGES_MAX) return false;
    if (size > 0 && bytes + messageBytes(message) > MAILBOX_BYTES_MAX) return false;
    this.give(message);
    return true;
  }

  #inOrder(act: () => void | Promise<void>): void {
    const done = (): void => this.#outbox.push({ kind: 'taken', process: this.number, count: 1 });
    if (this.#backlog === undefined) {
      const waits = act();
      if (!(waits instanceof Promise)) return done();
      this.#queue(waits.then(done, done));
      return;
    }
    this.#queue(this.#backlog.then(act).then(done, done));
  }

  #queue(rest: Promise<void>): void {
    const backlog = rest.then(() => {
      if (this.#backlog === backlog) this.#backlog = undefined;
    });
    this.#backlog = backlog;
  }

  async #answer(call: number, link: LinkCall): Promise<void> {
    try {
      const value = await this.#ask(link);
      this.#outbox.push({ kind: 'answer', process: this.number, call, value });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#outbox.push({ kind: 'refuse', process: this.number, call, message });
    }
  }

  #ask({ name, args }: LinkCall): unknown {
    switch (name) {
      case 'filterOutgoing':
        return this.#link.filterOutgoing(...args);
      case 'saveCapabilities':
        return this.#link.saveCapabilities(...args);
      case 'dropCapabilities':
        return this.#link.dropCapabilities(...args);
      case 'ourCapabilities':
        return this.#link.ourCapabilities();
      case 'getState':
        return this.#link.getState();
      case 'clearState':
        return this.#link.clearState();
      case 'setState':
        return this.#link.setState(...args);
      case 'setOnExit':
        return this.#link.setOnExit(...args);
      case 'spawn':
        return this.#link.spawn(...args);
    }
  }
}
