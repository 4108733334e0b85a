/** Markets of other nodes that have asked what this provider offers lately: they hear at once when that changes, and not a minute later. */

/** A market asks once a minute; one that has not for so long has left, in milliseconds. */
export const WATCHES_MS = 600_000;
/** Of more, those that asked last. */
export const WATCHERS_MAX = 200;

export class Watchers {
  readonly #nowMs: () => number;
  /** By node, in the order in which they asked. */
  readonly #askedAt = new Map<string, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  asked(node: string): void {
    this.#askedAt.delete(node);
    this.#askedAt.set(node, this.#nowMs());
    const [oldest] = this.#askedAt.keys();
    if (this.#askedAt.size > WATCHERS_MAX && oldest !== undefined) this.#askedAt.delete(oldest);
  }

  /** Nodes whose markets want to hear. */
  all(): readonly string[] {
    const since = this.#nowMs() - WATCHES_MS;
    for (const [node, at] of this.#askedAt) if (at < since) this.#askedAt.delete(node);
    return [...this.#askedAt.keys()];
  }
}
