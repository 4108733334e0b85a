/**
 * What is due without anybody asking: vaults that were paid start their jobs, what came too late goes back to the client (CM6), proposals
 * whose window is over are settled, jobs past their deadline are refunded (T16, CM28).
 */
import {
  encodeFinalize,
  encodeFundFromVault,
  encodeRecoverVault,
  encodeRefundExpired,
} from '../../../contracts/compute-calls.ts';
import { MODE } from '../../../contracts/compute.ts';
import type { OfferedTerms } from '../shared/facilitator-contract.ts';
import type { Book } from './book.ts';
import type { ChainView } from '../shared/chain-view.ts';
import type { Outbox } from './outbox.ts';
import type { Settings } from '../shared/settings.ts';

/** Jobs that one sweep looks at, of each kind. */
const JOBS_MAX = 200;
/** Seconds after `fundBy` in which a late deposit is looked for. */
const LATE_S_MAX = 7 * 86_400;
/** Seconds after its deadline that a session's vouchers are still paid. */
const SESSION_GRACE_S = 86_400;

export interface SweeperNeeds {
  readonly settings: Settings;
  readonly chain: ChainView;
  readonly book: Book;
  readonly outbox: Outbox;
  readonly nowS: () => number;
}

export class Sweeper {
  readonly #needs: SweeperNeeds;
  /** Of the vaults; they are looked at in turn. */
  #after = '';

  constructor(needs: SweeperNeeds) {
    this.#needs = needs;
  }

  async sweep(): Promise<void> {
    const { book, outbox, settings, nowS } = this.#needs;
    const now = nowS();
    const to = settings.escrow;
    for (const { jobId } of await book.due(['proposed', 'disputed'], 'timer', now, JOBS_MAX))
      await outbox.addQuietly({ jobId, kind: 'finalize', to, data: encodeFinalize(jobId) });
    for (const { jobId, terms } of await book.due(
      ['funded', 'assigned'],
      'deadline',
      now,
      JOBS_MAX,
    )) {
      const grace = terms.mode === MODE.session ? SESSION_GRACE_S : 0;
      const money = await book.money(jobId);
      const late = money?.state === 'assigned' ? grace : 0;
      if (Number(money?.deadline ?? terms.deadline) + late < now)
        await outbox.addQuietly({
          jobId,
          kind: 'refundExpired',
          to,
          data: encodeRefundExpired(jobId),
        });
    }
    await this.#vaults(now);
    await book.prune(now);
  }

  async #vaults(now: number): Promise<void> {
    const { book, chain } = this.#needs;
    const unpaid = await book.unpaid(this.#after, now, LATE_S_MAX, JOBS_MAX);
    this.#after = unpaid.length < JOBS_MAX ? '' : (unpaid.at(-1)?.jobId ?? '');
    if (unpaid.length === 0) return;
    const held = await chain.balances(unpaid.map(({ vault }) => vault));
    for (const [index, each] of unpaid.entries()) await this.#vault(each, held[index]!, now);
  }

  async #vault({ jobId, terms }: OfferedTerms, held: bigint, now: number): Promise<void> {
    const { outbox, settings } = this.#needs;
    const to = settings.escrow;
    if (Number(terms.fundBy) >= now) {
      if (held >= terms.amount)
        await outbox.addQuietly({ jobId, kind: 'fund', to, data: encodeFundFromVault(terms) });
    } else if (held > 0n) {
      const data = encodeRecoverVault(terms, terms.token);
      await outbox.addQuietly({ jobId, kind: 'recoverVault', to, data });
    }
  }
}
