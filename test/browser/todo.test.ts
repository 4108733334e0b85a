/** The shared list in a real Chromium: two pages of one owner, on a kernel with the real http-server. */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { buildPackage } from '../../kit/build/package.ts';
import { startChromium } from '../support/chromium.ts';
import { missing } from '../support/tools.ts';
import { SESSION, webNode, type WebNode } from '../support/web-node.ts';

const FOLDER = fileURLToPath(new URL('../../processes/todo', import.meta.url));
const PROCESS = 'todo:todo:sys';
const CONNECTED = '.state[data-state="ok"]';

let browser: Browser | undefined;
let node: WebNode;
let context: BrowserContext;
let one: Page;
let two: Page;
/** What the browser complained about, such as a breach of the page's policy. */
let complaints: string[];

beforeAll(async () => {
  browser = await startChromium();
  await buildPackage(FOLDER);
}, 120_000);
afterAll(() => browser?.close());

beforeEach(async (testing) => {
  if (browser === undefined) missing(testing, 'chromium', 'Chromium is not installed');
  const pkg = join(FOLDER, 'pkg');
  node = await webNode({
    process: PROCESS,
    component: await readFile(join(pkg, 'todo.wasm')),
    files: (root) => cp(pkg, join(root, 'todo:sys', 'pkg'), { recursive: true }),
  });
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(20_000);
  await context.addCookies([{ ...SESSION, url: at('') }]);
  complaints = [];
  // The file that is bound last.
  const ready = async (): Promise<void> =>
    expect(await (await context.request.get(at('/widget.html'))).text()).toContain('data-view');
  await vi.waitFor(ready, { timeout: 20_000, interval: 50 });
  // With and without a slash, the page finds its files.
  one = await open('');
  two = await open('/');
});
afterEach(async () => {
  await context.close();
  await node[Symbol.asyncDispose]();
  expect(complaints).toEqual([]);
});

function at(path: string): string {
  return `http://127.0.0.1:${node.port}/${PROCESS}${path}`;
}

async function open(path: string): Promise<Page> {
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // This node has no homepage, whose style the page does without.
    const expected = message.location().url.endsWith('/hyperware.css');
    if (message.type() === 'error' && !expected) complaints.push(message.text());
  });
  const connected = page.locator(`${CONNECTED}, .widget ul, .widget .empty:not([aria-busy])`);
  await page.goto(at(path));
  await connected.first().waitFor();
  return page;
}

async function add(page: Page, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await page.fill('#new', text);
    await page.keyboard.press('Enter');
  }
}

const textsOf = (page: Page): Promise<string[]> => page.locator('.row .text').allTextContents();

async function shows(page: Page, ...texts: readonly string[]): Promise<void> {
  await expect.poll(() => textsOf(page), { timeout: 20_000 }).toEqual(texts);
}

test('what one page does, the other shows: add, check, edit, reorder, remove and undo', async () => {
  await add(one, 'milk', 'bread', 'tea');
  await shows(two, 'milk', 'bread', 'tea');

  await two.getByRole('checkbox', { name: 'bread' }).check();
  await expect
    .poll(() => one.locator('[data-done="true"] .text').allTextContents())
    .toEqual(['bread']);

  await one.getByRole('button', { name: 'Edit “milk”' }).click();
  await one.keyboard.type('oat milk');
  await one.keyboard.press('Enter');
  await shows(two, 'oat milk', 'bread', 'tea');
  await one.getByRole('button', { name: 'Edit “tea”' }).click();
  await one.keyboard.type('never mind');
  await one.keyboard.press('Escape');

  // By keyboard; the handle keeps the focus.
  await one.getByRole('button', { name: /^Move “tea”/ }).focus();
  await one.keyboard.press('ArrowUp');
  await shows(two, 'oat milk', 'tea', 'bread');
  await one.keyboard.press('ArrowUp');
  await shows(two, 'tea', 'oat milk', 'bread');

  // By dragging.
  const handle = await two.getByRole('button', { name: /^Move “tea”/ }).boundingBox();
  const last = await two.locator('.row').nth(2).boundingBox();
  await two.mouse.move(handle!.x + 10, handle!.y + 10);
  await two.mouse.down();
  await two.mouse.move(last!.x + 10, last!.y + last!.height - 4, { steps: 4 });
  await two.mouse.up();
  await shows(one, 'oat milk', 'bread', 'tea');

  await one.getByRole('button', { name: 'Remove “oat milk”' }).click();
  await shows(two, 'bread', 'tea');
  await one.getByRole('button', { name: 'Undo' }).click();
  await shows(two, 'oat milk', 'bread', 'tea');

  await two.locator('.filters').getByText('Open').click();
  await shows(two, 'oat milk', 'tea');
  await one.getByRole('button', { name: 'Remove what is done' }).click();
  await shows(one, 'oat milk', 'tea');
});

test('a page that was off line catches up, and what it did meanwhile is not lost', async () => {
  await add(one, 'first');
  await shows(two, 'first');
  await context.setOffline(true);
  await add(one, 'off line');
  await context.setOffline(false);
  await shows(two, 'first', 'off line');
  await one.locator(CONNECTED).waitFor();
});

test('the widget shows what is open, and checks it off', async () => {
  await add(one, 'milk', 'bread');
  const widget = await open('/widget.html');
  await expect.poll(() => widget.locator('li').allTextContents()).toEqual(['milk', 'bread']);
  await widget.getByRole('checkbox', { name: 'milk' }).click();
  await expect.poll(() => widget.locator('li').allTextContents()).toEqual(['bread']);
  await expect.poll(() => one.locator('[data-done="true"]').count()).toBe(1);
});

test('nobody without a session sees the list', async () => {
  await add(one, 'secret');
  const stranger = await browser!.newContext();
  for (const path of ['', '/export.txt', '/main.js']) {
    expect(await (await stranger.request.get(at(path))).text()).toBe('the login page');
  }
  await stranger.close();
});

test('nothing is cut off on a phone', async () => {
  await add(one, 'a very long text '.repeat(12), 'ein_Wort_ohne_Trennstellen'.repeat(6));
  await shows(two, ...(await textsOf(one)));
  await two.setViewportSize({ width: 390, height: 844 });
  const widths = await two.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(widths[0]).toBeLessThanOrEqual(widths[1]!);
});
