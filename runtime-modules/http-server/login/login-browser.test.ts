/** The login page, and what keeps packages apart, in a real Chromium. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startChromium } from '../../../test/support/chromium.ts';
import { missing } from '../../../test/support/tools.ts';
import { hashPassword } from '../../identity/password.ts';
import { Harness, TestIdentity } from './login-harness.ts';

const STORE = '/main:app-store:sys';
const EVIL = '/main:evil:x.os';

const FRONT = {
  process: 'homepage:homepage:sys',
  authenticated: false,
  secure: false,
  html: '<title>front</title>',
};

let node: Harness;
let browser: Browser | undefined;
let context: BrowserContext;
let page: Page;
/** What the browser complained about, such as a breach of the page's policy. */
const complaints: string[] = [];

beforeAll(async () => {
  node = await Harness.start(
    new TestIdentity('alice.os', await hashPassword('correct horse', 'alice.os')),
  );
  const bind = (path: string, authenticated: boolean, secure: boolean, html: string): unknown =>
    node.paths.set(path, { process: path.split('/')[1]!, authenticated, secure, html });
  node.paths.set('/', FRONT);
  bind('/p:k:q', true, false, '<title>inside</title>');
  bind('/p:k:q/links', false, false, '<title>links</title>');
  bind(STORE, true, true, '<title>store</title>');
  bind(`${STORE}/api`, true, true, '<title>api</title>');
  bind(EVIL, true, true, '<title>evil app</title>');
  bind(`${EVIL}/open`, false, false, '<title>evil</title>');
  browser = await startChromium({
    names: ['node.test', '*.node.test', 'lan.test', '*.lan.test', 'elsewhere.test'],
    secureOrigins: ['app-store-sys.', 'evil-x-os.', ''].map(
      (label) => `http://${label}node.test:${node.port}`,
    ),
  });
});
afterAll(async () => {
  await browser?.close();
  await node[Symbol.asyncDispose]();
});

beforeEach(async (test) => {
  if (browser === undefined) missing(test, 'chromium', 'Chromium is not installed');
  context = await browser.newContext();
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
  complaints.length = 0;
  node.served.length = 0;
  node.nowMs += 10_000_000;
  page.on('console', (message) => {
    // A refusal by status is what some tests are about.
    if (message.type() === 'error' && !message.text().includes('the server responded with'))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
});
afterEach(() => context?.close());

const at = (host: string, path: string): string => `http://${host}:${node.port}${path}`;

async function signIn(url: string, password = 'correct horse'): Promise<void> {
  await page.goto(url);
  await page.locator('#password').fill(password);
  await page.locator('#submit').click();
}

async function signedIn(url: string, title: string): Promise<void> {
  await signIn(url);
  await page.waitForFunction((wanted) => document.title === wanted, title);
}

/** Everything that the script of a page can try on an address, told apart by what the node let through. */
async function attack(url: string): Promise<string[]> {
  node.served.length = 0;
  await page.evaluate(async (target) => {
    const tries = [
      fetch(target, { credentials: 'include', mode: 'no-cors' }),
      fetch(target, { credentials: 'include' }),
      fetch(target, { credentials: 'include', mode: 'no-cors', method: 'POST', body: 'x' }),
      new Promise((resolve) => {
        const socket = new WebSocket(target.replace('http', 'ws'));
        socket.addEventListener('error', resolve);
      }),
      new Promise((resolve) => {
        const script = document.createElement('script');
        script.addEventListener('load', resolve);
        script.addEventListener('error', resolve);
        script.src = target;
        document.head.append(script);
      }),
      new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.name = `to ${target}`;
        document.body.append(frame);
        const form = document.createElement('form');
        Object.assign(form, { action: target, method: 'post', target: frame.name });
        document.body.append(form);
        frame.addEventListener('load', resolve);
        form.submit();
      }),
    ];
    await Promise.allSettled(tries);
  }, url);
  return [...node.served];
}

