/** Answers in pieces (compute-market.md §12.1), over real sockets. */
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { settle, textOf, type GuestApi } from '../../../kernel/testing.ts';
import { STREAM_IDLE_S_MAX } from '../limits.ts';
import { bind, readAll, readUntil, type SeenRequest, type Serve, WebNode } from '../testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;
const HEAD = JSON.stringify({
  status: 200,
  headers: { 'content-type': 'text/event-stream', 'x-hyperware-stream': '1' },
});

let web: WebNode;
/** What the web server said to each push, and told the process by itself. */
let said: string[];
beforeEach(async () => {
  web = await WebNode.start({ stalledMs: 60_000 });
  said = [];
});
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

const idOf = (request: SeenRequest): string => request.headers['x-hyperware-request-id']!;

async function push(
  guest: GuestApi,
  id: string,
  piece: string | Uint8Array | undefined,
  more: object = {},
): Promise<void> {
  const body = new TextEncoder().encode(
    JSON.stringify({ HttpStreamPush: { request_id: id, fin: false, ...more } }),
  );
  const bytes = typeof piece === 'string' ? new TextEncoder().encode(piece) : piece;
  const awaited = await guest.sendAndAwait(
    'our@http-server:distro:sys',
    { body, expectsResponse: 600 },
    bytes === undefined ? undefined : { mime: undefined, bytes },
  );
  said.push(
    awaited.ok && awaited.value.message.kind === 'response'
      ? textOf(awaited.value.message.response.body)
      : 'nothing',
  );
}

/** Gives the head, then lets `produce` push. */
const streaming =
  (produce: (guest: GuestApi, id: string, request: SeenRequest) => Promise<void>): Serve =>
  async (request, _blob, guest) => {
    await guest.respond(HEAD, {}, { mime: undefined, bytes: new TextEncoder().encode('first,') });
    await produce(guest, idOf(request), request);
    return undefined;
  };

const GET = `GET ${AT} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

test('the pieces of an answer arrive in order, each as it is pushed, under the head of the answer', async () => {
  const next = Promise.withResolvers<void>();
  await web.app(
    APP,
    [bind('/')],
    streaming(async (guest, id) => {
      await push(guest, id, 'second,');
      await next.promise;
      await push(guest, id, 'last', { fin: true });
      await push(guest, id, 'too late');
    }),
  );
  const socket = await web.connect();
  socket.write(GET);
  const begun = await readUntil(socket, /second,/);
  expect(begun).toContain('content-type: text/event-stream');
  expect(begun).toContain('Transfer-Encoding: chunked');
  expect(begun.toLowerCase()).not.toContain('x-hyperware-stream');
  next.resolve();
  expect(await readUntil(socket, /\r\n0\r\n\r\n$/)).toContain('last');
  while (said.length < 3) await settle();
  expect(said).toEqual(['{"Ok":null}', '{"Ok":null}', '{"Err":"StreamClosed"}']);
  // The connection is good for the next request.
  socket.write(GET);
  await readUntil(socket, /first,/);
  socket.destroy();
});

test('what a client calls its request does not reach the process', async () => {
  let id = '';
  await web.app(
    APP,
    [bind('/')],
    streaming(async (guest, given) => {
      id = given;
      await push(guest, given, undefined, { fin: true });
    }),
  );
  const got = await web.get(AT, { headers: { 'X-Hyperware-Request-Id': '7' } });
  expect(got.text).toBe('first,');
  expect(id).toBe(String(web.sent[0]));
});

test('a client that reads slowly holds the process back, and nobody else', async () => {
  const mib = new Uint8Array(1024 * 1024);
  await web.app(
    APP,
    [bind('/')],
    streaming(async (guest, id) => {
      for (let n = 0; n < 64; n++) await push(guest, id, mib);
      await push(guest, id, undefined, { fin: true });
    }),
  );
  await web.app('other:pkg:me.os', [bind('/')], () => ({ body: HEAD.replace('"1"', '"0"') }));
  const socket = await web.connect();
  socket.pause();
  socket.write(GET);
  let seen = -1;
  // Until no further push is answered.
  while (seen < said.length || seen < 1) {
    seen = said.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(said.length).toBeLessThan(64);
  expect((await web.get('/other:pkg:me.os')).status).toBe(200);
  let bytes = 0;
  socket.on('data', (chunk) => (bytes += chunk.length));
  socket.resume();
  while (said.length < 65) await once(socket, 'data');
  expect(said.every((answer) => answer === '{"Ok":null}')).toBe(true);
  while (bytes < 64 * mib.length) await once(socket, 'data');
  socket.destroy();
});

test('a process is told when the client leaves, and its next push fails', async () => {
  const told = Promise.withResolvers<string>();
  await web.app(
    APP,
    [bind('/')],
    streaming(async (guest, id) => {
      const { body } = await guest.request();
      told.resolve(body === `{"HttpStreamClosed":{"request_id":"${id}"}}` ? 'left' : body);
      await push(guest, id, 'nobody reads this');
    }),
  );
  const socket = await web.connect();
  socket.write(GET);
  await readUntil(socket, /first,/);
  socket.destroy();
  expect(await told.promise).toBe('left');
  while (said.length < 1) await settle();
  expect(said).toEqual(['{"Err":"StreamClosed"}']);
});

test('only the process that was asked may push, and only where an answer in pieces was begun', async () => {
  let stolen = '';
  const begun = Promise.withResolvers<void>();
  await web.app(
    APP,
    [bind('/')],
    streaming(async (_guest, id) => {
      stolen = id;
      begun.resolve();
      await new Promise(() => undefined);
    }),
  );
  const socket = await web.connect();
  socket.write(GET);
  await begun.promise;
  const attempts = [{ HttpStreamPush: { request_id: stolen, fin: true } }];
  const replies = await web.app('thief:pkg:me.os', [
    ...attempts,
    { HttpStreamPush: { request_id: '1', fin: true } },
    { HttpStreamPush: { request_id: 1, fin: true } },
  ]);
  const closed = '{"Err":"StreamClosed"}';
  expect(replies).toEqual([closed, closed, '{"Err":"MalformedRequest"}']);
  socket.destroy();
});

test('an answer whose process is silent, gives up or dies is cut, not ended', async () => {
  const ends: string[] = [];
  let seen: Promise<unknown> | undefined;
  await web.app(
    APP,
    [bind('/')],
    streaming(async (guest, id) => {
      if (seen === undefined) return;
      await seen;
      await push(guest, id, undefined, { abort: true });
    }),
  );
  for (const how of ['silent', 'abort', 'killed']) {
    const socket = await web.connect();
    const first = readUntil(socket, /first,\r\n/);
    seen = how === 'abort' ? first : undefined;
    socket.write(GET);
    const rest = readAll(socket);
    await first;
    if (how === 'silent') await web.node.clock.advance((STREAM_IDLE_S_MAX + 1) * 1_000);
    if (how === 'killed') await web.kill(APP);
    ends.push((await rest).split('\r\n\r\n')[1] ?? '');
  }
  expect(ends).toEqual(ends.map(() => '6\r\nfirst,\r\n'));
});

test('HEAD has the head alone', async () => {
  await web.app(
    APP,
    [bind('/')],
    streaming((guest, id) => push(guest, id, 'more')),
  );
  const got = await web.get(AT, { method: 'HEAD' });
  expect([got.status, got.text]).toEqual([200, '']);
  while (said.length < 1) await settle();
  expect(said).toEqual(['{"Err":"StreamClosed"}']);
});
