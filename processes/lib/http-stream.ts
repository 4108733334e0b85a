/** Answers whose body comes in pieces, through `http-server:distro:sys` (compute-market.md §12.1; ours). */
import { HttpServerError } from './http-server-calls.ts';
import { callModule, type Caller } from './modules.ts';
import { bytesOf } from './utf8.ts';

/** For one piece: a client that takes nothing for this long is let go by the module before. */
const PUSH_S = 120;

/** What a producer writes to. */
export class HttpStream {
  readonly #caller: Caller;
  readonly #id: string;
  readonly #gone = new AbortController();
  #ended = false;

  constructor(caller: Caller, id: string) {
    this.#caller = caller;
    this.#id = id;
  }

  /** Aborted when the client has left. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * Sends more; resolves when the client's connection has taken it. Text is sent as UTF-8.
   * @throws HttpServerError with code `StreamClosed` when the client has left
   */
  async write(piece: Uint8Array | string): Promise<void> {
    if (this.signal.aborted || this.#ended) throw new HttpServerError('StreamClosed', 'stream');
    await this.#push({ fin: false }, bytesOf(piece));
  }

  /** For the server: that was all. */
  async end(): Promise<void> {
    await this.#last({ fin: true });
  }

  /** For the server: there is more, but it will not come; the connection is cut. */
  async cut(): Promise<void> {
    await this.#last({ fin: false, abort: true });
  }

  /** For the server: the client has left. */
  left(): void {
    this.#gone.abort(new HttpServerError('StreamClosed', 'stream', 'the client has left'));
  }

  async #last(how: object): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    if (this.signal.aborted) return;
    await this.#push(how, undefined).catch((error: unknown) => {
      // The client left in this very moment: there is nobody to tell.
      if (!(error instanceof HttpServerError && error.code === 'StreamClosed')) throw error;
    });
  }

  async #push(how: object, blob: Uint8Array | undefined): Promise<void> {
    try {
      await callModule(
        this.#caller,
        { module: 'http-server', timeoutS: PUSH_S, error: HttpServerError },
        { what: 'stream', body: { HttpStreamPush: { request_id: this.#id, ...how } }, blob },
      );
    } catch (error) {
      if (error instanceof HttpServerError && error.code === 'StreamClosed') this.left();
      throw error;
    }
  }
}

/** One event of `text/event-stream`; `data` may have several lines. */
export function sseEvent(data: string, event?: string): string {
  const lines = data.split('\n').map((line) => `data: ${line}\n`);
  return `${event === undefined ? '' : `event: ${event}\n`}${lines.join('')}\n`;
}
