/** Logging in and out, and how often somebody may try (runtime-modules.md §6.7). */
import { describe, expect, test } from 'vitest';
import { FAILURES_FREE } from './login-attempts.ts';
import { LOGIN_BYTES_MAX, localPath } from './login-request.ts';
import { direct, HASH, loginScene, NAME, pairOf } from './testing.ts';

const scene = loginScene();
const { send, logIn } = scene;

describe('logging in', () => {
  test('M149 F22 the right hash: the keyfile in base64, and the cookie byte for byte', async () => {
    const heard = await logIn();
    expect(heard.status).toBe(200);
    expect(heard.headers['content-type']).toBe('application/json');
    expect(Buffer.from(JSON.parse(heard.body) as string, 'base64').toString()).toBe(
      '["the keyfile"]',
    );
    const [cookie = ''] = heard.headers['set-cookie']!;
    expect(heard.headers['set-cookie']).toHaveLength(1);
    expect(cookie.replace(/=[\w-]+\.[\w-]+\.[\w-]+;/, '=<token>;')).toBe(
      'hyperware-auth_alice.os=<token>; HttpOnly; SameSite=Strict; Path=/',
    );
    expect(scene.node.identity.tried).toEqual([HASH]);
  });

  test('F22 M165 over TLS the cookie is secure', async () => {
    const answer = await scene.node.login.submit(direct({ proto: 'https' }));
    const [, cookie] = answer!.headers.find(([name]) => name === 'Set-Cookie')!;
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; Path=\/; Secure$/);
  });

  test('M153 what it sets opens what was shut', async () => {
    const headers = { Cookie: `x=1; ${pairOf(await logIn())}; y=2` };
    expect((await send('GET', '/p:k:q', { headers })).body).toBe('inside');
  });

  test('M150 another hash: 500 and the words of the reference', async () => {
    const heard = await logIn({ body: { password_hash: `${HASH}0` } });
    expect(heard.status).toBe(500);
    expect(heard.body).toBe('"Failed to decode keyfile: failed to decrypt networking keys"');
    expect(heard.headers['set-cookie']).toBeUndefined();
  });

  test.each([
    '',
    '{}',
    'null',
    '[]',
    '{"password_hash":1}',
    '{"password_hash":"0x","subdomain":1}',
    '{"password_hash":"0x","custom_cache_sources":"x"}',
    '{"password_hash":"0x"} x',
    'password_hash=0x',
    '{"password_hash":"0x","password_hash":"0x"}',
  ])('M150 a body that is no login: %s', async (body) => {
    const heard = await logIn({ body });
    expect([heard.status, heard.body]).toEqual([400, '"Failed to parse login info"']);
    expect(scene.node.identity.tried).toEqual([]);
  });

  test('the two fields of the register page are accepted, and the content type is not looked at', async () => {
    const heard = await logIn({
      body: {
        password_hash: HASH,
        custom_cache_sources: ['a'],
        custom_base_l2_access_providers: null,
      },
      headers: { 'Content-Type': 'text/plain' },
    });
    expect(heard.status).toBe(200);
  });

  test('M151 without a length, or past the limit, it is not a login', async () => {
    expect(await scene.node.login.submit(direct({ contentLength: undefined }))).toBeUndefined();
    const body = (length: number): string =>
      JSON.stringify({ password_hash: HASH }).padEnd(length, ' ');
    expect((await logIn({ body: body(LOGIN_BYTES_MAX) })).status).toBe(200);
    expect((await logIn({ body: body(LOGIN_BYTES_MAX + 1) })).status).toBe(404);
    expect(scene.node.identity.tried).toHaveLength(1);
  });

  test('M152 a redirect: 303 with the host and port asked for', async () => {
    const heard = await logIn({}, '/login?redirect=/p:k:q%3Fa=1');
    expect(heard.status).toBe(303);
    expect(heard.headers.location).toBe(`http://localhost:${scene.node.port}/p:k:q?a=1`);
    expect(heard.headers['content-length']).toBe('0');
    expect(heard.body).toBe('');
    expect(heard.headers['set-cookie']).toHaveLength(1);
  });

  test.each([
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https://evil.example',
    '@evil.example',
    '.evil.example',
    'javascript:alert(1)',
    '',
    '/\t/evil.example',
    '/x\r\nSet-Cookie: a=b',
    '/x\u0000',
    '/x y',
    '/\ud800',
  ])(
    'H7 a redirect that may lead elsewhere is refused before anything is tried: %j',
    async (path) => {
      const answer = await scene.node.login.submit(direct({ redirect: path }));
      expect(answer?.status).toBe(400);
      expect(scene.node.identity.tried).toEqual([]);
    },
  );

  test('M152 a path with other letters is encoded', () => {
    expect(localPath('/ü/💡?q=%20#f')).toBe('/%C3%BC/%F0%9F%92%A1?q=%20#f');
    expect(localPath('/')).toBe('/');
  });

  test('H7 without a host, or with nonsense for one, it still answers', async () => {
    for (const host of ['', 'a\r\nb', '"><', '[', 'a:b:c']) {
      const answer = await scene.node.login.submit(direct({ host, redirect: '/x' }));
      expect(answer?.headers.every(([, value]) => !/[\r\n]/.test(value))).toBe(true);
    }
  });

  test('M166 neither the hash nor the password is in what is printed or answered', async () => {
    const wrong = HASH.replace('f', 'e');
    const heard = await logIn({ body: { password_hash: wrong } });
    const told = [...scene.node.printed, heard.body, JSON.stringify(heard.headers)].join('\n');
    expect(scene.node.printed.join()).toContain('wrong password');
    expect(told).not.toContain(wrong.slice(2, 20));
  });
});

