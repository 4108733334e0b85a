/** Logging in to a whole node and out of it, in a real Chromium and by programs that claim to be pages. */
import { request } from 'node:http';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashPassword } from '../../runtime-modules/identity/password.ts';
import {
  BrowsedNode,
  eventually,
  requireBrowser,
  signIn,
  startChromium,
  visit,
} from './support.ts';

const FIRST_BOOT_MS = 180_000;
const COOKIE = 'hyperware-auth_test.dev';

let browser: Browser | undefined;
let node: BrowsedNode;
beforeAll(async () => {
  [browser, node] = await Promise.all([
    startChromium({ names: ['lan.test'] }),
    BrowsedNode.start(),
  ]);
}, FIRST_BOOT_MS);
afterAll(async () => {
  await browser?.close();
  await node?.[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly cookies: readonly string[];
  readonly text: string;
}

/** Everything that a program can send, and that a page cannot leave out. */
function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request(`${node.url}${path}`, { method: 'POST', headers });
  sent.on('error', reject);
  sent.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        cookies: response.headers['set-cookie'] ?? [],
        text,
      }),
    );
  });
  // Its length is told: what has none is no login (M151).
  sent.setHeader('Content-Length', Buffer.byteLength(body));
  sent.end(body);
  return promise;
}

const login = (hash: string): string => JSON.stringify({ password_hash: hash, subdomain: null });

test('M148 M149 M156 F22 a login lasts: over pages, over a restart, until the logout', async (testing) => {
  await using visitor = await visit(requireBrowser(browser, testing));
  const { page, context, complaints } = visitor;
  await page.goto(`${node.url}/`);
  expect(await page.locator('h1').textContent()).toBe('test.dev');
  await page.getByText('any password works').waitFor();
  await signIn(page, node);
  // As the browser has it: no domain, so no subdomain gets it; gone when the browser is closed.
  expect(await context.cookies()).toMatchObject([
    {
      name: COOKIE,
      domain: 'localhost',
      path: '/',
      httpOnly: true,
      sameSite: 'Strict',
      secure: false,
      expires: -1,
    },
  ]);
  expect(await page.evaluate(() => document.cookie)).toBe('');

  await node.stop();
  await node.again();
  await page.goto(`${node.url}/todo:todo:sys/`);
  await eventually(() => page.title()).toBe('To do');
  // A widget tried to connect again while its app was still starting.
  complaints.length = 0;

  await page.goto(`${node.url}/`);
  await page.locator('.page').waitFor();
  // Widgets still loading would be refused after the logout.
  await page.waitForLoadState('networkidle');
  expect(await page.evaluate(async () => (await fetch('/logout', { method: 'POST' })).status)).toBe(
    204,
  );
  expect(await context.cookies()).toEqual([]);
  await page.goto(`${node.url}/todo:todo:sys/`);
  await page.getByLabel('Password').waitFor();
  expect(complaints).toEqual([]);
}, 90_000);

test('F21 pages and hosts of elsewhere log nobody in or out', async (testing) => {
  await using visitor = await visit(requireBrowser(browser, testing));
  const { page, context } = visitor;
  await signIn(page, node);
  const before = await context.cookies();
  const { port } = new URL(node.url);
  const hash = await hashPassword('any', 'test.dev');

  // Programs that claim to be pages of another site, or of another name for this machine.
  for (const headers of [
    { Origin: 'https://evil.example' },
    { Origin: 'null' },
    { Origin: `http://other.localhost:${port}` },
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site', Origin: node.url },
    { Host: `lan.test:${port}` },
    { Host: 'localhost.evil.example' },
  ]) {
    for (const path of ['/login', '/logout']) {
      const { status, cookies } = await post(path, login(hash), headers);
      expect([path, headers, status, cookies]).toEqual([path, headers, 403, []]);
    }
  }
  // A name that somebody pointed at this machine, in the browser that has the session.
  const rebound = await page.goto(`http://lan.test:${port}/`);
  expect(rebound?.status()).toBe(403);
  // A page of another origin that the node serves no login to, either.
  await page.goto(`data:text/html,<title>elsewhere</title>`);
  await page.evaluate(async (url) => {
    const forged = { method: 'POST', mode: 'no-cors', credentials: 'include' } as const;
    await Promise.allSettled([fetch(`${url}/logout`, forged), fetch(`${url}/login`, forged)]);
    const form = document.createElement('form');
    Object.assign(form, { method: 'post', action: `${url}/logout` });
    document.body.append(form);
    form.submit();
  }, node.url);
  await page.waitForURL(`${node.url}/logout`);
  expect(await context.cookies()).toEqual(before);
  await page.goto(`${node.url}/todo:todo:sys/`);
  await eventually(() => page.title()).toBe('To do');
});

test('M150 M151 what is no login is refused in words', async () => {
  const refused = async (path: string, body: string): Promise<[number, string]> => {
    const { status, text } = await post(path, body);
    return [status, text];
  };
  expect(await refused('/login', 'nonsense')).toEqual([400, '"Failed to parse login info"']);
  expect(await refused('/login?redirect=//evil.example/', login('0x0'))).toEqual([
    400,
    '"The redirect is not a path of this node."',
  ]);
});

test('the demo app: two windows show one list, and the homepage its widget', async (testing) => {
  await using visitor = await visit(requireBrowser(browser, testing));
  const { page, context, complaints } = visitor;
  await signIn(page, node);
  const other = await context.newPage();
  for (const window of [page, other]) {
    await window.goto(`${node.url}/todo:todo:sys/`);
    await window.locator('.state[data-state="ok"]').waitFor();
  }
  await page.getByPlaceholder('What is to be done?').fill('Water the plants');
  await page.keyboard.press('Enter');
  await other.getByText('Water the plants').waitFor();
  await page.goto(`${node.url}/`);
  const widget = page.frameLocator('iframe[title="Widget: To do"]');
  await widget.getByRole('checkbox', { name: 'Water the plants' }).click();
  await other.locator('[data-done="true"]').waitFor();
  expect(complaints).toEqual([]);
}, 60_000);
