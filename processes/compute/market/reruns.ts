/**
 * Audits (compute-market.md §8.3): what the oracle wants run again, by a node of another operator. It is a free job of the oracle's own; how it
 * ended is told when it is over.
 */
import { type Process, Refusal } from '../../lib/index.ts';
import type { JobSpec } from '../../../wit/jobs/spec.ts';
import type { Artifacts } from './artifacts.ts';
import type { Principal } from './auth.ts';
import { resultOf } from './completion.ts';
import type { Endings } from './endings.ts';
import { AD_MS_MAX, distrusted, unsuited } from './matching.ts';
import type { Providers } from './providers.ts';
import type { JobRecord, Rerun } from './record.ts';
import type { Settlement } from './settlement.ts';
import { readSpec, specOf } from './specs.ts';
import { isOver } from './states.ts';
import type { Submissions } from './submissions.ts';

const ORACLE: Principal = { kind: 'operator', owner: 'oracle' };
/** How long a run waits while none of those who could make it is there, in milliseconds. */
export const AWAY_MS_MAX = 60_000;

export interface RerunsNeeds {
  readonly process: Process<unknown>;
  readonly providers: Providers;
  readonly submissions: Submissions;
  readonly settlement: Settlement;
  readonly artifacts: Artifacts;
  readonly endings: Endings;
  readonly now: () => number;
}

export class Reruns {
  readonly #needs: RerunsNeeds;

  constructor(needs: RerunsNeeds) {
    this.#needs = needs;
  }

  /**
   * Has it run. The oracle asks again until it has heard the end: then that is told once more, or it is ended if nobody is left who could run
   * it. @throws Refusal NoNodes: nobody else could
   */
  async wanted(
    rerun: Rerun,
    spec: string,
    wish: { readonly notOperators: readonly string[]; readonly until: number },
  ): Promise<void> {
    const { providers, submissions } = this.#needs;
    const { jobId, attempt, rerun: number } = rerun;
    const intentId = `rerun-${jobId}-${attempt}-${number}`;
    const known = await submissions.ofIntent(ORACLE.owner, intentId);
    if (known !== undefined) return this.#askedAgain(known);
    const may = this.#others(readSpec(spec), wish.notOperators);
    if (may.size === 0) throw new Refusal('NoNodes', 'nobody else who could run it is known');
    const excluded = providers.all().flatMap(({ node }) => (may.has(node) ? [] : [node]));
    const internal = { rerun, until: wish.until, excluded };
    await submissions.submit({ principal: ORACLE, spec, intentId, internal });
  }

  /** A job is over: if it was one of these, the oracle is told how it ended. */
  over(job: JobRecord): void {
    const { rerun } = job;
    if (rerun === undefined) return;
    const { process } = this.#needs;
    this.#tell(job, rerun).catch((error: unknown) =>
      process.print(`audit of ${rerun.jobId}: ${String(error)}`, 1),
    );
  }

  /** Nodes of other operators that would get such a job; also those that are away, whose machine nobody knows now. */
  #others(spec: JobSpec, notOperators: readonly string[]): ReadonlySet<string> {
    const not = new Set(notOperators.map((operator) => operator.toLowerCase()));
    const others = this.#needs.providers.all().filter((provider) => {
      const { registered, state } = provider;
      // Of a node that is not registered nobody knows whose it is.
      const operator = registered?.operator.toLowerCase();
      if (operator === undefined || not.has(operator) || distrusted(provider) !== undefined)
        return false;
      return state?.device === undefined || unsuited(state, spec) === undefined;
    });
    return new Set(others.map(({ node }) => node));
  }

  async #askedAgain(job: JobRecord): Promise<void> {
    const { endings, now, providers } = this.#needs;
    if (isOver(job.state, job.payment.state)) return this.over(job);
    const waits = job.state === 'escrowed' && job.node === undefined;
    if (!waits || now() - job.times.created < AWAY_MS_MAX) return;
    const spec = specOf(job);
    const left = providers.all().some((provider) => {
      const { node, state, seenAt } = provider;
      const there = state?.paired === true && now() - seenAt <= AD_MS_MAX;
      const may = !(job.excluded ?? []).includes(node) && distrusted(provider) === undefined;
      return there && may && unsuited(state, spec) === undefined;
    });
    if (!left) await endings.cancel(job, 'nobody is left who could run it');
  }

  /** Once: who does not hear it asks again. */
  async #tell(job: JobRecord, rerun: Rerun): Promise<void> {
    const { providers, settlement, artifacts } = this.#needs;
    const { node } = job;
    const operator = providers.get(node?.name ?? '')?.registered?.operator;
    await settlement.rerunDone({
      ...rerun,
      node:
        node === undefined || operator === undefined
          ? undefined
          : { name: node.name, nodeId: node.nodeId, operator },
      result: resultOf(job),
      artifacts: artifacts.folder,
    });
  }
}
