/** Header fields between guests and servers (runtime-modules.md §7.1). Pure. */
import type { Field } from '../shared/outbound/exchange.ts';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// What http accepts in a value: tab, visible ASCII and space, and bytes above.
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** How a message is framed and its connection used: decided here, since a guest that lies about it could smuggle a request. */
const OURS = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** The same of a WebSocket's handshake. */
const HANDSHAKE = new Set([
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-version',
]);

/** Whether the text is an HTTP token, as methods and names of fields are. */
export function isToken(text: string): boolean {
  return NAME.test(text);
}

/** What of a guest's fields is sent: illegal ones are dropped silently, of equal names the last counts. Values are UTF-8. */
export function sendable(given: ReadonlyMap<string, string>): readonly Field[] {
  const fields = new Map<string, Field>();
  for (const [name, text] of given) {
    const value = Buffer.from(text, 'utf8').toString('latin1').trim();
    const key = name.toLowerCase();
    if (NAME.test(name) && VALUE.test(value) && !OURS.has(key)) fields.set(key, [name, value]);
  }
  return [...fields.values()];
}

export function sendableInHandshake(given: ReadonlyMap<string, string>): readonly Field[] {
  return sendable(given).filter(([name]) => !HANDSHAKE.has(name.toLowerCase()));
}

/** The value of a field, by its name in lower case. */
export function fieldOf(fields: readonly Field[], name: string): string | undefined {
  return fields.findLast(([each]) => each.toLowerCase() === name)?.[1];
}

/** Fields as guests get them: names re-cased, of equal ones the last, values that are not ASCII empty. */
export function delivered(fields: readonly Field[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [name, value] of fields)
    map.set(recased(name), /^[\t\u0020-\u007e]*$/.test(value) ? value : '');
  return map;
}

/** `content-type` becomes `Content-Type`, `ETag` `Etag`. */
export function recased(name: string): string {
  return name
    .split('-')
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1).toLowerCase())
    .join('-');
}
