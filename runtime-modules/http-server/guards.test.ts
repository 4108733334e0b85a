/** Who may ask for what (runtime-modules.md §6.5, §6.8, §6.10; findings F21, F22), and the local RPC endpoint. */
import { afterEach, describe, expect, test } from 'vitest';
import { bytesOf, textOf } from '../../kernel/testing.ts';
import { ANSWER_S_DEFAULT, STARTING_MS } from './limits.ts';
import { type Access, type BoundPath, SANDBOX, type Visitor } from './login/access.ts';
import type { Login } from './parts.ts';
import { answer, bind, bindStatic, echo, WebNode } from './testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;
const RPC = '/rpc:distro:sys/message';

let web: WebNode;
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

/** Requests that look local, and are not quite. */
const NOT_LOCAL: [string, Record<string, string>][] = [
  ['x-forwarded-for', { 'X-Forwarded-For': '127.0.0.1' }],
  ['x-forwarded-proto', { 'X-Forwarded-Proto': 'http' }],
  ['x-forwarded-host', { 'X-Forwarded-Host': 'localhost' }],
  ['x-real-ip', { 'X-Real-IP': '127.0.0.1' }],
  ['forwarded', { Forwarded: 'for=127.0.0.1' }],
  ['via', { Via: '1.1 proxy' }],
  ['another name', { Host: 'rebound.example' }],
  ['a name that contains localhost', { Host: 'localhost.evil.example' }],
  ['a subdomain', { Host: 'app.localhost' }],
  ['an origin', { Origin: 'https://evil.example' }],
  ['a null origin', { Origin: 'null' }],
  ['another port’s origin', { Host: 'localhost:1', Origin: 'http://localhost:2' }],
  ['a cross-site fetch', { 'Sec-Fetch-Site': 'cross-site' }],
  ['a same-site fetch', { 'Sec-Fetch-Site': 'same-site' }],
];

const LOCAL: Record<string, string>[] = [
  {},
  { Host: 'localhost' },
  { Host: 'LOCALHOST:8080' },
  { Host: '[::1]:1' },
  { Host: 'localhost:1', Origin: 'http://localhost:1', 'Sec-Fetch-Site': 'same-origin' },
  { 'Sec-Fetch-Site': 'none' },
];

describe('local only', () => {
  test('M143 403 without --expose-local', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/', { local_only: true })], echo);
    const got = await web.get(AT);
    expect([got.status, got.text, got.headers['content-type']]).toEqual([
      403,
      '',
      'application/octet-stream',
    ]);
  });

  test('M128 M143 a browser is shown a sentence in the place of nothing, and asks again while the node starts', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/', { local_only: true })], echo);
    const browse = async (path: string): Promise<unknown[]> => {
      const headers = { Accept: 'text/html,application/xhtml+xml' };
      const { status, text, headers: got } = await web.get(path, { headers });
      expect(got['content-type']).toBe('text/plain; charset=utf-8');
      // Programs get what they always got.
      expect((await web.get(path)).text).toBe('');
      return [status, text.split('.')[0], got['refresh']];
    };
    const local = [403, 'This is for programs on the machine of the node, if its owner lets them'];
    expect(await browse(AT)).toEqual([...local, undefined]);
    expect(await browse('/')).toEqual([404, 'There is nothing at this address yet', '1']);
    await web.node.clock.advance(STARTING_MS);
    expect(await browse('/')).toEqual([404, 'There is nothing at this address', undefined]);
  });

  test('M143 F21 with it, for this machine and nobody behind it', async () => {
    web = await WebNode.start({ exposeLocal: true });
    await web.app(APP, [bind('/', { local_only: true })], echo);
    for (const headers of LOCAL)
      expect((await web.get(AT, { headers })).status, JSON.stringify(headers)).toBe(200);
    for (const [what, headers] of NOT_LOCAL)
      expect((await web.get(AT, { headers })).status, what).toBe(403);
  });

  test('M144 without a token an authenticated path shows the login page, local only or not', async () => {
    web = await WebNode.start({}, { accessTo: () => ({ kind: 'login' }), login: loginOf() });
    await web.app(APP, [bind('/', { authenticated: true, local_only: true })], echo);
    const got = await web.get(AT);
    expect([got.status, got.text, got.headers['content-type']]).toEqual([
      200,
      'the page',
      undefined,
    ]);
  });
});

