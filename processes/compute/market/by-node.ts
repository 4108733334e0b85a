/** Jobs of each node. */
export class ByNode {
  readonly #jobs = new Map<string, Set<string>>();

  /** Its jobs, by id. */
  of(node: string): ReadonlySet<string> {
    return this.#jobs.get(node) ?? NONE;
  }

  /** A job has another node now, or none, or none yet. */
  move(jobId: string, from: string | undefined, to: string | undefined): void {
    if (from === to) return;
    if (from !== undefined) {
      const jobs = this.#jobs.get(from);
      jobs?.delete(jobId);
      if (jobs?.size === 0) this.#jobs.delete(from);
    }
    if (to === undefined) return;
    const jobs = this.#jobs.get(to);
    if (jobs === undefined) this.#jobs.set(to, new Set([jobId]));
    else jobs.add(jobId);
  }
}

const NONE: ReadonlySet<string> = new Set();
