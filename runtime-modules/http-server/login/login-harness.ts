/**
 * A small web server around the login parts, for tests: bindings in a table, no processes. It does with the answers what the HTTP
 * server does. Listens on 127.0.0.1, on any free port.
 */
import { createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { packageOf, processId } from '../../../wit/address.ts';
import type { LoginIdentity } from '../../identity/login-identity.ts';
import { Secret } from '../../identity/secret.ts';
import { accessTo, type BoundPath, FOREIGN_TEXT, SANDBOX, type Visitor } from './access.ts';
import { secureLabel } from '../bindings/host-label.ts';
import { Login, type LoginAnswer, SESSION_PATH } from './login.ts';
import { Sessions } from './session.ts';

export interface Bound {
  readonly process: string;
  readonly authenticated: boolean;
  readonly secure: boolean;
  readonly html: string;
}

/** An identity whose keyfile opens with one hash, and that counts how often it was tried. */
export class TestIdentity implements LoginIdentity {
  readonly name: string;
  readonly development: boolean;
  readonly sessionSecret = new Secret(createSecretKey(new Uint8Array(32).fill(0x33)));
  readonly tried: string[] = [];
  readonly #hash: string;

  constructor(name: string, hash: string, options: { readonly development?: boolean } = {}) {
    this.name = name;
    this.#hash = hash;
    this.development = options.development ?? false;
  }

  unlock(passwordHash: string): Promise<boolean> {
    this.tried.push(passwordHash);
    return Promise.resolve(this.development || passwordHash === this.#hash);
  }

  encryptedKeyfile(): Promise<Uint8Array> {
    return Promise.resolve(new TextEncoder().encode('["the keyfile"]'));
  }
}

export class Harness implements AsyncDisposable {
  readonly identity: TestIdentity;
  readonly printed: string[] = [];
  readonly paths = new Map<string, Bound>();
  /** Requests that reached a bound path, as `METHOD host path`. */
  readonly served: string[] = [];
  readonly login: Login;
  readonly sessions: Sessions;
  nowMs = 0;
  readonly #server = createServer();

  static async start(identity: TestIdentity): Promise<Harness> {
    const sessions = new Sessions({
      node: identity.name,
      secret: identity.sessionSecret,
      nowS: () => 1_800_000_000,
    });
    const harness: { value?: Harness } = {};
    const login = await Login.open({
      identity,
      sessions,
      clock: { nowMs: () => harness.value?.nowMs ?? 0 },
      isSecureLabel: (label) => harness.value?.isSecureLabel(label) ?? false,
      print: (_, text) => harness.value?.printed.push(text),
    });
    harness.value = new Harness(identity, sessions, login);
    await harness.value.#listen();
    return harness.value;
  }

  private constructor(identity: TestIdentity, sessions: Sessions, login: Login) {
    this.identity = identity;
    this.sessions = sessions;
    this.login = login;
    this.#server.on('request', (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        response.statusCode = 599;
        response.end(String(error));
      });
    });
    this.#server.on('upgrade', (request, socket) => this.#upgrade(request, socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  isSecureLabel(label: string): boolean {
    return [...this.paths.values()].some((bound) => bound.secure && labelOf(bound) === label);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const visitor = visitorOf(request);
    const answer = await this.#answer(request, visitor);
    response.statusCode = answer.status;
    for (const [name, value] of answer.headers) response.appendHeader(name, value);
    response.end(answer.body);
  }

  async #answer(request: IncomingMessage, visitor: Visitor): Promise<LoginAnswer> {
    const { path, host, method, cookie } = visitor;
    const redirect = new URLSearchParams(visitor.query).get('redirect') ?? undefined;
    if (method === 'POST' && /^\/login\/?$/.test(path)) {
      const length = request.headers['content-length'];
      const answer = await this.login.submit({
        ...visitor,
        redirect,
        contentLength: length === undefined ? undefined : Number(length),
        peer: request.headers['x-test-peer']?.toString() ?? '127.0.0.1',
        body: async () => new Uint8Array(Buffer.concat(await request.toArray())),
      });
      if (answer !== undefined) return answer;
    }
    if (method === 'POST' && path === '/logout') return this.login.logout({ ...visitor, redirect });
    if (method === 'GET' && path === SESSION_PATH) return this.login.session({ host, cookie });
    if (method === 'GET' && /^\/login\/?$/.test(path)) return this.#loginPage(host);
    const file = this.login.asset(path);
    if (method === 'GET' && file !== undefined) {
      return { status: 200, headers: [['Content-Type', file.contentType]], body: file.bytes };
    }
    return this.#bound(visitor);
  }

  #bound(visitor: Visitor): LoginAnswer {
    const bound = this.paths.get(visitor.path);
    if (bound === undefined) return text(404, '');
    const access = this.#access(visitor, bound);
    if (access.kind === 'login') return this.#loginPage(visitor.host);
    if (access.kind === 'foreign') return text(403, FOREIGN_TEXT);
    if (access.kind === 'redirect') {
      return { status: 307, headers: [['Location', access.location]], body: new Uint8Array() };
    }
    this.served.push(`${visitor.method} ${visitor.host} ${visitor.path}`);
    const html = text(200, bound.html, 'text/html; charset=utf-8');
    if (!access.sandbox) return html;
    return { ...html, headers: [...html.headers, ['Content-Security-Policy', SANDBOX]] };
  }

  #access(visitor: Visitor, bound: Bound): ReturnType<typeof accessTo> {
    const binding: BoundPath = {
      process: processId(bound.process),
      authenticated: bound.authenticated,
      secureSubdomain: bound.secure ? labelOf(bound) : undefined,
    };
    return accessTo(visitor, binding, (label) => this.isSecureLabel(label), this.sessions);
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    const visitor = visitorOf(request);
    const bound = this.paths.get(visitor.path);
    const opened = bound !== undefined && this.#access(visitor, bound).kind === 'open';
    if (opened) this.served.push(`UPGRADE ${visitor.host} ${visitor.path}`);
    socket.end(`HTTP/1.1 ${opened ? '501 Not Implemented' : '403 Forbidden'}\r\n\r\n`);
  }

  #loginPage(host: string): LoginAnswer {
    return {
      status: 200,
      headers: [['Content-Type', 'text/html; charset=utf-8'], ...this.login.pageHeaders(host)],
      body: this.login.page(host),
    };
  }
}

function labelOf(bound: Bound): string {
  return secureLabel(packageOf(processId(bound.process)));
}

function visitorOf(request: IncomingMessage): Visitor {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const header = (name: string): string | undefined => request.headers[name]?.toString();
  return {
    host: (request.headers.host ?? '').toLowerCase(),
    cookie: request.headers.cookie,
    proto: 'http',
    path: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path,
    query,
    method: request.method ?? '',
    origin: request.headers.origin,
    secFetchSite: header('sec-fetch-site'),
    secFetchMode: header('sec-fetch-mode'),
  };
}

function text(status: number, body: string, contentType = 'text/plain'): LoginAnswer {
  return {
    status,
    headers: [['Content-Type', contentType]],
    body: new TextEncoder().encode(body),
  };
}
