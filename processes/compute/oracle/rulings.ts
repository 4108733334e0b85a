/**
 * What comes out of a judgement: payment, another attempt, the refund, a conviction, the end of a dispute. Each is signed and put on the docket
 * with what the facilitator is to send; from then on it stands.
 */
import {
  OUTCOME,
  PULL_S_MAX,
  RECEIPT_STATUS,
  START_S_MAX,
  type Struct,
} from '../../../contracts/compute.ts';
import { FAULTS, type FaultCode } from '../../../wit/jobs/result.ts';
import { attemptsOf, type JobSpec, timeoutOf } from '../../../wit/jobs/spec.ts';
import type { Client } from '../../lib/client.ts';
import type { Process } from '../../lib/process.ts';
import type { ChainView } from '../shared/chain-view.ts';
import type { facilitatorContract } from '../shared/facilitator-contract.ts';
import type { GivenVerdict } from '../shared/oracle-contract.ts';
import type { Settings } from '../shared/settings.ts';
import { NOTHING } from '../shared/words.ts';
import { cosigningOf } from './cosigner.ts';
import type { Colleagues } from './colleagues.ts';
import type { Docket, Run } from './docket.ts';
import { type FactNeeds, specOf } from './facts.ts';
import { failedByClient, type Judgement } from './gates.ts';
import { encodeHandOver } from './hand-over.ts';
import type { SignedBy, Signing } from './signing.ts';

const MINUTE_MS = 60_000;

export interface RulingNeeds {
  readonly process: Process<unknown>;
  readonly docket: Docket;
  readonly colleagues: Colleagues;
  readonly facts: FactNeeds;
  /** Undefined: no chain is set, and jobs are free. */
  readonly paid:
    | { readonly settings: Settings; readonly chain: ChainView; readonly signing: Signing }
    | undefined;
  readonly facilitator: Client<(typeof facilitatorContract)['methods']>;
}

export class Rulings {
  readonly #needs: RulingNeeds;
  /** When verdicts of the last minute were signed. */
  #signedMs: number[] = [];
  #alarmMs = 0;

  constructor(needs: RulingNeeds) {
    this.#needs = needs;
  }