describe('how often', () => {
  test('H9 F33 10,000 bad logins: few are tried, all are answered, and the owner gets in', async () => {
    let refused = 0;
    for (let n = 0; n < 10_000; n += 1) {
      const answer = await scene.node.login.submit(
        direct({ peer: '203.0.113.7' }, { password_hash: `0x${n}` }),
      );
      if (answer?.status === 429) refused += 1;
    }
    expect(refused).toBe(10_000 - FAILURES_FREE);
    expect(scene.node.identity.tried).toHaveLength(FAILURES_FREE);
    expect((await scene.node.login.submit(direct({ peer: '192.168.1.9' })))?.status).toBe(200);
    // From the same address, as behind a proxy that was not declared: after one short wait.
    scene.node.nowMs += 1_000;
    expect((await scene.node.login.submit(direct({ peer: '203.0.113.7' })))?.status).toBe(200);
  });

  test('H9 too many: 429, and when to come back', async () => {
    const wrong = { body: { password_hash: '0x' } };
    for (let n = 0; n < FAILURES_FREE; n += 1) expect((await logIn(wrong)).status).toBe(500);
    const heard = await logIn();
    expect(heard.status).toBe(429);
    expect(heard.headers['retry-after']).toBe('1');
    expect(heard.body).toBe('"Too many attempts. Try again in 1 second."');
    expect(scene.node.identity.tried).toHaveLength(FAILURES_FREE);
    scene.node.nowMs += 1_000;
    expect((await logIn()).status).toBe(200);
  });

  test('bodies that are no login cost nobody an attempt', async () => {
    for (let n = 0; n < 50; n += 1) expect((await logIn({ body: '{' })).status).toBe(400);
    expect((await logIn()).status).toBe(200);
  });
});

describe('logging out', () => {
  test('it deletes every session of this node that the browser shows', async () => {
    const cookie = `${NAME}=x; ${NAME}@a:b:c=y; other=z`;
    const heard = await send('POST', '/logout', { headers: { Cookie: cookie } });
    expect(heard.status).toBe(204);
    expect(heard.headers['set-cookie']).toEqual([
      `${NAME}=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/`,
      `${NAME}@a:b:c=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/`,
    ]);
  });

  test('on a domain the wide cookie of a reference node goes too, and a redirect is followed', async () => {
    const heard = await send('POST', '/logout?redirect=/login', { host: 'node.example.com' });
    expect(heard.status).toBe(303);
    expect(heard.headers.location).toBe('http://node.example.com/login');
    expect(heard.headers['set-cookie']).toContain(
      `${NAME}=; Max-Age=0; Domain=node.example.com; HttpOnly; SameSite=Strict; Path=/`,
    );
    for (const host of ['localhost', '192.168.1.5:80', '[::1]'])
      expect((await send('POST', '/logout', { host })).headers['set-cookie']).toHaveLength(1);
  });

  test('the page can ask whether there is a session after all', async () => {
    const ask = async (host: string, cookie: string): Promise<unknown> =>
      JSON.parse((await send('GET', '/login/session', { host, headers: { Cookie: cookie } })).body);
    const app = `app-store-sys.localhost:${scene.node.port}`;
    const base = pairOf(await logIn());
    const store = pairOf(await logIn({ host: app }));
    expect(await ask('localhost', base)).toBe(true);
    expect(await ask('localhost', store)).toBe(false);
    expect(await ask(app, store)).toBe(true);
    expect(await ask(app, base)).toBe(false);
  });
});
