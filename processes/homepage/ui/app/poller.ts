/**
 * Asks again and again: at an interval while answers come, ever more seldom while they do not, at once when the browser is online
 * again or the page is looked at. A page that nobody looks at asks seldom.
 */

/** Between two tries after failures, ms; the last one from then on. */
export const RETRY_MS: readonly number[] = [1_000, 2_000, 4_000, 8_000];
/** Between two tries of a page in the background, ms at least. */
export const HIDDEN_MS = 5_000;

export class Poller {
  readonly #work: () => Promise<void>;
  #intervalMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #running = false;
  #working = false;

  /** @param work rejects when it could not be done */
  constructor(work: () => Promise<void>, intervalMs: number) {
    this.#work = work;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    addEventListener('online', this.#wake);
    document.addEventListener('visibilitychange', this.#wake);
    // Also in a tab that is still hidden: it has something to show once somebody looks.
    if (!this.#working) void this.#try();
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    removeEventListener('online', this.#wake);
    document.removeEventListener('visibilitychange', this.#wake);
  }

  /** Asks now, and at this interval from now on. */
  every(intervalMs: number): void {
    if (intervalMs === this.#intervalMs) return;
    this.#intervalMs = intervalMs;
    if (this.#running) this.#wake();
  }

  /** Asks now. */
  now(): void {
    if (this.#running) this.#wake();
  }

  readonly #wake = (): void => {
    if (document.hidden || this.#working) return;
    clearTimeout(this.#timer);
    void this.#try();
  };

  async #try(): Promise<void> {
    this.#working = true;
    const startedMs = performance.now();
    try {
      await this.#work();
      this.#failures = 0;
    } catch {
      // What it means has been shown by whoever made the request.
      this.#failures += 1;
    } finally {
      this.#working = false;
    }
    if (!this.#running) return;
    const spentMs = performance.now() - startedMs;
    this.#timer = setTimeout(() => void this.#try(), Math.max(50, this.#delayMs() - spentMs));
  }

  #delayMs(): number {
    const retryMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length) - 1];
    const delayMs = retryMs ?? this.#intervalMs;
    return document.hidden ? Math.max(delayMs, HIDDEN_MS) : delayMs;
  }
}
