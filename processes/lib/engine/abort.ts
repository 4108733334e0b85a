/** `AbortController` and `AbortSignal` for engines without them: what the DOM standard says, without events other than `abort`. */

type Listener = (event: { readonly type: 'abort'; readonly target: GuestAbortSignal }) => void;
type ListenerObject = { readonly handleEvent: Listener };

/** Of whoever may abort; signals keep their means to themselves. */
let abortSignal: (signal: GuestAbortSignal, reason: unknown) => void;

export class GuestAbortSignal {
  onabort: Listener | null = null;
  #aborted = false;
  #reason: unknown = undefined;
  #listeners: (Listener | ListenerObject)[] = [];

  static {
    abortSignal = (signal, reason) => signal.#abort(reason);
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  addEventListener(type: string, listener: Listener | ListenerObject): void {
    if (type === 'abort' && !this.#aborted && !this.#listeners.includes(listener)) {
      this.#listeners.push(listener);
    }
  }

  removeEventListener(type: string, listener: Listener | ListenerObject): void {
    if (type === 'abort') this.#listeners = this.#listeners.filter((one) => one !== listener);
  }

  static abort(reason: unknown = abortError()): GuestAbortSignal {
    const signal = new GuestAbortSignal();
    signal.#abort(reason);
    return signal;
  }

  /** Aborted with the first of `signals`. */
  static any(signals: Iterable<GuestAbortSignal>): GuestAbortSignal {
    const any = new GuestAbortSignal();
    for (const signal of signals) {
      if (signal.aborted) any.#abort(signal.reason);
      else signal.addEventListener('abort', () => any.#abort(signal.reason));
    }
    return any;
  }

  static timeout(ms: number): GuestAbortSignal {
    const signal = new GuestAbortSignal();
    setTimeout(() => {
      const error = new Error(`${ms} ms are over`);
      error.name = 'TimeoutError';
      signal.#abort(error);
    }, ms);
    return signal;
  }

  #abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const event = { type: 'abort', target: this } as const;
    const listeners = this.#listeners;
    this.#listeners = [];
    if (this.onabort !== null) listeners.unshift(this.onabort);
    for (const listener of listeners) {
      if (typeof listener === 'function') listener.call(this, event);
      else listener.handleEvent(event);
    }
  }
}

export class GuestAbortController {
  readonly signal = new GuestAbortSignal();

  abort(reason: unknown = abortError()): void {
    abortSignal(this.signal, reason);
  }
}

function abortError(): Error {
  const error = new Error('this operation was aborted');
  error.name = 'AbortError';
  return error;
}
