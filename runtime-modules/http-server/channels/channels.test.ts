/** WebSockets between browsers and processes: real sockets, a real kernel, scripted guests (runtime-modules.md §6.11). */
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { MAILBOX_MESSAGES_MAX } from '../../../kernel/limits.ts';
import { processId } from '../../../wit/address.ts';
import { forwardedFor } from '../requests/visit.ts';
import type { ChannelsOptions } from './channels.ts';
import { handshake, Owner, Scene, until, type Client } from '../testing/scene.ts';

const CHAT = 'chat:pkg:sys';
const OTHER = 'other:pkg:sys';
const OK = '{"Ok":null}';
const err = (name: string): string => `{"Err":"${name}"}`;

let scene: Scene;
afterEach(() => scene[Symbol.asyncDispose]());

async function chat(
  options: ChannelsOptions = {},
): Promise<{ owner: Owner; client: Client; id: number }> {
  scene = await Scene.open(options);
  const owner = await scene.owner(CHAT);
  return { owner, ...(await scene.channel(owner)) };
}

const push = (id: number, type: string): unknown => ({
  WebSocketPush: { channel_id: id, message_type: type },
});
/** Some other channel. */
const not = (id: number): number => (id ^ 1) >>> 0;
const pushed = (id: number, type: string, blob: string): string =>
  `{"WebSocketPush":{"channel_id":${id},"message_type":"${type}"}} ${blob}`;
const closed = (id: number): string => `{"WebSocketClose":${id}}`;

// --- opening

test('M174 an upgrade on a bound path becomes WebSocketOpen, with path, id, source and the address a proxy gives', async () => {
  scene = await Scene.open();
  const owner = await scene.owner(CHAT, { path: '/rooms/a' });
  const headers = { 'X-Forwarded-For': ' 10.1.2.3 , 10.9.9.9' };
  const client = await scene.client(`/${CHAT}/rooms/a?x=1`, { headers });
  const [line = ''] = await owner.lines(1);
  const open = JSON.parse(line) as {
    WebSocketOpen: { channel_id: number; source_socket_addr: string };
  };
  const { channel_id: id, source_socket_addr: from } = open.WebSocketOpen;
  expect(line).toBe(
    `{"WebSocketOpen":{"path":"/rooms/a","channel_id":${id},"source_socket_addr":"${from}","forwarded_for":"10.1.2.3"}}`,
  );
  expect(from).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(Number.isInteger(id) && id >= 0 && id < 2 ** 32).toBe(true);
  await scene.client(`/${CHAT}/rooms/a`);
  expect((await owner.lines(1))[0]).toContain('"forwarded_for":null');
  expect(client.ws.protocol).toBe('');
  expect(scene.node.sink.at(2)).toContain(`new websocket connection to ${CHAT} with id ${id}`);
});

test('M174 no subprotocol and no extension is negotiated, whatever is offered', async () => {
  scene = await Scene.open();
  await scene.owner(CHAT);
  const raw = await scene.raw(`/${CHAT}`);
  expect(raw.text.toLowerCase()).not.toMatch(/sec-websocket-(protocol|extensions)/);
  for (const header of [
    'Sec-WebSocket-Protocol: a, b',
    'Sec-WebSocket-Protocol: ,,;',
    'Sec-WebSocket-Extensions: permessage-deflate',
  ]) {
    const plain = await scene.rawWith(handshake(`/${CHAT}`, [header]));
    expect(plain.text).toMatch(/^HTTP\/1\.1 101/);
    expect(plain.text.toLowerCase()).not.toMatch(/\r\nsec-websocket-(protocol|extensions)/);
  }
});

test('M175 what is no opening handshake, or finds no binding, is left for the ordinary answer', async () => {
  scene = await Scene.open();
  await scene.owner(CHAT);
  const good = handshake(`/${CHAT}`);
  const bad = [
    good.replace('13', '8'),
    good.replace('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Key: short'),
    good.replace('Upgrade: websocket', 'Upgrade: h2c'),
    good.replace('GET', 'POST'),
    handshake('/nobody:pkg:sys'),
  ];
  for (const request of bad) {
    const raw = await scene.rawWith(request);
    expect(raw.text).toMatch(/^HTTP\/1\.1 404/);
  }
  expect(scene.module.channels.size).toBe(0);
});

