import fc from 'fast-check';
import { expect, test } from 'vitest';
import { History, HISTORY_MS, Ring, SAMPLES_MAX } from './history.ts';
import { COLUMNS, firstOrder, inOrderOf, matching, nextOrder, sorted } from './table.ts';
import { elapsedMs, rowsOf, type Snapshot, snapshotOf, totalsOf, type Usage } from './usage.ts';

const IDLE: Usage = {
  state: 'running',
  fuel: 0,
  cpu_ms: 0,
  memory_bytes: 0,
  messages_received: 0,
  messages_sent: 0,
  mailbox: 0,
  mailbox_bytes: 0,
  capabilities: 0,
  uptime_ms: 0,
  restarts: 0,
  last_end: null,
  queued_operations: 0,
};

const at = (atMs: number, processes: Record<string, Partial<Usage>>): Snapshot =>
  snapshotOf(
    {
      Debug: {
        Usage: Object.fromEntries(
          Object.entries(processes).map(([id, usage]) => [id, { ...IDLE, ...usage }]),
        ),
      },
    },
    atMs,
  );

test('rates are of the time the node counted, not of the time the answers took', () => {
  const before = at(0, { a: { uptime_ms: 1_000, cpu_ms: 100, messages_received: 10, fuel: 5 } });
  const now = at(1_900, {
    a: { uptime_ms: 2_000, cpu_ms: 600, messages_received: 40, messages_sent: 2, fuel: 1_005 },
  });
  expect(rowsOf(before, now)).toMatchObject([
    { id: 'a', cpu: 0.5, inPerS: 30, outPerS: 2, fuelPerS: 1_000 },
  ]);
});

test('the first sample, a new process and one under an old name have no rates yet', () => {
  const before = at(0, { a: { uptime_ms: 5_000 }, b: { cpu_ms: 900, uptime_ms: 100 } });
  const now = at(1_000, { a: { uptime_ms: 6_000 }, b: { cpu_ms: 1, uptime_ms: 90 }, c: {} });
  expect(rowsOf(undefined, now).map(({ cpu }) => cpu)).toEqual([undefined, undefined, undefined]);
  expect(rowsOf(before, now).map(({ cpu }) => cpu)).toEqual([0, undefined, undefined]);
  expect(rowsOf(now, now).map(({ cpu }) => cpu)).toEqual([undefined, undefined, undefined]);
});

test('without anybody whose uptime grew, the clock of the page counts', () => {
  const before = at(100, { a: { uptime_ms: 5_000 } });
  expect(elapsedMs(before, at(1_100, { a: { uptime_ms: 300 } }))).toBe(1_000);
  expect(elapsedMs(before, at(1_100, { a: { uptime_ms: 5_800 } }))).toBe(800);
});

test('totals count processes without the parts of the node, and add up the rest', () => {
  const before = at(0, { a: { uptime_ms: 0 }, b: { uptime_ms: 0 }, k: { state: 'kernel' } });
  const now = at(1_000, {
    a: { uptime_ms: 1_000, cpu_ms: 100, memory_bytes: 5, messages_received: 1 },
    b: { uptime_ms: 1_000, cpu_ms: 200, memory_bytes: 6, messages_received: 2 },
    k: { state: 'kernel' },
  });
  const totals = totalsOf(rowsOf(before, now));
  expect(totals).toMatchObject({ processes: 2, memoryBytes: 11, messagesPerS: 3 });
  expect(totals.cpu).toBeCloseTo(0.3);
  expect(totalsOf([])).toEqual({
    processes: 0,
    cpu: undefined,
    memoryBytes: 0,
    messagesPerS: undefined,
  });
});

test('what is no answer of the kernel is an error, not an empty table', () => {
  for (const answer of [null, {}, { Debug: 'x' }, 'login']) {
    expect(() => snapshotOf(answer, 0)).toThrow('says nothing');
  }
});

