/** Who may message whom: K45 - K56; rules A to E as a table, then through running processes. */
import { describe, expect, test } from 'vitest';
import { address, processId } from '../wit/address.ts';
import { decideRoute, type RouteParty } from './route.ts';
import type { Delivery } from './process-host.ts';
import {
  bytesOf,
  InMemoryNetwork,
  remoteRequest,
  settle,
  TestNode,
  textOf,
  type GuestCode,
} from './testing.ts';

const A = 'a:pkg:sys';
const B = 'b:pkg:sys';
const at = (id: string): string => `fake.os@${id}`;
const bodyOf = (delivery: Delivery): string => {
  if (delivery.kind !== 'message') return `error ${delivery.error.kind}`;
  const { message } = delivery;
  return textOf(message.kind === 'request' ? message.request.body : message.response.body);
};
const echo: GuestCode = async (guest) => {
  for (;;) {
    const { body } = await guest.request();
    await guest.respond(`re:${body}`);
  }
};
const asking =
  (seen: string[], target: string, seconds = 2): GuestCode =>
  async (guest) => {
    await guest.send(target, { body: bytesOf('q'), expectsResponse: seconds });
    seen.push(bodyOf(await guest.receive()));
  };

describe('the rules as a table', () => {
  interface Spec {
    kind?: RouteParty['kind'];
    holds?: string[];
    public?: boolean;
    trusted?: boolean;
    exists?: boolean;
  }
  const party = (id: string, spec: Spec): RouteParty => ({
    id: processId(id),
    kind: spec.kind ?? 'process',
    exists: spec.exists ?? true,
    trusted: spec.trusted ?? false,
    public: spec.public ?? false,
    messagingKey: `messaging ${id}`,
    held: new Set(spec.holds ?? []),
  });
  const REMOTE = 'remote';
  const cases: [string, Spec | typeof REMOTE, string, Spec | undefined, string][] = [
    ['K6 a holder reaches a private target', { holds: [`messaging ${B}`] }, at(B), {}, 'process'],
    ['K14 a non-holder does not', {}, at(B), {}, 'no-messaging-capability'],
    ['K45 anybody reaches a public target', {}, at(B), { public: true }, 'process'],
    ['K12 nobody reaches what is not there', {}, at(B), undefined, 'unknown-target'],
    [
      'K94 nor what waits for its restart',
      {},
      at(B),
      { exists: false, public: true },
      'unknown-target',
    ],
    ['K47 the trusted three need nothing', { trusted: true }, at(B), {}, 'process'],
    ['K49 no network capability', {}, `bob.os@${B}`, {}, 'no-network-capability'],
    ['K51 with it, to the net', { holds: ['network'] }, `bob.os@${B}`, {}, 'net'],
    [
      'E11 a killed sender',
      { exists: false, holds: ['network'] },
      `bob.os@${B}`,
      {},
      'unknown-source',
    ],
    [
      'K50 remote to one without the network capability',
      REMOTE,
      at(B),
      {},
      'remote-target-not-networked',
    ],
    [
      'K50 remote to one with it: no messaging check',
      REMOTE,
      at(B),
      { holds: ['network'] },
      'process',
    ],
    ['K50 remote to nobody', REMOTE, at(B), undefined, 'remote-unknown-target'],
    [
      'K55 remote to the kernel',
      REMOTE,
      at(B),
      { kind: 'kernel', holds: ['network'] },
      'remote-to-kernel',
    ],
    ['H13 remote to a third node', REMOTE, `carol.os@${B}`, { holds: ['network'] }, 'relayed'],
    [
      'a node name is compared exactly',
      {},
      `Fake.os@${B}`,
      { public: true },
      'no-network-capability',
    ],
  ];
  for (const [name, source, target, receiver, expected] of cases) {
    test(name, () => {
      const tables = {
        our: 'fake.os',
        networkKey: 'network',
        get: () => (receiver === undefined ? undefined : party(B, receiver)),
      };
      const route = decideRoute(
        tables,
        source === REMOTE ? undefined : party(A, source),
        address(target),
      );
      expect(route.kind === 'refused' ? route.reason : route.kind).toBe(expected);
    });
  }
});

