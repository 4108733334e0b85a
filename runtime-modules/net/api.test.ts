/** What processes of this node ask of net, and who may (networking.md §11; findings F26). */
import { beforeEach, expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import {
  decodeNetResponse,
  encodeNetAction,
  type NetAction,
  type NetResponse,
} from '../../wit/net-api.ts';
import type { ModuleRequest } from '../../kernel/module.ts';
import { Bench, OUR_NODE, TestClock, TestPort, type Asked } from '../shared/testing.ts';
import { net, type NetModule, type NetWork } from './index.ts';
import { publicHex, testKey } from './testing/nodes.ts';
import { readFileSync } from 'node:fs';
import { createPrivateKey } from 'node:crypto';

const us = {
  name: OUR_NODE,
  networking_key: publicHex(testKey(OUR_NODE)),
  routing: { kind: 'Routers', value: ['r.os'] },
} as const;
const bob = {
  name: 'bob.os',
  public_key: `0x${publicHex(testKey('bob.os'))}`,
  ips: ['1.2.3.4'],
  ports: new Map([['tcp', 9]]),
  routers: ['r.os'],
};
const KERNEL = 'kernel:distro:sys';
let port: TestPort;
let module: NetModule;
let bench: Bench<NetWork>;

beforeEach(() => {
  port = new TestPort('net');
  module = made();
  bench = new Bench(module, port);
});

function made(options: Partial<Parameters<typeof net>[0]> = {}): NetModule {
  return net({ us, networkingKey: testKey(OUR_NODE), ...options })({
    port,
    clock: new TestClock(),
    transports: [],
    random: () => 0,
    deliver: () => undefined,
    failed: () => undefined,
  });
}

async function ask(action: NetAction, more: Partial<Asked> = {}): Promise<NetResponse | undefined> {
  const request: ModuleRequest = bench.request({
    from: 'p:k:q',
    body: encodeNetAction(action),
    ...more,
  });
  const answer = await bench.answer(request);
  return answer === undefined ? undefined : decodeNetResponse(answer.body);
}
const update = (value = bob): NetAction => ({ kind: 'HnsUpdate', value });

test('N35 N36 N41 N42 updates never answer, and are found again; our own name needs none', async () => {
  expect(await ask({ kind: 'GetPeer', value: OUR_NODE })).toEqual({ kind: 'Peer', value: us });
  expect(await ask({ kind: 'GetPeer', value: 'bob.os' })).toEqual({
    kind: 'Peer',
    value: undefined,
  });
  expect(await ask({ kind: 'GetPeers' })).toEqual({ kind: 'Peers', value: [] });
  expect(await ask(update(), { from: KERNEL })).toBeUndefined();
  const direct = { ip: '1.2.3.4', ports: bob.ports };
  const identity = { name: 'bob.os', networking_key: bob.public_key };
  expect(await ask({ kind: 'GetPeer', value: 'bob.os' })).toEqual({
    kind: 'Peer',
    value: { ...identity, routing: { kind: 'Direct', value: direct } },
  });
  expect(
    await ask({ kind: 'HnsBatchUpdate', value: [{ ...bob, ips: [] }] }, { from: KERNEL }),
  ).toBeUndefined();
  expect(await ask({ kind: 'GetPeer', value: 'bob.os' })).toEqual({
    kind: 'Peer',
    value: { ...identity, routing: { kind: 'Routers', value: ['r.os'] } },
  });
  const key = module.net.pki.key('bob.os');
  module.net.update({ ...bob, public_key: publicHex(testKey('bob.os')) });
  expect(module.net.pki.key('bob.os')?.equals(key!)).toBe(true);
  for (const text of ['', '0x', 'zz', 'ab', `${bob.public_key}00`]) {
    expect(module.net.pki.update({ ...bob, public_key: text })).not.toBe('refused');
    expect(module.net.pki.key('bob.os')).toBeUndefined();
  }
  for (const name of ['', 'Bob.os', 'bob os', 'b@b.os', 'x'.repeat(256)])
    expect(module.net.pki.update({ ...bob, name })).toBe('refused');
});

test('F26 only the kernel, the indexer and holders of the root capability say who others are', async () => {
  const root = { issuer: address(`${OUR_NODE}@net:distro:sys`), params: '{"root": true}' };
  const known = (): boolean => module.net.pki.identity('bob.os') !== undefined;
  await ask(update(), { from: 'p:k:q' });
  await ask(update(), { from: 'indexer:hns-indexer:sys' });
  await ask(update(), { capabilities: [{ ...root, params: '"messaging"' }] });
  await ask(update(), { capabilities: [{ ...root, issuer: address(`eve.os@net:distro:sys`) }] });
  await ask(update(), { from: `eve.os@${KERNEL}` });
  expect(known()).toBe(false);
  expect(port.prints.filter(({ text }) => text.includes('may not say who others are')).length).toBe(
    4,
  );
  for (const more of [
    { from: KERNEL },
    { from: 'hns-indexer:hns-indexer:sys' },
    { capabilities: [root] },
  ]) {
    module = made();
    bench = new Bench(module, port);
    await ask(update(), more);
    expect(known(), JSON.stringify(more)).toBe(true);
  }
});

test('N37 what one node signs another verifies: the address, then the blob', async () => {
  const vectors = JSON.parse(
    readFileSync(new URL('../../test/vectors/net/reference.json', import.meta.url), 'utf8'),
  ) as Record<string, string>;
  module = made({
    us: { ...us, name: 'alice.os' },
    networkingKey: createPrivateKey({
      key: Buffer.alloc(32, 1),
      format: 'raw-private',
      asymmetricKeyType: 'ed25519',
    }),
  });
  bench = new Bench(module, port);
  const from = address('alice.os@app:pkg:pub.os');
  const request = bench.request({
    from: 'app:pkg:pub.os',
    body: encodeNetAction({ kind: 'Sign' }),
    blob: 'hello',
  });
  const answer = await bench.answer(request);
  const signature = answer?.blob?.bytes;
  expect(Buffer.from(signature!).toString('hex')).toBe(vectors['signVector']);
  expect(decodeNetResponse(answer!.body)).toEqual({ kind: 'Signed', value: undefined });
  const verify = async (who: string, by: Uint8Array, blob: string): Promise<unknown> =>
    (await ask({ kind: 'Verify', value: { from: address(who), signature: by } }, { blob }))
      ?.kind === 'Verified' &&
    (await ask({ kind: 'Verify', value: { from: address(who), signature: by } }, { blob }));
  const yes = { kind: 'Verified', value: true };
  const no = { kind: 'Verified', value: false };
  expect(await verify('alice.os@app:pkg:pub.os', signature!, 'hello')).toEqual(yes);
  expect(await verify('alice.os@app:pkg:pub.os', signature!, 'hullo')).toEqual(no);
  expect(await verify('alice.os@other:pkg:pub.os', signature!, 'hello')).toEqual(no);
  expect(await verify('nobody.os@app:pkg:pub.os', signature!, 'hello')).toEqual(no);
  expect(await verify('alice.os@app:pkg:pub.os', Uint8Array.of(1), 'hello')).toEqual(no);
  module.net.update({ ...bob, public_key: vectors['aliceNetKey']! });
  expect(await verify('bob.os@app:pkg:pub.os', signature!, 'hello')).toEqual(no);
  expect(formatted(from)).toBe('alice.os@app:pkg:pub.os');
});
const formatted = ({ node, process }: { node: string; process: string }): string =>
  `${node}@${process}`;

test('N24 local connection requests and bodies that are none get no answer; the owner may greet his own node', async () => {
  expect(await ask({ kind: 'ConnectionRequest', value: 'bob.os' })).toBeUndefined();
  for (const body of ['', 'hello', '{"GetPeers":null}'])
    expect(await bench.ask({ from: 'p:k:q', body })).toBeUndefined();
  const greeted = await bench.ask({ from: 'hi:terminal:sys', body: 'hello' });
  expect(greeted?.body).toBe('ack');
  expect(port.prints.at(-1)).toEqual({ verbosity: 0, text: `${OUR_NODE}: hello` });
});

test('the file descriptor manager lowers the number of peers, and raises it up to what was asked for', async () => {
  const tell = (limit: number): Promise<unknown> =>
    bench.ask({ from: 'fd-manager:distro:sys', body: { FdsLimit: limit } });
  await tell(5);
  expect(module.net.links.max).toBe(5);
  await tell(1_000);
  expect(module.net.links.max).toBe(32);
  await bench.ask({ from: 'p:k:q', body: { FdsLimit: 1 } });
  expect(module.net.links.max).toBe(32);
  module.start();
  expect(
    Buffer.from(
      port.sent[0]!.message.kind === 'request' ? port.sent[0]!.message.request.body : '',
    ).toString(),
  ).toBe('"RequestFdsLimit"');
});

test('F29 outside of a development network no private, loopback or link-local address is dialled', async () => {
  const dialled: string[] = [];
  const failed: string[] = [];
  const transport = {
    kind: 'tcp' as const,
    dial: (to: { ip: string }) => {
      dialled.push(to.ip);
      return Promise.resolve({ ok: false as const, error: 'refused' });
    },
    listen: () => Promise.reject(new Error('not here')),
  };
  const ips = [
    '127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '::1',
    'fe80::1',
    'localhost',
    '8.8.8.8',
    '2606:4700::1',
  ];
  for (const development of [false, true]) {
    const { net: node } = net({ us, networkingKey: testKey(OUR_NODE), development })({
      port,
      clock: new TestClock(),
      transports: [transport],
      random: () => 0,
      deliver: () => undefined,
      failed: (message) => void failed.push(message.target.node),
    });
    for (const [index, ip] of ips.entries()) {
      const name = `n${index}.os`;
      node.update({ ...bob, name, ips: [ip] });
      void node.send({
        id: 1,
        source: address(`${OUR_NODE}@a:b:c`),
        target: address(`${name}@a:b:c`),
        rsvp: undefined,
        message: {
          kind: 'request',
          request: {
            inherit: false,
            expectsResponse: 5,
            body: new Uint8Array(),
            metadata: undefined,
            capabilities: [],
          },
        },
        blob: undefined,
      });
    }
    await new Promise((resolve) => void setImmediate(resolve));
  }
  const numeric = ips.filter((ip) => ip !== 'localhost');
  expect(dialled).toEqual(['8.8.8.8', '2606:4700::1', ...numeric]);
  expect(failed.length).toBe(2 * ips.length);
});

test('diagnostics say who we are, who is there, and why others are not', async () => {
  await ask(update(), { from: KERNEL });
  const answer = await ask({ kind: 'GetDiagnostics' });
  if (answer?.kind !== 'Diagnostics') throw new Error('no diagnostics');
  const lines = answer.value.split('\r\n');
  expect(lines).toContain('we have connections with 0 peers (32 max):');
  expect(lines).toContain('we have 1 entries in the PKI');
  expect(
    lines.some((line) => line.startsWith(`our identity: ${OUR_NODE} ${us.networking_key}`)),
  ).toBe(true);
});
