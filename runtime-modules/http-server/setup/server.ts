/**
 * The web server of a node without an identity (networking.md §14): on the node's own port, until there is one, then that port is free
 * for the node. On 127.0.0.1 unless its owner wants it public (F31).
 */
import type { IncomingMessage } from 'node:http';
import { text as textCodec, record } from '../../../wit/codec.ts';
import type { Clock } from '../../shared/clock.ts';
import { SETUP_BODY_BYTES_MAX } from '../../identity/registration/limits.ts';
import { listen, type Tls, webServer, type WebServer } from '../listen.ts';
import { LoginAttempts } from '../login/login-attempts.ts';
import type { Reply } from '../requests/reply.ts';
import { type ApiAnswer, type ApiNeeds, sentence, SetupApi } from './api.ts';
import { CodeGuard, type Guard, localGuard } from './guard.ts';
import { readSetupFiles, type SetupFiles } from './files.ts';

export interface SetupOptions {
  readonly port?: number | undefined;
  /** Address of a public setup; default `0.0.0.0`. Otherwise it is 127.0.0.1. */
  readonly host?: string | undefined;
  readonly tls?: Tls | undefined;
  readonly public: boolean;
}

export interface SetupNeeds extends ApiNeeds {
  readonly clock: Clock;
  /** A line for whoever sits at the terminal. */
  readonly tell: (line: string) => void;
}

export interface SetupServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
}

const PAGES = new Set([
  '',
  'login',
  'commit-os-name',
  'mint-os-name',
  'claim-invite',
  'reset',
  'import-keyfile',
  'set-password',
  'custom-register',
]);

const NO_STORE = ['Cache-Control', 'no-store, no-cache, must-revalidate, proxy-revalidate'];
const SAFE = [
  ...NO_STORE,
  'Content-Security-Policy',
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options',
  'nosniff',
  'Referrer-Policy',
  'no-referrer',
  'Cross-Origin-Opener-Policy',
  // Some wallets sign in a window of their own.
  'same-origin-allow-popups',
];
const codeRequest = record({ code: textCodec });
const utf8 = new TextEncoder();

/** @throws ListenError */
export async function serveSetup(options: SetupOptions, needs: SetupNeeds): Promise<SetupServer> {
  const files = await readSetupFiles();
  const server = webServer(options.tls, () => false);
  const host = options.public ? (options.host ?? '0.0.0.0') : '127.0.0.1';
  const { port } = await listen(server, host, options.port);
  const guard = options.public
    ? new CodeGuard((code) => needs.tell(`To set up this node, enter the code ${code}.`))
    : localGuard;
  const setup = new Setup(files, guard, needs);
  server.on('request', (request, reply) => void setup.serve(request, reply));
  server.on('error', (error) => needs.tell(`setup: ${error.message}`));
  const shown = options.public && host !== '0.0.0.0' && host !== '::' ? host : 'localhost';
  const scheme = options.tls === undefined ? 'http' : 'https';
  return {
    port,
    url: `${scheme}://${shown.includes(':') ? `[${shown}]` : shown}:${port}`,
    [Symbol.asyncDispose]: () => close(server),
  };
}

/** Answers on their way are finished first. */
async function close(server: WebServer): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = setTimeout(() => server.closeAllConnections(), CLOSE_MS_MAX);
  await closed;
  clearTimeout(late);
}

/** How long answers on their way may take when setting up is over, in milliseconds. */
const CLOSE_MS_MAX = 1_000;

type Action = (body: Uint8Array, secure: boolean) => Promise<ApiAnswer>;

class Setup {
  readonly #files: SetupFiles;
  readonly #guard: Guard;
  readonly #api: SetupApi;
  readonly #attempts: LoginAttempts;
  readonly #needs: SetupNeeds;
  readonly #posts: ReadonlyMap<string, Action>;
  /** Those that try a password: counted before anything is derived (F33). */
  readonly #guesses = new Set(['/login', '/import-keyfile', '/vet-keyfile', '/setup/code']);

  constructor(files: SetupFiles, guard: Guard, needs: SetupNeeds) {
    this.#files = files;
    this.#guard = guard;
    this.#needs = needs;
    this.#api = new SetupApi(needs);
    this.#attempts = new LoginAttempts(needs.clock);
    const api = this.#api;
    this.#posts = new Map<string, Action>([
      ['/generate-networking-info', () => api.networkingInfo()],
      ['/boot', (body, secure) => api.boot(body, secure)],
      ['/import-keyfile', (body, secure) => api.importKeyfile(body, secure)],
      ['/login', (body, secure) => api.login(body, secure)],
      ['/vet-keyfile', (body) => api.vet(body)],
      ['/setup/transaction', (body) => api.transaction(body)],
      ['/setup/code', (body, secure) => Promise.resolve(this.#redeem(body, secure))],
    ]);
  }