test('M188 the address a proxy gives: X-Forwarded-For, first entry; else X-Real-IP; else Cf-Connecting-Ip', () => {
  const all = {
    'x-forwarded-for': ' 1.1.1.1, 2.2.2.2',
    'x-real-ip': ' 3.3.3.3 ',
    'cf-connecting-ip': '4.4.4.4',
  };
  expect(forwardedFor({ headers: all })).toBe('1.1.1.1');
  expect(forwardedFor({ headers: { ...all, 'x-forwarded-for': undefined } })).toBe('3.3.3.3');
  expect(forwardedFor({ headers: { ...all, 'x-forwarded-for': ' , 5.5.5.5' } })).toBe('3.3.3.3');
  expect(forwardedFor({ headers: { 'cf-connecting-ip': '4.4.4.4' } })).toBe('4.4.4.4');
  expect(forwardedFor({ headers: {} })).toBeUndefined();
});

test('M184 a channel too many is left for the ordinary answer, printed once; after one closes there is room', async () => {
  const { client } = await chat({ channelsMax: 2 });
  await scene.client(`/${CHAT}`);
  await expect(scene.client(`/${CHAT}`)).rejects.toThrow('404');
  await expect(scene.client(`/${CHAT}`)).rejects.toThrow('404');
  expect(scene.node.sink.at(0)).toEqual(['too many websockets: 2 are open']);
  client.ws.close();
  await until('it is closed', () => scene.module.channels.size === 1);
  await scene.client(`/${CHAT}`);
  expect(scene.module.channels.size).toBe(2);
});

test('M186 what was open stays so when the path is unbound', async () => {
  const { owner, client, id } = await chat();
  expect(await owner.ask({ WebSocketUnbind: { path: '/' } })).toBe(OK);
  await expect(scene.client(`/${CHAT}`)).rejects.toThrow('404');
  client.ws.send('still here');
  expect(await owner.lines(1)).toEqual([pushed(id, 'Text', 'still here')]);
});

// --- frames

test('M177 text, binary, ping and pong arrive with their type and payload; a ping is also answered', async () => {
  const { owner, client, id } = await chat();
  client.ws.send('hello é');
  client.ws.send(Buffer.from('bytes'));
  client.ws.ping('are you there');
  client.ws.pong('unasked');
  client.ws.send('');
  expect(await owner.lines(5)).toEqual([
    pushed(id, 'Text', 'hello é'),
    pushed(id, 'Binary', 'bytes'),
    pushed(id, 'Ping', 'are you there'),
    pushed(id, 'Pong', 'unasked'),
    pushed(id, 'Text', ''),
  ]);
  expect(await client.lines(1)).toEqual(['Pong are you there']);
});

test('M179 pushes reach the client unchanged, and are answered only if that was expected', async () => {
  const { owner, client, id } = await chat();
  expect(await owner.ask(push(id, 'Text'), 'hello é')).toBe(OK);
  await owner.act(push(id, 'Binary'), Uint8Array.of(0, 255, 128), { expectsResponse: undefined });
  await owner.act(push(id, 'Ping'), 'p', { expectsResponse: undefined });
  await owner.act(push(id, 'Pong'), '', { expectsResponse: undefined });
  await owner.act(push(id, 'Text'), Uint8Array.of(0x68, 0xff, 0x69), {
    expectsResponse: undefined,
  });
  expect(await client.lines(5)).toEqual([
    'Text hello é',
    expect.any(String),
    'Ping p',
    'Pong',
    'Text h\ufffdi',
  ]);
  expect(client.frames[1]).toEqual(Buffer.of(0, 255, 128));
  // The client's own answer to the ping is the first thing its process hears.
  expect(await owner.lines(1)).toEqual([pushed(id, 'Pong', 'p')]);
});

test('M180 a push that cannot be sent is refused, even if no response was expected', async () => {
  const { owner, client, id } = await chat();
  const ask = (action: unknown, blob?: string): Promise<string> => owner.ask(action, blob);
  for (const type of ['Text', 'Binary', 'Ping', 'Pong', 'Close'])
    expect(await ask(push(id, type))).toBe(err('NoBlob'));
  expect(await ask(push(id, 'Ping'), 'x'.repeat(126))).toBe(err('WsPingPongTooLong'));
  expect(await ask(push(id, 'Pong'), 'x'.repeat(126))).toBe(err('WsPingPongTooLong'));
  expect(await ask(push(id, 'Pong'), 'x'.repeat(125))).toBe(OK);
  expect(await ask(push(not(id), 'Text'), 'x')).toBe(err('WsChannelNotFound'));
  await owner.act(push(not(id), 'Text'), 'x', { expectsResponse: undefined });
  expect(await client.lines(1)).toHaveLength(1);
  expect(scene.module.channels.size).toBe(1);
});

