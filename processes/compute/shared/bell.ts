/** Work that is done again whenever somebody rang meanwhile: one at a time, and no ring is lost. */
export class Bell {
  readonly #work: () => Promise<void>;
  readonly #stopped: (error: unknown) => void;
  #rung = false;
  #running = false;

  /** @param stopped  told of what `work` throws; the next ring begins anew */
  constructor(work: () => Promise<void>, stopped: (error: unknown) => void) {
    this.#work = work;
    this.#stopped = stopped;
  }

  /** Returns at once. */
  ring(): void {
    this.#rung = true;
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#rung) {
        this.#rung = false;
        await this.#work();
      }
    } catch (error) {
      this.#stopped(error);
    } finally {
      // Nothing else runs between the last look at `#rung` and this.
      this.#running = false;
    }
  }
}
