/**
 * What was spent under each capability today, UTC. It is on disk before a signature leaves, so neither a crash nor two requests at
 * once pass a limit. The day never goes back with the clock. A record that is not what was written counts as everything spent.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { bool, type Decoded, dictionary, record, u64 } from '../../wit/codec.ts';
import type { Result } from '../../wit/types.ts';
import { amount } from '../../wit/signer-api.ts';
import { errorCode } from '../shared/io-error.ts';
import { BUDGETS_MAX, MARKS_MAX } from './limits.ts';
import { moveAside, replacePrivateFile } from './private-file.ts';
import type { Sealer } from './sealed-key.ts';
import { readVouched, vouch } from './vouched.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

const dayRecord = record({
  day: u64,
  unknown: bool,
  spent: dictionary(amount),
  highest: dictionary(amount),
});

/** So much under the limit of `id`. */
export interface Charge {
  readonly id: string;
  readonly asked: bigint;
  readonly perDay: bigint;
  /** Of an amount that grows: what it is that grows. Only what is above the highest so far counts, on whatever day that was. */
  readonly mark?: string | undefined;
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
  /** By mark, the one that changed last at the end. */
  readonly #highest: Map<string, bigint>;
  /** Changes, and how many of them are on disk. */
  #changes = 0;
  #saved = 0;
  /** The write that has not begun: whoever charges joins it. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(needs: BudgetNeeds, known: Known) {
    this.#needs = needs;
    this.#day = Number(known.day);
    this.#unknown = known.unknown;
    this.#spent = new Map(known.spent);
    this.#highest = new Map(known.highest);
  }

  /** @throws as the file system does */
  static async open(needs: BudgetNeeds): Promise<Budgets> {
    const today = dayOf(needs.wallMs());
    let bytes: Uint8Array;
    try {
      bytes = await readFile(needs.path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      return new Budgets(needs, { ...NOTHING, day: today });
    }
    const read = readRecord(bytes, needs.sealer);
    if (read !== undefined) return new Budgets(needs, read);
    const budgets = new Budgets(needs, { ...NOTHING, day: today, unknown: true });
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
    const due = charges.map((charge) => ({ charge, asked: this.#due(charge) }));
    const wanted = due.filter(({ asked }) => asked > 0n);
    // What costs nothing because another request has paid waits until that is on disk.
    if (wanted.length === 0 && (charges.length === 0 || this.#saved === this.#changes))
      return { ok: true, value: undefined };
    if (this.#unknown) return { ok: false, error: { kind: 'BudgetsUnknown' } };
    const over = wanted.find(({ charge, asked }) => asked > this.#left(charge));
    if (over !== undefined) {
      const charge = { ...over.charge, asked: over.asked };
      return { ok: false, error: { kind: 'OverBudget', left: this.#left(charge), charge } };
    }
    const day = this.#day;
    for (const { charge, asked } of wanted) this.#count(charge, asked);
    try {
      await this.#save();
    } catch (error) {
      if (this.#day === day) this.#giveBack(wanted);
      throw error;
    }
    return { ok: true, value: undefined };
  }

  #due({ asked, mark }: Charge): bigint {
    const before = mark === undefined ? 0n : (this.#highest.get(mark) ?? 0n);
    return asked > before ? asked - before : 0n;
  }

  #count({ id, asked: amountNow, mark }: Charge, asked: bigint): void {
    this.#changes += 1;
    this.#spent.set(id, this.spent(id) + asked);
    if (mark === undefined) return;
    this.#highest.delete(mark);
    this.#highest.set(mark, amountNow);
    const [oldest] = this.#highest.keys();
    if (this.#highest.size > MARKS_MAX && oldest !== undefined) this.#highest.delete(oldest);
  }

  /** What grew stays counted: others may have built on it, and asking again costs nothing. */
  #giveBack(charges: readonly { readonly charge: Charge; readonly asked: bigint }[]): void {
    for (const { charge, asked } of charges) {
      if (charge.mark !== undefined) continue;
      this.#changes += 1;
      this.#spent.set(charge.id, this.spent(charge.id) - asked);
    }
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
    this.#changes += 1;
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

  async #write(): Promise<void> {
    const { sealer, path } = this.#needs;
    const changes = this.#changes;
    const content = dayRecord.encode({
      day: this.#day,
      unknown: this.#unknown,
      spent: this.#spent,
      highest: this.#highest,
    });
    await replacePrivateFile(path, vouch(sealer, content));
    this.#saved = changes;
  }
}

type Known = Decoded<typeof dayRecord>;
const NOTHING: Known = { day: 0, unknown: false, spent: new Map(), highest: new Map() };

function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

function readRecord(bytes: Uint8Array, sealer: Sealer): Known | undefined {
  const content = readVouched(sealer, bytes);
  if (content === undefined) return undefined;
  const inner = dayRecord.decode(content);
  return inner.ok ? inner.value : undefined;
}
