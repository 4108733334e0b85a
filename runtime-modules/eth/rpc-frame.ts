/**
 * JSON-RPC 2.0 frames (eth.md §3). Results are not read: they travel as the text they came in, so that nothing in them changes and
 * two megabytes of logs cost one pass.
 */
import { parseJson } from '../../wit/json.ts';
import { rpcErrorObject, type RpcErrorObject } from '../../wit/eth-api.ts';

export type RpcFrame =
  | { readonly kind: 'result'; readonly id: number; readonly result: string }
  | { readonly kind: 'error'; readonly id: number; readonly error: RpcErrorObject }
  /** `result` is the JSON text of what happened. */
  | { readonly kind: 'notification'; readonly subscription: string; readonly result: string };

/** A call, keys in the order the reference writes them. `params` is JSON text. */
export function encodeCall(id: number, method: string, params: string): string {
  return `{"method":${JSON.stringify(method)},"params":${params},"id":${id},"jsonrpc":"2.0"}`;
}

/** What a provider sent; undefined when it is no frame that could be meant for us. Never throws. */
export function decodeFrame(text: string): RpcFrame | undefined {
  return usualResult(text) ?? anyFrame(text);
}

/** Most frames, spelled as nearly every provider spells them: one value between a fixed start and the end, so no member needs looking for. */
function usualResult(text: string): RpcFrame | undefined {
  const start = USUAL_RESULT.exec(text);
  if (start === null || !text.endsWith('}')) return undefined;
  const result = text.slice(start[0].length, -1);
  try {
    // One whole value: whatever else were in the frame would be trailing text.
    JSON.parse(result);
  } catch {
    return undefined;
  }
  return { kind: 'result', id: Number(start[1]), result };
}

const USUAL_RESULT = /^\{"jsonrpc":"2\.0","id":(0|[1-9]\d{0,14}),"result":(?=\S)/;

function anyFrame(text: string): RpcFrame | undefined {
  try {
    // Only to see that it is JSON: everything below relies on that.
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const frame = members(text);
  if (frame === undefined) return undefined;
  const method = frame.get('method');
  if (method !== undefined) return notification(method, frame.get('params'));
  const id = Number(frame.get('id'));
  if (!Number.isSafeInteger(id)) return undefined;
  const error = frame.get('error');
  if (error !== undefined && error !== 'null')
    return { kind: 'error', id, error: errorObject(error) };
  const result = frame.get('result');
  return result === undefined ? undefined : { kind: 'result', id, result };
}

function notification(method: string, params: string | undefined): RpcFrame | undefined {
  if (method !== '"eth_subscription"' || params === undefined) return undefined;
  const inside = members(params);
  const name = inside?.get('subscription');
  const result = inside?.get('result');
  const subscription = name === undefined ? undefined : (JSON.parse(name) as unknown);
  if (typeof subscription !== 'string' || result === undefined) return undefined;
  return { kind: 'notification', subscription, result };
}

/** Providers are free with the shape of errors; what cannot be read is kept as the message. */
function errorObject(text: string): RpcErrorObject {
  const decoded = rpcErrorObject.decode(text);
  if (decoded.ok) return decoded.value;
  const inside = members(text);
  const message = inside?.get('message');
  return {
    code: -32_603,
    message: message === undefined ? text.slice(0, MESSAGE_CHARS_MAX) : plain(message),
    data: undefined,
  };
}

function plain(text: string): string {
  const value = parseJson(text);
  return (typeof value === 'string' ? value : text).slice(0, MESSAGE_CHARS_MAX);
}

/** Of an error that has no shape of its own. */
const MESSAGE_CHARS_MAX = 1_024;

/**
 * The members of a JSON object as their texts; of a repeated key the last. Undefined when it is no object.
 * @param text valid JSON
 */
export function members(text: string): ReadonlyMap<string, string> | undefined {
  let at = skipSpace(text, 0);
  if (text[at] !== '{') return undefined;
  const found = new Map<string, string>();
  at = skipSpace(text, at + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    const from = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const to = endOfValue(text, from);
    found.set(key, text.slice(from, to));
    at = skipSpace(text, to);
    if (text[at] !== ',') break;
    at = skipSpace(text, at + 1);
  }
  return found;
}

/**
 * The elements of a JSON array as their texts; undefined when it is no array.
 * @param text valid JSON
 */
export function elements(text: string): readonly string[] | undefined {
  let at = skipSpace(text, 0);
  if (text[at] !== '[') return undefined;
  const found: string[] = [];
  at = skipSpace(text, at + 1);
  while (at < text.length && text[at] !== ']') {
    const to = endOfValue(text, at);
    found.push(text.slice(at, to));
    at = skipSpace(text, to);
    if (text[at] !== ',') break;
    at = skipSpace(text, at + 1);
  }
  return found;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);

function skipSpace(text: string, at: number): number {
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1;
  return at;
}

/** Where the string that starts at `at` is over. Most of a frame is strings of hex, so this jumps. */
function endOfString(text: string, at: number): number {
  let end = at;
  for (;;) {
    end = text.indexOf('"', end + 1);
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return end + 1;
  }
}

function endOfValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return endOfString(text, at);
  if (!OPENING.has(first)) {
    let end = at;
    while (end < text.length && !/[\s,\]}]/.test(text[end]!)) end += 1;
    return end;
  }
  let depth = 0;
  for (let end = at; ;) {
    const code = text.charCodeAt(end);
    if (code === QUOTE) {
      end = endOfString(text, end);
      continue;
    }
    if (OPENING.has(code)) depth += 1;
    else if (CLOSING.has(code) && --depth === 0) return end + 1;
    end += 1;
  }
}
