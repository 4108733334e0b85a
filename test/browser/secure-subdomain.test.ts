/**
 * What keeps two packages apart, in a real Chromium: `evil:b.os` tries everything a page can on `bank:a.os`, which has bound its pages,
 * API and socket securely. On a whole node at localhost, and with a registered identity at names of a network.
 */
import { createSecretKey } from 'node:crypto';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildComponent } from '../../kit/build/component.ts';
import { developmentIdentity } from '../../runtime-modules/identity/development.ts';
import { issueToken } from '../../runtime-modules/identity/jwt.ts';
import { SERVES } from '../support/installed.ts';
import { RegisteredNode, REGISTERED_NAME } from '../support/registered-node.ts';
import {
  allBound,
  BrowsedNode,
  eventually,
  PAGE_TIMEOUT_MS,
  requireBrowser,
  startChromium,
} from './support.ts';

const BANK = '/bank:bank:a.os';
const EVIL = '/evil:evil:b.os';
const PASSWORD = 'correct horse';
const FIRST_BOOT_MS = 180_000;

/** Where a node is, and what its packages have printed. */
interface World {
  readonly name: string;
  /** Of pages; without a port. */
  readonly host: string;
  readonly port: number;
  readonly printed: () => string;
}

let browser: Browser | undefined;
let node: BrowsedNode;
let registered: RegisteredNode;
const worlds = new Map<string, World>();
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  const component = await buildComponent(
    fileURLToPath(new URL('../guests/site.ts', import.meta.url)),
  );
  registered = await RegisteredNode.start(PASSWORD);
  const packages = ['bank:a.os', 'evil:b.os'].map((id) => ({ id, component, ...SERVES }));
  for (const { id } of packages) await registered.run(`${id.split(':')[0]}:${id}`, component);
  node = await BrowsedNode.start({ packages });
  const of = (name: string, host: string): World => ({
    name,
    host,
    port: registered.port,
    printed: () => registered.printed,
  });
  worlds.set('node.test', of(REGISTERED_NAME, 'node.test'));
  worlds.set('lan.test', of(REGISTERED_NAME, 'lan.test'));
  const port = Number(new URL(node.url).port);
  worlds.set('localhost', {
    name: 'test.dev',
    host: 'localhost',
    port,
    printed: () => node.output,
  });
  browser = await startChromium({
    names: ['node.test', '*.node.test', 'lan.test', '*.lan.test'],
    // As with TLS: the browser says there which site a request comes from. `lan.test` is without.
    secureOrigins: ['bank-a-os.', 'evil-b-os.', ''].map(
      (label) => `http://${label}node.test:${registered.port}`,
    ),
  });
  for (const world of worlds.values())
    for (const path of [BANK, EVIL]) await allBound(`http://localhost:${world.port}${path}`);
}, FIRST_BOOT_MS);
afterAll(async () => {
  await browser?.close();
  await node?.[Symbol.asyncDispose]();
  await registered?.[Symbol.asyncDispose]();
});
beforeEach(async (testing) => {
  context = await requireBrowser(browser, testing).newContext();
  page = await context.newPage();
  page.setDefaultTimeout(PAGE_TIMEOUT_MS);
});
afterEach(() => context.close());

const at = ({ host, port }: World, label: string, path: string): string =>
  `http://${label === '' ? '' : `${label}.`}${host}:${port}${path}`;

async function signedIn(url: string, title: string): Promise<void> {
  await page.goto(url);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForFunction((wanted) => document.title === wanted, title);
}

/** What reached a process while `work` was done. */
async function reached(world: World, work: () => Promise<unknown>): Promise<string[]> {
  const before = world.printed().length;
  await work();
  // Whatever was on its way is printed before this is.
  const mark = `/open?${before}`;
  await fetch(`http://localhost:${world.port}${EVIL}${mark}`);
  await eventually(() => world.printed().slice(before)).toMatch(/served GET \/open/);
  return Array.from(
    world
      .printed()
      .slice(before)
      .matchAll(/served (\S+ \S+)/g),
    ([, what = '']) => what,
  ).filter((what) => what !== 'GET /open');
}

/** All that the script of a page can try on an address but to open it in a window or a frame. */
async function attack(url: string, socketUrl: string): Promise<void> {
  await page.evaluate(
    async ([target, live]) => {
      const ended = (element: HTMLElement): Promise<unknown> =>
        new Promise((resolve) => {
          element.addEventListener('load', resolve);
          element.addEventListener('error', resolve);
          document.body.append(element);
        });
      const post = { method: 'POST', body: 'x', credentials: 'include' } as const;
      const frame = Object.assign(document.createElement('iframe'), { name: 'target' });
      document.body.append(frame);
      const form = Object.assign(document.createElement('form'), {
        method: 'post',
        action: target,
        target: 'target',
      });
      document.body.append(form);
      await Promise.allSettled([
        fetch(target, { credentials: 'include' }),
        fetch(target, { credentials: 'include', mode: 'no-cors' }),
        fetch(target, post),
        fetch(target, { ...post, mode: 'no-cors' }),
        fetch(target, { ...post, method: 'DELETE' }),
        ended(Object.assign(document.createElement('img'), { src: target })),
        ended(Object.assign(document.createElement('script'), { src: target })),
        new Promise((resolve) => {
          const socket = new WebSocket(live);
          socket.addEventListener('error', resolve);
          socket.addEventListener('open', resolve);
        }),
        new Promise((resolve) => {
          frame.addEventListener('load', resolve);
          form.submit();
        }),
      ]);
    },
    [url, socketUrl] as const,
  );
}

const attackBank = (world: World): Promise<void> =>
  attack(
    at(world, 'bank-a-os', `${BANK}/api`),
    at(world, 'bank-a-os', `${BANK}/live`).replace('http', 'ws'),
  );

