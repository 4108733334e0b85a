import { expect, test } from 'vitest';
import {
  at,
  client,
  contract,
  defineProcess,
  type DeferredReply,
  every,
  from,
  method,
  Refusal,
  RequesterGone,
  sleep,
  stateOf,
  t,
  TimedOut,
  timeout,
} from './index.ts';
import { AT_STEP_MS } from './timers.ts';
import { fakeTimer } from './testing/fake-timer.ts';
import { FakeVfs } from './testing/fake-vfs.ts';
import type { Peer } from './testing/memory-host.ts';
import { TestProcess } from './testing/test-process.ts';

const peers = { 'timer:distro:sys': fakeTimer() };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

// ---- timers

test('M113 a sleep ends when its time is over, also where the timer may not answer', async () => {
  for (const reachable of [true, false]) {
    const module = defineProcess({
      onMessage: async (_context, process) => {
        await sleep(process, 1_999);
        return 'awake';
      },
    });
    const process = await TestProcess.start(module, { peers: reachable ? peers : {} });
    const id = process.host.arrive({ expectsResponse: 60, body: bytes('') });
    await process.run();
    process.host.advance(1.5);
    await process.run();
    expect(process.answerTo(id)).toBe(undefined);
    process.host.advance(0.5);
    await process.run();
    expect(process.answerTo(id)).toBe('awake');
  }
});

test('a sleep that is given up ends at once with the reason, and its requester still gets an answer soon', async () => {
  const giveUp = new AbortController();
  const module = defineProcess({
    onMessage: async (context, process) => {
      if (context.text === 'stop') {
        giveUp.abort(new Error('enough'));
        return 'stopped';
      }
      return sleep(process, 3_600_000, { signal: giveUp.signal }).catch((error: unknown) =>
        String(error),
      );
    },
  });
  const process = await TestProcess.start(module, { peers });
  const waiting = process.host.arrive({ expectsResponse: 7_200, body: bytes('sleep') });
  await process.run();
  expect(await process.ask('stop')).toBe('stopped');
  // Not after an hour: what made it current again was not the timer.
  process.host.advance(1);
  await process.run();
  expect(process.answerTo(waiting)).toBe('Error: enough');
  process.host.advance(3_600);
  await process.run();
  expect(await process.ask('stop')).toBe('stopped');
});

test('every repeats until its work says so, or its signal', async () => {
  const ticks: string[] = [];
  const stop = new AbortController();
  const module = defineProcess({
    setup: (process) => {
      let left = 3;
      void every(process, 1_000, () => {
        ticks.push('a');
        left -= 1;
        return left > 0;
      }).then(() => ticks.push('end a'));
      void every(process, 1_000, () => void ticks.push('b'), { signal: stop.signal }).then(() =>
        ticks.push('end b'),
      );
    },
    onMessage: () => 'here',
  });
  const process = await TestProcess.start(module, { peers });
  for (let second = 0; second < 3; second++) {
    process.host.advance(1);
    await process.run();
    if (second === 1) stop.abort();
  }
  expect(ticks).toEqual(['a', 'b', 'a', 'b', 'end b', 'a', 'end a']);
  expect(await process.ask('still')).toBe('here');
});

test('a handler that leaves a long sleep behind is answered without waiting for it', async () => {
  let release = (): void => {};
  const module = defineProcess({
    onMessage: async (context, process) => {
      if (context.text === 'release') {
        release();
        return 'released';
      }
      void every(process, 3_600_000, () => {});
      await new Promise<void>((resolve) => (release = resolve));
      return 'began';
    },
  });
  const process = await TestProcess.start(module, { peers });
  const id = process.host.arrive({ expectsResponse: 60, body: bytes('begin') });
  await process.run();
  expect(await process.ask('release')).toBe('released');
  process.host.advance(1);
  await process.run();
  expect(process.answerTo(id)).toBe('began');
});

test('at runs what is overdue at once, and what is far away in steps', async () => {
  const done: string[] = [];
  const module = defineProcess({
    setup: (process) => {
      void at(process, Date.now() - 5, () => void done.push('overdue'));
      void at(process, Date.now() + 3 * AT_STEP_MS, () => void done.push('never'));
    },
  });
  const process = await TestProcess.start(module, { peers });
  expect(done).toEqual(['overdue']);
  const delays = process.host.sent.map(({ request }) => new TextDecoder().decode(request.body));
  expect(delays).toEqual([`{"SetTimer":${AT_STEP_MS}}`]);
});

test('timeout passes on what is in time, and rejects what is not', async () => {
  const seen: unknown[] = [];
  const module = defineProcess({
    setup: (process) => {
      void timeout(process, Promise.resolve('quick'), 50).then((value) => seen.push(value));
      void timeout(process, new Promise(() => {}), 2_000).catch((error) => seen.push(error));
    },
  });
  const process = await TestProcess.start(module, { peers });
  expect(seen).toEqual(['quick']);
  process.host.advance(2);
  await process.run();
  expect(seen[1]).toBeInstanceOf(TimedOut);
});

// ---- signal and deferred answers

test('the signal of a request comes when its requester has stopped waiting, not before', async () => {
  const reasons: unknown[] = [];
  const module = defineProcess({
    onMessage: async (context, process) => {
      await sleep(process, 3_600_000, { signal: context.signal }).catch((error: unknown) =>
        reasons.push(error),
      );
      return undefined;
    },
  });
  const process = await TestProcess.start(module, { peers });
  process.host.arrive({ expectsResponse: 3, body: bytes('') });
  process.host.arrive({ expectsResponse: undefined, body: bytes('nobody waits') });
  await process.run();
  for (const expected of [0, 0, 1, 1]) {
    process.host.advance(1);
    await process.run();
    expect(reasons).toHaveLength(expected);
  }
  expect(reasons[0]).toBeInstanceOf(RequesterGone);
});

