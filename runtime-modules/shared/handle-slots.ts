/**
 * How many databases a module keeps open: its own limit, or less as fd-manager says (runtime-modules.md §12). Who comes when all
 * places are taken waits for one that is closed.
 */
import type { PackageId } from '../../wit/types.ts';

/** What each package may keep open, and has open. */
export interface HandleBudget {
  quota(pkg: PackageId): { readonly handles: number };
  handles(pkg: PackageId): number;
  addHandles(pkg: PackageId, count: number): void;
}

export interface HandleSlotsOptions {
  /** The module's own limit. */
  readonly openMax: number;
  /** The limit until fd-manager has spoken. */
  readonly openDefault: number;
  /**
   * Starts to close the handle used longest ago that nobody uses, of one package or of all, which ends with `free`; false: all are in
   * use.
   */
  readonly evict: (only?: PackageId) => boolean;
  /** Default: packages may keep open what they like. */
  readonly budget?: HandleBudget | undefined;
  /** More could have stayed open, had fd-manager's limit been higher. */
  readonly onLimitHit: () => void;
}

export class HandleSlots {
  readonly #options: HandleSlotsOptions;
  readonly #waiting: (() => void)[] = [];
  #open = 0;
  #limit: number;

  constructor(options: HandleSlotsOptions) {
    this.#options = options;
    this.#limit = Math.min(options.openMax, options.openDefault);
  }

  /** Places taken. */
  get open(): number {
    return this.#open;
  }

  /** A handle that nobody uses any more should close: others wait for its place, or there are too many. */
  get isShort(): boolean {
    return this.#waiting.length > 0 || this.#open > this.#limit;
  }

  /** What is open beyond the limit closes as soon as nobody uses it, and counts as a hit. */
  setLimit(limit: number): void {
    this.#limit = Math.min(this.#options.openMax, Math.max(1, limit));
    let surplus = this.#open - this.#limit;
    // Not when just as many are open: two modules would take each other's descriptors for ever.
    if (surplus > 0) this.#options.onLimitHit();
    while (surplus > 0 && this.#options.evict()) surplus -= 1;
    for (let room = -surplus; room > 0; room -= 1) this.#waiting.shift()?.();
  }

  /** Takes a place for a package's handle; give it back with `free`. */
  async take(owner: PackageId): Promise<void> {
    const { openMax, onLimitHit, evict, budget } = this.#options;
    // A package at its quota loses the handle it used longest ago, so that it cannot push out those of others.
    if (budget !== undefined && budget.handles(owner) >= budget.quota(owner).handles) evict(owner);
    // The module's own limit is about memory: more descriptors would not help.
    if (this.#open >= this.#limit && this.#limit < openMax) onLimitHit();
    while (this.#open >= this.#limit) {
      const woken = new Promise<void>((resolve) => this.#waiting.push(resolve));
      evict();
      await woken;
    }
    this.#open += 1;
    budget?.addHandles(owner, 1);
  }

  free(owner: PackageId): void {
    this.#open -= 1;
    this.#options.budget?.addHandles(owner, -1);
    this.#waiting.shift()?.();
  }
}
