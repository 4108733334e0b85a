/**
 * JSON text to a tree that keeps what message bodies need kept and `JSON.parse` loses: integers beyond 2^53, the difference of
 * `1` and `1.0`, repeated keys (runtime-modules.md §1.1). Strict as serde_json is: no byte-order mark, no lone surrogates, no
 * trailing text, at most
 * `JSON_DEPTH_MAX` levels. `json.ts` is the quicker reader where repeated keys may collapse.
 */
import { JSON_DEPTH_MAX, JsonFloat, type JsonValue } from './json.ts';
import type { Result } from './types.ts';

/** Members in the order they were written, repeated keys included. */
export class JsonObject {
  readonly members: readonly (readonly [key: string, value: JsonTree])[];
  constructor(members: readonly (readonly [key: string, value: JsonTree])[]) {
    this.members = members;
  }
}

/** `number` is always a safe integer here; `bigint` an integer beyond that, within -2^63 .. 2^64-1. */
export type JsonTree =
  | null
  | boolean
  | string
  | number
  | bigint
  | JsonFloat
  | JsonObject
  | readonly JsonTree[];

// eslint-disable-next-line no-control-regex -- control characters are what a JSON string must not contain
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const U64_MAX = 2n ** 64n - 1n;
const I64_MIN = -(2n ** 63n);

/** The same value without repeated keys: of each the last counts. */
export function valueOf(tree: JsonTree): JsonValue {
  if (tree instanceof JsonObject) {
    const object = Object.create(null) as Record<string, JsonValue>;
    for (const [key, member] of tree.members) object[key] = valueOf(member);
    return object;
  }
  return isTreeList(tree) ? tree.map(valueOf) : tree;
}

export function isTreeList(tree: JsonTree): tree is readonly JsonTree[] {
  return Array.isArray(tree);
}

/** What went wrong, with the offset in UTF-16 units. Thrown and caught inside this file only. */
class Malformed extends Error {}

/** The whole text as one value; a refusal says what and where. */
export function parseTree(text: string): Result<JsonTree, string> {
  const parser = new Parser(text);
  try {
    return { ok: true, value: parser.document() };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, error: error.message };
    throw error;
  }
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonTree {
    const value = this.#value();
    this.#space();
    if (this.#at !== this.#text.length) this.#fail('trailing characters');
    return value;
  }

  #fail(what: string): never {
    throw new Malformed(`${what} at offset ${this.#at}`);
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #value(): JsonTree {
    this.#space();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > JSON_DEPTH_MAX) this.#fail('recursion limit exceeded');
    this.#at += 1;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('expected a value');
    this.#at += word.length;
    return value;
  }

  /** True if the character is there, and skips it. */
  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #object(): JsonObject {
    const members: [string, JsonTree][] = [];
    this.#enter();
    if (!this.#take('}')) {
      this.#members(members);
      if (!this.#take('}')) this.#fail('expected `,` or `}`');
    }
    this.#depth -= 1;
    return new JsonObject(members);
  }

  #members(members: [string, JsonTree][]): void {
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('expected a key');
      const key = this.#string();
      if (!this.#take(':')) this.#fail('expected `:`');
      members.push([key, this.#value()]);
    } while (this.#take(','));
  }

  #array(): JsonTree[] {
    const items: JsonTree[] = [];
    this.#enter();
    if (!this.#take(']')) {
      do items.push(this.#value());
      while (this.#take(','));
      if (!this.#take(']')) this.#fail('expected `,` or `]`');
    }
    this.#depth -= 1;
    return items;
  }

  #string(): string {
    const start = this.#at + 1;
    PLAIN.lastIndex = start;
    PLAIN.test(this.#text);
    const end = PLAIN.lastIndex;
    if (this.#text[end] === '"') {
      this.#at = end + 1;
      return this.#text.slice(start, end);
    }
    this.#at = end;
    // Hops from escape to escape: one regular expression over all of it would keep a backtracking entry per character.
    while (this.#text[this.#at] === '\\') {
      ESCAPE.lastIndex = this.#at;
      if (!ESCAPE.test(this.#text)) this.#fail('malformed escape');
      PLAIN.lastIndex = ESCAPE.lastIndex;
      PLAIN.test(this.#text);
      this.#at = PLAIN.lastIndex;
    }
    if (this.#text[this.#at] !== '"') this.#fail('malformed string');
    this.#at += 1;
    const value = JSON.parse(this.#text.slice(start - 1, this.#at)) as string;
    if (!value.isWellFormed()) this.#fail('lone surrogate');
    return value;
  }

  #number(): JsonTree {
    return this.#shortInteger() ?? this.#anyNumber();
  }

  /** An integer without sign and up to 15 digits: nearly all numbers in bodies, and byte vectors are nothing else. */
  #shortInteger(): number | undefined {
    const start = this.#at;
    let at = start;
    let value = 0;
    let code = this.#text.charCodeAt(at);
    while (code >= 0x30 && code <= 0x39) {
      value = value * 10 + (code - 0x30);
      at += 1;
      code = this.#text.charCodeAt(at);
    }
    const length = at - start;
    // A leading zero, a fraction and an exponent are for the full grammar to judge.
    if (length === 0 || length > 15 || code === 0x2e || code === 0x65 || code === 0x45)
      return undefined;
    if (length > 1 && this.#text.charCodeAt(start) === 0x30) return undefined;
    this.#at = at;
    return value;
  }

  #anyNumber(): JsonTree {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) return this.#fail('expected a value');
    const digits = match[0];
    this.#at += digits.length;
    const value = Number(digits);
    if (match[1] !== undefined || match[2] !== undefined || Object.is(value, -0)) {
      if (!Number.isFinite(value)) this.#fail('number out of range');
      return new JsonFloat(value);
    }
    if (Number.isSafeInteger(value)) return value;
    if (digits.length > 20)
      return new JsonFloat(finite(value) ?? this.#fail('number out of range'));
    const wide = BigInt(digits);
    return wide < I64_MIN || wide > U64_MAX ? new JsonFloat(value) : wide;
  }
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
