/** The homepage on a real node, in a real browser: what its owner does with it. */
import type { Browser, Response } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  BrowsedNode,
  eventually,
  overflow,
  requireBrowser,
  signIn,
  startChromium,
  visit,
  type Visitor,
} from './support.ts';

/** All that a first visit to every page fetches, compressed. */
const PAGE_BYTES_MAX = 100_000;

const APPS: readonly string[] = ['First', 'Second', 'Third'];

let node: BrowsedNode;
let browser: Browser | undefined;
let visitor: Visitor;

beforeAll(async () => {
  browser = await startChromium();
  if (browser === undefined) return;
  node = await BrowsedNode.start();
  for (const label of APPS) await addApp(label);
});
afterAll(async () => {
  await browser?.close();
  if (browser !== undefined) await node[Symbol.asyncDispose]();
});
beforeEach(async (test) => {
  visitor = await visit(requireBrowser(browser, test));
  return () => visitor[Symbol.asyncDispose]();
});

/** As a process of a package would: each script run is a process with a name of its own. `Add` is not answered. */
async function addApp(label: string, widget?: string): Promise<void> {
  const add = { label, path: '/', icon: null, widget: widget ?? null };
  node.enter(`m our@homepage:homepage:sys '${JSON.stringify({ Add: add })}'`);
  const listed = `m our@homepage:homepage:sys '"GetApps"' -a 5`;
  // The two scripts run beside each other: the listing may be the earlier one.
  for (let tries = 0; tries < 20; tries++) {
    const [answer] = await node.type(listed, /"GetApps":.*\n/);
    if (answer.includes(`"label":"${label}"`)) return;
  }
  throw new Error(`${label} is not listed`);
}

/** Of the apps of this file, in the order in which they stand. */
async function labels(): Promise<string[]> {
  const all = await visitor.page.locator('.tile-label').allTextContents();
  return all.filter((label) => APPS.includes(label));
}

test('P47 without a password one learns who the node is, and sees the login page', async () => {
  const { request } = visitor.context;
  const text = async (path: string): Promise<string> => (await request.get(node.url + path)).text();
  expect(await text('/our')).toBe('test.dev');
  expect(await text('/our.js')).toBe("window.our = {}; window.our.node = 'test.dev';");
  expect(await text('/amionline')).toBe('yes');
  expect(await text('/hyperware.css')).toContain('--hw-accent');
  for (const path of ['/', '/apps', '/processes', '/api/processes', '/api/logs', '/main.js']) {
    expect(await text(path), path).toContain('Password');
  }
  const killed = await request.post(`${node.url}/api/kill`, { data: { id: 'chat:chat:sys' } });
  expect(await killed.text()).toContain('Password');
  expect((await request.get(`${node.url}/ClashDisplay-Variable.woff2`)).status()).toBe(404);
});

test('after the password the apps are there, moved by keys and remembered', async () => {
  const { page, complaints } = visitor;
  await signIn(page, node);
  await page.locator('.tile-link').first().waitFor();
  expect(await labels()).toEqual(['First', 'Second', 'Third']);
  expect(await page.title()).toBe('Home · test.dev');
  const focused = page.locator(':focus .tile-label');
  await page.locator('.tile-link', { hasText: 'Second' }).focus();
  await page.keyboard.press('ArrowRight');
  expect(await focused.textContent()).toBe('Third');
  const saved = page.waitForResponse(/\/favorite$/);
  await page.keyboard.press('f');
  await saved;
  expect(await labels()).toEqual(['Third', 'First', 'Second']);
  await page.locator('.tile-link', { hasText: 'First' }).focus();
  // Apps that the node comes with may stand between the two.
  const all = await page.locator('.tile-label').allTextContents();
  const steps = all.indexOf('Second') - all.indexOf('First');
  expect(steps).toBeGreaterThan(0);
  for (let step = 0; step < steps; step += 1) {
    const ordered = page.waitForResponse(/\/order$/);
    await page.keyboard.press('Shift+ArrowRight');
    await ordered;
  }
  expect(await labels()).toEqual(['Third', 'Second', 'First']);
  expect(await focused.textContent()).toBe('First');
  await page.reload();
  await page.locator('.tile-link').first().waitFor();
  expect(await labels()).toEqual(['Third', 'Second', 'First']);
  expect(await page.locator('[data-section=favorites] .tile').count()).toBe(1);
  expect(complaints).toEqual([]);
});

