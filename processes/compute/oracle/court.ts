/**
 * Takes every run from the docket to its verdict: gathers and judges, has some run again, signs, hands the verdict to the facilitator, tells
 * the market. Each step is on disk before the next, so a crash repeats at most what is harmless twice (compute-market.md §8.4).
 */
import { RECEIPT_STATUS, VERDICT_S_MAX } from '../../../contracts/compute.ts';
import { FAULTS, type FaultCode } from '../../../wit/jobs/result.ts';
import { client, type Client } from '../../lib/client.ts';
import { contract } from '../../lib/contract.ts';
import { RemoteError } from '../../lib/errors.ts';
import type { Process } from '../../lib/process.ts';
import { sleep } from '../../lib/timers.ts';
import { Bell } from '../shared/bell.ts';
import type { ChainView } from '../shared/chain-view.ts';
import { facilitatorContract } from '../shared/facilitator-contract.ts';
import { verdictEventMethods } from '../shared/oracle-contract.ts';
import type { Settings } from '../shared/settings.ts';
import { type Audits, outcomeOfReruns, rerunMs } from './audits.ts';
import type { Colleagues } from './colleagues.ts';
import { DISPUTE_RERUN, type Docket, REPLICA_RERUN, type Rerun, type Run } from './docket.ts';
import { type FactNeeds, gather, specOf } from './facts.ts';
import { judge } from './gates.ts';
import { type HandOver, handOver } from './hand-over.ts';
import { passes } from './score.ts';
import { Rulings } from './rulings.ts';
import type { Shown } from './shown.ts';
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
const MARKET_S = 10;

