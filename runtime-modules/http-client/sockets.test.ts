/** WebSockets of processes, with real servers (runtime-modules.md §7.2). */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import type { KernelPort, Offered } from '../../kernel/module.ts';
import { address } from '../../wit/address.ts';
import type { Reply } from '../shared/testing.ts';
import { CLOSE_MS_MAX } from './limits.ts';
import { listening, serveRaw } from '../shared/outbound/testing.ts';
import { clientOf, type Client } from './testing.ts';

const FROM = 'app:pkg:someone.os';
const ACK = { Ok: 'WebSocketAck' };

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await turn();
};

interface Sockets extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Those accepted, in order. */
  readonly accepted: WebSocket[];
  readonly requests: {
    readonly headers: NodeJS.Dict<string | string[]>;
    readonly url: string | undefined;
  }[];
  readonly connections: () => number;
}

async function socketServer(meet: (socket: WebSocket) => void = () => undefined): Promise<Sockets> {
  const server = createServer();
  const accepted: WebSocket[] = [];
  const requests: Sockets['requests'][number][] = [];
  new WebSocketServer({ server, maxPayload: 256 * 1024 * 1024 }).on(
    'connection',
    (socket, { headers, url }) => {
      accepted.push(socket);
      requests.push({ headers, url });
      socket.on('error', () => undefined);
      meet(socket);
    },
  );
  const open = await listening(server, 'ws');
  return Object.assign(open, { url: `${open.origin}/`, accepted, requests });
}

interface Asked {
  readonly from?: string;
  readonly blob?: Uint8Array | string;
  readonly id?: number;
  readonly timeoutS?: number;
}

async function ask({ bench }: Client, body: unknown, asked: Asked = {}): Promise<unknown> {
  const reply: Reply | undefined = await bench.ask({ from: FROM, body, ...asked });
  return reply?.body;
}

const open = (client: Client, url: string, channel = 1, asked: Asked = {}): Promise<unknown> =>
  ask(client, { WebSocketOpen: { url, headers: {}, channel_id: channel } }, asked);
const push = (
  client: Client,
  type: string,
  blob?: Uint8Array | string,
  channel = 1,
): Promise<unknown> =>
  ask(
    client,
    { WebSocketPush: { channel_id: channel, message_type: type } },
    blob === undefined ? {} : { blob },
  );
const close = (client: Client, channel = 1): Promise<unknown> =>
  ask(client, { WebSocketClose: { channel_id: channel } });

