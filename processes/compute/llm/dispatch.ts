/**
 * A request on its way to a backend (compute-market.md §12.5): one is picked, its answer is read line by line, and another is tried as long
 * as nothing of an answer is there.
 */
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import type { Balancer, Ticket } from './balancer.ts';
import type { ModelState } from '../shared/model-contract.ts';
import type { Catalog, Gpu } from './catalog.ts';
import { prefixHash, type Endpoint } from './openai.ts';

/** What a model server, or the way there, failed with; `status` as of HTTP. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly status: number;
  /** Seconds after which it may be better. */
  readonly retryS: number | undefined;
  constructor(status: number, message: string, retryS?: number) {
    super(message);
    this.status = status;
    this.retryS = retryS;
  }
}

export interface DispatchNeeds {
  readonly gpu: Gpu;
  readonly balancer: Balancer;
  readonly catalog: Catalog;
  readonly nowMs: () => number;
  /** 16 bytes as hex, a new one each time. */
  readonly newId: () => string;
  /** Milliseconds, by a request of whoever waits. */
  readonly sleep: (ms: number) => Promise<void>;
}

export interface Asked {
  readonly model: string;
  readonly endpoint: Endpoint | 'tokenize';
  readonly body: string;
  /** What goes in: requests with the same beginning go to the same backend. */
  readonly prompt: string;
  /** Whoever waits has left. */
  readonly signal: AbortSignal;
}

/** Hashes of what the model got and of all that it said. */
export interface Hashes {
  readonly requestSha256: string;
  readonly sha256: string;
}

/** An answer that comes. */
export interface Answer {
  readonly backend: string;
  /**
   * The next lines; none: nothing came for some seconds; undefined: that was all.
   * @param from  `request`: whoever waits will answer an HTTP request when it has them
   * @throws UpstreamError; the signal's reason
   */
  next(from: 'request' | 'stream'): Promise<readonly string[] | undefined>;
  /** After the end. */
  readonly hashes: Hashes | undefined;
  /** Nobody reads on. Fine after the end. */
  stop(outcome: 'left' | 'failed'): void;
}

/** Other backends that are tried. */
const RETRIES_MAX = 2;
const CALL_S = 20;
/** Milliseconds without anything after which whoever waits is told so, before a head was sent and after. */
const IDLE_HEAD_MS = 2_500;
const IDLE_STREAM_MS = 10_000;
/** Milliseconds between two looks for an answer. */
const LOOK_MS_MAX = 32;
const OVERLOADED_S = 5;

export class Dispatch {
  readonly #needs: DispatchNeeds;
  readonly #readings = new Map<string, Reading>();

  constructor(needs: DispatchNeeds) {
    this.#needs = needs;
  }

  /** The gpu process says `ModelPiece`. */
  piece(rid: string, state: ModelState, bytes: Uint8Array): void {
    const reading = this.#readings.get(rid);
    if (reading !== undefined) reading.piece(state, bytes);
    // Of an earlier run of this process.
    else if (state.kind === 'More') this.#needs.gpu.tell('ModelCancel', { rid });
  }

  /** Every few seconds: whoever waits for long is told that there is nothing yet. */
  tick(): void {
    for (const reading of this.#readings.values()) reading.tick();
  }

  /**
   * Resolves with the answer and its first lines: when there are some, or when some seconds have passed without any.
   * @throws UpstreamError when no backend answers; the signal's reason
   */
  async begin(asked: Asked): Promise<{ answer: Answer; first: readonly string[] | undefined }> {
    const { balancer, catalog, nowMs } = this.#needs;
    const left = new Set(catalog.backendsOf(asked.model));
    const affinity = prefixHash(asked.prompt);
    let last: unknown;
    for (let tries = 0; tries <= RETRIES_MAX; tries += 1) {
      const ticket = balancer.pick(nowMs(), affinity, left);
      if (ticket === undefined) break;
      left.delete(ticket.backend.id);
      const answer = this.#reading(asked, ticket);
      try {
        await answer.begin();
        return { answer, first: await answer.next('request') };
      } catch (error) {
        // What is wrong with the request is wrong everywhere.
        if (!(error instanceof UpstreamError) || error.status < 500) throw error;
        last = error;
      }
    }
    if (last !== undefined) throw last;
    const next = balancer.nextTryMs(nowMs(), catalog.backendsOf(asked.model));
    const waitS = next === undefined ? OVERLOADED_S : Math.ceil((next - nowMs()) / 1_000);
    throw new UpstreamError(503, 'no backend of this model answers now', Math.max(1, waitS));
  }

  /** A short answer as a whole, of that backend. @throws UpstreamError */
  async ask(backend: string, endpoint: 'tokenize', body: string): Promise<string> {
    const { signal } = new AbortController();
    const ticket = { backend: { id: backend, weight: 1 }, begun() {}, done() {} };
    const asked = { model: '', prompt: '', endpoint, body, signal };
    const answer = this.#reading(asked, ticket);
    await answer.begin();
    let line = '';
    const next = (): Promise<readonly string[] | undefined> => answer.next('request');
    for (let more = await next(); more !== undefined; more = await next()) line += more.join('');
    return line;
  }

  #reading(asked: Asked, ticket: Ticket): Reading {
    const rid = this.#needs.newId();
    const ended = (): void => void this.#readings.delete(rid);
    const reading = new Reading(this.#needs, { ...asked, rid }, { ticket, ended });
    this.#readings.set(rid, reading);
    return reading;
  }
}

class Reading implements Answer {
  readonly #needs: DispatchNeeds;
  readonly #asked: Asked & { readonly rid: string };
  readonly #ticket: Ticket;
  readonly #ended: () => void;
  /** Bytes that have come and were not read. */
  #got: Uint8Array[] = [];
  /** Bytes of a line whose end has not come. */
  #held: Uint8Array[] = [];
  #state: ModelState = { kind: 'More' };
  #wake: PromiseWithResolvers<void> | undefined;
  #waitsSinceMs = 0;
  #begun = false;
  #over = false;
  hashes: Hashes | undefined;

