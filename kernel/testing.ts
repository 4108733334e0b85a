/**
 * Stand-ins for what surrounds the kernel, for tests anywhere in the repository: an engine whose guests are JavaScript functions, a
 * clock that only moves when told to, a sink that keeps its printouts, and a transport that joins kernels in memory.
 */
import { address as parsed, formatAddress, processId } from '../wit/address.ts';
import type {
  Address,
  Capability,
  KernelMessage,
  LazyLoadBlob,
  Message,
  OnExit,
  OutgoingRequest,
  ProcessId,
  Request,
  Response,
  Result,
  SendError,
} from '../wit/types.ts';
import type { Clock, TimerHandle } from './clock.ts';
import type { RemoteTransport } from './dispatch.ts';
import {
  ImageError,
  type Engine,
  type Guest,
  type GuestEnd,
  type GuestUsage,
  type Image,
} from './engine.ts';
import { Kernel, type KernelOptions } from './kernel.ts';
import type { PrintSink, Printout } from './print.ts';
import { Trap, type Delivery, type ProcessHost } from './process-host.ts';
import { MemoryStore } from './store.ts';

const utf8 = new TextEncoder();

/** A guest: its promise is `init`. Throwing is a trap. */
export type GuestCode = (guest: GuestApi) => Promise<void>;

/** The host functions as a guest written in TypeScript sees them: blocking ones are promises. */
export class GuestApi {
  readonly host: ProcessHost;
  readonly our: Address;
  /** What `init` was called with (K5). */
  readonly argument: string;

  constructor(host: ProcessHost, our: Address) {
    this.host = host;
    this.our = our;
    this.argument = formatAddress(our);
  }

  receive(): Promise<Delivery> {
    return new Promise((resolve) => {
      const now = this.host.receive(resolve);
      if (now !== undefined) resolve(now);
    });
  }

  /** The next delivery, which must be a request. */
  async request(): Promise<{
    readonly source: Address;
    readonly request: Request;
    readonly body: string;
  }> {
    const delivery = await this.receive();
    if (delivery.kind !== 'message' || delivery.message.kind !== 'request') {
      throw new Error(`expected a request, got ${JSON.stringify(delivery)}`);
    }
    const { request } = delivery.message;
    return { source: delivery.source, request, body: new TextDecoder().decode(request.body) };
  }

  /** @throws Trap when the await ends the guest. */
  async sendAndAwait(
    target: Address | string,
    request: Partial<Request>,
    blob?: LazyLoadBlob,
  ): Promise<Result<{ readonly source: Address; readonly message: Message }, SendError>> {
    const awaited = await new Promise<Delivery | Trap>((resolve) => {
      const full = requestOf({ expectsResponse: 5, ...request });
      const now = this.host.sendAndAwaitResponse(addressOf(target), full, blob, resolve);
      if (now !== undefined) resolve(now);
    });
    if (awaited instanceof Trap) throw awaited;
    if (awaited.kind === 'send-error') return { ok: false, error: awaited.error };
    return { ok: true, value: { source: awaited.source, message: awaited.message } };
  }

  async send(
    target: Address | string,
    request: Partial<Request>,
    more: Partial<OutgoingRequest> = {},
  ): Promise<void> {
    await this.host.sendRequest({
      target: addressOf(target),
      request: requestOf(request),
      context: undefined,
      blob: undefined,
      ...more,
    });
  }

  async respond(
    body: string | Uint8Array,
    more: Partial<Response> = {},
    blob?: LazyLoadBlob,
  ): Promise<void> {
    await this.host.sendResponse(
      { inherit: false, body: bytesOf(body), metadata: undefined, capabilities: [], ...more },
      blob,
    );
  }
}

/** Runs guests given as functions. `load` finds them by the text of their "component". */
class ScriptedEngine implements Engine {
  readonly #code = new Map<string, GuestCode>();
  /** Guests started so far. */
  started = 0;
  /** What `startRefusal` says. */
  refusal: string | undefined = undefined;

  /** Names a guest; the bytes returned are its component. */
  component(name: string, code: GuestCode): Uint8Array {
    this.#code.set(name, code);
    return utf8.encode(name);
  }

  load(component: Uint8Array): Promise<Image> {
    const name = new TextDecoder().decode(component);
    if (this.#code.has(name)) return Promise.resolve({ hash: name });
    return Promise.reject(new ImageError('not-a-component', 'the bytes are no component'));
  }

  start(image: Image, our: Address, host: ProcessHost): Guest {
    this.started++;
    return new ScriptedGuest(this.#code.get(image.hash) ?? (() => Promise.resolve()), our, host);
  }

  startRefusal(): string | undefined {
    return this.refusal;
  }
}

class ScriptedGuest implements Guest {
  readonly ended: Promise<GuestEnd>;
  #kill: (end: GuestEnd) => void = () => undefined;

  constructor(code: GuestCode, our: Address, host: ProcessHost) {
    const killed = new Promise<GuestEnd>((resolve) => {
      this.#kill = resolve;
    });
    const ran = Promise.resolve()
      .then(() => code(new GuestApi(host, our)))
      .then(
        (): GuestEnd => ({ kind: 'returned' }),
        (error: unknown): GuestEnd => ({
          kind: 'trapped',
          report: error instanceof Error ? error.message : String(error),
          stderr: '',
        }),
      );
    this.ended = Promise.race([killed, ran]);
  }

  kill(): void {
    this.#kill({ kind: 'killed' });
  }

  usage(): GuestUsage {
    return { fuel: 1, cpuMs: 2, memoryBytes: 65_536 };
  }
}

/** Time that moves only by `advance`; delay 0 needs an `advance(0)`. */
export class FakeClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly action: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  schedule(action: () => void, delayMs: number): TimerHandle {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), action };
    this.#timers.add(timer);
    return timer;
  }

  cancel(handle: TimerHandle): void {
    this.#timers.delete(handle as { readonly atMs: number; readonly action: () => void });
  }

  /** Moves time on, firing what falls due in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      let next: { readonly atMs: number; readonly action: () => void } | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.action();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** Lets everything that waits for promises only run on: one turn of the event loop. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Keeps what was printed. */
