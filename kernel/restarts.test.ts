/** Processes that end and are started again: K91 - K97; H5, H6. */
import { describe, expect, test } from 'vitest';
import { processId } from '../wit/address.ts';
import { MemoryStore } from './store.ts';
import { settle, TestNode } from './testing.ts';
import { A, B, at, idle, live } from './processes.testing.ts';

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
