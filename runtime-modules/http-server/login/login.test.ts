import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { copyFile, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { developmentIdentity } from '../../identity/development.ts';
import { hashPassword } from '../../identity/password.ts';
import { Login, type LoginRequest } from './login.ts';
import { FAILURES_FREE } from './login-attempts.ts';
import { readLoginFiles } from './login-files.ts';
import { Harness, TestIdentity } from './login-harness.ts';
import { LOGIN_BYTES_MAX, localPath } from './login-request.ts';
import { Sessions } from './session.ts';

/** networking.md §18.5: of `secret`, for alice.os. */
const HASH = '0xf0899873c48cdd1d93221d3fa7d63c44f5b65e532dc98b0c991964ca31432b9a';
const NAME = 'hyperware-auth_alice.os';
const APP = {
  process: 'main:app-store:sys',
  authenticated: true,
  secure: true,
  html: 'the store',
};

interface Heard {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let node: Harness;
beforeEach(async () => {
  node = await Harness.start(new TestIdentity('alice.os', HASH));
  node.paths.set('/p:k:q', {
    process: 'p:k:q',
    authenticated: true,
    secure: false,
    html: 'inside',
  });
  node.paths.set('/main:app-store:sys', APP);
});
afterEach(() => node[Symbol.asyncDispose]());

/** As a program would: any header can be set, `Host` and cookies included. */
async function send(
  method: string,
  path: string,
  options: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
    readonly host?: string;
  } = {},
): Promise<Heard> {
  const body =
    options.body === undefined || typeof options.body === 'string'
      ? options.body
      : JSON.stringify(options.body);
  const { promise, resolve, reject } = Promise.withResolvers<Heard>();
  const request = httpRequest(
    {
      host: '127.0.0.1',
      port: node.port,
      method,
      path,
      headers: {
        Host: options.host ?? `localhost:${node.port}`,
        ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
        ...options.headers,
      },
    },
    (response) => {
      response.toArray().then((chunks) => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks as Buffer[]).toString(),
        });
      }, reject);
    },
  );
  request.on('error', reject);
  request.end(body);
  return promise;
}

const logIn = (over: Parameters<typeof send>[2] = {}, path = '/login'): Promise<Heard> =>
  send('POST', path, { body: { password_hash: HASH, subdomain: null }, ...over });
const pairOf = (heard: Heard): string => heard.headers['set-cookie']![0]!.split(';')[0]!;

