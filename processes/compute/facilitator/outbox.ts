/**
 * What is to be done on the chain: wishes, on disk before they are acknowledged, sent in batches of one transaction each without waiting
 * for blocks in between. A wish that is made twice is one. The escrow decides what may be done, so nothing here can pay twice; what it
 * refuses for good becomes the job's trouble. Wishes of one job are sent in the order in which they were made.
 */
import type { ComputeError } from '../../../contracts/compute-errors.ts';
import { EthError } from '../../lib/eth.ts';
import { NoResponse } from '../../lib/errors.ts';
import type { Caller } from '../../lib/modules.ts';
import { SignerError } from '../../lib/signer.ts';
import type { Row } from '../../lib/sqlite.ts';
import { sleep } from '../../lib/timers.ts';
import { Bell } from '../shared/bell.ts';
import {
  CALLS_MAX,
  callOf,
  errorOf,
  type Kept,
  takeTogether,
  type Wish,
  type WishKind,
} from './batches.ts';
import type { Book } from './book.ts';
import { isClosed } from './money.ts';
import { type Outcome, type Post, UNDER_WAY_MAX } from './post.ts';
import type { Settings } from '../shared/settings.ts';

/** How often a wish is sent when the chain refuses it for the moment. */
const TRIES_MAX = 8;
/** Before it is sent again, in milliseconds, doubled each time. */
const AGAIN_MS = 2_000;
/** Between two looks at what is under way, in milliseconds. */
const LOOK_MS = 100;
/** While something is under way, what is wanted waits so long for more of it, in milliseconds: together it costs less gas and fewer blocks. */
const GATHER_MS = 100;
/** Before what nobody waits for is tried again, in milliseconds. */
const QUIET_MS = 600_000;
/** Before a provider or the signer that failed is asked again, in milliseconds. */
const RETRY_MS = 3_000;

/** Refusals that time may cure. */
const PASSING: ReadonlySet<ComputeError> = new Set([
  'WindowOpen',
  'NotExpired',
  'EnforcedPause',
  'NoReason',
  'UnderFunded',
]);
/** Refusals that mean, once the job has moved on, that somebody else did it. */
const OVERTAKEN: ReadonlySet<ComputeError> = new Set([
  'BadState',
  'WrongAttempt',
  'NothingToWithdraw',
]);

export interface OutboxNeeds {
  readonly caller: Caller;
  readonly settings: Settings;
  readonly book: Book;
  readonly post: Post;
  /** Something was mined. */
  readonly mined: () => void;
}

export class Outbox {
  readonly #needs: OutboxNeeds;
  readonly #bell: Bell;
  #reported = '';
  /** Until when more is waited for. */
  #gatheredMs: number | undefined;