/** Signed in everywhere; on the page of `evil`. */
async function everywhere(world: World): Promise<void> {
  await signedIn(at(world, '', `${BANK}/`), 'bank:bank:a.os /');
  expect(page.url()).toBe(at(world, 'bank-a-os', `${BANK}/`));
  await signedIn(at(world, '', `${EVIL}/plain`), 'evil:evil:b.os /plain');
  await signedIn(at(world, '', `${EVIL}/`), 'evil:evil:b.os /');
}

test.each(['localhost', 'node.test', 'lan.test'])(
  'H12 M158 M161 M163 F21 on %s a page of one package does nothing in another, which itself does all of it',
  async (host) => {
    const world = worlds.get(host)!;
    const home = at(world, 'evil-b-os', `${EVIL}/`);
    await everywhere(world);
    // On a secure subdomain of its own, then where packages without one are.
    for (const from of [home, at(world, '', `${EVIL}/plain`)]) {
      await page.goto(from);
      const what = await reached(world, () => attackBank(world));
      // Without TLS a browser does not say where a plain GET comes from: it gets there, and no page gets its answer.
      expect(what.filter((each) => host !== 'lan.test' || each !== 'GET /api')).toEqual([]);
    }
    await page.goto(home);
    await unframed(world);
    await untossed(world);
    await page.goto(at(world, 'bank-a-os', `${BANK}/`));
    expect(await page.title()).toBe('bank:bank:a.os /');
    const own = await reached(world, () => attackBank(world));
    expect(new Set(own)).toEqual(new Set(['GET /api', 'POST /api', 'DELETE /api', 'SOCKET /live']));
    // Following a link is no call: the query goes along, and the page is for whoever looks at it.
    await page.goto(`${at(world, '', `${BANK}/api`)}?to=evil%26&amount=1`);
    expect(page.url()).toBe(`${at(world, 'bank-a-os', `${BANK}/api`)}?to=evil%26&amount=1`);
    // Nobody is handed the session.
    expect(world.printed()).not.toContain('hyperware-auth');
  },
  60_000,
);

/** In a frame it is not read, and not even shown, as it could be laid over. */
async function unframed(world: World): Promise<void> {
  const read = await page.evaluate(
    async (src) => {
      const frame = Object.assign(document.createElement('iframe'), { src });
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      await loaded;
      return frame.contentDocument?.title;
    },
    at(world, 'bank-a-os', `${BANK}/`),
  );
  expect(read).toBeUndefined();
  const framed = page.frames().find((frame) => frame !== page.mainFrame());
  // What Chromium calls the page that says so.
  expect(await framed?.title()).toBe(`bank-a-os.${world.host}`);
}

/** Tossed cookies hide no session, and what is posted to `/login` and `/logout` changes none. */
async function untossed(world: World): Promise<void> {
  await page.evaluate(
    ([name, domain]) => {
      for (const path of ['/', '/bank:bank:a.os'])
        document.cookie = `${name}=tossed; domain=${domain}; path=${path}`;
    },
    [`hyperware-auth_${world.name}@bank-a-os`, world.host] as const,
  );
  const bank = at(world, 'bank-a-os', BANK);
  const before = await context.cookies(bank);
  const body = '{"password_hash":"0x"}';
  for (const path of ['/login', '/logout']) {
    await page.evaluate(
      ([url, text]) =>
        fetch(url, { method: 'POST', credentials: 'include', mode: 'no-cors', body: text }).catch(
          () => undefined,
        ),
      [at(world, 'bank-a-os', path), body] as const,
    );
  }
  expect(await context.cookies(bank)).toEqual(before);
}

test('M153 M154 M155 M161 a token of nobody, of another key, another time or another subdomain opens nothing', async () => {
  const world = worlds.get('localhost')!;
  const { sessionSecret } = await developmentIdentity(node.home, undefined);
  const key = sessionSecret.reveal();
  const label = 'bank-a-os';
  const good = { username: 'test.dev', subdomain: label, expiration: 4_000_000_000 };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const titleWith = async (token: string, name = `test.dev@${label}`): Promise<string> => {
    const text = await get(at(world, '', `${BANK}/api`), `${label}.localhost:${world.port}`, {
      Cookie: `theme=dark; hyperware-auth_${name}=${token}; x=y`,
    });
    return /<title>(.*)<\/title>/.exec(text)?.[1] ?? text;
  };
  // The login page has the node's name.
  const closed = 'test.dev';
  expect(await titleWith(issueToken(key, good))).toBe('bank:bank:a.os /api');
  const stranger = createSecretKey(new Uint8Array(32).fill(7));
  const signature = issueToken(key, good).split('.')[2];
  for (const [what, token] of [
    ['unsigned', `${part({ alg: 'none' })}.${part(good)}.`],
    ['unsigned with a signature', `${part({ alg: 'none' })}.${part(good)}.${signature}`],
    ['of another key', issueToken(stranger, good)],
    ['expired', issueToken(key, { ...good, expiration: 1_000_000_000 })],
    ['of another subdomain', issueToken(key, { ...good, subdomain: 'evil-b-os' })],
    ["the node's own", issueToken(key, { ...good, subdomain: null })],
    ['of another node', issueToken(key, { ...good, username: 'other.dev' })],
    ['nothing', ''],
  ] as const)
    expect([what, await titleWith(token)]).toEqual([what, closed]);
  expect(await titleWith(issueToken(key, { ...good, subdomain: null }), 'test.dev')).toBe(closed);
});

function get(url: string, host: string, headers: Record<string, string>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request(url, { headers: { ...headers, Host: host } }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.on('end', () => resolve(text));
  })
    .on('error', reject)
    .end();
  return promise;
}
