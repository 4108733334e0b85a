/**
 * What was spent under each capability today, UTC. It is on disk before a signature leaves, so neither a crash nor two requests at
 * once pass a limit. The day never goes back with the clock. A record that is not what was written counts as everything spent.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { bool, dictionary, record, text, u64 } from '../../wit/codec.ts';
import type { Result } from '../../wit/types.ts';
import { amount } from '../../wit/signer-api.ts';
import { errorCode } from '../shared/io-error.ts';
import { BUDGETS_MAX } from './limits.ts';
import { moveAside, replacePrivateFile } from './private-file.ts';
import type { Sealer } from './sealed-key.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

const dayRecord = record({ day: u64, unknown: bool, spent: dictionary(amount) });
const file = record({ seal: text, record: text, mac: text });

/** So much under the limit of `id`. */
export interface Charge {
  readonly id: string;
  readonly asked: bigint;
  readonly perDay: bigint;
}

export type BudgetRefusal =
  | { readonly kind: 'OverBudget'; readonly left: bigint; readonly charge: Charge }
  | { readonly kind: 'BudgetsUnknown' };

export interface BudgetNeeds {
  readonly path: string;
  readonly sealer: Sealer;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly tell: (text: string) => void;
}

/** The name that something long goes by in the record. */
export function budgetId(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}

export class Budgets {
  readonly #needs: BudgetNeeds;
  #day: number;
  /** What was spent today is not known. */
  #unknown: boolean;
  readonly #spent: Map<string, bigint>;
  /** The write that has not begun: whoever charges joins it. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(
    needs: BudgetNeeds,
    day: number,
    unknown: boolean,
    spent: Map<string, bigint>,
  ) {
    this.#needs = needs;
    this.#day = day;
    this.#unknown = unknown;
    this.#spent = spent;
  }

  /** @throws as the file system does */
  static async open(needs: BudgetNeeds): Promise<Budgets> {
    const today = dayOf(needs.wallMs());
    let bytes: Uint8Array;
    try {
      bytes = await readFile(needs.path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      return new Budgets(needs, today, false, new Map());
    }
    const read = readRecord(bytes, needs.sealer);
    if (read !== undefined)
      return new Budgets(needs, Number(read.day), read.unknown, new Map(read.spent));
    const budgets = new Budgets(needs, today, true, new Map());
    const kept = await moveAside(needs.path, new Date(needs.wallMs()));
    // On disk before anything else: a restart must not find a clean sheet.
    await budgets.#write();
    needs.tell(
      `${needs.path} is not what was written there. It is kept as ${kept}; nothing of value is signed before tomorrow (UTC).`,
    );
    return budgets;
  }

  /** What was charged to `id` today. */
  spent(id: string): bigint {
    this.#turn();
    return this.#spent.get(id) ?? 0n;
  }

  /**
   * Takes all charges or none. Counted at once; resolves when it is on disk.
   * @throws as the file system does: nothing is charged then
   */
  async charge(charges: readonly Charge[]): Promise<Result<undefined, BudgetRefusal>> {
    this.#turn();
    const wanted = charges.filter(({ asked }) => asked > 0n);
    if (wanted.length === 0) return { ok: true, value: undefined };
    if (this.#unknown) return { ok: false, error: { kind: 'BudgetsUnknown' } };
    const over = wanted.find((charge) => charge.asked > this.#left(charge));
    if (over !== undefined)
      return { ok: false, error: { kind: 'OverBudget', left: this.#left(over), charge: over } };
    const day = this.#day;
    for (const { id, asked } of wanted) this.#spent.set(id, this.spent(id) + asked);
    try {
      await this.#save();
    } catch (error) {
      if (this.#day === day)
        for (const { id, asked } of wanted) this.#spent.set(id, this.spent(id) - asked);
      throw error;
    }
    return { ok: true, value: undefined };
  }

  #left({ id, perDay }: Charge): bigint {
    if (!this.#spent.has(id) && this.#spent.size >= BUDGETS_MAX) return 0n;
    const spent = this.spent(id);
    return spent < perDay ? perDay - spent : 0n;
  }

  /** A new day begins with nothing spent. */
  #turn(): void {
    const today = dayOf(this.#needs.wallMs());
    if (today <= this.#day) return;
    this.#day = today;
    this.#unknown = false;
    this.#spent.clear();
  }

  /** One write after another; all that is charged while one runs goes into the next. */
  #save(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      const written = this.#write();
      this.#last = written.catch(() => undefined);
      return written;
    });
    return this.#next;
  }

  #write(): Promise<void> {
    const day = { day: this.#day, unknown: this.#unknown, spent: this.#spent };
    const text = Buffer.from(dayRecord.encode(day)).toString();
    const { id } = this.#needs.sealer;
    const mac = this.#needs.sealer.mac(Buffer.from(text));
    return replacePrivateFile(this.#needs.path, file.encode({ seal: id, record: text, mac }));
  }
}

function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

function readRecord(bytes: Uint8Array, sealer: Sealer) {
  const outer = file.decode(bytes);
  if (!outer.ok || outer.value.mac !== sealer.mac(Buffer.from(outer.value.record)))
    return undefined;
  const inner = dayRecord.decode(outer.value.record);
  return inner.ok ? inner.value : undefined;
}
