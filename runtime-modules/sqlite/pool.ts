/**
 * Databases on children (findings F17). A database's requests go to one child, in order; databases share a few children, whose pipe
 * holds requests of one database at a time, so that the others can leave when a statement turns out to be slow:
 *
 *   up to SLOW_MS      other databases wait
 *   from SLOW_MS on    other databases move to another child; a query's own database does too, once per package
 *   past the limit     the child is killed: that request fails, those behind it (not started) are sent again, and the database
 *                      shares no child from then on
 */
import type { Clock } from '../shared/clock.ts';
import { ChildProcess } from './child-process.ts';
import type { Handle, Job, Outcome, Slot } from './child-slot.ts';
import {
  CHILDREN_MAX,
  CHILDREN_QUARANTINED,
  CHILDREN_SHARED,
  CLOSE_MS_MAX,
  DETACHED_PER_PACKAGE_MAX,
  LOOK_MS,
  SLOW_MS,
  WINDOW,
} from './limits.ts';
import { FrameWriter, Kind, Status } from './protocol.ts';

export interface PoolNeeds {
  readonly clock: Clock;
  readonly temporary: string;
  /** More of the children's environment; default none. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** A child ended by itself. */
  readonly report: (text: string) => void;
}

/** Statements remembered as quick, for each database. */
const QUICK_MAX = 512;
/** A statement that took no longer is quick. */
const QUICK_MS = 5;

export class Pool {
  readonly #needs: PoolNeeds;
  readonly #slots = new Set<Slot>();
  readonly #handles = new Set<Handle>();
  /** Databases that found no child free. */
  readonly #homeless = new Set<Handle>();
  #look: object | undefined;
  #closed = false;

  constructor(needs: PoolNeeds) {
    this.#needs = needs;
  }

  /** Children that run now. */
  get children(): number {
    return this.#slots.size;
  }