describe('the page', () => {
  test('M148 GET /login has it, with the name of the node; so has a protected path', async () => {
    const page = await send('GET', '/login');
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.body).toContain('alice.os');
    const instead = await send('GET', '/p:k:q');
    expect(instead.status).toBe(200);
    expect(instead.body).toBe(page.body);
    expect(instead.headers['cache-control']).toBe('no-store');
    expect(instead.body).not.toMatch(/\$\{/);
  });

  test('a hostile host changes nothing in the page but text, and not its headers', async () => {
    const page = new TextDecoder().decode(node.login.page('app-store-sys."><script>x'));
    expect(page).not.toContain('<script>x');
    expect(page).toContain('content="&quot;&gt;&lt;script&gt;x"');
    for (const [, value] of node.login.pageHeaders('app-store-sys.a; script-src *\r\n')) {
      expect(value).not.toMatch(/script-src \*|[\r\n]/);
    }
  });

  test('it loads nothing that the node does not serve, and has no script inside', async () => {
    const page = new TextDecoder().decode(node.login.page('localhost'));
    expect(page).not.toMatch(/<script(?![^>]*src="\/)|\son\w+=|style="|javascript:/);
    const references = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    expect(references.length).toBeGreaterThan(3);
    for (const path of references) expect(node.login.asset(path), path).toBeDefined();
  });

  test('every module that its modules import is served, and nothing else of any package', async () => {
    const files = await readLoginFiles();
    const reached = new Set<string>();
    const follow = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      const source = new TextDecoder().decode(files.get(path)?.bytes);
      expect(source, path).not.toBe('');
      for (const [, specifier = ''] of source.matchAll(
        /^(?:import|export)\s[^'"();]*\bfrom ["']([^"']+)["']/gm,
      )) {
        follow(new URL(specifier, `http://x${path}`).pathname);
      }
    };
    follow('/login/page.js');
    follow('/login/theme.js');
    expect([...files.keys()].filter((path) => path.endsWith('.js')).toSorted()).toEqual(
      [...reached].toSorted(),
    );
    for (const path of ['/login/../package.json', '/login/noble/sha2.js', '/login/', '/login']) {
      expect(node.login.asset(path)).toBeUndefined();
    }
  });

  test.each(['alice.os', 'a.os', '1234567', '12345678'])(
    'N43 the browser hashes as the node does, for %s',
    async (name) => {
      const folder = await mkdtemp(join(tmpdir(), 'hyperloom-login-'));
      try {
        const noble = new URL('.', import.meta.resolve('@noble/hashes/argon2.js'));
        await cp(noble, join(folder, 'noble'), {
          recursive: true,
          filter: (path) => !/\/(src|node_modules\/.*\/node_modules)$/.test(path),
        });
        await copyFile(
          new URL('./page/password-hash.js', import.meta.url),
          join(folder, 'password-hash.js'),
        );
        const module = (await import(
          /* @vite-ignore */ pathToFileURL(join(folder, 'password-hash.js')).href
        )) as { hashPassword: typeof hashPassword };
        const password = 'pässwörd 💡';
        expect(await module.hashPassword(password, name)).toBe(await hashPassword(password, name));
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );
});

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
    expect(node.identity.tried).toEqual([HASH]);
  });

  test('F22 M165 over TLS the cookie is secure', async () => {
    const answer = await node.login.submit(direct({ proto: 'https' }));
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
    expect(node.identity.tried).toEqual([]);
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
    expect(await node.login.submit(direct({ contentLength: undefined }))).toBeUndefined();
    const body = (length: number): string =>
      JSON.stringify({ password_hash: HASH }).padEnd(length, ' ');
    expect((await logIn({ body: body(LOGIN_BYTES_MAX) })).status).toBe(200);
    expect((await logIn({ body: body(LOGIN_BYTES_MAX + 1) })).status).toBe(404);
    expect(node.identity.tried).toHaveLength(1);
  });

  test('M152 a redirect: 303 with the host and port asked for', async () => {
    const heard = await logIn({}, '/login?redirect=/p:k:q%3Fa=1');
    expect(heard.status).toBe(303);
    expect(heard.headers.location).toBe(`http://localhost:${node.port}/p:k:q?a=1`);
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
      const answer = await node.login.submit(direct({ redirect: path }));
      expect(answer?.status).toBe(400);
      expect(node.identity.tried).toEqual([]);
    },
  );

  test('M152 a path with other letters is encoded', () => {
    expect(localPath('/ü/💡?q=%20#f')).toBe('/%C3%BC/%F0%9F%92%A1?q=%20#f');
    expect(localPath('/')).toBe('/');
  });

  test('H7 without a host, or with nonsense for one, it still answers', async () => {
    for (const host of ['', 'a\r\nb', '"><', '[', 'a:b:c']) {
      const answer = await node.login.submit(direct({ host, redirect: '/x' }));
      expect(answer?.headers.every(([, value]) => !/[\r\n]/.test(value))).toBe(true);
    }
  });

  test('M166 neither the hash nor the password is in what is printed or answered', async () => {
    const wrong = HASH.replace('f', 'e');
    const heard = await logIn({ body: { password_hash: wrong } });
    const told = [...node.printed, heard.body, JSON.stringify(heard.headers)].join('\n');
    expect(node.printed.join()).toContain('wrong password');
    expect(told).not.toContain(wrong.slice(2, 20));
  });
});

