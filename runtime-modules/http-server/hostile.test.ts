/** Bytes that two readers would read differently, and odd ones (issue "The web", bad input). */
import { afterEach, describe, expect, test } from 'vitest';
import { answer, bind, bindStatic, echo, readAll, WebNode } from './testing.ts';

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
