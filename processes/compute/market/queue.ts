/**
 * Which job is next (compute-market.md §3.7): the class of its priority, how long it has waited, and what it pays above the price asked.
 * Entries of equal base are in the order of their arrival, so that only the heads of a few lines are compared. Pure.
 */
import type { Priority } from '../../../wit/jobs/spec.ts';
import type { QueueEntry } from './record.ts';

export const CLASS_BASE: Readonly<Record<Priority, number>> = {
  low: 10,
  normal: 30,
  high: 60,
  urgent: 90,
};
/** Jobs waiting at one coordinator, and of one owner. */
export const QUEUED_MAX = 10_000;
export const QUEUED_PER_OWNER_MAX = 100;

const AGE_STEP_MS = 30_000;
const AGE_MAX = 40;
const VALUE_BONUS_MAX = 8;

/** 0 to 8: how often the price is doubled above the fair one. */
export function valueBonus(price: bigint, fairPrice: bigint): number {
  if (fairPrice <= 0n || price <= 0n) return 0;
  const ratio = (price * 4n) / fairPrice;
  const log2 = ratio === 0n ? 0 : ratio.toString(2).length - 1;
  return Math.min(VALUE_BONUS_MAX, Math.max(0, log2 - 2));
}

/** What counts now; `base` is class and bonus. */
export function effectivePriority(base: number, enqueuedAt: number, now: number): number {
  return base + Math.min(AGE_MAX, Math.max(0, Math.floor((now - enqueuedAt) / AGE_STEP_MS)));
}

/** First the larger effective priority, then the earlier arrival. */
export function compareEntries(a: QueueEntry, b: QueueEntry, now: number): number {
  const effective =
    effectivePriority(b.base, b.enqueuedAt, now) - effectivePriority(a.base, a.enqueuedAt, now);
  return effective === 0 ? a.seq - b.seq : effective;
}

interface Waiting<T extends { readonly queue?: QueueEntry }> {
  readonly entry: QueueEntry;
  readonly job: T;
}

/** The jobs that wait, by their entries. Keyed by job id, so that an entry is there once. */
export class Queue<T extends { readonly jobId: string; readonly queue?: QueueEntry }> {
  /** By base, each in the order of arrival. */
  readonly #lines = new Map<number, { last: number; jobs: Map<string, Waiting<T>> }>();
  readonly #bases = new Map<string, number>();

  get size(): number {
    return this.#bases.size;
  }

  has(jobId: string): boolean {
    return this.#bases.has(jobId);
  }

  /** Puts a job where its entry says; one that is there already is moved. */
  put(job: T): void {
    this.remove(job.jobId);
    const entry = job.queue;
    if (entry === undefined) return;
    const line = this.#lines.get(entry.base) ?? { last: 0, jobs: new Map<string, Waiting<T>>() };
    line.jobs.set(job.jobId, { entry, job });
    // A job that comes back keeps its number, and so its place.
    if (line.last > entry.seq) {
      line.jobs = new Map([...line.jobs].toSorted(([, a], [, b]) => a.entry.seq - b.entry.seq));
    }
    line.last = Math.max(line.last, entry.seq);
    this.#lines.set(entry.base, line);
    this.#bases.set(job.jobId, entry.base);
  }

  remove(jobId: string): void {
    const base = this.#bases.get(jobId);
    if (base === undefined) return;
    this.#bases.delete(jobId);
    const line = this.#lines.get(base);
    line?.jobs.delete(jobId);
    if (line?.jobs.size === 0) this.#lines.delete(base);
  }

  /** Those that may run now, in their order. The queue must not change meanwhile. */
  *ready(now: number): Generator<T, void> {
    const heads = [...this.#lines.values()].map(({ jobs }) => nextOf(jobs.values(), now));
    for (;;) {
      let best: (typeof heads)[number] | undefined;
      for (const head of heads) {
        if (head.value === undefined) continue;
        if (
          best?.value === undefined ||
          compareEntries(head.value.entry, best.value.entry, now) < 0
        )
          best = head;
      }
      if (best?.value === undefined) return;
      yield best.value.job;
      best.advance();
    }
  }

  /** When the next job's backoff ends, in milliseconds since 1970; undefined when none waits for that. */
  nextReadyAt(now: number): number | undefined {
    let next: number | undefined;
    for (const line of this.#lines.values()) {
      for (const { entry } of line.jobs.values()) {
        if (entry.notBefore > now && (next === undefined || entry.notBefore < next))
          next = entry.notBefore;
      }
    }
    return next;
  }
}

/** Goes along a line over those that may run. */
function nextOf<T extends { readonly queue?: QueueEntry }>(
  line: Iterator<Waiting<T>>,
  now: number,
): { value: Waiting<T> | undefined; advance(): void } {
  const head = {
    value: undefined as Waiting<T> | undefined,
    advance(): void {
      for (;;) {
        const { done, value } = line.next();
        head.value = done === true ? undefined : value;
        if (head.value === undefined || head.value.entry.notBefore <= now) return;
      }
    },
  };
  head.advance();
  return head;
}
