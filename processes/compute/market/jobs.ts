/**
 * The jobs that are not over, in memory and on disk alike. A change is checked, made in memory, and written as one transaction, all
 * before anything is told or asked because of it; who makes a change awaits it. When the disk fails, what is in memory is not true any
 * more: the process ends, and starts again from what is on disk.
 */
import { ByNode } from './by-node.ts';
import type { JobEvent, JobPatch, JobProgress, JobRecord, QueueEntry } from './record.ts';
import { patched } from './record.ts';
import { Queue } from './queue.ts';
import {
  isOver,
  pairProblem,
  transitionProblem,
  TRANSITIONS,
  type TransitionId,
} from './states.ts';
import type { JobStore } from './store.ts';

export interface Change {
  /** Missing for what changes no state. */
  readonly transition?: TransitionId;
  /** Why, in a word or two; kept in the log. */
  readonly cause: string;
  readonly patch: JobPatch;
}

/** A job that is to be, and what happens to it at once. */
export interface Draft {
  readonly first: Omit<JobRecord, 'seq' | 'state'>;
  readonly more: readonly Change[];
}

interface Prepared {
  readonly before: JobRecord | undefined;
  readonly events: readonly JobEvent[];
  /** After each. */
  readonly records: readonly JobRecord[];
}

/** A change that may not happen. The job is as it was. */
export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition';
  readonly code = 'ILLEGAL_TRANSITION';
}

export interface JobsNeeds {
  readonly store: JobStore;
  readonly now: () => number;
  /** What is on disk now. */
  readonly changed: (job: JobRecord, event: JobEvent) => void;
  /** The disk has failed. */
  readonly broken: (reason: unknown) => void;
  readonly refused: (line: string) => void;
}

const LOADED_AT_ONCE = 500;
/** Ended jobs that are kept in memory, and UTF-16 units of result and spec of one. */
const LATELY_MAX = 256;
const LATELY_CHARS_MAX = 16 * 1024;

export class Jobs {
  readonly #needs: JobsNeeds;
  readonly #live = new Map<string, JobRecord>();
  readonly #waiting = new Queue<JobRecord>();
  /** Live jobs by owner, queued ones among them. */
  readonly #queuedOf = new Map<string, number>();
  readonly #progress = new Map<string, JobProgress>();
  /** Those that ended last: whoever waited for them looks at them now. */
  readonly #lately = new Map<string, JobRecord>();
  #lastQueueSeq = 0;
  readonly #active = new ByNode();
  readonly #staked = new ByNode();

  constructor(needs: JobsNeeds) {
    this.#needs = needs;
  }

  /** Jobs that are not over, as they are on disk. */
  async load(): Promise<void> {
    for (let after = ''; ;) {
      const some = await this.#needs.store.open(after, LOADED_AT_ONCE);
      for (const job of some) {
        this.#remember(undefined, job);
        this.#lastQueueSeq = Math.max(this.#lastQueueSeq, job.queue?.seq ?? 0);
      }
      const last = some.at(-1);
      if (last === undefined || some.length < LOADED_AT_ONCE) return;
      after = last.jobId;
    }
  }

  /** One that is not over. */
  live(jobId: string): JobRecord | undefined {
    return this.#live.get(jobId);
  }

  all(): Iterable<JobRecord> {
    return this.#live.values();
  }

  get size(): number {
    return this.#live.size;
  }

  get queue(): Queue<JobRecord> {
    return this.#waiting;
  }

  /** Live jobs of an owner that no node has yet. */
  queuedOf(owner: string): number {
    return this.#queuedOf.get(owner) ?? 0;
  }

  /** Jobs that a node was offered or has. */
  activeOn(node: string): ReadonlySet<string> {
    return this.#active.of(node);
  }

  /** Paid jobs that a part of a node's stake is kept for, or is to be, until their money is shared out (F38). */
  stakedOn(node: string): ReadonlySet<string> {
    return this.#staked.of(node);
  }

  /** Any job, over or not. */
  async find(jobId: string): Promise<JobRecord | undefined> {
    return this.#live.get(jobId) ?? this.#lately.get(jobId) ?? this.#needs.store.get(jobId);
  }

  /** How far a run is: not in the log, and gone with the run. */
  noteProgress(jobId: string, progress: JobProgress): void {
    this.#progress.set(jobId, progress);
  }

  progressOf(jobId: string): JobProgress | undefined {
    return this.#progress.get(jobId);
  }

  nextQueueEntry(base: number): QueueEntry {
    this.#lastQueueSeq += 1;
    return { base, enqueuedAt: this.#needs.now(), notBefore: 0, seq: this.#lastQueueSeq };
  }

  /** A new job, and what happens to it at once. @throws IllegalTransition */
  async create(first: Draft['first'], ...more: readonly Change[]): Promise<JobRecord> {
    const [made] = await this.createAll([{ first, more }]);
    return made!;
  }

  /** Several new jobs: all of them, or none. @throws IllegalTransition */
  async createAll(drafts: readonly Draft[]): Promise<JobRecord[]> {
    return this.#write(
      drafts.map(({ first, more }) => {
        // Proof of the type: a record without null is a patch of nothing.
        const patch = first as JobPatch;
        const created: Change = { transition: 'T1', cause: 'submitted', patch };
        return this.#prepare(first.jobId, undefined, [created, ...more]);
      }),
    );
  }

  /**
   * Changes a job: all of it on disk, or nothing. Undefined for a job that is over or unknown, such as one that was closed meanwhile.
   * @throws IllegalTransition
   */
  async change(jobId: string, ...changes: readonly Change[]): Promise<JobRecord | undefined> {
    const job = this.#live.get(jobId);
    return job && this.#apply(jobId, job, changes);
  }

