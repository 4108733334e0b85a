/**
 * Audits (compute-market.md §8.3): what the oracle wants run again, by a node of another operator. It is a free job of the oracle's own; how it
 * ended is told when it is over.
 */
import { NoResponse, type Process, Refusal, sleep } from '../../lib/index.ts';
import type { Artifacts } from './artifacts.ts';
import type { Principal } from './auth.ts';
import { resultOf } from './completion.ts';
import { unsuited } from './matching.ts';
import type { Providers } from './providers.ts';
import type { JobRecord, Rerun } from './record.ts';
import type { Settlement } from './settlement.ts';
import { readSpec } from './specs.ts';
import type { Submissions } from './submissions.ts';

const ORACLE: Principal = { kind: 'operator', owner: 'oracle' };
const TELL_TRIES = 10;
const TELL_AGAIN_MS = 20_000;

export interface RerunsNeeds {
  readonly process: Process<unknown>;
  readonly providers: Providers;
  readonly submissions: Submissions;
  readonly settlement: Settlement;
  readonly artifacts: Artifacts;
}

export class Reruns {
  readonly #needs: RerunsNeeds;

  constructor(needs: RerunsNeeds) {
    this.#needs = needs;
  }

  /** Has it run; fine to hear twice. @throws Refusal NoNodes: nobody else could */
  async wanted(
    rerun: Rerun,
    spec: string,
    wish: { readonly notOperators: readonly string[]; readonly until: number },
  ): Promise<void> {
    const read = readSpec(spec);
    const not = new Set(wish.notOperators.map((operator) => operator.toLowerCase()));
    // Of a node that is not registered nobody knows whose it is.
    const others = this.#needs.providers.all().filter(({ registered, state }) => {
      const operator = registered?.operator.toLowerCase();
      const isOther = operator !== undefined && !not.has(operator);
      return isOther && state !== undefined && unsuited(state, read) === undefined;
    });
    if (others.length === 0) throw new Refusal('NoNodes', 'nobody else who could run it is known');
    const may = new Set(others.map(({ node }) => node));
    const { jobId, attempt, rerun: number } = rerun;
    await this.#needs.submissions.submit({
      principal: ORACLE,
      spec,
      intentId: `rerun-${jobId}-${attempt}-${number}`,
      internal: {
        rerun,
        until: wish.until,
        excluded: this.#needs.providers.all().flatMap(({ node }) => (may.has(node) ? [] : [node])),
      },
    });
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

  async #tell(job: JobRecord, rerun: Rerun): Promise<void> {
    const { process, providers, settlement, artifacts } = this.#needs;
    const { node } = job;
    const operator = providers.get(node?.name ?? '')?.registered?.operator;
    const result = resultOf(job);
    const told = {
      ...rerun,
      node:
        node === undefined || operator === undefined
          ? undefined
          : { name: node.name, nodeId: node.nodeId, operator },
      result,
      artifacts: artifacts.folder,
    };
    for (let tries = 0; tries < TELL_TRIES; tries += 1) {
      try {
        await settlement.rerunDone(told);
        return;
      } catch (error) {
        // The oracle has an end of its own for who does not answer in time.
        if (!(error instanceof NoResponse)) throw error;
        await sleep(process, TELL_AGAIN_MS);
      }
    }
  }
}
