/** `/login`, the files of its page, and `/logout`: handed to the login (runtime-modules.md §6.1, §6.7), or to whoever bound the path. */
import type { IncomingMessage } from 'node:http';
import { takeBody, type BodyLimits } from '../requests/body.ts';
import { type LoginAnswer, type LogoutRequest, SESSION_PATH } from './login.ts';
import { LOGIN_BYTES_MAX } from './login-request.ts';
import type { Login } from '../parts.ts';
import type { Reply } from '../requests/reply.ts';
import { clientAddress, knownProto, one, type Visit } from '../requests/visit.ts';

const NOSNIFF = ['X-Content-Type-Options', 'nosniff'];
const PAGE = ['Content-Type', 'text/html; charset=utf-8', ...NOSNIFF];
const ASSET = ['Cache-Control', 'no-cache', ...NOSNIFF];

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
  const { path, method, host, headers } = visit;
  if (method === 'GET' && path === '/login') {
    reply.answer(
      200,
      [...PAGE, ...login.pageHeaders(host.authority).flat()],
      login.page(host.authority),
    );
    return true;
  }
  if (method === 'GET' && path === SESSION_PATH) {
    give(reply, login.session({ host: host.authority, cookie: headers.cookie }));
    return true;
  }
  if (method === 'GET' && path.startsWith('/login/')) {
    const asset = login.asset(path);
    if (asset === undefined) return false;
    reply.answer(200, ['Content-Type', asset.contentType, ...ASSET], asset.bytes);
    return true;
  }
  if (method !== 'POST') return false;
  if (path === '/login') submit(parts);
  else if (path === '/logout')
    give(reply, login.logout({ ...provenance(visit), cookie: headers.cookie }));
  else return false;
  return true;
}

function give(reply: Reply, { status, headers, body }: LoginAnswer): void {
  reply.answer(status, headers.flat(), body);
}

/** Where it comes from and where it wants to go. */
function provenance(visit: Visit): Omit<LogoutRequest, 'cookie'> {
  const { host, headers, query } = visit;
  return {
    host: host.authority,
    proto: knownProto(visit),
    redirect: new URLSearchParams(query).get('redirect') ?? undefined,
    origin: headers.origin,
    secFetchSite: one(headers['sec-fetch-site']),
  };
}

function submit({ login, visit, request, reply, bodies, fallThrough }: LoginParts): void {
  const length = visit.headers['content-length'];
  let taken: Uint8Array | undefined;
  const body = (): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      request.once('close', () => reject(new Error('the client left')));
      takeBody(request, reply, { ...bodies, bytesMax: LOGIN_BYTES_MAX }, (bytes) => {
        taken = bytes;
        resolve(bytes);
      });
    });
  reply.hold();
  login
    .submit({
      ...provenance(visit),
      contentLength: length === undefined ? undefined : Number(length),
      peer: clientAddress(visit),
      body,
    })
    .then(
      (answer) => {
        if (answered(reply)) return;
        if (answer === undefined) fallThrough(taken);
        else give(reply, answer);
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