  async #apply(jobId: string, before: JobRecord, changes: readonly Change[]): Promise<JobRecord> {
    const [after] = await this.#write([this.#prepare(jobId, before, changes)]);
    return after!;
  }

  #prepare(jobId: string, before: JobRecord | undefined, changes: readonly Change[]): Prepared {
    const at = this.#needs.now();
    const events: JobEvent[] = [];
    const records: JobRecord[] = [];
    let job = before;
    for (const change of changes) {
      const event = this.#eventOf(jobId, job, change, at);
      job = patched(job ?? ({} as JobRecord), event.patch);
      events.push(event);
      records.push(job);
    }
    return { before, events, records };
  }

  /** All of it, or nothing. @returns the jobs as they are then */
  async #write(all: readonly Prepared[]): Promise<JobRecord[]> {
    // Proof of the type: there is at least one change of each.
    const after = all.map(({ records }) => records.at(-1)!);
    for (const [index, { before }] of all.entries()) this.#remember(before, after[index]!);
    try {
      const { store } = this.#needs;
      const events = all.flatMap((one) => one.events);
      const isNew = all.every(({ before }) => before === undefined);
      await (isNew ? store.create(events) : store.append(events));
    } catch (error) {
      // One that is not there yet is simply not there; its id or intent may be another's.
      if (all.some(({ before }) => before !== undefined)) this.#needs.broken(error);
      else for (const job of after) this.#forget(job);
      throw error;
    }
    for (const job of after) if (!this.#live.has(job.jobId)) this.#rememberEnd(job);
    for (const { events, records } of all)
      for (const [index, event] of events.entries()) this.#needs.changed(records[index]!, event);
    return after;
  }

  /** What is on disk of a job that is over has changed. */
  forgetEnd(jobId: string): void {
    this.#lately.delete(jobId);
  }

  #rememberEnd(job: JobRecord): void {
    if ((job.result?.length ?? 0) + job.spec.length > LATELY_CHARS_MAX) return;
    if (this.#lately.size >= LATELY_MAX)
      this.#lately.delete(this.#lately.keys().next().value ?? '');
    this.#lately.set(job.jobId, job);
  }

  #eventOf(jobId: string, job: JobRecord | undefined, change: Change, at: number): JobEvent {
    const { transition, cause, patch } = change;
    const was = job?.state ?? 'new';
    const payment = patch.payment?.state ?? job?.payment.state ?? 'none';
    const now = transition === undefined ? job?.state : TRANSITIONS[transition].to;
    const problem =
      now === undefined
        ? 'there is no such job'
        : transition === undefined
          ? pairProblem(now, payment)
          : transitionProblem(transition, was, payment);
    if (problem !== undefined || now === undefined) {
      const line = `job ${jobId}, ${was}, ${cause}: ${problem}`;
      this.#needs.refused(line);
      throw new IllegalTransition(line);
    }
    const seq = (job?.seq ?? 0) + 1;
    const over = isOver(now, payment);
    const whole: JobPatch = {
      ...patch,
      state: now,
      seq,
      ...(over ? { times: { ...patch.times, closed: at } } : {}),
    };
    return {
      jobId,
      seq,
      at,
      was,
      now,
      ...(transition === undefined ? {} : { transition }),
      cause,
      patch: whole,
    };
  }

  #forget(job: JobRecord): void {
    this.#live.delete(job.jobId);
    this.#waiting.remove(job.jobId);
    this.#count(job.owner, isQueued(job) ? -1 : 0);
    this.#move(job.jobId, job, undefined);
  }

  #count(owner: string, more: number): void {
    const queued = this.queuedOf(owner) + more;
    if (queued <= 0) this.#queuedOf.delete(owner);
    else this.#queuedOf.set(owner, queued);
  }

  #remember(before: JobRecord | undefined, after: JobRecord): void {
    const over = isOver(after.state, after.payment.state);
    if (after.state !== 'running') this.#progress.delete(after.jobId);
    if (over) this.#live.delete(after.jobId);
    else this.#live.set(after.jobId, after);
    if (waits(after) && !over) this.#waiting.put(after);
    else this.#waiting.remove(after.jobId);
    const queuedBefore = before !== undefined && isQueued(before) ? 1 : 0;
    const queuedAfter = isQueued(after) ? 1 : 0;
    this.#count(after.owner, queuedAfter - queuedBefore);
    this.#move(after.jobId, before, over ? undefined : after);
  }

  #move(jobId: string, before: JobRecord | undefined, after: JobRecord | undefined): void {
    this.#active.move(jobId, before && nodeOf(before), after && nodeOf(after));
    this.#staked.move(jobId, before && stakeOf(before), after && stakeOf(after));
  }
}

/** In the queue: paid, or free, offered to nobody, and not waiting for the chain to have taken it from its last node. */
function waits({ state, node, substate }: JobRecord): boolean {
  return state === 'escrowed' && node === undefined && substate !== 'releasing';
}

function isQueued({ state }: JobRecord): boolean {
  return state === 'pending' || state === 'escrowed';
}

/** Whose stake answers for a job. */
function stakeOf({ node, payment }: JobRecord): string | undefined {
  return payment.state === 'free' ? undefined : node?.name;
}

/** Whose slot a job takes. */
function nodeOf({ state, node }: JobRecord): string | undefined {
  return state === 'escrowed' || state === 'assigned' || state === 'running'
    ? node?.name
    : undefined;
}