export interface CourtNeeds {
  readonly process: Process<unknown>;
  readonly docket: Docket;
  readonly colleagues: Colleagues;
  readonly shown: Shown;
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
  readonly #rulings: Rulings;
  readonly #bell: Bell;
  readonly #busy = new Set<string>();
  #wakeMs: number | undefined;

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
    this.#rulings = new Rulings({ ...needs, facilitator: this.#facilitator });
    this.#bell = new Bell(
      () => this.#work(),
      (error) => this.#print(0, `judging has stopped: ${String(error)}`),
    );
  }

  ring(): void {
    this.#bell.ring();
  }

  async #work(): Promise<void> {
    const { docket } = this.#needs;
    const due = (await docket.due(AT_ONCE * 4)).filter((run) => !this.#busy.has(keyOf(run)));
    for (const run of due.slice(0, AT_ONCE - this.#busy.size)) void this.#take(run);
    if (due.length > 0) return;
    const next = await docket.nextMs();
    if (next === undefined || this.#busy.size > 0) return;
    this.#wakeAt(Math.max(Date.now() + 50, Math.min(next, Date.now() + POLL_MS)));
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

  async #take(due: Pick<Run, 'jobId' | 'attempt'>): Promise<void> {
    const key = keyOf(due);
    this.#busy.add(key);
    try {
      const run = await this.#needs.docket.run(due.jobId, due.attempt);
      if (run !== undefined)
        await this.#step(run).catch((error: unknown) => this.#stumble(run, error));
    } catch (error) {
      this.#print(1, `${due.jobId}: ${String(error)}`);
      await sleep(this.#needs.process, AGAIN_MS_MIN);
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
      case 'asked':
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
    await this.#rulings
      .reject(run, {
        code: 'INTERNAL',
        gates: [{ gate: 'G4', message: String(error) }],
      })
      .catch((again: unknown) => {
        this.#print(1, `${run.jobId}: ${String(again)}`);
        return docket.wait(run, TRY_MS * 2 ** 4, run.tries);
      });
  }

  // ---- verdicts

  async #judge(run: Run): Promise<void> {
    const evidence = run.evidence!;
    if (!this.#rulings.mayRule(this.#busy.size))
      return this.#needs.docket.wait(run, 1_000, run.tries);
    const facts = await gather(evidence, this.#needs.facts);
    const judgement = judge(facts);
    const { status } = evidence.result.receipt;
    if (status === RECEIPT_STATUS.providerError && judgement.gates.length === 0)
      return this.#rulings.reject(run, { code: 'INTERNAL', judgement });
    if (!passes(judgement.score, judgement.gates.length))
      return this.#rulings.reject(run, { code: 'VERDICT_FAIL', judgement });
    if (evidence.terms !== undefined && (await this.#isPicked(run, facts.receiptHash))) {
      await this.#askForRerun(run, 0);
      return this.#needs.docket.setState(run, 'auditing');
    }
    return this.#rulings.pay(run, judgement, undefined);
  }

  async #close(run: Run): Promise<void> {
    const { code } = run.lost!;
    // A code that there is none of says nothing of whose fault it was.
    return this.#rulings.reject(run, {
      code: Object.hasOwn(FAULTS, code) ? (code as FaultCode) : 'INTERNAL',
    });
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

  /** @returns whether there is time for one: a job that waits for its verdict has a deadline on the chain */
  async #askForRerun(run: Run, rerun: number): Promise<boolean> {
    const evidence = run.evidence!;
    const judged = run.state === 'queued' || run.state === 'auditing';
    const ends = judged && evidence.terms !== undefined;
    const last = ends ? (Number(evidence.terms.deadline) - VERDICT_S_MAX) * 1_000 : Infinity;
    const until = Math.min(Date.now() + rerunMs(specOf(evidence)), last);
    if (until <= Date.now()) return false;
    await this.#needs.docket.addRerun(run.jobId, run.attempt, rerun, until);
    return true;
  }

  /** What is known of an audit, or of a dispute, by now. */
  async #weigh(run: Run): Promise<void> {
    const { docket, colleagues, shown, paid } = this.#needs;
    const { jobId, attempt } = run;
    const disputed = run.state !== 'auditing';
    const isOurs = ({ rerun }: Rerun): boolean => rerun >= DISPUTE_RERUN === disputed;
    const isOpen = (each: Rerun): boolean =>
      each.outcome === undefined && each.untilMs > Date.now();
    const all = await docket.reruns(jobId, attempt);
    // Each time: the market may have died since, or the end of it not have come through.
    const asked = all.filter((each) => isOurs(each) && isOpen(each));
    if (run.peer !== undefined && asked.some(({ told }) => !told)) await shown.bring(run);
    for (const each of asked) await this.#wantRerun(run, each, all);
    const reruns = (await docket.reruns(jobId, attempt)).filter(isOurs);
    const decided = outcomeOfReruns(reruns, paid?.settings.auditors ?? 1, Date.now());
    const open = reruns.find(isOpen);
    if (decided === 'go-on') {
      if (open !== undefined)
        return docket.wait(run, Math.min(open.untilMs - Date.now(), POLL_MS), 0);
      const next = (disputed ? DISPUTE_RERUN : 0) + reruns.length;
      if (await this.#askForRerun(run, next)) return docket.wait(run, 0, 0);
    }
    const outcome = decided === 'go-on' ? 'inconclusive' : decided;
    if (run.state === 'asked') {
      await colleagues.setOpinion(run, outcome);
      return shown.drop(run);
    }
    if (disputed) return this.#rulings.resolve(run, outcome);
    if (outcome === 'differed') return this.#rulings.convict(run);
    // Others came to something else, and not to one and the same: nothing is paid for it, and nothing taken.
    if (outcome === 'inconclusive' && reruns.some(({ rerun }) => rerun >= REPLICA_RERUN))
      return this.#rulings.reject(run, { code: 'VERDICT_FAIL', final: true });
    const judgement = judge(await gather(run.evidence!, this.#needs.facts));
    if (!passes(judgement.score, judgement.gates.length))
      return this.#rulings.reject(run, { code: 'VERDICT_FAIL', judgement });
    const audit = { kind: outcome === 'agreed' ? 'Agreed' : 'Inconclusive' } as const;
    return this.#rulings.pay(run, judgement, audit);
  }

  async #wantRerun(
    run: Run,
    { rerun, untilMs, told }: Rerun,
    all: readonly Rerun[],
  ): Promise<void> {
    const evidence = run.evidence!;
    const node = await this.#facilitator.Provider({ nodeId: evidence.node.nodeId });
    const operators = [node?.operator, ...all.map(({ operator }) => operator)];
    try {
      await this.#market.RerunWanted({
        jobId: run.jobId,
        attempt: run.attempt,
        rerun,
        spec: evidence.spec,
        notOperators: [...new Set(operators.filter((each) => each !== undefined))],
        until: untilMs,
      });
    } catch (error) {
      if (!(error instanceof RemoteError) || error.kind !== 'NoNodes') throw error;
      // Nobody else could run it: that proves nothing.
      const { jobId, attempt } = run;
      const end = { operator: undefined, outcome: 'undecided', outputsRoot: undefined } as const;
      return this.#needs.docket.endRerun({ jobId, attempt, rerun }, end);
    }
    if (!told) await this.#needs.docket.rerunTold(run.jobId, run.attempt, rerun);
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

  #print(verbosity: number, text: string): void {
    this.#needs.process.print(`oracle: ${text}`, verbosity);
  }
}

function keyOf({ jobId, attempt }: Pick<Run, 'jobId' | 'attempt'>): string {
  return `${jobId} ${attempt}`;
}
