/**
 * Names of the namespace: rules of labels, hashing, and where the account of a name is (reference hypermap, sections 2, 3, 6 and 8).
 * Pure, and free of dependencies: runs in guests, browsers and Node.
 */
import { keccak256 } from '../wit/keccak.ts';
import { fromHex, toHex, type Hex } from './hex.ts';

/** The hash of the root: of the empty name. */
export const ROOT_HASH: Hex = `0x${'00'.repeat(32)}`;

/** Bytes of the longest label, its `~` or `!` included. */
export const LABEL_BYTES_MAX = 63;

export type LabelKind = 'name' | 'note' | 'fact';

const NAME = /^[0-9a-z-]{1,63}$/;
const DATA_KEY = /^[~!][0-9a-z-]{1,62}$/;
const encoder = new TextEncoder();

/** What `label` may stand for in the contract; undefined where it is refused. */
export function labelKind(label: string): LabelKind | undefined {
  if (NAME.test(label)) return 'name';
  if (!DATA_KEY.test(label)) return undefined;
  return label.startsWith('~') ? 'note' : 'fact';
}

/** Whether `name` is a full name of labels that the contract takes, child first. Only the first may be a note or fact. */
export function isFullName(name: string): boolean {
  return name
    .split('.')
    .every((label, index) => NAME.test(label) || (index === 0 && DATA_KEY.test(label)));
}

/** The hash of a full name, child first: `~ip.foo.os`. The empty name is the root. */
export function namehash(name: string): Hex {
  return name === '' ? ROOT_HASH : toHex(namehashBytes(name));
}

/** The same as 32 bytes. */
export function namehashBytes(name: string): Uint8Array {
  let node: Uint8Array = new Uint8Array(32);
  if (name === '') return node;
  for (const label of name.split('.').toReversed()) node = leafBytes(node, encoder.encode(label));
  return node;
}

/**
 * The hash of `label` under `parent`: what a Mint, Note or Fact event has to say of itself.
 * @throws RangeError when `parent` is not 32 bytes of hex
 */
export function leaf(parent: string, label: string): Hex {
  return toHex(leafBytes(bytesOf(parent, 32), encoder.encode(label)));
}

/** What filters have in the fourth topic: keccak256 of the label, its prefix included. */
export function labelhash(label: string): Hex {
  return toHex(keccak256(encoder.encode(label)));
}

function leafBytes(parent: Uint8Array, label: Uint8Array): Uint8Array {
  const pair = new Uint8Array(64);
  pair.set(parent, 0);
  pair.set(keccak256(label), 32);
  return keccak256(pair);
}

/** keccak256 of the reference's proxy creation code for the canonical address: predicts accounts on its chains. */
export const REFERENCE_PROXY_INIT_HASH: Hex =
  '0x3174615535ef55059e87328c45a3c061225f8a1399bf2abcab8fd61a877de7b6';

/** Where a namespace is, and by what its accounts are made. */
export interface AccountScheme {
  readonly hypermap: string;
  readonly registry: string;
  readonly chainId: number;
  /** keccak256 of the proxy's creation code with its constructor argument. */
  readonly proxyInitHash: string;
}

/**
 * Where the proxy and the account of a name are or will be, as checksummed addresses.
 * @param hash  the name's
 * @throws RangeError when an address or hash is not one
 */
export function predictAccount(
  { hypermap, registry, chainId, proxyInitHash }: AccountScheme,
  hash: string,
): { proxy: Hex; tba: Hex } {
  const name = bytesOf(hash, 32);
  const map = bytesOf(hypermap, 20);
  const proxy = create2(map, name, bytesOf(proxyInitHash, 32));
  const code = concat([
    CLONE_START,
    proxy,
    CLONE_END,
    name,
    word(chainId),
    new Uint8Array(12),
    map,
    name,
  ]);
  const tba = create2(bytesOf(registry, 20), name, keccak256(code));
  return { proxy: checksummed(toHex(proxy)), tba: checksummed(toHex(tba)) };
}

/** Ten bytes that return what follows them, and the first ten of an ERC-1167 clone. */
const CLONE_START = bytesOf('0x3d60ad80600a3d3981f3363d3d373d3d3d363d73', 20);
const CLONE_END = bytesOf('0x5af43d82803e903d91602b57fd5bf3', 15);

function create2(deployer: Uint8Array, salt: Uint8Array, initHash: Uint8Array): Uint8Array {
  return keccak256(concat([Uint8Array.of(0xff), deployer, salt, initHash])).subarray(12);
}

/**
 * What `committer` commits at the nine-character minter in order to mint `label`: keccak256(abi.encode(label, committer)).
 * @throws RangeError when `committer` is not an address
 */
export function commitmentOf(label: string, committer: string): Hex {
  const bytes = encoder.encode(label);
  const padded = new Uint8Array(Math.ceil(bytes.length / 32) * 32);
  padded.set(bytes);
  return toHex(
    keccak256(
      concat([word(64), new Uint8Array(12), bytesOf(committer, 20), word(bytes.length), padded]),
    ),
  );
}

/** An address in the mixed case of EIP-55. */
export function checksummed(address: string): Hex {
  const digits = address.slice(2).toLowerCase();
  const hash = toHex(keccak256(encoder.encode(digits)));
  let text = '';
  for (let i = 0; i < digits.length; i++)
    text += hash[2 + i]! >= '8' ? digits[i]!.toUpperCase() : digits[i]!;
  return `0x${text}`;
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setBigUint64(24, BigInt(value));
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function bytesOf(text: string, length: number): Uint8Array {
  const bytes = fromHex(text);
  if (bytes?.length !== length) throw new RangeError(`"${text}" is not ${length} bytes of hex`);
  return bytes;
}
