/**
 * IP addresses as 16 bytes, and which of them are the public internet (IANA special-purpose registries; RFC 6890, 6052, 5735). Pure.
 * IPv4 is kept as IPv4-mapped IPv6, so that one comparison serves both.
 */
import { isIP } from 'node:net';

/** 16 bytes in network order. */
export type IpAddress = Uint8Array & { readonly brand: 'IpAddress' };

/** A range: the addresses whose first `bits` bits are those of `address`. */
export interface IpRange {
  readonly address: IpAddress;
  readonly bits: number;
}

const MAPPED_BITS = 96;

/** An address as the host's resolver and sockets write it, zone ids included; undefined when it is none. No odd spellings. */
export function parseIp(text: string): IpAddress | undefined {
  const [plain = ''] = text.split('%', 1);
  const family = isIP(plain);
  if (family === 0) return undefined;
  const bytes = new Uint8Array(16);
  if (family === 4) {
    bytes.fill(0xff, 10, 12);
    bytes.set(quad(plain), 12);
  } else {
    bytes.set(groups(plain));
  }
  // Proof of the brand: 16 bytes of an address that node:net recognised.
  return bytes as IpAddress;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. */
export function parseIpRange(text: string): IpRange | undefined {
  const [left = '', right, ...rest] = text.split('/');
  const address = parseIp(left);
  if (address === undefined || rest.length > 0 || left.includes('%')) return undefined;
  const offset = left.includes(':') ? 0 : MAPPED_BITS;
  if (right === undefined) return { address, bits: 128 };
  if (!/^\d{1,3}$/.test(right) || Number(right) > 128 - offset) return undefined;
  return { address, bits: Number(right) + offset };
}

export function isInRange(address: IpAddress, range: IpRange): boolean {
  const whole = range.bits >> 3;
  for (let at = 0; at < whole; at += 1) if (address[at] !== range.address[at]) return false;
  const rest = range.bits & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((address[whole] ?? 0) & mask) === ((range.address[whole] ?? 0) & mask);
}

export function sameIp(a: IpAddress, b: IpAddress): boolean {
  return isInRange(a, { address: b, bits: 128 });
}

/**
 * Whether a packet to it leaves for the public internet. Everything else is false: this host, private networks, link-local,
 * carrier-grade NAT, multicast, documentation, and IPv6 that wraps such an IPv4 address.
 */
export function isPublicIp(address: IpAddress): boolean {
  if (isInRange(address, MAPPED)) return !SPECIAL_V4.some((range) => isInRange(address, range));
  // DNS64 networks reach the IPv4 internet through these.
  if (isInRange(address, NAT64)) return isPublicIp(mapped(address.subarray(12)));
  return (
    isInRange(address, GLOBAL_UNICAST) && !SPECIAL_V6.some((range) => isInRange(address, range))
  );
}

function mapped(quadBytes: Uint8Array): IpAddress {
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  bytes.set(quadBytes, 12);
  // Proof of the brand: 16 bytes, built as parseIp does.
  return bytes as IpAddress;
}

function quad(text: string): number[] {
  return text.split('.').map(Number);
}

/** The 16 bytes of a valid IPv6 text. */
function groups(text: string): number[] {
  const [left = '', right] = text.split('::');
  const head = halves(left);
  if (right === undefined) return head;
  const tail = halves(right);
  return [...head, ...Array.from({ length: 16 - head.length - tail.length }, () => 0), ...tail];
}

function halves(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return quad(group);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function ranges(...texts: string[]): readonly IpRange[] {
  return texts.map((text) => {
    const range = parseIpRange(text);
    if (range === undefined) throw new Error(`bad range ${text}`);
    return range;
  });
}

const [MAPPED, NAT64, GLOBAL_UNICAST] = ranges('::ffff:0:0/96', '64:ff9b::/96', '2000::/3') as [
  IpRange,
  IpRange,
  IpRange,
];

const SPECIAL_V4 = ranges(
  '0.0.0.0/8', // this network; on many systems 0.0.0.0 is this host
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, and metadata services of clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
);

/** Within 2000::/3; what is outside of it is not public at all. */
const SPECIAL_V6 = ranges(
  '2001::/23', // protocol assignments; Teredo, which wraps IPv4, is among them
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4, which wraps IPv4
  '3fff::/20', // documentation
);
