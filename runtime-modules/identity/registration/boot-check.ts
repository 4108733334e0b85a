/**
 * Whether a boot may go ahead (F31): signed by the owner of the name, for this chain, just now, for the first time; and the name's
 * networking key on chain is the one of this boot. The last is what ties a signature to this node: one that was made for another, or
 * seen on its way, is worth nothing here.
 */
import { encodeCall } from '../../../contracts/calls.ts';
import { fromHex, toHex } from '../../../contracts/hex.ts';
import type { Decoded } from '../../../wit/codec.ts';
import type { Clock } from '../../shared/clock.ts';
import { type bootInfo, isPasswordHash } from './bodies.ts';
import { bootDigest, signerOf } from './boot-message.ts';
import { BOOT_ROUND_MS, BOOT_ROUNDS_MAX, SIGNATURE_AGE_MS_MAX } from './limits.ts';
import { splitName } from './name-state.ts';
import { type Namespace, readErrorText } from './namespace.ts';
import type { Refusal } from './registration.ts';

export type BootInfo = Decoded<typeof bootInfo>;

export interface BootCheckNeeds {
  readonly namespace: Namespace;
  readonly clock: Clock;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
}

/** `isValidSignature(bytes32,bytes)` of ERC-1271, which is also what it returns for yes. */
const IS_VALID_SIGNATURE = '1626ba7e';

export class BootCheck {
  readonly #needs: BootCheckNeeds;
  /** Digests, not signatures: there is more than one signature of one message. */
  readonly #used = new Set<string>();

  constructor(needs: BootCheckNeeds) {
    this.#needs = needs;
  }

  /** Undefined: it may. Its signature is used up then. */
  async run(info: BootInfo, publicKeyHex: string): Promise<Refusal | undefined> {
    const { chainId, hypermap } = this.#needs.namespace.place;
    const timestampMs = Number(info.timestamp);
    if (Math.abs(this.#needs.wallMs() - timestampMs) > SIGNATURE_AGE_MS_MAX)
      return refusal('Timestamp is outdated. Sign again; if that does not help, set the clock.');
    if (!isPasswordHash(info.password_hash)) return refusal('The password hash is not 32 bytes.');
    if (BigInt(info.chain_id) !== BigInt(chainId))
      return refusal(`Signed for chain ${info.chain_id}, but this node uses chain ${chainId}.`);
    if (splitName(info.username) === undefined) return refusal('That is no name of a node.');
    const signature = fromHex(info.signature);
    if (signature === undefined) return { status: 404, text: 'The signature is not hex.' };
    const digest = bootDigest(
      { chainId, hypermap },
      {
        username: info.username,
        passwordHash: info.password_hash,
        timestampMs,
        direct: info.direct,
        reset: info.reset,
      },
    );
    const key = toHex(digest);
    if (this.#used.has(key)) return refusal('This signature has been used already.');
    const refused = await this.#onChain(info.username, publicKeyHex, { digest, signature });
    if (refused === undefined) this.#used.add(key);
    return refused;
  }

  /** Asked several times: the wallet's provider may know of a block before ours does. */
  async #onChain(
    name: string,
    publicKeyHex: string,
    signed: { digest: Uint8Array; signature: Uint8Array },
  ): Promise<Refusal | undefined> {
    let refused: Refusal | undefined;
    for (let round = 0; round < BOOT_ROUNDS_MAX; round++) {
      if (round > 0) await this.#pause();
      const read = await this.#needs.namespace.node(name);
      if (!read.ok) {
        refused = {
          status: read.error.kind === 'disagree' ? 502 : 503,
          text: readErrorText(read.error),
        };
      } else if (read.value === undefined) {
        refused = refusal(`Nobody has the name ${name}.`);
      } else if (!(await this.#signedBy(read.value.owner, signed))) {
        refused = refusal('Recovered address does not match owner.');
      } else if (read.value.netKey !== publicKeyHex) {
        refused = refusal(
          `The networking key of ${name} on chain is not the one of this node. Reset its keys from here.`,
        );
      } else {
        return undefined;
      }
    }
    return refused;
  }

  async #signedBy(
    owner: string,
    { digest, signature }: { digest: Uint8Array; signature: Uint8Array },
  ): Promise<boolean> {
    if (signerOf(digest, signature)?.toLowerCase() === owner.toLowerCase()) return true;
    // An account with code says itself which signatures are its own.
    const words = encodeCall(IS_VALID_SIGNATURE, [
      BigInt(toHex(digest)),
      64n,
      BigInt(signature.length),
    ]);
    const digits = toHex(signature).slice(2);
    const data = words + digits.padEnd(Math.ceil(digits.length / 64) * 64, '0');
    const answer = await this.#needs.namespace.reads.call({ to: owner, data });
    return answer.ok && answer.value === `0x${IS_VALID_SIGNATURE}${'0'.repeat(56)}`;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#needs.clock.schedule(resolve, BOOT_ROUND_MS));
  }
}

function refusal(text: string): Refusal {
  return { status: 401, text };
}
