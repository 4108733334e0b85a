/**
 * A host in memory, for tests of processes without a node. It keeps the registers as kernel.md §1.4-§1.10 says, so that a process
 * that answers the wrong request here would do so there; its clock moves only when told.
 */
import type {
  Address,
  Capability,
  LazyLoadBlob,
  OnExit,
  OutgoingRequest,
  ProcessId,
  Request,
  Response,
  Result,
  SendError,
  SpawnError,
  SpawnOptions,
} from '../../../wit/types.ts';
import { address, sameAddress } from '../../../wit/address.ts';
import type { Delivery, Host } from '../host.ts';

/** A request that the process has sent and that the test may answer. */
export interface Sent extends OutgoingRequest {
  readonly id: number;
}

/** A response of the process; `id` is that of the request it answers. */
export interface Answered {
  readonly id: number;
  readonly response: Response;
  readonly blob: LazyLoadBlob | undefined;
}

export interface IncomingRequest {
  readonly source?: Address;
  readonly body: Uint8Array;
  readonly expectsResponse?: number | undefined;
  readonly blob?: LazyLoadBlob | undefined;
  readonly metadata?: string;
  readonly capabilities?: readonly Capability[];
}

/** What another process answers at once, undefined for silence; it may also answer later, through the host. */
export type Peer = (sent: Sent, host: MemoryHost) => PeerAnswer | undefined;

export type PeerAnswer =
  | Uint8Array
  | string
  | { readonly body: Uint8Array | string; readonly blob: Uint8Array };

type Item =
  | { readonly kind: 'request'; readonly id: number; readonly incoming: Required<IncomingRequest> }
  | {
      readonly kind: 'response';
      readonly id: number;
      readonly source: Address;
      readonly response: Response;
      readonly blob: LazyLoadBlob | undefined;
    }
  | { readonly kind: 'send-error'; readonly id: number; readonly error: SendError };

interface Outstanding {
  readonly prompt: number | undefined;
  readonly sent: Sent;
  readonly deadlineS: number;
}

export class MemoryHost implements Host {
  /** Everything sent, in order. */
  readonly sent: Sent[] = [];
  readonly responses: Answered[] = [];
  readonly prints: { readonly verbosity: number; readonly text: string }[] = [];
  readonly spawned: SpawnOptions[] = [];
  readonly capabilities: Capability[] = [];
  state: Uint8Array | undefined;
  nowS = 0;
  readonly #our: Address;
  readonly #peers: ReadonlyMap<string, Peer>;
  readonly #inbox: Item[] = [];
  readonly #outstanding = new Map<number, Outstanding>();
  #later: { readonly dueS: number; readonly work: () => void }[] = [];
  #onExit: OnExit = { kind: 'none' };
  #prompt: number | undefined;
  #lastBlob: LazyLoadBlob | undefined;
  #blobFlag = false;
  #nextId = 1;

  /** @param peers by process id: who answers without the test's help */
  constructor(our: string, peers: Readonly<Record<string, Peer>> = {}) {
    this.#our = address(our);
    this.#peers = new Map(Object.entries(peers));
  }

  // ---- for the test

