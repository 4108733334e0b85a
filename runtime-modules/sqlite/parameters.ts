/** Parameters from JSON (runtime-modules.md §4, §16). Runs on both sides of the pipe. */
import { JsonFloat, JsonReader, Malformed } from '../../wit/json-reader.ts';

/** Integers as bigint, REALs as number: how node:sqlite tells them apart. */
export type SqlValue = null | bigint | number | string | Uint8Array;

const I64_MAX = 2n ** 63n - 1n;
/** Standard alphabet with its padding; what is left to check is the bits that no byte uses. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined: not a JSON array of scalars. No blob at all means none. */
export function parseParameters(bytes: Uint8Array | undefined): readonly SqlValue[] | undefined {
  if (bytes === undefined) return [];
  const text = textOf(bytes);
  if (text === undefined) return undefined;
  try {
    return read(new JsonReader(text));
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function read(json: JsonReader): readonly SqlValue[] | undefined {
  if (json.kind !== 'array') return undefined;
  const values: SqlValue[] = [];
  for (let more = json.enter(); more; more = json.nextItem()) {
    const value = scalar(json);
    if (value === undefined) return undefined;
    values.push(value);
  }
  json.end();
  return values;
}

function scalar(json: JsonReader): SqlValue | undefined {
  switch (json.kind) {
    case 'string': {
      const text = json.string();
      return bytesOfBase64(text) ?? text;
    }
    case 'number':
      return sqlNumber(json.number());
    case 'word': {
      const word = json.word();
      return word === null ? null : BigInt(word);
    }
    default:
      return undefined;
  }
}

function sqlNumber(value: number | bigint | JsonFloat): bigint | number {
  if (value instanceof JsonFloat) return value.value;
  if (typeof value === 'number') return BigInt(value);
  return value > I64_MAX ? Number(value) : value;
}

/** A string that is padded canonical base64 means its bytes (M94), "Dave" and the empty string included. */
function bytesOfBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
