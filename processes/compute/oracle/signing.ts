/** Signatures of verdicts: ours by the signer, those of other verifiers by asking their oracles, as many as the chain wants. */
import { digestOf, type Domain, type Struct, typedDataOf } from '../../../contracts/compute.ts';
import { client } from '../../lib/client.ts';
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import type { Process } from '../../lib/process.ts';
import type { Signer, TypedData } from '../../lib/signer.ts';
import type { ChainView } from '../shared/chain-view.ts';
import { oracleContract, type VerdictRequest } from '../shared/oracle-contract.ts';
import type { Settings } from '../shared/settings.ts';
import { same } from '../shared/words.ts';

/** Seconds that another verifier has. */
const COSIGN_S = 60;

export interface SignedBy {
  readonly signer: string;
  readonly signature: string;
}

/** Fewer verifiers signed than the chain wants. */
export class TooFewSigned extends Error {
  override readonly name = 'TooFewSigned';
}

/** What is asked of the other verifiers: the verdict with its evidence, and the leaves of the log. */
export interface Cosigning {
  readonly request: VerdictRequest;
  readonly leaves: Uint8Array;
}

export interface SigningNeeds {
  readonly process: Process<unknown>;
  readonly settings: Settings;
  readonly signer: Signer;
  readonly chain: ChainView;
  readonly domain: Domain;
  /** The address of our key. */
  readonly verifier: string;
}

export class Signing {
  readonly #needs: SigningNeeds;

  constructor(needs: SigningNeeds) {
    this.#needs = needs;
  }

  /** Ours alone. */
  async sign<N extends 'Verdict' | 'Resolution'>(name: N, value: Struct<N>): Promise<SignedBy> {
    const { signer, settings, domain, verifier } = this.#needs;
    // Proof of the type: what wallets take is what the signer takes.
    const data = typedDataOf(domain, name, value) as TypedData;
    return { signer: verifier, signature: await signer.signTypedData(settings.verifier_key, data) };
  }

  /**
   * With as many others as the chain wants.
   * @param cosigning  undefined where others could not come to their own verdict
   * @throws TooFewSigned
   */
  async verdict(verdict: Struct<'Verdict'>, cosigning: Cosigning | undefined): Promise<SignedBy[]> {
    const { verdict: wanted } = await this.#needs.chain.thresholds();
    const ours = await this.sign('Verdict', verdict);
    if (wanted <= 1) return [ours];
    const digest = digestOf(this.#needs.domain, 'Verdict', verdict);
    const others = cosigning === undefined ? [] : await this.#askOthers(digest, cosigning);
    const all = [ours, ...others];
    if (all.length >= wanted) return all.slice(0, wanted);
    throw new TooFewSigned(
      `${all.length} of ${wanted} verifiers signed the verdict on ${verdict.jobId}`,
    );
  }

  /** By the quorum for disputes. @throws TooFewSigned */
  async resolution(resolution: Struct<'Resolution'>): Promise<SignedBy[]> {
    const { dispute: wanted } = await this.#needs.chain.thresholds();
    if (wanted > 1)
      throw new TooFewSigned(`a resolution needs ${wanted} verifiers, who run the job themselves`);
    return [await this.sign('Resolution', resolution)];
  }

  /** Valid signatures of different members, in any order. */
  async #askOthers(digest: string, { request, leaves }: Cosigning): Promise<SignedBy[]> {
    const { process, settings, signer, verifier } = this.#needs;
    const asked = await Promise.all(
      settings.peers.map(async (node) => {
        const oracle = client(process, oracleContract, `${node}@oracle:compute:sys`);
        try {
          return await oracle.Cosign(request, {
            timeoutS: COSIGN_S,
            blob: { mime: undefined, bytes: leaves },
          });
        } catch (error) {
          if (!(error instanceof NoResponse || error instanceof RemoteError)) throw error;
          process.print(`oracle: ${node} did not sign: ${String(error)}`, 1);
          return undefined;
        }
      }),
    );
    const given = asked.filter((each) => each !== undefined);
    const checked = await signer.verify(
      given.map(({ signer: address, signature }) => ({ digest, signature, address })),
    );
    const valid = given.filter(
      ({ signer: address }, index) => checked[index] === true && !same(address, verifier),
    );
    return [...new Map(valid.map((each) => [each.signer.toLowerCase(), each])).values()];
  }
}
