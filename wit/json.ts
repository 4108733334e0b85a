/**
 * JSON without loss (kernel.md §3.2): 64-bit integers stay exact, `1` is not `1.0`, `0` is not `-0`, duplicate keys: the last wins,
 * more than 127 levels or trailing text is no JSON. The one equality for capability params lives here too.
 */
import {
  JSON_DEPTH_MAX,
  JsonFloat,
  JsonReader,
  type JsonObject,
  type JsonValue,
} from './json-reader.ts';
import type { Capability } from './types.ts';

export { JSON_DEPTH_MAX, JsonFloat, type JsonObject, type JsonValue } from './json-reader.ts';

/** Params texts whose canonical form is remembered. Typical nodes use a few dozen. */
const CANONICAL_CACHE_ENTRIES_MAX = 1024;
/** Longer params are canonicalised each time: remembering them would let one guest hold the memory. */
const CANONICAL_CACHE_TEXT_CHARS_MAX = 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The value of a JSON text, or undefined when the text (or its UTF-8) is not valid. Never throws. */
export function parseJson(source: string | Uint8Array): JsonValue | undefined {
  try {
    const text = typeof source === 'string' ? source : utf8.decode(source);
    // JSON.parse is faster for long texts; it is exact when no number could lose anything.
    if (isPlain(text)) return JSON.parse(text) as JsonValue;
    const reader = new JsonReader(text);
    const value = reader.value();
    reader.end();
    return value;
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
  const known = standingKeys.get(capability);
  if (known !== undefined) return known;
  const { issuer, params } = capability;
  return `${issuer.node}@${issuer.process} ${canonicalParams(params)}`;
}

/** One that is asked about with every request: its key is put together once. */
export function standingCapability(capability: Capability): Capability {
  standingKeys.set(capability, capabilityKey(capability));
  return capability;
}

const standingKeys = new WeakMap<Capability, string>();

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
