/**
 * The 19 host functions over the inbox of one instance of a process (kernel.md §2). Everything beyond the process
 * itself goes through a KernelLink, so that the same class can serve a process on another thread, whose link answers later.
 */
import { VFS, sameAddress } from '../wit/address.ts';
import { formatJson, parseJson } from '../wit/json.ts';
import { plainRequest } from '../wit/message.ts';
import type {
  Address,
  Capability,
  KernelMessage,
  LazyLoadBlob,
  OnExit,
  OutgoingRequest,
  ProcessId,
  Request,
  Response,
  Result,
  SpawnError,
  SpawnOptions,
} from '../wit/types.ts';
import { Inbox, type Outcome } from './inbox.ts';
import { SPAWN_READ_S } from './limits.ts';
import type { Delivery, MaybePromise, ProcessHost } from './process-host.ts';
import { Trap } from './process-host.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** What the registers' side asks of the kernel's side, as one process. */
export interface KernelLink {
  readonly our: Address;
  /** The wheel of this thread. */
  readonly timers: TimerWheel;
  /** A random id. */
  newId(): number;
  /** The address with the node name `our` replaced. */
  resolve(target: Address): Address;
  /** Routes; a promise while a full mailbox suspends this process. Failures come back through `StandardHost.fail`. */
  send(message: KernelMessage): MaybePromise<void>;
  filterOutgoing(capabilities: readonly Capability[]): MaybePromise<readonly Capability[]>;
  saveCapabilities(capabilities: readonly Capability[]): MaybePromise<void>;
  dropCapabilities(capabilities: readonly Capability[]): MaybePromise<void>;
  ourCapabilities(): MaybePromise<readonly Capability[]>;
  getState(): MaybePromise<Uint8Array | undefined>;
  /** Rejects when the state could not be written. */
  setState(bytes: Uint8Array): MaybePromise<void>;
  clearState(): MaybePromise<void>;
  setOnExit(onExit: OnExit): MaybePromise<void>;
  /** Everything of `spawn` after the file has been read. @throws Trap for an unsafe name (K75). */
  spawn(options: SpawnOptions, wasm: Uint8Array): MaybePromise<Result<ProcessId, SpawnError>>;
  print(verbosity: number, text: string): MaybePromise<void>;
}

const utf8 = new TextEncoder();

export class StandardHost extends Inbox implements ProcessHost {
  readonly #link: KernelLink;
  readonly #send: (message: KernelMessage) => MaybePromise<void>;
  #onExit: OnExit;
  /** Of the pending await. */
  #wake: ((awaited: Delivery | Trap) => void) | undefined;

  constructor(link: KernelLink, onExit: OnExit) {
    super(link);
    this.#link = link;
    this.#send = (message) => link.send(message);
    this.#onExit = onExit;
  }

  /** How this instance exits, as it last said itself. */
  get onExit(): OnExit {
    return this.#onExit;
  }

  printToTerminal(verbosity: number, text: string): MaybePromise<void> {
    this.#alive();
    return this.#link.print(verbosity, text);
  }

  our(): Address {
    return this.#link.our;
  }

  getOnExit(): OnExit {
    return this.#onExit;
  }

  setOnExit(onExit: OnExit): MaybePromise<void> {
    this.#alive();
    this.#onExit = onExit;
    return this.#link.setOnExit(onExit);
  }

  getState(): MaybePromise<Uint8Array | undefined> {
    this.#alive();
    const found = this.#link.getState();
    return then(found, (bytes) => {
      // The reply's blob sets the flag but not the register (H9): get-blob then shows the previous one.
      this.registers.blobFlag = bytes !== undefined;
      return bytes;
    });
  }

  setState(bytes: Uint8Array): MaybePromise<void> {
    this.#alive();
    return this.#stateWrite('set-state', this.#link.setState(bytes));
  }

  clearState(): MaybePromise<void> {
    this.#alive();
    return this.#stateWrite('clear-state', this.#link.clearState());
  }

  saveCapabilities(capabilities: readonly Capability[]): MaybePromise<void> {
    this.#alive();
    return this.#link.saveCapabilities(capabilities);
  }

  dropCapabilities(capabilities: readonly Capability[]): MaybePromise<void> {
    this.#alive();
    return this.#link.dropCapabilities(capabilities);
  }

  ourCapabilities(): MaybePromise<readonly Capability[]> {
    this.#alive();
    return this.#link.ourCapabilities();
  }

  async spawn(options: SpawnOptions): Promise<Result<ProcessId, SpawnError>> {
    this.#alive();
    const wasm = await this.#readFile(options.wasmPath);
    this.registers.blobFlag = false;
    if (wasm === undefined) return { ok: false, error: 'no-file-at-path' };
    return this.#link.spawn(options, wasm);
  }

  receive(wake: (delivery: Delivery) => void): Delivery | undefined {
    this.#alive();
    return this.next(wake);
  }

  hasBlob(): boolean {
    return this.registers.blobFlag;
  }

  getBlob(): LazyLoadBlob | undefined {
    return this.registers.blobFlag ? this.registers.lastBlob : undefined;
  }

  lastBlob(): LazyLoadBlob | undefined {
    return this.registers.lastBlob;
  }

