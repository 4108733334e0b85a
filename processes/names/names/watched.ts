/**
 * One name that somebody looks at: read at once, then followed. Between the first reading and the moment the subscription flows a note
 * might be missed, and when it comes back after a loss too, so it is read again then.
 */
import { type Eth, EthError } from '../../lib/eth.ts';
import { MalformedAnswer } from '../../lib/eth-values.ts';
import { type Hypermap, toHex, type WrittenNote } from '../../lib/hypermap.ts';
import { NoResponse } from '../../lib/errors.ts';
import type { Caller } from '../../lib/modules.ts';
import { sleep } from '../../lib/timers.ts';
import type { Found, Heard, Note } from '../shared/wire.ts';
import { NODE_LABELS, NOTES_MAX, shownNote } from './notes.ts';

/** Before the chain is read again, in milliseconds: within a second eth answers a question as it did before (E5). */
export const READ_AGAIN_MS = 1_100;
/** Before a chain that did not answer is asked again, in milliseconds. */
export const AGAIN_MS = 10_000;
const NOBODY = /^0x0*$/;

export interface WatchedNeeds {
  readonly process: Caller;
  readonly eth: Eth;
  readonly names: Hypermap;
  /** Nothing of the namespace happened before. */
  readonly firstBlock: number;
  /** Everybody who looks at the name is told. */
  readonly tell: (news: Heard) => Promise<void>;
}

export class Watched {
  readonly name: string;
  readonly #needs: WatchedNeeds;
  readonly #ended = new AbortController();
  /** What the last reading came to; undefined before there was one. */
  #last: Heard | undefined;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(name: string, needs: WatchedNeeds) {
    this.name = name;
    this.#needs = needs;
  }

  /** What can be said now; undefined: not yet, it will be told. */
  get last(): Heard | undefined {
    return this.#last;
  }

  start(): void {
    void this.#read();
    const onResumed = (): Promise<void> => this.#read();
    this.#needs.names
      .subscribeNotes(this.name, (note) => this.#written(note), {
        signal: this.#ended.signal,
        onResumed,
      })
      .then(onResumed, (error: unknown) => this.#say(this.#trouble(error)));
  }

  end(): void {
    this.#ended.abort();
  }

  /** Reads all there is, and once more when that was asked for meanwhile, or when the chain did not answer. */
  #read(): Promise<void> {
    this.#again = this.#reading !== undefined;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    for (;;) {
      if (this.#last !== undefined) {
        const failed = this.#last.kind === 'Trouble';
        await sleep(this.#needs.process, failed ? AGAIN_MS : READ_AGAIN_MS);
      }
      if (this.#ended.signal.aborted) return;
      this.#again = false;
      const found = await this.#found().catch((error: unknown) => this.#trouble(error));
      await this.#say(found);
      if (found.kind !== 'Trouble' && !this.#again) return;
    }
  }

  async #found(): Promise<Heard> {
    const { name } = this;
    const { tba: account, owner } = await this.#needs.names.get(name);
    if (NOBODY.test(owner)) return { kind: 'Free', value: name };
    const all = await this.#history();
    const notes = all ?? (await this.#notesOfNodes());
    const complete = all !== undefined && all.length <= NOTES_MAX;
    const value = { name, owner, account, notes: notes.slice(-NOTES_MAX), complete };
    return { kind: 'Found', value };
  }

  /** Undefined: no provider looks that far back. */
  async #history(): Promise<Note[] | undefined> {
    const { names, firstBlock } = this.#needs;
    try {
      const notes = await names.notes(this.name, { fromBlock: firstBlock });
      return notes.map(({ label, data, log }) => shownNote(label, data, log.blockNumber));
    } catch (error) {
      if (error instanceof EthError && error.code.startsWith('Rpc')) return undefined;
      throw error;
    }
  }

  async #notesOfNodes(): Promise<Note[]> {
    const notes: Note[] = [];
    for (const label of NODE_LABELS) {
      const bytes = await this.#needs.names.data(`${label}.${this.name}`);
      if (bytes.length > 0) notes.push(shownNote(label, toHex(bytes), undefined));
    }
    return notes;
  }

  async #written({ label, data, log }: WrittenNote): Promise<void> {
    // What a reorganisation took back says nothing of what is there now, and a name that was free has an owner now.
    if (log.removed || this.#reading !== undefined || this.#last?.kind !== 'Found')
      return this.#read();
    const note = shownNote(label, data, log.blockNumber);
    this.#last = { kind: 'Found', value: withNote(this.#last.value, note) };
    await this.#needs.tell({ kind: 'Written', value: { name: this.name, note } });
  }

  async #say(news: Heard): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#last = news;
    await this.#needs.tell(news);
  }

  #trouble(error: unknown): Heard {
    if (![EthError, NoResponse, MalformedAnswer].some((kind) => error instanceof kind)) throw error;
    const message =
      error instanceof EthError && error.code === 'NoRpcForChain'
        ? `no provider of chain ${this.#needs.eth.chainId} can be reached`
        : (error as Error).message;
    return { kind: 'Trouble', value: { name: this.name, message } };
  }
}

/** The note is the last one then, and there is no other of its label. */
export function withNote(found: Found, note: Note): Found {
  const others = found.notes.filter(({ label }) => label !== note.label);
  const notes = [...others, note].slice(-NOTES_MAX);
  return { ...found, notes, complete: found.complete && others.length < NOTES_MAX };
}