class KeptPrintouts implements PrintSink {
  readonly printouts: Printout[] = [];

  print(printout: Printout): void {
    this.printouts.push(printout);
  }

  /** Texts of one level. */
  at(verbosity: number): string[] {
    return this.printouts.flatMap((line) =>
      'text' in line && line.verbosity === verbosity ? [line.text] : [],
    );
  }
}

/** Joins kernels of one JavaScript thread: a message to a node that is not joined, or is down, fails `offline`. */
export class InMemoryNetwork {
  readonly #kernels = new Map<string, Kernel>();
  readonly #down = new Set<string>();

  join(kernel: Kernel): void {
    this.#kernels.set(kernel.our, kernel);
    const transport: RemoteTransport = {
      send: (message) => {
        const { node } = message.target;
        const receiver = this.#down.has(node) ? undefined : this.#kernels.get(node);
        queueMicrotask(() => {
          if (receiver === undefined) kernel.failed(message, 'offline');
          else void receiver.inject(message);
        });
      },
    };
    kernel.setNet(transport);
  }

  setDown(node: string, down: boolean): void {
    if (down) this.#down.add(node);
    else this.#down.delete(node);
  }
}

/** A kernel with everything around it replaced, and shorthands for tests. */
export class TestNode {
  readonly engine = new ScriptedEngine();
  readonly clock = new FakeClock();
  readonly sink = new KeptPrintouts();
  readonly store: MemoryStore;
  readonly kernel: Kernel;
  readonly our: string;
  #components = 0;

  constructor(options: Partial<KernelOptions> & { readonly store?: MemoryStore } = {}) {
    this.our = options.our ?? 'fake.os';
    this.store = options.store ?? new MemoryStore();
    this.kernel = new Kernel({
      our: this.our,
      engine: this.engine,
      seed: Uint8Array.from({ length: 32 }, (_, index) => index),
      sink: this.sink,
      clock: this.clock,
      ...options,
      store: this.store,
    });
  }

  address(id: string): Address {
    return { node: this.our, process: processId(id) };
  }

  messaging(id: string): Capability {
    return { issuer: this.address(id), params: '"messaging"' };
  }

  network(): Capability {
    return { issuer: this.address('kernel:distro:sys'), params: '"network"' };
  }

  /** Creates and starts a process running `code`; `holds` are ids it may message, or capabilities. */
  async start(id: string, code: GuestCode, options: StartOptions = {}): Promise<ProcessId> {
    const wasm = this.engine.component(`${id}#${this.#components++}`, code);
    const made = await this.kernel.initialize(
      {
        id: processId(id),
        wasmBytesHandle: `/${id}.wasm`,
        witVersion: 1,
        onExit: options.onExit ?? { kind: 'none' },
        public: options.public ?? false,
        capabilities: (options.holds ?? []).map((held) =>
          typeof held === 'string' ? this.messaging(held) : held,
        ),
      },
      wasm,
    );
    if (!made.ok) throw new Error(`cannot initialize ${id}: ${made.error}`);
    if (options.run !== false) this.kernel.run(made.value);
    await settle();
    return made.value;
  }
}

export interface StartOptions {
  readonly holds?: readonly (string | Capability)[];
  readonly public?: boolean;
  readonly onExit?: OnExit;
  /** False: leave it initialized. */
  readonly run?: boolean;
}

/** A request with defaults for what a test does not care about. */
export function requestOf(request: Partial<Request>): Request {
  return {
    inherit: false,
    expectsResponse: undefined,
    body: new Uint8Array(),
    metadata: undefined,
    capabilities: [],
    ...request,
  };
}

/** UTF-8 of a text, or the bytes themselves. */
export function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? utf8.encode(text) : text;
}

/** UTF-8 text of bytes. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function addressOf(target: Address | string): Address {
  return typeof target === 'string' ? parsed(target) : target;
}

/** A message as another node would send it. */
export function remoteRequest(
  source: string,
  target: string,
  request: Partial<Request>,
  more: Partial<KernelMessage> = {},
): KernelMessage {
  return {
    id: 4242,
    source: parsed(source),
    target: parsed(target),
    rsvp: undefined,
    message: { kind: 'request', request: requestOf(request) },
    blob: undefined,
    ...more,
  };
}
