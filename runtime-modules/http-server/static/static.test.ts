/** Static content (runtime-modules.md §6.5 step 4): whole as bound, or by what the client has, wants of it or can unpack. */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HASH_AT_ONCE_BYTES_MAX, PIECE_BYTES, STATIC_BYTES_PER_PROCESS_MAX } from '../limits.ts';
import { acceptedEncodings, parseRange } from './static.ts';
import { answer, bind, bindStatic, readAll, WebNode } from '../testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;
const PAGE = `<!doctype html>${'<p>much the same</p>'.repeat(500)}`;

let web: WebNode;
beforeEach(async () => {
  web = await WebNode.start();
});
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

test('M130 GET is the blob with its type, text/plain without one; POST is the process’s', async () => {
  await web.app(
    APP,
    [bindStatic('/', '<b>', 'text/html'), bindStatic('/x', new Uint8Array([0, 255]))],
    ({ method }) => answer(200, {}, `${method} by the process`),
  );
  const page = await web.get(AT);
  expect([
    page.status,
    page.text,
    page.headers['content-type'],
    page.headers['content-length'],
  ]).toEqual([200, '<b>', 'text/html', '3']);
  const octets = await web.get(`${AT}/x`);
  expect([[...octets.body], octets.headers['content-type']]).toEqual([[0, 255], 'text/plain']);
  expect((await web.get(AT, { method: 'POST' })).text).toBe('POST by the process');
  expect((await web.get(AT, { method: 'DELETE' })).text).toBe('DELETE by the process');
});

test('M130 a type that is no header value is text/plain', async () => {
  await web.app(APP, [bindStatic('/', 'x', 'text/html\r\nX-Injected: 1')]);
  const page = await web.get(AT);
  expect([page.headers['content-type'], page.headers['x-injected']]).toEqual([
    'text/plain',
    undefined,
  ]);
});

test('M130 empty and large content arrive whole', async () => {
  const large = Uint8Array.from({ length: 3 * PIECE_BYTES + 17 }, (_, index) => index * 7);
  await web.app(APP, [bindStatic('/e', ''), bindStatic('/l', large, 'application/octet-stream')]);
  const empty = await web.get(`${AT}/e`);
  expect([empty.status, empty.text, empty.headers['content-length']]).toEqual([200, '', '0']);
  const got = await web.get(`${AT}/l`);
  expect(got.body.equals(large)).toBe(true);
  expect(got.headers['content-length']).toBe(String(large.length));
});

test('H26 what the client already has is 304; what changed is not', async () => {
  await web.app(APP, [bindStatic('/', PAGE, 'text/html')]);
  const first = await web.get(AT);
  const tag = first.headers.etag ?? '';
  expect(tag).toMatch(/^"[\w-]{22}"$/);
  for (const known of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
    const again = await web.get(AT, { headers: { 'If-None-Match': known } });
    expect([known, again.status, again.text, again.headers.etag]).toEqual([known, 304, '', tag]);
  }
  expect((await web.get(AT, { headers: { 'If-None-Match': '"other"' } })).status).toBe(200);
  await web.app('homepage:homepage:sys', [bindStatic(AT, 'changed')]);
  expect((await web.get(AT, { headers: { 'If-None-Match': tag } })).text).toBe('changed');
});

test('H26 every use asks again; shared caches keep nothing that needs a login', async () => {
  const open = await WebNode.start(
    { exposeLocal: true },
    { accessTo: () => ({ kind: 'open', sandbox: false }) },
  );
  await open.app(APP, [
    bindStatic('/', 'x'),
    bindStatic('/a', 'x', undefined, { authenticated: true }),
    bindStatic('/l', 'x', undefined, { local_only: true }),
  ]);
  const cacheOf = async (path: string): Promise<string | undefined> =>
    (await open.get(path)).headers['cache-control'];
  expect([await cacheOf(AT), await cacheOf(`${AT}/a`), await cacheOf(`${AT}/l`)]).toEqual([
    'no-cache',
    'private, no-cache',
    'private, no-cache',
  ]);
  await open[Symbol.asyncDispose]();
});

test('compressed forms for who takes them, each with its own tag, the content the same', async () => {
  await web.app(APP, [
    bindStatic('/', PAGE, 'text/html'),
    bindStatic('/z', new Uint8Array(5000), 'image/png'),
    bindStatic('/s', 'short', 'text/html'),
  ]);
  const get = (accept: string, more: Record<string, string> = {}): ReturnType<WebNode['get']> =>
    web.get(AT, { headers: { 'Accept-Encoding': accept, ...more } });
  const br = await get('gzip, deflate, br');
  expect([br.headers['content-encoding'], br.headers.vary]).toEqual(['br', 'Accept-Encoding']);
  expect(brotliDecompressSync(br.body).toString()).toBe(PAGE);
  const zipped = await get('gzip;q=1, br;q=0.5');
  expect(zipped.headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(zipped.body).toString()).toBe(PAGE);
  const plain = await get('identity');
  expect([plain.headers['content-encoding'], plain.headers.vary, plain.text]).toEqual([
    undefined,
    'Accept-Encoding',
    PAGE,
  ]);
  expect(new Set([br, zipped, plain].map(({ headers }) => headers.etag)).size).toBe(3);
  expect((await get('br', { 'If-None-Match': br.headers.etag ?? '' })).status).toBe(304);
  expect((await get('gzip', { 'If-None-Match': br.headers.etag ?? '' })).status).toBe(200);
  expect((await get('br;q=0, gzip;q=0')).headers['content-encoding']).toBeUndefined();
  // Not worth it, or not text.
  for (const path of ['/z', '/s']) {
    const each = await web.get(`${AT}${path}`, { headers: { 'Accept-Encoding': 'br' } });
    expect([each.headers['content-encoding'], each.headers.vary]).toEqual([undefined, undefined]);
  }
});

