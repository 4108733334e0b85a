/** A process without a kernel: every host call is recorded, and answered by what the test says. Not part of the product. */
import type { Delivery, ProcessHost } from '../../kernel/process-host.ts';
import type { Trap } from '../../kernel/process-host.ts';
import type { Address, Message, ProcessId } from '../../wit/types.ts';
import type { Guest } from '../../kernel/engine.ts';
import { createEngine, type OwnedEngine } from '../../kernel/hart/create-engine.ts';

export const OUR: Address = { node: 'test.os', process: 'guest:test:sys' as ProcessId };

export interface RecordedCall {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** A request with this body, from the process itself. */
export function delivery(body: string | Uint8Array = ''): Delivery {
  return {
    kind: 'message',
    source: OUR,
    message: {
      kind: 'request',
      request: {
        inherit: false,
        expectsResponse: 5,
        body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
        metadata: undefined,
        capabilities: [],
      },
    } satisfies Message,
  };
}

/** Answers nothing by itself: `receive` waits for `deliver`. Override what a test needs. */
export class RecordingHost implements ProcessHost {
  readonly calls: RecordedCall[] = [];
  readonly #queue: Delivery[] = [];
  #wake: ((delivery: Delivery) => void) | undefined;
  #onCall: ((name: string) => void) | undefined;

  constructor(onCall?: (name: string) => void) {
    this.#onCall = onCall;
  }

  /** Gives the guest a message, now or at its next `receive`. */
  deliver(message: Delivery): void {
    const wake = this.#wake;
    this.#wake = undefined;
    if (wake === undefined) this.#queue.push(message);
    else wake(message);
  }

  /** The texts printed so far. */
  get printed(): string[] {
    return this.calls
      .filter(({ name }) => name === 'print-to-terminal')
      .map(({ args }) => String(args[1]));
  }

  protected record(name: string, ...args: unknown[]): void {
    this.calls.push({ name, args });
    this.#onCall?.(name);
  }

  clearsBlobWithoutOne(): void {
    this.record('clears-blob');
  }
  printToTerminal(verbosity: number, text: string): void | Promise<void> {
    this.record('print-to-terminal', verbosity, text);
  }
  our(): Address {
    this.record('our');
    return OUR;
  }
  getOnExit(): ReturnType<ProcessHost['getOnExit']> {
    this.record('get-on-exit');
    return { kind: 'none' };
  }
  setOnExit(...args: Parameters<ProcessHost['setOnExit']>): void {
    this.record('set-on-exit', ...args);
  }
  getState(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    this.record('get-state');
    return undefined;
  }
  setState(...args: Parameters<ProcessHost['setState']>): void {
    this.record('set-state', ...args);
  }
  clearState(): void {
    this.record('clear-state');
  }
  spawn(...args: Parameters<ProcessHost['spawn']>): ReturnType<ProcessHost['spawn']> {
    this.record('spawn', ...args);
    return { ok: false, error: 'no-file-at-path' };
  }
  saveCapabilities(...args: Parameters<ProcessHost['saveCapabilities']>): void {
    this.record('save-capabilities', ...args);
  }
  dropCapabilities(...args: Parameters<ProcessHost['dropCapabilities']>): void {
    this.record('drop-capabilities', ...args);
  }
  ourCapabilities(): ReturnType<ProcessHost['ourCapabilities']> {
    this.record('our-capabilities');
    return [];
  }
  receive(wake: (delivery: Delivery) => void): Delivery | undefined {
    this.record('receive');
    const next = this.#queue.shift();
    if (next === undefined) this.#wake = wake;
    return next;
  }
  hasBlob(): boolean {
    this.record('has-blob');
    return false;
  }
  getBlob(): ReturnType<ProcessHost['getBlob']> {
    this.record('get-blob');
    return undefined;
  }
  lastBlob(): ReturnType<ProcessHost['lastBlob']> {
    this.record('last-blob');
    return undefined;
  }
  sendRequest(...args: Parameters<ProcessHost['sendRequest']>): void {
    this.record('send-request', ...args);
  }
  sendRequests(...args: Parameters<ProcessHost['sendRequests']>): void {
    this.record('send-requests', ...args);
  }
  sendResponse(...args: Parameters<ProcessHost['sendResponse']>): void | Promise<void> {
    this.record('send-response', ...args);
  }
  sendAndAwaitResponse(
    target: Address,
    request: Parameters<ProcessHost['sendAndAwaitResponse']>[1],
    blob: Parameters<ProcessHost['sendAndAwaitResponse']>[2],
    _wake: (awaited: Delivery | Trap) => void,
  ): Delivery | undefined {
    this.record('send-and-await-response', target, request, blob);
    return undefined;
  }
}

/** The real engine, preparing as the node does; one for a test file. */
export class EngineBench implements Disposable {
  readonly #owned: OwnedEngine;

  constructor(options: Parameters<typeof createEngine>[0] = {}) {
    this.#owned = createEngine(options);
  }

  get engine(): OwnedEngine['engine'] {
    return this.#owned.engine;
  }

  /** Loads (each content once) and starts. */
  async start(component: Uint8Array, host: ProcessHost = new RecordingHost()): Promise<Guest> {
    return this.engine.start(await this.engine.load(component), OUR, host);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

/** Turns of the event loop: each is one full round of timers, I/O and immediates. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Whether a guest has ended by now. */
export async function hasEnded(guest: Guest): Promise<boolean> {
  const open = Symbol('open');
  return (await Promise.race([guest.ended, turns(1).then(() => open)])) !== open;
}

/** The texts that a node has printed, whatever their verbosity. */
export function texts(node: { readonly prints: readonly object[] }): string[] {
  return node.prints.flatMap((one) =>
    'text' in one && typeof one.text === 'string' ? [one.text] : [],
  );
}
