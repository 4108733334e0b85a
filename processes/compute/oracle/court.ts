/**
 * Takes every run from the docket to its verdict: gathers and judges, has some run again, signs, hands the verdict to the facilitator, tells
 * the market. Each step is on disk before the next, so a crash repeats at most what is harmless twice (compute-market.md §8.4).
 */
import { OUTCOME, RECEIPT_STATUS, type Struct } from '../../../contracts/compute.ts';
import { PULL_S_MAX, START_S_MAX } from '../../../contracts/compute.ts';
import { FAULTS, type FaultCode } from '../../../wit/jobs/result.ts';
import { attemptsOf, type JobSpec, timeoutOf } from '../../../wit/jobs/spec.ts';
import { client, type Client } from '../../lib/client.ts';
import { contract } from '../../lib/contract.ts';
import { RemoteError } from '../../lib/errors.ts';
import type { Process } from '../../lib/process.ts';
import { sleep } from '../../lib/timers.ts';
import type { ChainView } from '../shared/chain-view.ts';
import { facilitatorContract } from '../shared/facilitator-contract.ts';
import { type GivenVerdict, verdictEventMethods } from '../shared/oracle-contract.ts';
import type { Settings } from '../shared/settings.ts';
import { NOTHING } from '../shared/words.ts';
import { type Audits, outcomeOfReruns, rerunMs } from './audits.ts';
import type { Docket, Run } from './docket.ts';
import { type FactNeeds, gather, specOf } from './facts.ts';
import { failedByClient, judge, type Judgement } from './gates.ts';
import { cosigningOf } from './cosigner.ts';
import { encodeHandOver, type HandOver, handOver } from './hand-over.ts';
import { passes } from './score.ts';
import type { Signing } from './signing.ts';

/** Runs that are worked on at once. */
const AT_ONCE = 8;
/** Tries before a run is given up whose evidence cannot be had, and the first wait, doubled each time, in milliseconds. */
export const TRIES_MAX = 5;
export const TRY_MS = 10_000;
/** Between two looks when nothing rings, in milliseconds. */
const POLL_MS = 10_000;
/** Before what somebody did not take is offered again, in milliseconds, doubled up to the second. */
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 30_000;
const MINUTE_MS = 60_000;
const MARKET_S = 10;

export interface CourtNeeds {
  readonly process: Process<unknown>;
  readonly docket: Docket;
  readonly audits: Audits;
  readonly facts: FactNeeds;
  /** Undefined: no chain is set, and jobs are free. */
  readonly paid:
    | { readonly settings: Settings; readonly chain: ChainView; readonly signing: Signing }
    | undefined;
}

export class Court {
  readonly #needs: CourtNeeds;
  readonly #market: Client<typeof verdictEventMethods>;
  readonly #facilitator: Client<(typeof facilitatorContract)['methods']>;
  readonly #busy = new Set<string>();
  /** When verdicts of the last minute were signed. */
  #signedMs: number[] = [];
  #alarmMs = 0;
  #wakeMs: number | undefined;
  #rung = false;
  #running = false;

