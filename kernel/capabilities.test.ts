/** Capabilities: K57 - K69, and what the hardening adds (H2, H18, findings section 5). */
import { describe, expect, test } from 'vitest';
import { address, formatAddress, processId } from '../wit/address.ts';
import type { Capability, KernelMessage } from '../wit/types.ts';
import { CapabilitySigner } from './capability-signature.ts';
import {
  CAPABILITY_PARAMS_CHARS_MAX,
  DELIVERED_CAPABILITIES_MAX,
  HELD_CAPABILITIES_MAX,
} from './limits.ts';
import { MemoryStore } from './store.ts';
import { bytesOf, remoteRequest, settle, TestNode, type GuestCode } from './testing.ts';

const A = 'a:pkg:sys';
const B = 'b:pkg:sys';
const C = 'c:pkg:sys';
const at = (id: string): string => `fake.os@${id}`;
const cap = (issuer: string, params: string): Capability => ({ issuer: address(issuer), params });
const show = (capability: Capability): string =>
  `${formatAddress(capability.issuer)} ${capability.params}`;

/** Keeps the capabilities attached to each request. */
const collector =
  (seen: string[][]): GuestCode =>
  async (guest) => {
    for (;;) seen.push((await guest.request()).request.capabilities.map(show));
  };

describe('attaching', () => {
  async function attached(capabilities: Capability[], holds: Capability[]): Promise<string[]> {
    const node = new TestNode();
    const seen: string[][] = [];
    await node.start(B, collector(seen), { public: true });
    await node.start(A, (guest) => guest.send(at(B), { capabilities }), { holds });
    await settle();
    return seen[0] ?? ['nothing came'];
  }

  test('K57 one issued by itself arrives, one not held is absent without an error', async () => {
    expect(await attached([cap(at(A), '"mine"'), cap(at(C), '"theirs"')], [])).toEqual([
      show(cap(at(A), '"mine"')),
    ]);
  });

  test('K58 a held one arrives with the text as supplied', async () => {
    const seen = await attached([cap(at(C), '{ "b":2, "a":1 }')], [cap(at(C), '{"a":1,"b":2}')]);
    expect(seen).toEqual([`${at(C)} { "b":2, "a":1 }`]);
  });

  test('K57 the issuer includes the node: its own name on another node is not its to give', async () => {
    expect(await attached([cap(`bob.os@${A}`, '"x"')], [])).toEqual([]);
  });

  test('K57 responses are filtered too', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await guest.respond('', { capabilities: [cap(at(B), '"mine"'), cap(at(C), '"theirs"')] });
        await guest.receive();
      },
      { public: true, holds: [A] },
    );
    await node.start(A, async (guest) => {
      const awaited = await guest.sendAndAwait(at(B), {});
      if (!awaited.ok || awaited.value.message.kind !== 'response') throw new Error();
      seen.push(...awaited.value.message.response.capabilities.map(show));
    });
    await settle();
    expect(seen).toEqual([`${at(B)} "mine"`]);
  });
});

