/** Signatures of verdicts and resolutions: ours by the signer, those of other verifiers by asking their oracles, as many as the chain wants. */
import { digestOf, type Domain, type Struct, typedDataOf } from '../../../contracts/compute.ts';
import { client, type Client } from '../../lib/client.ts';
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import type { Process } from '../../lib/process.ts';
import type { Signer, TypedData } from '../../lib/signer.ts';
import type { ChainView } from '../shared/chain-view.ts';
import {
  oracleContract,
  type ResolutionRequest,
  type VerdictRequest,
} from '../shared/oracle-contract.ts';
import type { Settings } from '../shared/settings.ts';
import { same } from '../shared/words.ts';
import type { Colleagues } from './colleagues.ts';

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

type Oracle = Client<(typeof oracleContract)['methods']>;

export interface SigningNeeds {
  readonly process: Process<unknown>;
  readonly settings: Settings;
  readonly signer: Signer;
  readonly chain: ChainView;
  readonly domain: Domain;
  readonly colleagues: Colleagues;
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
    const others =
      cosigning === undefined
        ? []
        : await this.#askOthers(digest, (oracle) =>
            oracle.Cosign(cosigning.request, {
              timeoutS: COSIGN_S,
              blob: { mime: undefined, bytes: cosigning.leaves },
            }),
          );
    return this.#enough([ours, ...others], wanted, `the verdict on ${verdict.jobId}`);
  }

  /**
   * By the quorum for disputes. Who has signed is kept, so that they need not be there at once.
   * @throws TooFewSigned  asked again, the others may have come to their judgement
   */
  async resolution(request: ResolutionRequest): Promise<SignedBy[]> {
    const { chain, colleagues, domain } = this.#needs;
    const { resolution, evidence } = request;
    const { dispute: wanted } = await chain.thresholds();
    const ours = await this.sign('Resolution', resolution);
    if (wanted <= 1) return [ours];
    const what = `the resolution of ${resolution.jobId}`;
    const kept = await this.#members(await colleagues.signatures(evidence));
    if (kept.length + 1 >= wanted) return this.#enough([ours, ...kept], wanted, what);
    const digest = digestOf(domain, 'Resolution', resolution);
    const others = await this.#askOthers(digest, (oracle) =>
      oracle.CosignResolution(request, { timeoutS: COSIGN_S }),
    );
    for (const each of others) await colleagues.addSignature(evidence, each);
    return this.#enough([ours, ...unique([...kept, ...others])], wanted, what);
  }

  /** @throws TooFewSigned */
  #enough(all: readonly SignedBy[], wanted: number, what: string): SignedBy[] {
    if (all.length >= wanted) return all.slice(0, wanted);
    throw new TooFewSigned(`${all.length} of ${wanted} verifiers signed ${what}`);
  }

  /** Valid signatures of different verifiers but us, in any order. */
  async #askOthers(
    digest: string,
    ask: (oracle: Oracle) => Promise<SignedBy | undefined>,
  ): Promise<SignedBy[]> {
    const { process, settings, signer } = this.#needs;
    const asked = await Promise.all(
      settings.peers.map(async (node) => {
        try {
          return await ask(client(process, oracleContract, `${node}@oracle:compute:sys`));
        } catch (error) {
          if (!(error instanceof NoResponse || error instanceof RemoteError)) throw error;
          process.print(`oracle: ${node} did not sign: ${String(error)}`, 1);
          return undefined;
        }
      }),
    );
    const given = asked.filter((each) => each !== undefined);
    if (given.length === 0) return [];
    const checked = await signer.verify(
      given.map(({ signer: address, signature }) => ({ digest, signature, address })),
    );
    return this.#members(given.filter((_each, index) => checked[index] === true));
  }

  /** Those that count: one that is no verifier any more, or never was, would have the chain refuse them all. */
  async #members(signed: readonly SignedBy[]): Promise<SignedBy[]> {
    const { chain, verifier } = this.#needs;
    const others = unique(signed).filter(({ signer }) => !same(signer, verifier));
    if (others.length === 0) return [];
    const may = await chain.areVerifiers(others.map(({ signer }) => signer));
    return others.filter((_each, index) => may[index] === true);
  }
}

function unique(signed: readonly SignedBy[]): SignedBy[] {
  return [...new Map(signed.map((each) => [each.signer.toLowerCase(), each])).values()];
}
