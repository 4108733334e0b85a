/**
 * Frames that are almost right. A slice of the long run: `NET_FUZZ_FRAMES=1000000 npx vitest run runtime-modules/net/fuzz.test.ts`. A failure
 * prints its seed; `NET_SEED` repeats it.
 */
import { expect, test } from 'vitest';
import { remoteRequest } from '../../kernel/testing.ts';
import { decodeNetAction, decodeNetResponse, encodeNetAction } from '../../wit/net-api.ts';
import { Assembler, type Framing } from './frames.ts';
import { ALL_FEATURES, decodePayload, encodePayload, REFERENCE } from './handshake.ts';
import { seededRandom } from './memory.ts';
import { decodeRoutingRequest, encodeRoutingRequest } from './routing.ts';
import { type NetNode, publicHex, testKey } from './testing/nodes.ts';
import { RawPeer } from './testing/raw.ts';
import { World } from './testing/world.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

const SEED = Number(process.env['NET_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const FRAMES = Number(process.env['NET_FUZZ_FRAMES'] ?? 20_000);
const CONNECTIONS = Math.max(60, Math.floor(FRAMES / 200));
const FUZZ_MS_MAX = 3_600_000;
/** Bytes that mean something to MessagePack or to a length. */
const TELLING = [
  0x00, 0x01, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc4, 0xc6, 0xcb, 0xcf, 0xdb, 0xdd, 0xdf, 0xff,
];

const message = remoteRequest(
  'raw.os@a:b:c',
  'alice.os@net:distro:sys',
  {
    body: Buffer.from('hello'),
    expectsResponse: 5,
    metadata: '{}',
    capabilities: [
      { issuer: { node: 'raw.os', process: 'a:b:c' as never }, params: '"messaging"' },
    ],
  },
  { blob: { mime: 'text/plain', bytes: Buffer.alloc(40, 200) }, signatures: [Buffer.alloc(64, 3)] },
);
const us = { name: 'raw.os', networkingKey: testKey('raw.os') };
const payload = {
  version: 1,
  name: 'raw.os',
  signature: Buffer.alloc(64, 5),
  proxyRequest: false,
  offered: ALL_FEATURES,
};
const update = {
  name: 'bob.os',
  public_key: 'ab',
  ips: ['1.2.3.4'],
  ports: new Map([['ws', 9]]),
  routers: ['r.os'],
};
const GOOD: readonly Uint8Array[] = [
  encodeMessage(message, { bin: false }),
  encodeMessage(message, { bin: true }),
  encodePayload(payload),
  encodeRoutingRequest(us, 'bob.os', 'alice.os'),
  encodeNetAction({ kind: 'HnsBatchUpdate', value: [update, update] }),
  encodeNetAction({ kind: 'ConnectionRequest', value: 'bob.os' }),
  Buffer.from('\u001b[2Jhello'),
];

/** One to four changes: a bit, a telling byte, a piece cut out, a piece twice, the end gone, bytes added. */
function spoiled(good: Uint8Array, random: () => number): Uint8Array {
  let bytes = Buffer.from(good);
  const at = (): number => Math.floor(random() * (bytes.length + 1));
  for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) {
    const [from, to] = [at(), at()].toSorted((a, b) => a - b) as [number, number];
    const kind = Math.floor(random() * 6);
    if (kind === 0 && from < bytes.length)
      bytes[from] = bytes[from]! ^ (1 << Math.floor(random() * 8));
    else if (kind === 1 && from < bytes.length)
      bytes[from] = TELLING[Math.floor(random() * TELLING.length)]!;
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    else if (kind === 4) bytes = bytes.subarray(0, from);
    else bytes = Buffer.concat([bytes, Buffer.alloc(Math.floor(random() * 8), 0xc1)]);
  }
  return bytes;
}

test(
  `no spoiled frame makes a decoder throw, hang or make up what was not there (NET_SEED=${SEED})`,
  () => {
    const random = seededRandom(SEED);
    let read = 0;
    for (let frame = 0; frame < FRAMES; frame++) {
      const bytes = spoiled(GOOD[frame % GOOD.length]!, random);
      const decoded = decodeMessage(bytes);
      if (decoded !== undefined) {
        read++;
        // What was read can be said again, and is read as the same.
        const again = encodeMessage(decoded, { bin: false });
        expect(encodeMessage(decodeMessage(again)!, { bin: false })).toEqual(again);
        const { body } =
          decoded.message.kind === 'request' ? decoded.message.request : decoded.message.response;
        expect(body.length).toBeLessThanOrEqual(bytes.length);
      }
      decodeNetAction(bytes);
      decodeNetResponse(bytes);
      decodePayload(bytes);
      decodeRoutingRequest(bytes);
      for (const framing of ['clear', 'sealed', 'mux'] satisfies Framing[])
        new Assembler(framing).chunk(bytes);
    }
    // Some mutations are harmless; if none were, nothing would have been tested.
    expect(read).toBeGreaterThan(FRAMES / 200);
  },
  FUZZ_MS_MAX,
);

/** What an unknown caller, or a peer that is known, throws at a node. */
async function attack(world: World, node: NetNode, random: () => number): Promise<RawPeer> {
  const kinds = ['tcp', 'ws'] as const;
  const kind = kinds[Math.floor(random() * 2)]!;
  const transport = world.transports('10.7.0.1').find((each) => each.kind === kind)!;
  const at = { ip: world.ip(1), port: node.update.ports.get(kind)! };
  const raw = await world.until(RawPeer.dial(transport, at));
  const good = (): Uint8Array => GOOD[Math.floor(random() * GOOD.length)]!;
  if (random() < 0.5) {
    const first =
      random() < 0.3 ? Buffer.alloc(32, Math.floor(random() * 256)) : spoiled(good(), random);
    raw.connection.send([first]);
    raw.connection.send([spoiled(good(), random)]);
  } else {
    raw.greet('raw.os', node, { offered: random() < 0.5 ? REFERENCE : ALL_FEATURES });
    await world.clock.advance(20);
    for (let index = 0; index < 5 && raw.session !== undefined; index++)
      raw.say(random() < 0.5 ? spoiled(GOOD[index % 2]!, random) : GOOD[index % 2]!);
    if (random() < 0.3) raw.connection.send([spoiled(good(), random)]);
  }
  await world.clock.advance(20);
  return raw;
}

test(
  `whatever callers and peers say, the node goes on, prints no control character and gives a reason (NET_SEED=${SEED})`,
  async () => {
    const random = seededRandom(SEED);
    await using world = new World();
    const [alice, bob] = await world.acquainted(
      { name: 'alice.os', listen: ['tcp', 'ws'], passthroughsMax: 2 },
      { name: 'bob.os' },
    );
    const public_key = publicHex(testKey('raw.os'));
    alice!.module.net.update({
      name: 'raw.os',
      public_key,
      ips: [],
      ports: new Map(),
      routers: [],
    });
    for (let connection = 0; connection < CONNECTIONS; connection++) {
      const raw = await attack(world, alice!, random);
      if (random() < 0.7) raw.connection.destroy();
      if (connection % 20 === 0) {
        await world.clock.advance(12_000);
        expect(await world.until(bob!.ask('alice.os', `${connection}`))).toBe('ack');
      }
    }
    await world.clock.advance(10_000);
    expect(await world.until(bob!.ask('alice.os', 'last'))).toBe('ack');
    // oxlint-disable-next-line no-control-regex
    for (const line of alice!.lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f]/);
    expect(alice!.module.net.refusals.lines().length).toBeGreaterThan(3);
    expect(alice!.module.net.links.all().length).toBeLessThanOrEqual(2);
  },
  FUZZ_MS_MAX,
);