test('K45 K46 the response is checked too: without the way back the requester times out', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, echo, { public: true });
  await node.start(A, asking(seen, at(B)));
  await settle();
  expect(seen).toEqual([]);
  expect(node.sink.at(0).join()).toMatch(
    /b:pkg:sys has no messaging capability for fake\.os@a:pkg:sys/,
  );
  await node.clock.advance(2_100);
  expect(seen).toEqual(['error timeout']);
});

test('K45 a public requester gets it without', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, echo, { public: true });
  await node.start(A, asking(seen, at(B)), { public: true });
  await settle();
  expect(seen).toEqual(['re:q']);
});

test('K46 private to private needs both directions', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, echo, { holds: [A] });
  await node.start(A, asking(seen, at(B)), { holds: [B] });
  await settle();
  expect(seen).toEqual(['re:q']);
});

function module(
  name: string,
  isPublic = false,
): Parameters<TestNode['kernel']['registerModule']>[0] {
  return {
    name,
    public: isPublic,
    decode: () => ({ ok: true, value: undefined }),
    handle: () => Promise.resolve({ body: bytesOf(`from ${name}`) }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

test('K47 state, vfs and the kernel answer anybody; other modules need the capability', async () => {
  const node = new TestNode();
  for (const name of ['state', 'vfs', 'kv']) node.kernel.registerModule(module(name));
  const seen: string[] = [];
  const modules = ['state', 'vfs', 'kv', 'kernel'].map((name) => `${name}:distro:sys`);
  for (const [index, id] of modules.entries()) {
    const code: GuestCode = async (guest) => {
      const body = bytesOf('{"Debug":{"Process":"x:y:z"}}');
      await guest.send(at(id), { body, expectsResponse: 2 });
      seen.push(`${id} ${bodyOf(await guest.receive())}`);
    };
    await node.start(`p${index}:pkg:sys`, code, { holds: [id] });
  }
  await node.clock.advance(2_100);
  expect(seen.toSorted()).toEqual([
    'kernel:distro:sys {"Debug":{"Process":null}}',
    'kv:distro:sys error timeout',
    'state:distro:sys from state',
    'vfs:distro:sys from vfs',
  ]);
});

test('K48 the timer hears anybody, but its answer needs the way back', async () => {
  const node = new TestNode();
  node.kernel.registerModule(module('timer', true));
  const timer = at('timer:distro:sys');
  const seen: string[] = [];
  await node.start('private:pkg:sys', asking(seen, timer));
  await node.start('public:pkg:sys', asking(seen, timer), { public: true });
  await node.start('granted:pkg:sys', asking(seen, timer), { run: false });
  await node.kernel.grant(processId('timer:distro:sys'), [node.messaging('granted:pkg:sys')]);
  node.kernel.run(processId('granted:pkg:sys'));
  await node.clock.advance(2_100);
  expect(seen).toEqual(['from timer', 'from timer', 'error timeout']);
});

test('K49 a remote send without the network capability times out at once, with two level-0 lines', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(A, asking(seen, `bob.os@${B}`, 60));
  expect(seen).toEqual(['error timeout']);
  expect(node.sink.at(0).length).toBe(2);
});

test('K50 a remote request reaches a networked process without any messaging capability, others not', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  const listener: GuestCode = async (guest) => {
    for (;;) seen.push(bodyOf(await guest.receive()));
  };
  await node.start(A, listener, { holds: [node.network()] });
  await node.start(B, listener);
  void node.kernel.inject(remoteRequest(`bob.os@${B}`, at(A), { body: bytesOf('to a') }));
  void node.kernel.inject(remoteRequest(`bob.os@${B}`, at(B), { body: bytesOf('to b') }));
  await settle();
  expect(seen).toEqual(['to a']);
  expect(node.sink.at(0).join()).toMatch(/no network capability/);
});

test('K51 K52 an unreachable node: offline with context and blob; without expects-response nothing', async () => {
  const node = new TestNode();
  new InMemoryNetwork().join(node.kernel);
  const seen: unknown[] = [];
  await node.start(
    A,
    async (guest) => {
      const blob = { mime: 'x/y', bytes: bytesOf('blob') };
      await guest.send(`bob.os@${B}`, { body: bytesOf('lost') });
      await guest.send(`bob.os@${B}`, { expectsResponse: 60 }, { blob, context: bytesOf('ctx') });
      for (;;) {
        const delivery = await guest.receive();
        if (delivery.kind !== 'send-error') throw new Error();
        const { error, context } = delivery;
        seen.push([
          error.kind,
          textOf(context ?? new Uint8Array()),
          textOf(error.blob?.bytes ?? new Uint8Array()),
        ]);
      }
    },
    { holds: [node.network()] },
  );
  await settle();
  expect(seen).toEqual([['offline', 'ctx', 'blob']]);
});

test('K51 without any transport a remote request is offline', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(A, asking(seen, `bob.os@${B}`), { holds: [node.network()] });
  expect(seen).toEqual(['error offline']);
});

