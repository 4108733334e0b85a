/** What of processes is on disk, and what boot makes of it: K121, K123, K124; F19, H6, H7. */
import { describe, expect, test } from 'vitest';
import { address, processId } from '../wit/address.ts';
import { MemoryStore } from './store.ts';
import { bytesOf, settle, TestNode } from './testing.ts';
import { A, B, at, idle } from './processes.testing.ts';

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
