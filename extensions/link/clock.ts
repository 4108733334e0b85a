/** Time, as what waits here needs it; handed in, so that tests need not wait. */
export interface Clock {
  /** Milliseconds, never going back. */
  nowMs(): number;
  /** Calls `work` once, later. @returns what takes it back */
  after(ms: number, work: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};