test('K50 two nodes on the in-memory transport ask and answer', async () => {
  const network = new InMemoryNetwork();
  const alice = new TestNode({ our: 'alice.os' });
  const bob = new TestNode({ our: 'bob.os' });
  network.join(alice.kernel);
  network.join(bob.kernel);
  const seen: string[] = [];
  await bob.start(B, echo, { holds: [bob.network()] });
  await alice.start(A, asking(seen, `bob.os@${B}`), { holds: [alice.network()] });
  for (let turn = 0; turn < 3; turn++) await settle();
  expect(seen).toEqual(['re:q']);
});

test('K53 K54 a fresh process may message itself, until it drops that', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(A, async (guest) => {
    await guest.send(at(A), { body: bytesOf('me'), expectsResponse: 5 });
    seen.push(bodyOf(await guest.receive()));
    await guest.host.dropCapabilities([node.messaging(A)]);
    await guest.send(at(A), { expectsResponse: 5 });
    seen.push(bodyOf(await guest.receive()));
  });
  await settle();
  expect(seen).toEqual(['me', 'error timeout']);
});

test('K55 a remote request to the kernel has no effect', async () => {
  const node = new TestNode();
  await node.start(A, echo);
  const kill = remoteRequest(`bob.os@${A}`, at('kernel:distro:sys'), {
    body: bytesOf(`{"KillProcess":"${A}"}`),
  });
  void node.kernel.inject(kill);
  await settle();
  expect(node.kernel.processMap().has(processId(A))).toBe(true);
});

test('K56 a process named kernel of another package is an ordinary process', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start('kernel:other:pkg', echo, { holds: [A] });
  await node.start(A, asking(seen, at('kernel:other:pkg')), { holds: ['kernel:other:pkg'] });
  await node.start(B, asking(seen, at('kernel:other:pkg')));
  await settle();
  expect(seen).toEqual(['re:q', 'error timeout']);
});

test('H13 a remote message for a third node is not passed on, and one that claims to be ours is dropped', async () => {
  const node = new TestNode();
  const sent: unknown[] = [];
  const seen: string[] = [];
  node.kernel.setNet({ send: (message) => void sent.push(message) });
  await node.start(
    A,
    async (guest) => {
      for (;;) seen.push(bodyOf(await guest.receive()));
    },
    { holds: [node.network()] },
  );
  void node.kernel.inject(remoteRequest(`bob.os@${B}`, `carol.os@${A}`, {}));
  void node.kernel.inject(remoteRequest(at(B), at(A), { body: bytesOf('forged') }));
  void node.kernel.inject(remoteRequest(`our@${B}`, at(A), { body: bytesOf('forged') }));
  await settle();
  expect(sent).toEqual([]);
  expect(seen).toEqual([]);
});