describe('on a subdomain', () => {
  const host = (): string => `app-store-sys.localhost:${node.port}`;

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
      expect(node.identity.tried).toEqual([]);
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
      node.login.pageHeaders(at).find(([name]) => name === 'Content-Security-Policy')![1];
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
    expect(node.identity.tried).toEqual([]);
  });

  test('F21 its own pages and programs may', async () => {
    const own = [
      {},
      { 'Sec-Fetch-Site': 'same-origin', Origin: `http://localhost:${node.port}` },
      { 'Sec-Fetch-Site': 'none' },
      { Origin: `http://localhost:${node.port}` },
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

describe('how often', () => {
  test('H9 F33 10,000 bad logins: few are tried, all are answered, and the owner gets in', async () => {
    let refused = 0;
    for (let n = 0; n < 10_000; n += 1) {
      const answer = await node.login.submit(
        direct({ peer: '203.0.113.7' }, { password_hash: `0x${n}` }),
      );
      if (answer?.status === 429) refused += 1;
    }
    expect(refused).toBe(10_000 - FAILURES_FREE);
    expect(node.identity.tried).toHaveLength(FAILURES_FREE);
    expect((await node.login.submit(direct({ peer: '192.168.1.9' })))?.status).toBe(200);
    // From the same address, as behind a proxy that was not declared: after one short wait.
    node.nowMs += 1_000;
    expect((await node.login.submit(direct({ peer: '203.0.113.7' })))?.status).toBe(200);
  });

  test('H9 too many: 429, and when to come back', async () => {
    const wrong = { body: { password_hash: '0x' } };
    for (let n = 0; n < FAILURES_FREE; n += 1) expect((await logIn(wrong)).status).toBe(500);
    const heard = await logIn();
    expect(heard.status).toBe(429);
    expect(heard.headers['retry-after']).toBe('1');
    expect(heard.body).toBe('"Too many attempts. Try again in 1 second."');
    expect(node.identity.tried).toHaveLength(FAILURES_FREE);
    node.nowMs += 1_000;
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
    const app = `app-store-sys.localhost:${node.port}`;
    const base = pairOf(await logIn());
    const store = pairOf(await logIn({ host: app }));
    expect(await ask('localhost', base)).toBe(true);
    expect(await ask('localhost', store)).toBe(false);
    expect(await ask(app, store)).toBe(true);
    expect(await ask(app, base)).toBe(false);
  });
});

test('the page has the mark and the colours of the homepage', async () => {
  const homepage = new URL('../../../processes/homepage/', import.meta.url);
  const page = new URL('./page/', import.meta.url);
  const [ourMark, mark, ours, theirs] = await Promise.all(
    [
      new URL('icon.svg', page),
      new URL('ui/icon.svg', homepage),
      new URL('page.css', page),
      new URL('pkg/hyperware.css', homepage),
    ].map((url) => readFile(url, 'utf8')),
  );
  expect(ourMark).toBe(mark);
  const tokens = ours!.match(/^ *--hw-.*;$/gm);
  expect(tokens?.length).toBeGreaterThan(10);
  expect(tokens?.filter((token) => !theirs!.includes(token))).toEqual([]);
});

test('the page is small', async () => {
  const own = ['page.html', 'page.css', 'page.js', 'password-hash.js', 'theme.js', 'icon.svg'];
  const sizes = await Promise.all(
    own.map(async (name) => (await readFile(new URL(`./page/${name}`, import.meta.url))).length),
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(20_000);
});

/** A login handed in without a socket. */
function direct(over: Partial<LoginRequest>, body: object = { password_hash: HASH }): LoginRequest {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return {
    host: 'localhost:8080',
    proto: 'http',
    redirect: undefined,
    contentLength: bytes.length,
    origin: undefined,
    secFetchSite: undefined,
    peer: '127.0.0.1',
    body: () => Promise.resolve(bytes),
    ...over,
  };
}
