/** Who may ask for what (runtime-modules.md §6.5, §6.8; findings F21, F22). */
import { afterEach, describe, expect, test } from 'vitest';
import { STARTING_MS } from './limits.ts';
import { type Access, type BoundPath, SANDBOX, type Visitor } from './login/access.ts';
import type { Login } from './parts.ts';
import { bind, bindStatic, echo, loginOf, NOT_LOCAL, WebNode } from './testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;

let web: WebNode;
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

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
