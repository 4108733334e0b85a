/** Clients that mean harm: each costs only its own channel. */
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChannelsOptions } from './channels.ts';
import { MAILBOX_MESSAGES_MAX } from '../../../kernel/limits.ts';
import { processId } from '../../../wit/address.ts';
import { frameHead, Scene, until, type Client, type Owner, type Raw } from '../testing/scene.ts';
import { FRAGMENTS_MAX, HELD_OVERHEAD_BYTES, READ_BYTES } from './limits.ts';
import { overruns } from './ws.ts';

const CHAT = 'chat:pkg:sys';
const MIB = 1024 * 1024;

let scene: Scene;
let owner: Owner;
let bystander: { client: Client; id: number };
let raw: Raw;
let id: number;

async function open(options: ChannelsOptions = {}): Promise<void> {
  scene = await Scene.open(options);
  owner = await scene.owner(CHAT);
  bystander = await scene.channel(owner);
  ({ raw, id } = await scene.rawChannel(owner));
}
beforeEach(() => open());
afterEach(() => scene[Symbol.asyncDispose]());

/** Requests that wait in the process's mailbox. */
function mailbox(): number {
  return scene.node.kernel.usage().get(processId(CHAT))?.mailbox ?? 0;
}

const closeFrame = (code: number): Buffer => Buffer.of(0x88, 2, code >> 8, code & 255);

/** The hostile channel ends, with that close frame; the bystander's still works. */
async function onlyItEnds(code: number): Promise<void> {
  await until('it is told why', () => raw.frames.length >= 4);
  expect(raw.frames.subarray(0, 4)).toEqual(closeFrame(code));
  raw.socket.destroy();
  await bystanderIsFine();
}

async function bystanderIsFine(): Promise<void> {
  const closed = `{"WebSocketClose":${id}}`;
  await until('its process knows', () => owner.log.includes(closed));
  owner.log.splice(0);
  bystander.client.ws.send('hello');
  expect((await owner.lines(1))[0]).toContain('hello');
  expect(scene.module.channels.size).toBe(1);
}

const broken: readonly [string, number, () => void][] = [
  ['an unmasked frame', 1002, () => raw.socket.write(Buffer.of(0x81, 1, 0x61))],
  ['garbage', 1002, () => raw.socket.write(Buffer.alloc(1_000, 0xff))],
  ['a reserved bit', 1002, () => raw.socket.write(Buffer.of(0xc1, 0x80, 0, 0, 0, 0))],
  ['an unknown opcode', 1002, () => raw.frame(3)],
  ['an unknown control opcode', 1002, () => raw.frame(11)],
  ['a continuation of nothing', 1002, () => raw.frame(0, 'x')],
  [
    'a message within a message',
    1002,
    () => (raw.frame(1, 'x', { fin: false }), raw.frame(1, 'y')),
  ],
  ['a ping in fragments', 1002, () => raw.frame(9, '', { fin: false })],
  ['a ping of 126 bytes', 1002, () => raw.frame(9, 'x'.repeat(126))],
  ['a close frame of one byte', 1002, () => raw.frame(8, 'x')],
  [
    'a close code that nobody may send',
    1002,
    () => raw.frame(8, Uint8Array.of(1006 >> 8, 1006 & 255)),
  ],
  ['invalid UTF-8 in a text', 1007, () => raw.frame(1, Uint8Array.of(0x61, 0xff))],
  ['a text cut within a character', 1007, () => raw.frame(1, Uint8Array.of(0xe2, 0x82))],
  ['invalid UTF-8 in a close reason', 1007, () => raw.frame(8, Uint8Array.of(3, 232, 0xff))],
  ['a message of 65 MiB', 1009, () => raw.frame(2, '', { length: 65 * MIB })],
  [
    'a frame of 2^63 bytes',
    1009,
    () =>
      raw.socket.write(Buffer.of(0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0)),
  ],
  [
    'fragments that add up to more',
    1009,
    () => (
      raw.frame(2, Buffer.alloc(33 * MIB), { fin: false }),
      raw.frame(0, '', { length: 32 * MIB })
    ),
  ],
  [
    'fragments without end',
    1008,
    () => {
      raw.frame(2, 'x', { fin: false });
      raw.socket.write(
        Buffer.concat(
          Array.from({ length: FRAGMENTS_MAX }, () =>
            Buffer.concat([frameHead(0, 1, false), Buffer.from('x')]),
          ),
        ),
      );
    },
  ],
];
for (const [what, code, write] of broken) {
  test(`${what} costs only its own channel`, async () => {
    write();
    await onlyItEnds(code);
    expect(scene.node.sink.at(0)).toEqual([]);
    expect(
      scene.node.sink.at(2).some((line) => line.startsWith(`websocket connection ${id} failed: `)),
    ).toBe(true);
  });
}

