/** The page's connection to its process: says which name is looked at, again after each break, and keeps what was heard of it. */
import { type Found, heard, type Heard, said } from '../../shared/wire.ts';

/** First wait before connecting again, in milliseconds; doubled each time, up to the longest. */
export const RETRY_MS_MIN = 500;
export const RETRY_MS_MAX = 10_000;

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
  readonly after: (ms: number, work: () => void) => void;
}

export type Answer =
  | { readonly kind: 'nothing' | 'waiting' | 'free' }
  | { readonly kind: 'trouble'; readonly message: string }
  /** `fresh`: labels that were written while the page looked. */
  | { readonly kind: 'found'; readonly found: Found; readonly fresh: ReadonlySet<string> };

export interface View {
  /** Empty: none. */
  readonly name: string;
  readonly connected: boolean;
  readonly answer: Answer;
}

export class Live {
  readonly #needs: LiveNeeds;
  readonly #listeners = new Set<() => void>();
  #view: View = { name: '', connected: false, answer: { kind: 'nothing' } };
  #socket: Socket | undefined;
  #retryMs = RETRY_MS_MIN;

  constructor(needs: LiveNeeds) {
    this.#needs = needs;
  }

  get view(): View {
    return this.#view;
  }

  /** Calls `listener` after every change; returns how to stop that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Connects, and stays so. */
  start(): void {
    const socket = this.#needs.connect({
      opened: () => {
        this.#socket = socket;
        this.#retryMs = RETRY_MS_MIN;
        this.#show({ connected: true });
        this.#ask();
      },
      received: (data) => this.#received(socket, data),
      closed: () => {
        this.#socket = undefined;
        this.#show({ connected: false });
        this.#needs.after(this.#retryMs, () => this.start());
        this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
      },
    });
  }

  watch(name: string): void {
    if (name === this.#view.name && this.#view.answer.kind !== 'trouble') return;
    this.#show({ name, answer: { kind: name === '' ? 'nothing' : 'waiting' } });
    this.#ask();
  }

  #ask(): void {
    const { name } = this.#view;
    if (name !== '') this.#socket?.send(said.stringify({ kind: 'Watch', value: name }));
  }

  #received(socket: Socket, data: unknown): void {
    const message = heard.decode(typeof data === 'string' ? data : '');
    // A process of another version: asked anew, it may be understood.
    if (!message.ok) socket.close();
    // What is late is of a name that was looked at before.
    else if (nameIn(message.value) === this.#view.name) {
      this.#show({ answer: after(this.#view.answer, message.value) });
    }
  }

  #show(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function nameIn({ kind, value }: Heard): string {
  return kind === 'Free' ? value : value.name;
}

function after(before: Answer, news: Heard): Answer {
  switch (news.kind) {
    case 'Free':
      return { kind: 'free' };
    case 'Trouble':
      return { kind: 'trouble', message: news.value.message };
    case 'Found':
      return { kind: 'found', found: news.value, fresh: changed(before, news.value) };
    case 'Written': {
      if (before.kind !== 'found') return before;
      const { note } = news.value;
      const others = before.found.notes.filter(({ label }) => label !== note.label);
      const found = { ...before.found, notes: [...others, note] };
      return { kind: 'found', found, fresh: new Set(before.fresh).add(note.label) };
    }
  }
}

/** After a reading that follows another one: what differs was written meanwhile. */
function changed(before: Answer, now: Found): ReadonlySet<string> {
  if (before.kind !== 'found') return new Set();
  const known = new Map(before.found.notes.map((note) => [note.label, note.data]));
  const differ = now.notes.filter(({ label, data }) => known.get(label) !== data);
  return new Set([...before.fresh, ...differ.map(({ label }) => label)]);
}