test('M181 M182 a channel obeys its owner alone; closing an unknown one is Ok', async () => {
  const { client, id } = await chat();
  const other = await scene.owner(OTHER);
  expect(await other.ask(push(id, 'Text'), 'x')).toBe(err('WsChannelNotFound'));
  expect(await other.ask(push(id, 'Close'), '')).toBe(err('WsChannelNotFound'));
  expect(await other.ask({ WebSocketClose: id })).toBe(err('WsChannelNotFound'));
  expect(await other.ask({ WebSocketClose: not(id) })).toBe(OK);
  expect(client.ws.readyState).toBe(WebSocket.OPEN);
});

test('M187 what only the server says is malformed from a process', async () => {
  const { owner, id } = await chat();
  const open = { WebSocketOpen: { path: '/', channel_id: id } };
  expect(await owner.ask(open)).toBe(err('MalformedRequest'));
  const data = { WebSocketExtPushData: { id: 1, hyperware_message_type: 'Request', blob: [1] } };
  expect(await owner.ask(data)).toBe(err('MalformedRequest'));
});

test('M185 1 MiB passes both ways, 64 MiB and frames of 16 MiB too; a message of more closes the channel with 1009', async () => {
  const { owner, client, id } = await chat();
  const mib = Buffer.alloc(1024 * 1024, 'x');
  client.ws.send(mib, { mask: true });
  expect((await owner.lines(1))[0]?.length).toBe(pushed(id, 'Binary', '').length + mib.length);
  expect(await owner.ask(push(id, 'Binary'), mib)).toBe(OK);
  expect(await client.lines(1)).toEqual([`Binary ${mib.length} bytes`]);
  const raw = await scene.raw(`/${CHAT}`);
  await owner.lines(1);
  const quarter = Buffer.alloc(16 * mib.length);
  for (const [index, opcode] of [2, 0, 0, 0].entries())
    raw.frame(opcode, quarter, { fin: index === 3 });
  await owner.lines(1);
  expect(owner.blobs.at(-1)?.length).toBe(64 * mib.length);
  raw.frame(2, '', { length: 65 * mib.length });
  await until('it is closed', () => raw.frames.length >= 4);
  expect(raw.frames).toEqual(Buffer.of(0x88, 2, 1009 >> 8, 1009 & 255));
  raw.socket.destroy();
  expect(await owner.lines(1)).toHaveLength(1);
  expect(client.ws.readyState).toBe(WebSocket.OPEN);
});

test('M185 a message of more than one frame may hold goes out in several', async () => {
  const { owner, client, id } = await chat({ frameBytesMax: 10 });
  expect(await owner.ask(push(id, 'Text'), 'a message of thirty characters')).toBe(OK);
  expect(await client.lines(1)).toEqual(['Text a message of thirty characters']);
  const { raw, id: other } = await scene.rawChannel(owner);
  await owner.act(push(other, 'Binary'), 'x'.repeat(25), { expectsResponse: undefined });
  await until('all frames are there', () => raw.frames.length >= 31);
  expect([raw.frames[0], raw.frames[12], raw.frames[24], raw.frames[25]]).toEqual([
    0x02, 0x00, 0x80, 5,
  ]);
});

// --- closing

test('M178 a close frame arrives twice, a lost connection once', async () => {
  const { owner, client, id } = await chat();
  client.ws.close(4001, 'bye then');
  expect(await owner.lines(2)).toEqual([pushed(id, 'Close', 'bye then'), closed(id)]);
  const second = await scene.channel(owner);
  second.client.ws.close();
  expect(await owner.lines(2)).toEqual([pushed(second.id, 'Close', ''), closed(second.id)]);
  const third = await scene.channel(owner);
  third.client.ws.terminate();
  expect(await owner.lines(1)).toEqual([closed(third.id)]);
  expect(await owner.ask(push(third.id, 'Text'), 'x')).toBe(err('WsChannelNotFound'));
  expect(scene.node.sink.at(2)).toContain(`websocket connection ${third.id} closed`);
});