  constructor(needs: CourtNeeds) {
    this.#needs = needs;
    const options = { timeoutS: MARKET_S, background: true };
    this.#market = client(
      needs.process,
      contract(verdictEventMethods),
      'market:compute:sys',
      options,
    );
    this.#facilitator = client(
      needs.process,
      facilitatorContract,
      'facilitator:compute:sys',
      options,
    );
  }

  ring(): void {
    this.#rung = true;
    if (this.#running) return;
    this.#running = true;
    this.#work()
      .catch((error: unknown) => this.#print(0, `judging has stopped: ${String(error)}`))
      .finally(() => (this.#running = false));
  }

  async #work(): Promise<void> {
    const { docket } = this.#needs;
    while (this.#rung) {
      this.#rung = false;
      const due = (await docket.due(AT_ONCE * 4)).filter((run) => !this.#busy.has(keyOf(run)));
      for (const run of due.slice(0, AT_ONCE - this.#busy.size)) void this.#take(run);
      if (due.length > 0) continue;
      const next = await docket.nextMs();
      if (next === undefined || this.#busy.size > 0) continue;
      this.#wakeAt(Math.max(Date.now() + 50, Math.min(next, Date.now() + POLL_MS)));
    }
  }

  /** Rings then, unless it does so before; what rings meanwhile is not held up. */
  #wakeAt(ms: number): void {
    if (this.#wakeMs !== undefined && this.#wakeMs <= ms) return;
    this.#wakeMs = ms;
    void sleep(this.#needs.process, ms - Date.now()).then(() => {
      if (this.#wakeMs === ms) this.#wakeMs = undefined;
      this.ring();
    });
  }

  async #take(run: Run): Promise<void> {
    const key = keyOf(run);
    this.#busy.add(key);
    try {
      await this.#step(run);
    } catch (error) {
      await this.#stumble(run, error);
    } finally {
      this.#busy.delete(key);
      this.ring();
    }
  }

  async #step(run: Run): Promise<void> {
    switch (run.state) {
      case 'queued':
        return run.lost === undefined ? this.#judge(run) : this.#close(run);
      case 'auditing':
      case 'disputed':
        return this.#weigh(run);
      case 'signed':
        return this.#handOver(run);
      case 'handed':
        await this.#market.VerdictGiven(run.given!);
        return this.#needs.docket.setState(run, 'told');
      case 'told':
      case 'resolved':
        return undefined;
    }
  }

  /** Infrastructure fails: after five tries evidence that cannot be had is none; everything else is tried for good. */
  async #stumble(run: Run, error: unknown): Promise<void> {
    const { docket } = this.#needs;
    const tries = run.tries + 1;
    this.#print(1, `${run.jobId}: ${run.state}: ${String(error)}`);
    if (run.state !== 'queued') {
      return docket.wait(
        run,
        Math.min(AGAIN_MS_MIN * 2 ** Math.min(run.tries, 10), AGAIN_MS_MAX),
        tries,
      );
    }
    if (tries < TRIES_MAX || run.evidence === undefined)
      return docket.wait(run, TRY_MS * 2 ** Math.min(run.tries, 4), tries);
    await this.#reject(run, {
      code: 'INTERNAL',
      gates: [{ gate: 'G4', message: String(error) }],
    }).catch((again: unknown) => {
      this.#print(1, `${run.jobId}: ${String(again)}`);
      return docket.wait(run, TRY_MS * 2 ** 4, run.tries);
    });
  }

  // ---- verdicts

  async #judge(run: Run): Promise<void> {
    const evidence = run.evidence!;
    if (!this.#mayJudge()) return this.#needs.docket.wait(run, 1_000, run.tries);
    const facts = await gather(evidence, this.#needs.facts);
    const judgement = judge(facts);
    const { status } = evidence.result.receipt;
    if (status === RECEIPT_STATUS.providerError && judgement.gates.length === 0)
      return this.#reject(run, { code: 'INTERNAL', judgement });
    if (!passes(judgement.score, judgement.gates.length))
      return this.#reject(run, { code: 'VERDICT_FAIL', judgement });
    if (evidence.terms !== undefined && (await this.#isPicked(run, facts.receiptHash))) {
      await this.#askForRerun(run, 0);
      return this.#needs.docket.setState(run, 'auditing');
    }
    return this.#pay(run, judgement, undefined);
  }

  async #pay(run: Run, judgement: Judgement, audit: GivenVerdict['audit']): Promise<void> {
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
  async #reject(
    run: Run,
    why: {
      readonly code: FaultCode;
      readonly judgement?: Judgement;
      readonly gates?: GivenVerdict['gates'];
    },
  ): Promise<void> {
    const { terms, spec } = run.evidence ?? run.lost!;
    const retry = await this.#mayRetry(run, specOf({ spec }), why.code);
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

  async #close(run: Run): Promise<void> {
    const { code } = run.lost!;
    // A code that there is none of says nothing of whose fault it was.
    return this.#reject(run, {
      code: Object.hasOwn(FAULTS, code) ? (code as FaultCode) : 'INTERNAL',
    });
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

  // ---- audits and disputes

  async #isPicked(run: Run, receiptHash: string): Promise<boolean> {
    const evidence = run.evidence!;
    const node = await this.#facilitator.Provider({ nodeId: evidence.node.nodeId });
    return this.#needs.audits.isAudited(
      evidence,
      receiptHash,
      run.createdMs,
      node?.reservation ?? 0n,
    );
  }

  async #askForRerun(run: Run, rerun: number): Promise<void> {
    const until = Date.now() + rerunMs(specOf(run.evidence!));
    await this.#needs.docket.addRerun(run.jobId, run.attempt, rerun, until);
  }

  /** What is known of an audit, or of a dispute, by now. */
  async #weigh(run: Run): Promise<void> {
    const { docket, paid } = this.#needs;
    const { jobId, attempt } = run;
    const disputed = run.state === 'disputed';
    const all = await docket.reruns(jobId, attempt);
    const reruns = all.filter(({ rerun }) => rerun >= DISPUTE_RERUN === disputed);
    for (const each of reruns)
      if (!each.told) await this.#wantRerun(run, each.rerun, each.untilMs, all);
    const outcome = outcomeOfReruns(reruns, paid?.settings.auditors ?? 1, Date.now());
    if (outcome === 'go-on') {
      const open = reruns.find((each) => each.outcome === undefined && each.untilMs > Date.now());
      if (open === undefined)
        await this.#askForRerun(run, (disputed ? DISPUTE_RERUN : 0) + reruns.length);
      const waitMs = open === undefined ? 0 : Math.min(open.untilMs - Date.now(), POLL_MS);
      return docket.wait(run, waitMs, 0);
    }
    if (disputed) return this.#resolve(run, outcome);
    if (outcome === 'differed') return this.#convict(run);
    const judgement = judge(await gather(run.evidence!, this.#needs.facts));
    if (!passes(judgement.score, judgement.gates.length))
      return this.#reject(run, { code: 'VERDICT_FAIL', judgement });
    const audit = { kind: outcome === 'agreed' ? 'Agreed' : 'Inconclusive' } as const;
    return this.#pay(run, judgement, audit);
  }

  async #wantRerun(
    run: Run,
    rerun: number,
    until: number,
    all: readonly { readonly operator: string | undefined }[],
  ): Promise<void> {
    const evidence = run.evidence!;
    const node = await this.#facilitator.Provider({ nodeId: evidence.node.nodeId });
    const operators = [node?.operator, ...all.map(({ operator }) => operator)];
    await this.#market.RerunWanted({
      jobId: run.jobId,
      attempt: run.attempt,
      rerun,
      spec: evidence.spec,
      notOperators: [...new Set(operators.filter((each) => each !== undefined))],
      until,
    });
    await this.#needs.docket.rerunTold(run.jobId, run.attempt, rerun);
  }

  /** A false result that was not proposed: the client has its money back, the node loses what it has reserved. */
  async #convict(run: Run): Promise<void> {
    const { paid, docket } = this.#needs;
    const { receipt, signature, receiptHash } = run.evidence!.result;
    // Its deadline may have passed meanwhile.
    const { state } = await paid!.chain.job(run.jobId);
    if (state !== 'assigned') return this.#reject(run, { code: 'VERDICT_FAIL' });
    const resolution = await this.#resolutionOf(run, { upheld: true, payout: 0n });
    const signatures = await paid!.signing.resolution(resolution);
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

  async #resolve(run: Run, outcome: 'agreed' | 'differed' | 'inconclusive'): Promise<void> {
    const { paid, docket } = this.#needs;
    if (outcome !== 'inconclusive') {
      const job = await paid!.chain.job(run.jobId);
      if (job.state === 'disputed') {
        const upheld = outcome === 'differed';
        const resolution = await this.#resolutionOf(run, {
          upheld,
          payout: upheld ? 0n : job.payout,
        });
        const signatures = await paid!.signing.resolution(resolution);
        await this.#facilitator.Resolve({ resolution, signatures });
      }
    }
    // Nothing is proven: after 72 hours the proposal stands.
    await docket.setState(run, 'resolved');
  }

  async #resolutionOf(
    run: Run,
    { upheld, payout }: { readonly upheld: boolean; readonly payout: bigint },
  ): Promise<Struct<'Resolution'>> {
    const { nodeId } = run.evidence!.node;
    const node = await this.#facilitator.Provider({ nodeId });
    return {
      jobId: run.jobId,
      receiptHash: run.evidence!.result.receiptHash,
      upheld,
      payout,
      // The registry takes the job's reservation, whatever is named; nothing where nothing is wrong.
      slash: upheld ? (node?.reservation ?? 0n) || 1n : 0n,
      evidenceHash: await this.#evidenceHash(run),
      issuedAt: BigInt(Math.floor(Date.now() / 1_000)),
    };
  }

  /** Of the reruns: what they came to. */
  async #evidenceHash(run: Run): Promise<string> {
    const reruns = await this.#needs.docket.reruns(run.jobId, run.attempt);
    const text = JSON.stringify(
      reruns.map(({ rerun, operator, outputsRoot, outcome }) => ({
        rerun,
        operator,
        outputsRoot,
        outcome,
      })),
    );
    return this.#needs.facts.signer.keccak256(new TextEncoder().encode(text));
  }

  // ---- telling

  async #handOver(run: Run): Promise<void> {
    const { docket } = this.#needs;
    if (run.signed !== undefined && run.signed !== '') await this.#deliver(handOver(run.signed));
    await docket.setState(run, 'handed');
  }

  async #deliver(what: HandOver): Promise<void> {
    try {
      switch (what.kind) {
        case 'Propose':
          return await this.#facilitator.Propose(what.value);
        case 'Reject':
          return await this.#facilitator.Reject(what.value);
        case 'Convict':
          return await this.#facilitator.Convict(what.value);
      }
    } catch (error) {
      // A node whose chain was taken away from it: there is nothing to send.
      if (!(error instanceof RemoteError) || error.kind !== 'NoSuchJob') throw error;
      this.#print(1, error.message);
    }
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
  #mayJudge(): boolean {
    const most = this.#needs.paid?.settings.verdicts_per_minute;
    if (most === undefined) return true;
    const now = Date.now();
    this.#signedMs = this.#signedMs.filter((ms) => ms > now - MINUTE_MS);
    if (this.#signedMs.length + this.#busy.size <= most) return true;
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

/** Reruns of disputes are counted from here. */
export const DISPUTE_RERUN = 100;

function keyOf({ jobId, attempt }: Pick<Run, 'jobId' | 'attempt'>): string {
  return `${jobId} ${attempt}`;
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
