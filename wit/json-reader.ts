/**
 * The one reader of JSON text: a cursor that hands out values as they are asked for, without building what nobody wants. It keeps
 * what `JSON.parse` loses: integers beyond 2^53, the difference of `1` and `1.0`, repeated keys (runtime-modules.md §1.1). Strict as
 * serde_json is: no byte-order mark, no lone surrogates, no trailing text, at most `JSON_DEPTH_MAX` levels.
 */

/** Containers inside one another, at most; one level more is refused, as in the reference's parser. */
export const JSON_DEPTH_MAX = 127;

/** A number written with a fraction or exponent, or out of the 64-bit range: never equal to an integer. */
export class JsonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** Integers are numbers up to ±(2^53-1) and bigints above. Objects may lack a prototype: read them with `Object.hasOwn`. */
export type JsonValue =
  | null
  | boolean
  | string
  | number
  | bigint
  | JsonFloat
  | readonly JsonValue[]
  | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** The text is no JSON; the message says what and where, in UTF-16 units. Thrown by readers only. */
export class Malformed extends Error {}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const ARRAY = 0x5b;
const ARRAY_END = 0x5d;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;

// eslint-disable-next-line no-control-regex -- control characters are what a JSON string must not contain
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const U64_MAX = 2n ** 64n - 1n;
const I64_MIN = -(2n ** 63n);
/** Up to here a string is looked at character by character; a regular expression takes 60 ns to begin. */
const SHORT_CHARS = 48;
/** Digits that are a safe integer whatever they are. */
const SAFE_DIGITS = 15;

/** What codecs read from; `json-cursor.ts` has another one. */
export type JsonCursor = Pick<
  JsonReader,
  | 'kind'
  | 'end'
  | 'enter'
  | 'nextItem'
  | 'nextMember'
  | 'key'
  | 'skipKey'
  | 'string'
  | 'number'
  | 'word'
  | 'skipNull'
  | 'value'
  | 'valueText'
  | 'skip'
>;

