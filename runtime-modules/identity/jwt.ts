/**
 * Session tokens: JSON Web Tokens with HS256, the header and claims of networking.md §13.4 and no others. By hand rather than with a
 * library: one algorithm, so that nothing can be asked to use another (M154).
 */
import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';

export interface Claims {
  /** The node that the session is on. */
  readonly username: string;
  /** The secure subdomain it is limited to: a process id, or null for none. */
  readonly subdomain: string | null;
  /** Unix seconds. */
  readonly expiration: number;
}

/** Length of the longest token that is looked at, in UTF-16 units. */
export const TOKEN_CHARS_MAX = 4_096;

const HEADER = encode('{"alg":"HS256"}');
const TOKEN = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/** @param secret of any length */
export function issueToken(secret: KeyObject, claims: Claims): string {
  // The order is part of the format.
  const { username, subdomain, expiration } = claims;
  const signed = `${HEADER}.${encode(JSON.stringify({ username, subdomain, expiration }))}`;
  return `${signed}.${signature(secret, signed)}`;
}

/**
 * The claims of a token that was signed with this secret; whose they are and whether they have expired is for the caller to say.
 * Undefined for anything else.
 */
export function verifyToken(secret: KeyObject, token: string): Claims | undefined {
  if (token.length > TOKEN_CHARS_MAX) return undefined;
  const [, header, claims, claimed] = TOKEN.exec(token) ?? [];
  if (header === undefined || claims === undefined || claimed === undefined) return undefined;
  // Compared as text: a signature has one spelling.
  const right = Buffer.from(signature(secret, `${header}.${claims}`));
  const given = Buffer.from(claimed);
  if (right.length !== given.length || !timingSafeEqual(right, given)) return undefined;
  if (header !== HEADER && record(header)?.['alg'] !== 'HS256') return undefined;
  return claimsOf(record(claims));
}

function claimsOf(value: Readonly<Record<string, unknown>> | undefined): Claims | undefined {
  const { username, subdomain = null, expiration } = value ?? {};
  if (typeof username !== 'string') return undefined;
  if (subdomain !== null && typeof subdomain !== 'string') return undefined;
  if (typeof expiration !== 'number' || !Number.isSafeInteger(expiration)) return undefined;
  return { username, subdomain, expiration };
}

function record(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    // Proof: a non-null object can be asked for any name.
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function signature(secret: KeyObject, signed: string): string {
  return createHmac('sha256', secret).update(signed).digest('base64url');
}
