/**
 * Frames that are almost right. A slice of the long run: `NET_FUZZ_FRAMES=10000000 npx vitest run runtime-modules/net/fuzz.test.ts`. A failure
 * prints its seed; `NET_SEED` repeats it.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { remoteRequest } from '../../kernel/testing.ts';
import { decodeNetAction, decodeNetResponse, encodeNetAction } from '../../wit/net-api.ts';
import { Assembler, type Framing } from './frames.ts';
import { ALL_FEATURES, decodePayload, encodePayload, REFERENCE } from './handshake.ts';
import { seededRandom } from './memory.ts';
import { decodeRoutingRequest, encodeRoutingRequest } from './routing.ts';
import { type NetNode, publicHex, testKey } from './testing/nodes.ts';
import { RawPeer } from './testing/raw.ts';
import { fieldsOf, replaced, spoiled, VALUES } from './testing/spoil.ts';
import { World } from './testing/world.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

const SEED = Number(process.env['NET_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const FRAMES = Number(process.env['NET_FUZZ_FRAMES'] ?? 20_000);
/** Of those that are thrown at a node. */
const LIVE_FRAMES = Math.max(300, Math.floor(FRAMES / 10));
/** More heap than after a quarter of them is a leak, in MiB. */
const GROWTH_MIB_MAX = 16;
const FUZZ_MS_MAX = 3_600_000;
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

/** What may stand before a chunk's bytes: numbers of messages and lengths, most of them lies. */
const HEADERS: readonly Uint8Array[] = [0, 1, 2, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1].flatMap(
  (number) =>
    [0, 1, 40, 68 * 2 ** 20, 2 ** 32 - 1].map((length) => {
      const header = Buffer.alloc(8);
      header.writeUInt32BE(number, 0);
      header.writeUInt32BE(length, 4);
      return header;
    }),
);

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

function heapMib(): number {
  gc();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Whatever it is, nothing throws; a message that can be read can be said again, and is read as the same. */
function decodeAll(bytes: Uint8Array): boolean {
  const decoded = decodeMessage(bytes);
  if (decoded !== undefined) {
    const again = encodeMessage(decoded, { bin: false });
    expect(Buffer.compare(encodeMessage(decodeMessage(again)!, { bin: false }), again)).toBe(0);
    const { message } = decoded;
    const { body } = message.kind === 'request' ? message.request : message.response;
    expect(body.length).toBeLessThanOrEqual(bytes.length);
  }
  decodeNetAction(bytes);
  decodeNetResponse(bytes);
  decodePayload(bytes);
  decodeRoutingRequest(bytes);
  for (const framing of ['clear', 'sealed', 'mux'] satisfies Framing[])
    new Assembler(framing).chunk(bytes);
  return decoded !== undefined;
}

test('every field of every frame, replaced by every kind of value, makes no decoder throw or hang', () => {
  let fields = 0;
  for (const good of GOOD)
    for (const field of fieldsOf(good)) {
      fields++;
      for (const value of VALUES) decodeAll(replaced(good, field, value));
    }
  // The byte vectors of the reference are lists, whose elements are fields, too.
  expect(fields).toBeGreaterThan(300);
});

test(
  `no spoiled frame makes a decoder throw, hang or make up what was not there (NET_SEED=${SEED})`,
  () => {
    const random = seededRandom(SEED);
    let read = 0;
    for (let frame = 0; frame < FRAMES; frame++) {
      if (decodeAll(spoiled(GOOD[frame % GOOD.length]!, random))) read++;
    }
    // Some mutations are harmless; if none were, nothing would have been tested.
    expect(read).toBeGreaterThan(FRAMES / 200);
  },
  FUZZ_MS_MAX,
);

/** What an unknown caller, or a peer that is known, throws at a node; how many frames. */
async function attack(world: World, node: NetNode, random: () => number): Promise<number> {
  const kinds = ['tcp', 'ws'] as const;
  const kind = kinds[Math.floor(random() * 2)]!;
  const transport = world.transports('10.7.0.1').find((each) => each.kind === kind)!;
  const at = { ip: world.ip(1), port: node.update.ports.get(kind)! };
  const raw = await world.until(RawPeer.dial(transport, at));
  const good = (): Uint8Array => GOOD[Math.floor(random() * GOOD.length)]!;
  let frames = 0;
  const send = (frame: Uint8Array): void => {
    frames++;
    raw.connection.send([frame]);
  };
  if (random() < 0.5) {
    send(random() < 0.3 ? Buffer.alloc(32, Math.floor(random() * 256)) : spoiled(good(), random));
    send(spoiled(good(), random));
  } else {
    raw.greet('raw.os', node, { offered: random() < 0.5 ? REFERENCE : ALL_FEATURES });
    await world.clock.advance(20);
    for (let index = 0; index < 5 && raw.session !== undefined; index++, frames++)
      raw.say(random() < 0.5 ? spoiled(GOOD[index % 2]!, random) : GOOD[index % 2]!);
    if (raw.session !== undefined && random() < 0.5)
      for (const header of HEADERS.toSorted(() => random() - 0.5).slice(0, 3))
        send(raw.session.send.seal(Buffer.concat([header, good()])));
    if (random() < 0.3) send(spoiled(good(), random));
  }
  await world.clock.advance(20);
  if (random() < 0.7) raw.connection.destroy();
  return frames;
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
    let frames = 0;
    let warmMib: number | undefined;
    for (let connection = 0; frames < LIVE_FRAMES; connection++) {
      frames += await attack(world, alice!, random);
      if (connection % 20 === 0) {
        await world.clock.advance(12_000);
        expect(await world.until(bob!.ask('alice.os', `${connection}`))).toBe('ack');
      }
      if (frames > LIVE_FRAMES / 4) warmMib ??= heapMib();
    }
    await world.clock.advance(10_000);
    expect(await world.until(bob!.ask('alice.os', 'last'))).toBe('ack');
    // oxlint-disable-next-line no-control-regex
    for (const line of alice!.lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f]/);
    expect(alice!.module.net.refusals.lines().length).toBeGreaterThan(3);
    expect(alice!.module.net.links.all().length).toBeLessThanOrEqual(2);
    expect(heapMib()).toBeLessThan((warmMib ?? 0) + GROWTH_MIB_MAX);
  },
  FUZZ_MS_MAX,
);
