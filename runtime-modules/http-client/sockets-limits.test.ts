/** What bounds WebSockets of processes: whose they are, how many, and peers, mailboxes and processes that take or say nothing (§7.2). */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Offered } from '../../kernel/module.ts';
import { address } from '../../wit/address.ts';
import { turn, until, type Reply } from '../shared/testing.ts';
import { CLOSE_MS_MAX } from './limits.ts';
import { serveRaw } from '../shared/outbound/testing.ts';
import { clientOf, type Client } from './testing.ts';
import {
  ACK,
  ask,
  close,
  closed,
  eventOf,
  FROM,
  open,
  push,
  pushed,
  reasonOf,
  type Sent,
  socketServer,
} from './sockets.testing.ts';

/** What a server says to an upgrade. */
function switching(request: string): string {
  const key = /sec-websocket-key: (\S+)/i.exec(request)?.[1] ?? '';
  const accept = createHash('sha1')
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

test('M223 a slow handshake delays nobody; its requester is not kept waiting for ever', async () => {
  let silent: Socket | undefined;
  await using slow = await serveRaw((socket) => (silent = socket));
  await using server = await socketServer();
  await using client = clientOf();
  const waiting = open(client, slow.origin.replace('http', 'ws'), 1, { timeoutS: 5 });
  await until(() => silent !== undefined);
  expect(await open(client, server.url, 2)).toEqual(ACK);
  let gone = false;
  silent?.on('close', () => (gone = true));
  await client.clock.advance(5000);
  expect(await waiting).toBeUndefined();
  await until(() => gone);
  expect(await push(client, 'Text', 'x', 1)).toEqual({
    Err: { WsPushUnknownChannel: { channel_id: 1 } },
  });
});

test('channels of a process and of all are limited', async () => {
  await using server = await socketServer();
  await using client = clientOf({ channels: { perProcess: 2, all: 3 } });
  const failed = { Err: { WsOpenFailed: { url: server.url } } };
  expect(await open(client, server.url, 1)).toEqual(ACK);
  expect(await open(client, server.url, 2)).toEqual(ACK);
  expect(await open(client, server.url, 3)).toEqual(failed);
  expect(await open(client, server.url, 2), 'in its own place').toEqual(ACK);
  expect(await open(client, server.url, 1, { from: 'b:p:q' })).toEqual(ACK);
  expect(await open(client, server.url, 1, { from: 'c:p:q' })).toEqual(failed);
  expect(client.port.prints.map(({ text }) => text)).toEqual([
    expect.stringMatching(/2 channels open already$/),
    expect.stringMatching(/all 3 channels of the node/),
  ]);
  server.accepted[0]?.close();
  await until(() => client.port.sent.length === 1);
  expect(await open(client, server.url, 3)).toEqual(ACK);
});

test('when a process ends its sockets are closed, one that is opening too, and nobody is told', async () => {
  const ends: number[] = [];
  let silent: Socket | undefined;
  await using slow = await serveRaw((socket) => (silent = socket));
  await using server = await socketServer((socket) =>
    socket.on('close', (code) => ends.push(code)),
  );
  await using client = clientOf();
  await open(client, server.url, 1);
  await open(client, server.url, 1, { from: 'other:p:q' });
  const abort = new AbortController();
  const body = {
    WebSocketOpen: { url: slow.origin.replace('http', 'ws'), headers: {}, channel_id: 2 },
  };
  const opening = client.bench.answer(client.bench.request({ from: FROM, body }), abort.signal);
  await until(() => silent !== undefined);
  abort.abort();
  client.bench.module.onProcessGone?.(address(`alice.os@${FROM}`).process, 'ended');
  await until(() => ends.length === 1);
  expect(await opening).toBeUndefined();
  expect(ends).toEqual([1005]);
  expect(client.port.sent).toEqual([]);
  expect(await ask(client, pushed('Text'), { from: 'other:p:q', blob: 'x' })).toEqual(ACK);
});

test('a process cannot use the channels of another that it answers for, nor channels of another node', async () => {
  await using server = await socketServer();
  await using client = clientOf();
  const victim = address('alice.os@victim:p:q');
  await open(client, server.url, 1, { from: 'victim:p:q' });
  const asVictim = (body: unknown): Promise<Reply | undefined> =>
    client.bench.ask({ from: FROM, rsvp: victim, body, blob: 'x' });
  const opened = { WebSocketOpen: { url: server.url, headers: {}, channel_id: 1 } };
  expect((await asVictim(pushed('Text')))?.body).toEqual({
    Err: { WsPushUnknownChannel: { channel_id: 1 } },
  });
  expect((await asVictim(closed()))?.body).toEqual({ Err: { WsCloseFailed: { channel_id: 1 } } });
  expect((await asVictim(opened))?.body).toEqual({ Err: { WsOpenFailed: { url: server.url } } });
  // One that it opens for it, both may use; events go to whom it answers for.
  const second = { WebSocketOpen: { url: server.url, headers: {}, channel_id: 2 } };
  expect((await asVictim(second))?.body).toEqual(ACK);
  expect((await asVictim(pushed('Text', 2)))?.body).toEqual(ACK);
  expect(await ask(client, pushed('Text', 2), { from: 'victim:p:q', blob: 'x' })).toEqual(ACK);
  const abroad = await client.bench.ask({
    from: FROM,
    rsvp: address('bob.os@app:p:q'),
    body: opened,
  });
  expect(abroad?.body).toEqual({ Err: 'MalformedRequest' });
});

/** A mailbox that takes so many events, then waits until told. */
function mailbox(
  client: Client,
  room: number,
): { release: (offered: Offered) => void; asked: () => number } {
  let left = room;
  let asked = 0;
  let settle: ((offered: Offered) => void) | undefined;
  client.port.offered = (message) => {
    asked += 1;
    if (left-- > 0) return 'taken';
    return new Promise<Offered>((resolve) => {
      settle = (offered) => {
        if (offered === 'taken') client.port.sent.push(message);
        resolve(offered);
      };
    });
  };
  return {
    asked: () => asked,
    release: (offered) => {
      left = offered === 'taken' ? Number.POSITIVE_INFINITY : 0;
      settle?.(offered);
    },
  };
}

test('while the mailbox is full the socket is not read; then everything comes, in order', async () => {
  await using server = await socketServer();
  await using client = clientOf();
  const box = mailbox(client, 2);
  await open(client, server.url);
  const [peer] = server.accepted;
  let count = 0;
  const flood = async (): Promise<void> => {
    // Until the peer itself notices that nobody reads.
    while ((peer?.bufferedAmount ?? 0) < 1024 * 1024) {
      peer?.send(`${count++} ${'x'.repeat(1000)}`);
      await turn();
    }
  };
  await flood();
  expect(client.port.sent).toHaveLength(2);
  box.release('taken');
  await until(() => client.port.sent.length === count);
  const numbers = client.port.sent.map(({ blob }) =>
    Number(
      Buffer.from(blob?.bytes ?? [])
        .toString()
        .split(' ', 1)[0],
    ),
  );
  expect(numbers).toEqual(Array.from({ length: count }, (_, n) => n));
});

test('a mailbox that stays full ends the channel; the close event says why and is offered until it is taken', async () => {
  let ended = false;
  await using server = await socketServer((socket) => socket.on('close', () => (ended = true)));
  await using client = clientOf();
  const box = mailbox(client, 1);
  await open(client, server.url, 1, { id: 9 });
  for (let n = 0; n < 10; n += 1) server.accepted[0]?.send(String(n));
  await until(() => box.asked() === 2);
  box.release('full');
  await until(() => ended);
  await until(() => box.asked() === 3);
  box.release('full');
  await until(() => box.asked() === 4);
  box.release('taken');
  await until(() => client.port.sent.length === 2);
  expect(client.port.sent.map(eventOf)).toEqual([
    [9, FROM, pushed('Text'), 'text/plain', '0'],
    [9, FROM, closed(), undefined, undefined],
  ]);
  expect(reasonOf(client.port.sent[1])).toBe('mailbox-full');
  expect(await open(client, server.url)).toEqual(ACK);
});

test('a process that may not be told anything loses the channel', async () => {
  let ended = false;
  await using server = await socketServer((socket) => {
    socket.on('close', () => (ended = true));
    socket.send('x');
  });
  await using client = clientOf();
  client.port.offered = () => 'refused';
  await open(client, server.url);
  await until(() => ended);
  expect(await close(client)).toEqual({ Err: { WsCloseFailed: { channel_id: 1 } } });
});

test('a message too long, one that breaks the protocol, and one there is no room for end the channel and say why', async () => {
  await using client = clientOf({ responseBytesMax: 1024 * 1024 });
  let frames: Buffer = Buffer.alloc(0);
  await using server = await serveRaw((socket, request) => {
    socket.write(switching(request));
    socket.write(frames);
  });
  const url = server.origin.replace('http', 'ws');
  const header = (length: bigint): Buffer => {
    const bytes = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.writeBigUInt64BE(length, 2);
    return bytes;
  };
  const cases: [string, Buffer][] = [
    ['message-too-long', header(65n * 1024n * 1024n)],
    ['not-websocket', Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x61, 0x61])],
    ['not-websocket', Buffer.from([0x81, 0x02, 0xc3, 0x28])],
    ['not-websocket', Buffer.from([0xf1, 0x00])],
    [
      'no-room-for-message',
      Buffer.concat([header(60n * 1024n * 1024n), Buffer.alloc(3 * 1024 * 1024)]),
    ],
  ];
  for (const [index, [reason, bytes]] of cases.entries()) {
    frames = bytes;
    expect(await open(client, url, index)).toEqual(ACK);
    await until(() => client.port.sent.length === index + 1);
    expect([reasonOf(client.port.sent[index]), eventOf(client.port.sent[index] as Sent)]).toEqual([
      reason,
      expect.arrayContaining([closed(index)]),
    ]);
  }
});

