/**
 * What the owner of a name signs so that a node may boot as it: EIP-712 typed data (networking.md §14). The domain is that of the chain
 * the node is configured for, because wallets refuse one of another chain than they are on (F31).
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { checksummed } from '../../../contracts/hypermap.ts';
import { fromHex, type Hex, toHex } from '../../../contracts/hex.ts';
import { keccak256 } from '../../../wit/keccak.ts';

/** Of the chain and the namespace contract. */
export interface BootDomain {
  readonly chainId: number;
  readonly hypermap: string;
}

export interface BootMessage {
  readonly username: string;
  /** `0x` and 64 hex digits. */
  readonly passwordHash: string;
  /** Unix milliseconds. */
  readonly timestampMs: number;
  readonly direct: boolean;
  readonly reset: boolean;
}

const utf8 = new TextEncoder();
const hash = (text: string): Uint8Array => keccak256(utf8.encode(text));

const DOMAIN_TYPE = hash(
  'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
);
const BOOT_TYPE = hash(
  'Boot(string username,bytes32 password_hash,uint256 timestamp,bool direct,bool reset,uint256 chain_id)',
);
const DOMAIN_NAME = hash('Hypermap');
const DOMAIN_VERSION = hash('1');
/** r, s and the recovery byte. */
const SIGNATURE_BYTES = 65;

/**
 * The 32 bytes that are signed.
 * @throws RangeError when the password hash or the address is not one
 */
export function bootDigest(domain: BootDomain, message: BootMessage): Uint8Array {
  const separator = keccak256(
    concat([
      DOMAIN_TYPE,
      DOMAIN_NAME,
      DOMAIN_VERSION,
      word(domain.chainId),
      padded(bytesOf(domain.hypermap, 20)),
    ]),
  );
  const struct = keccak256(
    concat([
      BOOT_TYPE,
      hash(message.username),
      bytesOf(message.passwordHash, 32),
      word(message.timestampMs),
      word(Number(message.direct)),
      word(Number(message.reset)),
      word(domain.chainId),
    ]),
  );
  return keccak256(concat([Uint8Array.of(0x19, 0x01), separator, struct]));
}

/** The address whose key made the signature, checksummed; undefined for what no key has made. */
export function signerOf(digest: Uint8Array, signature: Uint8Array): Hex | undefined {
  if (signature.length !== SIGNATURE_BYTES) return undefined;
  const last = signature[SIGNATURE_BYTES - 1]!;
  // 27 and 28 as most wallets write it, 0 and 1 as some do.
  const recovery = last >= 27 ? last - 27 : last;
  if (recovery > 1) return undefined;
  const recovered = new Uint8Array(SIGNATURE_BYTES);
  recovered[0] = recovery;
  recovered.set(signature.subarray(0, SIGNATURE_BYTES - 1), 1);
  try {
    const key = secp256k1.Point.fromBytes(
      secp256k1.recoverPublicKey(recovered, digest, { prehash: false }),
    ).toBytes(false);
    return checksummed(toHex(keccak256(key.subarray(1)).subarray(12)));
  } catch {
    // Out of range, or on no point of the curve.
    return undefined;
  }
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setBigUint64(24, BigInt(value));
  return bytes;
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(32);
  whole.set(bytes, 32 - bytes.length);
  return whole;
}

function bytesOf(text: string, length: number): Uint8Array {
  const bytes = fromHex(text);
  if (bytes?.length !== length) throw new RangeError(`"${text}" is not ${length} bytes of hex`);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
