/**
 * Who has how much for model requests (compute-market.md §12.4): double entry, so that what one account loses another gains. Amounts in
 * millionths of HYPER. The process is the only one that writes, and decides without waiting: of a hundred requests at once no two
 * see the same money.
 */

/** Where money comes from and goes to; what clients have is under `client:<owner>`, what is kept for their requests under `held:<owner>`. */
export const DEPOSITS = 'deposits';
export const EARNED = 'earned';
export const clientOf = (owner: string): string => `client:${owner}`;
/** What is kept for a client's requests. */
export const heldOf = (owner: string): string => `held:${owner}`;

/** One line of the ledger; those of one `ref` and `kind` have equal sums on both sides. */
export interface Entry {
  readonly account: string;
  readonly debit: bigint;
  readonly credit: bigint;
  readonly kind: 'top-up' | 'reserve' | 'capture' | 'release';
  readonly ref: string;
}

/** Money kept for a request until it is known what that costs. */
export interface Reserve {
  readonly owner: string;
  readonly amount: bigint;
  readonly ref: string;
}

export class Ledger {
  /** Credit less debit, by account. */
  readonly #balances = new Map<string, bigint>();
  readonly #open = new Map<string, Reserve>();

  /**
   * As its entries say, all together.
   * @param balances  credit less debit, by account
   * @param open      reserves that no entry has ended
   * @throws RangeError for balances that do not add up: the record is damaged
   */
  static restore(
    balances: Iterable<readonly [account: string, balance: bigint]>,
    open: Iterable<Reserve>,
  ): Ledger {
    const ledger = new Ledger();
    let sum = 0n;
    for (const [account, balance] of balances) {
      ledger.#balances.set(account, balance);
      sum += balance;
    }
    for (const reserve of open) ledger.#open.set(reserve.ref, reserve);
    if (sum !== 0n) throw new RangeError(`the ledger is out of balance by ${sum}`);
    return ledger;
  }

  /** What a client may still reserve. */
  available(owner: string): bigint {
    return this.#balances.get(clientOf(owner)) ?? 0n;
  }

  /** What all requests together have earned. */
  get earned(): bigint {
    return this.#balances.get(EARNED) ?? 0n;
  }

  /** Reserves that nobody has ended: after a crash, of requests that died with the process. */
  get open(): readonly Reserve[] {
    return [...this.#open.values()];
  }

  /** Money has arrived. `ref`: what it came by; the caller sees to it that none counts twice. */
  topUp(owner: string, amount: bigint, ref: string): readonly Entry[] {
    return this.#transfer('top-up', ref, [
      [DEPOSITS, -amount],
      [clientOf(owner), amount],
    ]);
  }

  /** Keeps the most that a request may cost; undefined when the client has not as much. */
  reserve(owner: string, amount: bigint, ref: string): readonly Entry[] | undefined {
    if (this.available(owner) < amount) return undefined;
    this.#open.set(ref, { owner, amount, ref });
    return this.#transfer('reserve', ref, [
      [clientOf(owner), -amount],
      [heldOf(owner), amount],
    ]);
  }

  /** The request has cost this much, at most what was kept; the rest is the client's again. Nothing for a reserve that has ended. */
  capture(ref: string, cost: bigint): readonly Entry[] {
    const reserve = this.#open.get(ref);
    if (reserve === undefined) return [];
    this.#open.delete(ref);
    const { owner, amount } = reserve;
    const paid = cost < amount ? cost : amount;
    return this.#transfer(paid === 0n ? 'release' : 'capture', ref, [
      [heldOf(owner), -amount],
      [EARNED, paid],
      [clientOf(owner), amount - paid],
    ]);
  }

  #transfer(
    kind: Entry['kind'],
    ref: string,
    moves: readonly (readonly [account: string, amount: bigint])[],
  ): readonly Entry[] {
    const entries = moves
      .filter(([, amount]) => amount !== 0n)
      .map(([account, amount]) => ({
        account,
        debit: amount < 0n ? -amount : 0n,
        credit: amount > 0n ? amount : 0n,
        kind,
        ref,
      }));
    for (const entry of entries) this.#book(entry);
    return entries;
  }

  #book({ account, debit, credit }: Entry): void {
    this.#balances.set(account, (this.#balances.get(account) ?? 0n) + credit - debit);
  }
}