test('a peer that does not read: pushes are acknowledged late, then the channel ends', async () => {
  const peers: Socket[] = [];
  await using server = await serveRaw((socket, request) => {
    socket.write(switching(request));
    socket.pause();
    peers.push(socket);
  });
  await using client = clientOf({ responseBytesMax: 16 * 1024 * 1024 });
  await open(client, server.origin.replace('http', 'ws'));
  const part = new Uint8Array(12 * 1024 * 1024);
  let acknowledged = 0;
  const count = (reply: unknown): void =>
    void (acknowledged += JSON.stringify(reply) === JSON.stringify(ACK) ? 1 : 0);
  const first = push(client, 'Binary', part).then(count);
  for (let n = 0; n < 200; n += 1) await turn();
  expect(acknowledged, 'it waits for the peer').toBe(0);
  await client.clock.advance(5000);
  await first;
  expect(acknowledged, 'as long as its sender does').toBe(1);
  // Two of these fit beside each other; the third is too much.
  const second = push(client, 'Binary', part).then(count);
  await client.clock.advance(5000);
  await second;
  await push(client, 'Binary', part).then(count);
  await until(() => client.port.sent.length === 1);
  expect(reasonOf(client.port.sent[0])).toBe('peer-does-not-read');
});

test('a peer that does not confirm a close is cut off, and the event comes', async () => {
  await using server = await socketServer((socket) => socket.pause());
  await using client = clientOf();
  await open(client, server.url);
  expect(await close(client)).toEqual(ACK);
  await client.clock.advance(CLOSE_MS_MAX - 1);
  expect(client.port.sent).toEqual([]);
  await client.clock.advance(1);
  await until(() => client.port.sent.length === 1);
  expect(client.port.sent.map(eventOf)).toMatchObject([{ 2: closed() }]);
});

test('the node ends: sockets are cut, nothing is sent', async () => {
  let ended = false;
  await using server = await socketServer((socket) => socket.on('close', () => (ended = true)));
  const client = clientOf();
  await open(client, server.url);
  await client[Symbol.asyncDispose]();
  await until(() => ended);
  expect(client.port.sent).toEqual([]);
});