test('invalid UTF-8 split over fragments is still found, and a character split over them is not', async () => {
  raw.frame(1, Uint8Array.of(0xe2, 0x82), { fin: false });
  raw.frame(0, Uint8Array.of(0xac));
  expect((await owner.lines(1))[0]).toContain(' €');
  raw.frame(1, Uint8Array.of(0xe2, 0x82), { fin: false });
  raw.frame(0, Uint8Array.of(0x61));
  await onlyItEnds(1007);
});

test('a client that vanishes in the middle of a frame, of a head, or half closes, costs only its own channel', async () => {
  raw.frame(2, 'x', { length: 1_000 });
  raw.socket.destroy();
  await bystanderIsFine();
  ({ raw, id } = await scene.rawChannel(owner));
  raw.socket.write(Buffer.of(0x82));
  raw.socket.resetAndDestroy();
  await bystanderIsFine();
  ({ raw, id } = await scene.rawChannel(owner));
  raw.socket.end();
  await bystanderIsFine();
  await until('the server has ended it too', () => raw.ended);
});

test('any bytes end at most their own channel', async () => {
  raw.socket.destroy();
  await bystanderIsFine();
  const head = fc.constantFrom(...[0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0x01, 0x02, 0x00]);
  const frame = fc
    .tuple(head, fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 4, maxLength: 4 }))
    .map(([first, payload, mask]) => {
      const bytes = frameHead(first & 15, payload.length, first >= 0x80);
      bytes.set(mask, bytes.length - 4);
      return Buffer.concat([bytes, payload]);
    });
  const stream = fc.array(fc.oneof(frame, fc.uint8Array({ maxLength: 50 })), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(stream, async (parts) => {
      const { raw: random, id: channel } = await scene.rawChannel(owner);
      for (const part of parts) random.socket.write(part);
      random.socket.end();
      const closed = `{"WebSocketClose":${channel}}`;
      await until('its process knows', () => owner.log.includes(closed));
      expect(owner.log.splice(0).at(-1)).toBe(closed);
      expect(scene.module.channels.size).toBe(1);
    }),
    { numRuns: 100 },
  );
  expect(scene.node.sink.at(0)).toEqual([]);
});

test('a flood of pings whose answers are not read ends the connection', async () => {
  raw.socket.pause();
  const ping = Buffer.concat([frameHead(9, 125), Buffer.alloc(125)]);
  const many = Buffer.concat(Array.from({ length: 2_000 }, () => ping));
  raw.socket.write(many);
  await until('it has ended', () => scene.module.channels.size === 1);
  raw.socket.destroy();
});

test('closing twice, or talking on after closing, is heard once', async () => {
  raw.frame(8, Uint8Array.of(3, 232, 0x62, 0x79, 0x65));
  raw.frame(1, 'not any more');
  raw.frame(8, '');
  expect(await owner.lines(2)).toEqual([
    `{"WebSocketPush":{"channel_id":${id},"message_type":"Close"}} bye`,
    `{"WebSocketClose":${id}}`,
  ]);
});

