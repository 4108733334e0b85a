/** What the notes of a node hold (reference hypermap, section 11). Decoders refuse what they do not know: anybody writes notes. */
import { fromHex, toHex, type Hex } from './hex.ts';
import { namehashBytes } from './hypermap.ts';

export const NET_KEY_BYTES = 32;
const HASH_BYTES = 32;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const IPV6_GROUPS = 8;
const PORT_MAX = 65_535;

/** `~ws-port`, `~tcp-port`: two bytes, big-endian. Undefined outside 0 to 65,535. */
export function encodePort(port: number): Hex | undefined {
  if (!Number.isInteger(port) || port < 0 || port > PORT_MAX) return undefined;
  return toHex(Uint8Array.of(port >> 8, port & 0xff));
}

export function decodePort(data: string): number | undefined {
  const bytes = fromHex(data);
  return bytes?.length === 2 ? (bytes[0]! << 8) | bytes[1]! : undefined;
}

/** `~ip`: 4 or 16 bytes, network order. Undefined for text that is no address. */
export function encodeIp(text: string): Hex | undefined {
  const bytes = text.includes(':') ? ipv6Bytes(text) : ipv4Bytes(text);
  return bytes && toHex(bytes);
}

/** As text: dotted, or the shortest form of RFC 5952. */
export function decodeIp(data: string): string | undefined {
  const bytes = fromHex(data);
  if (bytes?.length === IPV4_BYTES) return bytes.join('.');
  return bytes?.length === IPV6_BYTES ? ipv6Text(bytes) : undefined;
}

/** `~net-key`: the 32 bytes of an Ed25519 public key, as hex without `0x`, lower case. */
export function decodeNetKey(data: string): string | undefined {
  const bytes = fromHex(data);
  return bytes?.length === NET_KEY_BYTES ? toHex(bytes).slice(2) : undefined;
}

/** `~routers`: the namehashes of their names, one after another. */
export function encodeRouters(names: readonly string[]): Hex {
  return `0x${names.map((name) => toHex(namehashBytes(name)).slice(2)).join('')}`;
}

/** The namehashes. A length that is no multiple of 32 gives none, as in the reference. */
export function decodeRouters(data: string): Hex[] {
  const bytes = fromHex(data);
  if (bytes === undefined || bytes.length % HASH_BYTES !== 0) return [];
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, index) =>
    toHex(bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)),
  );
}

/** `!chain-id` of an entry that another instance continues: 32 bytes, big-endian. */
export function encodeChainId(chainId: bigint): Hex {
  return `0x${chainId.toString(16).padStart(64, '0')}`;
}

export function decodeChainId(data: string): bigint | undefined {
  return fromHex(data)?.length === 32 ? BigInt(data) : undefined;
}

/** `!address` of an entry that another instance continues: the 20 bytes of where that instance is. */
export function decodeInstanceAddress(data: string): Hex | undefined {
  const bytes = fromHex(data);
  return bytes?.length === 20 ? toHex(bytes) : undefined;
}

function ipv4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  const valid =
    parts.length === IPV4_BYTES && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part));
  const bytes = parts.map(Number);
  return valid && bytes.every((byte) => byte <= 255) ? Uint8Array.from(bytes) : undefined;
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map((half) => ipv6Groups(half));
  if (before === undefined || (halves.length === 2 && after === undefined)) return undefined;
  const missing = IPV6_GROUPS - before.length - (after?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...before, ...Array<number>(missing).fill(0), ...(after ?? [])];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Groups of one side of `::`; the last four bytes may be dotted. */
function ipv6Groups(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    const dotted = index === parts.length - 1 ? ipv4Bytes(part) : undefined;
    if (dotted !== undefined) {
      groups.push((dotted[0]! << 8) | dotted[1]!, (dotted[2]! << 8) | dotted[3]!);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: IPV6_GROUPS }, (_, i) =>
    ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16),
  );
  // The longest run of zero groups, the first of equal ones, at least two.
  let best = { from: 0, length: 1 };
  for (let from = 0; from < IPV6_GROUPS; from++) {
    let length = 0;
    while (from + length < IPV6_GROUPS && groups[from + length] === '0') length++;
    if (length > best.length) best = { from, length };
  }
  if (best.length < 2) return groups.join(':');
  const before = groups.slice(0, best.from).join(':');
  return `${before}::${groups.slice(best.from + best.length).join(':')}`;
}
