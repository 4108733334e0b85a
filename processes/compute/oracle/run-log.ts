/**
 * What a log says of its run (compute-market.md §7.1, §8.2): that it is whole, how it ended, and whether the client's own marker is in it.
 * Records come piece by piece, so that a log of any length is read in little memory.
 */
import { decodeRecords, type LogRecord, STREAM } from '../../../wit/jobs/log-records.ts';

/** Characters of a line that are looked at. */
const LINE_CHARS_MAX = 2_000;
/** What is tried of an expression of somebody else: more could take longer than the universe. */
const REPEATS_MAX = 3;

export interface RunLog {
  readonly count: number;
  /** Numbered from 0 without gaps, and no time runs back. */
  readonly gapless: boolean;
  readonly startsWithStart: boolean;
  /** Of the last record; undefined: it is no exit. */
  readonly exitCode: number | undefined;
  readonly truncated: boolean;
  /** Undefined where none is asked for, or it cannot be tried safely. */
  readonly marked: boolean | undefined;
}

const utf8 = new TextDecoder();

export class LogReader {
  readonly #marker: RegExp | undefined;
  #rest: Uint8Array = new Uint8Array();
  #count = 0;
  #gapless = true;
  #lastMs = 0;
  #startsWithStart = false;
  #exitCode: number | undefined;
  #truncated = false;
  #marked = false;
  #line = '';

  /** @param marker  of the spec */
  constructor(marker: string | undefined) {
    this.#marker = marker === undefined || !isTame(marker) ? undefined : new RegExp(marker, 'u');
  }

  /** @returns false where the bytes are no records */
  add(bytes: Uint8Array): boolean {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const decoded = decodeRecords(all);
    if (decoded === undefined) return false;
    for (const record of decoded.records) this.#take(record);
    this.#rest = all.slice(decoded.rest);
    return true;
  }

  /** Undefined: the last record is not whole. */
  end(): RunLog | undefined {
    if (this.#rest.length > 0) return undefined;
    this.#lineEnds();
    return {
      count: this.#count,
      gapless: this.#gapless,
      startsWithStart: this.#startsWithStart,
      exitCode: this.#exitCode,
      truncated: this.#truncated,
      marked: this.#marker && this.#marked,
    };
  }

  #take({ seq, stream, atMs, bytes }: LogRecord): void {
    if (seq !== this.#count || atMs < this.#lastMs) this.#gapless = false;
    this.#lastMs = atMs;
    this.#count += 1;
    const system = stream === STREAM.system ? eventOf(bytes) : undefined;
    if (seq === 0) this.#startsWithStart = system?.ev === 'start';
    if (system?.ev === 'truncated') this.#truncated = true;
    // Of the last one, whatever it is.
    this.#exitCode = system?.ev === 'exit' ? system.code : undefined;
    if (this.#marker !== undefined && stream === STREAM.stdout) this.#lines(utf8.decode(bytes));
  }

  #lines(text: string): void {
    const parts = text.split('\n');
    for (const [index, part] of parts.entries()) {
      if (this.#line.length < LINE_CHARS_MAX) this.#line += part.slice(0, LINE_CHARS_MAX);
      if (index < parts.length - 1) this.#lineEnds();
    }
  }

  #lineEnds(): void {
    if (this.#marker?.test(this.#line.slice(0, LINE_CHARS_MAX)) === true) this.#marked = true;
    this.#line = '';
  }
}

/** An expression without groups that repeat, references back or looking around, and with few repeats: it is tried in polynomial time. */
export function isTame(marker: string): boolean {
  const bare = marker.replaceAll(/\\[^1-9k]|\[(?:\\.|[^\]\\])*\]/g, 'x');
  if (/\)[*+?{]|\\|\(\?/.test(bare)) return false;
  return (bare.match(/[*+{]/g) ?? []).length <= REPEATS_MAX;
}

function eventOf(
  bytes: Uint8Array,
): { readonly ev: string; readonly code: number | undefined } | undefined {
  try {
    const value = JSON.parse(utf8.decode(bytes)) as { ev?: unknown; code?: unknown } | null;
    const { ev, code } = value ?? {};
    if (typeof ev !== 'string') return undefined;
    return { ev, code: Number.isInteger(code) ? (code as number) : undefined };
  } catch {
    return undefined;
  }
}
