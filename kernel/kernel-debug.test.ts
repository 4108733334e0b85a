/** What kernel:distro:sys tells of its processes, K109 and K110, and our extensions of its commands. */
import { describe, expect, test } from 'vitest';
import { address } from '../wit/address.ts';
import type { JsonValue } from '../wit/json.ts';
import { settle, TestNode } from './testing.ts';
import { A, B, at, idle } from './processes.testing.ts';
import { ask, boss, BOSS } from './commands.testing.ts';

describe('Debug', () => {
  test('K109 the process map lists modules with an empty handle, and processes with the pair-less capabilities', async () => {
    const node = new TestNode();
    node.kernel.registerModule({
      name: 'timer',
      public: true,
      decode: () => ({ ok: false, error: undefined }),
      handle: () => Promise.resolve(undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    await node.start(A, idle);
    const answer = await boss(node, (guest) => ask(guest, '{"Debug":"ProcessMap"}'));
    expect(answer).toMatchObject({
      Debug: {
        ProcessMap: {
          'kernel:distro:sys': { wasm_bytes_handle: '', on_exit: 'Restart', public: false },
          'timer:distro:sys': {
            wasm_bytes_handle: '',
            wit_version: 1,
            on_exit: 'Restart',
            public: true,
          },
          [A]: {
            wasm_bytes_handle: `/${A}.wasm`,
            wit_version: 1,
            on_exit: 'None',
            capabilities: [{ issuer: at(A), params: '"messaging"' }],
            public: false,
          },
        },
      },
    });
  });

  test('K110 Process and HasCap, known and unknown', async () => {
    const node = new TestNode();
    await node.start(A, idle, { holds: [{ issuer: address(at(B)), params: '{"a":1,"b":2}' }] });
    const cap = { issuer: at(B), params: '{"b":2,"a":1}' };
    const answers = await boss(node, async (guest) => [
      await ask(guest, { Debug: { Process: 'no:such:process' } }),
      await ask(guest, { Debug: { HasCap: { on: A, cap } } }),
      await ask(guest, { Debug: { HasCap: { on: A, cap: { ...cap, params: '1' } } } }),
      await ask(guest, { Debug: { HasCap: { on: 'no:such:process', cap } } }),
    ]);
    expect(answers).toEqual([
      { Debug: { Process: null } },
      { Debug: { HasCap: true } },
      { Debug: { HasCap: false } },
      { Debug: { HasCap: null } },
    ]);
  });

  test('Usage, our extension, says what each has used', async () => {
    const storage = {
      use: () => ({ diskBytes: 7, diskBytesMax: Infinity, openHandles: 2 }),
      operationsMax: () => 10,
    };
    const node = new TestNode({ storage });
    await node.start(A, idle);
    const answer = await boss(node, async (guest) => {
      await node.clock.advance(500);
      return ask(guest, '{"Debug":"Usage"}');
    });
    expect(answer).toMatchObject({
      Debug: {
        Usage: {
          [A]: {
            state: 'running',
            fuel: 1,
            cpu_ms: 2,
            memory_bytes: 65_536,
            uptime_ms: 500,
            restarts: 0,
            mailbox: 0,
            queued_operations: 0,
            package: { disk_bytes: 7, disk_bytes_max: null, open_handles: 2 },
          },
          [BOSS]: { messages_sent: 1 },
        },
      },
    });
  });
});

describe('our extensions', () => {
  interface Logs {
    readonly Debug: { readonly Logs: { readonly lines: unknown[]; readonly next: number } };
  }
  const logs = (after: number, limit: number): JsonValue => ({ Debug: { Logs: { after, limit } } });

  test('Logs: what was printed lately, page by page, single messages not', async () => {
    const node = new TestNode({ wallMs: () => 1_700_000_000_123 });
    await node.start(A, async (guest) => {
      for (const level of [0, 1, 2, 3]) await guest.host.printToTerminal(level, `level ${level}`);
      await guest.host.printToTerminal(0, 'x'.repeat(9_000));
    });
    await settle();
    const [first, rest, none, lost] = await boss(node, async (guest) => {
      const one = (await ask(guest, logs(0, 1_000))) as Logs;
      const seen = one.Debug.Logs.next;
      await guest.host.printToTerminal(0, 'later');
      return [
        one,
        await ask(guest, logs(seen, 10)),
        await ask(guest, logs(seen + 1, 10)),
        await ask(guest, logs(999_999, 1)),
      ];
    });
    const mine = first.Debug.Logs.lines.filter(
      (line) => (line as { process: string }).process === A,
    );
    expect(mine).toMatchObject([
      { time_ms: 1_700_000_000_123, verbosity: 0, text: 'pkg:sys: level 0' },
      { verbosity: 1, text: 'pkg:sys: level 1' },
      { text: `pkg:sys: ${'x'.repeat(8_192 - 9)}…` },
    ]);
    expect(rest).toMatchObject({ Debug: { Logs: { lines: [{ text: 'pkg:sys: later' }] } } });
    expect((none as Logs).Debug.Logs.lines).toEqual([]);
    expect(lost).toMatchObject({ Debug: { Logs: { lines: [{ text: 'pkg:sys: later' }] } } });
  });

  test('Logs: the oldest lines go first, and an answer is bounded', async () => {
    const node = new TestNode();
    await node.start(A, async (guest) => {
      for (let i = 1; i <= 4_500; i++) await guest.host.printToTerminal(0, `${i}`);
      await guest.receive();
    });
    await settle();
    const [newest, old] = await boss(node, async (guest) => [
      await ask(guest, logs(0, 4_000_000)),
      await ask(guest, logs(600, 2)),
    ]);
    const { lines, next } = (newest as Logs).Debug.Logs;
    expect(lines).toHaveLength(1_000);
    expect(lines.at(-1)).toMatchObject({ seq: 4_500, text: 'pkg:sys: 4500' });
    expect(next).toBe(4_500);
    expect(old).toMatchObject({
      Debug: { Logs: { lines: [{ seq: 601 }, { seq: 602 }], next: 602 } },
    });
  });

  test('RestartProcess: a fresh instance at once, with the same entry and capabilities', async () => {
    const node = new TestNode();
    let starts = 0;
    const granted = { issuer: address(at(B)), params: '"x"' };
    await node.start(
      A,
      async (guest) => {
        starts++;
        for (;;) await guest.receive();
      },
      { holds: [granted] },
    );
    const [answer, usage, cap, unknown] = await boss(node, async (guest) => [
      await ask(guest, { RestartProcess: A }),
      await ask(guest, '{"Debug":"Usage"}'),
      await ask(guest, { Debug: { HasCap: { on: A, cap: { issuer: at(B), params: '"x"' } } } }),
      await ask(guest, { RestartProcess: 'no:such:process' }),
    ]);
    expect(answer).toEqual({ RestartedProcess: A });
    expect(starts).toBe(2);
    expect(usage).toMatchObject({
      Debug: {
        Usage: { [A]: { state: 'running', restarts: 1, last_end: 'restarted by command' } },
      },
    });
    expect(cap).toEqual({ Debug: { HasCap: true } });
    expect(unknown).toEqual({ RestartProcessError: 'there is no process no:such:process' });
  });

  test('RestartProcess ends the wait for a restart, and Usage tells why the last instance ended', async () => {
    const node = new TestNode();
    let starts = 0;
    await node.start(
      A,
      async (guest) => {
        if (++starts === 1) throw new Error('lost my way\nsomewhere');
        for (;;) await guest.receive();
      },
      { onExit: { kind: 'restart' } },
    );
    const [before, answer, after] = await boss(node, async (guest) => [
      await ask(guest, '{"Debug":"Usage"}'),
      await ask(guest, { RestartProcess: A }),
      await ask(guest, '{"Debug":"Usage"}'),
    ]);
    const last_end = 'lost my way';
    expect(before).toMatchObject({ Debug: { Usage: { [A]: { state: 'backoff', last_end } } } });
    expect(answer).toEqual({ RestartedProcess: A });
    expect(after).toMatchObject({ Debug: { Usage: { [A]: { state: 'running', last_end } } } });
    await node.clock.advance(10_000);
    expect(starts).toBe(2);
  });
});
