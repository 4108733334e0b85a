/**
 * Jobs that several nodes run (compute-market.md §4.6). Each run is a job as any other, with terms and money of its own; here is what they
 * have in common: that they go to different operators, and that a result counts, and is paid, once most came to the same. What is decided is
 * decided by the records alone, so that after a crash it is decided again, and the same.
 */
import { NoResponse, type Process, RemoteError } from '../../lib/index.ts';
import { type Completion, resultOf } from './completion.ts';
import type { Endings } from './endings.ts';
import type { Jobs } from './jobs.ts';
import { compareAnswers, decide, majorityOf, mayAnswer, waits } from './majority.ts';
import type { Providers } from './providers.ts';
import type { JobPatch, JobRecord } from './record.ts';
import { codeOfStatus, reasonOf } from './run-end.ts';
import type { Settlement } from './settlement.ts';
import { specOf } from './specs.ts';
import { isOver } from './states.ts';
import type { JobStore } from './store.ts';

export interface ReplicasNeeds {
  readonly process: Process<unknown>;
  readonly jobs: Jobs;
  readonly store: JobStore;
  readonly providers: Providers;
  readonly completion: Completion;
  readonly endings: Endings;
  readonly settlement: Settlement;
  /** The folder of outputs in vfs. */
  readonly artifacts: string;
  readonly now: () => number;
}

interface Group {
  /** By index; as they are on disk. */
  readonly runs: Map<number, JobRecord>;
  /** Pairs that were looked into, by the hashes of their receipts. */
  readonly same: Map<string, boolean>;
  busy: boolean;
  again: boolean;
}

export class Replicas {
  readonly #needs: ReplicasNeeds;
  /** Those of which a run is not over. */
  readonly #groups = new Map<string, Group>();

  constructor(needs: ReplicasNeeds) {
    this.#needs = needs;
  }

