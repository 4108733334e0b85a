/**
 * Logging in and out (runtime-modules.md §6.7): the page and its files, and what `POST /login` and `POST /logout` answer. It knows
 * nothing of sockets; the HTTP server asks it and sends what it says.
 *
 * Nobody but the node's own pages can cause either: a page of another origin is refused before anything is counted or hashed, and a
 * development node, which takes any password, believes only hosts that are this machine (F21).
 */
import type { LoginIdentity } from '../../identity/login-identity.ts';
import type { Clock } from '../../shared/clock.ts';
import {
  baseHost,
  firstLabel,
  frameAncestors,
  hostName,
  isLoopbackHost,
  isPlainHost,
} from '../bindings/host-label.ts';
import { LoginAttempts } from './login-attempts.ts';
import { type LoginFile, type PageValues, readLoginFiles, readLoginPage } from './login-files.ts';
import { decodeLogin, localPath, LOGIN_BYTES_MAX, sessionWanted } from './login-request.ts';
import type { Sessions } from './session.ts';
import { isCrossOrigin } from './site.ts';

export interface LoginNeeds {
  readonly identity: LoginIdentity;
  readonly sessions: Sessions;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** Whether anything is bound securely under a label. */
  readonly isSecureLabel: (label: string) => boolean;
  /** One line for the owner. It never holds a password or its hash (M166). */
  readonly print: (verbosity: number, text: string) => void;
}

/** Headers are as node:http gives them; `host` is lower case, with its port. */
export interface LoginRequest {
  readonly host: string;
  /** Of the connection, or as a declared proxy says: it decides about `Secure` (F22). */
  readonly proto: 'http' | 'https';
  /** The value of `?redirect=`, decoded. */
  readonly redirect: string | undefined;
  readonly contentLength: number | undefined;
  readonly origin: string | undefined;
  readonly secFetchSite: string | undefined;
  /** The address that attempts are counted by: the browser's, also behind a declared proxy. */
  readonly peer: string;
  readonly body: () => Promise<Uint8Array>;
}

export type LogoutRequest = Pick<
  LoginRequest,
  'host' | 'proto' | 'redirect' | 'origin' | 'secFetchSite'
> & { readonly cookie: string | undefined };

export interface LoginAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** Asked by the page: has this browser a session after all? GET, answered by `session`. */
export const SESSION_PATH = '/login/session';

const UNSTORED = ['Cache-Control', 'no-store'] as const;

export class Login {
  readonly #needs: LoginNeeds;
  readonly #attempts: LoginAttempts;
  readonly #files: ReadonlyMap<string, LoginFile>;
  readonly #page: (values: PageValues) => Uint8Array;

  /** Reads the page's files. */
  static async open(needs: LoginNeeds): Promise<Login> {
    const [files, page] = await Promise.all([readLoginFiles(), readLoginPage()]);
    return new Login(needs, files, page);
  }

  private constructor(
    needs: LoginNeeds,
    files: ReadonlyMap<string, LoginFile>,
    page: (values: PageValues) => Uint8Array,
  ) {
    this.#needs = needs;
    this.#files = files;
    this.#page = page;
    this.#attempts = new LoginAttempts(needs.clock);
  }

