/** Servers that break off, stall, flood and lie; what is kept of them, and for how long (runtime-modules.md §7.1, H21, H24). */
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import {
  CONNECT_MS_MAX,
  INTERIM_RESPONSES_MAX,
  RESPONSE_HEAD_BYTES_MAX,
} from '../shared/outbound/limits.ts';
import { turn, until, type Reply } from '../shared/testing.ts';
import { UNAWAITED_S_MAX } from './limits.ts';
import { serve, serveRaw } from '../shared/outbound/testing.ts';
import { clientOf, type Client, type ClientOptions } from './testing.ts';

const FROM = 'app:pkg:someone.os';

const get = (url: string, method = 'GET'): unknown => ({
  Http: { method, version: null, url, headers: {} },
});

async function ask(
  { bench }: Client,
  url: string,
  more: { from?: string; method?: string } = {},
): Promise<unknown> {
  return (await bench.ask({ from: more.from ?? FROM, body: get(url, more.method) }))?.body;
}

const failure = (text: RegExp): unknown => ({
  Err: { ExecuteRequestFailed: expect.stringMatching(text) },
});
const ok = (status: number): unknown => ({ Ok: { Http: { status, headers: expect.any(Object) } } });

/** What a server that answers every request with these bytes, then does `then`, makes of a GET. */
async function answerTo(
  bytes: string,
  then: (socket: Socket) => void = (socket) => socket.end(),
  options: ClientOptions = {},
): Promise<unknown> {
  await using server = await serveRaw((socket) => {
    socket.write(bytes, 'latin1', () => then(socket));
  });
  await using client = clientOf(options);
  return await ask(client, server.origin);
}

