/**
 * What is to be done on the chain: wishes, on disk before they are acknowledged, sent in batches of one transaction each without waiting
 * for blocks in between. A wish that is made twice is one. The escrow decides what may be done, so nothing here can pay twice; what it
 * refuses for good becomes the job's trouble. Wishes of one job are sent in the order in which they were made.
 */
import { decodeBatchFailure, type ComputeError } from '../../../contracts/compute-errors.ts';
import { encodeBatch } from '../../../contracts/compute-calls.ts';
import type { Receipt } from '../../lib/eth.ts';
import { EthError } from '../../lib/eth.ts';
import { NoResponse } from '../../lib/errors.ts';
import type { Caller } from '../../lib/modules.ts';
import { SignerError } from '../../lib/signer.ts';
import type { Row } from '../../lib/sqlite.ts';
import { sleep } from '../../lib/timers.ts';
import { Bell } from '../shared/bell.ts';
import type { Book } from './book.ts';
import { isClosed } from './money.ts';
import { type Outcome, type Post, UNDER_WAY_MAX } from './post.ts';
import type { Settings } from '../shared/settings.ts';
import { same } from '../shared/words.ts';

/** Gas that a call may take inside of a batch: over what it was measured to take (docs/gas.md), for the escrow goes on without one that runs out. */
export const GAS = {
  transfer: 150_000,
  fund: 500_000,
  recoverVault: 400_000,
  assign: 300_000,
  propose: 400_000,
  reject: 250_000,
  convict: 550_000,
  resolve: 550_000,
  finalize: 320_000,
  refundExpired: 250_000,
  withdraw: 120_000,
  equivocation: 400_000,
} as const;
export type WishKind = keyof typeof GAS;
/** Of the transaction itself. */
const GAS_BASE = 60_000;
/** What one transaction may take: half of what chains allow (2^24). */
const GAS_MAX = 8_000_000;
/** Calldata of one transaction, in hex digits: what the signer takes, less the frame of a batch. */
const DIGITS_MAX = 2 * 20 * 1_024;
const CALLS_MAX = 64;
/** How often a wish is sent when the chain refuses it for the moment. */
const TRIES_MAX = 8;
/** Before it is sent again, in milliseconds, doubled each time. */
const AGAIN_MS = 2_000;
/** Between two looks at what is under way, in milliseconds. */
const LOOK_MS = 100;
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

export interface Wish {
  readonly jobId: string;
  readonly kind: WishKind;
  /** The escrow's are sent together. */
  readonly to: string;
  readonly data: string;
}

interface Kept extends Wish {
  readonly id: number;
  readonly tries: number;
  readonly place: number;
}

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
    if ((await post.underWay()) >= UNDER_WAY_MAX) return false;
    const rows = await book.db.all`select * from wishes
      where state = 'wanted' and not_before_ms <= ${Date.now()} order by id limit ${CALLS_MAX}`;
    const due = rows.map(keptOf);
    const [first] = due;
    if (first === undefined) return false;
    const together = same(first.to, settings.escrow) ? takeTogether(due, settings.escrow) : [first];
    const data = same(first.to, settings.escrow)
      ? encodeBatch(
          together.map((wish) => wish.data),
          false,
        )
      : first.data;
    const gas = GAS_BASE + together.reduce((sum, { kind, tries }) => sum + gasOf(kind, tries), 0);
    await post.send({ to: first.to, data, gas }, async (id, run) => {
      for (const [place, wish] of together.entries())
        await run`update wishes set state = 'sent', tx = ${id}, place = ${place}, tries = tries + 1 where id = ${wish.id}`;
    });
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
      for (const { wish, error, overtaken, early } of verdicts) {
        if (outcome.kind === 'displaced') {
          await tx.run`update wishes set state = 'wanted', tx = null where id = ${wish.id}`;
        } else if (error === undefined || (overtaken && isOvertaken(wish, error))) {
          await tx.run`update wishes set state = 'done', error = ${error ?? null} where id = ${wish.id}`;
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

/** As many of the escrow's, from the first on, as fit into a transaction. */
function takeTogether(due: readonly Kept[], escrow: string): Kept[] {
  const taken: Kept[] = [];
  let gas = GAS_BASE;
  let digits = 0;
  for (const wish of due) {
    gas += gasOf(wish.kind, wish.tries);
    digits += wish.data.length + 192;
    if (!same(wish.to, escrow)) break;
    if (taken.length > 0 && (gas > GAS_MAX || digits > DIGITS_MAX)) break;
    taken.push(wish);
  }
  return taken;
}

/** More every time, for one that ran out has no other reason to give. */
function gasOf(kind: WishKind, tries: number): number {
  return Math.min(Math.floor(GAS[kind] * 1.5 ** Math.min(tries, 4)), GAS_MAX - GAS_BASE);
}

/** Whether a refusal means that it is done already. A token says nothing of why it refuses a transfer. */
function isOvertaken({ kind }: Kept, error: ComputeError): boolean {
  return OVERTAKEN.has(error) || kind === 'transfer';
}

/** Why a wish was not carried out; undefined: it was. */
function errorOf(wish: Kept, outcome: Outcome, escrow: string): ComputeError | undefined {
  if (outcome.kind === 'displaced') return undefined;
  const { receipt } = outcome;
  if (!receipt.ok) return 'NoReason';
  return failuresOf(receipt, escrow).get(wish.place);
}

/** Said by the escrow: a token could say the same. */
function failuresOf({ logs }: Receipt, escrow: string): ReadonlyMap<number, ComputeError> {
  return new Map(
    logs.flatMap((log): [number, ComputeError][] => {
      const failure = same(log.address, escrow) ? decodeBatchFailure(log) : undefined;
      return failure === undefined ? [] : [[failure.index, failure.error]];
    }),
  );
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
