/** Commands of kernel:distro:sys about a process that is there, and those without an answer: K101, K102, K105 - K108, K111 - K113; H14. */
import { describe, expect, test } from 'vitest';
import { processId } from '../wit/address.ts';
import { formatJson } from '../wit/json.ts';
import { bytesOf, settle, TestNode, textOf } from './testing.ts';
import { A, B, at, idle } from './processes.testing.ts';
import { ask, boss, BOSS, initialize, KERNEL, SILENCE, wasm } from './commands.testing.ts';

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