  async pay(run: Run, judgement: Judgement, audit: GivenVerdict['audit']): Promise<void> {
    const evidence = run.evidence!;
    const { receipt, signature, receiptHash } = evidence.result;
    const given: GivenVerdict = {
      ...this.#verdictOf(run, judgement),
      outcome: { kind: 'Pay' },
      payout: evidence.terms === undefined ? 0n : judgement.payout,
      code: codeOf(receipt.status),
      audit,
    };
    const { paid, docket } = this.#needs;
    if (evidence.terms === undefined || paid === undefined) return docket.setSigned(given, '');
    const verdict = { ...plainVerdict(given), receiptHash, outcome: OUTCOME.pay };
    const cosigning = await cosigningOf(this.#needs.process, evidence, verdict, this.#others());
    const signatures = await paid.signing.verdict(verdict, cosigning);
    this.#signedMs.push(Date.now());
    const value = { receipt, signature, verdict, signatures };
    await docket.setSigned(given, encodeHandOver({ kind: 'Propose', value }));
  }

  /** Another attempt, or the refund. */
  async reject(
    run: Run,
    why: {
      readonly code: FaultCode;
      readonly judgement?: Judgement;
      readonly gates?: GivenVerdict['gates'];
      /** Another attempt would change nothing. */
      readonly final?: boolean;
    },
  ): Promise<void> {
    const { terms, spec } = run.evidence ?? run.lost!;
    const retry = why.final !== true && (await this.#mayRetry(run, specOf({ spec }), why.code));
    const given: GivenVerdict = {
      ...this.#verdictOf(run, why.judgement),
      outcome: { kind: retry ? 'Retry' : 'Refund' },
      payout: 0n,
      code: why.code,
      ...(why.gates === undefined ? {} : { gates: why.gates }),
    };
    const { paid, docket } = this.#needs;
    if (terms === undefined || paid === undefined) return docket.setSigned(given, '');
    const job = await paid.chain.job(run.jobId);
    // Not assigned on the chain: there is nothing to take back there, or the deadline does it.
    if (job.state !== 'assigned' || job.attempt !== run.attempt) return docket.setSigned(given, '');
    const verdict = {
      ...plainVerdict(given),
      receiptHash: run.evidence?.result.receiptHash ?? NOTHING,
      outcome: retry ? OUTCOME.retry : OUTCOME.refund,
    };
    const cosigning =
      run.evidence &&
      (await cosigningOf(this.#needs.process, run.evidence, verdict, this.#others()));
    const signatures = await paid.signing.verdict(verdict, cosigning);
    this.#signedMs.push(Date.now());
    await docket.setSigned(
      given,
      encodeHandOver({ kind: 'Reject', value: { verdict, signatures } }),
    );
  }

  /** Attempts are left, the spec and the fault allow it, and there is time for one. */
  async #mayRetry(run: Run, spec: JobSpec, code: FaultCode): Promise<boolean> {
    if (!FAULTS[code].retry || run.attempt + 1 >= attemptsOf(spec)) return false;
    if (run.lost !== undefined && !run.lost.mayRetry) return false;
    if (code === 'VERDICT_FAIL' && spec.retry?.onVerdictFail === 'refund') return false;
    const terms = run.evidence?.terms ?? run.lost?.terms;
    if (terms === undefined || this.#needs.paid === undefined) return true;
    const { timestamp } = await this.#needs.paid.chain.head();
    const nowS = Math.max(timestamp, Math.floor(Date.now() / 1_000));
    return nowS + timeoutOf(spec) + PULL_S_MAX + START_S_MAX < Number(terms.deadline);
  }

  /** A false result that was not proposed: the client has its money back, the node loses what it has reserved. */
  async convict(run: Run): Promise<void> {
    const { paid, docket } = this.#needs;
    const { receipt, signature, receiptHash } = run.evidence!.result;
    // Its deadline may have passed meanwhile.
    const { state } = await paid!.chain.job(run.jobId);
    if (state !== 'assigned') return this.reject(run, { code: 'VERDICT_FAIL' });
    const { resolution, signatures } = await this.#resolved(run, { upheld: true, payout: 0n });
    const given: GivenVerdict = {
      ...this.#verdictOf(run, undefined),
      outcome: { kind: 'Convicted' },
      payout: 0n,
      code: 'VERDICT_FAIL',
      receiptHash,
      audit: { kind: 'Differed' },
    };
    const value = { receipt, signature, resolution, signatures };
    await docket.setSigned(given, encodeHandOver({ kind: 'Convict', value }));
    this.#print(
      0,
      `${run.jobId}: the result of ${run.evidence!.node.name} is false: it is slashed`,
    );
  }

  async resolve(run: Run, outcome: 'agreed' | 'differed' | 'inconclusive'): Promise<void> {
    const { paid, docket } = this.#needs;
    if (outcome !== 'inconclusive') {
      const job = await paid!.chain.job(run.jobId);
      if (job.state === 'disputed') {
        const upheld = outcome === 'differed';
        const payout = upheld ? 0n : job.payout;
        await this.#needs.facilitator.Resolve(await this.#resolved(run, { upheld, payout }));
      }
    }
    // Nothing is proven: after 72 hours the proposal stands.
    await docket.setState(run, 'resolved');
  }

  /**
   * With the signatures of the quorum, which others give as they come to their judgement: what they sign is kept, and is the same whenever
   * they are asked. @throws TooFewSigned
   */
  async #resolved(
    run: Run,
    outcome: { readonly upheld: boolean; readonly payout: bigint },
  ): Promise<{ resolution: Struct<'Resolution'>; signatures: SignedBy[] }> {
    const { colleagues, paid } = this.#needs;
    let kept = await colleagues.resolution(run);
    if (kept === undefined) {
      const reruns = await this.#rerunsOf(run);
      kept = { resolution: await this.#resolutionOf(run, outcome, reruns), reruns };
      await colleagues.addResolution(run, kept);
    }
    const signatures = await paid!.signing.resolution({ evidence: run.evidence!, ...kept });
    return { resolution: kept.resolution, signatures };
  }

  async #resolutionOf(
    run: Run,
    { upheld, payout }: { readonly upheld: boolean; readonly payout: bigint },
    reruns: string,
  ): Promise<Struct<'Resolution'>> {
    const { nodeId } = run.evidence!.node;
    const node = await this.#needs.facilitator.Provider({ nodeId });
    return {
      jobId: run.jobId,
      receiptHash: run.evidence!.result.receiptHash,
      upheld,
      payout,
      // The registry takes the job's reservation, whatever is named; nothing where nothing is wrong.
      slash: upheld ? (node?.reservation ?? 0n) || 1n : 0n,
      evidenceHash: await this.#needs.facts.signer.keccak256(new TextEncoder().encode(reruns)),
      issuedAt: BigInt(Math.floor(Date.now() / 1_000)),
    };
  }

  /** What reruns came to. */
  async #rerunsOf(run: Run): Promise<string> {
    const reruns = await this.#needs.docket.reruns(run.jobId, run.attempt);
    return JSON.stringify(
      reruns.map(({ rerun, operator, outputsRoot, outcome }) => ({
        rerun,
        operator,
        outputsRoot,
        outcome,
      })),
    );
  }

  #verdictOf(run: Run, judgement: Judgement | undefined): GivenVerdict {
    return {
      jobId: run.jobId,
      attempt: run.attempt,
      outcome: { kind: 'Refund' },
      payout: 0n,
      scoreBps: judgement?.score.scoreBps ?? 0,
      checks: judgement?.score.checks ?? 0,
      code: undefined,
      gates: judgement?.gates ?? [],
      receiptHash: run.evidence?.result.receiptHash,
      audit: undefined,
    };
  }

