/** Parameters from JSON (runtime-modules.md §4, §16). Runs on both sides of the pipe. */
import { JsonFloat, parseJson, type JsonValue } from '../../wit/json.ts';

/** Integers as bigint, REALs as number: how node:sqlite tells them apart. */
export type SqlValue = null | bigint | number | string | Uint8Array;

const I64_MAX = 2n ** 63n - 1n;
/** Standard alphabet with its padding; what is left to check is the bits that no byte uses. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Undefined: not a JSON array of scalars. No blob at all means none. */
export function parseParameters(bytes: Uint8Array | undefined): readonly SqlValue[] | undefined {
  if (bytes === undefined) return [];
  const parsed = parseJson(bytes);
  if (!isList(parsed)) return undefined;
  const values: SqlValue[] = [];
  for (const item of parsed) {
    const value = sqlValue(item);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

/** `Array.isArray` does not narrow to read-only arrays. */
function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function sqlValue(value: JsonValue): SqlValue | undefined {
  switch (typeof value) {
    case 'number':
      return BigInt(value);
    case 'bigint':
      return value > I64_MAX ? Number(value) : value;
    case 'string':
      return bytesOfBase64(value) ?? value;
    case 'boolean':
      return value ? 1n : 0n;
    default:
      if (value === null) return null;
      return value instanceof JsonFloat ? value.value : undefined;
  }
}

/** A string that is padded canonical base64 means its bytes (M94), "Dave" and the empty string included. */
function bytesOfBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
