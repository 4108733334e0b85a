/**
 * Worker thread: what takes longer than the node's thread may be held, curve arithmetic and hashes of much. Keys come in for one signature
 * and are overwritten. Loaded by `curve.ts` only.
 */
import { parentPort } from 'node:worker_threads';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { outputsRoot } from '../../contracts/merkle.ts';
import type { HashedFile } from '../../contracts/merkle-tree.ts';
import { keccak256 } from '../../wit/keccak.ts';

export interface SignedDigest {
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
}

export type CurveJob =
  | { readonly kind: 'sign'; readonly secret: Uint8Array; readonly digest: Uint8Array }
  /** Addresses; undefined for what is no signature. */
  | { readonly kind: 'recover'; readonly signed: readonly SignedDigest[] }
  /** Undefined when the secret is no key. */
  | { readonly kind: 'address'; readonly secret: Uint8Array }
  | { readonly kind: 'keccak'; readonly bytes: Uint8Array }
  | { readonly kind: 'root'; readonly files: readonly HashedFile[] };

/** What each kind of job results in. */
export interface CurveResults {
  readonly sign: Uint8Array;
  readonly recover: readonly (Uint8Array | undefined)[];
  readonly address: Uint8Array | undefined;
  readonly keccak: Uint8Array;
  readonly root: Uint8Array;
}

export interface CurveRequest {
  readonly id: number;
  readonly job: CurveJob;
}

export type CurveReply =
  | { readonly id: number; readonly result: CurveResults[keyof CurveResults] }
  | { readonly id: number; readonly failed: true };

/** r, s and v. */
const SIGNATURE_BYTES = 65;
/** What v is above the recovery bit. */
const V_BASE = 27;
const HALF_ORDER = secp256k1.Point.Fn.ORDER / 2n;
const ADDRESS_BYTES = 20;

parentPort?.on('message', ({ id, job }: CurveRequest) => {
  parentPort?.postMessage(reply(id, job));
});

function reply(id: number, job: CurveJob): CurveReply {
  try {
    return { id, result: perform(job) };
  } catch {
    // Whatever it says may have the key in it.
    return { id, failed: true };
  } finally {
    if ('secret' in job) job.secret.fill(0);
  }
}

function perform(job: CurveJob): CurveResults[keyof CurveResults] {
  switch (job.kind) {
    case 'sign':
      return sign(job.secret, job.digest);
    case 'recover':
      return job.signed.map(recover);
    case 'address':
      return secp256k1.utils.isValidSecretKey(job.secret)
        ? addressOf(secp256k1.getPublicKey(job.secret, false))
        : undefined;
    case 'keccak':
      return keccak256(job.bytes);
    case 'root':
      return outputsRoot(job.files);
    default:
      return job satisfies never;
  }
}

/** RFC 6979, s in the lower half. */
function sign(secret: Uint8Array, digest: Uint8Array): Uint8Array {
  const made = secp256k1.sign(digest, secret, { prehash: false, format: 'recovered', lowS: true });
  const signature = new Uint8Array(SIGNATURE_BYTES);
  signature.set(made.subarray(1));
  signature[SIGNATURE_BYTES - 1] = V_BASE + made[0]!;
  return signature;
}

/** As contracts accept them: 65 bytes, v 27 or 28, s in the lower half (compute-market.md §6.3). */
function recover({ digest, signature }: SignedDigest): Uint8Array | undefined {
  const bit = (signature[SIGNATURE_BYTES - 1] ?? 0) - V_BASE;
  if (signature.length !== SIGNATURE_BYTES || (bit !== 0 && bit !== 1)) return undefined;
  const recovered = Uint8Array.of(bit, ...signature.subarray(0, SIGNATURE_BYTES - 1));
  try {
    const parsed = secp256k1.Signature.fromBytes(recovered, 'recovered');
    if (parsed.s > HALF_ORDER) return undefined;
    return addressOf(parsed.recoverPublicKey(digest).toBytes(false));
  } catch {
    return undefined;
  }
}

/** @param key uncompressed */
function addressOf(key: Uint8Array): Uint8Array {
  return keccak256(key.subarray(1)).slice(-ADDRESS_BYTES);
}
