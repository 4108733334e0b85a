/**
 * Messages that wait for one peer, in the order they were sent. Where chunks interleave, messages between different pairs of processes need
 * not wait for each other; between one pair they do. Full, it makes its senders wait, so that a slow peer slows them and not the node.
 */
import type { KernelMessage } from '../../wit/types.ts';
import {
  LANE_BYTES_MAX,
  LANE_MESSAGES_MAX,
  OUTBOX_BYTES_MAX,
  OUTBOX_MESSAGES_MAX,
  OUTBOXES_BYTES_MAX,
} from './limits.ts';
import { weightOf } from './wire.ts';

export interface Entry {
  readonly sequence: number;
  readonly lane: string;
  readonly message: KernelMessage;
  readonly bytes: number;
}

/** Messages between the same two processes have the same lane, and stay in order. */
export function laneOf({ source, target }: KernelMessage): string {
  return `${source.process} ${target.process}`;
}

interface Load {
  messages: number;
  bytes: number;
}

/** Bytes that wait for all peers together. */
export class OutboxBudget {
  readonly max: number;
  used = 0;

  constructor(max: number = OUTBOXES_BYTES_MAX) {
    this.max = max;
  }
}

export class Outbox {
  readonly #budget: OutboxBudget;
  readonly #lanes = new Map<string, Entry[]>();
  /** What waits or is being sent of each lane. */
  readonly #loads = new Map<string, Load>();
  #sequence = 0;
  #count = 0;
  #bytes = 0;

  constructor(budget: OutboxBudget) {
    this.#budget = budget;
  }

  /** Messages that wait or are on their way into a socket. */
  get size(): number {
    return this.#count;
  }

  /** Messages that wait. */
  get waiting(): number {
    let waiting = 0;
    for (const lane of this.#lanes.values()) waiting += lane.length;
    return waiting;
  }

  hasRoom(message: KernelMessage): boolean {
    if (this.#count === 0) return true;
    const bytes = weightOf(message);
    const load = this.#loads.get(laneOf(message));
    const laneHasRoom =
      load === undefined ||
      (load.messages < LANE_MESSAGES_MAX && load.bytes + bytes <= LANE_BYTES_MAX);
    return (
      laneHasRoom &&
      this.#count < OUTBOX_MESSAGES_MAX &&
      this.#bytes + bytes <= OUTBOX_BYTES_MAX &&
      this.#budget.used + bytes <= this.#budget.max
    );
  }

  push(message: KernelMessage): void {
    const lane = laneOf(message);
    const bytes = weightOf(message);
    this.#count++;
    this.#bytes += bytes;
    this.#budget.used += bytes;
    const load = this.#loads.get(lane);
    if (load === undefined) this.#loads.set(lane, { messages: 1, bytes });
    else {
      load.messages++;
      load.bytes += bytes;
    }
    this.#insert({ sequence: this.#sequence++, lane, message, bytes }, false);
  }

  /** The oldest message of a lane that is not among `busy`, and for which `fits` says yes. It counts until `done` or `giveBack`. */
  take(busy: ReadonlySet<string>, fits: (entry: Entry) => boolean): Entry | undefined {
    let oldest: Entry | undefined;
    for (const [lane, [head]] of this.#lanes) {
      if (head === undefined || busy.has(lane) || !fits(head)) continue;
      if (oldest === undefined || head.sequence < oldest.sequence) oldest = head;
    }
    if (oldest === undefined) return undefined;
    const line = this.#lanes.get(oldest.lane);
    line?.shift();
    if (line?.length === 0) this.#lanes.delete(oldest.lane);
    return oldest;
  }

  /** It has gone, or been given up. */
  done({ bytes, lane }: Entry): void {
    const load = this.#loads.get(lane);
    if (load !== undefined) {
      load.messages--;
      load.bytes -= bytes;
      if (load.messages === 0) this.#loads.delete(lane);
    }
    this.#count--;
    this.#bytes -= bytes;
    this.#budget.used -= bytes;
  }

  /** What was taken and not sent as a whole; it waits at its old place again. */
  giveBack(entries: readonly Entry[]): void {
    for (const entry of entries.toSorted((a, b) => b.sequence - a.sequence))
      this.#insert(entry, true);
  }

  /** Everything that waits, in order; it is empty then. */
  drain(): KernelMessage[] {
    const all = [...this.#lanes.values()].flat().toSorted((a, b) => a.sequence - b.sequence);
    this.#lanes.clear();
    for (const entry of all) this.done(entry);
    return all.map(({ message }) => message);
  }

  #insert(entry: Entry, first: boolean): void {
    const line = this.#lanes.get(entry.lane);
    if (line === undefined) this.#lanes.set(entry.lane, [entry]);
    else if (first) line.unshift(entry);
    else line.push(entry);
  }
}