describe('saving', () => {
  test('K59 save, then it is listed; drop, then not', async () => {
    const node = new TestNode();
    const seen: boolean[] = [];
    const own = cap(at(A), '{"x":1}');
    await node.start(A, async (guest) => {
      const lists = async (): Promise<void> => {
        seen.push((await guest.host.ourCapabilities()).map(show).includes(show(own)));
      };
      await lists();
      await guest.host.saveCapabilities([own]);
      await lists();
      await guest.host.dropCapabilities([cap(at(A), ' {"x": 1}'), cap(at(C), '"never held"')]);
      await lists();
    });
    expect(seen).toEqual([false, true, false]);
  });

  test('H2 network, vfs root and kernel messaging cannot be minted by saving them', async () => {
    const node = new TestNode();
    let held: string[] = [];
    await node.start(A, async (guest) => {
      await guest.host.saveCapabilities([
        node.network(),
        cap(at('vfs:distro:sys'), '{"root":true}'),
        node.messaging('kernel:distro:sys'),
      ]);
      held = (await guest.host.ourCapabilities()).map(show);
    });
    expect(held).toEqual([show(node.messaging(A))]);
    expect(node.sink.at(0).filter((line) => line.includes('did not save')).length).toBe(3);
  });

  test('H2 one that was delivered attached to a message can be saved and used', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, async (guest) => {
      for (;;) seen.push((await guest.request()).body);
    });
    await node.start(
      A,
      async (guest) => {
        await guest.send(at(B), { body: bytesOf('before') });
        const { request } = await guest.request();
        await guest.host.saveCapabilities(request.capabilities);
        await guest.send(at(B), { body: bytesOf('after') });
      },
      { public: true },
    );
    await node.start(C, (guest) => guest.send(at(A), { capabilities: [node.messaging(B)] }), {
      holds: [B],
    });
    await settle();
    expect(seen).toEqual(['after']);
  });

  test('H2 what was delivered long ago is forgotten: the memory of it is bounded', async () => {
    const node = new TestNode();
    const results: number[] = [];
    const count = DELIVERED_CAPABILITIES_MAX + 1;
    await node.start(
      A,
      async (guest) => {
        await guest.request();
        await guest.host.saveCapabilities([cap(at(C), '0')]);
        results.push((await guest.host.ourCapabilities()).length);
        await guest.host.saveCapabilities([cap(at(C), '1')]);
        results.push((await guest.host.ourCapabilities()).length);
      },
      { public: true },
    );
    const capabilities = Array.from({ length: count }, (_, n) => cap(at(C), String(n)));
    await node.start(C, (guest) => guest.send(at(A), { capabilities }));
    await settle();
    expect(results).toEqual([1, 2]);
  });

  test('H2 capabilities a process holds are bounded in number and length, and it is told at level 0', async () => {
    const node = new TestNode();
    const counts: number[] = [];
    await node.start(A, async (guest) => {
      const save = async (params: string[]): Promise<void> => {
        await guest.host.saveCapabilities(params.map((text) => cap(at(A), text)));
        counts.push((await guest.host.ourCapabilities()).length);
      };
      await save([`"${'x'.repeat(CAPABILITY_PARAMS_CHARS_MAX - 2)}"`]);
      await save([`"${'x'.repeat(CAPABILITY_PARAMS_CHARS_MAX - 1)}"`]);
      await save(Array.from({ length: HELD_CAPABILITIES_MAX }, (_, n) => String(n)));
    });
    expect(counts).toEqual([2, 2, HELD_CAPABILITIES_MAX]);
    expect(node.sink.at(0).length).toBe(2);
  });

  test('K69 a saved capability issued by the literal our does not satisfy the messaging check', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, collector([]));
    await node.start(
      A,
      async (guest) => {
        await guest.send(at(B), { expectsResponse: 5 });
        const delivery = await guest.receive();
        seen.push(delivery.kind);
      },
      { holds: [cap(`our@${B}`, '"messaging"')] },
    );
    await settle();
    expect(seen).toEqual(['send-error']);
  });
});

describe('other nodes', () => {
  const seed = Uint8Array.from({ length: 32 }, (_, index) => index);
  const issuedHere = cap(at(B), '{"right":1}');

  async function arrived(capabilities: Capability[], signatures: Uint8Array[]): Promise<string[]> {
    const node = new TestNode();
    const seen: string[][] = [];
    await node.start(A, collector(seen), { holds: [node.network()] });
    void node.kernel.inject(remoteRequest(`bob.os@${B}`, at(A), { capabilities }, { signatures }));
    await settle();
    return seen[0] ?? ['nothing came'];
  }

  test('K62 one said to be issued by us: kept with our signature, pruned with a wrong or missing one', async () => {
    const good = new CapabilitySigner(seed).sign(issuedHere);
    const wrong = new CapabilitySigner(new Uint8Array(32)).sign(issuedHere);
    expect(await arrived([issuedHere], [good])).toEqual([show(issuedHere)]);
    expect(await arrived([issuedHere], [wrong])).toEqual([]);
    expect(await arrived([issuedHere], [])).toEqual([]);
    expect(await arrived([issuedHere, issuedHere], [wrong, good])).toEqual([show(issuedHere)]);
  });

  test('K63 one issued elsewhere is kept unverified', async () => {
    const foreign = cap(`bob.os@${B}`, '1');
    expect(await arrived([foreign], [new Uint8Array(64)])).toEqual([show(foreign)]);
  });

  test('K64 K61 what leaves the node is signed with the node key, over the text as supplied', async () => {
    const node = new TestNode();
    const sent: KernelMessage[] = [];
    node.kernel.setNet({ send: (message) => void sent.push(message) });
    const supplied = cap(at(A), '{ "b":1,"a":2 }');
    await node.start(A, (guest) => guest.send(`bob.os@${B}`, { capabilities: [supplied] }), {
      holds: [node.network()],
    });
    const signature = sent[0]?.signatures?.[0] ?? new Uint8Array();
    expect(new CapabilitySigner(seed).verifies(supplied, signature)).toBe(true);
  });

  test('K65 a receiver on this node sees no signatures', async () => {
    const node = new TestNode();
    let keys: string[] = [];
    await node.start(
      A,
      async (guest) => {
        const { request } = await guest.request();
        keys = Object.keys(request.capabilities[0] ?? {}).toSorted();
      },
      { holds: [node.network()] },
    );
    const capabilities = [cap(`bob.os@${B}`, '1')];
    const signatures = [new Uint8Array(64)];
    void node.kernel.inject(remoteRequest(`bob.os@${B}`, at(A), { capabilities }, { signatures }));
    await settle();
    expect(keys).toEqual(['issuer', 'params']);
  });
});