test('M183 closed by its owner, a channel is gone at once, and its end is heard when the client has answered', async () => {
  const { owner, client, id } = await chat();
  expect(await owner.ask({ WebSocketClose: id })).toBe(OK);
  expect(await owner.lines(2)).toEqual([pushed(id, 'Close', ''), closed(id)]);
  expect(await client.lines(1)).toEqual(['closed 1005']);
  const { raw, id: second } = await scene.rawChannel(owner);
  expect(await owner.ask(push(second, 'Close'), 'ignored')).toBe(OK);
  await until('the close frame is there', () => raw.frames.length >= 2);
  expect(raw.frames).toEqual(Buffer.of(0x88, 0));
  expect(await owner.ask(push(second, 'Text'), 'x')).toBe(err('WsChannelNotFound'));
  expect(await owner.ask({ WebSocketClose: second })).toBe(OK);
  // What the client says before it answers is none of the process's business any more.
  raw.frame(1, 'too late');
  raw.frame(8, '');
  expect(await owner.lines(2)).toEqual([pushed(second, 'Close', ''), closed(second)]);
});

test('M184 a channel that its owner closed takes no room, however long the client takes to answer', async () => {
  scene = await Scene.open({ channelsMax: 1 });
  const owner = await scene.owner(CHAT);
  for (let round = 0; round < 3; round++) {
    const { id } = await scene.rawChannel(owner);
    expect(await owner.ask({ WebSocketClose: id })).toBe(OK);
    owner.log.splice(0);
  }
  // Only so many may take their time: the oldest has ended.
  await until('the first has ended', () =>
    scene.node.sink.at(2).some((line) => line.endsWith(' closed')),
  );
});

test('H15 a process that ends takes its channels with it: 1001, and 1012 when it restarts; nothing of them reaches its next life', async () => {
  scene = await Scene.open();
  const owner = await scene.owner(CHAT, { onExit: { kind: 'restart' } });
  const first = await scene.channel(owner);
  const raw = await scene.raw(`/${CHAT}`);
  await owner.lines(1);
  await scene.exit(owner);
  expect(await first.client.lines(1)).toEqual(['closed 1012']);
  await until('the close frame is there', () => raw.frames.length >= 4);
  raw.frame(1, 'late');
  raw.frame(8, '');
  await until('its connection has ended', () => raw.ended);
  expect(await owner.ask(push(first.id, 'Text'), 'x')).toBe(err('WsChannelNotFound'));
  const second = await scene.channel(owner);
  await scene.kill(owner);
  expect(await second.client.lines(1)).toEqual(['closed 1001']);
  await until('all have ended', () => scene.module.channels.size === 0);
});

test('a process that may not be sent to has no use for its channels: 1011', async () => {
  scene = await Scene.open();
  const owner = new Owner(CHAT);
  await scene.node.start(CHAT, owner.code, { public: false });
  const bind = { path: '/', authenticated: false, extension: false };
  await owner.act({ WebSocketBind: bind }, undefined, { expectsResponse: undefined });
  const client = await scene.client(`/${CHAT}`);
  expect(await client.lines(1)).toEqual(['closed 1011']);
  await until('it has ended', () => scene.module.channels.size === 0);
  expect(owner.log).toEqual([]);
});

test('a shutdown closes everything with 1001, and waits only so long', async () => {
  const { client } = await chat();
  const raw = await scene.raw(`/${CHAT}`);
  const down = scene.module.channels.shutdown();
  expect(await client.lines(1)).toEqual(['closed 1001']);
  await expect(scene.client(`/${CHAT}`)).rejects.toThrow('404');
  await scene.node.clock.advance(1_000);
  await down;
  await until('the silent one has ended', () => raw.ended);
  expect(scene.module.channels.size).toBe(0);
  await scene.module.channels.shutdown();
});

// --- dead and slow peers

test('a silent peer is pinged every 30 s and dropped after two pings without a sign; its process sees no pong of that', async () => {
  const { owner, client, id } = await chat();
  const { raw, id: silent } = await scene.rawChannel(owner);
  for (let beat = 1; beat <= 2; beat++) {
    await scene.node.clock.advance(30_000);
    await until(
      'both are pinged',
      () => raw.frames.length >= 10 * beat && client.log.length === beat,
    );
  }
  expect(raw.frames[0]).toBe(0x89);
  expect(scene.module.channels.size).toBe(2);
  await scene.node.clock.advance(30_000);
  expect(await owner.lines(1)).toEqual([closed(silent)]);
  await until('its connection has ended', () => raw.ended);
  expect(scene.module.channels.size).toBe(1);
  client.ws.send('alive');
  expect(await owner.lines(1)).toEqual([pushed(id, 'Text', 'alive')]);
});

