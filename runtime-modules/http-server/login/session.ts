/**
 * Sessions in cookies (runtime-modules.md §6.7, §6.8): how a cookie is named and written, how tokens are found among what a browser
 * sends, and whether one of them opens something. A session is for the node (`null`) or for one secure subdomain.
 */
import type { KeyObject } from 'node:crypto';
import { issueToken, TOKEN_CHARS_MAX, verifyToken } from '../../identity/jwt.ts';
import type { Secret } from '../../identity/secret.ts';

/** How long a session lasts: 26 weeks (M156). */
export const SESSION_S = 15_724_800;
/** Verified tokens that are remembered, so that they need not be verified again; the one unused longest is forgotten first. */
export const SESSIONS_CACHED_MAX = 256;
/**
 * Cookies of one name that are tried. The reference looks at the first only; but a page on a sibling subdomain can set cookies for
 * the whole domain, and must not be able to put a bad one in front of the good.
 */
export const TOKENS_TRIED_MAX = 8;
/** Cookies that one logout deletes. */
export const COOKIES_DELETED_MAX = 64;

/** What the names of session cookies start with. They open everything, so processes neither see nor set them. */
export const SESSION_COOKIE_PREFIX = 'hyperware-auth_';
/** F22. No `Domain`: the cookie is of the host that set it, and of no subdomain. */
const ATTRIBUTES = '; HttpOnly; SameSite=Strict; Path=/';

/** @param subdomain null: for the node; else a process id, or the label of a secure subdomain */
export function cookieName(node: string, subdomain: string | null): string {
  return subdomain === null
    ? SESSION_COOKIE_PREFIX + node
    : `${SESSION_COOKIE_PREFIX}${node}@${subdomain}`;
}

/**
 * The value of `Set-Cookie` that starts a session (F22). It ends with the browser, as the reference's does.
 * @param secure whether it came over TLS, ours or a declared proxy's: a browser drops a secure cookie that comes without
 */
export function sessionCookie(name: string, token: string, secure: boolean): string {
  return `${name}=${token}${ATTRIBUTES}${secure ? '; Secure' : ''}`;
}

/** The value of `Set-Cookie` that ends it. `domain`: as the reference set it, for cookies it left behind. */
export function deletedCookie(name: string, secure: boolean, domain?: string): string {
  const of = domain === undefined ? '' : `; Domain=${domain}`;
  return `${name}=; Max-Age=0${of}${ATTRIBUTES}${secure ? '; Secure' : ''}`;
}

/** Values of the entries of that name, among entries parted by `; `, that have exactly one `=` (M154, M155); at most 8. */
export function tokensNamed(header: string, name: string): string[] {
  const tokens: string[] = [];
  const prefix = `${name}=`;
  for (let at = 0; at < header.length && tokens.length < TOKENS_TRIED_MAX;) {
    const found = header.indexOf('; ', at);
    const end = found === -1 ? header.length : found;
    if (header.startsWith(prefix, at)) {
      const token = header.slice(at + prefix.length, end);
      if (!token.includes('=')) tokens.push(token);
    }
    at = end + 2;
  }
  return tokens;
}

/** What of a `Cookie` header a process may see: all but sessions. Who holds a session's token is the owner, to this node. */
export function withoutSessions(header: string): string {
  if (!header.includes(SESSION_COOKIE_PREFIX)) return header;
  return header
    .split(/; ?/)
    .filter((entry) => !entry.trimStart().startsWith(SESSION_COOKIE_PREFIX))
    .join('; ');
}

export interface SessionsNeeds {
  /** The node's name. */
  readonly node: string;
  readonly secret: Secret<KeyObject>;
  /** Unix seconds. */
  readonly nowS: () => number;
}

/** What a verified token says; that it is of this node is checked before it is kept. */
interface Verified {
  readonly subdomain: string | null;
  readonly expiration: number;
}

export class Sessions {
  readonly #node: string;
  readonly #secret: Secret<KeyObject>;
  readonly #nowS: () => number;
  readonly #verified = new Map<string, Verified>();

  constructor(needs: SessionsNeeds) {
    this.#node = needs.node;
    this.#secret = needs.secret;
    this.#nowS = needs.nowS;
  }

  /** The cookie of a new session, as the value of `Set-Cookie`. */
  start(subdomain: string | null, options: { readonly secure: boolean }): string {
    const token = issueToken(this.#secret.reveal(), {
      username: this.#node,
      subdomain,
      expiration: this.#nowS() + SESSION_S,
    });
    return sessionCookie(cookieName(this.#node, subdomain), token, options.secure);
  }

  /** Whether a `Cookie` header has a session for exactly this subdomain, or for the node (null). */
  opens(cookie: string | undefined, subdomain: string | null): boolean {
    if (cookie === undefined) return false;
    const tokens = tokensNamed(cookie, cookieName(this.#node, subdomain));
    return tokens.some((token) => {
      const verified = this.#verify(token);
      return (
        verified !== undefined &&
        verified.subdomain === subdomain &&
        verified.expiration > this.#nowS()
      );
    });
  }

  /** Values of `Set-Cookie` that end every session this browser shows, the reference's included. */
  end(
    cookie: string | undefined,
    options: { readonly secure: boolean; readonly domain: string | undefined },
  ): string[] {
    const own = cookieName(this.#node, null);
    const names = new Set([own]);
    for (const entry of (cookie ?? '').split('; ')) {
      const name = entry.slice(0, Math.max(0, entry.indexOf('=')));
      if (names.size >= COOKIES_DELETED_MAX) break;
      if (name.startsWith(`${own}@`) && /^[A-Za-z0-9.:@_-]+$/.test(name)) names.add(name);
    }
    const { secure, domain } = options;
    const deleted = [...names].map((name) => deletedCookie(name, secure));
    return domain === undefined ? deleted : [...deleted, deletedCookie(own, secure, domain)];
  }

  #verify(token: string): Verified | undefined {
    const known = this.#verified.get(token);
    if (known !== undefined) {
      this.#verified.delete(token);
      this.#verified.set(token, known);
      return known;
    }
    if (token.length > TOKEN_CHARS_MAX) return undefined;
    const claims = verifyToken(this.#secret.reveal(), token);
    if (claims?.username !== this.#node) return undefined;
    // Only what this node signed is kept, so that nobody else can push anything out.
    const [oldest] = this.#verified.keys();
    if (this.#verified.size >= SESSIONS_CACHED_MAX && oldest !== undefined) {
      this.#verified.delete(oldest);
    }
    const verified = { subdomain: claims.subdomain, expiration: claims.expiration };
    this.#verified.set(token, verified);
    return verified;
  }
}
