/**
 * The head of a process's answer, `{"status":u16,"headers":{..}}`, as header lines of HTTP (runtime-modules.md §6.6). What is no legal
 * header is left out, and so is what would change how the message is framed: that is ours to say.
 */
import { httpResponse } from '../../../wit/http-server-api.ts';
import {
  ANSWER_HEAD_BYTES_MAX,
  ANSWER_HEAD_KEPT_CHARS_MAX,
  ANSWER_HEADS_KEPT_MAX,
} from '../limits.ts';
import type { RawHeaders } from './reply.ts';
import { SESSION_COOKIE_PREFIX } from '../login/session.ts';

export interface AnswerHead {
  readonly status: number;
  readonly lines: HeaderLines;
}

export interface HeaderLines {
  readonly headers: RawHeaders;
  /** What a process says about the body it would send; counts only in the answer to a HEAD. */
  readonly length: string | undefined;
  /** The body comes in pieces, by `HttpStreamPush`. */
  readonly stream: boolean;
  /** The body is this file of vfs. */
  readonly file: string | undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** As serde writes it, and nearly every process does; anything else takes the thorough way. */
const USUAL = /^\{"status":(\d{1,5}),"headers":(\{[^]*\})\}$/;
const kept = new Map<string, HeaderLines>();

/** Undefined when the body is not of that shape (M139). */
export function answerHead(body: Uint8Array): AnswerHead | undefined {
  if (body.length > ANSWER_HEAD_BYTES_MAX) return undefined;
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    return undefined;
  }
  return usualHead(text) ?? thoroughHead(body);
}

function usualHead(text: string): AnswerHead | undefined {
  const match = USUAL.exec(text);
  if (match === null) return undefined;
  const [, digits = '', json = ''] = match;
  // What JSON would not take for a number is not usual.
  if ((digits.length > 1 && digits.startsWith('0')) || Number(digits) > 0xffff) return undefined;
  const known = kept.get(json);
  if (known !== undefined) return { status: answerStatus(Number(digits)), lines: known };
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return undefined;
  }
  const entries = Object.entries(parsed as Record<string, unknown>);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    return undefined;
  }
  const lines = headerLines(entries);
  if (json.length <= ANSWER_HEAD_KEPT_CHARS_MAX) {
    if (kept.size >= ANSWER_HEADS_KEPT_MAX) kept.clear();
    kept.set(json, lines);
  }
  return { status: answerStatus(Number(digits)), lines };
}

function thoroughHead(body: Uint8Array): AnswerHead | undefined {
  const decoded = httpResponse.decode(body);
  if (!decoded.ok) return undefined;
  const { status, headers } = decoded.value;
  return { status: answerStatus(status), lines: headerLines([...headers]) };
}

/** A status that cannot end an exchange is a 500 with what was to be said (M140); one of 1xx would leave the client waiting. */
function answerStatus(status: number): number {
  return status >= 200 && status <= 999 ? status : 500;
}

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// eslint-disable-next-line no-control-regex -- control characters are what a header value must not contain
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
// eslint-disable-next-line no-control-regex -- everything that is one byte in UTF-8
const ASCII = /^[\x00-\x7f]*$/;
/** In a process's answer: its body comes in pieces. For us only. */
const STREAM_HEADER = 'x-hyperware-stream';
/** In the same place: its body is a file of vfs. */
const FILE_HEADER = 'x-hyperware-file';
/** How the message is cut and who may go on speaking on the connection. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Each name once; of names that differ in case only, the last. */
export function headerLines(entries: readonly (readonly [string, string])[]): HeaderLines {
  const lines = new Map<string, readonly [string, string]>();
  let length: string | undefined;
  let stream = false;
  let file: string | undefined;
  for (const [name, value] of entries) {
    if (!NAME.test(name) || CONTROL.test(value)) continue;
    const lower = name.toLowerCase();
    if (lower === 'content-length' && /^\d{1,15}$/.test(value)) length = value;
    if (lower === STREAM_HEADER) stream = value === '1';
    if (lower === FILE_HEADER) file = value;
    if (lower === STREAM_HEADER || lower === FILE_HEADER || FRAMING.has(lower)) continue;
    // A process must not end or replace the owner's session.
    if (lower === 'set-cookie' && value.trimStart().startsWith(SESSION_COOKIE_PREFIX)) continue;
    lines.set(lower, [name, headerBytes(value)]);
  }
  if (!lines.has('content-type')) {
    lines.set('content-type', ['Content-Type', 'application/octet-stream']);
  }
  return { headers: [...lines.values()].flat(), length, stream, file };
}

/** UTF-8 as Node sends header values: one byte a character. */
function headerBytes(value: string): string {
  return ASCII.test(value) ? value : Buffer.from(value, 'utf8').toString('latin1');
}
