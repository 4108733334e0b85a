/** The page's WebSocket to the market: it stays connected by itself, and hears again what it missed (compute-market.md §13). */

/** First wait before connecting again, in milliseconds; doubled each time, up to the longest. */
export const RETRY_MS_MIN = 500;
export const RETRY_MS_MAX = 15_000;

/** What is used of the browser's WebSocket. */
export interface Socket {
  send(text: string): void;
  close(): void;
}

export interface LiveNeeds {
  readonly connect: (events: {
    readonly opened: () => void;
    readonly received: (data: unknown) => void;
    readonly closed: () => void;
  }) => Socket;
  readonly token: () => Promise<string>;
  /** Calls `work` in `ms` milliseconds; returns how to cancel it. */
  readonly after: (ms: number, work: () => void) => () => void;
}

export interface MarketEvent {
  readonly event: string;
  readonly seq?: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface LiveEvents {
  readonly heard: (event: MarketEvent) => void;
  /** Something was missed: what is shown is asked for again. */
  readonly missed: () => void;
  readonly connected: (yes: boolean) => void;
}

export class Live {
  readonly #needs: LiveNeeds;
  #events: LiveEvents | undefined;
  readonly #topics = new Set(['jobs', 'network']);
  #socket: Socket | undefined;
  #ready = false;
  #lastSeq: number | undefined;
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: () => void = () => undefined;

  constructor(needs: LiveNeeds) {
    this.#needs = needs;
  }

  start(events: LiveEvents): void {
    this.#events = events;
    this.#connect();
  }

  /** Connects now rather than after a wait. */
  hurry(): void {
    if (this.#socket !== undefined) return;
    this.#retryMs = RETRY_MS_MIN;
    this.#cancelRetry();
    this.#connect();
  }

  follow(topic: string): void {
    this.#topics.add(topic);
    if (this.#ready) void this.#subscribe([topic], undefined);
  }

  unfollow(topic: string): void {
    this.#topics.delete(topic);
    if (this.#ready) this.#socket?.send(JSON.stringify({ op: 'unsubscribe', topics: [topic] }));
  }

  #connect(): void {
    const socket = this.#needs.connect({
      opened: () => void this.#subscribe([...this.#topics], this.#lastSeq),
      received: (data) => this.#received(socket, data),
      closed: () => this.#closed(socket),
    });
    this.#socket = socket;
  }

  async #subscribe(topics: readonly string[], since: number | undefined): Promise<void> {
    const socket = this.#socket;
    try {
      const token = await this.#needs.token();
      const past = since === undefined ? {} : { since };
      if (socket === this.#socket)
        socket?.send(JSON.stringify({ op: 'subscribe', topics, token, ...past }));
    } catch {
      // What it means is shown by whoever asks for something; here it is tried again.
      socket?.close();
    }
  }

  #received(socket: Socket, data: unknown): void {
    if (socket !== this.#socket) return;
    const event = eventIn(data);
    if (event === undefined) return;
    if (event.event === 'error') {
      // Such as a token that is too old: the next one is new.
      if (!this.#ready) socket.close();
      return;
    }
    if (event.seq !== undefined) this.#lastSeq = event.seq;
    if (event.event === 'gap') this.#events?.missed();
    else if (event.event === 'subscribed') this.#greeted();
    else this.#events?.heard(event);
  }

  #greeted(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#retryMs = RETRY_MS_MIN;
    this.#events?.connected(true);
  }

  #closed(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    this.#ready = false;
    this.#events?.connected(false);
    this.#cancelRetry = this.#needs.after(this.#retryMs, () => this.#connect());
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
  }
}

function eventIn(data: unknown): MarketEvent | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    // Proof of the type: the market's own feed; what it does not say is undefined.
    const read = JSON.parse(data) as Partial<MarketEvent> | null;
    return typeof read?.event === 'string' ? { data: {}, ...read, event: read.event } : undefined;
  } catch {
    return undefined;
  }
}