test.each([
  ['br', { br: 1, gzip: 0 }],
  ['gzip;q=0.5, *;q=0.1', { br: 0.1, gzip: 0.5 }],
  ['BR ; Q=0', { br: 0, gzip: 0 }],
  ['br;q=x', { br: 0, gzip: 0 }],
  ['', { br: 0, gzip: 0 }],
])('Accept-Encoding %j', (header, wanted) => {
  expect(acceptedEncodings(header)).toEqual(wanted);
});

describe('ranges', () => {
  test('one range is 206 with its place, of the plain form', async () => {
    await web.app(APP, [bindStatic('/', PAGE, 'text/html')]);
    const get = (range: string, more: Record<string, string> = {}): ReturnType<WebNode['get']> =>
      web.get(AT, { headers: { Range: range, 'Accept-Encoding': 'br', ...more } });
    const part = await get('bytes=2-8');
    expect([
      part.status,
      part.text,
      part.headers['content-range'],
      part.headers['content-length'],
    ]).toEqual([206, PAGE.slice(2, 9), `bytes 2-8/${PAGE.length}`, '7']);
    expect([part.headers['content-encoding'], part.headers['accept-ranges']]).toEqual([
      undefined,
      'bytes',
    ]);
    expect((await get('bytes=-4')).text).toBe(PAGE.slice(-4));
    const beyond = await get(`bytes=${PAGE.length}-`);
    expect([beyond.status, beyond.headers['content-range']]).toEqual([
      416,
      `bytes */${PAGE.length}`,
    ]);
    expect((await get('bytes=0-1,3-4')).status).toBe(200);
    expect((await get('lines=1-2')).status).toBe(200);
  });

  test('If-Range: the part only of what the client has the rest of', async () => {
    await web.app(APP, [bindStatic('/', PAGE, 'text/html')]);
    const tag = (await web.get(AT)).headers.etag ?? '';
    const get = async (condition: string): Promise<number> =>
      (await web.get(AT, { headers: { Range: 'bytes=0-1', 'If-Range': condition } })).status;
    expect([
      await get(tag),
      await get('"other"'),
      await get(`W/${tag}`),
      await get('Wed, 21 Oct 2026 07:28:00 GMT'),
    ]).toEqual([206, 200, 200, 200]);
  });

  test.each([
    ['bytes=0-0', 10, { from: 0, to: 0 }],
    ['bytes=5-', 10, { from: 5, to: 9 }],
    ['bytes=5-99', 10, { from: 5, to: 9 }],
    ['bytes=-3', 10, { from: 7, to: 9 }],
    ['bytes=-99', 10, { from: 0, to: 9 }],
    ['bytes=-0', 10, 'none'],
    ['bytes=10-', 10, 'none'],
    ['bytes=0-', 0, 'none'],
    ['bytes=-1', 0, 'none'],
    ['bytes=5-4', 10, undefined],
    ['bytes=-', 10, undefined],
    ['bytes=a-b', 10, undefined],
    ['bytes=0-1, 2-3', 10, undefined],
    ['bytes=99999999999999999999-', 10, undefined],
  ])('%j of %i bytes', (header, length, range) => {
    expect(parseRange(header, length)).toEqual(range);
  });
});

test('OPTIONS says what there is; a preflight is about what the process allows', async () => {
  await web.app(APP, [bindStatic('/', 'x')], () =>
    answer(204, { 'Access-Control-Allow-Origin': '*' }),
  );
  const options = await web.get(AT, { method: 'OPTIONS' });
  expect([options.status, options.headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS']);
  const preflight = await web.get(AT, {
    method: 'OPTIONS',
    headers: { 'Access-Control-Request-Method': 'PUT' },
  });
  expect(preflight.headers['access-control-allow-origin']).toBe('*');
});

test('large content gets its tag beside the thread', async () => {
  await web.app(APP, [bindStatic('/', new Uint8Array(HASH_AT_ONCE_BYTES_MAX + 1), 'image/png')]);
  expect((await web.get(AT)).headers.etag).toMatch(/^"[\w-]{22}"$/);
});

test('H24 a process keeps so many bytes of content, replaced ones not counted', async () => {
  const half = new Uint8Array(STATIC_BYTES_PER_PROCESS_MAX / 2);
  const replies = await web.app(APP, [
    bindStatic('/a', half, 'x/y'),
    bindStatic('/a', half, 'x/y'),
    bindStatic('/b', half, 'x/y'),
    bindStatic('/c', 'x'),
    bind('/a'),
    bindStatic('/c', 'x'),
  ]);
  const ok = '{"Ok":null}';
  expect(replies).toEqual([ok, ok, ok, '{"Err":"MalformedRequest"}', ok, ok]);
  expect(web.node.sink.at(0).join()).toContain('cannot bind /app:pkg:me.os/c');
});

test('a client that takes nothing of a large answer, and one that leaves, cost nothing for long', async () => {
  await web.app(APP, [bindStatic('/', new Uint8Array(64 * PIECE_BYTES), 'x/y')]);
  const socket = await web.connect();
  socket.pause();
  socket.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await new Promise((resolve) => {
    socket.once('readable', resolve);
  });
  socket.destroy();
  // The server goes on for others.
  expect((await web.get(AT, { headers: { Range: 'bytes=0-1' } })).body.length).toBe(2);
  const other = await web.connect();
  other.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  expect((await readAll(other)).length).toBeGreaterThan(64 * PIECE_BYTES);
});
