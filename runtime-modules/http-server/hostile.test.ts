/** Clients and processes that mean harm, and what they may cost (issue "The web", bad input; runtime-modules.md H24). */
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { bytesOf, settle } from '../../kernel/testing.ts';
import { MAILBOX_MESSAGES_MAX } from '../../kernel/limits.ts';
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

/** A second request that must never be seen as one. */
const SMUGGLED = `GET ${AT}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`;

describe('shapes that two readers would read differently', () => {
  test.each([
    [
      'both lengths',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'two lengths',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n${SMUGGLED}`,
    ],
    [
      'a list of lengths',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n${SMUGGLED}`,
    ],
    ['a signed length', `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n${SMUGGLED}`],
    [
      'a hexadecimal length',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'an unknown coding',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'chunked not last',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'a space before the colon',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'a folded header',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    ['bare line feeds', `GET ${AT} HTTP/1.1\nHost: x\n\n${SMUGGLED}`],
    ['a bare carriage return', `GET ${AT} HTTP/1.1\r\nHost: x\r\nX: a\rY: b\r\n\r\n${SMUGGLED}`],
    [
      'a bad chunk size',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'a chunk with a bare line feed',
      `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n${SMUGGLED}`,
    ],
    ['a null in a header', `GET ${AT} HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n${SMUGGLED}`],
    ['a header without a name', `GET ${AT} HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n${SMUGGLED}`],
    ['no version', `GET ${AT}\r\n\r\n${SMUGGLED}`],
    ['a version of its own', `GET ${AT} HTTP/3.1\r\nHost: x\r\n\r\n${SMUGGLED}`],
    ['two at once', `GET ${AT} HTTP/2.0\r\nHost: x\r\n\r\n${SMUGGLED}`],
    ['after a Host that is none', `GET ${AT} HTTP/1.1\r\nHost: a/b\r\n\r\n${SMUGGLED}`],
    ['no HTTP', `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n${SMUGGLED}`],
  ])('%s', async (_, text) => {
    web = await WebNode.start();
    const seen: string[] = [];
    await web.app(APP, [bind('/'), bind('/smuggled')], ({ bound_path: path }) => {
      seen.push(path);
      return answer(200);
    });
    const got = await web.raw(text);
    expect(got).toMatch(/^HTTP\/1\.1 400 /);
    expect(got.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(seen).toEqual([]);
  });

  test.each([
    [
      'an unknown coding',
      400,
      `POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'a bad chunk size',
      404,
      `POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'a bad chunk size for static content',
      200,
      `GET ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n${SMUGGLED}`,
    ],
  ])('what is answered before its body is read is answered once: %s', async (_, status, text) => {
    web = await WebNode.start();
    const seen: string[] = [];
    await web.app(APP, [bindStatic('/', 'x'), bind('/smuggled')], ({ bound_path: path }) => {
      seen.push(path);
      return answer(200);
    });
    const got = await web.raw(text);
    expect(got.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
    expect(seen).toEqual([]);
  });

  test.each([
    ['none', `GET ${AT} HTTP/1.1\r\n\r\n`],
    ['two', `GET ${AT} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`],
    ['two alike', `GET ${AT} HTTP/1.1\r\nHost: a\r\nhost: a\r\nConnection: close\r\n\r\n`],
    ['with a path', `GET ${AT} HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n`],
    ['with a user', `GET ${AT} HTTP/1.1\r\nHost: me@a\r\nConnection: close\r\n\r\n`],
    ['with a space', `GET ${AT} HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n`],
    ['empty', `GET ${AT} HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n`],
    ['with a port too large', `GET ${AT} HTTP/1.1\r\nHost: a:65536\r\nConnection: close\r\n\r\n`],
    ['with a port that is none', `GET ${AT} HTTP/1.1\r\nHost: a:b\r\nConnection: close\r\n\r\n`],
    [
      'contradicting the target',
      `GET http://b${AT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    ],
    ['with a broken bracket', `GET ${AT} HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n`],
    ['not ASCII', `GET ${AT} HTTP/1.1\r\nHost: b\xfccher\r\nConnection: close\r\n\r\n`],
  ])('M146 a Host that is none is 400: %s', async (_, text) => {
    web = await WebNode.start();
    await web.app(APP, [bindStatic('/', 'x')]);
    expect(await web.raw(text)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('M146 what is well formed is not refused', async () => {
    web = await WebNode.start();
    await web.app(APP, [bindStatic('/', 'x')]);
    for (const host of [
      'A.B',
      'a_b.c',
      '10.0.0.1:80',
      '[fe80::1]:8080',
      'xn--bcher-kva.example',
      'a:',
    ])
      expect(
        await web.raw(`GET ${AT} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
        host,
      ).toMatch(/^HTTP\/1\.1 200 /);
    expect(
      await web.raw(`GET http://A:80${AT}?x HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n`),
    ).toMatch(/^HTTP\/1\.1 200 /);
    expect(await web.raw(`GET ${AT} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([
    '/%',
    '/%zz',
    '/%ff%fe',
    '/..%2f..%2fetc',
    '/../../etc/passwd',
    '/a\\b',
    '/"',
    '/%00',
    '//',
    '/;a=b',
    '/<script>',
  ])('an odd path is only a path: %j', async (path) => {
    web = await WebNode.start();
    await web.app(APP, [bind('/')], echo);
    expect(
      await web.raw(`GET ${AT}${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    ).toMatch(/^HTTP\/1\.1 200 /);
    expect(await web.raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 404 /,
    );
  });

  test.each(['*', 'x', 'ftp://x/', '/caf\xc3\xa9', '/a b'])(
    'an odd target is 400: %j',
    async (target) => {
      web = await WebNode.start();
      expect(
        await web.raw(`OPTIONS ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
      ).toMatch(/^HTTP\/1\.1 400 /);
    },
  );

  test('what is no request after one that waits ends the connection, and is not taken for its answer', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/')], () => undefined);
    const socket = await web.connect();
    socket.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await web.forwarded(1);
    socket.write('no request\r\n\r\n');
    expect(await readAll(socket)).toBe('');
  });

  test('CONNECT opens nothing', async () => {
    web = await WebNode.start();
    expect(
      await web.raw('CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n'),
    ).not.toMatch(/^HTTP\/1\.1 2/);
  });
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

describe('processes that end, are full, or are late', () => {
  test('H15 bindings go with a process that ends or is killed', async () => {
    web = await WebNode.start();
    await web.app(
      APP,
      [bind('/'), bindStatic('/s', 'x'), bind('/:p'), { Unbind: { path: '/u' } }],
      echo,
    );
    await web.app('other:pkg:me.os', [bindStatic('/', 'stays')]);
    expect((await web.get(AT)).status).toBe(200);
    await web.kill(APP);
    for (const path of ['', '/s', '/p', '/u'])
      expect((await web.get(`${AT}${path}`)).status).toBe(404);
    expect((await web.get('/other:pkg:me.os')).text).toBe('stays');
    await web.node.start(
      'short:pkg:me.os',
      async (guest) => {
        await guest.sendAndAwait('our@http-server:distro:sys', {
          body: bytesOf(JSON.stringify(bind('/'))),
        });
      },
      { public: true, holds: ['http-server:distro:sys'] },
    );
    await expect.poll(async () => (await web.get('/short:pkg:me.os')).status).toBe(404);
  });

  test('H15 they outlive a restart; while the process is down the answer is 503', async () => {
    web = await WebNode.start();
    let starts = 0;
    const fall = Promise.withResolvers<void>();
    await web.node.start(
      APP,
      async (guest) => {
        if (starts++ > 0) {
          await guest.request();
          return guest.respond(
            JSON.stringify({ status: 200, headers: {} }),
            {},
            { mime: undefined, bytes: bytesOf('again') },
          );
        }
        await guest.sendAndAwait('our@http-server:distro:sys', {
          body: bytesOf(JSON.stringify(bind('/'))),
        });
        await fall.promise;
        throw new Error('fell');
      },
      { public: true, holds: ['http-server:distro:sys'], onExit: { kind: 'restart' } },
    );
    await expect.poll(async () => starts).toBe(1);
    const caught = web.get(AT);
    await web.forwarded(1);
    fall.resolve();
    const dead = await caught;
    expect([dead.status, dead.text]).toEqual([503, `${APP} is not running`]);
    await web.node.clock.advance(60_000);
    expect((await web.get(AT)).text).toBe('again');
  });

  test('a process that is killed in the middle of an answer: 503 at once', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/')], () => undefined);
    const got = web.get(AT);
    await web.forwarded(1);
    await web.kill(APP);
    expect([(await got).status, (await got).text]).toEqual([503, `${APP} is not running`]);
  });

  test('a full mailbox is 503 at once, and says when to try again', async () => {
    web = await WebNode.start();
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bind('/')], async () => {
      await release.promise;
      return answer(200);
    });
    const first = web.get(AT);
    await web.forwarded(1);
    const port = web.node.kernel.port('http-server');
    for (let sent = 0; sent < MAILBOX_MESSAGES_MAX; sent++)
      port.send({
        target: web.node.address(APP),
        rsvp: undefined,
        message: {
          kind: 'request',
          request: {
            inherit: false,
            expectsResponse: undefined,
            body: bytesOf('{"WebSocketClose":1}'),
            metadata: undefined,
            capabilities: [],
          },
        },
        blob: undefined,
      });
    const full = await web.get(AT);
    expect([full.status, full.headers['retry-after'], full.text]).toEqual([
      503,
      '1',
      `${APP} has too many requests waiting`,
    ]);
    release.resolve();
    expect((await first).status).toBe(200);
  });

  test('a client that leaves while its request waits takes everything with it', async () => {
    web = await WebNode.start();
    const answered: string[] = [];
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bind('/')], async ({ query_params: query }) => {
      answered.push(query['n'] ?? '');
      await release.promise;
      return answer(200, {}, 'late');
    });
    const socket = await web.connect();
    // The second waits behind the first: Node tells only the first that its client has gone.
    socket.write(
      `POST ${AT}?n=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET ${AT}?n=2 HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    await web.forwarded(2);
    socket.destroy();
    await expect.poll(() => web.web.waiting).toBe(0);
    release.resolve();
    expect((await web.get(`${AT}?n=3`)).text).toBe('late');
    expect(answered.toSorted()).toEqual(['1', '2', '3']);
  });

  test('a client that leaves in the middle of its body leaves nothing', async () => {
    web = await WebNode.start({ bodiesBytesMax: 1000 });
    await web.app(APP, [bind('/')], echo);
    for (let round = 0; round < 3; round++) {
      const socket = await web.connect();
      socket.write(
        `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n${'x'.repeat(800)}`,
      );
      await expect.poll(() => web.web.heldBytes).toBe(800);
      socket.destroy();
      await expect.poll(() => web.web.heldBytes).toBe(0);
    }
    expect((await web.get(AT, { method: 'POST', body: 'x'.repeat(900) })).status).toBe(200);
  });
});
