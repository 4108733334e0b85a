/**
 * The money of jobs, as the market sees it: it asks `facilitator:compute:sys` for terms and hands on what executors sign, and
 * `oracle:compute:sys` for verdicts. Both keep what they were told and carry it out; what the chain says comes back as events. Without a
 * chain there are free jobs only.
 */
import { client, NoResponse, type Process, RemoteError } from '../../lib/index.ts';
import type { Client } from '../../lib/client.ts';
import { signatureText, structCodec } from '../../../contracts/compute-json.ts';
import {
  type Acceptance,
  type ComputeTerms,
  type Domain,
  escrowDomain,
  FREE_DOMAIN,
} from '../../../contracts/compute.ts';
import { record, type Decoded } from '../../../wit/codec.ts';
import type { Evidence, lostAttempt } from '../shared/oracle-contract.ts';
import { oracleContract } from '../shared/oracle-contract.ts';
import {
  ACCEPTANCE_LEFT_S_MIN,
  facilitatorContract,
  type MoneySettings,
  type OfferedTerms,
  type Payment,
  type Provider,
} from '../shared/facilitator-contract.ts';
import type { moneyPlace } from '../shared/gpu-contract.ts';
import type { JobRecord } from './record.ts';

const FACILITATOR = 'facilitator:compute:sys';
const ORACLE = 'oracle:compute:sys';
const ASK_S = 15;
/** For files to be read and compared. */
const COMPARE_S = 120;
/** Of the registry, a page. */
const PAGE = 100;

const signedAcceptance = record({ value: structCodec('Acceptance'), signature: signatureText });
const agreedTerms = structCodec('ComputeTerms');
type SignedAcceptance = Decoded<typeof signedAcceptance>;

export class Settlement {
  readonly #facilitator: Client<(typeof facilitatorContract)['methods']>;
  readonly #oracle: Client<(typeof oracleContract)['methods']>;
  #settings: MoneySettings | undefined;
  #aheadS = 0;

  constructor(process: Process<unknown>) {
    this.#facilitator = client(process, facilitatorContract, FACILITATOR, { timeoutS: ASK_S });
    this.#oracle = client(process, oracleContract, ORACLE, { timeoutS: ASK_S });
  }

  /** Undefined while there is no chain. */
  get settings(): MoneySettings | undefined {
    return this.#settings;
  }

  /** Seconds that the chain's clock is ahead of ours. */
  get aheadS(): number {
    return this.#aheadS;
  }

  /** Asks what the facilitator is set up with. */
  async refresh(): Promise<void> {
    try {
      const settings = await this.#facilitator.Settings();
      this.#settings = settings;
      this.#aheadS = Math.max(0, Math.ceil(Number(settings.nowS) - Date.now() / 1_000));
    } catch (error) {
      if (!(error instanceof RemoteError) && !(error instanceof NoResponse)) throw error;
      this.#settings = undefined;
    }
  }

  /** Whose signatures the id and the receipts of a job are: the escrow's, or nobody's for a free one, also where there is money. */
  domainOf({ payment }: JobRecord): Domain {
    const [chain = '', escrow = ''] = payment.domain?.split('/') ?? [];
    return payment.domain === undefined ? FREE_DOMAIN : escrowDomain(Number(chain), escrow);
  }