  async serve(request: IncomingMessage, reply: Reply): Promise<void> {
    request.on('error', () => undefined);
    try {
      await this.#serve(request, reply);
    } catch (error) {
      this.#needs.tell(`setup: ${error instanceof Error ? error.message : String(error)}`);
      if (!reply.headersSent) send(reply, sentence(500, 'That failed; the terminal says why.'));
    }
  }

  async #serve(request: IncomingMessage, reply: Reply): Promise<void> {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const method = request.method ?? '';
    const admission = this.#guard.admit({
      host: (request.headers.host ?? '').toLowerCase(),
      method,
      cookie: request.headers.cookie,
      origin: request.headers.origin,
      secFetchSite: request.headers['sec-fetch-site']?.toString(),
    });
    if (admission === 'foreign-host')
      return send(reply, sentence(403, 'This node is set up at localhost only.'));
    if (admission === 'cross-origin')
      return send(reply, sentence(403, 'This came from a page of another site.'));
    if (method === 'GET' && this.#file(path, reply)) return undefined;
    if (admission === 'needs-code' && path !== '/setup/code')
      return send(reply, sentence(401, 'This needs the code that the terminal shows.'));
    if (method === 'GET') return this.#get(path, query, reply);
    if (method === 'POST') return this.#post(path, request, reply);
    return send(reply, sentence(405, 'GET or POST.'));
  }

  /** True: it was one. Files hold nothing of this node. */
  #file(path: string, reply: Reply): boolean {
    const asset = this.#files.assets.get(path);
    if (asset !== undefined) {
      const headers = ['Content-Type', asset.contentType, ...SAFE];
      reply.answer(200, headers, asset.bytes);
      return true;
    }
    if (!PAGES.has(path.split('/')[1] ?? '')) return false;
    reply.answer(200, ['Content-Type', 'text/html; charset=utf-8', ...SAFE], this.#files.page);
    return true;
  }

  async #get(path: string, query: string, reply: Reply): Promise<void> {
    switch (path) {
      case '/info':
        return send(reply, await this.#api.info());
      case '/current-chain':
        return send(reply, this.#api.currentChain());
      case '/our': {
        const our = utf8.encode(await this.#api.our());
        return reply.answer(200, ['Content-Type', 'text/plain; charset=utf-8', ...SAFE], our);
      }
      case '/setup/state':
        return send(reply, await this.#api.state());
      case '/setup/name':
        return send(reply, await this.#api.name(new URLSearchParams(query)));
      default:
        return send(reply, sentence(404, 'There is no such page.'));
    }
  }

  async #post(path: string, request: IncomingMessage, reply: Reply): Promise<void> {
    const action = this.#posts.get(path);
    if (action === undefined) return send(reply, sentence(404, 'There is no such page.'));
    const body = await bodyOf(request);
    if (body === undefined) {
      reply.last = true;
      return send(reply, sentence(413, 'The request is too large.'));
    }
    const secure = 'encrypted' in request.socket && request.socket.encrypted === true;
    if (!this.#guesses.has(path)) return this.#sendLast(reply, await action(body, secure));
    const attempt = this.#attempts.begin(request.socket.remoteAddress ?? '');
    if (!attempt.ok) {
      const waitS = String(attempt.error);
      const answer = sentence(429, `Too many attempts. Try again in ${waitS} s.`);
      return send(reply, { ...answer, headers: ['Retry-After', waitS] });
    }
    const answer = await action(body, secure);
    if (answer.status < 400) attempt.value.succeeded();
    return this.#sendLast(reply, answer);
  }

  /** Once there is an identity, whoever comes again is to come to the node. */
  #sendLast(reply: Reply, answer: ApiAnswer): void {
    reply.last = this.#needs.registration.isDone;
    send(reply, answer);
  }

  #redeem(body: Uint8Array, secure: boolean): ApiAnswer {
    const request = codeRequest.decode(body);
    const cookie = request.ok ? this.#guard.redeem(request.value.code, secure) : undefined;
    return cookie === undefined
      ? sentence(401, 'That is not the code that the terminal shows.')
      : { status: 200, body: true, headers: ['Set-Cookie', cookie] };
  }
}

function send(reply: Reply, { status, body, headers = [] }: ApiAnswer): void {
  if (reply.destroyed) return;
  const json = utf8.encode(JSON.stringify(body));
  reply.answer(status, ['Content-Type', 'application/json', ...SAFE, ...headers], json);
}

/** Undefined: it says that it is too large. Rejects when the client leaves, or sends more than it said. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > SETUP_BODY_BYTES_MAX) return undefined;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > SETUP_BODY_BYTES_MAX) throw new Error('a request was too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
