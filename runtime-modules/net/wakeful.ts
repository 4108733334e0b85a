/**
 * Keeps the event loop turning for a moment after a short message has gone out, because its answer is often there before a processor
 * that went to sleep is awake again: on a virtual machine that takes 20 to 40 us, more than all else that a small message costs, and more
 * work of the host than the turning. Where answers do not come within the moment, it stops, and tries again ever more seldom: peers that
 * are farther away, and one on the same processor, which cannot answer while we turn, cost next to nothing.
 */
import { AWAKE_MS_MAX } from './limits.ts';

/** Turns after which what comes was worth waiting for. */
const TURNS_MIN = 3;
/** Waits for nothing, one after another, before waiting stops. */
const VAIN_MAX = 2;
/** Messages that go out before a wait is tried again, doubled each time up to the most. */
const SKIPPED_MIN = 32;
const SKIPPED_MAX = 4_096;

export interface WakefulNeeds {
  /** Milliseconds, with fractions. */
  readonly nowMs: () => number;
  /** In the next turn of the event loop, which does not sleep before. */
  readonly soon: (turn: () => void) => void;
}

/** For one connection of this host. */
export function wakeful(): Wakeful {
  return new Wakeful({ nowMs: () => performance.now(), soon: setImmediate });
}

/** Of one connection. */
export class Wakeful {
  readonly #needs: WakefulNeeds;
  /** 0: nothing is waited for. */
  #untilMs = 0;
  /** So far, of this wait. */
  #turns = 0;
  #turning = false;
  #vain = 0;
  #skipped = SKIPPED_MIN;
  #toSkip = 0;

  constructor(needs: WakefulNeeds) {
    this.#needs = needs;
  }

  /** A short message is out; what answers it may be here soon. */
  sent(): void {
    if (this.#toSkip > 0) {
      this.#toSkip--;
      return;
    }
    this.#untilMs = this.#needs.nowMs() + AWAKE_MS_MAX;
    this.#turns = 0;
    if (this.#turning) return;
    this.#turning = true;
    this.#needs.soon(this.#turn);
  }

  /** Something has come. */
  heard(): void {
    if (this.#untilMs === 0) return;
    if (this.#needs.nowMs() >= this.#untilMs) this.#failed();
    // What is there at once would have been there without us: on one processor the other end runs while we send, or when we sleep.
    else if (this.#turns >= TURNS_MIN) {
      this.#vain = 0;
      this.#skipped = SKIPPED_MIN;
    }
    this.#untilMs = 0;
  }

  readonly #turn = (): void => {
    if (this.#untilMs !== 0 && this.#needs.nowMs() < this.#untilMs) {
      this.#turns++;
      this.#needs.soon(this.#turn);
      return;
    }
    this.#turning = false;
    if (this.#untilMs !== 0) this.#failed();
    this.#untilMs = 0;
  };

  #failed(): void {
    this.#vain++;
    if (this.#vain < VAIN_MAX) return;
    this.#toSkip = this.#skipped;
    this.#skipped = Math.min(2 * this.#skipped, SKIPPED_MAX);
  }
}
