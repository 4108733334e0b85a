/** Why connections, messages and requests were refused, counted: every refusal has a reason in the diagnostics. */

/** Reasons that are counted apart; further ones together. */
const REASONS_MAX = 64;
const OTHERS = 'other';

export class Refusals {
  readonly #counts = new Map<string, number>();

  note(reason: string): void {
    const known = this.#counts.has(reason) || this.#counts.size < REASONS_MAX;
    const key = known ? reason : OTHERS;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  of(reason: string): number {
    return this.#counts.get(reason) ?? 0;
  }

  /** Most frequent first. */
  lines(): string[] {
    return [...this.#counts]
      .toSorted((a, b) => b[1] - a[1])
      .map(([reason, count]) => `${reason}: ${count}`);
  }
}
