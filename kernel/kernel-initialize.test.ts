/** InitializeProcess, the command that makes a process: K4, K98 - K100, K103, K104, K114; H17. */
import { describe, expect, test } from 'vitest';
import { processId } from '../wit/address.ts';
import { MemoryStore } from './store.ts';
import { settle, TestNode } from './testing.ts';
import { A, B, at, idle } from './processes.testing.ts';
import { ask, boss, BOSS, initialize, SILENCE, wasm } from './commands.testing.ts';

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
