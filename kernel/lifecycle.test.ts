/** State and on-exit as guests and the owner see them: K79 - K97. */
import { describe, expect, test } from 'vitest';
import { address, processId } from '../wit/address.ts';
import { MemoryStore, type StoreChange } from './store.ts';
import { bytesOf, settle, TestNode, textOf, type GuestCode } from './testing.ts';

const A = 'a:pkg:sys';
const B = 'b:pkg:sys';
const at = (id: string): string => `fake.os@${id}`;
const idle: GuestCode = async (guest) => {
  for (;;) await guest.receive();
};
const live = (node: TestNode, id: string): boolean => node.kernel.processMap().has(processId(id));

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

describe('restarts', () => {
  test('K91 crashes at once restart after 2, 4, 8 ... 512, 600, 600 seconds', async () => {
    const node = new TestNode();
    const startedAtS: number[] = [];
    await node.start(
      A,
      () => {
        startedAtS.push(Math.round(node.clock.nowMs() / 1000));
        return Promise.reject(new Error('crash'));
      },
      { onExit: { kind: 'restart' } },
    );
    await node.clock.advance(3_000_000);
    const waits = startedAtS.slice(1).map((s, index) => s - (startedAtS[index] ?? 0));
    expect(waits.slice(0, 11)).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  });

  test('K92 K93 an end after 5 s of the first run restarts at once, a clean return too', async () => {
    const node = new TestNode();
    let runs = 0;
    let end: () => void = () => undefined;
    await node.start(
      A,
      () => {
        runs++;
        return new Promise<void>((resolve) => {
          end = resolve;
        });
      },
      { onExit: { kind: 'restart' } },
    );
    await node.clock.advance(5_000);
    end();
    await settle();
    expect(runs).toBe(2);
    await node.clock.advance(4_900);
    end();
    await settle();
    expect(runs).toBe(2);
    await node.clock.advance(2_100);
    expect(runs).toBe(3);
  });

  async function crashed(
    store = new MemoryStore(),
  ): Promise<{ node: TestNode; runs: () => number }> {
    const node = new TestNode({ store });
    let runs = 0;
    await node.start(
      A,
      async (guest) => {
        runs++;
        if (runs === 1) throw new Error('crash');
        await idle(guest);
      },
      { public: true, onExit: { kind: 'restart' } },
    );
    await settle();
    return { node, runs: () => runs };
  }

  test('K94 while it waits, requests to it fail at once and Debug does not list it', async () => {
    const { node } = await crashed();
    const seen: string[] = [];
    await node.start(B, async (guest) => {
      await guest.send(at(A), { expectsResponse: 60 });
      seen.push((await guest.receive()).kind);
    });
    expect(seen).toEqual(['send-error']);
    expect(live(node, A)).toBe(false);
    await node.clock.advance(2_100);
    expect(live(node, A)).toBe(true);
  });

  test('H6 while it waits it stays on disk, and a kill cancels the restart and removes it', async () => {
    const store = new MemoryStore();
    const { node, runs } = await crashed(store);
    expect((await store.load()).map(({ id }) => id)).toEqual([A]);
    expect(await node.kernel.kill(processId(A))).toBe(true);
    expect(await store.load()).toEqual([]);
    await node.clock.advance(3_600_000);
    expect(runs()).toBe(1);
  });

  test('H6 initializing the id again while it waits replaces it', async () => {
    const { node, runs } = await crashed();
    let fresh = 0;
    await node.start(A, async (guest) => {
      fresh++;
      await idle(guest);
    });
    await node.clock.advance(3_600_000);
    expect([runs(), fresh]).toEqual([1, 1]);
  });

  test('H5 a switch to restart after initialization counts, with a fresh backoff', async () => {
    const node = new TestNode();
    let runs = 0;
    await node.start(A, async (guest) => {
      runs++;
      await guest.host.setOnExit({ kind: 'restart' });
    });
    await node.clock.advance(2_100);
    expect(runs).toBe(2);
  });

  test('F6 a restart that finds no room is tried again later, not forgotten', async () => {
    const { node, runs } = await crashed();
    node.engine.refusal = 'too many live processes';
    await node.clock.advance(2_100);
    expect(live(node, A)).toBe(false);
    expect(node.sink.at(0).join()).toMatch(/cannot start a:pkg:sys: too many live processes/);
    node.engine.refusal = undefined;
    await node.clock.advance(600_000);
    expect(runs()).toBe(2);
    expect(live(node, A)).toBe(true);
  });

  test('K95 the restarted instance runs the image it ran before', async () => {
    const node = new TestNode();
    const ran: string[] = [];
    const component = node.engine.component('shared', () => {
      ran.push('old');
      return Promise.resolve();
    });
    await node.kernel.initialize(
      {
        id: processId(A),
        wasmBytesHandle: '/a',
        witVersion: 1,
        onExit: { kind: 'restart' },
        public: false,
        capabilities: [],
      },
      component,
    );
    const load = node.engine.load.bind(node.engine);
    let loads = 0;
    node.engine.load = (bytes) => {
      loads++;
      return load(bytes);
    };
    node.kernel.run(processId(A));
    await node.clock.advance(2_100);
    expect(ran).toEqual(['old', 'old']);
    expect(loads).toBe(1);
  });

  test('K96 K97 a trap is reported at level 0 with what the guest wrote to stderr, a return at level 1', async () => {
    const node = new TestNode();
    await node.start(A, () => Promise.reject(new Error('wasm trap: unreachable')));
    await node.start(B, () => Promise.resolve());
    await settle();
    expect(node.sink.at(0)).toEqual(['a:pkg:sys ended with an error:\nwasm trap: unreachable']);
    expect(node.sink.at(1)).toContain('b:pkg:sys returned');
  });
});

