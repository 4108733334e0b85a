/** The last minutes of every process, for the plots. Kept in the page: a node does not remember for its visitors. */
import { type Row, type Totals, totalsOf } from './usage.ts';

/** Samples that are kept: ten minutes at one a second. */
export const SAMPLES_MAX = 600;
/** Older samples are not shown, ms. */
export const HISTORY_MS = 600_000;
/** Samples that a process has room for at first; most live too briefly to need all. */
const SAMPLES_FIRST = 32;

/** Columns of numbers; when it is full, the oldest row gives way. */
export class Ring {
  readonly #columns: Float64Array[];
  readonly #max: number;
  #room: number;
  #next = 0;
  #size = 0;

  constructor(columns: number, max: number) {
    this.#max = max;
    this.#room = Math.min(SAMPLES_FIRST, max);
    this.#columns = Array.from({ length: columns }, () => new Float64Array(this.#room));
  }

  get size(): number {
    return this.#size;
  }

  push(row: readonly number[]): void {
    if (this.#size === this.#room && this.#room < this.#max) this.#grow();
    for (const [at, column] of this.#columns.entries()) column[this.#next] = row[at] ?? Number.NaN;
    this.#next = (this.#next + 1) % this.#room;
    this.#size = Math.min(this.#size + 1, this.#room);
  }

  /** A column's values, the oldest first. */
  column(at: number): Float64Array {
    const column = this.#columns[at] ?? new Float64Array();
    const first = (this.#next - this.#size + this.#room) % this.#room;
    const values = new Float64Array(this.#size);
    const head = Math.min(this.#size, this.#room - first);
    values.set(column.subarray(first, first + head));
    values.set(column.subarray(0, this.#size - head), head);
    return values;
  }

  /** Only while nothing has been overwritten: all values lie in their order. */
  #grow(): void {
    const room = Math.min(this.#room * 2, this.#max);
    for (const [at, column] of this.#columns.entries()) {
      const larger = new Float64Array(room);
      larger.set(column);
      this.#columns[at] = larger;
    }
    this.#next = this.#size;
    this.#room = room;
  }
}

export const SERIES = ['cpu', 'memory', 'in', 'out'] as const;
export type SeriesName = (typeof SERIES)[number];

/** Values by time; what is not known is NaN. */
export interface Series {
  /** Milliseconds, of the clock of the samples. */
  readonly atMs: Float64Array;
  readonly values: Readonly<Record<SeriesName, Float64Array>>;
}

/** The samples of all processes, and of all of them together under the name `''`. */
export class History {
  readonly #rings = new Map<string, { readonly ring: Ring; lastMs: number }>();

  record(rows: readonly Row[], atMs: number): void {
    for (const { id, usage, cpu, inPerS, outPerS } of rows) {
      this.#push(id, atMs, [cpu, usage.memory_bytes, inPerS, outPerS]);
    }
    const all: Totals = totalsOf(rows);
    this.#push('', atMs, [all.cpu, all.memoryBytes, all.messagesPerS, all.messagesPerS]);
    for (const [id, { lastMs }] of this.#rings) {
      if (atMs - lastMs > HISTORY_MS) this.#rings.delete(id);
    }
  }

  /** Of the last `HISTORY_MS`, seen from `nowMs`. */
  series(id: string, nowMs: number): Series {
    const ring = this.#rings.get(id)?.ring ?? new Ring(1 + SERIES.length, 1);
    const times = ring.column(0);
    const found = times.findIndex((atMs) => nowMs - atMs <= HISTORY_MS);
    const from = found < 0 ? times.length : found;
    const values = Object.fromEntries(
      SERIES.map((name, at) => [name, ring.column(at + 1).subarray(from)]),
    );
    // Proof of the type: one entry for every name of SERIES.
    return { atMs: times.subarray(from), values: values as Record<SeriesName, Float64Array> };
  }

  #push(id: string, atMs: number, values: readonly (number | undefined)[]): void {
    let kept = this.#rings.get(id);
    if (kept === undefined) {
      kept = { ring: new Ring(1 + SERIES.length, SAMPLES_MAX), lastMs: atMs };
      this.#rings.set(id, kept);
    }
    kept.lastMs = atMs;
    kept.ring.push([atMs, ...values.map((value) => value ?? Number.NaN)]);
  }
}
