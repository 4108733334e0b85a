/**
 * What a login asks for, decided from the request alone (runtime-modules.md §6.7): its body, where it wants to go afterwards, and which
 * session it gets.
 */
import { packageOf, parseProcessId } from '../../../wit/address.ts';
import { list, option, record, text } from '../../../wit/codec.ts';
import type { Result } from '../../../wit/types.ts';
import { firstLabel, secureLabel } from '../bindings/host-label.ts';

/** Size of the largest login that is read (M151). */
export const LOGIN_BYTES_MAX = 16_384;

/** The page that says that an app needs a host with a name. */
export const BY_NAME_PATH = '/login/by-name';

/** Two fields more are part of it in the reference, and ignored there too. */
const loginInfo = record({
  password_hash: text,
  subdomain: option(text),
  custom_cache_sources: option(list(text)),
  custom_base_l2_access_providers: option(list(text)),
});

export interface LoginInfo {
  readonly passwordHash: string;
  /** Undefined for none. */
  readonly subdomain: string | undefined;
}

/** The body of a login; undefined when it is not one. */
export function decodeLogin(body: Uint8Array): LoginInfo | undefined {
  if (body.length > LOGIN_BYTES_MAX) return undefined;
  const info = loginInfo.decode(body);
  if (!info.ok) return undefined;
  const subdomain = info.value.subdomain?.replace(/[^A-Za-z0-9.:-]/g, '');
  return {
    passwordHash: info.value.password_hash,
    subdomain: subdomain === '' ? undefined : subdomain,
  };
}

/**
 * Which session a login gets: null for the node's, else a subdomain's. Without a wish it is that of the host it is made on, so that it
 * always opens what the user was about to see (H12). A wish for the session of another package than the host's is refused.
 */
export function sessionWanted(
  host: string,
  subdomain: string | undefined,
  isSecureLabel: (label: string) => boolean,
): Result<string | null, 'foreign'> {
  const label = firstLabel(host);
  const onSecureHost = isSecureLabel(label);
  if (subdomain === undefined) return { ok: true, value: onSecureHost ? label : null };
  if (onSecureHost && subdomain === label) return { ok: true, value: label };
  const process = parseProcessId(subdomain);
  if (!process.ok) return { ok: false, error: 'foreign' };
  return onSecureHost && secureLabel(packageOf(process.value)) !== label
    ? { ok: false, error: 'foreign' }
    : { ok: true, value: process.value };
}

/**
 * The path of this node that a redirect names, ready for a header; undefined when it may lead elsewhere or out of the line.
 * @param wanted decoded once, as from a query
 */
export function localPath(wanted: string): string | undefined {
  if (!/^\/(?![/\\])/.test(wanted) || !wanted.isWellFormed()) return undefined;
  // Browsers take a backslash for a slash, and drop tabs and line ends before they look.
  // eslint-disable-next-line no-control-regex -- control characters are what this refuses
  if (/[\\\u0000-\u0020\u007f]/.test(wanted)) return undefined;
  return wanted.replace(/[^\u0021-\u007e]/gu, encodeURIComponent);
}