const head = (...fields: readonly string[]): string =>
  `HTTP/1.1 200 OK\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

test.each<[string, string]>([
  ['a body shorter than announced', `${head('Content-Length: 10')}short`],
  ['a chunk cut off', `${head('Transfer-Encoding: chunked')}a\r\nshort`],
  ['no last chunk', `${head('Transfer-Encoding: chunked')}5\r\nshort\r\n`],
  ['no body at all', head('Content-Length: 10')],
])('M222 H21 %s is a failure, not an empty success', async (_name, bytes) => {
  expect(await answerTo(bytes)).toEqual(failure(/cut off/));
  expect(await answerTo(bytes, (socket) => socket.resetAndDestroy())).toEqual(failure(/cut off/));
});

test('M222 a body without length ends with its connection; a reset in it is a failure', async () => {
  expect(await answerTo(`${head()}all of it`)).toEqual(ok(200));
  const reset = (socket: Socket): void => void setImmediate(() => socket.resetAndDestroy());
  expect(await answerTo(`${head()}part of it`, reset)).toEqual(failure(/cut off/));
});

test.each<[string, string, RegExp]>([
  ['no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n\r\n', /is not HTTP/],
  ['an illegal header name', head('Bad Name: x'), /is not HTTP/],
  ['a NUL in a value', head('X: a\u0000b'), /is not HTTP/],
  ['a bare LF', 'HTTP/1.1 200 OK\nX: y\n\n', /is not HTTP/],
  ['two lengths', head('Content-Length: 1', 'Content-Length: 2'), /is not HTTP/],
  ['a length and chunks', head('Content-Length: 5', 'Transfer-Encoding: chunked'), /is not HTTP/],
  ['a negative length', head('Content-Length: -1'), /is not HTTP/],
  ['a bad chunk size', `${head('Transfer-Encoding: chunked')}zz\r\n`, /is not HTTP/],
  [
    'a header flood',
    `HTTP/1.1 200 OK\r\n${'X-Flood: aaaaaaaaaaaaaaaa\r\n'.repeat(RESPONSE_HEAD_BYTES_MAX / 20)}`,
    /header is longer than/,
  ],
  [
    'one endless header',
    `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(RESPONSE_HEAD_BYTES_MAX + 1000)}`,
    /header is longer than/,
  ],
  [
    'an interim flood',
    'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(INTERIM_RESPONSES_MAX + 1),
    /too many interim/,
  ],
  [
    'an unasked upgrade',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    /another protocol/,
  ],
])('%s is a failure', async (_name, bytes, expected) => {
  // Left open: the client must come to its verdict by itself.
  expect(await answerTo(bytes, () => undefined)).toEqual(failure(expected));
});

test('some interim responses are skipped; many small headers are all delivered', async () => {
  const interim = 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(INTERIM_RESPONSES_MAX);
  expect(await answerTo(`${interim}${head('Content-Length: 0')}`)).toEqual(ok(200));
  const fields = Array.from({ length: 2500 }, (_, n) => `A${n}: x`);
  const reply = (await answerTo(head(...fields, 'Content-Length: 0'))) as {
    Ok: { Http: { headers: object } };
  };
  expect(Object.keys(reply.Ok.Http.headers)).toHaveLength(2501);
});

test('a body at the limit passes, one byte more or an endless one fails and says so', async () => {
  const responseBytesMax = 100_000;
  const body = 'x'.repeat(responseBytesMax);
  const announced = `${head(`Content-Length: ${body.length}`)}${body}`;
  expect(await answerTo(announced, undefined, { responseBytesMax })).toEqual(ok(200));
  expect(await answerTo(`${head()}${body}y`, undefined, { responseBytesMax })).toEqual(
    failure(/longer than 100000 bytes/),
  );
  let stopped = false;
  const endless = (socket: Socket): void => {
    socket.on('close', () => (stopped = true));
    const more = (): void => {
      if (!socket.destroyed) socket.write(body, () => setImmediate(more));
    };
    more();
  };
  expect(await answerTo(head(), endless, { responseBytesMax })).toEqual(failure(/longer than/));
  await until(() => stopped);
});

test('a body in single bytes arrives whole', async () => {
  await using server = await serve((_request, response) => {
    let left = 3000;
    const drip = (): void => {
      if (left-- === 0) return void response.end();
      response.write(String(left % 10));
      setImmediate(drip);
    };
    drip();
  });
  await using client = clientOf();
  const reply = await client.bench.ask({ from: FROM, body: get(server.origin) });
  const expected = Array.from({ length: 3000 }, (_, n) => String((2999 - n) % 10)).join('');
  expect(Buffer.from(reply?.blob?.bytes ?? []).toString()).toBe(expected);
});

test('responses of a process have room for two of the longest; the one over it fails, others are not touched', async () => {
  const responseBytesMax = 100_000;
  const waiting: (() => void)[] = [];
  await using server = await serve((request, response) => {
    response.writeHead(200);
    response.write('x'.repeat(80_000));
    waiting.push(() => response.end());
  });
  await using client = clientOf({ responseBytesMax });
  const replies = [ask(client, server.origin), ask(client, server.origin)];
  await until(() => waiting.length === 2);
  const third = await ask(client, server.origin);
  expect(third).toEqual(failure(/no room for this one/));
  const other = ask(client, server.origin, { from: 'other:p:q' });
  await until(() => waiting.length === 4);
  for (const end of waiting) end();
  expect(await Promise.all([...replies, other])).toEqual([ok(200), ok(200), ok(200)]);
  const again = ask(client, server.origin);
  await until(() => waiting.length === 5);
  waiting[4]?.();
  expect(await again, 'the room is given back').toEqual(ok(200));
});

/** A server that answers nothing, and says when its connections end. */
async function silentServer(): Promise<
  Awaited<ReturnType<typeof serveRaw>> & { open: () => number }
> {
  let open = 0;
  const server = await serveRaw((socket) => {
    open += 1;
    socket.on('close', () => (open -= 1));
  });
  return Object.assign(server, { open: () => open });
}

test('M211 when the time of the requester is over the transfer ends and nothing is answered', async () => {
  await using server = await silentServer();
  await using client = clientOf();
  const reply = client.bench.ask({ from: FROM, body: get(server.origin), timeoutS: 2 });
  await until(() => server.open() === 1);
  await client.clock.advance(1_999);
  expect(server.open()).toBe(1);
  await client.clock.advance(1);
  expect(await reply).toBeUndefined();
  await until(() => server.open() === 0);
});

test('M211 a request that nobody awaits ends too', async () => {
  await using server = await silentServer();
  await using client = clientOf();
  const reply = client.bench.ask({ from: FROM, body: get(server.origin), expectsResponse: false });
  await until(() => server.open() === 1);
  await client.clock.advance(UNAWAITED_S_MAX * 1000);
  expect(await reply).toBeUndefined();
  await until(() => server.open() === 0);
});

test('a killed requester: its transfer ends, while resolving, waiting or receiving', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/receiving') response.write('part');
  });
  let resolving = 0;
  const never = (): Promise<readonly string[]> => {
    resolving += 1;
    return new Promise(() => undefined);
  };
  await using client = clientOf({ hosts: { 'slow.example': never } });
  const begun = {
    'http://slow.example/': () => resolving === 1,
    [`${server.origin}/waiting`]: () => server.connections() === 1,
    [`${server.origin}/receiving`]: () => server.connections() === 2,
  };
  for (const [url, condition] of Object.entries(begun)) {
    const abort = new AbortController();
    const request = client.bench.request({ from: FROM, body: get(url) });
    const answer = client.bench.answer(request, abort.signal);
    await until(condition);
    for (let n = 0; n < 20; n += 1) await turn();
    abort.abort();
    expect(await answer).toBeUndefined();
  }
});

test('a connection that does not come to stand in time is a failure', async () => {
  await using client = clientOf({ hosts: { 'slow.example': () => new Promise(() => undefined) } });
  const reply = client.bench.ask({ from: FROM, body: get('http://slow.example/'), timeoutS: 60 });
  await client.clock.advance(CONNECT_MS_MAX);
  expect((await reply)?.body).toEqual(failure(/^no connection to slow.example within 20 s$/));
});

test('requests past those that may be active wait for their turn; a process in line does not hold up others', async () => {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  await using server = await serve((request, response) => {
    started.push(request.url ?? '');
    ends.push(() => response.end());
  });
  await using client = clientOf({ active: { perProcess: 2, perPackage: 3, all: 4 } });
  const go = (path: string, from: string): Promise<unknown> =>
    ask(client, `${server.origin}/${path}`, { from });
  const mine = ['a1', 'a2', 'a3', 'a4'].map((path) => go(path, 'a:pkg:x'));
  await until(() => started.length === 2);
  const sibling = ['b1', 'b2'].map((path) => go(path, 'b:pkg:x'));
  const other = ['c1', 'c2'].map((path) => go(path, 'c:other:x'));
  await until(() => started.length === 4);
  expect([...started].toSorted()).toEqual(['/a1', '/a2', '/b1', '/c1']);
  for (let n = 0; n < 20; n += 1) await turn();
  expect(started).toHaveLength(4);
  // One of a ends. Its package has room for one: the lines are a, b, c, and a is the first.
  ends[started.indexOf('/a1')]?.();
  await until(() => started.length === 5);
  expect(started[4]).toBe('/a3');
  for (let n = 0; n < ends.length; n += 1) {
    ends[n]?.();
    await turn();
    await until(() => started.length >= Math.min(8, n + 5) || ends.length > n + 1);
  }
  await until(() => started.length === 8);
  for (const end of ends) end();
  expect(await Promise.all([...mine, ...sibling, ...other])).toEqual(
    Array.from({ length: 8 }, () => ok(200)),
  );
});

test('one that gives up in line is never sent', async () => {
  const seen: string[] = [];
  const ends: (() => void)[] = [];
  await using server = await serve((request, response) => {
    seen.push(request.url ?? '');
    ends.push(() => response.end());
  });
  await using client = clientOf({ active: { perProcess: 1 } });
  const first = ask(client, `${server.origin}/first`);
  const never = client.bench.ask({ from: FROM, body: get(`${server.origin}/never`), timeoutS: 1 });
  const last = ask(client, `${server.origin}/last`);
  await until(() => seen.length === 1);
  await client.clock.advance(1000);
  expect(await never).toBeUndefined();
  ends[0]?.();
  expect(await first).toEqual(ok(200));
  await until(() => seen.length === 2);
  ends[1]?.();
  expect(await last).toEqual(ok(200));
  expect(seen).toEqual(['/first', '/last']);
});

test('connections are kept for their package and used again', async () => {
  await using server = await serve((_request, response) => response.end());
  await using client = clientOf();
  for (let n = 0; n < 3; n += 1) expect(await ask(client, server.origin)).toEqual(ok(200));
  expect(server.connections()).toBe(1);
  expect(await ask(client, server.origin, { from: 'x:pkg:someone.os' })).toEqual(ok(200));
  expect(server.connections(), 'the same package').toBe(1);
  expect(await ask(client, server.origin, { from: 'app:other:someone.os' })).toEqual(ok(200));
  expect(server.connections(), 'another package has its own').toBe(2);
});

test('a kept connection that the server closes meanwhile costs a GET nothing; a POST is not sent twice', async () => {
  const posts: string[] = [];
  await using server = await serveRaw((socket, request) => {
    if (posts.length > 0 || request.startsWith('POST /again')) {
      // The connection was used before: reset with the request unanswered.
      posts.push(request.slice(0, 4));
      if (posts.length === 1) return void socket.resetAndDestroy();
    }
    return void socket.write(head('Content-Length: 0'));
  });
  await using client = clientOf();
  expect(await ask(client, server.origin)).toEqual(ok(200));
  expect(await ask(client, `${server.origin}/again`, { method: 'POST' })).toEqual(
    failure(/broke off/),
  );
  expect(posts).toEqual(['POST']);
});

test('a GET on a connection that turns out closed is sent again', async () => {
  let resets = 0;
  await using server = await serveRaw((socket, request) => {
    if (request.startsWith('GET /again') && resets++ < 2) return void socket.resetAndDestroy();
    return void socket.write(head('Content-Length: 0'));
  });
  await using client = clientOf();
  // Two connections are kept, both of which the server resets at their second request.
  expect(await Promise.all([ask(client, server.origin), ask(client, server.origin)])).toEqual([
    ok(200),
    ok(200),
  ]);
  expect(server.connections()).toBe(2);
  expect(await ask(client, `${server.origin}/again`)).toEqual(ok(200));
  expect([resets, server.connections()]).toEqual([3, 3]);
});

test('a thousand requests on one signal leave no warning and no listener behind', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  await using server = await serve((_request, response) => response.end('x'));
  await using client = clientOf();
  const replies: Promise<Reply | undefined>[] = [];
  for (let n = 0; n < 1000; n += 1)
    replies.push(client.bench.ask({ from: FROM, body: get(server.origin) }));
  for (const reply of await Promise.all(replies)) expect(reply?.body).toEqual(ok(200));
  await turn();
  process.off('warning', note);
  expect(warnings).toEqual([]);
  expect(client.clock.pending).toBe(0);
});
