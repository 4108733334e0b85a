/** A guest cannot survive being killed, wherever it is, and leaves nothing behind (findings.md F2, F3). */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, expect, test } from 'vitest';
import { refusal } from '../../kernel/image/testing.ts';
import { guest, ofText, guestText } from '../support/engine-guests.ts';
import { nestedReceiver, sleeper } from '../support/engine-components.ts';
import {
  delivery,
  EngineBench,
  hasEnded,
  OUR,
  RecordingHost,
  turns,
} from '../support/engine-host.ts';

const bench = new EngineBench();
afterAll(() => bench[Symbol.dispose]());

/** Starts, lets it run until `until` holds, kills it; the guest must end by that and call the host no more. */
async function killed(
  component: Uint8Array,
  host: RecordingHost,
  until: () => boolean,
): Promise<void> {
  const running = await bench.start(component, host);
  while (!until()) await turns(1);
  running.kill();
  running.kill();
  expect(await running.ended).toEqual({ kind: 'killed' });
  const after = host.calls.length;
  host.deliver(delivery('too late'));
  await turns(3);
  expect(host.calls.length).toBe(after);
}

function called(host: RecordingHost, name: string): boolean {
  return host.calls.some((call) => call.name === name);
}

test('F2 killed before its first instruction', async () => {
  const host = new RecordingHost();
  const component = await guest({ imports: ['our'], init: '(call $our (i32.const 64))' });
  const running = bench.engine.start(await bench.engine.load(component), OUR, host);
  running.kill();
  expect(await running.ended).toEqual({ kind: 'killed' });
  expect(host.calls).toEqual([]);
});

test('F2 killed while looping in wasm', async () => {
  const host = new RecordingHost();
  const component = await guest({
    imports: ['our'],
    init: '(call $our (i32.const 64)) (loop $l (br $l))',
  });
  await killed(component, host, () => called(host, 'our'));
});

test('F2 killed while suspended in receive, and in send-and-await-response', async () => {
  for (const name of ['receive', 'send-and-await-response']) {
    const host = new RecordingHost();
    const args = '(i32.const 64)'.repeat(name === 'receive' ? 1 : 2);
    // What comes after the call must never run.
    const component = await guest({
      imports: [name, 'our'],
      init: `(call $${name} ${args}) (loop $l (call $our (i32.const 64)) (br $l))`,
    });
    await killed(component, host, () => called(host, name));
    expect(called(host, 'our')).toBe(false);
  }
});

test('F2 killed by the host function that it is in', async () => {
  for (const name of ['our', 'has-blob', 'print-to-terminal']) {
    let running: { kill(): void } | undefined;
    let calls = 0;
    const host = new RecordingHost((call) => {
      if (call === name && ++calls === 3) running?.kill();
    });
    const args = {
      our: '(i32.const 64)',
      'has-blob': '',
      'print-to-terminal': '(i32.const 0)'.repeat(3),
    }[name];
    const component = await guest({
      imports: [name],
      init: `(loop $l (call $${name} ${args}) ${name === 'has-blob' ? '(drop)' : ''} (br $l))`,
    });
    const started = bench.engine.start(await bench.engine.load(component), OUR, host);
    running = started;
    expect(await started.ended).toEqual({ kind: 'killed' });
    expect(calls).toBe(3);
  }
});

test('F2 killed from outside in a loop of host calls that never suspend', async () => {
  const host = new RecordingHost();
  const component = await guest({
    imports: ['has-blob'],
    init: '(loop $l (drop (call $has-blob)) (br $l))',
  });
  await killed(component, host, () => called(host, 'has-blob'));
});

test('F2 killed while a host call of promises is pending', async () => {
  class Slow extends RecordingHost {
    override printToTerminal(): Promise<void> {
      this.record('print-to-terminal');
      return new Promise(() => undefined);
    }
  }
  const host = new Slow();
  const component = await guest({
    imports: ['print-to-terminal'],
    init: `(loop $l (call $print-to-terminal ${'(i32.const 0)'.repeat(3)}) (br $l))`,
  });
  await killed(component, host, () => called(host, 'print-to-terminal'));
});

test('F2 F8 killed while sleeping in WASI', async () => {
  const host = new RecordingHost();
  await killed(await sleeper(3_600_000_000_000n), host, () => called(host, 'our'));
});

test('F2 killed while a component inside it waits', async () => {
  const host = new RecordingHost();
  await killed(await nestedReceiver(), host, () => called(host, 'receive'));
});

test('F2 F13 a component inside another suspends and resumes both', async () => {
  const host = new RecordingHost();
  const running = await bench.start(await nestedReceiver(), host);
  for (let i = 1; i <= 3; i++) {
    host.deliver(delivery());
    for (let t = 0; t < 20 && host.printed.length < i; t++) await turns(1);
    expect(host.printed.length).toBe(i);
  }
  running.kill();
  expect(await running.ended).toEqual({ kind: 'killed' });
});

test('F2 no guest has the instructions to catch anything', async () => {
  const host = '(import "a" "b" (func $b))';
  const catching = await ofText(`(component (core module
    ${host} (func (export "f") (block $h (try_table (catch_all $h) (call $b))))))`);
  await expect(bench.engine.load(catching)).rejects.toThrow(/exception|init/);
  const core = guestText({ init: '(block $h (try_table (catch_all $h) (nop)))' });
  const wrapped = await ofText(`(component (core module $m ${core.slice('(module'.length)}
    (core instance $i (instantiate $m))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "cabi_realloc" (core func $realloc))
    (func $init (param "our" string)
      (canon lift (core func $i "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init)))`);
  await expect(bench.engine.load(wrapped)).rejects.toThrow(
    refusal('unsupported-feature', /exception|try_table/),
  );
});

const waiting = (): Promise<Uint8Array> =>
  guest({ imports: ['receive'], init: '(call $receive (i32.const 64))' });

test.each([
  { what: 'waiting for a message', make: waiting, sign: 'receive', count: 2_000 },
  { what: 'waiting inside another component', make: nestedReceiver, sign: 'receive', count: 600 },
  { what: 'asleep', make: () => sleeper(3_600_000_000_000n), sign: 'our', count: 600 },
])(
  'F3 starting and killing $count guests $what leaves neither heap nor memory behind',
  { timeout: 120_000 },
  async ({ make, sign, count }) => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const component = await make();
    const cycle = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        const host = new RecordingHost();
        const running = await bench.start(component, host);
        while (!called(host, sign)) await turns(1);
        await turns(1);
        running.kill();
        expect((await running.ended).kind).toBe('killed');
      }
    };
    const measure = async (): Promise<{ heap: number; rss: number }> => {
      for (let i = 0; i < 5; i++) {
        collect();
        await turns(5);
      }
      const { heapUsed: heap, rss } = process.memoryUsage();
      return { heap, rss };
    };
    await cycle(300);
    const before = await measure();
    await cycle(count);
    const after = await measure();
    // A stack that was never unwound costs 80 KB of heap and 100 KB of memory.
    expect(after.heap - before.heap).toBeLessThan(8 * 1024 * count);
    expect(after.rss - before.rss).toBeLessThan(20 * 1024 * 1024 + 30 * 1024 * count);
    expect(await hasEnded(await bench.start(await guest({ init: '' })))).toBe(true);
  },
);