describe('what is on disk', () => {
  test('H7 a process with on-exit none is never on disk', async () => {
    const store = new MemoryStore();
    const node = new TestNode({ store });
    await node.start(A, idle);
    expect(await store.load()).toEqual([]);
    await node.start(B, async (guest) => {
      await guest.host.setOnExit({ kind: 'restart' });
      await guest.host.setOnExit({ kind: 'none' });
      await idle(guest);
    });
    expect(await store.load()).toEqual([]);
  });

  test('F19 what is held of a process that is not on disk is not there either, until it is', async () => {
    const store = new MemoryStore();
    const node = new TestNode({ store });
    const kept = async (): Promise<string[]> =>
      ((await store.load()).find(({ id }) => id === B)?.capabilities ?? [])
        .map(({ issuer }) => issuer.process)
        .toSorted();
    await node.start(B, idle, { onExit: { kind: 'restart' } });
    let stay: (() => Promise<void>) | undefined;
    const before = store.commits;
    await node.start(A, async (guest) => {
      stay = async () => guest.host.setOnExit({ kind: 'restart' });
      await idle(guest);
    });
    await node.kernel.grant(processId(B), [node.messaging(A)]);
    // A script started and given to others on a full disk needs no room.
    expect(store.commits).toBe(before);
    expect(await kept()).toEqual([B]);
    await stay?.();
    expect(await kept()).toEqual([A, B]);
    await node.kernel.kill(processId(A));
    expect(await kept()).toEqual([B]);
  });

  test('F19 a command that changes several rows is one batch', async () => {
    const store = new MemoryStore();
    const node = new TestNode({ store });
    await node.start(B, idle, { onExit: { kind: 'restart' } });
    const before = store.commits;
    await node.start(A, idle, { onExit: { kind: 'restart' }, holds: [B, node.network()] });
    expect(store.commits).toBe(before + 1);
    const entry = (await store.load()).find(({ id }) => id === A);
    expect(entry?.capabilities.map(({ params }) => params).toSorted()).toEqual([
      '"messaging"',
      '"messaging"',
      '"network"',
    ]);
  });

  test('H6 a kill is on disk, together with what it revoked', async () => {
    const store = new MemoryStore();
    const node = new TestNode({ store });
    await node.start(A, idle, { onExit: { kind: 'restart' } });
    await node.start(B, idle, { onExit: { kind: 'restart' }, holds: [A] });
    const before = store.commits;
    await node.kernel.kill(processId(A));
    expect(store.commits).toBe(before + 1);
    const left = await store.load();
    expect(left.map(({ id }) => id)).toEqual([B]);
    expect(left[0]?.capabilities.map(({ issuer }) => issuer.process)).toEqual([B]);
  });

  test('K124 persisted requests fire at boot, only to exact targets whose capability is held, then it starts', async () => {
    const store = new MemoryStore();
    const request = {
      inherit: false,
      expectsResponse: 5,
      body: bytesOf('at boot'),
      metadata: undefined,
      capabilities: [],
    };
    const requests = [at(B), `our@${B}`, at('c:pkg:sys')].map((target) => ({
      target: address(target),
      request,
      blob: undefined,
    }));
    const node = new TestNode({ store });
    const seen: string[] = [];
    const listener = node.engine.component('listener', async (guest) => {
      for (;;) {
        const { source, request: got } = await guest.request();
        seen.push(`${guest.our.process} heard ${source.process} ${got.expectsResponse}`);
      }
    });
    let started = false;
    const quiet = node.engine.component('quiet', async (guest) => {
      started = true;
      await idle(guest);
    });
    const entry = {
      wasmBytesHandle: '/x',
      witVersion: 1,
      onExit: { kind: 'restart' as const },
      public: true,
    };
    await node.kernel.boot([
      {
        id: processId(A),
        entry: { ...entry, onExit: { kind: 'requests', requests } },
        capabilities: [node.messaging(B)],
        wasm: quiet,
      },
      { id: processId(B), entry, capabilities: [], wasm: listener },
      { id: processId('c:pkg:sys'), entry, capabilities: [], wasm: listener },
    ]);
    await settle();
    expect(seen).toEqual([`${B} heard ${A} undefined`]);
    expect(started).toBe(true);
  });

  test('K123 a process of the store that boot does not bring back is removed from it', async () => {
    const store = new MemoryStore();
    const first = new TestNode({ store });
    await first.start(A, idle, { onExit: { kind: 'restart' } });
    await first.kernel.shutdown();
    const second = new TestNode({ store });
    expect((await second.kernel.persisted()).map(({ id }) => id)).toEqual(['kernel:distro:sys', A]);
    await second.kernel.boot([]);
    expect((await second.kernel.persisted()).map(({ id }) => id)).toEqual(['kernel:distro:sys']);
  });

  test('K121 a module gets back at boot what it was granted, and a manifest grant reaches it', async () => {
    const store = new MemoryStore();
    const web = {
      name: 'http-server',
      public: false,
      decode: () => ({ ok: false as const, error: undefined }),
      handle: () => Promise.resolve(undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const id = processId('http-server:distro:sys');
    const first = new TestNode({ store });
    first.kernel.registerModule(web);
    const module = (await first.kernel.persisted()).find((entry) => entry.id === id);
    if (module === undefined) throw new Error('a registered module is offered to the boot code');
    const capabilities = [...module.capabilities, first.messaging(B)];
    await first.kernel.boot([{ ...module, capabilities, wasm: new Uint8Array() }]);
    await first.kernel.grant(id, [first.messaging(A)]);
    await first.kernel.shutdown();
    const second = new TestNode({ store });
    second.kernel.registerModule(web);
    await second.kernel.boot([]);
    const issuers = second.kernel
      .processMap()
      .get(id)
      ?.capabilities.map(({ issuer }) => issuer.process);
    expect(issuers).toEqual(expect.arrayContaining([A, B]));
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
