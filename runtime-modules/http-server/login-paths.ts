/** `/login`, the files of its page, and `/logout`: handed to the login (runtime-modules.md §6.1, §6.7), or to whoever bound the path. */
import type { IncomingMessage } from 'node:http';
import { takeBody, type BodyLimits } from './body.ts';
import type { Login, LoginAnswer, LoginRequest } from './parts.ts';
import type { Reply } from './reply.ts';
import { clientAddress, knownProto, type Visit } from './visit.ts';

/** Bytes of a login's body; a longer one is not a login (M151). */
export const LOGIN_BYTES_MAX = 16_384;

/** Our own page, so it may be strict: nobody frames it from elsewhere, and nothing of it is kept. */
const PAGE = [
  'Content-Type',
  'text/html; charset=utf-8',
  'Cache-Control',
  'no-store',
  'X-Content-Type-Options',
  'nosniff',
  'X-Frame-Options',
  'SAMEORIGIN',
  'Referrer-Policy',
  'same-origin',
];

export interface LoginParts {
  readonly login: Login;
  readonly bodies: BodyLimits;
  readonly visit: Visit;
  readonly request: IncomingMessage;
  readonly reply: Reply;
  /** The request is not the login's after all; with its body, if that was read. */
  readonly fallThrough: (body?: Uint8Array) => void;
}

/** False: not a path of the login. */
export function answeredLogin(parts: LoginParts): boolean {
  const { login, visit, reply } = parts;
  const { path, method } = visit;
  if (method === 'GET' && path === '/login') {
    reply.answer(200, PAGE, login.page());
    return true;
  }
  if (method === 'GET' && path.startsWith('/login/')) {
    const asset = login.asset(path);
    if (asset === undefined) return false;
    const headers = ['Content-Type', asset.contentType, 'Cache-Control', 'no-cache', ...NOSNIFF];
    reply.answer(200, headers, asset.bytes);
    return true;
  }
  if (method !== 'POST') return false;
  if (path === '/login') submit(parts, (request) => login.submit(request));
  else if (path === '/logout' && login.logout !== undefined) {
    submit(parts, async (request) => login.logout?.(request));
  } else return false;
  return true;
}

const NOSNIFF = ['X-Content-Type-Options', 'nosniff'];

function submit(
  { visit, request, reply, bodies, fallThrough }: LoginParts,
  ask: (request: LoginRequest) => Promise<LoginAnswer | undefined>,
): void {
  const { headers } = visit;
  const length = headers['content-length'];
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
  ask({
    host: visit.host.authority,
    proto: knownProto(visit),
    redirect: new URLSearchParams(visit.query).get('redirect') ?? undefined,
    contentLength: length === undefined ? undefined : Number(length),
    origin: headers.origin,
    secFetchSite: first(headers['sec-fetch-site']),
    peer: clientAddress(visit),
    cookie: headers.cookie,
    body,
  }).then(
    (answer) => {
      if (answered(reply)) return;
      if (answer === undefined) return fallThrough(taken);
      reply.answer(answer.status, answer.headers.flat(), answer.body);
    },
    (error: unknown) => {
      if (answered(reply)) return;
      reply.answerText(500, 'the login failed; the node’s console says why');
      throw error;
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
