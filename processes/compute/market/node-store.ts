/** What is kept of providers over restarts: those that the operator named, and how all of them have done (compute-market.md §4.7, §14). */
import type { Sqlite } from '../../lib/sqlite.ts';
import type { Providers } from './providers.ts';
import type { JobRecord } from './record.ts';
import { NEW_NODE } from './reputation.ts';

/** Outcomes of the last 90 days count. */
const WINDOW_MS = 90 * 86_400_000;
const OUTCOMES_MAX = 2_000;

export class NodeStore {
  readonly #database: Sqlite;
  readonly #now: () => number;

  constructor(database: Sqlite, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async load(providers: Providers): Promise<void> {
    const named = await this.#database.all`select node from nodes order by node`;
    for (const { node } of named) providers.add(String(node), 'operator');
    const since = this.#now() - WINDOW_MS;
    for (const { node } of providers.all()) {
      const outcomes = await this.#database.all`select at, price, success from outcomes
        where node = ${node} and at >= ${since} order by at desc limit ${OUTCOMES_MAX}`;
      const audits = await this.#database.all`select at, price, passed from audits
        where node = ${node} and at >= ${since} order by at desc limit ${OUTCOMES_MAX}`;
      if (outcomes.length === 0 && audits.length === 0) continue;
      providers.setEvents(node, {
        ...NEW_NODE,
        outcomes: outcomes.map(({ at, price, success }) => ({
          at: Number(at),
          price: BigInt(String(price)),
          success: Number(success) === 1,
        })),
        audits: audits.map(({ at, price, passed }) => ({
          at: Number(at),
          price: BigInt(String(price)),
          passed: Number(passed) === 1,
        })),
      });
    }
  }

  async add(node: string): Promise<void> {
    await this.#database
      .run`insert into nodes (node, added_at) values (${node}, ${this.#now()}) on conflict(node) do nothing`;
  }

  async remove(node: string): Promise<void> {
    await this.#database.run`delete from nodes where node = ${node}`;
  }

  /**
   * How a job went, once it is over. Free jobs of one's own machine say nothing about it to others, and are left out. Not awaited: a
   * reputation that lacks one job after a crash does no harm.
   */
  outcome(providers: Providers, job: JobRecord, success: boolean): void {
    const { node, payment, jobId, attempt } = job;
    if (node === undefined || (payment.state === 'free' && node.name === providers.local)) return;
    const at = this.#now();
    const price = BigInt(payment.price);
    providers.noteOutcome(node.name, { at, price, success });
    this.#database
      .run`insert into outcomes (node, at, job_id, attempt, price, success) values (${node.name}, ${at}, ${jobId}, ${attempt}, ${String(price)}, ${success}) on conflict do nothing`.catch(
      nothing,
    );
  }

  /** What an audit of a job said. Not awaited: as above. */
  audit(providers: Providers, job: JobRecord, passed: boolean): void {
    const { node, payment, jobId } = job;
    if (node === undefined) return;
    const at = this.#now();
    const price = BigInt(payment.price);
    this.#database.run`insert into audits (node, at, job_id, price, passed)
      values (${node.name}, ${at}, ${jobId}, ${String(price)}, ${passed})
      on conflict(node, job_id) do update set at = excluded.at, passed = excluded.passed`.catch(
      nothing,
    );
    const events = providers.get(node.name)?.events ?? NEW_NODE;
    providers.setEvents(node.name, {
      ...events,
      audits: [...events.audits, { at, price, passed }].slice(-OUTCOMES_MAX),
    });
  }
}

function nothing(): void {}
