/** Whether receipts are what their hashes name and their executors signed: those of one message together, by the node's signer. */
import type { Domain, JobReceipt } from '../../../contracts/compute.ts';
import type { Signer } from '../../lib/signer.ts';
import { typedDigest } from '../shared/typed-digest.ts';

export interface SignedReceipt {
  readonly domain: Domain;
  readonly receipt: JobReceipt;
  readonly receiptHash: string;
  readonly signature: string;
  /** Address of who is to have signed it. */
  readonly executor: string;
}

export class Receipts {
  readonly #signer: Signer;
  #gathered: { readonly all: SignedReceipt[]; readonly problems: Promise<Problems> } | undefined;

  constructor(signer: Signer) {
    this.#signer = signer;
  }

  /** Why it is not so; undefined: it is. Resolves for all of those that are asked for in one turn at the same time. */
  async problem(receipt: SignedReceipt): Promise<string | undefined> {
    this.#gathered ??= this.#gather();
    const { all, problems } = this.#gathered;
    const at = all.push(receipt) - 1;
    return (await problems)[at];
  }

  #gather(): { readonly all: SignedReceipt[]; readonly problems: Promise<Problems> } {
    const all: SignedReceipt[] = [];
    const problems = Promise.resolve().then(() => {
      this.#gathered = undefined;
      return this.#problems(all);
    });
    return { all, problems };
  }

  async #problems(all: readonly SignedReceipt[]): Promise<Problems> {
    const [digests, signed] = await Promise.all([
      Promise.all(
        all.map(({ domain, receipt }) => typedDigest(this.#signer, domain, 'JobReceipt', receipt)),
      ),
      this.#signer.verify(
        all.map(({ receiptHash, signature, executor }) => ({
          digest: receiptHash,
          signature,
          address: executor,
        })),
      ),
    ]);
    return all.map(({ receiptHash, executor }, at) => {
      if (digests[at] !== receiptHash) return 'its hash is another';
      return signed[at] === true ? undefined : `${executor} has not signed it`;
    });
  }
}

/** In the order in which they were asked for. */
type Problems = readonly (string | undefined)[];