function loginOf(): Login {
  return {
    page: () => bytesOf('the page'),
    pageHeaders: () => [['Cache-Control', 'no-store']],
    asset: () => undefined,
    submit: () => Promise.resolve(undefined),
    session: () => ({ status: 200, headers: [], body: bytesOf('false') }),
    logout: () => ({ status: 204, headers: [], body: bytesOf('') }),
  };
}

describe('access', () => {
  const seen: [Visitor, BoundPath, boolean][] = [];

  async function start(access: Access, login: Login | undefined = loginOf()): Promise<void> {
    seen.length = 0;
    web = await WebNode.start(
      {},
      {
        accessTo: (visitor, binding, isSecureLabel) => {
          seen.push([visitor, binding, isSecureLabel('pkg-me-os')]);
          return access;
        },
        login,
      },
    );
    await web.app(
      APP,
      [
        bind('/', { authenticated: true }),
        bindStatic('/open', 'x'),
        { SecureBind: { path: '/s', cache: false } },
      ],
      echo,
    );
  }

  test('what the decision is made from', async () => {
    await start({ kind: 'open', sandbox: false });
    const headers = {
      Host: 'Pkg-Me-Os.LOCALHOST:81',
      Cookie: 'a=b',
      'X-Forwarded-Proto': 'https',
      Origin: 'http://o',
      'Sec-Fetch-Site': 'same-site',
      'Sec-Fetch-Mode': 'cors',
    };
    const plain = {
      host: expect.stringMatching(/^127.0.0.1:\d+$/) as string,
      method: 'GET',
      origin: undefined,
      secFetchSite: undefined,
      secFetchMode: undefined,
      cookie: undefined,
      proto: 'http',
      query: '',
    };
    expect((await web.get(`${AT}/s/?a=1&b`, { headers })).status).toBe(200);
    await web.get(AT);
    await web.get(`${AT}/open`);
    expect(seen).toEqual([
      [
        {
          host: 'pkg-me-os.localhost:81',
          method: 'GET',
          origin: 'http://o',
          secFetchSite: 'same-site',
          secFetchMode: 'cors',
          cookie: 'a=b',
          proto: 'https',
          path: `${AT}/s/`,
          query: 'a=1&b',
        },
        expect.objectContaining({
          process: APP,
          authenticated: true,
          secureSubdomain: 'pkg-me-os',
        }),
        true,
      ],
      [
        { ...plain, path: AT },
        expect.objectContaining({ process: APP, authenticated: true, secureSubdomain: undefined }),
        true,
      ],
      // Open paths too, once a package has an origin of its own.
      [
        { ...plain, path: `${AT}/open` },
        expect.objectContaining({ process: APP, authenticated: false }),
        true,
      ],
    ]);
  });

  test('M158 the wrong subdomain is redirected', async () => {
    await start({ kind: 'redirect', location: 'http://x.localhost/y' });
    const got = await web.get(AT);
    expect([got.status, got.headers.location, got.text, got.headers['content-type']]).toEqual([
      307,
      'http://x.localhost/y',
      '',
      undefined,
    ]);
  });

  test('M162 another package’s subdomain is 403, with a reason', async () => {
    await start({ kind: 'foreign' });
    const got = await web.get(AT);
    expect([got.status, got.text, got.headers['content-type']]).toEqual([
      403,
      'secure subdomain can only serve its associated package',
      'text/plain; charset=utf-8',
    ]);
  });

  test('M162 what is open runs in no origin but its own package’s: sandboxed, whatever the answer', async () => {
    await start({ kind: 'open', sandbox: true });
    for (const [path, headers] of [
      [`${AT}/open`, {}],
      [`${AT}/open`, { Range: 'bytes=0-0' }],
      [AT, {}],
    ] as const) {
      const got = await web.get(path, { headers });
      expect(got.headers['content-security-policy'], path).toBe(SANDBOX);
    }
  });

  test('two packages that come to one label: the first has it, the other is refused', async () => {
    await start({ kind: 'open', sandbox: false });
    const secure = { SecureBind: { path: '/', cache: false } };
    expect(await web.app('p:a-b:c', [secure], echo)).toEqual(['{"Ok":null}']);
    expect(await web.app('p:a:b-c', [secure], echo)).toEqual(['{"Err":"MalformedRequest"}']);
    await web.kill('p:a-b:c');
    expect(await web.app('q:a:b-c', [secure], echo)).toEqual(['{"Ok":null}']);
  });

  test('M148 without a token the login page stands in place of everything, and is not kept', async () => {
    await start({ kind: 'login' });
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const got = await web.get(AT, { method });
      expect([
        got.status,
        got.text,
        got.headers['content-type'],
        got.headers['cache-control'],
      ]).toEqual([200, 'the page', undefined, 'no-store']);
    }
  });

  test('without a login on the node, what needs one is refused', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/', { authenticated: true })], echo);
    expect((await web.get(AT)).status).toBe(403);
  });
});