/** What a server says to an upgrade. */
function switching(request: string): string {
  const key = /sec-websocket-key: (\S+)/i.exec(request)?.[1] ?? '';
  const accept = createHash('sha1')
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

type Sent = Parameters<KernelPort['send']>[0];

/** An event as the process gets it: id, receiver, body, mime and payload. */
function eventOf({ id, target, message, blob }: Sent): unknown {
  if (message.kind !== 'request') throw new Error('not a request');
  const payload = blob === undefined ? undefined : Buffer.from(blob.bytes).toString();
  return [
    id,
    target.process,
    JSON.parse(Buffer.from(message.request.body).toString()),
    blob?.mime,
    payload,
  ];
}

const pushed = (type: string, channel = 1): unknown => ({
  WebSocketPush: { channel_id: channel, message_type: type },
});
const closed = (channel = 1): unknown => ({ WebSocketClose: { channel_id: channel } });
const reasonOf = (sent: Sent | undefined): string | undefined =>
  sent?.message.kind === 'request' ? sent.message.request.metadata : undefined;

test('M213 open: Ack after the handshake, BadUrl, WsOpenFailed with the normalized URL', async () => {
  await using server = await socketServer();
  await using client = clientOf();
  expect(await open(client, `ws://us:pw@127.0.0.1:${server.port}/a?b#c`)).toEqual(ACK);
  expect(server.requests[0]).toMatchObject({
    url: '/a?b',
    headers: { authorization: `Basic ${Buffer.from('us:pw').toString('base64')}` },
  });
  expect(server.requests[0]?.headers).not.toHaveProperty('sec-websocket-extensions');
  for (const url of ['', '/x', 'ws://', 'ws://x:99999/'])
    expect(await open(client, url, 2)).toEqual({ Err: { BadUrl: { url } } });
  await using nobody = await serveRaw((socket) =>
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
  );
  for (const [url, normalized] of [
    [`WS://127.0.0.1:${nobody.port}`, `ws://127.0.0.1:${nobody.port}/`],
    ['ws://nowhere.example', 'ws://nowhere.example/'],
    ['wss://127.0.0.1:1/x', 'wss://127.0.0.1:1/x'],
    ['http://127.0.0.1:1/', 'http://127.0.0.1:1/'],
    ['mailto:x', 'mailto:x'],
  ] as const)
    expect(await open(client, url, 2), url).toEqual({ Err: { WsOpenFailed: { url: normalized } } });
});

test('M213 header fields go out as given, except those of the handshake; a subprotocol is agreed on', async () => {
  await using server = await socketServer();
  await using client = clientOf();
  const headers = {
    'X-Key': 'k',
    Origin: 'https://x.example',
    'Sec-WebSocket-Protocol': 'b, a',
    'Sec-WebSocket-Key': 'mine',
    'Sec-WebSocket-Version': '7',
    Connection: 'close',
    'bad name': 'x',
  };
  expect(await ask(client, { WebSocketOpen: { url: server.url, headers, channel_id: 1 } })).toEqual(
    ACK,
  );
  expect(server.requests[0]?.headers).toMatchObject({
    'x-key': 'k',
    origin: 'https://x.example',
    'sec-websocket-protocol': 'b,a',
    'sec-websocket-version': '13',
    connection: 'Upgrade',
  });
  expect(server.requests[0]?.headers['sec-websocket-key']).not.toBe('mine');
  const twice = { 'Sec-WebSocket-Protocol': 'a, a' };
  expect(
    await ask(client, { WebSocketOpen: { url: server.url, headers: twice, channel_id: 2 } }),
  ).toEqual({ Err: { WsOpenFailed: { url: server.url } } });
});

test('M214 M215 what arrives becomes events under the id of the open, none before its Ack', async () => {
  const pongs: string[] = [];
  await using server = await socketServer((socket) => {
    socket.on('pong', (data) => pongs.push(data.toString()));
    socket.send('text \u00e9');
    socket.send(Buffer.from('bytes'));
    socket.send('');
    socket.ping('ping');
    socket.pong('pong');
  });
  await using client = clientOf();
  const opening = open(client, server.url, 7, { id: 4711 });
  expect(await opening).toEqual(ACK);
  expect(client.port.sent).toEqual([]);
  await until(() => client.port.sent.length === 5);
  expect(client.port.sent.map(eventOf)).toEqual([
    [4711, FROM, pushed('Text', 7), 'text/plain', 'text \u00e9'],
    [4711, FROM, pushed('Binary', 7), 'application/octet-stream', 'bytes'],
    [4711, FROM, pushed('Text', 7), 'text/plain', ''],
    [4711, FROM, pushed('Ping', 7), undefined, undefined],
    [4711, FROM, pushed('Pong', 7), undefined, undefined],
  ]);
  for (const { message } of client.port.sent)
    expect(message).toMatchObject({
      request: { expectsResponse: undefined, metadata: undefined, inherit: false },
    });
  await until(() => pongs.length === 1);
  expect(pongs).toEqual(['ping']);
});

test('M214 M218 pushes reach the peer in order, and what is wrong with one is told', async () => {
  const seen: string[] = [];
  await using server = await socketServer((socket) => {
    socket.on('message', (data: Buffer, isBinary) =>
      seen.push(`${isBinary ? 'binary' : 'text'} ${data.toString()}`),
    );
    socket.on('ping', (data) => seen.push(`ping ${data.length}`));
    socket.on('pong', (data) => seen.push(`pong ${data.length}`));
  });
  await using client = clientOf();
  expect(await push(client, 'Text', 'x')).toEqual({
    Err: { WsPushUnknownChannel: { channel_id: 1 } },
  });
  expect(await open(client, server.url)).toEqual(ACK);
  expect(
    await Promise.all(
      ['Text', 'Binary', 'Text', 'Ping', 'Pong'].map((type, n) => push(client, type, String(n))),
    ),
  ).toEqual([ACK, ACK, ACK, ACK, ACK]);
  expect(await push(client, 'Text')).toEqual({ Err: 'WsPushNoBlob' });
  expect(await push(client, 'Binary')).toEqual({ Err: 'WsPushNoBlob' });
  expect(await push(client, 'Text', new Uint8Array([0xc3, 0x28]))).toEqual({
    Err: 'WsPushBadText',
  });
  expect(await push(client, 'Ping')).toEqual(ACK);
  expect(await push(client, 'Binary', '')).toEqual(ACK);
  await until(() => seen.length === 7);
  expect(seen).toEqual(['text 0', 'binary 1', 'text 2', 'ping 0', 'pong 0', 'ping 0', 'binary ']);
  expect(await ask(client, { WebSocketPush: { channel_id: 1, message_type: 'text' } })).toEqual({
    Err: 'MalformedRequest',
  });
});

test('a push sent right behind its open follows it', async () => {
  const seen: string[] = [];
  await using server = await socketServer((socket) =>
    socket.on('message', (data: Buffer) => seen.push(data.toString())),
  );
  await using client = clientOf();
  expect(await Promise.all([open(client, server.url), push(client, 'Text', 'early')])).toEqual([
    ACK,
    ACK,
  ]);
  await until(() => seen.length === 1);
});

test('a large message passes whole, both ways, though it is sent in fragments', async () => {
  await using server = await socketServer((socket) =>
    socket.on('message', (data: Buffer, isBinary) => socket.send(data, { binary: isBinary })),
  );
  await using client = clientOf();
  await open(client, server.url);
  const large = new Uint8Array(5 * 1024 * 1024 + 17).map((_, n) => n * 31);
  expect(await push(client, 'Binary', large)).toEqual(ACK);
  await until(() => client.port.sent.length === 1);
  expect(Buffer.compare(client.port.sent[0]?.blob?.bytes ?? new Uint8Array(), large)).toBe(0);
});

test('M216 the peer closes, or breaks off: one WebSocketClose, no Push of kind Close', async () => {
  await using server = await socketServer();
  await using client = clientOf();
  for (const [channel, end] of [
    [1, (socket: WebSocket | undefined) => socket?.close(1001, 'bye')],
    [2, (socket: WebSocket | undefined) => socket?.terminate()],
  ] as const) {
    await open(client, server.url, channel, { id: channel });
    end(server.accepted.at(-1));
    await until(() => client.port.sent.length === channel);
    expect(eventOf(client.port.sent[channel - 1] as Sent)).toEqual([
      channel,
      FROM,
      closed(channel),
      undefined,
      undefined,
    ]);
    expect(reasonOf(client.port.sent[channel - 1])).toBeUndefined();
    expect(await push(client, 'Text', 'x', channel)).toEqual({
      Err: { WsPushUnknownChannel: { channel_id: channel } },
    });
    expect(await close(client, channel)).toEqual({
      Err: { WsCloseFailed: { channel_id: channel } },
    });
  }
});

test('M217 its own close: Ack, then one event when the peer confirms; a second close fails', async () => {
  const codes: number[] = [];
  await using server = await socketServer((socket) =>
    socket.on('close', (code) => codes.push(code)),
  );
  await using client = clientOf();
  await open(client, server.url, 1, { id: 5 });
  expect(await Promise.all([close(client), close(client)])).toEqual([
    ACK,
    { Err: { WsCloseFailed: { channel_id: 1 } } },
  ]);
  expect(await push(client, 'Text', 'x')).toEqual({
    Err: { WsPushUnknownChannel: { channel_id: 1 } },
  });
  await until(() => client.port.sent.length === 1);
  expect(eventOf(client.port.sent[0] as Sent)).toEqual([5, FROM, closed(), undefined, undefined]);
  // A frame without a code.
  expect(codes).toEqual([1005]);
  expect(await open(client, server.url)).toEqual(ACK);
});

test('M217 a Push of kind Close closes too', async () => {
  await using server = await socketServer();
  await using client = clientOf();
  await open(client, server.url);
  expect(await push(client, 'Close', 'ignored')).toEqual(ACK);
  await until(() => client.port.sent.length === 1);
  expect(eventOf(client.port.sent[0] as Sent)).toMatchObject({ 2: closed() });
});

test('M219 two processes use the same channel id', async () => {
  await using server = await socketServer((socket) =>
    socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)),
  );
  await using client = clientOf();
  const other = 'other:pkg:someone.os';
  await open(client, server.url, 1, { id: 1 });
  await open(client, server.url, 1, { id: 2, from: other });
  await push(client, 'Text', 'mine');
  await ask(
    client,
    { WebSocketPush: { channel_id: 1, message_type: 'Text' } },
    { from: other, blob: 'theirs' },
  );
  await until(() => client.port.sent.length === 2);
  expect(new Set(client.port.sent.map((sent) => JSON.stringify(eventOf(sent))))).toEqual(
    new Set([
      JSON.stringify([1, FROM, pushed('Text'), 'text/plain', 'echo mine']),
      JSON.stringify([2, other, pushed('Text'), 'text/plain', 'echo theirs']),
    ]),
  );
});

test('M220 H20 opening a channel again closes the old connection, whose end does not touch the new one', async () => {
  const ends: number[] = [];
  await using server = await socketServer((socket) => {
    const number = server.accepted.length;
    socket.on('message', (data: Buffer) => socket.send(`${number} ${data.toString()}`));
    socket.on('close', () => ends.push(number));
  });
  await using client = clientOf();
  await open(client, server.url, 1, { id: 1 });
  await open(client, server.url, 1, { id: 2 });
  await until(() => ends.length === 1);
  for (let n = 0; n < 20; n += 1) await turn();
  expect(await push(client, 'Text', 'hello')).toEqual(ACK);
  await until(() => client.port.sent.length === 1);
  expect(client.port.sent.map(eventOf)).toEqual([
    [2, FROM, pushed('Text'), 'text/plain', '2 hello'],
  ]);
  expect(ends).toEqual([1]);
});

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
