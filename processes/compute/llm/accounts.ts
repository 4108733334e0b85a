/**
 * Who pays for a request (compute-market.md §12.4): an owner's ledger, or a session's vouchers. What it may cost at most is kept before it
 * goes to a backend, decided without waiting: of many requests at once no two are paid with the same money.
 */
import type { ApiKey } from './api-keys.ts';
import { type ApiError, apiError } from './openai.ts';
import type { Ledger } from './ledger.ts';
import type { Sessions } from './sessions.ts';
import type { Change, Receipt } from './store.ts';

export interface AccountsNeeds {
  readonly ledger: Ledger;
  readonly sessions: Sessions;
  /** On disk when it resolves. */
  readonly write: (change: Change) => Promise<void>;
  readonly nowMs: () => number;
}

/** Money that is kept for a request. */
export interface Hold {
  /** On disk. */
  readonly kept: Promise<void>;
  /** What it came to, at most what was kept; on disk when it resolves. Once. */
  settle(receipt: Receipt): Promise<void>;
}

const DAY_MS = 86_400_000;

export const dayOf = (ms: number): number => ms - (ms % DAY_MS);

export class Accounts {
  readonly #needs: AccountsNeeds;
  /** By key: of today, requests under way included. */
  #spent: Map<string, bigint>;
  #day: number;

  /** @param spent  today, by the hash of the key */
  constructor(needs: AccountsNeeds, spent: ReadonlyMap<string, bigint>) {
    this.#needs = needs;
    this.#spent = new Map(spent);
    this.#day = dayOf(needs.nowMs());
  }

  /** Keeps `most` for a request, or says why not. */
  hold(key: ApiKey, most: bigint, rid: string): Hold | ApiError {
    const spent = this.#today(key);
    if (key.dailyBudget > 0n && spent + most > key.dailyBudget)
      return apiError(429, 'insufficient_quota', 'the budget of this key is used up for today', {
        code: 'insufficient_quota',
      });
    const { session } = key;
    const hold =
      session === undefined ? this.#prepaid(key, most, rid) : this.#session(key, session, most);
    if ('settle' in hold && key.dailyBudget > 0n) this.#spent.set(key.hash, spent + most);
    return hold;
  }

  #prepaid(key: ApiKey, most: bigint, rid: string): Hold | ApiError {
    const { ledger, write } = this.#needs;
    const entries = ledger.reserve(key.owner, most, rid);
    if (entries === undefined)
      return payment(
        `this request may cost ${most} millionths of HYPER and ${ledger.available(key.owner)} are left: lower max_tokens, or top up`,
      );
    return {
      kept: write({ entries }),
      settle: (receipt) => {
        this.#settled(key, most, receipt.cost);
        return write({ entries: ledger.capture(rid, receipt.cost), receipt });
      },
    };
  }

  #session(key: ApiKey, jobId: string, most: bigint): Hold | ApiError {
    const { sessions, write } = this.#needs;
    const refusal = sessions.hold(jobId, most);
    if (refusal === 'over') return payment('the session is used up, or over: open another');
    if (refusal === 'voucher')
      return apiError(
        402,
        'insufficient_quota',
        `sign a voucher first, for at least what was served: GET v1/vouchers says how much`,
        { code: 'voucher_required' },
      );
    return {
      kept: Promise.resolve(),
      settle: (receipt) => {
        this.#settled(key, most, receipt.cost);
        const session = sessions.served(jobId, { most, ...receipt });
        return write({ receipt, ...(session === undefined ? {} : { session }) });
      },
    };
  }

  #settled(key: ApiKey, most: bigint, cost: bigint): void {
    if (key.dailyBudget > 0n) this.#spent.set(key.hash, this.#today(key) - most + cost);
  }

  #today(key: ApiKey): bigint {
    const day = dayOf(this.#needs.nowMs());
    if (day !== this.#day) {
      this.#day = day;
      this.#spent = new Map();
    }
    const spent = this.#spent.get(key.hash) ?? 0n;
    return spent > 0n ? spent : 0n;
  }
}

const payment = (message: string): ApiError =>
  apiError(402, 'insufficient_quota', message, { code: 'payment_required' });