test('unfinished messages of all channels together are bounded; the connection with most of them ends', async () => {
  await scene[Symbol.asyncDispose]();
  await open({ heldBytesMax: 4 * MIB });
  raw.frame(2, Buffer.alloc(3 * MIB), { length: 10 * MIB });
  await until('it is counted', () => scene.module.channels.heldBytes >= 3 * MIB - READ_BYTES);
  const second = await scene.raw(`/${CHAT}`);
  await owner.lines(1);
  second.frame(2, Buffer.alloc(2 * MIB), { length: 10 * MIB });
  await until('the first has ended', () => raw.ended);
  expect(scene.node.sink.at(1)[0]).toMatch(
    new RegExp(
      `^websocket ${id} of ${CHAT} ended: it kept \\d+ bytes of the \\d+ that all keep in memory$`,
    ),
  );
  second.socket.destroy();
  await until('nothing is held', () => scene.module.channels.heldBytes === 0);
});

test('frames that wait for their process count too, and go with their connection', async () => {
  await scene[Symbol.asyncDispose]();
  await open({ heldBytesMax: 2 * MIB });
  owner.read(false);
  bystander.client.ws.send('first');
  await owner.lines(1);
  for (let n = 0; n < MAILBOX_MESSAGES_MAX; n++) raw.frame(1, '');
  await until('the mailbox is full', () => mailbox() === MAILBOX_MESSAGES_MAX);
  // The first to wait is the kernel's already; what waits behind it is the line's.
  bystander.client.ws.send('offered');
  await until('it waits', () => scene.module.channels.heldBytes > 0);
  raw.frame(2, Buffer.alloc(3 * MIB));
  await until('it has ended', () => raw.ended);
  await until('little is held', () => scene.module.channels.heldBytes < READ_BYTES);
  owner.read(true);
  await until('its process knows', () => owner.log.includes(`{"WebSocketClose":${id}}`));
  expect(owner.log.filter((line) => line.includes('Binary'))).toEqual([]);
  await bystanderIsFine();
});

test('what pings within an unfinished message do not hide, and pings alone do not add up', async () => {
  raw.frame(2, Buffer.alloc(MIB), { fin: false });
  for (let n = 0; n < 100; n++) {
    raw.frame(9, 'x');
    raw.frame(0, Buffer.alloc(10_000), { fin: false });
  }
  await until(
    'all of it is counted',
    () => scene.module.channels.heldBytes >= MIB + 1_000_000 - READ_BYTES,
  );
  raw.frame(0, 'end');
  await until('it is one message', () => scene.module.channels.heldBytes === 0);
  for (let n = 0; n < READ_BYTES / HELD_OVERHEAD_BYTES + 10; n++) {
    const [read, heard] = [scene.bytesRead(), owner.log.length];
    raw.socket.write(frameHead(9, 1));
    await until('its head is read', () => scene.bytesRead() > read);
    raw.socket.write('x');
    await until('it has arrived', () => owner.log.length > heard);
  }
  expect(scene.module.channels.heldBytes).toBe(0);
});

test('a slow client is told by frames and by bytes; a burst of small frames is none', () => {
  const kib = 1024;
  expect(overruns(0, 0, 100 * MIB)).toBe(false);
  expect(overruns(99, 10 * MIB, kib)).toBe(false);
  expect(overruns(100, MIB, kib)).toBe(true);
  expect(overruns(9_999, MIB - kib, kib)).toBe(false);
  expect(overruns(10_000, 0, 1)).toBe(true);
  expect(overruns(1, 64 * MIB, 1)).toBe(true);
  expect(overruns(1, 63 * MIB, MIB)).toBe(false);
});

test('ten thousand small frames at once reach a client that reads', async () => {
  const { client, id: channel } = bystander;
  const body = { WebSocketPush: { channel_id: channel, message_type: 'Text' } };
  for (let n = 0; n < 10_000; n++) await owner.act(body, `${n}`, { expectsResponse: undefined });
  expect((await client.lines(10_000)).at(-1)).toBe('Text 9999');
});