/** Reads one document, from the front. Every method throws `Malformed` where the text is no JSON. */
export class JsonReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** What the next value starts with. `other`: a value of no kind, or none. */
  get kind(): 'object' | 'array' | 'string' | 'number' | 'word' | 'other' {
    const code = this.#peek();
    if (code === QUOTE) return 'string';
    if (code === OBJECT) return 'object';
    if (code === ARRAY) return 'array';
    if ((code >= 0x30 && code <= 0x39) || code === 0x2d) return 'number';
    // t, f, n
    return code === 0x74 || code === 0x66 || code === 0x6e ? 'word' : 'other';
  }

  /** Nothing may follow. */
  end(): void {
    this.#space();
    if (this.#at !== this.#text.length) this.#fail('trailing characters');
  }

  /** Enters the array or object that is next. @returns whether anything is in it; if not, it is left again */
  enter(): boolean {
    const close = this.#peek() === ARRAY ? ARRAY_END : OBJECT_END;
    this.#depth += 1;
    if (this.#depth > JSON_DEPTH_MAX) this.#fail('recursion limit exceeded');
    this.#at += 1;
    if (this.#peek() !== close) return true;
    this.#leave();
    return false;
  }

  /** Behind an item of an array: whether another follows; if not, the array is left. */
  nextItem(): boolean {
    return this.#next(ARRAY_END, 'expected `,` or `]`');
  }

  /** Behind a member of an object: whether another follows; if not, the object is left. */
  nextMember(): boolean {
    return this.#next(OBJECT_END, 'expected `,` or `}`');
  }

  /** The key of a member; its value is next. */
  key(): string {
    if (this.#peek() !== QUOTE) this.#fail('expected a key');
    const key = this.string();
    if (this.#peek() !== COLON) this.#fail('expected `:`');
    this.#at += 1;
    return key;
  }

  /** Reads past the key and its colon, if it is next and spelled like this, quotes included. `_name` is the same without, for other cursors. */
  skipKey(quoted: string, _name: string): boolean {
    this.#peek();
    const end = this.#at + quoted.length;
    if (this.#text.charCodeAt(end) !== COLON || !this.#text.startsWith(quoted, this.#at))
      return false;
    this.#at = end + 1;
    return true;
  }

  /** The string that is next. */
  string(): string {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    for (const limit = start + SHORT_CHARS; at < limit; at += 1) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return text.slice(start, at);
      }
      // Also at the end, whose code is not a number; surrogates may lack their other half.
      if (!(code >= 0x20) || code === BACKSLASH || (code & 0xf800) === 0xd800) break;
    }
    return this.#longString(start, at);
  }

  /** The number that is next: a safe integer, a wide one, or one with a fraction, an exponent or too many digits. */
  number(): number | bigint | JsonFloat {
    return this.#shortInteger() ?? this.#anyNumber();
  }

  /** `true`, `false` or `null`, whichever is next. */
  word(): boolean | null {
    const text = this.#text;
    const start = this.#at;
    if (text.startsWith('null', start)) {
      this.#at += 4;
      return null;
    }
    if (text.startsWith('true', start)) {
      this.#at += 4;
      return true;
    }
    if (!text.startsWith('false', start)) this.#fail('expected a value');
    this.#at += 5;
    return false;
  }

  /** Reads past a `null`, if that is next. */
  skipNull(): boolean {
    if (this.#peek() !== 0x6e) return false;
    this.word();
    return true;
  }

  /** Whatever is next, whole. Of repeated keys the last counts. */
  value(): JsonValue {
    switch (this.kind) {
      case 'object': {
        const object = Object.create(null) as Record<string, JsonValue>;
        for (let more = this.enter(); more; more = this.nextMember()) {
          const key = this.key();
          object[key] = this.value();
        }
        return object;
      }
      case 'array': {
        const items: JsonValue[] = [];
        for (let more = this.enter(); more; more = this.nextItem()) items.push(this.value());
        return items;
      }
      case 'string':
        return this.string();
      case 'number':
        return this.number();
      case 'word':
        return this.word();
      default:
        return this.#fail('expected a value');
    }
  }

  /** The same as its text, without the white space around it. */
  valueText(): string {
    this.#peek();
    const start = this.#at;
    this.skip();
    return this.#text.slice(start, this.#at);
  }

  /** Reads past whatever is next, as strictly, and builds nothing of it. */
  skip(): void {
    switch (this.kind) {
      case 'object':
        for (let more = this.enter(); more; more = this.nextMember()) {
          this.key();
          this.skip();
        }
        return;
      case 'array':
        for (let more = this.enter(); more; more = this.nextItem()) this.skip();
        return;
      case 'string':
        this.string();
        return;
      case 'number':
        this.number();
        return;
      case 'word':
        this.word();
        return;
      default:
        this.#fail('expected a value');
    }
  }

  #fail(what: string): never {
    throw new Malformed(`${what} at offset ${this.#at}`);
  }

  #leave(): void {
    this.#at += 1;
    this.#depth -= 1;
  }

  #next(close: number, expected: string): boolean {
    const code = this.#peek();
    if (code === COMMA) {
      this.#at += 1;
      return true;
    }
    if (code !== close) this.#fail(expected);
    this.#leave();
    return false;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  /** The next character that is no white space; NaN at the end. */
  #peek(): number {
    const code = this.#text.charCodeAt(this.#at);
    if (code > 0x20) return code;
    this.#space();
    return this.#text.charCodeAt(this.#at);
  }

  #longString(start: number, at: number): string {
    const text = this.#text;
    PLAIN.lastIndex = at;
    PLAIN.test(text);
    this.#at = PLAIN.lastIndex;
    if (text.charCodeAt(this.#at) === QUOTE) {
      this.#at += 1;
      return this.#wellFormed(text.slice(start, this.#at - 1));
    }
    // Hops from escape to escape: one regular expression over all of it would keep a backtracking entry per character.
    while (text.charCodeAt(this.#at) === BACKSLASH) {
      ESCAPE.lastIndex = this.#at;
      if (!ESCAPE.test(text)) this.#fail('malformed escape');
      PLAIN.lastIndex = ESCAPE.lastIndex;
      PLAIN.test(text);
      this.#at = PLAIN.lastIndex;
    }
    if (text.charCodeAt(this.#at) !== QUOTE) this.#fail('malformed string');
    this.#at += 1;
    return this.#wellFormed(JSON.parse(text.slice(start - 1, this.#at)) as string);
  }

  #wellFormed(value: string): string {
    if (!value.isWellFormed()) this.#fail('lone surrogate');
    return value;
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
    if (length === 0 || length > SAFE_DIGITS || code === 0x2e || code === 0x65 || code === 0x45)
      return undefined;
    if (length > 1 && this.#text.charCodeAt(start) === 0x30) return undefined;
    this.#at = at;
    return value;
  }

  #anyNumber(): number | bigint | JsonFloat {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) return this.#fail('expected a value');
    const digits = match[0];
    this.#at += digits.length;
    const value = Number(digits);
    const fractional = match[1] !== undefined || match[2] !== undefined || Object.is(value, -0);
    if (!fractional && Number.isSafeInteger(value)) return value;
    if (!Number.isFinite(value)) this.#fail('number out of range');
    // Longer ones are out of the 64-bit range: no reason to read a million digits exactly.
    if (fractional || digits.length > 20) return new JsonFloat(value);
    const wide = BigInt(digits);
    return wide < I64_MIN || wide > U64_MAX ? new JsonFloat(value) : wide;
  }
}
