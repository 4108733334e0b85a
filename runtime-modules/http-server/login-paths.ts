/** `/login`, the files of its page, and `/logout`: handed to the login (runtime-modules.md §6.1, §6.7), or to whoever bound the path. */
import type { IncomingMessage } from 'node:http';
import { takeBody, type BodyLimits } from './body.ts';
import type { Login, LoginAnswer, LoginRequest } from './parts.ts';
import type { Reply } from './reply.ts';
import { clientAddress, knownProto, type Visit } from './visit.ts';

/** Bytes of a login's body; a longer one is not a login (M151). */
export const LOGIN_BYTES_MAX = 16_384;

const SESSION_PATH = '/login/session';
/** We know the type of what is ours. */
const NOSNIFF = ['X-Content-Type-Options', 'nosniff'];
const PAGE = ['Content-Type', 'text/html; charset=utf-8', ...NOSNIFF];

export interface LoginParts {
  readonly login: Login;
  readonly bodies: BodyLimits;
  readonly visit: Visit;
  readonly request: IncomingMessage;
  readonly reply: Reply;
  readonly print: (verbosity: number, text: string) => void;
  /** The request is not the login's after all; with its body, if that was read. */
  readonly fallThrough: (body?: Uint8Array) => void;
}

/** False: not a path of the login. */
export function answeredLogin(parts: LoginParts): boolean {
  const { visit } = parts;
  if (visit.method === 'GET') return answeredGet(parts);
  if (visit.method !== 'POST') return false;
  if (visit.path === '/login') {
    submit(parts);
    return true;
  }
  if (visit.path !== '/logout') return false;
  send(parts.reply, parts.login.logout(requestOf(visit)));
  return true;
}

function answeredGet({ login, visit, reply }: LoginParts): boolean {
  const { path, headers } = visit;
  const host = visit.host.authority;
  if (path === '/login') {
    reply.answer(200, [...PAGE, ...login.pageHeaders(host).flat()], login.page(host));
    return true;
  }
  if (path === SESSION_PATH) {
    send(reply, login.session({ host, cookie: headers.cookie }));
    return true;
  }
  const file = path.startsWith('/login/') ? login.asset(path) : undefined;
  if (file === undefined) return false;
  const type = ['Content-Type', file.contentType, 'Cache-Control', 'no-cache', ...NOSNIFF];
  reply.answer(200, type, file.bytes);
  return true;
}

/** What of a request a login or logout is judged by. */
function requestOf(visit: Visit): Omit<LoginRequest, 'contentLength' | 'body'> {
  const { headers } = visit;
  return {
    host: visit.host.authority,
    proto: knownProto(visit),
    redirect: new URLSearchParams(visit.query).get('redirect') ?? undefined,
    origin: headers.origin,
    secFetchSite: first(headers['sec-fetch-site']),
    peer: clientAddress(visit),
    cookie: headers.cookie,
  };
}

/** The length is ours to say. */
function send(reply: Reply, { status, headers, body }: LoginAnswer): void {
  const lines = headers.filter(([name]) => name.toLowerCase() !== 'content-length');
  reply.answer(status, lines.flat(), body);
}

function submit({ login, visit, request, reply, bodies, print, fallThrough }: LoginParts): void {
  const length = visit.headers['content-length'];
  let taken: Uint8Array | undefined;
  const body = (): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      if (taken !== undefined) return resolve(taken);
      request.once('close', () => reject(new Error('the client left')));
      takeBody(request, reply, { ...bodies, bytesMax: LOGIN_BYTES_MAX }, (bytes) => {
        taken = bytes;
        resolve(bytes);
      });
      return undefined;
    });
  reply.hold();
  const contentLength = length === undefined ? undefined : Number(length);
  login.submit({ ...requestOf(visit), contentLength, body }).then(
    (answer) => {
      if (answered(reply)) return;
      if (answer === undefined) fallThrough(taken);
      else send(reply, answer);
    },
    (error: unknown) => {
      // The client left, and with it the body.
      if (answered(reply)) return;
      reply.answerText(500, 'the login failed');
      print(0, `http-server: a login failed: ${String(error)}`);
    },
  );
}

/** Too large a body is answered while it is read; and the client may have left. */
function answered(reply: Reply): boolean {
  return reply.headersSent || reply.destroyed || reply.peer?.held.has(reply) !== true;
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