  /** Goes on with what there was when the market ended. */
  async load(): Promise<void> {
    for (const job of [...this.#needs.jobs.all()]) {
      const { replica } = job;
      if (replica === undefined || this.#groups.has(keyOf(job))) continue;
      for (const run of await this.#needs.store.runsOf(job)) this.#keep(run);
    }
  }

  /** Looks at what waits; fine to call at any time. */
  look(job: JobRecord): void {
    const group = this.#groups.get(keyOf(job));
    if (group !== undefined) void this.#consider(keyOf(job), group);
  }

  /** A run has changed. */
  changed(run: JobRecord): void {
    if (run.replica === undefined) return;
    this.#keep(run);
    this.look(run);
  }

  /** Operators that have another run of the job: none gets two. */
  takenFor(job: Pick<JobRecord, 'owner' | 'replica'>): ReadonlySet<string> {
    const { jobs, providers } = this.#needs;
    const { replica } = job;
    const taken = new Set<string>();
    if (replica === undefined) return taken;
    for (const [index, kept] of this.#groups.get(keyOf(job))?.runs ?? []) {
      const run = jobs.live(kept.jobId) ?? kept;
      const has = run.state !== 'failed' && run.state !== 'cancelled' && run.state !== 'refunded';
      if (index !== replica.index && run.node !== undefined && has)
        taken.add(providers.operatorOf(run.node.name));
    }
    return taken;
  }

  /** Who came to what most came to, with what; undefined: there was no such result. Without those whose operator is not known yet. */
  against(run: JobRecord): Parameters<Settlement['outvoted']>[0]['others'] | undefined {
    const { providers, artifacts } = this.#needs;
    const runs = [...(this.#groups.get(keyOf(run))?.runs.values() ?? [])];
    const agreeing = runs.filter(({ replica }) => replica?.agrees === true);
    if (agreeing.length === 0) return undefined;
    return agreeing.flatMap((each) => {
      const { node } = each;
      const operator = providers.get(node?.name ?? '')?.registered?.operator;
      const result = resultOf(each);
      if (node === undefined || operator === undefined || result === undefined) return [];
      const { name, nodeId } = node;
      return [{ node: { name, nodeId, operator }, result, artifacts }];
    });
  }

  #keep(run: JobRecord): void {
    const key = keyOf(run);
    const group: Group = this.#groups.get(key) ?? {
      runs: new Map(),
      same: new Map(),
      busy: false,
      again: false,
    };
    // Proof that there is one: only runs of several come here.
    group.runs.set(run.replica!.index, run);
    const over = [...group.runs.values()].every(({ state, payment }) =>
      isOver(state, payment.state),
    );
    if (over && group.runs.size === run.replica!.of) this.#groups.delete(key);
    else this.#groups.set(key, group);
  }

  /** One look at a time of each, and one more if something changed meanwhile. */
  async #consider(key: string, group: Group): Promise<void> {
    group.again = true;
    if (group.busy) return;
    group.busy = true;
    try {
      while (group.again) {
        group.again = false;
        await this.#decide(group);
      }
    } catch (error) {
      // The sweep looks again.
      const level = error instanceof NoResponse || error instanceof RemoteError ? 1 : 0;
      this.#needs.process.print(`job ${key}: its runs are not compared: ${String(error)}`, level);
    } finally {
      group.busy = false;
    }
  }

  async #decide(group: Group): Promise<void> {
    const { endings, now } = this.#needs;
    const runs = [...group.runs.values()];
    const waiting = runs.filter(waits);
    const [one] = waiting;
    if (one?.replica === undefined) return;
    const { of } = one.replica;
    const late = waiting.filter(({ times }) => now() > (times.deadline ?? Infinity));
    if (late.length > 0) {
      for (const run of late) await this.#undecided(run, 'the other runs gave no answer in time');
      return;
    }
    const agreeing = runs.find(({ replica }) => replica?.agrees === true);
    if (agreeing !== undefined) {
      for (const run of waiting) {
        if (await this.#same(group, agreeing, run)) await this.#agreed(run);
        else await this.#outvoted(run, 'most of the runs came to something else');
      }
      return;
    }
    const pairs = new Set<string>();
    for (const [at, first] of waiting.entries())
      for (const second of waiting.slice(at + 1))
        if (await this.#same(group, first, second)) pairs.add(pairOf(first, second));
    const byIndex = new Map(waiting.map((run) => [run.replica!.index, run]));
    const said = { answers: [...byIndex.keys()], open: runs.filter(mayAnswer).length };
    const decision = decide(of, said, (a, b) =>
      pairs.has(pairOf(byIndex.get(a)!, byIndex.get(b)!)),
    );
    if (decision.kind === 'open') return;
    if (decision.kind === 'none') {
      for (const run of waiting)
        await this.#undecided(run, `no ${majorityOf(of)} of ${of} runs came to the same`);
      // What nobody has begun, or paid, is not begun any more.
      for (const run of runs)
        if (run.state === 'pending' || (run.state === 'escrowed' && run.payment.state === 'free'))
          await endings.cancel(run, 'no majority is possible any more');
      return;
    }
    const winners = waiting.filter(({ replica }) => decision.winners.has(replica!.index));
    const others = waiting.filter(({ replica }) => !decision.winners.has(replica!.index));
    for (const run of winners) await this.#agreed(run);
    for (const run of others)
      await this.#outvoted(run, `${winners.length} of ${of} runs came to something else`);
  }

  /** One run of several came to what most came to: it is judged, and paid, as any other. */
  async #agreed(job: JobRecord): Promise<void> {
    const { jobs, endings, completion } = this.#needs;
    const result = resultOf(job);
    if (result === undefined || !this.#isStill(job)) return;
    const { status, exitCode } = result.receipt;
    const code = codeOfStatus(status);
    const patch: JobPatch = { replica: { agrees: true } };
    if (code !== undefined) {
      const message = reasonOf({ status, exitCode }, specOf(job).limits);
      await endings.failed(job, { code, message, exitCode, patch, verdict: 'refund' });
    } else if (job.payment.state === 'free') {
      await completion.accept(job, patch);
      return;
    } else {
      const cause = 'most of the runs came to the same';
      await jobs.change(job.jobId, { cause, patch: { ...patch, substate: 'checking' } });
    }
    await completion.judge(job.jobId);
  }

  /** One run of several came to something else: of a paid one the oracle says what that costs. */
  async #outvoted(job: JobRecord, message: string): Promise<void> {
    const { jobs, endings, completion } = this.#needs;
    if (!this.#isStill(job)) return;
    const patch: JobPatch = { replica: { agrees: false } };
    if (job.payment.state === 'free') {
      await endings.failed(job, {
        code: 'VERDICT_FAIL',
        message,
        patch,
        verdict: 'refund',
      });
      return;
    }
    const change = { cause: message, patch: { ...patch, substate: 'checking' } };
    await jobs.change(job.jobId, change);
    await completion.judge(job.jobId);
  }

  /** Too few runs came to the same: nothing is proven, and the client has its money back. */
  async #undecided(job: JobRecord, message: string): Promise<void> {
    const { endings, completion } = this.#needs;
    if (!this.#isStill(job)) return;
    const patch: JobPatch = { replica: { agrees: false } };
    const code = 'NO_MAJORITY';
    await endings.failed(job, { code, message, patch, verdict: 'refund' });
    await completion.judge(job.jobId);
  }

  /** The chain may have ended it meanwhile. */
  #isStill(job: JobRecord): boolean {
    const now = this.#needs.jobs.live(job.jobId);
    return now !== undefined && waits(now) && now.attempt === job.attempt;
  }

  async #same(group: Group, one: JobRecord, other: JobRecord): Promise<boolean> {
    const key = pairOf(one, other);
    const known = group.same.get(key);
    if (known !== undefined) return known;
    const [first, second] = [resultOf(one), resultOf(other)];
    if (first === undefined || second === undefined) return false;
    const found = compareAnswers(first, second, specOf(one).verify?.mode ?? 'exact');
    const same =
      found === 'look'
        ? await this.#needs.settlement.areClose({
            spec: one.spec,
            first,
            second,
            artifacts: this.#needs.artifacts,
          })
        : found === 'same';
    group.same.set(key, same);
    return same;
  }
}

function keyOf({ owner, replica }: Pick<JobRecord, 'owner' | 'replica'>): string {
  return `${owner} ${replica?.group}`;
}

/** In either order. */
function pairOf(one: JobRecord, other: JobRecord): string {
  const name = ({ jobId, attempt }: JobRecord): string => `${jobId} ${attempt}`;
  return [name(one), name(other)].toSorted().join(' ');
}