test('any byte is a sign of life: a slow upload is not cut off', async () => {
  scene = await Scene.open();
  const owner = await scene.owner(CHAT);
  const { raw } = await scene.rawChannel(owner);
  raw.frame(2, 'x', { length: 100 });
  for (let beat = 0; beat < 5; beat++) {
    const before = scene.bytesRead();
    raw.socket.write('x');
    await until('it is read', () => scene.bytesRead() > before);
    await scene.node.clock.advance(30_000);
  }
  expect(scene.module.channels.size).toBe(1);
});

test('a client that does not read is closed with 1013 and a line; others are not held up', async () => {
  const { owner, client, id } = await chat();
  const { raw, id: slow } = await scene.rawChannel(owner);
  raw.socket.pause();
  const blob = Buffer.alloc(256 * 1024, 'x');
  let answer = OK;
  for (let sent = 0; answer === OK && sent < 1_000; sent++) {
    answer = await owner.ask(push(slow, 'Binary'), blob);
    expect(await owner.ask(push(id, 'Text'), `${sent}`)).toBe(OK);
    await client.lines(1);
  }
  expect(answer).toBe(err('WsChannelNotFound'));
  expect(scene.node.sink.at(1)).toContain(
    `closed websocket ${slow} of ${CHAT}: its client does not read what it is sent`,
  );
  raw.socket.resume();
  await until('the close frame is there', () =>
    raw.tail.equals(Buffer.of(0x88, 2, 1013 >> 8, 1013 & 255)),
  );
  raw.frame(8);
  expect(await owner.lines(2)).toEqual([pushed(slow, 'Close', ''), closed(slow)]);
});

test('a full mailbox loses nothing: the sockets of its process are read no further, others are', async () => {
  const { owner, client, id } = await chat();
  const other = await scene.owner(OTHER);
  const quick = await scene.channel(other);
  owner.read(false);
  // One was being waited for.
  client.ws.send('first');
  expect(await owner.lines(1)).toHaveLength(1);
  const total = 3 * MAILBOX_MESSAGES_MAX;
  const blob = 'x'.repeat(5_000);
  for (let sent = 0; sent < total; sent++) client.ws.send(`${sent} ${blob}`);
  await until('it is held back', () => scene.module.channels.heldBytes > 0);
  quick.client.ws.send('not held up');
  expect(await other.lines(1)).toEqual([pushed(quick.id, 'Text', 'not held up')]);
  // Held back by TCP, not in memory: far from all that was sent has been read.
  expect(scene.module.channels.heldBytes).toBeLessThan(1_000_000);
  expect(client.ws.bufferedAmount + scene.module.channels.heldBytes).toBeGreaterThan(0);
  owner.read(true);
  const lines = await owner.lines(total);
  expect(lines.map((line) => Number(line.split(' ')[1]))).toEqual(
    Array.from({ length: total }, (_, index) => index),
  );
  expect([scene.module.channels.heldBytes, scene.node.sink.at(0)]).toEqual([0, []]);
  client.ws.close(1000, 'done');
  expect(await owner.lines(2)).toEqual([pushed(id, 'Close', 'done'), closed(id)]);
});

test('a mailbox that stays full for longer than a sender waits loses nothing either', async () => {
  const { owner, client, id } = await chat();
  owner.read(false);
  client.ws.send('first');
  await owner.lines(1);
  const total = MAILBOX_MESSAGES_MAX + 10;
  for (let sent = 0; sent < total; sent++) client.ws.send(String(sent));
  client.ws.close(1000, 'end');
  await until('some wait', () => scene.module.channels.heldBytes > 0);
  for (let wait = 0; wait < 4; wait++) await scene.node.clock.advance(6_000);
  expect(scene.node.sink.at(0)).toEqual([]);
  owner.read(true);
  const lines = await owner.lines(total + 2);
  expect(lines.slice(-3)).toEqual([
    pushed(id, 'Text', String(total - 1)),
    pushed(id, 'Close', 'end'),
    closed(id),
  ]);
});

test('a process that ends while frames wait takes them with it', async () => {
  const { owner, client } = await chat();
  owner.read(false);
  client.ws.send('first');
  await owner.lines(1);
  for (let sent = 0; sent < MAILBOX_MESSAGES_MAX + 10; sent++) client.ws.send(String(sent));
  await until('some wait', () => scene.module.channels.heldBytes > 0);
  await scene.node.kernel.kill(processId(CHAT));
  expect(await client.lines(1)).toEqual(['closed 1001']);
  await until('it has ended', () => scene.module.channels.heldBytes === 0);
});