  #others(): boolean {
    return (this.#needs.paid?.settings.peers.length ?? 0) > 0;
  }

  /** Whether another verdict may be signed in this minute; the owner hears of more, once a minute. */
  mayRule(underWay: number): boolean {
    const most = this.#needs.paid?.settings.verdicts_per_minute;
    if (most === undefined) return true;
    const now = Date.now();
    this.#signedMs = this.#signedMs.filter((ms) => ms > now - MINUTE_MS);
    if (this.#signedMs.length + underWay <= most) return true;
    if (now - this.#alarmMs > MINUTE_MS) {
      this.#alarmMs = now;
      this.#print(
        0,
        `ALARM: more than ${most} verdicts in a minute are asked for; they wait. If that is more than your market has jobs, somebody drives it.`,
      );
    }
    return false;
  }

  #print(verbosity: number, text: string): void {
    this.#needs.process.print(`oracle: ${text}`, verbosity);
  }
}

/** What the receipt of a run that failed is called; undefined: it did not. */
function codeOf(status: number): FaultCode | undefined {
  if (!failedByClient(status)) return undefined;
  const { exitCode, timeout, outOfMemory, outputLimit } = RECEIPT_STATUS;
  switch (status) {
    case exitCode:
      return 'EXIT_NONZERO';
    case timeout:
      return 'TIMEOUT';
    case outOfMemory:
      return 'OOM';
    case outputLimit:
      return 'OUTPUT_LIMIT';
    default:
      return 'CANCELLED';
  }
}

/** Without hash and outcome. */
function plainVerdict(given: GivenVerdict): Omit<Struct<'Verdict'>, 'receiptHash' | 'outcome'> {
  return {
    jobId: given.jobId,
    attempt: given.attempt,
    scoreBps: given.scoreBps,
    checks: given.checks,
    payout: given.payout,
    issuedAt: BigInt(Math.floor(Date.now() / 1_000)),
  };
}