test('processes are seen living, found, restarted and killed, each after a question', async () => {
  const { page, complaints } = visitor;
  await signIn(page, node, '/processes');
  const row = page.getByRole('row', { name: /^chat/ });
  await row.waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('chat');
  await eventually(() => page.locator('tbody tr').count()).toBe(1);
  await page.getByRole('link', { name: /^chat/ }).click();
  const panel = page.getByRole('complementary', { name: 'chat' });
  await panel
    .getByText('http-server:distro:sys')
    .or(panel.getByText('messaging'))
    .first()
    .waitFor();
  await eventually(() => panel.locator('canvas').count()).toBe(3);
  await panel.getByRole('button', { name: 'Restart…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await panel.getByRole('button', { name: 'Restart…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
  await panel.getByText('restarted by command').waitFor();
  await panel.getByRole('button', { name: 'Kill…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Kill' }).click();
  await panel.getByText('the node does not know it any more').waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('No process is found by “chat”').waitFor();
  const [printed] = await node.type('ps', /[^]* processes;/);
  expect(printed).not.toContain('chat:chat:sys');
  expect(complaints).toEqual([]);
});

test('what is printed is shown as it is printed, by level, process and text', async () => {
  const { page, complaints } = visitor;
  await signIn(page, node, '/logs');
  await page.locator('p.line').first().waitFor();
  await node.type('echo a line of its own', /a line of its own/);
  await page.getByText('a line of its own').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('of its own');
  await eventually(() => page.locator('p.line').count()).toBe(1);
  await page.getByRole('button', { name: 'Pause' }).click();
  await node.type('echo another of its own', /another of its own/);
  await page.getByText('Paused.').waitFor();
  expect(await page.locator('p.line').count()).toBe(1);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('another of its own').waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download' }).click();
  expect((await download).suggestedFilename()).toMatch(/^log-.*\.txt$/);
  expect(complaints).toEqual([]);
});

test('F21 another site cannot kill, however it asks', async () => {
  const { page, context } = visitor;
  await signIn(page, node);
  const cookies = await context.cookies();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  const kill = (headers: Record<string, string>): Promise<number> =>
    fetch(`${node.url}/api/kill`, {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/json', ...headers },
      body: '{"id":"nobody:at:all"}',
    }).then(({ status }) => status);
  expect(await kill({ 'sec-fetch-site': 'cross-site' })).toBe(403);
  expect(await kill({ origin: 'http://evil.example' })).toBe(403);
  expect(await kill({ origin: node.url, 'content-type': 'text/plain' })).toBe(415);
  expect(await kill({ origin: node.url })).toBe(404);
  expect(cookies.map(({ sameSite, httpOnly }) => [sameSite, httpOnly])).toEqual([['Strict', true]]);
});

test('all pages together weigh less than a photograph, on a phone and on a desk', async () => {
  const { page, complaints } = visitor;
  await signIn(page, node);
  const answers: Response[] = [];
  const collect = (response: Response): unknown => answers.push(response);
  page.on('response', collect);
  await page.reload();
  await page.locator('.tile-link').first().waitFor();
  for (const path of ['/processes?id=terminal:terminal:sys', '/logs', '/']) {
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 844 });
      await page.goto(node.url + path);
      await page
        .locator('.tile-link, .process-link, p.line')
        .first()
        .waitFor({ state: 'attached' });
      expect(await overflow(page), `${path} at ${width}`).toBeLessThanOrEqual(0);
    }
  }
  page.off('response', collect);
  const sizes = new Map<string, number>();
  for (const answer of answers) {
    const { pathname } = new URL(answer.url());
    // Apps are as large as they like, and so are their icons and widgets.
    if (/^\/(apps$|widget$|[^/]+:)/.test(pathname)) continue;
    const { responseBodySize } = await answer.request().sizes();
    sizes.set(pathname, Math.max(sizes.get(pathname) ?? 0, responseBodySize));
  }
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(PAGE_BYTES_MAX);
  expect(complaints).toEqual([]);
});

test('a widget runs its own scripts, in its own colours, and reaches nothing of the node', async () => {
  const { page, complaints } = visitor;
  await addApp(
    'Curious',
    '<b id=out>waiting</b><script>fetch("/apps").then(() => "in", () => "kept out").then((said) => { out.textContent = said; })</script>',
  );
  await signIn(page, node);
  const frame = page.frameLocator('iframe[title="Widget: Curious"]');
  await frame.getByText('kept out').waitFor();
  await page
    .frameLocator('iframe[title="Widget: Clock"]')
    .getByText(/\d:\d\d/)
    .waitFor();
  // The widget's own breach of its policy is what was asked for.
  expect(complaints.filter((text) => !text.includes('/apps'))).toEqual([]);
});

test('when the node is gone the page says so, and goes on by itself when it is back', async () => {
  const { page, complaints } = visitor;
  await signIn(page, node, '/processes');
  await page.locator('.process-link').first().waitFor();
  await node.stop();
  await page.getByText('The node does not answer').waitFor();
  expect(await page.locator('.process-link').count()).toBeGreaterThan(0);
  await node.again();
  await page.getByText('The node does not answer').waitFor({ state: 'hidden' });
  await page.getByRole('link', { name: /^chat/ }).waitFor();
  expect(complaints).toEqual([]);
});
