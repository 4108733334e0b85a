/** Leases that the extension may forget: it is told of several at a time, and at the latest by the next tick. */
import type { Session } from './session.ts';

/** As many at a time. */
const AT_ONCE = 32;

export class LettingGo {
  readonly #session: Session;
  readonly #leases: string[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  add({
    id,
    lease,
  }: {
    readonly id: { jobId: string; lease: string };
    readonly lease: string;
  }): void {
    if (!this.#session.many) return this.#session.send('job.drop', id);
    this.#leases.push(lease);
    return this.#leases.length >= AT_ONCE ? this.flush() : undefined;
  }

  flush(): void {
    const leases = this.#leases.splice(0);
    if (leases.length > 0) this.#session.send('jobs.drop', { leases });
  }
}