  /** Queues a request; it settles through its `settle`. */
  submit(job: Job): void {
    if (this.#closed) return job.settle({ kind: 'sql', text: 'the node shuts down' });
    this.#handles.add(job.handle);
    job.handle.queue.push(job);
    this.#place(job.handle);
  }

  /** Closes a database wherever it is open; a slow query of its own is ended. It must have no other requests. */
  async release(handle: Handle): Promise<void> {
    this.#leave(handle);
    this.#handles.delete(handle);
    const closing = [...handle.openIn].map(async (slot) => {
      if (slot.running.some((job) => job.handle === handle)) this.#kill(slot, 'gone');
      else if (slot.only === handle) {
        slot.killing = 'closed';
        slot.child.finish();
      } else return this.#close(handle, slot);
      return slot.child.ended;
    });
    await Promise.all(closing);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const { clock } = this.#needs;
    if (this.#look !== undefined) clock.cancel(this.#look);
    for (const slot of this.#slots) {
      slot.killing ??= 'closed';
      // A statement that runs is not waited for; what was acknowledged is on disk.
      if (slot.running.length > 0) slot.child.kill();
      else slot.child.finish();
    }
    const late = clock.schedule(() => {
      for (const slot of this.#slots) slot.child.kill();
    }, CLOSE_MS_MAX);
    await Promise.all([...this.#slots].map((slot) => slot.child.ended));
    clock.cancel(late);
  }

  // ---- where a database's requests go

  #place(handle: Handle): void {
    if (handle.queue.length === 0) return;
    const slot = (handle.slot ??= this.#choose(handle));
    if (slot === undefined) {
      this.#homeless.add(handle);
      return;
    }
    this.#homeless.delete(handle);
    slot.turns.add(handle);
    this.#feed(slot);
  }

  /** Its own child for one in quarantine; else the one with the least to do. Undefined: it has to wait for one. */
  #choose(handle: Handle): Slot | undefined {
    const usable = [...this.#slots].filter((slot) => !slot.slow && slot.killing === undefined);
    const isRoom = this.#slots.size < CHILDREN_MAX;
    if (handle.quarantined) {
      const own = usable.find((slot) => slot.only === handle);
      if (own !== undefined) return own;
      const others = [...this.#slots].filter((slot) => slot.only !== undefined);
      if (isRoom && others.length < CHILDREN_QUARANTINED) return this.#start(handle);
      return this.#makeRoom(usable);
    }
    const shared = usable.filter((slot) => slot.only === undefined);
    const idle = shared.some((slot) => slot.running.length === 0);
    if (shared.length < CHILDREN_SHARED && isRoom && !idle) return this.#start();
    if (shared.length === 0) return this.#makeRoom(usable);
    return shared.toSorted((a, b) => loadOf(a) - loadOf(b))[0];
  }

  /** Ends a child that its one database does not use; its end lets the homeless try again. */
  #makeRoom(usable: readonly Slot[]): undefined {
    const spare = usable.find(
      ({ only, running, turns }) => only && running.length + turns.size === 0,
    );
    if (spare === undefined) return;
    spare.killing = 'closed';
    spare.child.finish();
  }

  #start(only?: Handle): Slot {
    const child = new ChildProcess({
      temporary: this.#needs.temporary,
      environment: this.#needs.environment,
      onAnswer: (status, bytes) => this.#answered(slot, outcomeOf(status, bytes)),
      onEnd: (reason) => this.#ended(slot, reason),
    });
    const slot: Slot = {
      child,
      running: [],
      sinceMs: 0,
      turns: new Set(),
      sent: 0,
      current: undefined,
      only,
      slow: false,
      detachedFor: undefined,
      killing: undefined,
    };
    this.#slots.add(slot);
    return slot;
  }

  /** Its next request finds another child. */
  #leave(handle: Handle): void {
    handle.slot?.turns.delete(handle);
    handle.slot = undefined;
    this.#homeless.delete(handle);
  }

  // ---- what a child is sent

  /** Sends what may be sent: requests of one database at a time, and of those the quick ones together. */
  #feed(slot: Slot): void {
    if (slot.slow || slot.killing !== undefined) return;
    for (;;) {
      if (slot.running.length === 0) nextTurn(slot);
      const handle = slot.current;
      if (handle === undefined || handle.opening || !slot.turns.has(handle)) return;
      const job = handle.queue[0];
      if (job === undefined) {
        slot.turns.delete(handle);
        if (slot.running.length > 0) return;
      } else if (job.readOnly && job.signal?.aborted === true) {
        handle.queue.shift();
        job.settle({ kind: 'sql', text: 'its requester is gone' });
      } else if (!handle.openIn.has(slot)) {
        if (slot.running.length > 0) return;
        this.#open(handle, slot);
      } else {
        if (slot.running.length > 0 && !fits(slot, job)) return;
        handle.queue.shift();
        slot.sent += 1;
        this.#send(slot, job);
      }
    }
  }

  #open(handle: Handle, slot: Slot): void {
    handle.opening = true;
    const settings = [...handle.settings.values()];
    this.#send(slot, {
      ...administrative(handle, Kind.open),
      frame: (number) => {
        const frame = new FrameWriter().u32(number).text(handle.path).u32(settings.length);
        for (const sql of settings) frame.text(sql);
        return frame;
      },
      settle: (outcome) => {
        handle.opening = false;
        if (outcome.kind === 'ok') handle.openIn.add(slot);
        else for (const job of handle.queue.splice(0)) job.settle(outcome);
      },
    });
  }

  #close(handle: Handle, slot: Slot): Promise<void> {
    handle.openIn.delete(slot);
    return new Promise((resolve) => {
      this.#send(slot, {
        ...administrative(handle, Kind.close),
        frame: (number) => new FrameWriter().u32(number),
        settle: () => resolve(),
      });
    });
  }

  #send(slot: Slot, job: Job): void {
    if (slot.running.length === 0) slot.sinceMs = this.#needs.clock.nowMs();
    slot.running.push(job);
    slot.child.send(job.kind, job.frame(job.handle.number));
    this.#look ??= this.#needs.clock.schedule(() => this.#lookAround(), LOOK_MS);
  }

  #answered(slot: Slot, outcome: Outcome): void {
    const job = slot.running.shift();
    if (job === undefined) return;
    const nowMs = this.#needs.clock.nowMs();
    if (job.sql !== undefined) learn(job.handle, job.sql, nowMs - slot.sinceMs);
    slot.sinceMs = nowMs;
    if (slot.slow) this.#noLongerSlow(slot);
    job.settle(outcome);
    this.#feed(slot);
    this.#rehome();
  }

  // ---- slow statements

  #lookAround(): void {
    this.#look = undefined;
    const nowMs = this.#needs.clock.nowMs();
    let busy = false;
    for (const slot of this.#slots) {
      const [job] = slot.running;
      if (job === undefined || slot.killing !== undefined) continue;
      busy = true;
      const forMs = nowMs - slot.sinceMs;
      if (forMs > job.limitMs) this.#kill(slot, 'limit');
      else if (forMs <= SLOW_MS) continue;
      else if (job.readOnly && (job.handle.doomed || job.signal?.aborted === true))
        this.#kill(slot, 'gone');
      else if (!slot.slow) this.#turnsSlow(slot, job);
    }
    if (busy) this.#look = this.#needs.clock.schedule(() => this.#lookAround(), LOOK_MS);
  }

  #turnsSlow(slot: Slot, { handle: own, readOnly }: Job): void {
    slot.slow = true;
    const detach = readOnly && slot.running.length === 1 && this.#mayDetach(own.owner);
    if (detach) slot.detachedFor = own.owner;
    for (const handle of this.#handles) {
      if (handle.slot !== slot || (handle === own && !detach)) continue;
      this.#leave(handle);
      this.#place(handle);
    }
  }

  #mayDetach(owner: string): boolean {
    const detached = [...this.#slots].filter((slot) => slot.detachedFor === owner);
    return detached.length < DETACHED_PER_PACKAGE_MAX && this.#slots.size < CHILDREN_MAX;
  }

  /** Databases that left are closed here, now that the child listens again. */
  #noLongerSlow(slot: Slot): void {
    slot.slow = false;
    slot.detachedFor = undefined;
    for (const handle of this.#handles) {
      if (handle.openIn.has(slot) && handle.slot !== slot) void this.#close(handle, slot);
    }
  }

  #kill(slot: Slot, why: NonNullable<Slot['killing']>): void {
    slot.killing = why;
    slot.child.kill();
  }

  /** The first request has failed with its child; those behind it were not started. */
  #ended(slot: Slot, reason: string): void {
    this.#slots.delete(slot);
    const [failed, ...unstarted] = slot.running.splice(0);
    for (const job of unstarted.toReversed()) {
      if (isAdministrative(job)) job.settle(GONE);
      else job.handle.queue.unshift(job);
    }
    if (failed !== undefined) {
      if (slot.killing === 'limit') failed.handle.quarantined = true;
      if (slot.killing === undefined)
        this.#needs.report(`a child ended at work on ${failed.handle.path}: ${reason}`);
      failed.settle(endOf(failed, slot.killing));
    }
    for (const handle of this.#handles) {
      handle.openIn.delete(slot);
      if (handle.slot === slot) this.#leave(handle);
      if (!this.#closed) this.#place(handle);
      else for (const job of handle.queue.splice(0)) job.settle(endOf(job, 'closed'));
    }
  }

  #rehome(): void {
    for (const handle of this.#homeless) this.#place(handle);
  }
}