  /** The login page as HTML, for `GET /login` and in place of whatever needs a session (M148). The caller owns the bytes. */
  page(host: string): Uint8Array {
    const { identity } = this.#needs;
    const app = this.#appOf(host);
    return this.#page({
      node: identity.name,
      development: identity.development,
      app: app ?? '',
      base: baseHost(host, this.#needs.isSecureLabel),
    });
  }

  /** Headers for wherever the page is sent, besides its type and length. */
  pageHeaders(host: string): [string, string][] {
    // An app in a frame that has no session yet shows this.
    const ancestors = frameAncestors(host, this.#needs.isSecureLabel);
    return [
      [
        'Content-Security-Policy',
        `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; ` +
          `base-uri 'none'; form-action 'none'; ${ancestors}`,
      ],
      ['Referrer-Policy', 'same-origin'],
      [...UNSTORED],
    ];
  }

  /** A file below `/login/`, on every host. The bytes are shared; do not write to them. */
  asset(path: string): LoginFile | undefined {
    return this.#files.get(path);
  }

  /**
   * `POST /login`. Undefined: not a login, to be answered as any other request (M151).
   * Rejects when the body does, or when the keyfile cannot be derived.
   */
  async submit(request: LoginRequest): Promise<LoginAnswer | undefined> {
    const { contentLength } = request;
    if (contentLength === undefined || contentLength > LOGIN_BYTES_MAX) return undefined;
    if (isCrossOrigin(request)) return refuse(403, 'This login came from a page of another site.');
    if (this.#needs.identity.development && !isLoopbackHost(request.host)) {
      return refuse(403, 'A development node takes logins at localhost only.');
    }
    const redirect = request.redirect === undefined ? undefined : localPath(request.redirect);
    if (request.redirect !== undefined && redirect === undefined) {
      return refuse(400, 'The redirect is not a path of this node.');
    }
    const info = decodeLogin(await request.body());
    if (info === undefined) return refuse(400, 'Failed to parse login info');
    const wanted = sessionWanted(request.host, info.subdomain, this.#needs.isSecureLabel);
    if (!wanted.ok) return refuse(403, 'This subdomain belongs to another package.');
    const refused = await this.#tryUnlock(request.peer, info.passwordHash);
    return refused ?? (await this.#letIn(request, redirect, wanted.value));
  }

  /** `POST /logout`: ends the sessions this browser has on this host, here and as far as this browser is concerned. */
  logout(request: LogoutRequest): LoginAnswer {
    if (isCrossOrigin(request)) return refuse(403, 'This logout came from a page of another site.');
    const redirect = request.redirect === undefined ? undefined : localPath(request.redirect);
    const name = hostName(request.host);
    const cookies = this.#needs.sessions
      .end(request.cookie, {
        secure: request.proto === 'https',
        domain: /^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.[a-z0-9-]*[a-z][a-z0-9-]*$/.test(name)
          ? name
          : undefined,
      })
      .map((cookie) => ['Set-Cookie', cookie] as const);
    if (redirect === undefined) {
      return { status: 204, headers: [...cookies, UNSTORED], body: new Uint8Array() };
    }
    return seeOther(request, redirect, cookies);
  }

  /**
   * `GET /login/session`: JSON true or false. Cookies that are `SameSite=Strict` stay at home when a link from elsewhere is followed;
   * the page, once there, asks again.
   */
  session(request: { readonly host: string; readonly cookie: string | undefined }): LoginAnswer {
    const { sessions } = this.#needs;
    const app = this.#appOf(request.host);
    return json(200, sessions.opens(request.cookie, app ?? null), [UNSTORED]);
  }

  #appOf(host: string): string | undefined {
    const label = firstLabel(host);
    return this.#needs.isSecureLabel(label) ? label : undefined;
  }

  /** Undefined when it is the owner; else the answer to give. */
  async #tryUnlock(peer: string, passwordHash: string): Promise<LoginAnswer | undefined> {
    const { identity, print } = this.#needs;
    const attempt = this.#attempts.begin(peer);
    if (!attempt.ok) {
      const waitS = attempt.error;
      const text = `Too many attempts. Try again in ${waitS} ${waitS === 1 ? 'second' : 'seconds'}.`;
      return json(429, text, [['Retry-After', String(waitS)], UNSTORED]);
    }
    if (await identity.unlock(passwordHash)) {
      attempt.value.succeeded();
      return undefined;
    }
    print(1, `login: wrong password from ${peer}`);
    return refuse(500, 'Failed to decode keyfile: failed to decrypt networking keys');
  }

  async #letIn(
    request: LoginRequest,
    redirect: string | undefined,
    subdomain: string | null,
  ): Promise<LoginAnswer> {
    const { identity, sessions } = this.#needs;
    const secure = request.proto === 'https';
    const cookie = ['Set-Cookie', sessions.start(subdomain, { secure })] as const;
    if (redirect !== undefined) return seeOther(request, redirect, [cookie]);
    const keyfile = await identity.encryptedKeyfile();
    return json(200, Buffer.from(keyfile).toString('base64'), [cookie, UNSTORED]);
  }
}

function refuse(status: number, text: string): LoginAnswer {
  return json(status, text, [UNSTORED]);
}

function json(
  status: number,
  value: string | boolean,
  headers: LoginAnswer['headers'],
): LoginAnswer {
  return {
    status,
    headers: [['Content-Type', 'application/json'], ...headers],
    body: new TextEncoder().encode(JSON.stringify(value)),
  };
}

function seeOther(
  request: Pick<LoginRequest, 'host' | 'proto'>,
  path: string,
  headers: LoginAnswer['headers'],
): LoginAnswer {
  const { proto, host } = request;
  const location = isPlainHost(host) ? `${proto}://${host}${path}` : path;
  return {
    status: 303,
    headers: [['Location', location], ['Content-Length', '0'], ...headers, UNSTORED],
    body: new Uint8Array(),
  };
}