describe('the login’s paths', () => {
  test('M148 M151 the page, its files, what is submitted; the rest is for whoever bound it', async () => {
    const submitted: unknown[] = [];
    web = await WebNode.start(
      {},
      {
        accessTo: () => ({ kind: 'login' }),
        login: {
          ...loginOf(),
          asset: (path) =>
            path === '/login/a.js'
              ? { contentType: 'text/javascript', bytes: bytesOf('js') }
              : undefined,
          submit: async (request) => {
            const { contentLength, body, ...rest } = request;
            if (contentLength === undefined || contentLength > 16_384) return undefined;
            submitted.push({ ...rest, body: textOf(await body()) });
            return {
              status: 303,
              headers: [
                ['Set-Cookie', 'a=b'],
                ['Location', '/'],
              ],
              body: bytesOf(''),
            };
          },
        },
      },
    );
    for (const path of ['/login', '/login/', '/login?x=1']) {
      const page = await web.get(path);
      expect([page.status, page.text, page.headers['content-type']]).toEqual([
        200,
        'the page',
        'text/html; charset=utf-8',
      ]);
    }
    const file = await web.get('/login/a.js');
    expect([file.text, file.headers['content-type']]).toEqual(['js', 'text/javascript']);
    expect((await web.get('/login/none.js')).status).toBe(404);
    expect((await web.get('/login', { method: 'PUT' })).status).toBe(404);
    const post = {
      method: 'POST',
      body: '{"x":1}',
      headers: {
        Origin: 'http://o',
        'Sec-Fetch-Site': 'same-origin',
        'X-Forwarded-Proto': 'https',
      },
    };
    const done = await web.get('/login?redirect=%2Fp%3Ak%3Aq', post);
    expect([done.status, done.headers['set-cookie'], done.headers.location]).toEqual([
      303,
      ['a=b'],
      '/',
    ]);
    expect(submitted).toEqual([
      {
        host: `127.0.0.1:${web.port}`,
        // F22: a proxy on this machine is believed.
        proto: 'https',
        redirect: '/p:k:q',
        origin: 'http://o',
        secFetchSite: 'same-origin',
        peer: '127.0.0.1',
        cookie: undefined,
        body: '{"x":1}',
      },
    ]);
    const chunked = await web.raw(
      'POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    );
    expect(chunked).toMatch(/^HTTP\/1.1 404/);
    expect((await web.get('/login', { method: 'POST', body: 'x'.repeat(16_385) })).status).toBe(
      404,
    );
    expect((await web.get('/logout', { method: 'POST' })).status).toBe(204);
    expect((await web.get('/logout')).status).toBe(404);
    await web.app('homepage:homepage:sys', [bind('/login')], echo);
    expect((await web.get('/login', { method: 'PUT', body: 'x' })).text).toContain('"blob":"x"');
  });
});

describe('F21 a development node', () => {
  test('F21 listens on loopback and answers under its own names only', async () => {
    web = await WebNode.start({ development: true, host: undefined });
    await web.app(APP, [bindStatic('/', 'x')]);
    for (const host of ['localhost', 'a.b.localhost:81', '127.0.0.1', '[::1]:9'])
      expect((await web.get(AT, { headers: { Host: host } })).status, host).toBe(200);
    for (const host of [
      'evil.example',
      'localhost.example',
      '10.0.0.1',
      'xlocalhost',
      '127.0.0.1.nip.io',
      '0.0.0.0',
    ])
      expect((await web.get(AT, { headers: { Host: host } })).status, host).toBe(403);
    expect((await web.get(AT, { headers: { Host: 'evil.example' } })).text).toContain(
      'development node',
    );
    expect(await web.raw(`GET ${AT} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1.1 403/);
  });
});

describe('RPC', () => {
  const ask = (
    body: unknown,
    headers: Record<string, string> = {},
    method = 'POST',
  ): ReturnType<WebNode['get']> =>
    web.get(RPC, { method, headers, body: typeof body === 'string' ? body : JSON.stringify(body) });

  test('M167 F21 403 unless local and allowed, 400 for what cannot be read', async () => {
    web = await WebNode.start();
    expect((await ask({ process: APP })).status).toBe(403);
    await web[Symbol.asyncDispose]();
    web = await WebNode.start({ exposeLocal: true });
    for (const [what, headers] of NOT_LOCAL)
      expect((await ask({ process: APP }, headers)).status, what).toBe(403);
    for (const body of [
      '',
      '{',
      '[]',
      '{}',
      { process: 'x' },
      { process: 'a:b:c:d' },
      { process: APP, expects_response: -1 },
    ])
      expect((await ask(body)).status, JSON.stringify(body)).toBe(400);
  });

  test('M168 without a response wanted: 200 at once, and everything arrives', async () => {
    web = await WebNode.start({ exposeLocal: true });
    const got = Promise.withResolvers<unknown>();
    await web.node.start(
      APP,
      async (guest) => {
        const { source, request, body } = await guest.request();
        const blob = guest.host.getBlob();
        got.resolve([
          source.process,
          request.expectsResponse,
          body,
          request.metadata,
          blob?.mime,
          textOf(blob?.bytes ?? bytesOf('')),
        ]);
      },
      { public: true },
    );
    const reply = await ask({
      process: APP,
      body: 'bödy',
      metadata: 'm',
      mime: 'x/y',
      data: 'aGk=',
      inherit: true,
      context: 'c',
      more: 1,
    });
    expect([reply.status, reply.text]).toEqual([200, '']);
    expect(await got.promise).toEqual([
      'http-server:distro:sys',
      undefined,
      'bödy',
      'm',
      'x/y',
      'hi',
    ]);
  });

  async function responder(body: string, blob?: string | Uint8Array): Promise<void> {
    web = await WebNode.start({ exposeLocal: true });
    await web.node.start(
      APP,
      async (guest) => {
        for (;;) {
          await guest.request();
          await guest.respond(
            body,
            {},
            blob === undefined ? undefined : { mime: undefined, bytes: bytesOf(blob) },
          );
        }
      },
      { public: true, holds: ['http-server:distro:sys'] },
    );
  }

  test('M169 M173 the response as kit reads it, with and without a slash at the end', async () => {
    await responder('{"Ok":null}', 'hi');
    const got = await ask({ process: APP, expects_response: 5 });
    expect([got.status, got.headers['content-type'], got.text]).toEqual([
      200,
      'text/html',
      '{"body":[123,34,79,107,34,58,110,117,108,108,125],"lazy_load_blob":{"mime":null,"bytes":[97,71,107,61]}}',
    ]);
    expect(
      (
        await web.get(`${RPC}/`, {
          method: 'PUT',
          body: JSON.stringify({ process: APP, expects_response: 5 }),
        })
      ).status,
    ).toBe(200);
    await web[Symbol.asyncDispose]();
    await responder('');
    expect((await ask({ process: APP, expects_response: 5 })).text).toBe(
      '{"body":[],"lazy_load_blob":null}',
    );
  });

  test('M169 a large response comes in pieces, and is the same', async () => {
    const blob = Uint8Array.from({ length: 200_001 }, (_, index) => index * 31);
    await responder('x'.repeat(100_000), blob);
    const got = JSON.parse((await ask({ process: APP, expects_response: 5 })).text) as {
      body: number[];
      lazy_load_blob: { bytes: number[] };
    };
    expect(got.body).toHaveLength(100_000);
    const base64 = Buffer.from(got.lazy_load_blob.bytes).toString();
    expect(Buffer.from(base64, 'base64').equals(blob)).toBe(true);
  });

  test('M170 the wait is the header’s or 15 s, whatever the message expects', async () => {
    web = await WebNode.start({ exposeLocal: true });
    const told: unknown[] = [];
    await web.node.start(
      APP,
      async (guest) => {
        for (;;) told.push((await guest.request()).request.expectsResponse);
      },
      { public: true },
    );
    const late = ask({ process: APP, expects_response: 60 });
    await web.forwarded(1);
    await web.node.clock.advance(ANSWER_S_DEFAULT * 1000 + 200);
    expect((await late).status).toBe(408);
    let status: number | undefined;
    const patient = ask(
      { process: APP, expects_response: 5 },
      { 'X-Hyperware-Http-Server-Timeout': '30' },
    ).then((got) => (status = got.status));
    await web.forwarded(2);
    await web.node.clock.advance(29_900);
    expect(status).toBeUndefined();
    await web.node.clock.advance(300);
    expect(await patient).toBe(408);
    expect(told).toEqual([60, 5]);
  });

  test.each(['aGk', 'a?==', 'aG k=', 'aGl=', '====', '-_8='])(
    'M171 data %j is no base64: the message goes without a blob',
    async (data) => {
      web = await WebNode.start({ exposeLocal: true });
      const got = Promise.withResolvers<unknown>();
      await web.node.start(
        APP,
        async (guest) => {
          await guest.request();
          got.resolve(guest.host.getBlob());
        },
        { public: true },
      );
      expect((await ask({ process: APP, data })).status).toBe(200);
      expect(await got.promise).toBeUndefined();
    },
  );

  test('M172 another node’s process is reached over the network, or is not', async () => {
    web = await WebNode.start({ exposeLocal: true });
    const got = await ask({ process: APP, node: 'bob.os', expects_response: 5 });
    expect([got.status, got.text]).toEqual([503, 'bob.os cannot be reached']);
    const { kernel } = web.node;
    kernel.setNet({ send: (message) => kernel.failed(message, 'timeout', '{}') });
    const large = await ask({ process: APP, node: 'bob.os', expects_response: 5 });
    expect([large.status, large.text]).toEqual([413, 'bob.os takes no message of that size']);
    const sent: string[] = [];
    kernel.setNet({
      send: (message) => void sent.push(`${message.target.node} ${message.target.process}`),
    });
    expect((await ask({ process: APP, node: 'bob.os' })).status).toBe(200);
    expect(sent).toEqual([`bob.os ${APP}`]);
    expect((await ask({ process: 'no:such:process', node: 'our', expects_response: 5 })).text).toBe(
      'no:such:process is not running',
    );
  });

  test('M167 nobody can bind the path in its place', async () => {
    web = await WebNode.start();
    await web.app('homepage:homepage:sys', [bindStatic(RPC, 'mine')], () => answer(200));
    expect((await web.get(RPC)).status).toBe(403);
  });
});
