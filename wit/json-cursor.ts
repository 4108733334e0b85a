/**
 * A cursor as `JsonReader` is, over what the engine's own parser has read. In a guest, where the reader is interpreted itself, that costs a
 * small part of the instructions. It is only for texts that the engine would write the same way, letter by letter: those have no repeated
 * key, no `1.0`, no integer that a number cannot hold and no space, so that nothing of what `JSON.parse` loses was there.
 */
import {
  JSON_DEPTH_MAX,
  JsonFloat,
  Malformed,
  type JsonCursor,
  type JsonValue,
} from './json-reader.ts';

/** Longer ones are read as they come: twice their text in memory is too much then. */
const CHARS_MAX = 256 * 1024;
const BACKSLASH = 0x5c;
const U64_MAX = 2n ** 64n - 1n;
const I64_MIN = -(2n ** 63n);

interface Level {
  readonly items: readonly unknown[];
  /** Of an object; undefined of an array. */
  readonly keys: readonly string[] | undefined;
  at: number;
}

/**
 * @param bytes the text as it came, if it came as UTF-8: looking for a byte costs a guest a twentieth of looking for a character
 * @returns undefined for a text that has to be read letter by letter
 */
export function engineCursor(text: string, bytes?: Uint8Array): JsonCursor | undefined {
  if (text.length > CHARS_MAX) return undefined;
  // An escape may be of half a character, which the engine takes.
  if (bytes?.includes(BACKSLASH) !== false && text.includes('\\u')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text ? new ParsedCursor(value) : undefined;
  } catch {
    return undefined;
  }
}

class ParsedCursor implements JsonCursor {
  #next: unknown;
  readonly #levels: Level[] = [];

  constructor(value: unknown) {
    this.#next = value;
  }

  get kind(): JsonCursor['kind'] {
    const next = this.#next;
    switch (typeof next) {
      case 'string':
        return 'string';
      case 'number':
        return 'number';
      case 'boolean':
        return 'word';
      default:
        return next === null ? 'word' : Array.isArray(next) ? 'array' : 'object';
    }
  }

  end(): void {}

  enter(): boolean {
    if (this.#levels.length >= JSON_DEPTH_MAX) throw tooDeep();
    const next = this.#next;
    if (Array.isArray(next)) {
      if (next.length === 0) return false;
      this.#levels.push({ items: next, keys: undefined, at: 0 });
      this.#next = next[0];
      return true;
    }
    const keys = Object.keys(next as object);
    if (keys.length === 0) return false;
    this.#levels.push({ items: Object.values(next as object), keys, at: 0 });
    return true;
  }

  nextItem(): boolean {
    const level = this.#level();
    level.at += 1;
    if (level.at < level.items.length) {
      this.#next = level.items[level.at];
      return true;
    }
    this.#levels.pop();
    return false;
  }

  nextMember(): boolean {
    return this.nextItem();
  }

  key(): string {
    const { items, keys, at } = this.#level();
    this.#next = items[at];
    return keys![at]!;
  }

  skipKey(quoted: string): boolean {
    const { items, keys, at } = this.#level();
    if (`"${keys![at]!}"` !== quoted) return false;
    this.#next = items[at];
    return true;
  }

  #level(): Level {
    return this.#levels[this.#levels.length - 1]!;
  }

  string(): string {
    return this.#next as string;
  }

  number(): number | bigint | JsonFloat {
    return numberOf(this.#next as number);
  }

  word(): boolean | null {
    return this.#next as boolean | null;
  }

  skipNull(): boolean {
    return this.#next === null;
  }

  value(): JsonValue {
    return valueOf(this.#next, this.#levels.length);
  }

  valueText(): string {
    this.skip();
    return JSON.stringify(this.#next);
  }

  skip(): void {
    valueOf(this.#next, this.#levels.length);
  }
}

/** Digits of more than 2^53 are here only if they are those that the engine writes, so they are exact. */
function numberOf(value: number): number | bigint | JsonFloat {
  if (Number.isSafeInteger(value)) return value;
  if (!Number.isInteger(value) || Math.abs(value) >= 1e20) return new JsonFloat(value);
  const wide = BigInt(String(value));
  return wide < I64_MIN || wide > U64_MAX ? new JsonFloat(value) : wide;
}

function valueOf(value: unknown, depth: number): JsonValue {
  if (typeof value === 'number') return numberOf(value);
  if (typeof value !== 'object' || value === null) return value as string | boolean | null;
  if (depth >= JSON_DEPTH_MAX) throw tooDeep();
  if (Array.isArray(value)) return value.map((item) => valueOf(item, depth + 1));
  const object = Object.create(null) as Record<string, JsonValue>;
  for (const [key, item] of Object.entries(value)) object[key] = valueOf(item, depth + 1);
  return object;
}

function tooDeep(): Malformed {
  return new Malformed('recursion limit exceeded');
}
