/** HTTP through the module, with real servers (runtime-modules.md §7.1). */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Reply } from '../shared/testing.ts';
import { REDIRECTS_MAX } from './limits.ts';
import { serve, serveRaw } from '../shared/outbound/testing.ts';
import { clientOf, type Client, type ClientOptions } from './testing.ts';

const FROM = 'app:pkg:someone.os';

interface Http {
  readonly method?: string;
  readonly url: string;
  readonly version?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

const bodyOf = ({ method = 'GET', url, version = null, headers = {} }: Http): unknown => ({
  Http: { method, version, url, headers },
});

async function ask({ bench }: Client, http: Http): Promise<Reply> {
  const reply = await bench.ask({ from: FROM, body: bodyOf(http), blob: http.body ?? '' });
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

const textOf = ({ blob }: Reply): string => new TextDecoder().decode(blob?.bytes);
const ok = (status: number, headers: unknown = expect.any(Object)): unknown => ({
  Ok: { Http: { status, headers } },
});
const failure = (text: RegExp): unknown => ({
  Err: { ExecuteRequestFailed: expect.stringMatching(text) },
});

async function with_(
  options: ClientOptions,
  run: (client: Client) => Promise<void>,
): Promise<void> {
  await using client = clientOf(options);
  await run(client);
}

test('M204 a GET: status, re-cased header names, the body as blob without mime', async () => {
  await using server = await serve((_request, response) => {
    response.sendDate = false;
    response.writeHead(200, [
      'content-type',
      'text/plain',
      'ETAG',
      '"1"',
      'x-MANY-parts',
      'a',
      'X-Many-Parts',
      'b',
      'x-utf8',
      'caf\u00e9',
    ]);
    response.end('hello');
  });
  await with_({}, async (client) => {
    const reply = await ask(client, { url: `${server.origin}/a?b=c#d` });
    expect(reply).toMatchObject({
      body: ok(200, {
        'Content-Type': 'text/plain',
        Etag: '"1"',
        'X-Many-Parts': 'b',
        'X-Utf8': '',
        Connection: 'keep-alive',
        'Keep-Alive': expect.any(String),
        'Transfer-Encoding': 'chunked',
      }),
      blob: { mime: undefined },
      metadata: undefined,
    });
    expect(textOf(reply)).toBe('hello');
  });
});

test('M205 method, path, body and header fields go out as given; what is illegal or frames the message does not', async () => {
  let head = '';
  await using server = await serveRaw((socket, request) => {
    head = request;
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });
  await with_({}, async (client) => {
    await ask(client, {
      method: 'pAtch',
      url: `http://us%40er:p%3Aw@127.0.0.1:${server.port}/x%20y?q=%zz&r=\u00e9#frag`,
      headers: {
        'X-Case': 'Kept',
        'x-utf': 'caf\u00e9',
        'x-dup': 'first',
        'X-Dup': 'last',
        'bad name': '1',
        'bad:name': '1',
        'x-bad-value': 'a\r\nInjected: 1',
        'Content-Length': '0',
        'Transfer-Encoding': 'chunked',
        Connection: 'close',
        Upgrade: 'h2c',
        Expect: '100-continue',
      },
      body: 'bytes \u0000\u00ff',
    });
  });
  const [start, ...fields] = Buffer.from(head, 'latin1').toString('utf8').split('\r\n');
  expect(start).toBe('pAtch /x%20y?q=%zz&r=%C3%A9 HTTP/1.1');
  expect(fields).toEqual([
    `Host: 127.0.0.1:${server.port}`,
    'X-Case: Kept',
    'x-utf: caf\u00e9',
    'X-Dup: last',
    'Accept: */*',
    `Authorization: Basic ${Buffer.from('us@er:p:w').toString('base64')}`,
    'Content-Length: 9',
    'Connection: keep-alive',
    '',
    'bytes \u0000\u00ff',
  ]);
});

test.each([
  ['GET', '', undefined],
  ['HEAD', '', undefined],
  ['DELETE', '', undefined],
  ['POST', '', '0'],
  ['PUT', '', '0'],
  ['PATCH', '', '0'],
  ['GET', 'x', '1'],
  ['POST', 'xy', '2'],
])('M205 %s with %j: Content-Length %s, never chunked', async (method, body, length) => {
  let seen: NodeJS.Dict<string | string[]> = {};
  let received = '';
  await using server = await serve((request, response) => {
    seen = request.headers;
    request.on('data', (piece: Buffer) => (received += piece.toString()));
    request.on('end', () => response.end());
  });
  await with_({}, async (client) => {
    expect((await ask(client, { method, url: server.origin, body })).body).toEqual(ok(200));
  });
  expect([seen['content-length'], seen['transfer-encoding'], received]).toEqual([
    length,
    undefined,
    body,
  ]);
});

describe('M206 errors, with their exact shapes, only when a response was expected', () => {
  const cases: [string, unknown, unknown][] = [
    ['not JSON', 'x{', { Err: 'MalformedRequest' }],
    ['another action', { Https: {} }, { Err: 'MalformedRequest' }],
    [
      'an empty method',
      bodyOf({ method: '', url: 'http://x/' }),
      { Err: { BadMethod: { method: '' } } },
    ],
    [
      'no token',
      bodyOf({ method: 'GE T', url: 'http://x/' }),
      { Err: { BadMethod: { method: 'GE T' } } },
    ],
    ['a relative URL', bodyOf({ url: '/x' }), { Err: { BadUrl: { url: '/x' } } }],
    ['no URL', bodyOf({ url: 'http://' }), { Err: { BadUrl: { url: 'http://' } } }],
    [
      'a bad port',
      bodyOf({ url: 'http://x:99999/' }),
      { Err: { BadUrl: { url: 'http://x:99999/' } } },
    ],
    [
      'M212 a bad version',
      bodyOf({ url: 'http://x/', version: '1.1' }),
      { Err: { BadVersion: { version: '1.1' } } },
    ],
    [
      'no host',
      bodyOf({ url: 'mailto:x' }),
      { Err: { BuildRequestFailed: expect.stringContaining('mailto:x') } },
    ],
    [
      'CONNECT',
      bodyOf({ method: 'CONNECT', url: 'http://x/' }),
      { Err: { BuildRequestFailed: expect.any(String) } },
    ],
    ['another scheme', bodyOf({ url: 'ftp://x/' }), failure(/^ftp: cannot be fetched/)],
    [
      'no such host',
      bodyOf({ url: 'http://nowhere.example/' }),
      failure(/^there is no host nowhere.example$/),
    ],
  ];
  test.each(cases)('%s', async (_name, body, expected) => {
    await with_({}, async ({ bench }) => {
      expect((await bench.ask({ from: FROM, body }))?.body).toEqual(expected);
      expect(await bench.ask({ from: FROM, body, expectsResponse: false })).toBeUndefined();
    });
  });

  test('a refused connection, a closed one, one that is no HTTP', async () => {
    let port = 0;
    {
      await using server = await serveRaw((socket) => socket.destroy());
      port = server.port;
      await with_({}, async (client) => {
        expect((await ask(client, { url: server.origin })).body).toEqual(
          failure(/broke off|closed/),
        );
      });
    }
    await with_({}, async (client) => {
      const reply = await ask(client, { url: `http://127.0.0.1:${port}/` });
      expect(reply.body).toEqual(failure(/^127.0.0.1 refuses connections to port \d+$/));
    });
  });
});

test('M207 success is answered even if no response was expected', async () => {
  await using server = await serve((_request, response) => response.end('x'));
  await with_({}, async ({ bench }) => {
    const body = bodyOf({ url: server.origin });
    expect((await bench.ask({ from: FROM, body, expectsResponse: false }))?.body).toEqual(ok(200));
  });
});

test('M210 404 and 500 are answers like any other', async () => {
  await using server = await serve((request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    response.end('said so');
  });
  await with_({}, async (client) => {
    for (const status of [404, 500, 599]) {
      const reply = await ask(client, { url: `${server.origin}/${status}` });
      expect([reply.body, textOf(reply)]).toEqual([ok(status), 'said so']);
    }
    for (const status of [204, 304]) {
      const reply = await ask(client, { url: `${server.origin}/${status}` });
      expect([reply.body, reply.blob?.bytes.length]).toEqual([ok(status), 0]);
    }
  });
});

test('M212 every version that HTTP has is accepted', async () => {
  await using server = await serve((_request, response) => response.end());
  await with_({}, async (client) => {
    for (const version of ['HTTP/0.9', 'HTTP/1.0', 'HTTP/1.1', 'HTTP/2.0', 'HTTP/3.0'])
      expect((await ask(client, { url: server.origin, version })).body).toEqual(ok(200));
  });
});

test('M209 a compressed body stays so, and none is asked for', async () => {
  const packed = gzipSync('compressed');
  let accepts: string | undefined;
  await using server = await serve((request, response) => {
    accepts = request.headers['accept-encoding'];
    response.writeHead(200, { 'content-encoding': 'gzip' });
    response.end(packed);
  });
  await with_({}, async (client) => {
    const reply = await ask(client, { url: server.origin });
    expect(Buffer.from(reply.blob?.bytes ?? [])).toEqual(packed);
    expect(reply.body).toMatchObject({ Ok: { Http: { headers: { 'Content-Encoding': 'gzip' } } } });
    expect(accepts).toBeUndefined();
    await ask(client, { url: server.origin, headers: { 'Accept-Encoding': 'br' } });
    expect(accepts).toBe('br');
  });
});

describe('M208 redirects', () => {
  test(`${REDIRECTS_MAX} are followed, one more is a failure; cookies are not kept`, async () => {
    const cookies: (string | undefined)[] = [];
    await using server = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      cookies.push(request.headers.cookie);
      if (left === 0) return response.end('there');
      response.writeHead(302, { location: `/${left - 1}`, 'set-cookie': 'a=b' });
      return response.end('ignored');
    });
    await with_({}, async (client) => {
      const reply = await ask(client, { url: `${server.origin}/${REDIRECTS_MAX}` });
      expect([reply.body, textOf(reply)]).toEqual([ok(200), 'there']);
      const further = await ask(client, { url: `${server.origin}/${REDIRECTS_MAX + 1}` });
      expect(further.body).toEqual(failure(/redirects, after 10 redirects$/));
    });
    expect(cookies.filter((cookie) => cookie !== undefined)).toEqual([]);
    expect(
      server.connections(),
      'short bodies of redirects are read, so the connection serves on',
    ).toBe(1);
  });

  test('a loop ends', async () => {
    await using server = await serve((_request, response) => {
      response.writeHead(308, { location: '/' });
      response.end();
    });
    await with_({}, async (client) => {
      expect((await ask(client, { url: server.origin })).body).toEqual(failure(/10 redirects/));
    });
  });

  test.each([
    [301, 'POST', 'GET', ''],
    [302, 'PUT', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [303, 'HEAD', 'HEAD', ''],
    [307, 'POST', 'POST', 'body'],
    [308, 'PUT', 'PUT', 'body'],
    [307, 'GET', 'GET', 'body'],
  ])('%d turns %s into %s, body %j', async (status, method, then, body) => {
    const seen: unknown[] = [];
    await using server = await serve((request, response) => {
      if (request.url === '/') {
        request.resume();
        response.writeHead(status, { location: 'next' });
        return response.end();
      }
      let text = '';
      request.on('data', (piece: Buffer) => (text += piece.toString()));
      return request.on('end', () => {
        seen.push(request.method, text, request.headers['content-type'], request.headers['x-kept']);
        response.end();
      });
    });
    await with_({}, async (client) => {
      const headers = { 'Content-Type': 'text/x', 'X-Kept': 'yes' };
      await ask(client, { method, url: server.origin, headers, body: 'body' });
    });
    expect(seen).toEqual([then, body, then === method ? 'text/x' : undefined, 'yes']);
  });

  test('secrets stay with the origin they were meant for', async () => {
    const seen: Record<string, unknown>[] = [];
    await using other = await serve((request, response) => {
      seen.push(request.headers);
      response.end();
    });
    await using server = await serve((request, response) => {
      seen.push(request.headers);
      const location = request.url === '/' ? '/same' : `${other.origin}/other`;
      response.writeHead(307, { location });
      response.end();
    });
    const secrets = { Authorization: 'A', Cookie: 'C', 'X-Api': 'K', Host: 'virtual.example' };
    await with_({}, async (client) => {
      await ask(client, { url: server.origin, headers: secrets });
    });
    const [first, same, elsewhere] = seen;
    for (const each of [first, same])
      expect(each).toMatchObject({ authorization: 'A', cookie: 'C', host: 'virtual.example' });
    expect(elsewhere).toMatchObject({ 'x-api': 'K', host: `127.0.0.1:${other.port}` });
    expect(elsewhere).not.toHaveProperty('authorization');
    expect(elsewhere).not.toHaveProperty('cookie');
  });

  test('a redirect that leads nowhere is the answer; one to another scheme a failure', async () => {
    await using server = await serve((request, response) => {
      const location = { '/bad': 'http://[', '/file': 'file:///etc/passwd' }[request.url ?? ''];
      response.writeHead(302, location === undefined ? {} : { location });
      response.end('the body');
    });
    await with_({}, async (client) => {
      for (const path of ['/none', '/bad']) {
        const reply = await ask(client, { url: `${server.origin}${path}` });
        expect([reply.body, textOf(reply)]).toEqual([ok(302), 'the body']);
      }
      const reply = await ask(client, { url: `${server.origin}/file` });
      expect(reply.body).toEqual(failure(/^file: cannot be fetched/));
    });
  });
});

test('M221 H1 a request of another node is not carried out and not answered', async () => {
  await using server = await serve((_request, response) => response.end());
  await with_({}, async ({ bench, port }) => {
    const body = bodyOf({ url: server.origin });
    expect(await bench.ask({ from: `bob.os@${FROM}`, body })).toBeUndefined();
    expect(port.prints[0]).toMatchObject({ verbosity: 1, text: expect.stringContaining('bob.os') });
  });
  expect(server.connections()).toBe(0);
});

test('M206 hostile bodies are refused and never throw', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  await with_({}, async ({ bench }) => {
    const action = fc.record(
      {
        method: fc.oneof(fc.string(), fc.constantFrom('GET', 'POST')),
        version: fc.oneof(fc.constant(null), fc.string()),
        url: fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.constantFrom('http:', 'a:b', 'data:,x', 'blob:http://x'),
        ),
        headers: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.anything()),
        channel_id: fc.oneof(fc.integer(), fc.anything()),
        message_type: fc.oneof(fc.string(), fc.anything()),
      },
      { requiredKeys: [] },
    );
    const names = fc.constantFrom(
      'Http',
      'WebSocketOpen',
      'WebSocketPush',
      'WebSocketClose',
      'x',
      '__proto__',
    );
    const bodies = fc.oneof(
      fc.uint8Array(),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
      fc
        .tuple(names, action)
        .map(([name, value]) => Buffer.from(JSON.stringify({ [name]: value }))),
    );
    fc.assert(
      fc.property(bodies, (body) => {
        const decoded = bench.module.decode(bench.request({ from: FROM, body }));
        if (!decoded.ok) expect(decoded.error).toMatchObject({ body: expect.any(Uint8Array) });
      }),
      { seed, numRuns: 3000 },
    );
    const huge = `{"Http":{"method":"GET","version":null,"url":"http://x/${'a'.repeat(300_000)}","headers":{}}}`;
    expect((await bench.ask({ from: FROM, body: huge }))?.body).toEqual({
      Err: 'MalformedRequest',
    });
  });
});
