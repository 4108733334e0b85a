/**
 * JSON without loss (kernel.md §3.2): 64-bit integers stay exact, `1` is not `1.0`, `0` is not `-0`, duplicate keys: the last wins,
 * more than 127 levels or trailing text is no JSON. The one equality for capability params lives here too.
 */
import type { Capability } from './types.ts';

/** Containers inside one another, at most; one level more is refused, as in the reference's parser. */
export const JSON_DEPTH_MAX = 127;
/** Params texts whose canonical form is remembered. Typical nodes use a few dozen. */
const CANONICAL_CACHE_ENTRIES_MAX = 1024;
/** Longer params are canonicalised each time: remembering them would let one guest hold the memory. */
const CANONICAL_CACHE_TEXT_CHARS_MAX = 1024;

const I64_MIN = -(2n ** 63n);
const U64_MAX = 2n ** 64n - 1n;

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

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The value of a JSON text, or undefined when the text (or its UTF-8) is not valid. Never throws. */
export function parseJson(source: string | Uint8Array): JsonValue | undefined {
  try {
    const text = typeof source === 'string' ? source : utf8.decode(source);
    // JSON.parse is several times faster than the parser below; it is exact when no number could lose anything.
    if (isPlain(text)) return JSON.parse(text) as JsonValue;
    return new Parser(text).document();
  } catch {
    return undefined;
  }
}

/** Whether a value is a JSON object: neither null, an array, nor a float. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof JsonFloat)
  );
}

/** Compact JSON text. With `sortKeys`, object keys in code-unit order, as manifests' params are stored (kernel.md §7.3). */
export function formatJson(
  value: JsonValue,
  options: { readonly sortKeys?: boolean } = {},
): string {
  return format(value, options.sortKeys === true, false);
}

/** Equal exactly for params that are equal as JSON values; text that is no JSON counts as `null` (kernel.md §3.2). */
export function canonicalParams(params: string): string {
  const known = canonicalCache.get(params);
  if (known !== undefined) return known;
  const canonical = format(parseJson(params) ?? null, true, true);
  if (params.length <= CANONICAL_CACHE_TEXT_CHARS_MAX) remember(params, canonical);
  return canonical;
}

/** Equal exactly for equal capabilities: same issuer, equal params. Opaque. */
export function capabilityKey(capability: Capability): string {
  const { issuer, params } = capability;
  return `${issuer.node}@${issuer.process} ${canonicalParams(params)}`;
}

const canonicalCache = new Map<string, string>();

function remember(params: string, canonical: string): void {
  if (canonicalCache.size >= CANONICAL_CACHE_ENTRIES_MAX) {
    // Maps iterate in insertion order, so this drops the oldest entry.
    for (const oldest of canonicalCache.keys()) {
      canonicalCache.delete(oldest);
      break;
    }
  }
  canonicalCache.set(params, canonical);
}

/** No fraction, exponent, minus zero, long number or lone-surrogate escape, and too few brackets to be deep. May say false freely. */
function isPlain(text: string): boolean {
  if (/\d[.eE]|-0|\d{16}|\\u[dD][89a-fA-F]/.test(text)) return false;
  let brackets = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code === 0x5b || code === 0x7b) && ++brackets > JSON_DEPTH_MAX) return false;
  }
  return true;
}

function format(value: JsonValue, sortKeys: boolean, canonical: boolean): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof JsonFloat) return formatFloat(value.value, canonical);
  if (isJsonObject(value)) {
    const keys = Object.keys(value);
    if (sortKeys) keys.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const fields = keys.map(
      (key) => `${JSON.stringify(key)}:${format(value[key] ?? null, sortKeys, canonical)}`,
    );
    return `{${fields.join(',')}}`;
  }
  return `[${value.map((item) => format(item, sortKeys, canonical)).join(',')}]`;
}

/** Always with a fraction or exponent, so that it reads back as a float. As floats, -0.0 and 0.0 are equal. */
function formatFloat(value: number, canonical: boolean): string {
  if (Object.is(value, -0)) return canonical ? '0.0' : '-0.0';
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

class Malformed extends Error {}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
// eslint-disable-next-line no-control-regex -- control characters are what a JSON string must not contain
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#space();
    if (this.#at !== this.#text.length) throw new Malformed();
    return value;
  }

  #value(depth: number): JsonValue {
    this.#space();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth + 1);
      case '[':
        return this.#array(depth + 1);
      case '"':
        return this.#string();
      case 't':
        return this.#literal('true', true);
      case 'f':
        return this.#literal('false', false);
      case 'n':
        return this.#literal('null', null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    if (depth > JSON_DEPTH_MAX) throw new Malformed();
    const object: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>;
    this.#at++;
    if (this.#skips('}')) return object;
    do {
      this.#space();
      const key = this.#string();
      if (!this.#skips(':')) throw new Malformed();
      object[key] = this.#value(depth);
    } while (this.#skips(','));
    if (!this.#skips('}')) throw new Malformed();
    return object;
  }

  #array(depth: number): readonly JsonValue[] {
    if (depth > JSON_DEPTH_MAX) throw new Malformed();
    const array: JsonValue[] = [];
    this.#at++;
    if (this.#skips(']')) return array;
    do {
      array.push(this.#value(depth));
    } while (this.#skips(','));
    if (!this.#skips(']')) throw new Malformed();
    return array;
  }

  #string(): string {
    const value = JSON.parse(this.#match(STRING)) as string;
    // The reference's strings are UTF-8, which has no lone surrogates.
    if (!value.isWellFormed()) throw new Malformed();
    return value;
  }

  #number(): JsonValue {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) throw new Malformed();
    this.#at = NUMBER.lastIndex;
    const [text, fraction, exponent] = match;
    if (fraction === undefined && exponent === undefined && text !== '-0') {
      const exact = BigInt(text);
      const small = Number(exact);
      if (Number.isSafeInteger(small)) return small;
      if (exact >= I64_MIN && exact <= U64_MAX) return exact;
    }
    const value = Number(text);
    if (!Number.isFinite(value)) throw new Malformed();
    return new JsonFloat(value);
  }

  #literal<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw new Malformed();
    this.#at += word.length;
    return value;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) throw new Malformed();
    this.#at = pattern.lastIndex;
    return match[0];
  }

  #skips(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    this.#at = SPACE.lastIndex;
  }
}
