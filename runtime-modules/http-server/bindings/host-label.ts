/**
 * Reading the authority of a request (`Host`): which label comes first, whether it names this machine, and where the subdomain of a
 * package is from there (runtime-modules.md §6.8). Hosts are lower case with their port. Labels are compared whole: a host that merely
 * contains `localhost` is none (H11).
 */
import { createHash } from 'node:crypto';
import { splitPackageId } from '../../../wit/address.ts';
import type { PackageId } from '../../../wit/types.ts';

/** Characters of a DNS label. */
export const LABEL_CHARS_MAX = 63;
/** Hex digits that stand for the rest of a label that was cut. */
const CUT_DIGITS = 12;

const NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * The label of a package's secure subdomain: `app-store:sys` has `app-store-sys`. Longer than DNS allows, it is cut and ends in a digest.
 * Two packages can have the same (`a-b:c` and `a:b-c`): whoever keeps the bindings gives a label to one package only.
 */
export function secureLabel(id: PackageId): string {
  const parts = splitPackageId(id);
  const label = `${parts.package}-${parts.publisher}`.replace(/[^A-Za-z0-9]/g, '-');
  if (label.length <= LABEL_CHARS_MAX) return label;
  const digest = createHash('sha256').update(id).digest('hex').slice(0, CUT_DIGITS);
  return `${label.slice(0, LABEL_CHARS_MAX - CUT_DIGITS - 1)}-${digest}`;
}

/** `app-store-sys` of `app-store-sys.localhost:8080`. */
export function firstLabel(host: string): string {
  for (let at = 0; at < host.length; at += 1) {
    const code = host.charCodeAt(at);
    if (code === 0x2e || code === 0x3a) return host.slice(0, at);
  }
  return host;
}

/** The host without its port. */
export function hostName(host: string): string {
  const end = host.startsWith('[') ? host.indexOf(']') + 1 : host.indexOf(':');
  return end <= 0 ? host : host.slice(0, end);
}

/** Whether a browser reaches this very machine by it, whatever a name server says: no page of another site has such an origin. */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host);
  return (
    name === 'localhost' || name === '127.0.0.1' || name === '[::1]' || name.endsWith('.localhost')
  );
}

/**
 * The host on which a label's own subdomain is, seen from `host`; undefined where there can be none, as below an IP address. From the
 * subdomain of one package to another's it is one step across, not one down. Loopback addresses have theirs below `localhost`.
 */
export function hostOfLabel(
  host: string,
  label: string,
  isSecureLabel: (label: string) => boolean,
): string | undefined {
  const base = baseHost(host, isSecureLabel);
  const name = hostName(base);
  const port = base.slice(name.length);
  if (!/^(:\d{1,5})?$/.test(port)) return undefined;
  if (name === '127.0.0.1' || name === '[::1]') return `${label}.localhost${port}`;
  const isAddress = /(^|\.)\d+$/.test(name);
  return NAME.test(name) && !isAddress ? `${label}.${name}${port}` : undefined;
}

/** The host without the label of a package: where the node's own pages are. */
export function baseHost(host: string, isSecureLabel: (label: string) => boolean): string {
  const label = firstLabel(host);
  return host[label.length] === '.' && isSecureLabel(label) ? host.slice(label.length + 1) : host;
}

/**
 * Who may show documents of `host` in a frame, as a `frame-ancestors` of a policy: they themselves, and the node's own pages, which show
 * apps in frames.
 */
export function frameAncestors(host: string, isSecureLabel: (label: string) => boolean): string {
  const base = baseHost(host, isSecureLabel);
  const framedBy =
    base === host || !isPlainHost(base) ? "'self'" : `'self' http://${base} https://${base}`;
  return `frame-ancestors ${framedBy}`;
}

/** Whether it can stand in a header without meaning more than a host. */
export function isPlainHost(host: string): boolean {
  return /^[a-z0-9.:[\]_-]+$/.test(host);
}