  constructor(needs: OutboxNeeds) {
    this.#needs = needs;
    this.#bell = new Bell(
      () => this.#work(),
      (error) => this.#print(0, `sending has stopped: ${String(error)}`),
    );
  }

  /** Resolves once it is on disk. One that has failed is wanted again, and a payment that is done and is not there. */
  async add(wish: Wish): Promise<void> {
    const { book } = this.#needs;
    const { jobId, kind, to, data } = wish;
    await book.db
      .run`insert into wishes (job_id, kind, target, data) values (${jobId}, ${kind}, ${to}, ${data})
      on conflict (job_id, kind, data) do update set state = 'wanted', tx = null, tries = 0, not_before_ms = 0, error = null
        where state = 'failed' or (state = 'done' and kind in ('fund', 'transfer')
          and exists (select 1 from jobs where jobs.job_id = wishes.job_id and jobs.state = 'none'))`;
    this.ring();
  }

  /** The same of one that nobody waits for: what has failed is tried again after a while only. */
  async addQuietly({ jobId, kind, to, data }: Wish): Promise<void> {
    const { book } = this.#needs;
    const before = Date.now() - QUIET_MS;
    await book.db
      .run`insert into wishes (job_id, kind, target, data) values (${jobId}, ${kind}, ${to}, ${data})
      on conflict (job_id, kind, data) do update set state = 'wanted', tries = 0, not_before_ms = 0, error = null
        where state = 'failed' and not_before_ms < ${before}`;
    this.ring();
  }

  /** Whether a wish is there that is carried out, or will be. */
  async has({ jobId, kind, data }: Pick<Wish, 'jobId' | 'kind' | 'data'>): Promise<boolean> {
    const row = await this.#needs.book.db.get`select id from wishes
      where job_id = ${jobId} and kind = ${kind} and data = ${data} and state <> 'failed'`;
    return row !== undefined;
  }

  ring(): void {
    this.#bell.ring();
  }

  async #work(): Promise<void> {
    try {
      await this.#look();
      while (await this.#sendSome()) await this.#look();
      if (await this.#pending()) {
        this.#bell.ring();
        await sleep(this.#needs.caller, LOOK_MS);
      }
      this.#reported = '';
    } catch (error) {
      this.#report(error);
      this.#bell.ring();
      await sleep(this.#needs.caller, RETRY_MS);
    }
  }

  async #pending(): Promise<boolean> {
    const row = await this.#needs.book.db
      .get`select count(*) as n from wishes where state in ('wanted', 'sent')`;
    return Number(row?.['n']) > 0 || (await this.#needs.post.underWay()) > 0;
  }

  /** One transaction. @returns whether there may be another one to send */
  async #sendSome(): Promise<boolean> {
    const { book, post, settings } = this.#needs;
    const underWay = await post.underWay();
    if (underWay >= UNDER_WAY_MAX) return false;
    const rows = await book.db.all`select * from wishes
      where state = 'wanted' and not_before_ms <= ${Date.now()} order by id limit ${CALLS_MAX}`;
    const due = rows.map(keptOf);
    const [first] = due;
    if (first === undefined || !this.#isGathered(due.length, underWay)) return false;
    const together = takeTogether(due, { escrow: settings.escrow, aggregates: post.aggregates });
    if (together.length === 0) return false;
    await post.send(callOf(together, settings.escrow), async (id, run) => {
      const ids = JSON.stringify(together.map((wish) => wish.id));
      await run`update wishes set state = 'sent', tx = ${id}, tries = tries + 1,
          place = (select key from json_each(${ids}) where value = wishes.id)
        where id in (select value from json_each(${ids}))`;
    });
    return true;
  }

  /** Whether what is wanted goes now. */
  #isGathered(wanted: number, underWay: number): boolean {
    this.#gatheredMs ??= Date.now() + GATHER_MS;
    if (underWay > 0 && wanted < CALLS_MAX && Date.now() < this.#gatheredMs) return false;
    this.#gatheredMs = undefined;
    return true;
  }

  async #look(): Promise<void> {
    const outcomes = await this.#needs.post.look();
    for (const outcome of outcomes) await this.#settle(outcome);
    if (outcomes.length > 0) this.#needs.mined();
  }

  async #settle(outcome: Outcome): Promise<void> {
    const { book, post, settings } = this.#needs;
    const rows = await book.db
      .all`select * from wishes where tx = ${outcome.id} and state in ('sent', 'done')`;
    const wishes = rows.map(keptOf);
    const verdicts = await Promise.all(
      wishes.map(async (wish) => {
        const error = errorOf(wish, outcome, settings.escrow);
        const refused = error !== undefined;
        const overtaken = refused && (await this.#overtaken(wish));
        return { wish, error, overtaken, early: refused && (await this.#early(wish)) };
      }),
    );
    const troubles: { wish: Kept; error: ComputeError }[] = [];
    await book.db.tx(async (tx) => {
      // The chain has gone back since: it is looked at anew.
      if (outcome.takenBack !== book.takenBack) return;
      await post.settle(outcome, tx.run);
      if (outcome.kind === 'displaced') {
        await tx.run`update wishes set state = 'wanted', tx = null
          where tx = ${outcome.id} and state in ('sent', 'done')`;
        return;
      }
      const done = verdicts.flatMap(({ wish, error }) => (error === undefined ? [wish.id] : []));
      await tx.run`update wishes set state = 'done', error = null
        where id in (select value from json_each(${JSON.stringify(done)}))`;
      for (const { wish, error, overtaken, early } of verdicts) {
        if (error === undefined) continue;
        if (overtaken && isOvertaken(wish, error)) {
          await tx.run`update wishes set state = 'done', error = ${error} where id = ${wish.id}`;
        } else if ((early || PASSING.has(error)) && wish.tries < TRIES_MAX) {
          const due = Date.now() + AGAIN_MS * 2 ** wish.tries;
          await tx.run`update wishes set state = 'wanted', tx = null, error = ${error}, not_before_ms = ${due}
            where id = ${wish.id}`;
        } else {
          await tx.run`update wishes set state = 'failed', error = ${error}, not_before_ms = ${Date.now()} where id = ${wish.id}`;
          if (!overtaken) troubles.push({ wish, error });
        }
      }
    });
    for (const { wish, error } of troubles) {
      const message = `the chain refused to ${wish.kind}: ${error}`;
      await book.setTrouble(wish.jobId, { action: wish.kind, code: error, message });
      this.#print(1, `${wish.jobId}: ${message}`);
    }
  }

  /** Whether the job is where this wish wanted it, or beyond. */
  async #overtaken({ jobId, kind }: Kept): Promise<boolean> {
    if (kind === 'withdraw' || kind === 'recoverVault') return true;
    const money = await this.#needs.book.money(jobId);
    if (money === undefined) return true;
    if (isClosed(money)) return true;
    switch (kind) {
      case 'fund':
      case 'transfer':
        return money.state !== 'none';
      case 'assign':
        return money.state !== 'none' && money.state !== 'funded';
      case 'propose':
        return money.state === 'proposed' || money.state === 'disputed';
      default:
        return false;
    }
  }

  /** Whether what was wanted before it is on its way, as it may be again after the chain went back. */
  async #early({ jobId, id }: Kept): Promise<boolean> {
    const before = await this.#needs.book.db.get`select id from wishes
      where job_id = ${jobId} and id < ${id} and state in ('wanted', 'sent') limit 1`;
    return before !== undefined;
  }

  #report(error: unknown): void {
    const passes = error instanceof EthError || error instanceof NoResponse;
    const hint =
      error instanceof SignerError && error.code === 'NotPermitted'
        ? '. Give the facilitator what docs/compute.md says at the prompt'
        : '';
    const text = `sending: ${String(error)}${hint}`;
    this.#print(passes || text === this.#reported ? 1 : 0, text);
    this.#reported = text;
  }

  #print(verbosity: number, text: string): void {
    this.#needs.caller.host.print(verbosity, `facilitator: ${text}`);
  }
}

/** Whether a refusal means that it is done already. A token says nothing of why it refuses a transfer. */
function isOvertaken({ kind }: Kept, error: ComputeError): boolean {
  return OVERTAKEN.has(error) || kind === 'transfer';
}

function keptOf(row: Row): Kept {
  return {
    id: Number(row['id']),
    jobId: String(row['job_id']),
    // Proof of the type: `add` wrote it.
    kind: String(row['kind']) as WishKind,
    to: String(row['target']),
    data: String(row['data']),
    tries: Number(row['tries']),
    place: Number(row['place'] ?? 0),
  };
}