describe('signing in', () => {
  test('M148 M149 M165 a wrong password is told, the right one opens what was asked for', async () => {
    await signIn(at('localhost', '/p:k:q?a=1'), 'wrong');
    await page.locator('#problem').waitFor();
    expect(await page.locator('#problem').textContent()).toContain('not the password');
    await page.locator('#password').fill('correct horse');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.title === 'inside');
    expect(page.url()).toBe(at('localhost', '/p:k:q?a=1'));
    expect(await page.evaluate(() => document.cookie)).toBe('');
    expect(await context.cookies()).toMatchObject([
      {
        name: 'hyperware-auth_alice.os',
        domain: 'localhost',
        path: '/',
        httpOnly: true,
        sameSite: 'Strict',
        secure: false,
        expires: -1,
      },
    ]);
    expect(complaints).toEqual([]);
  });

  test.each(['localhost', '127.0.0.1', 'lan.test'])('F22 the cookie holds on %s', async (host) => {
    await signedIn(at(host, '/p:k:q'), 'inside');
    await page.goto(at(host, '/p:k:q'));
    expect(await page.title()).toBe('inside');
  });

  test('the fragment of an address survives', async () => {
    await signedIn(at('localhost', '/p:k:q#part'), 'inside');
    expect(page.url()).toBe(at('localhost', '/p:k:q#part'));
  });

  test('M152 under /login it goes where it was sent from, and never elsewhere', async () => {
    await signIn(at('localhost', '/login?redirect=/p:k:q'));
    await page.waitForFunction(() => document.title === 'inside');
    await signIn(at('localhost', '/login?redirect=//elsewhere.test/x'));
    await page.waitForURL(at('localhost', '/'));
  });

  test('H9 too many attempts are told, and the wait ends by itself', async () => {
    await page.goto(at('localhost', '/p:k:q'));
    await page.route('**/login', (route) =>
      route.fulfill({ status: 429, headers: { 'Retry-After': '1' }, json: 'Too many attempts.' }),
    );
    await page.locator('#password').fill('x');
    await page.locator('#submit').click();
    await page.locator('#problem').waitFor();
    expect(await page.locator('#problem').textContent()).toContain('Too many attempts');
    expect(await page.locator('#submit').isDisabled()).toBe(true);
    await page.locator('#submit:enabled').waitFor();
    expect(await page.locator('#submit').textContent()).toBe('Sign in');
  });

  test('it can be used by keyboard and by password managers, at every width', async () => {
    await page.setViewportSize({ width: 320, height: 640 });
    await page.goto(at('localhost', '/p:k:q'));
    await page.locator('#submit:enabled').waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('password');
    expect(await page.getByLabel('Password').getAttribute('autocomplete')).toBe('current-password');
    expect(await page.locator('[autocomplete=username]').inputValue()).toBe('alice.os');
    await page.keyboard.type('secret');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.locator('#password').getAttribute('type')).toBe('text');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
  });
});