  /** Puts a request into the mailbox. Returns its id. */
  arrive(incoming: IncomingRequest): number {
    const id = this.#nextId++;
    const {
      source = address('tester.os@tester:tester:sys'),
      body,
      expectsResponse,
      blob,
    } = incoming;
    const { metadata = '', capabilities = [] } = incoming;
    this.#inbox.push({
      kind: 'request',
      id,
      incoming: { source, body, expectsResponse, blob, metadata, capabilities },
    });
    return id;
  }

  /** Answers a request that the process has sent. */
  answer(sent: Sent, body: Uint8Array | string, blob?: LazyLoadBlob, metadata?: string): void {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    const response = { inherit: false, body: bytes, metadata, capabilities: [] };
    this.#inbox.push({ kind: 'response', id: sent.id, source: sent.target, response, blob });
  }

  /** Does something when that much time has passed. */
  later(seconds: number, work: () => void): void {
    this.#later.push({ dueS: this.nowS + seconds, work });
  }

  /** Lets time pass; what is due happens in its order, and requests that are due time out. */
  advance(seconds: number): void {
    this.nowS += seconds;
    const due = this.#later.filter(({ dueS }) => dueS <= this.nowS);
    this.#later = this.#later.filter(({ dueS }) => dueS > this.nowS);
    for (const { work } of due.sort((a, b) => a.dueS - b.dueS)) work();
    for (const [id, { deadlineS, sent }] of this.#outstanding) {
      if (deadlineS > this.nowS) continue;
      const message = { kind: 'request', request: sent.request } as const;
      const error: SendError = { kind: 'timeout', target: sent.target, message, blob: sent.blob };
      this.#inbox.push({ kind: 'send-error', id, error });
    }
  }

  // ---- for the process

  our(): Address {
    return this.#our;
  }
  print(verbosity: number, text: string): void {
    this.prints.push({ verbosity, text });
  }
  getOnExit(): OnExit {
    return this.#onExit;
  }
  setOnExit(onExit: OnExit): void {
    this.#onExit = onExit;
  }
  getState(): Uint8Array | undefined {
    this.#blobFlag = this.state !== undefined;
    return this.state?.slice();
  }
  setState(bytes: Uint8Array): void {
    this.#blobFlag = false;
    this.state = bytes.slice();
  }
  clearState(): void {
    this.#blobFlag = false;
    this.state = undefined;
  }
  spawn(options: SpawnOptions): Result<ProcessId, SpawnError> {
    this.spawned.push(options);
    const [, pkg = '', publisher = ''] = this.#our.process.split(':');
    const name = options.name ?? String(this.spawned.length);
    return { ok: true, value: `${name}:${pkg}:${publisher}` as ProcessId };
  }
  saveCapabilities(capabilities: readonly Capability[]): void {
    this.capabilities.push(...capabilities);
  }
  dropCapabilities(capabilities: readonly Capability[]): void {
    for (const gone of capabilities) {
      const at = this.capabilities.findIndex(
        (held) => sameAddress(held.issuer, gone.issuer) && held.params === gone.params,
      );
      if (at >= 0) this.capabilities.splice(at, 1);
    }
  }
  ourCapabilities(): readonly Capability[] {
    return this.capabilities;
  }
  hasBlob(): boolean {
    return this.#blobFlag;
  }
  getBlob(): LazyLoadBlob | undefined {
    return this.#blobFlag ? this.#lastBlob : undefined;
  }
  lastBlob(): LazyLoadBlob | undefined {
    return this.#lastBlob;
  }

  receive(): Delivery | undefined {
    for (;;) {
      const item = this.#inbox.shift();
      if (item === undefined) return undefined;
      const delivery = this.#deliver(item);
      if (delivery !== undefined) return delivery;
    }
  }

  sendRequest(request: OutgoingRequest): void {
    const sent: Sent = { ...request, id: this.#nextId++ };
    this.sent.push(sent);
    const seconds = request.request.expectsResponse;
    if (seconds !== undefined) {
      const deadlineS = this.nowS + Number(seconds);
      this.#outstanding.set(sent.id, { prompt: this.#prompt, sent, deadlineS });
    }
    if (sameAddress(request.target, this.#our)) {
      const { body, expectsResponse, metadata = '', capabilities } = request.request;
      const incoming = {
        source: this.#our,
        body,
        expectsResponse: expectsResponse as number | undefined,
        blob: request.blob,
        metadata,
        capabilities,
      };
      this.#inbox.push({ kind: 'request', id: sent.id, incoming });
      return;
    }
    const answer = this.#peers.get(request.target.process)?.(sent, this);
    if (answer === undefined || seconds === undefined) return;
    const { body, blob } = partsOf(answer);
    this.answer(sent, body, blob);
  }

  sendRequests(requests: readonly OutgoingRequest[]): void {
    for (const request of requests) this.sendRequest(request);
  }

  sendResponse(response: Response, blob: LazyLoadBlob | undefined): void {
    const id = this.#prompt;
    if (id === undefined) throw new Error('there is no request to answer');
    this.responses.push({ id, response, blob: response.inherit ? this.#lastBlob : blob });
    if (this.#outstanding.has(id)) {
      this.#inbox.push({ kind: 'response', id, source: this.#our, response, blob });
    }
  }

  /** Only peers can answer: nothing else runs while the process is blocked. */
  sendAndAwaitResponse(
    target: Address,
    request: Request,
    blob: LazyLoadBlob | undefined,
  ): ReturnType<Host['sendAndAwaitResponse']> {
    if (request.expectsResponse === undefined || sameAddress(target, this.#our)) {
      throw new Error('the kernel ends a process that awaits itself, or no response');
    }
    const sent: Sent = { target, request, blob, context: undefined, id: this.#nextId++ };
    this.sent.push(sent);
    this.#blobFlag = false;
    const answer = this.#peers.get(target.process)?.(sent, this);
    if (answer === undefined) {
      this.nowS += Number(request.expectsResponse);
      const message = { kind: 'request', request } as const;
      return { ok: false, error: { kind: 'timeout', target, message, blob } };
    }
    const { body, blob: answered } = partsOf(answer);
    this.#take(answered);
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    const response = { inherit: false, body: bytes, metadata: undefined, capabilities: [] };
    return {
      ok: true,
      value: { source: target, message: { kind: 'response', response, context: undefined } },
    };
  }

  #deliver(item: Item): Delivery | undefined {
    if (item.kind === 'request') {
      const { source, body, expectsResponse, blob, metadata, capabilities } = item.incoming;
      this.#take(blob);
      if (expectsResponse !== undefined) this.#prompt = item.id;
      const request = {
        inherit: false,
        expectsResponse,
        body,
        metadata: metadata === '' ? undefined : metadata,
        capabilities,
      };
      return { kind: 'message', source, message: { kind: 'request', request } };
    }
    const outstanding = this.#outstanding.get(item.id);
    if (outstanding === undefined) return undefined; // Late: the kernel drops it.
    this.#outstanding.delete(item.id);
    this.#prompt = outstanding.prompt;
    const { context } = outstanding.sent;
    if (item.kind === 'send-error') {
      this.#blobFlag = false;
      return { kind: 'send-error', error: item.error, context };
    }
    this.#take(item.blob);
    const { response, source } = item;
    return { kind: 'message', source, message: { kind: 'response', response, context } };
  }

  #take(blob: LazyLoadBlob | undefined): void {
    this.#blobFlag = blob !== undefined;
    if (blob !== undefined) this.#lastBlob = blob;
  }
}

function partsOf(answer: PeerAnswer): {
  readonly body: Uint8Array | string;
  readonly blob: LazyLoadBlob | undefined;
} {
  if (typeof answer === 'string' || answer instanceof Uint8Array) {
    return { body: answer, blob: undefined };
  }
  return { body: answer.body, blob: { mime: 'application/octet-stream', bytes: answer.blob } };
}
