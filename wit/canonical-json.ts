/**
 * Canonical JSON (RFC 8785) of documents that are hashed and signed: objects, arrays, strings, booleans, null and integers within
 * ±(2^53-1) (compute-market.md §0). A text with a fraction, a wide integer, a repeated key or a lone surrogate has no canonical form:
 * two readers could disagree about what it says. Runs in guests: imports nothing of the host.
 */
import { JsonFloat, JsonReader, Malformed, type JsonValue } from './json-reader.ts';
import type { Result } from './types.ts';

/** What a document is made of. */
export type DocumentValue =
  | null
  | boolean
  | string
  | number
  | readonly DocumentValue[]
  | { readonly [key: string]: DocumentValue };

/** A strict reading of a text; the error says what has no canonical form, and where. */
export function parseDocument(source: string): Result<DocumentValue, string> {
  try {
    const reader = new JsonReader(source);
    const value = readValue(reader);
    reader.end();
    return { ok: true, value };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, error: error.message };
    throw error;
  }
}

/**
 * The one text of a document: keys in UTF-16 order, no spaces. Members that are undefined are left out.
 * @throws TypeError for a value that is no document
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form');
      return JSON.stringify(value);
    case 'boolean':
      return String(value);
    case 'number':
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
        throw new TypeError(`${value} is not an integer of a document`);
      }
      return String(value);
    case 'object': {
      if (value === null) return 'null';
      if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
      const members = Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .toSorted(([a], [b]) => (a < b ? -1 : 1));
      return `{${members.map(([key, member]) => `${canonicalJson(key)}:${canonicalJson(member)}`).join(',')}}`;
    }
    default:
      throw new TypeError(`${typeof value} is not part of a document`);
  }
}

/** Whether a value of a document is an object. */
export function isObject(
  value: DocumentValue | undefined,
): value is { readonly [key: string]: DocumentValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readValue(reader: JsonReader): DocumentValue {
  switch (reader.kind) {
    case 'object': {
      const object = Object.create(null) as Record<string, DocumentValue>;
      for (let more = reader.enter(); more; more = reader.nextMember()) {
        const key = reader.key();
        if (Object.hasOwn(object, key)) throw new Malformed(`repeated key ${JSON.stringify(key)}`);
        object[key] = readValue(reader);
      }
      return object;
    }
    case 'array': {
      const items: DocumentValue[] = [];
      for (let more = reader.enter(); more; more = reader.nextItem()) items.push(readValue(reader));
      return items;
    }
    default: {
      const value: JsonValue = reader.value();
      if (value instanceof JsonFloat || typeof value === 'bigint') {
        throw new Malformed('a number that is no integer within ±(2^53-1)');
      }
      // Objects and arrays were read above.
      return value as DocumentValue;
    }
  }
}