test('rows are sorted by any column, and keep still where they are equal', () => {
  const rows = rowsOf(
    undefined,
    at(0, {
      c: { memory_bytes: 1, state: 'running' },
      a: { memory_bytes: 1, state: 'ended' },
      b: { memory_bytes: 2, state: 'running' },
    }),
  );
  const ids = (order: Parameters<typeof sorted>[1]): string =>
    sorted(rows, order)
      .map(({ id }) => id)
      .join('');
  expect(ids({ by: 'memory', descending: true })).toBe('bac');
  expect(ids({ by: 'memory', descending: false })).toBe('acb');
  expect(ids({ by: 'id', descending: true })).toBe('cba');
  expect(ids({ by: 'state', descending: false })).toBe('abc');
  for (const by of COLUMNS) expect(ids(firstOrder(by))).toHaveLength(3);
  expect(nextOrder({ by: 'id', descending: false }, 'cpu')).toEqual({
    by: 'cpu',
    descending: true,
  });
  expect(nextOrder({ by: 'cpu', descending: true }, 'cpu').descending).toBe(false);
});

test('rows are found by words of their name, state or reason; parts of the node only when asked for', () => {
  const rows = rowsOf(
    undefined,
    at(0, {
      'chat:chat:sys': { last_end: 'trapped: Unreachable' },
      'vfs:distro:sys': { state: 'module' },
    }),
  );
  const found = (text: string, all: boolean): string[] =>
    matching(rows, text, { all }).map(({ id }) => id);
  expect(found('', false)).toEqual(['chat:chat:sys']);
  expect(found('', true)).toHaveLength(2);
  expect(found(' SYS  unreach ', true)).toEqual(['chat:chat:sys']);
  expect(found('module', true)).toEqual(['vfs:distro:sys']);
  expect(found('module', false)).toEqual([]);
});

test('a ring holds the newest rows, in order, whatever was pushed', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer(), { maxLength: 300 }),
      fc.integer({ min: 1, max: 90 }),
      (all, max) => {
        const ring = new Ring(2, max);
        for (const value of all) ring.push([value, -value]);
        const kept = all.slice(-max);
        expect([...ring.column(0)]).toEqual(kept);
        expect([...ring.column(1)].map((value) => 0 - value)).toEqual(
          kept.map((value) => value + 0),
        );
        expect(ring.size).toBe(kept.length);
      },
    ),
  );
});

test('histories reach back ten minutes, for each process and for all together', () => {
  const history = new History();
  const sample = (atMs: number, ids: readonly string[]): void => {
    const processes = Object.fromEntries(
      ids.map((id) => [id, { memory_bytes: atMs, uptime_ms: atMs }]),
    );
    history.record(rowsOf(undefined, at(atMs, processes)), atMs);
  };
  for (let n = 0; n <= SAMPLES_MAX + 5; n++) sample(n * 1_000, n < 5 ? ['a', 'brief'] : ['a']);
  const nowMs = (SAMPLES_MAX + 5) * 1_000;
  const { atMs, values } = history.series('a', nowMs);
  expect([atMs[0], atMs.at(-1), atMs.length]).toEqual([6_000, nowMs, SAMPLES_MAX]);
  expect(values.memory.at(-1)).toBe(nowMs);
  expect(values.cpu.every((value) => Number.isNaN(value))).toBe(true);
  expect(history.series('', nowMs).values.memory.at(-1)).toBe(nowMs);
  expect(history.series('brief', 4_000).atMs.length).toBe(0);
  expect(history.series('nobody', nowMs).atMs.length).toBe(0);
  const later = nowMs + HISTORY_MS / 2;
  expect(history.series('a', later).atMs[0]).toBe(later - HISTORY_MS);
});

test('rows that are held stay where they were; those that come stand last', () => {
  const rows = rowsOf(undefined, at(0, { a: {}, b: {}, c: {}, d: {} }));
  const ids = inOrderOf(rows, ['c', 'gone', 'a']).map(({ id }) => id);
  expect(ids).toEqual(['c', 'a', 'b', 'd']);
});