/** Opening reads the whole write-ahead log of a database that was not closed. */
const OPEN_MS_MAX = 60_000;
const GONE: Outcome = { kind: 'sql', text: 'the database engine ended' };

function administrative(handle: Handle, kind: Job['kind']): Omit<Job, 'frame' | 'settle'> {
  return {
    kind,
    handle,
    sql: undefined,
    readOnly: false,
    limitMs: OPEN_MS_MAX,
    signal: undefined,
  };
}

const isAdministrative = ({ kind }: Job): boolean => kind === Kind.open || kind === Kind.close;

function loadOf(slot: Slot): number {
  return slot.turns.size + slot.running.length;
}

function nextTurn(slot: Slot): void {
  const [next] = slot.turns;
  slot.current = next;
  slot.sent = 0;
  if (next === undefined) return;
  // Behind all others until it is its turn again.
  slot.turns.delete(next);
  slot.turns.add(next);
}

/** Whether a request may be sent while others run. */
function fits(slot: Slot, job: Job): boolean {
  if (slot.running.length >= WINDOW) return false;
  if (slot.turns.size > 1 && slot.sent >= WINDOW) return false;
  return isQuick(job) && slot.running.every((each) => each.handle === job.handle && isQuick(each));
}

function isQuick({ sql, handle, kind }: Job): boolean {
  return kind === Kind.check || (sql !== undefined && handle.quick.has(sql));
}

function learn({ quick }: Handle, sql: string, tookMs: number): void {
  if (tookMs > QUICK_MS) quick.delete(sql);
  else if (quick.size < QUICK_MAX) quick.add(sql);
}

function outcomeOf(status: number, bytes: Uint8Array): Outcome {
  const text = (): string => Buffer.from(bytes).toString();
  switch (status) {
    case Status.ok:
      return { kind: 'ok' };
    case Status.rows:
      return { kind: 'rows', bytes };
    case Status.parameters:
      return { kind: 'parameters' };
    case Status.damaged:
      return { kind: 'damaged', text: text() };
    case Status.io:
      return { kind: 'io', text: text() };
    default:
      return { kind: 'sql', text: text() };
  }
}

function endOf(job: Job, why: Slot['killing']): Outcome {
  switch (why) {
    case 'limit':
      return { kind: 'sql', text: `interrupted: it ran longer than ${job.limitMs} ms` };
    case 'gone':
      return { kind: 'sql', text: 'interrupted: its database or its requester is gone' };
    case 'closed':
      return { kind: 'sql', text: 'the node shuts down' };
    default:
      return GONE;
  }
}
