/** Commands of kernel:distro:sys: K4, K98 - K114; H14, H17; our Usage. */
import { describe, expect, test } from 'vitest';
import { address, processId } from '../wit/address.ts';
import { formatJson, parseJson, type JsonValue } from '../wit/json.ts';
import type { LazyLoadBlob } from '../wit/types.ts';
import { MemoryStore } from './store.ts';
import { bytesOf, settle, TestNode, textOf, type GuestApi, type GuestCode } from './testing.ts';

const BOSS = 'boss:pkg:sys';
const A = 'a:pkg:sys';
const B = 'b:pkg:sys';
const KERNEL = 'fake.os@kernel:distro:sys';
const at = (id: string): string => `fake.os@${id}`;
const idle: GuestCode = async (guest) => {
  for (;;) await guest.receive();
};

const SILENCE = 'no answer';

/** Sends a command and waits: the answer's JSON, or SILENCE when it timed out. */
async function ask(
  guest: GuestApi,
  command: JsonValue | string,
  blob?: LazyLoadBlob,
): Promise<unknown> {
  const body = bytesOf(typeof command === 'string' ? command : formatJson(command));
  const awaited = await guest.sendAndAwait(KERNEL, { body, expectsResponse: 1 }, blob);
  if (!awaited.ok) return SILENCE;
  const { message } = awaited.value;
  return message.kind === 'response' ? parseJson(message.response.body) : undefined;
}

/** Runs `act` as a process that may command the kernel. */
async function boss<T>(
  node: TestNode,
  act: (guest: GuestApi) => Promise<T>,
  holds: string[] = [],
): Promise<T> {
  let result: T | undefined;
  let failure: unknown;
  let done = false;
  await node.start(
    BOSS,
    async (guest) => {
      try {
        result = await act(guest);
        done = true;
      } catch (error) {
        failure = error;
      }
    },
    { holds: ['kernel:distro:sys', ...holds] },
  );
  for (let second = 0; second < 20 && !done && failure === undefined; second++)
    await node.clock.advance(1_100);
  if (failure !== undefined) throw failure;
  if (!done) throw new Error('the boss never finished');
  return result as T;
}

const initialize = (id: string, more: Record<string, JsonValue> = {}): JsonValue => ({
  InitializeProcess: {
    id,
    wasm_bytes_handle: '/pkg:sys/pkg/x.wasm',
    wit_version: 1,
    on_exit: 'None',
    initial_capabilities: [],
    public: false,
    ...more,
  },
});
const wasm = (node: TestNode, code: GuestCode, name = 'guest'): LazyLoadBlob => ({
  mime: undefined,
  bytes: node.engine.component(name, code),
});

