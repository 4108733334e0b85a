/** WebSockets of processes, with real servers: what is opened, pushed, received and closed (runtime-modules.md §7.2). */
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { turn, until } from '../shared/testing.ts';
import { serveRaw } from '../shared/outbound/testing.ts';
import { clientOf } from './testing.ts';
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
