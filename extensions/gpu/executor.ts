/**
 * The executor's key (compute-market.md §2): a hot secp256k1 key that signs acceptances and receipts, and nothing else. It lives in a file
 * of this program, 0600, made at its first start; the operator registers its address.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import {
  digestOf,
  type Domain,
  escrowDomain,
  FREE_DOMAIN,
  type Struct,
} from '../../contracts/compute.ts';
import { fromHex, type Hex, toHex } from '../../contracts/hex.ts';
import { checksummed } from '../../contracts/hypermap.ts';
import { keccak256 } from '../../wit/keccak.ts';
import { readPrivate, writeDurable } from './private-file.ts';

const KEY_FILE = 'executor.key';
const SIGNATURE_BYTES = 65;
const V_BASE = 27;

/** What was signed. */
export interface Signed {
  readonly digest: Hex;
  /** r, s and v. */
  readonly signature: Hex;
}

export class Executor {
  readonly address: Hex;
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
    const key = secp256k1.getPublicKey(secret, false);
    this.address = checksummed(toHex(keccak256(key.subarray(1)).slice(-20)));
  }

  /** Reads the key, or makes one. @throws Error when the file is none, or not private */
  static async open(home: string): Promise<Executor> {
    const path = join(home, KEY_FILE);
    const text = await readPrivate(path);
    if (text !== undefined) {
      const secret = fromHex(text.trim());
      if (secret === undefined || !secp256k1.utils.isValidSecretKey(secret))
        throw new Error(`${path} is no key: restore it, or move it away to begin with a new one`);
      return new Executor(secret);
    }
    let secret = new Uint8Array(randomBytes(32));
    while (!secp256k1.utils.isValidSecretKey(secret)) secret = new Uint8Array(randomBytes(32));
    await writeDurable(path, `${toHex(secret)}\n`);
    return new Executor(secret);
  }

  signAcceptance(domain: Domain, acceptance: Struct<'Acceptance'>): Signed {
    return this.#sign(digestOf(domain, 'Acceptance', acceptance));
  }

  signReceipt(domain: Domain, receipt: Struct<'JobReceipt'>): Signed {
    return this.#sign(digestOf(domain, 'JobReceipt', receipt));
  }

  /** RFC 6979, s in the lower half. */
  #sign(digest: Hex): Signed {
    const made = secp256k1.sign(fromHex(digest)!, this.#secret, {
      prehash: false,
      format: 'recovered',
      lowS: true,
    });
    const signature = new Uint8Array(SIGNATURE_BYTES);
    signature.set(made.subarray(1));
    signature[SIGNATURE_BYTES - 1] = V_BASE + made[0]!;
    return { digest, signature: toHex(signature) };
  }
}

/** Whose signatures of a job are: its escrow's, or nobody's contract for a free one. */
export function domainOf(money: { chainId: number; escrow: string } | undefined): Domain {
  return money === undefined ? FREE_DOMAIN : escrowDomain(money.chainId, money.escrow);
}