describe('InitializeProcess', () => {
  test('K4 an unsafe id is an error', async () => {
    const node = new TestNode();
    const blob = wasm(node, idle);
    expect(await boss(node, (guest) => ask(guest, initialize('A_b:pkg:pub'), blob))).toBe(
      'InitializeProcessError',
    );
  });

  test('K98 without a blob it is an error', async () => {
    expect(await boss(new TestNode(), (guest) => ask(guest, initialize(A)))).toBe(
      'InitializeProcessError',
    );
  });

  test("K99 an existing id is an error and leaves the instance alone; a module's too", async () => {
    const node = new TestNode();
    let ends = 0;
    await node.start(A, async (guest) => {
      await idle(guest).finally(() => ends++);
    });
    node.kernel.registerModule({
      name: 'vfs',
      public: false,
      decode: () => ({ ok: false, error: undefined }),
      handle: () => Promise.resolve(undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    const blob = wasm(node, idle);
    const answers = await boss(node, async (guest) => [
      await ask(guest, initialize(A), blob),
      await ask(guest, initialize('vfs:distro:sys'), blob),
    ]);
    expect(answers).toEqual(['InitializeProcessError', 'InitializeProcessError']);
    expect(node.kernel.usage().get(processId(A))?.state).toBe('running');
    expect(ends).toBe(0);
  });

  test('H17 the kernel itself cannot be initialized over', async () => {
    const node = new TestNode();
    const blob = wasm(node, idle);
    const answers = await boss(node, async (guest) => [
      await ask(guest, initialize('kernel:distro:sys'), blob),
      await ask(guest, { Debug: { Process: 'no:such:process' } }),
    ]);
    expect(answers).toEqual(['InitializeProcessError', { Debug: { Process: null } }]);
  });

  test('K100 a valid one is InitializedProcess, and nothing runs before RunProcess', async () => {
    const node = new TestNode();
    let runs = 0;
    const blob = wasm(node, async (guest) => {
      runs++;
      await idle(guest);
    });
    const seen = await boss(node, async (guest) => {
      const first = await ask(guest, initialize(A), blob);
      await node.clock.advance(60_000);
      const before = runs;
      const second = await ask(guest, { RunProcess: A });
      await settle();
      return [first, before, second, runs];
    });
    expect(seen).toEqual(['InitializedProcess', 0, 'StartedProcess', 1]);
  });

  test('K103 the caller can message the new process', async () => {
    const node = new TestNode();
    const blob = wasm(node, async (guest) => {
      await guest.request();
      await guest.respond('hello');
      await guest.receive();
    });
    const seen = await boss(node, async (guest) => {
      await ask(
        guest,
        initialize(A, { initial_capabilities: [{ issuer: at(BOSS), params: '"messaging"' }] }),
        blob,
      );
      await ask(guest, { RunProcess: A });
      const awaited = await guest.sendAndAwait(at(A), {});
      return awaited.ok;
    });
    expect(seen).toBe(true);
  });

  test('K104 capabilities the caller does not hold are skipped with a level-0 line each', async () => {
    const node = new TestNode();
    const blob = wasm(node, idle);
    const issuer = at(B);
    const command = initialize(A, {
      initial_capabilities: [
        { issuer, params: '"messaging"' },
        { issuer, params: '"other"' },
      ],
    });
    expect(await boss(node, (guest) => ask(guest, command, blob), [B])).toBe('InitializedProcess');
    const held = node.kernel
      .processMap()
      .get(processId(A))
      ?.capabilities.map(({ params }) => params);
    expect(held).toEqual(['"messaging"', '"messaging"']);
    expect(node.sink.at(0).filter((line) => line.includes('"other"')).length).toBe(1);
  });

  test('K114 a missing wit_version is accepted, unknown fields are ignored, order is free', async () => {
    const node = new TestNode();
    const blob = wasm(node, idle);
    const body = `{"InitializeProcess":{"public":true,"extra":[1.5],"initial_capabilities":[],"on_exit":"Restart","wasm_bytes_handle":"","id":"${A}"}}`;
    expect(await boss(node, (guest) => ask(guest, body, blob))).toBe('InitializedProcess');
    expect(node.kernel.processMap().get(processId(A))?.witVersion).toBeUndefined();
  });
});

describe('RunProcess and KillProcess', () => {
  test('K101 unknown: RunProcessError; known: StartedProcess; running already: no stray message', async () => {
    const node = new TestNode();
    const received: string[] = [];
    await node.start(
      A,
      async (guest) => {
        for (;;) received.push((await guest.request()).body);
      },
      { run: false },
    );
    const answers = await boss(node, async (guest) => [
      await ask(guest, { RunProcess: 'no:such:process' }),
      await ask(guest, { RunProcess: A }),
      await ask(guest, { RunProcess: A }),
    ]);
    expect(answers).toEqual(['RunProcessError', 'StartedProcess', 'StartedProcess']);
    expect(received).toEqual([]);
    expect(node.engine.started).toBe(2);
  });

  test('K102 garbage: InitializedProcess and StartedProcess, then a level-0 line', async () => {
    const node = new TestNode();
    const answers = await boss(node, async (guest) => [
      await ask(guest, initialize(A), { mime: undefined, bytes: bytesOf('garbage') }),
      await ask(guest, { RunProcess: A }),
      (await settle(), await ask(guest, { RunProcess: A })),
    ]);
    expect(answers).toEqual(['InitializedProcess', 'StartedProcess', 'RunProcessError']);
    expect(node.sink.at(0).join()).toMatch(/could not start a:pkg:sys/);
  });

  test('F6 no room for another process: RunProcessError and a level-0 line with the reason', async () => {
    const node = new TestNode();
    await node.start(A, idle, { run: false });
    const answer = await boss(node, (guest) => {
      node.engine.refusal = '12,000 processes live';
      return ask(guest, { RunProcess: A });
    });
    expect(answer).toBe('RunProcessError');
    expect(node.sink.at(0).join()).toMatch(/12,000 processes live/);
  });

  test('K106 K107 unknown: no answer; known and expecting: KilledProcess; not expecting: none', async () => {
    const node = new TestNode();
    await node.start(A, idle);
    await node.start(B, idle);
    const seen = await boss(node, async (guest) => {
      const answers = [
        await ask(guest, { KillProcess: 'no:such:process' }),
        await ask(guest, { KillProcess: A }),
      ];
      await guest.send(KERNEL, { body: bytesOf(`{"KillProcess":"${B}"}`) });
      await guest.send(at(BOSS), { body: bytesOf('next') });
      answers.push((await guest.request()).body);
      return answers;
    });
    expect(seen).toEqual([SILENCE, { KilledProcess: A }, 'next']);
    expect([...node.kernel.processMap().keys()]).toEqual(['kernel:distro:sys']);
  });

  test('K111 a module can be neither killed nor run', async () => {
    const node = new TestNode();
    node.kernel.registerModule({
      name: 'vfs',
      public: false,
      decode: () => ({ ok: false, error: undefined }),
      handle: () => Promise.resolve(undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    const answers = await boss(node, async (guest) => [
      await ask(guest, { RunProcess: 'vfs:distro:sys' }),
      await ask(guest, { KillProcess: 'vfs:distro:sys' }),
      await ask(guest, { KillProcess: 'kernel:distro:sys' }),
    ]);
    expect(answers).toEqual(['RunProcessError', SILENCE, SILENCE]);
    expect(node.kernel.processMap().has(processId('vfs:distro:sys'))).toBe(true);
  });

  test('K112 kill, initialize and run of the same id, sent back to back', async () => {
    const node = new TestNode();
    const ran: string[] = [];
    await node.start(A, async (guest) => {
      ran.push('old');
      await idle(guest);
    });
    const blob = wasm(node, async (guest) => {
      ran.push('new');
      await idle(guest);
    });
    await boss(node, async (guest) => {
      await guest.send(KERNEL, { body: bytesOf(`{"KillProcess":"${A}"}`) });
      await guest.send(KERNEL, { body: bytesOf(formatJson(initialize(A))) }, { blob });
      await guest.send(KERNEL, { body: bytesOf(`{"RunProcess":"${A}"}`) });
      await guest.send(at(BOSS), {});
      await guest.receive();
    });
    expect(ran).toEqual(['old', 'new']);
    expect(node.kernel.usage().get(processId(A))?.state).toBe('running');
  });
});

describe('the commands that never answer', () => {
  test('K105 Grant, Drop, SetOnExit, Booted and Shutdown', async () => {
    let shutdowns = 0;
    const node = new TestNode({ onShutdown: () => shutdowns++ });
    await node.start(A, idle);
    const capabilities = [{ issuer: at(B), params: '"x"' }];
    const answers = await boss(node, async (guest) => [
      await ask(guest, { GrantCapabilities: { target: A, capabilities } }),
      await ask(guest, { GrantCapabilities: { target: 'no:such:process', capabilities } }),
      await ask(guest, { DropCapabilities: { target: A, capabilities } }),
      await ask(guest, { SetOnExit: { target: A, on_exit: 'Restart' } }),
      await ask(guest, 'Booted'),
      await ask(guest, '"Booted"'),
      await ask(guest, '"Shutdown"'),
    ]);
    expect(answers).toEqual(Array.from({ length: 7 }, () => SILENCE));
    expect(shutdowns).toBe(1);
  });

  test('H14 Booted from a process starts nothing', async () => {
    const node = new TestNode();
    let runs = 0;
    await node.start(A, () => Promise.resolve(void runs++), { run: false });
    await boss(node, (guest) => ask(guest, '"Booted"'));
    expect(runs).toBe(0);
  });

  test('K108 a malformed body is not answered, and is a level-0 line', async () => {
    const bodies = [
      '',
      '{',
      'null',
      '{"RunProcess":1}',
      '{"RunProcess":"a:b"}',
      '{"A":1,"B":2}',
      '{"Nonsense":[]}',
    ];
    const node = new TestNode();
    const answers = await boss(node, async (guest) => {
      const all: unknown[] = [];
      for (const body of bodies) all.push(await ask(guest, body));
      return all;
    });
    expect(answers).toEqual(bodies.map(() => SILENCE));
    expect(node.sink.at(0).length).toBe(bodies.length);
  });

  test('K113 a grant followed at once by a message that needs it works', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, async (guest) => {
      for (;;) seen.push((await guest.request()).body);
    });
    await boss(node, async (guest) => {
      const capability = { issuer: at(B), params: '"messaging"' };
      const grant = { GrantCapabilities: { target: BOSS, capabilities: [capability] } };
      await guest.send(KERNEL, { body: bytesOf(formatJson(grant)) });
      await guest.send(at(B), { body: bytesOf('granted') });
    });
    await settle();
    expect(seen).toEqual(['granted']);
  });

  test('K105 SetOnExit of a running process changes the map; the process exits by its own copy', async () => {
    const node = new TestNode();
    let runs = 0;
    let end: () => void = () => undefined;
    await node.start(A, () => {
      runs++;
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    });
    await boss(node, (guest) => ask(guest, { SetOnExit: { target: A, on_exit: 'Restart' } }));
    expect(node.kernel.processMap().get(processId(A))?.onExit.kind).toBe('restart');
    end();
    await node.clock.advance(60_000);
    expect(runs).toBe(1);
  });
});

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

test('F19 a command that could not be written is not acknowledged', async () => {
  const store = new MemoryStore();
  const node = new TestNode({ store });
  const blob = wasm(node, idle);
  const answer = await boss(node, (guest) => {
    store.commit = () => Promise.reject(new Error('disk full'));
    return ask(guest, initialize(A, { on_exit: 'Restart' }), blob);
  });
  expect(answer).toBe(SILENCE);
  expect(node.sink.at(0).join()).toMatch(/InitializeProcess is not on disk.*disk full/);
});

test('K21 the kernel answers an inherited command to the first requester', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(
    A,
    async (guest) => {
      const { request } = await guest.request();
      await guest.send(KERNEL, { inherit: true, body: bytesOf('{"Debug":{"Process":"x:y:z"}}') });
      seen.push(textOf(request.body));
      await guest.receive();
    },
    { public: true, holds: ['kernel:distro:sys'] },
  );
  await node.start(B, async (guest) => {
    const awaited = await guest.sendAndAwait(at(A), { body: bytesOf('pass on') });
    if (!awaited.ok || awaited.value.message.kind !== 'response') throw new Error();
    seen.push(textOf(awaited.value.message.response.body));
  });
  await settle();
  expect(seen.toSorted()).toEqual(['pass on', '{"Debug":{"Process":null}}']);
});