  constructor(
    needs: DispatchNeeds,
    asked: Asked & { readonly rid: string },
    { ticket, ended }: { readonly ticket: Ticket; readonly ended: () => void },
  ) {
    this.#needs = needs;
    this.#asked = asked;
    this.#ticket = ticket;
    this.#ended = ended;
    asked.signal.addEventListener('abort', () => {
      this.stop('left');
      this.#wake?.resolve();
    });
  }

  get backend(): string {
    return this.#ticket.backend.id;
  }

  async begin(): Promise<void> {
    const { gpu, catalog } = this.#needs;
    const { rid, endpoint, body, signal } = this.#asked;
    const { deadlineMs } = catalog.settings;
    const blob = { mime: undefined, bytes: new TextEncoder().encode(body) };
    try {
      signal.throwIfAborted();
      const call = { rid, backend: this.backend, endpoint, deadlineMs };
      await gpu.ask.ModelCall(call, { blob, timeoutS: CALL_S });
    } catch (error) {
      // Too much to do, or no extension: nothing that this backend is to blame for.
      const refused = error instanceof RemoteError && error.kind === 'Unavailable';
      this.stop(signal.aborted || refused ? 'left' : 'failed');
      signal.throwIfAborted();
      if (error instanceof NoResponse || error instanceof RemoteError)
        throw new UpstreamError(503, 'the extension with the models does not answer', OVERLOADED_S);
      throw error;
    }
  }

  piece(state: ModelState, bytes: Uint8Array): void {
    if (this.#over) return;
    if (bytes.length > 0 && !this.#begun) {
      this.#begun = true;
      this.#ticket.begun(this.#needs.nowMs());
    }
    if (bytes.length > 0) this.#got.push(bytes);
    this.#state = state;
    this.#wake?.resolve();
  }

  tick(): void {
    if (this.#needs.nowMs() - this.#waitsSinceMs >= IDLE_STREAM_MS) this.#wake?.resolve();
  }

  async next(from: 'request' | 'stream'): Promise<readonly string[] | undefined> {
    const { signal, rid } = this.#asked;
    for (;;) {
      signal.throwIfAborted();
      if (this.#over) return undefined;
      if (!this.#ready && !(await (from === 'request' ? this.#look() : this.#wait()))) return [];
      signal.throwIfAborted();
      const bytes = this.#got.reduce((sum, { length }) => sum + length, 0);
      const lines = this.#lines();
      if (this.#state.kind === 'More') {
        if (bytes > 0) this.#needs.gpu.tell('ModelTaken', { rid, bytes });
        // A part of a long line is not nothing.
        if (lines.length > 0) return lines;
      } else return this.#last(this.#state, lines);
    }
  }

  stop(outcome: 'left' | 'failed'): void {
    if (this.#over) return;
    this.#end(outcome);
    this.#needs.gpu.tell('ModelCancel', { rid: this.#asked.rid });
  }

  get #ready(): boolean {
    return this.#got.length > 0 || this.#state.kind !== 'More' || this.#asked.signal.aborted;
  }

  #last(state: Exclude<ModelState, { kind: 'More' }>, lines: readonly string[]) {
    if (state.kind === 'Done') {
      this.hashes = state.value;
      this.#end('ok');
      return lines.length > 0 ? lines : undefined;
    }
    const { status, message } = state.value;
    // What came before it is delivered first.
    if (lines.length > 0) return lines;
    // A request that is refused says nothing about the backend.
    this.#end(status >= 500 ? 'failed' : 'left');
    throw new UpstreamError(status, message);
  }

  /**
   * Waits by requests of its own: what a handler does after something that came for another request can be answered only a second later.
   * False: nothing came for long.
   */
  async #look(): Promise<boolean> {
    const { nowMs, sleep } = this.#needs;
    const untilMs = nowMs() + IDLE_HEAD_MS;
    for (let ms = 1; !this.#ready; ms = Math.min(LOOK_MS_MAX, 2 * ms)) {
      if (nowMs() >= untilMs) return false;
      await sleep(ms);
    }
    return true;
  }

  /** Waits for as long as it takes; nobody is to be answered. */
  async #wait(): Promise<boolean> {
    this.#waitsSinceMs = this.#needs.nowMs();
    this.#wake = Promise.withResolvers();
    await this.#wake.promise;
    this.#wake = undefined;
    return this.#ready;
  }

  #end(outcome: 'ok' | 'failed' | 'left'): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended();
    this.#ticket.done(outcome, this.#needs.nowMs());
  }

  #lines(): string[] {
    const all = [...this.#held, ...this.#got];
    const cut = this.#got.some((part) => part.includes(NEWLINE));
    this.#got = [];
    if (!cut) {
      this.#held = all;
      return [];
    }
    const whole = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of all) {
      whole.set(part, at);
      at += part.length;
    }
    const end = whole.lastIndexOf(NEWLINE);
    this.#held = end + 1 < whole.length ? [whole.subarray(end + 1)] : [];
    // Whole lines: no character is cut.
    return new TextDecoder().decode(whole.subarray(0, end)).split('\n');
  }
}

const NEWLINE = 0x0a;
