/**
 * The list as this page shows it: what the process has said, and on top of it what was changed here and is not decided yet. It stays
 * connected by itself: after a break it asks for what it missed, and says again what was not decided.
 */
import { type Change, changed, type Items } from '../../shared/list.ts';
import { heard, type Heard, type Made, said, type Said } from '../../shared/wire.ts';

/** First wait before connecting again, in milliseconds; doubled each time, up to the longest. */
export const RETRY_MS_MIN = 500;
export const RETRY_MS_MAX = 10_000;
/** How often the process is asked whether it is there, in milliseconds. */
export const PING_MS = 15_000;
/** A connection that says nothing for so long after it was asked is dead, in milliseconds. */
export const PONG_MS = 4_000;

/** What is used of the browser's WebSocket. */
export interface Socket {
  send(text: string): void;
  close(): void;
}

export interface SocketEvents {
  readonly opened: () => void;
  readonly received: (data: unknown) => void;
  readonly closed: () => void;
}

export interface StoreNeeds {
  readonly connect: (events: SocketEvents) => Socket;
  /** Calls `work` in `ms` milliseconds; returns how to cancel it. */
  readonly after: (ms: number, work: () => void) => () => void;
  /** Names this page among all. */
  readonly page: string;
  readonly random: () => number;
}

export interface Snapshot {
  /** Undefined until the process has said something. */
  readonly items: Items | undefined;
  readonly connected: boolean;
  /** Changes of this page that are not decided yet. */
  readonly undecided: number;
}

interface Pending {
  readonly number: number;
  readonly change: Change;
}

export class Store {
  readonly #needs: StoreNeeds;
  readonly #listeners = new Set<() => void>();
  readonly #refusals = new Set<(message: string) => void>();
  #confirmed: { list: string; revision: number; items: Items } | undefined;
  #pending: readonly Pending[] = [];
  #number = 0;
  #socket: Socket | undefined;
  /** Whether the process has answered this connection's hello. */
  #greeted = false;
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: () => void = () => undefined;
  #cancelPing: () => void = () => undefined;
  #heardSincePing = true;
  #snapshot: Snapshot = { items: undefined, connected: false, undecided: 0 };

  constructor(needs: StoreNeeds) {
    this.#needs = needs;
  }

  /** Connects, and stays so. */
  start(): void {
    if (this.#socket === undefined) this.#connect();
  }

  /** Connects now rather than after a wait: the browser is back on line, or the page is looked at again. */
  hurry(): void {
    if (this.#socket !== undefined) {
      this.#ping();
      return;
    }
    this.#retryMs = RETRY_MS_MIN;
    this.#cancelRetry();
    this.#connect();
  }

  /** Calls `listener` after every change; returns how to stop that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` with the reason when a change of this page is refused. */
  onRefused(listener: (message: string) => void): () => void {
    this.#refusals.add(listener);
    return () => this.#refusals.delete(listener);
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Shows a change at once and has it made. False when it cannot be. */
  change(change: Change): boolean {
    const after = changed(this.#snapshot.items ?? [], change);
    if (this.#snapshot.items === undefined) return false;
    if (!after.ok) {
      this.#refuse(after.error.message);
      return false;
    }
    const pending = { number: ++this.#number, change };
    this.#pending = [...this.#pending, pending];
    if (this.#greeted) this.#say({ kind: 'Change', value: pending });
    this.#show();
    return true;
  }

  #connect(): void {
    this.#greeted = false;
    this.#heardSincePing = true;
    const socket: Socket = this.#needs.connect({
      opened: () => this.#hello(),
      received: (data) => this.#received(socket, data),
      closed: () => this.#lost(socket),
    });
    this.#socket = socket;
    this.#schedulePing();
  }

  #hello(): void {
    const { list, revision = 0 } = this.#confirmed ?? {};
    this.#say({ kind: 'Hello', value: { page: this.#needs.page, list, revision } });
  }

  #received(socket: Socket, data: unknown): void {
    if (socket !== this.#socket) return;
    this.#heardSincePing = true;
    const message = heard.decode(typeof data === 'string' ? data : '');
    // A process of another version: asked anew, it may be understood.
    if (!message.ok) socket.close();
    else this.#take(message.value);
  }

  #take(message: Heard): void {
    switch (message.kind) {
      case 'Pong':
        return;
      case 'Refused':
        this.#pending = this.#pending.filter(({ number }) => number !== message.value.number);
        this.#show();
        this.#refuse(message.value.message);
        return;
      case 'Everything': {
        const { list, revision, items, number } = message.value;
        this.#confirmed = { list, revision: Number(revision), items };
        this.#pending = this.#pending.filter((one) => one.number > number);
        break;
      }
      case 'Made':
        if (this.#confirmed === undefined) return;
        for (const made of message.value) {
          if (this.#apply(made)) continue;
          // Something between was missed.
          this.#greeted = false;
          this.#hello();
          return;
        }
        break;
    }
    if (!this.#greeted) {
      this.#greeted = true;
      this.#retryMs = RETRY_MS_MIN;
      for (const value of this.#pending) this.#say({ kind: 'Change', value });
    }
    this.#show();
  }

  /** False when it is not the next one. */
  #apply({ revision, page, number, change }: Made): boolean {
    const confirmed = this.#confirmed;
    if (confirmed === undefined || revision > confirmed.revision + 1) return false;
    if (revision <= confirmed.revision) return true;
    const after = changed(confirmed.items, change);
    const items = after.ok ? after.value : confirmed.items;
    this.#confirmed = { ...confirmed, revision: Number(revision), items };
    if (page === this.#needs.page) {
      this.#pending = this.#pending.filter((one) => one.number !== number);
    }
    return true;
  }

  #lost(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    this.#greeted = false;
    this.#cancelPing();
    this.#show();
    // Not all at once, when a node comes back.
    const waitMs = this.#retryMs * (0.5 + this.#needs.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    this.#cancelRetry();
    this.#cancelRetry = this.#needs.after(waitMs, () => this.#connect());
  }

  #schedulePing(): void {
    this.#cancelPing();
    this.#cancelPing = this.#needs.after(PING_MS, () => this.#ping());
  }

  #ping(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#heardSincePing = false;
    if (this.#greeted) this.#say({ kind: 'Ping' });
    this.#cancelPing();
    this.#cancelPing = this.#needs.after(PONG_MS, () => {
      if (this.#heardSincePing) {
        this.#schedulePing();
        return;
      }
      this.#lost(socket);
      socket.close();
    });
  }

  #say(message: Said): void {
    this.#socket?.send(said.stringify(message));
  }

  #refuse(message: string): void {
    for (const listener of this.#refusals) listener(message);
  }

  #show(): void {
    let items = this.#confirmed?.items;
    if (items !== undefined) {
      for (const { change } of this.#pending) {
        const after = changed(items, change);
        if (after.ok) items = after.value;
      }
    }
    const undecided = this.#pending.length;
    this.#snapshot = { items, connected: this.#greeted, undecided };
    for (const listener of this.#listeners) listener();
  }
}