const lists = contract({ Next: method(t.unit, t.u32), Give: method(t.u32, t.unit) });

test('a deferred reply is given by another handler, as the contract says, after the state is stored', async () => {
  const waiting: DeferredReply[] = [];
  const module = defineProcess({
    contract: lists,
    state: stateOf(t.u32, () => 0),
    on: {
      Next: (_args, context) => {
        waiting.push(context.deferReply());
        return 0;
      },
      Give: (value, _context, process) => {
        process.state = value;
        if (value === 13) waiting.shift()?.reject(new Refusal('Unlucky', 'not that one'));
        else waiting.shift()?.resolve(value);
      },
    },
  });
  const process = await TestProcess.start(module);
  const ids = [1, 2].map(() => process.host.arrive({ expectsResponse: 60, body: bytes('"Next"') }));
  await process.run();
  expect(ids.map((id) => process.answerTo(id))).toEqual([undefined, undefined]);
  await process.ask('{"Give":7}');
  await process.ask('{"Give":13}');
  process.host.advance(1);
  await process.run();
  expect(process.answerTo(ids[0] ?? 0)).toBe('{"Next":7}');
  expect(() => process.answerTo(ids[1] ?? 0)).toThrow('not that one');
});

test('a request can be given up; its late response disturbs nothing', async () => {
  const stop = new AbortController();
  const seen: unknown[] = [];
  const module = defineProcess({
    setup: (process) => {
      const far = client(process, lists, 'far:away:sys');
      far.Next(undefined, { signal: stop.signal }).catch((error: unknown) => seen.push(error));
    },
    onMessage: () => 'fine',
  });
  const process = await TestProcess.start(module);
  stop.abort('no more');
  await process.run();
  expect(seen).toEqual(['no more']);
  const [sent] = process.host.sent;
  if (sent === undefined) throw new Error('nothing sent');
  process.host.answer(sent, '{"Next":1}');
  await process.run();
  expect(await process.ask('?')).toBe('fine');
});

// ---- state

const counting = defineProcess({
  state: stateOf(t.record({ total: t.u32 }), () => ({ total: 0 })),
  onMessage: (_context, process) => {
    process.state = { total: process.state.total + 1 };
    return String(process.state.total);
  },
});

test('state that cannot be read is reported, kept in a drive, and replaced', async () => {
  const vfs = new FakeVfs();
  const state = bytes('{"total":"seven"}');
  const process = await TestProcess.start(counting, {
    state,
    peers: { 'vfs:distro:sys': vfs.peer },
  });
  expect(process.host.prints.map(({ text }) => text).join('\n')).toMatch(
    /total: expected u32[^]*kept as \/test:sys\/state-backup\/test-/,
  );
  const [[path, kept] = []] = [...vfs.files];
  expect(path).toMatch(/^test:sys\/state-backup\/test-\d{4}-/);
  expect(kept).toEqual(state);
  expect(await process.ask('')).toBe('1');
  expect(new TextDecoder().decode(process.host.state)).toBe('{"total":1}');
});

test('without a drive to keep it in, unreadable state stays with the new state until there is one', async () => {
  const state = bytes('{"total":"seven"}');
  const refusing: Peer = () => '{"Err":"NoWriteCap"}';
  const first = await TestProcess.start(counting, { state, peers: { 'vfs:distro:sys': refusing } });
  expect(await first.ask('')).toBe('1');
  const stored = first.host.state;
  const vfs = new FakeVfs();
  const second = await TestProcess.start(counting, {
    state: stored,
    peers: { 'vfs:distro:sys': vfs.peer },
  });
  expect([...vfs.files.values()]).toEqual([state]);
  expect(await second.ask('')).toBe('2');
  expect(new TextDecoder().decode(second.host.state)).toBe('{"total":2}');
});

test('older state is brought up to date step by step; newer state is not read', async () => {
  const vfs = new FakeVfs();
  const third = defineProcess({
    state: stateOf(t.record({ names: t.list(t.text), big: t.u64 }), () => ({ names: [], big: 0 }), {
      version: 3,
      migrate: {
        1: from(t.text, (name) => ({ name })),
        2: from(t.record({ name: t.text }), ({ name }) => ({ names: [name], big: 2n ** 60n })),
      },
    }),
    onMessage: (_context, process) => process.state.names.join(),
  });
  const run = async (stored: string): Promise<TestProcess<never, never>> =>
    (await TestProcess.start(third, {
      state: bytes(stored),
      peers: { 'vfs:distro:sys': vfs.peer },
    })) as never;
  const fromFirst = await run('"ada"');
  expect(await fromFirst.ask('')).toBe('ada');
  const stored = new TextDecoder().decode(fromFirst.host.state);
  expect(stored).toBe('{"state-version":3,"state":{"names":["ada"],"big":1152921504606846976}}');
  expect(await (await run(stored)).ask('')).toBe('ada');
  expect(await (await run('{"state-version":2,"state":{"name":"bob"}}')).ask('')).toBe('bob');
  expect(vfs.files.size).toBe(0);
  const newer = await run('{"state-version":4,"state":null}');
  expect(newer.host.prints[0]?.text).toContain('it has version 4, this program knows 3');
  expect(vfs.files.size).toBe(1);
});
