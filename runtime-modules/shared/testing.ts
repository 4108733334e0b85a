/**
 * Drives a runtime module as the kernel does, with made-up requests: decode, then handle, in order per key. Ships beside the
 * modules so that their tests enter through the boundary; it is no kernel and checks no messaging rights.
 */
import { address, moduleId, OUR, sameAddress } from '../../wit/address.ts';
import { capabilityKey } from '../../wit/json.ts';
import type {
  Address,
  Capability,
  KernelMessage,
  LazyLoadBlob,
  ProcessId,
  U64,
} from '../../wit/types.ts';
import type {
  Answer,
  KernelPort,
  ModuleRequest,
  Offered,
  RuntimeModule,
} from '../../kernel/module.ts';
import type { Clock } from './clock.ts';
import { KeyedLock } from './keyed-lock.ts';

/** The local node's name in module tests. */
export const OUR_NODE = 'alice.os';

/** What a test says about a request; the rest has defaults. */
export interface Asked {
  /** `p:k:q` for a local process, or a whole address. */
  readonly from: string;
  /** JSON value, text, or bytes. */
  readonly body: unknown;
  readonly blob?: Uint8Array | string | undefined;
  readonly capabilities?: readonly Capability[];
  readonly rsvp?: Address;
  readonly metadata?: string;
  /** Default true. */
  readonly expectsResponse?: boolean;
  /** Seconds; default 5. */
  readonly timeoutS?: number;
  /** Of the request's message; default 1. */
  readonly id?: U64;
}

/** A response as its receiver would see it. */
export interface Reply {
  readonly to: Address;
  /** Parsed when it is JSON, else text. */
  readonly body: unknown;
  readonly blob: LazyLoadBlob | undefined;
  readonly metadata: string | undefined;
}

/** A `KernelPort` that keeps what it was given. */
export class TestPort implements KernelPort {
  readonly our: Address;
  readonly prints: { verbosity: number; text: string }[] = [];
  readonly sent: Parameters<KernelPort['send']>[0][] = [];
  readonly granted = new Map<ProcessId, Capability[]>();
  /** Processes the kernel does not know. */
  readonly unknown = new Set<string>();

  constructor(module: string) {
    this.our = { node: OUR_NODE, process: moduleId(module) };
  }

  send(message: Parameters<KernelPort['send']>[0]): KernelMessage['id'] {
    this.sent.push(message);
    return message.id ?? this.sent.length;
  }

  /** What `offer` answers; by default everything is taken. */
  offered: (message: Parameters<KernelPort['send']>[0]) => Offered | Promise<Offered> = () =>
    'taken';

  offer(message: Parameters<KernelPort['send']>[0]): Offered | Promise<Offered> {
    const offered = this.offered(message);
    if (offered === 'taken') this.sent.push(message);
    return offered;
  }

  grant(process: ProcessId, capabilities: readonly Capability[]): Promise<boolean> {
    if (this.unknown.has(process)) return Promise.resolve(false);
    this.granted.set(process, [...(this.granted.get(process) ?? []), ...capabilities]);
    return Promise.resolve(true);
  }

  print(verbosity: number, text: string): void {
    this.prints.push({ verbosity, text });
  }
}

/** A module on a test bench. */
export class Bench<Work> {
  readonly module: RuntimeModule<Work>;
  readonly port: TestPort;
  readonly #order = new KeyedLock();
  readonly #abort = new AbortController();

  constructor(module: RuntimeModule<Work>, port: TestPort) {
    this.module = module;
    this.port = port;
  }

  /** The reply that the kernel would send, or undefined. */
  async ask(asked: Asked): Promise<Reply | undefined> {
    const request = this.request(asked);
    const answer = await this.answer(request);
    return answer === undefined ? undefined : replyTo(request, answer);
  }

  /** Decode at once, handle in turn; what the module returned. */
  async answer(request: ModuleRequest, signal = this.#abort.signal): Promise<Answer | undefined> {
    const decoded = this.module.decode(request);
    if (!decoded.ok) return decoded.error;
    const work = decoded.value;
    const handle = async (): Promise<Answer | undefined> => this.module.handle(work, signal);
    const key = this.module.orderKey ? this.module.orderKey(work) : request.source.process;
    return key === undefined ? handle() : this.#order.run([key], handle);
  }

  /** Granted capabilities of earlier requests count as held. */
  request(asked: Asked): ModuleRequest {
    const source = address(asked.from.includes('@') ? asked.from : `${OUR_NODE}@${asked.from}`);
    const held = [...(asked.capabilities ?? []), ...(this.port.granted.get(source.process) ?? [])];
    const keys = new Set(held.map(capabilityKey));
    const expectsResponse = asked.expectsResponse ?? true;
    return {
      id: asked.id ?? 1,
      source,
      local: source.node === OUR_NODE || source.node === OUR,
      rsvp: asked.rsvp,
      body: bytesOf(asked.body),
      blob:
        asked.blob === undefined
          ? undefined
          : {
              mime: undefined,
              bytes: typeof asked.blob === 'string' ? bytesOf(asked.blob) : asked.blob,
            },
      metadata: asked.metadata,
      expectsResponse,
      timeoutS: expectsResponse ? (asked.timeoutS ?? 5) : undefined,
      capabilities: [],
      caller: {
        exists: !this.port.unknown.has(source.process),
        holds: (capability) => keys.has(capabilityKey(capability)),
        heldFrom: (issuer) => held.filter((each) => sameAddress(each.issuer, issuer)),
      },
    };
  }

  /** Aborts all work, as a shutdown does. */
  abort(): void {
    this.#abort.abort();
  }
}

/** The columns of runtime-modules.md §1.2, as the kernel applies them. */
export function replyTo(request: ModuleRequest, answer: Answer): Reply | undefined {
  const send = answer.send ?? 'if-wanted';
  const wanted =
    send === 'if-expected'
      ? request.expectsResponse
      : send !== 'if-wanted' || request.expectsResponse || request.rsvp !== undefined;
  if (!wanted) return undefined;
  const text = new TextDecoder().decode(answer.body);
  return {
    to: send === 'always-to-source' ? request.source : (request.rsvp ?? request.source),
    body: parsedOr(text),
    blob: answer.blob,
    metadata: (answer.echoMetadata ?? send === 'if-wanted') ? request.metadata : undefined,
  };
}

/** Time that passes when told to. */
export class TestClock implements Clock {
  #now = 0;
  readonly #due = new Map<object, { readonly at: number; readonly action: () => void }>();

  nowMs(): number {
    return this.#now;
  }

  schedule(action: () => void, delayMs: number): object {
    const handle = {};
    this.#due.set(handle, { at: this.#now + delayMs, action });
    return handle;
  }

  cancel(handle: object): void {
    this.#due.delete(handle);
  }

  get pending(): number {
    return this.#due.size;
  }

  /** Runs everything due until then in order, letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await new Promise(setImmediate);
      const next = [...this.#due]
        .filter(([, { at }]) => at <= end)
        .toSorted((a, b) => a[1].at - b[1].at)[0];
      if (next === undefined) break;
      this.#due.delete(next[0]);
      this.#now = Math.max(this.#now, next[1].at);
      next[1].action();
    }
    this.#now = end;
  }
}

/** One turn of the event loop: sockets are read, and all that waits for promises only runs on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Turns the event loop until it is so, at the latest until the test's time is over. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  return new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
