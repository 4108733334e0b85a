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

/** What an object or array that is around the current one goes on with. */
interface Level {
  readonly items: readonly unknown[];
  /** Of an object; undefined of an array. */
  readonly keys: readonly string[] | undefined;
  readonly at: number;
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
  // The current object or array, in fields: a step looks at each of them.
  #items: readonly unknown[] = [];
  #keys: readonly string[] | undefined;
  #at = 0;
  /** Those around it; the first is none. */
  readonly #around: Level[] = [];

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
    const around = this.#around;
    if (around.length >= JSON_DEPTH_MAX) throw tooDeep();
    const next = this.#next;
    const keys = Array.isArray(next) ? undefined : Object.keys(next as object);
    const items = keys === undefined ? (next as readonly unknown[]) : Object.values(next as object);
    if (items.length === 0) return false;
    around.push({ items: this.#items, keys: this.#keys, at: this.#at });
    this.#items = items;
    this.#keys = keys;
    this.#at = 0;
    if (keys === undefined) this.#next = items[0];
    return true;
  }

  nextItem(): boolean {
    const at = ++this.#at;
    const items = this.#items;
    if (at < items.length) {
      this.#next = items[at];
      return true;
    }
    // Proof of the type: `enter` has put one there for the level that ends.
    const around = this.#around.pop()!;
    this.#items = around.items;
    this.#keys = around.keys;
    this.#at = around.at;
    return false;
  }

  nextMember(): boolean {
    return this.nextItem();
  }

  key(): string {
    const at = this.#at;
    this.#next = this.#items[at];
    return this.#keys![at]!;
  }

  skipKey(_quoted: string, name: string): boolean {
    const at = this.#at;
    if (this.#keys![at] !== name) return false;
    this.#next = this.#items[at];
    return true;
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
    return valueOf(this.#next, this.#around.length);
  }

  valueText(): string {
    this.skip();
    return JSON.stringify(this.#next);
  }

  skip(): void {
    valueOf(this.#next, this.#around.length);
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
