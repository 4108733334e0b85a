/** State and on-exit as guests and the owner see them: K79 - K90; H8, H11. */
import { describe, expect, test } from 'vitest';
import { address, processId } from '../wit/address.ts';
import { MemoryStore, type StoreChange } from './store.ts';
import { bytesOf, settle, TestNode, textOf, type GuestCode } from './testing.ts';
import { A, B, at, idle, live } from './processes.testing.ts';

describe('state', () => {
  test('K79 K81 K83 set, get and clear round trip without any capability; clearing nothing succeeds', async () => {
    const node = new TestNode();
    const seen: (string | undefined)[] = [];
    await node.start(A, async (guest) => {
      await guest.host.dropCapabilities([node.messaging(A)]);
      const look = async (): Promise<void> => {
        const bytes = await guest.host.getState();
        seen.push(bytes === undefined ? undefined : textOf(bytes));
      };
      await guest.host.clearState();
      await look();
      await guest.host.setState(bytesOf('one'));
      await guest.host.setState(bytesOf('two'));
      await look();
      await guest.host.clearState();
      await look();
    });
    await settle();
    expect(seen).toEqual([undefined, 'two', undefined]);
  });

  test('K80 state survives crash, kill, reinstall and reboot', async () => {
    const store = new MemoryStore();
    const node = new TestNode({ store });
    const seen: (string | undefined)[] = [];
    const reader: GuestCode = async (guest) => {
      const bytes = await guest.host.getState();
      seen.push(bytes === undefined ? undefined : textOf(bytes));
    };
    await node.start(A, async (guest) => {
      await guest.host.setState(bytesOf('kept'));
      throw new Error('crash');
    });
    await settle();
    await node.start(A, reader);
    await settle();
    await node.start(A, idle);
    await node.kernel.kill(processId(A));
    await node.start(A, reader);
    await settle();
    await node.kernel.shutdown();
    const next = new TestNode({ store });
    await next.start(A, reader);
    await settle();
    expect(seen).toEqual(['kept', 'kept', 'kept']);
  });

  test('H11 a set-state that could not be written traps instead of claiming success', async () => {
    const store = new MemoryStore();
    store.commit = (changes: readonly StoreChange[]) =>
      changes.some((change) => change.kind === 'put-state')
        ? Promise.reject(new Error('disk full'))
        : Promise.resolve();
    const node = new TestNode({ store });
    await node.start(A, async (guest) => {
      await guest.host.setState(bytesOf('x'));
    });
    await settle();
    expect(node.sink.at(0).join()).toMatch(/a:pkg:sys ended with an error:\nset-state failed/);
  });
});

describe('on-exit', () => {
  test('K87 get-on-exit shows set-on-exit at once', async () => {
    const node = new TestNode();
    const kinds: string[] = [];
    await node.start(A, async (guest) => {
      kinds.push(guest.host.getOnExit().kind);
      void guest.host.setOnExit({ kind: 'restart' });
      kinds.push(guest.host.getOnExit().kind);
      await guest.receive();
    });
    expect(kinds).toEqual(['none', 'restart']);
    expect(node.kernel.processMap().get(processId(A))?.onExit.kind).toBe('restart');
  });

  test('K88 none: the process is gone, messages to it fail fast', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, () => Promise.resolve(), { public: true });
    await settle();
    expect(live(node, B)).toBe(false);
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 60 });
      seen.push((await guest.receive()).kind);
    });
    expect(seen).toEqual(['send-error']);
  });

  test('K89 requests: delivered after the end, from the dead process, expecting no response', async () => {
    const node = new TestNode();
    const seen: unknown[] = [];
    await node.start(
      B,
      async (guest) => {
        for (;;) {
          const { source, request, body } = await guest.request();
          seen.push([source.process, body, request.expectsResponse, live(node, A)]);
        }
      },
      { public: true },
    );
    const request = {
      inherit: false,
      expectsResponse: 5,
      body: bytesOf('gone'),
      metadata: undefined,
      capabilities: [],
    };
    const targets = [at(B), `our@${B}`, at('secret:pkg:sys')];
    await node.start('secret:pkg:sys', idle);
    await node.start(A, () => Promise.resolve(), {
      onExit: {
        kind: 'requests',
        requests: targets.map((target) => ({ target: address(target), request, blob: undefined })),
      },
    });
    await settle();
    expect(seen).toEqual([
      [A, 'gone', undefined, false],
      [A, 'gone', undefined, false],
    ]);
    expect(node.sink.at(0).join()).toMatch(/no messaging capability for fake\.os@secret/);
  });

  test('K90 KillProcess: neither restart nor on-exit requests', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    let runs = 0;
    await node.start(
      B,
      async (guest) => {
        for (;;) seen.push((await guest.request()).body);
      },
      { public: true },
    );
    const request = {
      inherit: false,
      expectsResponse: undefined,
      body: bytesOf('x'),
      metadata: undefined,
      capabilities: [],
    };
    await node.start(A, idle, {
      onExit: {
        kind: 'requests',
        requests: [{ target: address(at(B)), request, blob: undefined }],
      },
    });
    await node.start(
      'r:pkg:sys',
      async (guest) => {
        runs++;
        await idle(guest);
      },
      { onExit: { kind: 'restart' } },
    );
    await node.kernel.kill(processId(A));
    await node.kernel.kill(processId('r:pkg:sys'));
    await node.clock.advance(3_600_000);
    expect(seen).toEqual([]);
    expect(runs).toBe(1);
  });
});

test('H8 a zombie: its requests fail fast, its id stays taken, a kill works', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  const settings = {
    id: processId(B),
    wasmBytesHandle: '/b',
    witVersion: 1,
    onExit: { kind: 'restart' as const },
    public: true,
    capabilities: [],
  };
  await node.kernel.initialize(settings, bytesOf('garbage'));
  node.kernel.run(processId(B));
  await settle();
  expect(node.sink.at(0)).toEqual(['could not start b:pkg:sys: the bytes are no component']);
  await node.start(A, async (guest) => {
    await guest.send(at(B), { expectsResponse: 60 });
    seen.push((await guest.receive()).kind);
  });
  expect(seen).toEqual(['send-error']);
  expect(await node.kernel.initialize(settings, bytesOf('garbage'))).toEqual({
    ok: false,
    error: 'exists',
  });
  expect(node.kernel.run(processId(B))).toBe('zombie');
  expect(await node.kernel.kill(processId(B))).toBe(true);
});

test('shutdown ends every guest, and runs no on-exit', async () => {
  const node = new TestNode();
  let runs = 0;
  await node.start(
    A,
    async (guest) => {
      runs++;
      await idle(guest);
    },
    { onExit: { kind: 'restart' } },
  );
  await node.kernel.shutdown();
  await node.kernel.shutdown();
  await node.clock.advance(60_000);
  expect(runs).toBe(1);
  expect((await node.store.load()).length).toBe(1);
});
