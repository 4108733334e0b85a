/** Who may ask for what (runtime-modules.md §6.5, §6.8, §6.10; findings F21, F22), and the local RPC endpoint. */
import { afterEach, describe, expect, test } from 'vitest';
import { bytesOf, textOf } from '../../kernel/testing.ts';
import { ANSWER_S_DEFAULT } from './limits.ts';
import { type Access, type GuardedBinding, type Login, SANDBOX, type Visitor } from './parts.ts';
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
      `the page on 127.0.0.1:${web.port}`,
      undefined,
    ]);
  });
});

function loginOf(more: Partial<Login> = {}): Login {
  return {
    page: (host) => bytesOf(`the page on ${host}`),
    pageHeaders: () => [
      ['Cache-Control', 'no-store'],
      ['X-Page', 'yes'],
    ],
    asset: () => undefined,
    submit: () => Promise.resolve(undefined),
    logout: () => ({ status: 204, headers: [], body: bytesOf('') }),
    session: () => ({ status: 200, headers: [], body: bytesOf('true') }),
    ...more,
  };
}

describe('access', () => {
  const seen: [Visitor, GuardedBinding, boolean][] = [];

  async function start(access: Access, login = loginOf()): Promise<void> {
    seen.length = 0;
    web = await WebNode.start(
      {},
      {
        accessTo: (visitor, binding, isSecureLabel) => {
          if (!binding.authenticated) return { kind: 'open', sandbox: true };
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
    await start({ kind: 'open' });
    const headers = {
      Host: 'Pkg-Me-Os.LOCALHOST:81',
      Cookie: 'a=b',
      'X-Forwarded-Proto': 'https',
      Origin: 'http://o',
      'Sec-Fetch-Site': 'same-site',
      'Sec-Fetch-Mode': 'cors',
    };
    expect((await web.get(`${AT}/s/?a=1&b`, { headers })).status).toBe(200);
    await web.get(AT, { method: 'POST' });
    await web.get(`${AT}/open`);
    expect(seen).toEqual([
      [
        {
          host: 'pkg-me-os.localhost:81',
          cookie: 'a=b',
          proto: 'https',
          path: `${AT}/s`,
          query: 'a=1&b',
          method: 'GET',
          origin: 'http://o',
          secFetchSite: 'same-site',
          secFetchMode: 'cors',
        },
        expect.objectContaining({
          process: APP,
          authenticated: true,
          secureSubdomain: 'pkg-me-os',
        }),
        true,
      ],
      [
        {
          host: expect.stringMatching(/^127.0.0.1:\d+$/) as string,
          cookie: undefined,
          proto: 'http',
          path: AT,
          query: '',
          method: 'POST',
          origin: undefined,
          secFetchSite: undefined,
          secFetchMode: undefined,
        },
        expect.objectContaining({ process: APP, authenticated: true, secureSubdomain: undefined }),
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
    // Open content of anybody is shown on every host, but its documents are kept out of that host's origin.
    const open = await web.get(`${AT}/open`);
    expect([open.text, open.headers['content-security-policy']]).toEqual(['x', SANDBOX]);
  });

  test('M162 a document keeps the policy of its process beside the sandbox', async () => {
    web = await WebNode.start({}, { accessTo: () => ({ kind: 'open', sandbox: true }) });
    const policy = "default-src 'self'";
    await web.app(APP, [bind('/'), { SecureBind: { path: '/s', cache: false } }], () =>
      answer(200, { 'Content-Security-Policy': policy }),
    );
    expect(
      (await web.get(AT)).rawHeaders.filter((each) => each === policy || each === SANDBOX),
    ).toEqual([policy, SANDBOX]);
    await web.kill(APP);
    await web.app(APP, [bind('/')], () => answer(200));
    expect((await web.get(AT)).headers['content-security-policy']).toBeUndefined();
  });

  test('M158 a subdomain is one package’s, also when another comes out at the same label', async () => {
    web = await WebNode.start();
    const secure = { SecureBind: { path: '/', cache: false } };
    const ok = '{"Ok":null}';
    expect(await web.app('p:a-b:c', [secure])).toEqual([ok]);
    expect(web.web.isSecureLabel('a-b-c')).toBe(true);
    expect(await web.app('p:a:b-c', [secure, bind('/')])).toEqual([
      '{"Err":"MalformedRequest"}',
      ok,
    ]);
    expect(web.node.sink.at(0).join()).toContain('its subdomain a-b-c is that of a-b:c');
    expect(
      await web.app('q:a-b:c', [secure, { WebSocketSecureBind: { path: '/', extension: false } }]),
    ).toEqual([ok, ok]);
    await web.kill('p:a-b:c');
    expect(web.web.isSecureLabel('a-b-c')).toBe(true);
    await web.kill('q:a-b:c');
    expect(web.web.isSecureLabel('a-b-c')).toBe(false);
    expect(await web.app('r:a:b-c', [secure])).toEqual([ok]);
  });

  test('a redirect that no header can hold is refused', async () => {
    await start({ kind: 'redirect', location: 'http://x/\r\nX-Injected: 1' });
    const got = await web.get(AT);
    expect([got.status, got.headers['x-injected']]).toEqual([400, undefined]);
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
      ]).toEqual([200, `the page on 127.0.0.1:${web.port}`, undefined, 'no-store']);
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
        login: loginOf({
          asset: (path) =>
            path === '/login/a.js'
              ? { contentType: 'text/javascript', bytes: bytesOf('js') }
              : undefined,
          submit: async (request) => {
            const { contentLength, body, ...rest } = request;
            if (contentLength === undefined || contentLength > 16_384) return undefined;
            const text = textOf(await body());
            if (text === 'fail') throw new Error('as asked');
            submitted.push({ ...rest, body: text });
            return {
              status: 303,
              headers: [
                ['Set-Cookie', 'a=b'],
                ['Content-Length', '0'],
                ['Location', '/'],
              ],
              body: bytesOf(''),
            };
          },
          session: ({ host, cookie }) => ({
            status: 200,
            headers: [],
            body: bytesOf(`${host} ${cookie}`),
          }),
        }),
      },
    );
    for (const path of ['/login', '/login/', '/login?x=1']) {
      const page = await web.get(path);
      expect([
        page.status,
        page.text,
        page.headers['content-type'],
        page.headers['x-page'],
        page.headers['x-content-type-options'],
      ]).toEqual([
        200,
        `the page on 127.0.0.1:${web.port}`,
        'text/html; charset=utf-8',
        'yes',
        'nosniff',
      ]);
    }
    const session = await web.get('/login/session', { headers: { Cookie: 'a=b' } });
    expect(session.text).toBe(`127.0.0.1:${web.port} a=b`);
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
    expect(done.rawHeaders.filter((each) => /content-length/i.test(each))).toHaveLength(1);
    const failed = await web.get('/login', { method: 'POST', body: 'fail' });
    expect([failed.status, failed.text]).toEqual([500, 'the login failed']);
    expect(web.node.sink.at(0).join()).toContain('as asked');
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
    const sent: string[] = [];
    web.node.kernel.setNet({
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