describe('revoking', () => {
  const idle: GuestCode = async (guest) => {
    for (;;) await guest.receive();
  };
  const holds = (node: TestNode, id: string, capability: Capability): boolean =>
    node.kernel
      .processMap()
      .get(processId(id))
      ?.capabilities.map(show)
      .includes(show(capability)) ?? false;

  test('K67 killing takes what the victim issued from everybody: initial, granted and saved alike', async () => {
    const node = new TestNode();
    const right = cap(at(B), '"right"');
    await node.start(B, idle);
    await node.start(A, idle, { holds: [right, B] });
    await node.start(C, idle);
    await node.kernel.grant(processId(C), [right, node.messaging(A)]);
    await node.kernel.kill(processId(B));
    expect(holds(node, A, right)).toBe(false);
    expect(holds(node, A, node.messaging(B))).toBe(false);
    expect(holds(node, C, right)).toBe(false);
    expect(holds(node, C, node.messaging(A))).toBe(true);
  });

  test('K67 what was only shown cannot be saved after its issuer was killed', async () => {
    const node = new TestNode();
    const right = cap(at(B), '"right"');
    let go: () => void = () => undefined;
    await node.start(
      A,
      async (guest) => {
        const { request } = await guest.request();
        await new Promise<void>((resolve) => {
          go = resolve;
        });
        await guest.host.saveCapabilities(request.capabilities);
        await guest.receive();
      },
      { public: true },
    );
    await node.start(B, async (guest) => {
      await guest.send(at(A), { capabilities: [right] });
      await guest.receive();
    });
    await node.kernel.kill(processId(B));
    go();
    await settle();
    expect(holds(node, A, right)).toBe(false);
  });

  test('K67 what another node issued under the same process id stays', async () => {
    const node = new TestNode();
    const foreign = cap(`bob.os@${B}`, '"right"');
    await node.start(B, idle);
    await node.start(A, idle, { holds: [foreign] });
    await node.kernel.kill(processId(B));
    expect(holds(node, A, foreign)).toBe(true);
  });

  test('K68 with no-revoke they stay', async () => {
    const node = new TestNode();
    await node.start(B, idle);
    await node.start(A, idle, { holds: [B] });
    await node.start(
      'killer:pkg:sys',
      (guest) =>
        guest.send(at('kernel:distro:sys'), {
          body: bytesOf(`{"KillProcess":"${B}"}`),
          metadata: 'no-revoke',
        }),
      { holds: ['kernel:distro:sys'] },
    );
    await settle();
    expect(node.kernel.processMap().has(processId(B))).toBe(false);
    expect(holds(node, A, node.messaging(B))).toBe(true);
  });

  test('K66 after a crash and restart it keeps its capabilities, and others theirs for it', async () => {
    const node = new TestNode();
    const right = cap(at(C), '"right"');
    let runs = 0;
    await node.start(
      B,
      async (guest) => {
        runs++;
        if (runs === 1) throw new Error('crash');
        await guest.receive();
      },
      { holds: [right], onExit: { kind: 'restart' } },
    );
    await node.start(A, idle, { holds: [B] });
    await node.clock.advance(2_100);
    expect(runs).toBe(2);
    expect(holds(node, B, right)).toBe(true);
    expect(holds(node, A, node.messaging(B))).toBe(true);
  });
});

test('K64 capabilities of a restarting process are on disk and come back with the next boot', async () => {
  const store = new MemoryStore();
  const first = new TestNode({ store });
  const right = cap(at(C), '"right"');
  await first.start(A, () => new Promise(() => undefined), { onExit: { kind: 'restart' } });
  await first.kernel.grant(processId(A), [right]);
  await first.kernel.shutdown();
  const second = new TestNode({ store });
  let held: string[] = [];
  const wasm = second.engine.component('a', async (guest) => {
    held = (await guest.host.ourCapabilities()).map(show);
    await guest.receive();
  });
  const persisted = await second.kernel.persisted();
  await second.kernel.boot(persisted.map((entry) => ({ ...entry, wasm })));
  await settle();
  expect(held.toSorted()).toEqual([show(first.messaging(A)), show(right)].toSorted());
});

test('H18 on-exit requests carry only what the process may attach', async () => {
  const node = new TestNode();
  const seen: string[][] = [];
  await node.start(B, collector(seen), { public: true });
  const request = {
    inherit: false,
    expectsResponse: undefined,
    body: new Uint8Array(),
    metadata: undefined,
    capabilities: [cap(at(A), '"mine"'), node.network()],
  };
  await node.start(A, () => Promise.resolve(), {
    onExit: { kind: 'requests', requests: [{ target: address(at(B)), request, blob: undefined }] },
  });
  await settle();
  expect(seen).toEqual([[`${at(A)} "mine"`]]);
});
