/** A node in memory with one component as its only process: what `kit run` and guest tests talk to. Nothing is written to disk. */
import { address, processId } from '../wit/address.ts';
import { plainRequest } from '../wit/message.ts';
import type { KernelMessage, LazyLoadBlob, ProcessId, SendErrorKind } from '../wit/types.ts';
import type { ProcessUsage } from '../wit/kernel-api.ts';
import { createEngine } from '../kernel/hart/create-engine.ts';
import { systemClock } from '../kernel/clock.ts';
import { Kernel } from '../kernel/kernel.ts';
import type { KernelPort, RuntimeModule } from '../kernel/module.ts';
import { MemoryStore } from '../kernel/store.ts';
import { state } from '../runtime-modules/state/index.ts';
import { timer } from '../runtime-modules/timer/index.ts';

const SOLO_NODE = 'kit.os';
const PROCESS = processId('main:kit:kit.os');
const DRIVER = 'kit';
const WATCH_MS = 25;

/** How one request ended. */
export type Exchange =
  | {
      readonly kind: 'response';
      readonly body: Uint8Array;
      readonly metadata: string | undefined;
      readonly blob: LazyLoadBlob | undefined;
      readonly wallMs: number;
    }
  | { readonly kind: SendErrorKind | 'ended'; readonly wallMs: number };

export interface Printed {
  readonly verbosity: number;
  readonly process: ProcessId;
  readonly text: string;
}

export interface AskOptions {
  /** Whole seconds. */
  readonly timeoutS: number;
  readonly blob?: LazyLoadBlob;
}

export interface SoloNode extends AsyncDisposable {
  readonly kernel: Kernel;
  readonly process: ProcessId;
  /** Everything printed so far, the trap report of a process that fell among it. */
  readonly prints: readonly Printed[];
  /** Sends a request to the component and waits for its end. */
  ask(body: Uint8Array, options: AskOptions): Promise<Exchange>;
  /** What the component has used; undefined once it has ended. */
  usage(): ProcessUsage | undefined;
  /** The end of what it wrote to stdout and stderr; empty when it has ended (a trap's report has its stderr). */
  output(): string;
}

export interface SoloOptions {
  /** Told of every printout as it comes. */
  readonly onPrint?: (printed: Printed) => void;
}

/**
 * Boots the node and starts the component. It may message timer and state, and whoever asks; there is nobody else.
 * @throws ImageError for bytes that no node would run
 */
export async function bootSolo(
  component: Uint8Array,
  options: SoloOptions = {},
): Promise<SoloNode> {
  await using parts = new AsyncDisposableStack();
  const owned = parts.use(createEngine());
  // So that a component that cannot run is an error here, and not a line among the printouts.
  await owned.engine.load(component);
  const prints: Printed[] = [];
  const store = parts.use(new MemoryStore());
  const kernel = new Kernel({
    our: SOLO_NODE,
    engine: owned.engine,
    store,
    seed: crypto.getRandomValues(new Uint8Array(32)),
    sink: {
      print(printout) {
        if ('event' in printout) return;
        const printed = { ...printout, text: printout.text };
        prints.push(printed);
        options.onPrint?.(printed);
      },
    },
  });
  parts.defer(() => kernel.shutdown());
  kernel.registerModule(state()({ store, port: kernel.port('state') }));
  kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
  const driver = new Driver();
  driver.port = kernel.registerModule(driver);
  // A process that has ended answers no more; the kernel tells nobody, so look.
  const watch = setInterval(() => {
    if (kernel.usage().get(PROCESS) === undefined) driver.endAll('ended');
  }, WATCH_MS);
  parts.defer(() => clearInterval(watch));
  await kernel.boot([
    {
      id: PROCESS,
      entry: { wasmBytesHandle: '', witVersion: 1, onExit: { kind: 'none' }, public: true },
      capabilities: [`${DRIVER}:distro:sys`, 'timer:distro:sys', 'state:distro:sys'].map(
        (issuer) => ({
          issuer: address(`${SOLO_NODE}@${issuer}`),
          params: '"messaging"',
        }),
      ),
      wasm: component,
    },
  ]);
  const held = parts.move();
  return {
    kernel,
    process: PROCESS,
    prints,
    ask: (body, ask) => driver.ask(body, ask),
    usage: () => kernel.usage().get(PROCESS),
    output: () => kernel.output(PROCESS) ?? '',
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** The module whose requests the component gets. */
class Driver implements RuntimeModule<never> {
  readonly name = DRIVER;
  readonly public = true;
  port: KernelPort | undefined;
  readonly #pending = new Map<string, (end: Ended) => void>();

  async ask(body: Uint8Array, options: AskOptions): Promise<Exchange> {
    const { port } = this;
    if (port === undefined) throw new Error('not registered');
    const started = performance.now();
    const end = await new Promise<Ended>((resolve) => {
      const id = port.send({
        target: { node: SOLO_NODE, process: PROCESS },
        rsvp: port.our,
        message: {
          kind: 'request',
          request: plainRequest(body, options.timeoutS),
        },
        blob: options.blob,
      });
      // A response cannot be delivered in the turn of its request.
      this.#pending.set(String(id), resolve);
      setTimeout(
        () => this.#end(String(id), { kind: 'timeout' }),
        options.timeoutS * 1_000,
      ).unref();
    });
    return { ...end, wallMs: performance.now() - started };
  }

  /** What the component asks of us is not answered: nobody is here. */
  decode(): ReturnType<RuntimeModule<never>['decode']> {
    return { ok: false, error: undefined };
  }

  handle(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  onResponse(message: KernelMessage): void {
    if (message.message.kind !== 'response') return;
    const { body, metadata } = message.message.response;
    this.#end(String(message.id), { kind: 'response', body, metadata, blob: message.blob });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.endAll('offline');
  }

  endAll(kind: 'offline' | 'ended'): void {
    for (const id of this.#pending.keys()) this.#end(id, { kind });
  }

  #end(id: string, end: Ended): void {
    const resolve = this.#pending.get(id);
    this.#pending.delete(id);
    resolve?.(end);
  }
}

type Ended =
  | {
      readonly kind: 'response';
      readonly body: Uint8Array;
      readonly metadata: string | undefined;
      readonly blob: LazyLoadBlob | undefined;
    }
  | { readonly kind: SendErrorKind | 'ended' };
