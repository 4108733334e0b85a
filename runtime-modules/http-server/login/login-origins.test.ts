/** From where one may log in, and for which package: subdomains, other pages, development nodes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { developmentIdentity } from '../../identity/development.ts';
import { Login } from './login.ts';
import { Harness, TestIdentity } from './login-harness.ts';
import { Sessions } from './session.ts';
import { direct, HASH, loginScene, NAME, pairOf } from './testing.ts';

const scene = loginScene();
const { send, logIn } = scene;

describe('on a subdomain', () => {
  const host = (): string => `app-store-sys.localhost:${scene.node.port}`;

  test('M158 to M161 a secure path: there, logged in there, and not with the session of the node', async () => {
    const away = await send('GET', '/main:app-store:sys?a=1');
    expect(away.status).toBe(307);
    expect(away.headers.location).toBe(`http://${host()}/main:app-store:sys?a=1`);

    const base = pairOf(await logIn());
    const shut = await send('GET', '/main:app-store:sys', {
      host: host(),
      headers: { Cookie: base },
    });
    expect(shut.body).toContain('content="app-store-sys"');

    for (const subdomain of ['main:app-store:sys', 'app-store-sys', null]) {
      const pair = pairOf(await logIn({ host: host(), body: { password_hash: HASH, subdomain } }));
      expect(pair.split('=')[0]).toBe(`${NAME}@${subdomain ?? 'app-store-sys'}`);
      const open = await send('GET', '/main:app-store:sys', {
        host: host(),
        headers: { Cookie: `${base}; ${pair}` },
      });
      expect(open.body).toBe('the store');
    }
  });

  test('M160 a program may ask for the session of a process anywhere', async () => {
    const pair = pairOf(
      await logIn({ body: { password_hash: HASH, subdomain: 'main:app-store:sys' } }),
    );
    expect(pair.split('=')[0]).toBe(`${NAME}@main:app-store:sys`);
    const open = await send('GET', '/main:app-store:sys', {
      host: host(),
      headers: { Cookie: pair },
    });
    expect(open.body).toBe('the store');
  });

  test.each(['main:evil:x.os', 'evil-x-os', 'nonsense'])(
    'H12 on the subdomain of one package there is no session of another: %s',
    async (subdomain) => {
      const heard = await logIn({ host: host(), body: { password_hash: HASH, subdomain } });
      expect(heard.status).toBe(403);
      expect(heard.headers['set-cookie']).toBeUndefined();
      expect(scene.node.identity.tried).toEqual([]);
    },
  );

  test('characters that no cookie name may have are dropped from it', async () => {
    const pair = pairOf(
      await logIn({ body: { password_hash: HASH, subdomain: 'a:b:c\r\n; Domain=x=y' } }),
    );
    expect(pair.split('=')[0]).toBe(`${NAME}@a:b:cDomainxy`);
  });

  test('the page of an app may be framed by the front page of its node and by nobody else', () => {
    const policy = (at: string): string =>
      scene.node.login.pageHeaders(at).find(([name]) => name === 'Content-Security-Policy')![1];
    expect(policy('app-store-sys.node.example.com:8443')).toMatch(
      /frame-ancestors 'self' http:\/\/node\.example\.com:8443 https:\/\/node\.example\.com:8443$/,
    );
    expect(policy('node.example.com')).toMatch(/frame-ancestors 'self'$/);
  });
});

describe('who may cause it', () => {
  test.each([
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { Origin: 'http://evil.example' },
    { Origin: 'null' },
    { Origin: 'http://evil-x-os.localhost' },
  ])('F21 a page of another origin logs nobody in or out: %j', async (headers) => {
    for (const path of ['/login', '/logout']) {
      const heard = await logIn({ headers }, path);
      expect(heard.status).toBe(403);
      expect(heard.headers['set-cookie']).toBeUndefined();
    }
    expect(scene.node.identity.tried).toEqual([]);
  });

  test('F21 its own pages and programs may', async () => {
    const own = [
      {},
      { 'Sec-Fetch-Site': 'same-origin', Origin: `http://localhost:${scene.node.port}` },
      { 'Sec-Fetch-Site': 'none' },
      { Origin: `http://localhost:${scene.node.port}` },
    ];
    for (const headers of own) expect((await logIn({ headers })).status).toBe(200);
  });

  test('F21 a development node takes any password, and only at this machine', async () => {
    await using made = await Harness.start(new TestIdentity('fake.dev', '', { development: true }));
    const at = async (host: string): Promise<number | undefined> =>
      (await made.login.submit(direct({ host }, { password_hash: 'x' })))?.status;
    for (const host of ['localhost:8080', 'localhost', 'a-b.localhost:1', '127.0.0.1', '[::1]:80'])
      expect(await at(host)).toBe(200);
    for (const host of [
      'rebound.example:8080',
      'localhost.evil.example',
      'evillocalhost',
      '127.0.0.1.evil.example',
      '192.168.1.5',
      '',
    ]) {
      expect(await at(host), host).toBe(403);
    }
  });

  test('M164 any hash logs in to a development node, and what it returns opens with `secret`', async () => {
    const home = await mkdtemp(join(tmpdir(), 'hyperloom-login-'));
    try {
      const identity = await developmentIdentity(home, 'fake.dev');
      const login = await Login.open({
        identity,
        sessions: new Sessions({
          node: identity.name,
          secret: identity.sessionSecret,
          nowS: () => 1_000,
        }),
        clock: { nowMs: () => 0 },
        isSecureLabel: () => false,
        print: () => undefined,
      });
      const answer = await login.submit(direct({}, { password_hash: 'anything' }));
      expect(answer?.status).toBe(200);
      const text = JSON.parse(new TextDecoder().decode(answer?.body)) as string;
      expect(Buffer.from(text, 'base64').toString()).toMatch(/^\["fake\.dev",\[\],\[/);
      expect(new TextDecoder().decode(login.page('localhost'))).toContain(
        '<meta name="development" content="true" />',
      );
    } finally {
      await rm(home, { recursive: true });
    }
  });
});