describe('subdomains', () => {
  test.each(['localhost', 'node.test'])(
    'M158 M160 M161 M163 on %s a secure path has a login of its own',
    async (host) => {
      await signedIn(at(host, '/p:k:q'), 'inside');
      await page.goto(at(host, STORE));
      expect(page.url()).toBe(at(`app-store-sys.${host}`, STORE));
      expect(await page.locator('#about').textContent()).toBe('Sign in to open app-store-sys');
      await signedIn(at(host, STORE), 'store');
      expect(complaints).toEqual([]);
    },
  );

  test('M158 from 127.0.0.1 it is below localhost, and an address has a page that says why not', async () => {
    await page.goto(at('127.0.0.1', STORE));
    expect(page.url()).toBe(at('app-store-sys.localhost', STORE));
    await page.goto(at('localhost', '/login/by-name'));
    expect(await page.locator('h1').textContent()).toBe('This app needs a name');
  });

  test('a link from the front page finds the session that is there, without a password', async () => {
    await signedIn(at('localhost', STORE), 'store');
    await page.goto(at('localhost', '/p:k:q/links'));
    await page.evaluate(
      (target) => {
        document.body.innerHTML = `<a href="${target}">app</a>`;
      },
      at('app-store-sys.localhost', `${STORE}#part`),
    );
    await page.locator('a').click();
    await page.waitForFunction(() => document.title === 'store');
    expect(page.url()).toBe(at('app-store-sys.localhost', `${STORE}#part`));
  });

  test.each(['localhost', 'node.test'])(
    'H12 on %s the page of one package reaches no authenticated path of another',
    async (host) => {
      await signedIn(at(host, STORE), 'store');
      await signedIn(at(host, '/p:k:q'), 'inside');
      await signedIn(at(host, EVIL), 'evil app');
      const target = at(`app-store-sys.${host}`, `${STORE}/api`);
      expect(await attack(target)).toEqual([]);
      expect(await attack(at(host, '/p:k:q'))).toEqual([]);
      // From the origin that packages without a subdomain share.
      await page.goto(at(host, '/p:k:q'));
      expect(await attack(target)).toEqual([]);
      // And from its own page all of it gets through: the attack is a real one.
      await page.goto(at(`app-store-sys.${host}`, STORE));
      expect(new Set((await attack(target)).map((line) => line.split(' ')[0]))).toEqual(
        new Set(['GET', 'POST', 'UPGRADE']),
      );
    },
  );

  test('F21 over plain HTTP in a local network nothing that changes anything gets through', async () => {
    await signedIn(at('lan.test', STORE), 'store');
    await signedIn(at('lan.test', EVIL), 'evil app');
    const served = await attack(at('app-store-sys.lan.test', `${STORE}/api`));
    expect(served.filter((line) => !line.startsWith('GET'))).toEqual([]);
  });

  test.each(['localhost', 'node.test'])(
    'M162 on %s an open page of another package runs outside of the origin it is under',
    async (host) => {
      await signedIn(at(host, STORE), 'store');
      await page.goto(at(`app-store-sys.${host}`, `${EVIL}/open`));
      expect(await page.title()).toBe('evil');
      expect(await page.evaluate(() => self.origin)).toBe('null');
      expect(await attack(at(`app-store-sys.${host}`, `${STORE}/api`))).toEqual([]);
    },
  );

  test('H12 cookies tossed by a sibling subdomain hide no session', async () => {
    await signedIn(at('node.test', STORE), 'store');
    await signedIn(at('node.test', EVIL), 'evil app');
    await page.evaluate(() => {
      for (const name of ['app-store-sys', 'main:app-store:sys']) {
        document.cookie = `hyperware-auth_alice.os@${name}=tossed; domain=node.test; path=/main:app-store:sys`;
      }
    });
    expect((await context.cookies()).filter((cookie) => cookie.value === 'tossed')).toHaveLength(2);
    await page.goto(at('app-store-sys.node.test', STORE));
    expect(await page.title()).toBe('store');
  });
});

test('F21 the page of another site logs nobody in or out', async () => {
  await using made = await Harness.start(new TestIdentity('fake.dev', '', { development: true }));
  const { port } = made;
  made.paths.set('/', FRONT);
  await page.goto(`http://localhost:${port}/login`);
  await page.locator('#password').fill('anything');
  await page.locator('#submit').click();
  await page.waitForURL(`http://localhost:${port}/`);
  const before = await context.cookies();
  expect(before).toHaveLength(1);

  await page.goto(at('elsewhere.test', '/p:k:q/links'));
  await page.evaluate(async (host) => {
    const post = { method: 'POST', credentials: 'include', mode: 'no-cors' } as const;
    await Promise.allSettled([
      fetch(`${host}/logout`, post),
      fetch(`${host}/login`, { ...post, body: '{"password_hash":"0x"}' }),
    ]);
  }, `http://localhost:${port}`);
  expect(await context.cookies()).toEqual(before);
  expect(made.identity.tried).toHaveLength(1);

  // A name of the attacker's that leads to this machine (DNS rebinding): the same origin to the browser, and still refused.
  await page.goto(`http://elsewhere.test:${port}/login`);
  await page.locator('#password').fill('anything');
  await page.locator('#submit').click();
  await page.locator('#problem').waitFor();
  expect(await page.locator('#problem').textContent()).toContain('localhost only');
  expect(await context.cookies()).toEqual(before);
});
