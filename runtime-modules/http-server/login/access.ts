/**
 * Who may see what a process has bound: the pure decision in front of every request and WebSocket upgrade (runtime-modules.md §6.5 step
 * 2, §6.8). On the hot path: synchronous, and a token is verified once.
 *
 * A package with a secure path has a subdomain of its own, a label in front of the node's host, and there a session of its own. What
 * keeps it apart from other packages: their documents never run in its origin, and calls that pages of other origins make are refused.
 */
import { packageOf } from '../../../wit/address.ts';
import type { ProcessId } from '../../../wit/types.ts';
import { firstLabel, hostOfLabel, secureLabel } from '../bindings/host-label.ts';
import { BY_NAME_PATH } from './login-request.ts';
import type { Sessions } from './session.ts';
import { isCrossOriginCall, type Provenance } from './site.ts';

export interface Visitor extends Provenance {
  readonly cookie: string | undefined;
  readonly proto: 'http' | 'https';
  /** As it was asked for, with its slash at the end: where a redirect leads. */
  readonly path: string;
  /** Raw, without `?`. */
  readonly query: string;
}

export interface BoundPath {
  readonly process: ProcessId;
  readonly authenticated: boolean;
  /** The label of its package, such as `app-store-sys`, for what is bound securely. */
  readonly secureSubdomain: string | undefined;
}

export type Access =
  /** `sandbox`: send `SANDBOX` as a `Content-Security-Policy` of its own, beside any other: this origin is another package's. */
  | { readonly kind: 'open'; readonly sandbox: boolean }
  /** 307. */
  | { readonly kind: 'redirect'; readonly location: string }
  /** 403 with `FOREIGN_TEXT`. */
  | { readonly kind: 'foreign' }
  /** 200 with the login page; an upgrade is refused. */
  | { readonly kind: 'login' };

export const FOREIGN_TEXT = 'secure subdomain can only serve its associated package';

/** Takes a document out of the origin it was loaded from. Pictures, styles, scripts and data are not documents. */
export const SANDBOX =
  'sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads';

const OPEN: Access = { kind: 'open', sandbox: false };
const SANDBOXED: Access = { kind: 'open', sandbox: true };
const FOREIGN: Access = { kind: 'foreign' };
const LOGIN: Access = { kind: 'login' };

/** To be asked for every route that was found, authenticated or not. `isSecureLabel`: whether anything is bound securely under it. */
export function accessTo(
  visitor: Visitor,
  binding: BoundPath,
  isSecureLabel: (label: string) => boolean,
  sessions: Sessions,
): Access {
  const label = firstLabel(visitor.host);
  if (binding.secureSubdomain !== undefined) {
    if (label !== binding.secureSubdomain) {
      return redirectTo(visitor, binding.secureSubdomain, isSecureLabel);
    }
    return withSession(visitor, opensSecurely(visitor.cookie, binding.process, label, sessions));
  }
  const onSecureHost = isSecureLabel(label);
  const atHome = onSecureHost && label === secureLabel(packageOf(binding.process));
  if (!binding.authenticated) return onSecureHost && !atHome ? SANDBOXED : OPEN;
  if (onSecureHost && !atHome) return FOREIGN;
  return withSession(
    visitor,
    sessions.opens(visitor.cookie, null) ||
      (atHome && opensSecurely(visitor.cookie, binding.process, label, sessions)),
  );
}

/** By the token of the subdomain, or of the process as the reference names it (M160). The node's own opens nothing here (M161, M163). */
function opensSecurely(
  cookie: string | undefined,
  process: ProcessId,
  label: string,
  sessions: Sessions,
): boolean {
  return sessions.opens(cookie, label) || sessions.opens(cookie, process);
}

function withSession(visitor: Visitor, opened: boolean): Access {
  if (!opened) return LOGIN;
  return isCrossOriginCall(visitor) ? FOREIGN : OPEN;
}

function redirectTo(
  visitor: Visitor,
  label: string,
  isSecureLabel: (label: string) => boolean,
): Access {
  const host = hostOfLabel(visitor.host, label, isSecureLabel);
  if (host === undefined) return { kind: 'redirect', location: BY_NAME_PATH };
  const query = visitor.query === '' ? '' : `?${visitor.query}`;
  return {
    kind: 'redirect',
    location: `${visitor.proto}://${host}${visible(visitor.path + query)}`,
  };
}

/** With every byte percent-encoded that is no visible ASCII character; node reads the others of a request line as Latin-1. */
function visible(target: string): string {
  return target.replace(
    /[^\u0021-\u007e]/g,
    (byte) => `%${(byte.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
