/** What the web server counts as it works: plain numbers, read when somebody asks for the metrics. */

/** Upper bounds of the classes of answer times, in seconds. */
export const ANSWER_S_BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15,
];

export class Counters {
  /** Answers by the first digit of their status, 1 to 9. */
  readonly byClass: number[] = Array.from({ length: 10 }, () => 0);
  bytesIn = 0;
  bytesOut = 0;
  /** Bytes of bodies that requests under way hold. */
  heldBytes = 0;
  webSocketsOpened = 0;
  /** Told how long each answer of a process took, in milliseconds, while somebody measures. */
  onAnswer: ((ms: number) => void) | undefined = undefined;

  answered(status: number, bytes: number): void {
    this.byClass[Math.trunc(status / 100)]!++;
    this.bytesOut += bytes;
  }
}