  sendRequest(outgoing: OutgoingRequest): MaybePromise<void> {
    this.#alive();
    const filtered = this.#filtered(outgoing.request);
    if (filtered instanceof Promise)
      return filtered.then((request) => this.#sendFiltered(outgoing, request));
    return this.#sendFiltered(outgoing, filtered);
  }

  sendRequests(requests: readonly OutgoingRequest[]): MaybePromise<void> {
    return this.#sendFrom(requests, 0);
  }

  sendResponse(response: Response, blob: LazyLoadBlob | undefined): MaybePromise<void> {
    this.#alive();
    const filtered = this.#filtered(response);
    if (filtered instanceof Promise)
      return filtered.then((present) => this.#respond(present, blob));
    return this.#respond(filtered, blob);
  }

  sendAndAwaitResponse(
    target: Address,
    request: Request,
    blob: LazyLoadBlob | undefined,
    wake: (awaited: Delivery | Trap) => void,
  ): Delivery | undefined {
    this.#alive();
    if (request.expectsResponse === undefined) {
      throw new Trap('send-and-await-response needs expects-response');
    }
    if (sameAddress(target, this.#link.our)) {
      throw new Trap('a process cannot await a response from itself');
    }
    const filtered = this.#filtered(request);
    this.#wake = wake;
    if (filtered instanceof Promise) {
      void this.#sendAndWaitLater(filtered, { target, blob });
      return undefined;
    }
    const item = this.#sendAndWait(target, filtered, blob, this.#woken);
    if (item === undefined) return undefined;
    if (item instanceof Trap) throw item;
    return this.registers.deliver(item);
  }

  /** One for all awaits of the process: only one is pending at a time. */
  readonly #woken = (item: Outcome): void => {
    this.#wake?.(item instanceof Trap ? item : this.registers.deliver(item));
  };

  /** The same when the attached capabilities have to be checked on another thread first. */
  async #sendAndWaitLater(
    filtered: Promise<Request>,
    wait: { readonly target: Address; readonly blob: LazyLoadBlob | undefined },
  ): Promise<void> {
    let item: Outcome | undefined;
    try {
      item = this.#sendAndWait(wait.target, await filtered, wait.blob, this.#woken);
    } catch (cause) {
      item = cause instanceof Trap ? cause : new Trap('the request could not be sent', { cause });
    }
    if (item !== undefined) this.#woken(item);
  }

  #sendFiltered({ target, context, blob }: OutgoingRequest, request: Request): MaybePromise<void> {
    const message = this.#message(target, request, blob);
    if (request.expectsResponse !== undefined) this.enter(message, target, context);
    return this.#link.send(message);
  }

  #respond(response: Response, blob: LazyLoadBlob | undefined): MaybePromise<void> {
    const message = this.registers.response(this.#link.our, response, blob);
    if (message !== undefined) return this.#link.send(message);
    return this.#link.print(0, 'dropped a response: there is no request it could answer');
  }

  #sendFrom(requests: readonly OutgoingRequest[], start: number): MaybePromise<void> {
    for (let at = start; at < requests.length; at++) {
      const request = requests[at];
      if (request === undefined) continue;
      const sent = this.sendRequest(request);
      if (sent instanceof Promise) return sent.then(() => this.#sendFrom(requests, at + 1));
    }
    return undefined;
  }

  /** Returns the settled request when that happened while sending; otherwise undefined, and `wake` follows. */
  #sendAndWait(
    target: Address,
    request: Request,
    blob: LazyLoadBlob | undefined,
    wake: (item: Outcome) => void,
  ): Outcome | undefined {
    const message = this.#message(target, request, blob);
    return this.enterAndWait(message, target, this.#send, wake);
  }

  #message(target: Address, request: Request, blob: LazyLoadBlob | undefined): KernelMessage {
    const { contexts } = this.registers;
    let id = this.#link.newId();
    while (contexts.has(id)) id = this.#link.newId();
    return this.registers.request(this.#link.our, id, this.#link.resolve(target), request, blob);
  }

  #filtered<T extends Request | Response>(part: T): MaybePromise<T> {
    if (part.capabilities.length === 0) return part;
    return then(this.#link.filterOutgoing(part.capabilities), (capabilities) =>
      capabilities === part.capabilities ? part : { ...part, capabilities },
    );
  }

  /** The internal await of `spawn`: other items queue, `prompt` and `last_blob` stay as they are (kernel.md §2.1). */
  async #readFile(path: string): Promise<Uint8Array | undefined> {
    const body = utf8.encode(formatJson({ path, action: 'Read' }));
    const target = { node: this.#link.our.node, process: VFS };
    const item = await new Promise<Outcome>((resolve) => {
      const early = this.#sendAndWait(target, plainRequest(body, SPAWN_READ_S), undefined, resolve);
      if (early !== undefined) resolve(early);
    });
    if (item instanceof Trap) throw item;
    this.registers.close(item);
    const { reply } = item;
    if (reply === undefined || reply.message.kind !== 'response') return undefined;
    return parseJson(reply.message.response.body) === 'Read' ? reply.blob?.bytes : undefined;
  }

  #stateWrite(what: string, written: MaybePromise<void>): MaybePromise<void> {
    const done = (): void => {
      this.registers.blobFlag = false;
    };
    if (!(written instanceof Promise)) return done();
    return written.then(done, (cause: unknown) => {
      throw new Trap(`${what} failed: the state could not be written`, { cause });
    });
  }

  #alive(): void {
    if (this.closed) throw new Trap('the process has been killed');
  }
}

/** Applies `use` now, or when the value is there. */
function then<T, U>(value: MaybePromise<T>, use: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then((present) => use(present)) : use(value);
}
