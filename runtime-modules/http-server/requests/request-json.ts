/**
 * An HTTP request as the body of a message to its process, exactly as §6.6 spells it. Written by hand: this is done for each request,
 * and a general encoder would cost more than all the rest of the way.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { HttpBinding } from '../bindings/bindings.ts';
import type { Found } from '../bindings/match.ts';
import type { U64 } from '../../../wit/types.ts';
import { SESSION_COOKIE_PREFIX, withoutSessions } from '../login/session.ts';
import type { Visit } from './visit.ts';

const utf8 = new TextEncoder();

/** The whole body. `id`: what the process calls the request when it answers in pieces. */
export function requestJson(
  request: IncomingMessage,
  visit: Visit,
  found: Found<HttpBinding>,
  id: U64,
): Uint8Array {
  const { peer, host } = visit;
  const source = peer.text === undefined ? 'null' : `"${peer.text}"`;
  const url = JSON.stringify(`http://${host.name}${visit.path}`);
  const text =
    `{"Http":{"source_socket_addr":${source},"method":"${visit.method}","url":${url}` +
    `,"bound_path":${found.binding.pathJson},"headers":${headersJson(request, id)}` +
    `,"url_params":${paramsJson(found)},"query_params":${queryJson(visit.query)}}}`;
  return utf8.encode(text);
}

/** Ours, in every request. */
const ID_HEADER = 'x-hyperware-request-id';
/** A value that stands in JSON as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;
/** What HTTP calls visible text; anything else arrives empty (M134). */
const VISIBLE = /^[\t\x20-\x7e]*$/;

/** Names in lower case, of repeated ones the last. */
export function headersJson(request: IncomingMessage, id: U64): string {
  const { headers, rawHeaders } = request;
  let text = `"${ID_HEADER}":"${id}"`;
  let count = 0;
  for (const name in headers) {
    const value = headers[name];
    // A list: only set-cookie, which no client has reason to send.
    if (typeof value !== 'string') return repeatedHeadersJson(rawHeaders, id);
    count++;
    text += headerJson(name, value);
  }
  // Node joins repeated headers or drops them; then it has fewer names than there are headers.
  return count * 2 === rawHeaders.length ? `{${text}}` : repeatedHeadersJson(rawHeaders, id);
}

function repeatedHeadersJson(rawHeaders: readonly string[], id: U64): string {
  const last = new Map<string, string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    last.set(rawHeaders[at]!.toLowerCase(), rawHeaders[at + 1]!);
  }
  let text = `"${ID_HEADER}":"${id}"`;
  for (const [name, value] of last) text += headerJson(name, value);
  return `{${text}}`;
}

function headerJson(name: string, value: string): string {
  // What a client calls its request is not what we do.
  if (name === ID_HEADER) return '';
  let shown = value;
  if (name === 'cookie' && value.includes(SESSION_COOKIE_PREFIX)) {
    shown = withoutSessions(value);
    if (shown === '') return '';
  }
  // A header name has no character that JSON would have to escape.
  return `,"${name}":${valueJson(shown)}`;
}

function valueJson(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`;
  return VISIBLE.test(value) ? JSON.stringify(value) : '""';
}

/** Parameters by name, as they stand in the path; of a repeated name the last. */
function paramsJson({ pattern, captured }: Found<HttpBinding>): string {
  if (pattern === undefined) return '{}';
  const params = new Map<string, string>();
  for (const [index, { name }] of pattern.parts.entries()) {
    if (name !== '') params.set(name, captured[index] ?? '');
  }
  return mapJson(params);
}

/** The query of a form: `+` is a space, percent-encoding is decoded, of a repeated name the last counts (M133). */
export function queryJson(query: string): string {
  if (query === '') return '{}';
  const params = new Map<string, string>();
  for (const piece of query.split('&')) {
    if (piece === '') continue;
    const mark = piece.indexOf('=');
    const name = mark < 0 ? piece : piece.slice(0, mark);
    params.set(formDecoded(name), mark < 0 ? '' : formDecoded(piece.slice(mark + 1)));
  }
  return mapJson(params);
}

function mapJson(map: ReadonlyMap<string, string>): string {
  let text = '';
  for (const [name, value] of map) {
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${JSON.stringify(value)}`;
  }
  return `{${text}}`;
}

/** What is no percent-encoding stays; what is no UTF-8 becomes replacement characters. */
function formDecoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    const bytes = spaced.replace(/%([0-9a-fA-F]{2})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    );
    return Buffer.from(bytes, 'latin1').toString('utf8');
  }
}

/** How long an answer may take, in seconds, as a request's header asks for (M141); undefined: it does not. */
export function askedSeconds(headers: IncomingHttpHeaders): number | undefined {
  const header = headers['x-hyperware-http-server-timeout'];
  if (typeof header !== 'string' || !/^\+?\d{1,20}$/.test(header)) return undefined;
  return BigInt(header.replace('+', '')) < 2n ** 64n ? Number(header) : undefined;
}