  placeOf(job: JobRecord): Decoded<typeof moneyPlace> | undefined {
    if (job.payment.state === 'free' || this.#settings === undefined) return undefined;
    const { chainId, escrow, token } = this.#settings;
    return { chainId, escrow, token };
  }

  /** What the client agreed to; undefined for a free job. */
  termsOf({ payment }: JobRecord): ComputeTerms | undefined {
    const read = payment.terms === undefined ? undefined : agreedTerms.decode(payment.terms);
    return read?.ok === true ? read.value : undefined;
  }

  /** Why an answer to an offer cannot be taken. */
  acceptanceProblem(
    job: JobRecord,
    executor: string,
    acceptance: Acceptance | undefined,
  ): string | undefined {
    if (job.payment.state === 'free') return undefined;
    if (acceptance === undefined) return 'it accepted a paid job without a signature';
    if (acceptance.jobId.toLowerCase() !== job.jobId) return 'it accepted another job';
    if (acceptance.nodeId.toLowerCase() !== job.node?.nodeId) return 'it accepted as another node';
    if (acceptance.attempt !== job.attempt) return 'it accepted another attempt';
    if (acceptance.price > BigInt(job.payment.price)) return 'it asks for more than was offered';
    return executor === '' ? 'it has no executor' : undefined;
  }

  acceptanceText(acceptance: SignedAcceptance): string {
    return signedAcceptance.stringify(acceptance);
  }

  /** Has the acceptance put on the chain; fine to ask again. @returns why the chain will not have it */
  async assign(job: JobRecord): Promise<string | undefined> {
    const read = signedAcceptance.decode(job.node?.acceptance ?? '');
    if (!read.ok) return 'there is no acceptance';
    const { value, signature } = read.value;
    return refusalOf(this.#facilitator.Assign({ acceptance: value, signature }));
  }

  /** Whether what its node signed is no longer good for the chain. @param nowMs  since 1970 */
  hasRunOut(job: JobRecord, nowMs: number): boolean {
    const read = signedAcceptance.decode(job.node?.acceptance ?? '');
    const untilS = nowMs / 1_000 + this.#aheadS + ACCEPTANCE_LEFT_S_MIN;
    return read.ok && Number(read.value.value.expiresAt) < untilS;
  }

  terms(wanted: {
    readonly client: string;
    readonly intentId: string;
    readonly amount: bigint;
    readonly specHash: string;
    readonly attempts: number;
    readonly timeoutS: number;
    readonly mode: 0 | 1;
  }): Promise<OfferedTerms> {
    return this.#facilitator.Terms({
      ...wanted,
      nodeId: undefined,
      fundWindowS: undefined,
      challengeWindowS: undefined,
    });
  }

  adopt(terms: ComputeTerms): Promise<OfferedTerms> {
    return this.#facilitator.Adopt({ terms });
  }

  fund(jobId: string, payment: Payment): Promise<undefined> {
    return this.#facilitator.Fund({ jobId, payment });
  }

  money(jobId: string): ReturnType<typeof this.facilitator.Money> {
    return this.#facilitator.Money({ jobId });
  }

  get facilitator(): Client<(typeof facilitatorContract)['methods']> {
    return this.#facilitator;
  }

  /** Asks for a verdict; fine to ask again. @returns why it will not be given */
  verify(evidence: Evidence): Promise<string | undefined> {
    return refusalOf(this.#oracle.Verify(evidence));
  }

  /** Asks what becomes of a run that most others differ from; fine to ask again. @returns why that will not be said */
  outvoted(
    outvoted: Parameters<Client<(typeof oracleContract)['methods']>['Outvoted']>[0],
  ): Promise<string | undefined> {
    return refusalOf(this.#oracle.Outvoted(outvoted));
  }

  /** Whether two results are as close as the spec asks. @throws NoResponse, RemoteError */
  async areClose(
    two: Parameters<Client<(typeof oracleContract)['methods']>['Compare']>[0],
  ): Promise<boolean> {
    return (await this.#oracle.Compare(two, { timeoutS: COMPARE_S })).kind === 'Same';
  }

  /** Ends an attempt that left no receipt. */
  close(attempt: Decoded<typeof lostAttempt>): Promise<string | undefined> {
    return refusalOf(this.#oracle.Close(attempt));
  }

  /** How a run that an audit asked for has ended. */
  rerunDone(
    told: Parameters<Client<(typeof oracleContract)['methods']>['RerunDone']>[0],
  ): Promise<undefined> {
    return this.#oracle.RerunDone(told);
  }

  /** Those of the registry that take jobs. Nothing while there is no chain. */
  async *registered(): AsyncGenerator<Provider, void> {
    if (this.#settings === undefined) return;
    for (let after: string | undefined; ;) {
      const page = await this.#facilitator.Providers({ after, limit: PAGE });
      yield* page;
      after = page.at(-1)?.nodeId;
      if (after === undefined || page.length < PAGE) return;
    }
  }
}

/** A refusal as a text; whoever does not answer is asked again later. @throws NoResponse */
async function refusalOf(asked: Promise<unknown>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (error instanceof RemoteError) return `${error.kind}: ${error.message}`;
    throw error;
  }
}
