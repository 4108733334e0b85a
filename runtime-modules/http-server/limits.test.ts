/** Clients and processes that want too much, or are too slow (issue "The web", bad input; runtime-modules.md H24). */
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { settle } from '../../kernel/testing.ts';
import {
  BINDINGS_PER_PROCESS_MAX,
  HEADER_BYTES_MAX,
  PATH_CHARS_MAX,
  PATTERN_PARTS_MAX,
  PATTERNS_PER_PROCESS_MAX,
  REQUEST_CHECK_MS,
  REQUESTS_PER_CONNECTION_MAX,
} from './limits.ts';
import { answer, bind, bindStatic, echo, readAll, readUntil, WebNode } from './testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;

let web: WebNode;
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

describe('too much', () => {
  test('M147 a body over the limit is 413, known beforehand or not', async () => {
    web = await WebNode.start({ bodyBytesMax: 1000 });
    await web.app(APP, [bind('/')], echo);
    expect((await web.get(AT, { method: 'POST', body: 'x'.repeat(1000) })).status).toBe(200);
    const declared = await web.raw(
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n`,
    );
    expect(declared).toMatch(/^HTTP\/1\.1 413 [^]*Connection: close[^]*at most 1000 bytes/);
    const chunk = `200\r\n${'x'.repeat(512)}\r\n`;
    const counted = await web.raw(
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`,
    );
    expect(counted).toMatch(/^HTTP\/1\.1 413 /);
    // A client that asks first is spared the sending.
    const asked = await web.raw(
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n`,
    );
    expect(asked).toMatch(/^HTTP\/1\.1 413 /);
    const socket = await web.connect();
    socket.write(
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
    );
    await readUntil(socket, /^HTTP\/1\.1 100 Continue\r\n\r\n/);
    socket.write('ok');
    expect(await readAll(socket)).toContain('"blob":"ok"');
  });

  test('M147 bodies under way have a limit together, and make room when they are over', async () => {
    web = await WebNode.start({ bodyBytesMax: 1000, bodiesBytesMax: 1500 });
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bind('/')], async () => {
      await release.promise;
      return answer(200);
    });
    const first = web.get(AT, { method: 'POST', body: 'x'.repeat(1000) });
    await web.forwarded(1);
    expect((await web.get(AT, { method: 'POST', body: 'x'.repeat(1000) })).status).toBe(503);
    release.resolve();
    expect((await first).status).toBe(200);
    expect((await web.get(AT, { method: 'POST', body: 'x'.repeat(1000) })).status).toBe(200);
  });

  test('headers over the limit are 431, and not one is left out below it', async () => {
    web = await WebNode.start({ exposeLocal: true });
    await web.app(APP, [bind('/', { local_only: true })], echo);
    const many = Array.from({ length: 3000 }, () => 'a:\r\n').join('');
    // With Node's own limit the header of the proxy would be one too many, and forgotten.
    const hidden = await web.raw(
      `GET ${AT} HTTP/1.1\r\nHost: localhost\r\n${many}X-Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n`,
    );
    expect(hidden).toMatch(/^HTTP\/1\.1 403 /);
    const long = await web.raw(
      `GET ${AT} HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(HEADER_BYTES_MAX)}\r\n\r\n`,
    );
    expect(long).toMatch(/^HTTP\/1\.1 431 /);
    const target = await web.raw(
      `GET /${'x'.repeat(HEADER_BYTES_MAX)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    );
    expect(target).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('a client that is slow to say what it wants is let go', async () => {
    web = await WebNode.start({ headersMs: 50, requestMs: 100 });
    await web.app(APP, [bind('/')], echo);
    const silent = await web.connect();
    const slow = await web.connect();
    slow.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    const body = await web.connect();
    body.write(`POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc`);
    const all = await Promise.all([readAll(silent), readAll(slow), readAll(body)]);
    expect(all.map((text) => text.slice(0, 12))).toEqual([
      'HTTP/1.1 408',
      'HTTP/1.1 408',
      'HTTP/1.1 408',
    ]);
  });

  test('one connection has so many requests under way', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/')], () => undefined);
    const socket = await web.connect();
    socket.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(REQUESTS_PER_CONNECTION_MAX + 1));
    await web.forwarded(REQUESTS_PER_CONNECTION_MAX);
    await settle();
    expect(web.sent).toHaveLength(REQUESTS_PER_CONNECTION_MAX);
    socket.destroy();
    await once(socket, 'close');
  });

  test('a client that takes nothing of its answer is let go, one that waits for it is not', async () => {
    web = await WebNode.start({ stalledMs: 30 });
    const large = new Uint8Array(32 * 1024 * 1024);
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bindStatic('/', large, 'x/y'), bind('/d')], () => answer(200, {}, large));
    await web.app('slow:pkg:me.os', [bind('/')], async () => {
      await release.promise;
      return answer(200, {}, 'patience');
    });
    const slow = web.get('/slow:pkg:me.os', {
      headers: { 'X-Hyperware-Http-Server-Timeout': '80000' },
    });
    await web.forwarded(1);
    for (const path of [AT, `${AT}/d`]) {
      const socket = await web.connect();
      socket.pause();
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      const closed = once(socket, 'close');
      socket.on('error', () => undefined);
      // What the system holds for it arrives; the rest never does.
      await expect
        .poll(async () => {
          await web.node.clock.advance(REQUEST_CHECK_MS);
          return web.web.connections;
        })
        .toBe(1);
      socket.resume();
      await closed;
      expect(socket.bytesRead).toBeLessThan(large.length);
    }
    release.resolve();
    expect((await slow).text).toBe('patience');
  });

  test('connections over the limit are closed', async () => {
    web = await WebNode.start({ connectionsMax: 2 });
    await web.app(APP, [bindStatic('/', 'x')]);
    const held = [await web.connect(), await web.connect()];
    expect(await readAll(await web.connect())).toBe('');
    held[0]?.destroy();
    held[1]?.destroy();
    await expect.poll(async () => (await web.get(AT).catch(() => undefined))?.status).toBe(200);
  });

  test('H24 a process binds so many paths, and patterns, and parts of one', async () => {
    web = await WebNode.start();
    const ok = '{"Ok":null}';
    const refused = '{"Err":"MalformedRequest"}';
    const parts = (count: number): string => Array.from({ length: count }, () => '/:x').join('');
    const patterns = Array.from({ length: PATTERNS_PER_PROCESS_MAX }, (_, index) =>
      bind(`/p${index}/:x`),
    );
    const replies = await web.app(APP, [
      bind(parts(PATTERN_PARTS_MAX + 1)),
      bind(`/${'x'.repeat(PATH_CHARS_MAX)}`),
      ...patterns,
      bind('/one/more/:x'),
      bind('/p0/:again'),
      { Unbind: { path: '/literal' } },
    ]);
    expect(replies).toEqual([refused, refused, ...patterns.map(() => ok), refused, ok, ok]);
    const many = Array.from({ length: BINDINGS_PER_PROCESS_MAX + 1 }, (_, index) =>
      bind(`/${index}`),
    );
    const all = await web.app('many:pkg:me.os', many);
    expect(all.filter((each) => each === ok)).toHaveLength(BINDINGS_PER_PROCESS_MAX);
    expect(all.at(-1)).toBe(refused);
  });
});
