/** How much waits for one peer, for one pair of processes and for all peers, at each limit and over it (issue of networking, 5). */
import { describe, expect, test } from 'vitest';
import { remoteRequest } from '../../kernel/testing.ts';
import type { KernelMessage } from '../../wit/types.ts';
import {
  LANE_BYTES_MAX,
  LANE_MESSAGES_MAX,
  OUTBOX_BYTES_MAX,
  OUTBOX_MESSAGES_MAX,
  OUTBOXES_BYTES_MAX,
} from './limits.ts';
import { type Entry, Outbox, OutboxBudget } from './outbox.ts';
import { weightOf } from './wire.ts';

/** From the process of that number, weighing `bytes` where that is more than an empty one does. */
function message(process: number, bytes = 0): KernelMessage {
  const of = (length: number): KernelMessage =>
    remoteRequest(`us.os@p${process}:a:b`, 'them.os@a:b:c', { body: new Uint8Array(length) });
  return of(Math.max(0, bytes - weightOf(of(0))));
}

const all = (): boolean => true;
const taken = (outbox: Outbox, busy: readonly string[] = []): Entry | undefined =>
  outbox.take(new Set(busy), all);

describe('room', () => {
  test('one pair of processes has room for so many messages and bytes; others still have theirs', () => {
    const outbox = new Outbox(new OutboxBudget());
    for (let count = 0; count < LANE_MESSAGES_MAX; count++) {
      expect(outbox.hasRoom(message(1))).toBe(true);
      outbox.push(message(1));
    }
    expect(outbox.hasRoom(message(1))).toBe(false);
    expect(outbox.hasRoom(message(2, LANE_BYTES_MAX))).toBe(true);
    outbox.push(message(2, LANE_BYTES_MAX));
    expect(outbox.hasRoom(message(2))).toBe(false);
    expect(outbox.hasRoom(message(3))).toBe(true);
    // Being sent is not yet gone.
    const entry = taken(outbox)!;
    expect(outbox.hasRoom(message(1))).toBe(false);
    outbox.done(entry);
    expect(outbox.hasRoom(message(1))).toBe(true);
  });

  test('one message longer than a pair may keep waits alone', () => {
    const outbox = new Outbox(new OutboxBudget());
    const long = message(1, LANE_BYTES_MAX + 1);
    expect(outbox.hasRoom(long)).toBe(true);
    outbox.push(long);
    expect(outbox.hasRoom(message(1))).toBe(false);
    expect(outbox.hasRoom(message(2, OUTBOX_BYTES_MAX - weightOf(long)))).toBe(true);
  });

  test('one peer has room for so many messages and bytes, whoever they are of', () => {
    const many = new Outbox(new OutboxBudget());
    for (let count = 0; count < OUTBOX_MESSAGES_MAX; count++) many.push(message(count));
    expect(many.hasRoom(message(OUTBOX_MESSAGES_MAX))).toBe(false);
    const long = new Outbox(new OutboxBudget());
    for (let count = 0; count < OUTBOX_BYTES_MAX / LANE_BYTES_MAX; count++) {
      expect(long.hasRoom(message(count, LANE_BYTES_MAX))).toBe(true);
      long.push(message(count, LANE_BYTES_MAX));
    }
    expect(long.hasRoom(message(99))).toBe(false);
  });

  test('all peers together have room for so many bytes; a peer with nothing waiting for one message always', () => {
    const budget = new OutboxBudget();
    expect(budget.max).toBe(OUTBOXES_BYTES_MAX);
    const full = Array.from({ length: OUTBOXES_BYTES_MAX / OUTBOX_BYTES_MAX }, () => {
      const outbox = new Outbox(budget);
      for (let count = 0; count < OUTBOX_BYTES_MAX / LANE_BYTES_MAX; count++)
        outbox.push(message(count, LANE_BYTES_MAX));
      return outbox;
    });
    expect(budget.used).toBe(OUTBOXES_BYTES_MAX);
    const other = new Outbox(budget);
    expect(other.hasRoom(message(1))).toBe(true);
    other.push(message(1));
    expect(other.hasRoom(message(2))).toBe(false);
    full[0]!.drain();
    expect(other.hasRoom(message(2))).toBe(true);
    for (const outbox of [...full, other]) outbox.drain();
    expect(budget.used).toBe(0);
  });
});

describe('order', () => {
  test('the oldest goes first, of each pair of processes one at a time', () => {
    const outbox = new Outbox(new OutboxBudget());
    for (const process of [1, 1, 2, 3]) outbox.push(message(process));
    const first = taken(outbox)!;
    const second = taken(outbox, [first.lane])!;
    expect([first.sequence, second.sequence]).toEqual([0, 2]);
    expect(taken(outbox, [first.lane, second.lane])!.sequence).toBe(3);
    expect(taken(outbox, [first.lane])).toBeUndefined();
    expect(taken(outbox)!.sequence).toBe(1);
  });

  test('what a dead link gives back has its old place', () => {
    const outbox = new Outbox(new OutboxBudget());
    for (const process of [1, 1, 2]) outbox.push(message(process));
    outbox.giveBack([taken(outbox)!, taken(outbox)!]);
    expect([0, 1, 2].map(() => taken(outbox)!.sequence)).toEqual([0, 1, 2]);
    expect(outbox.waiting).toBe(0);
    expect(outbox.size).toBe(3);
  });
});
