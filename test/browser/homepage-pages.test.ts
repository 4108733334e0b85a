/** The pages of the homepage in a real browser, with a node that is made up: states that a real one is rarely in. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildUi } from '../../kit/build/ui.ts';
import homepage from '../../processes/homepage/homepage/index.ts';
import { processId } from '../../wit/address.ts';
import { ServedProcess } from './served-process.ts';
import {
  eventually,
  overflow,
  requireBrowser,
  startChromium,
  visit,
  type Visitor,
} from './support.ts';

const PACKAGE = fileURLToPath(new URL('../../processes/homepage', import.meta.url));
/** A host that is not localhost: apps open in place. */
const ELSEWHERE = 'node.test';

interface Use {
  state: string;
  cpu_ms: number;
  uptime_ms: number;
  restarts: number;
  last_end: string | null;
}

let folder: string;
let browser: Browser | undefined;
let node: ServedProcess;
let visitor: Visitor;
let page: Page;
const usage = new Map<string, Use>();

beforeAll(async () => {
  browser = await startChromium({ names: [ELSEWHERE] });
  if (browser === undefined) return;
  // A copy: other tests may be building the package meanwhile.
  folder = await mkdtemp(join(tmpdir(), 'homepage-pages-'));
  for (const part of ['ui', 'pkg/hyperware.css']) {
    await cp(join(PACKAGE, part), join(folder, part), { recursive: true });
  }
  await buildUi(folder);
});
afterAll(async () => {
  await browser?.close();
  if (browser !== undefined) await rm(folder, { recursive: true, force: true });
});

beforeEach(async (test) => {
  const chromium = requireBrowser(browser, test);
  usage.clear();
  node = await ServedProcess.start({
    module: homepage,
    id: processId('homepage:homepage:sys'),
    pkgFolder: join(folder, 'pkg'),
    kernel,
  });
  await come(chromium);
  return async () => {
    await visitor[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
  };
});

async function come(chromium: Browser, options?: BrowserContextOptions): Promise<void> {
  visitor = await visit(chromium, options);
  ({ page } = visitor);
}

function kernel(command: string): string | undefined {
  if (command === '{"Debug":"Usage"}') {
    const idle = { fuel: 0, memory_bytes: 1_048_576, messages_received: 0, messages_sent: 0 };
    const rest = { mailbox: 0, mailbox_bytes: 0, capabilities: 1, queued_operations: 0 };
    const all = [...usage].map(([id, use]) => {
      use.uptime_ms += 1_000;
      return [id, { ...idle, ...rest, ...use }];
    });
    return JSON.stringify({ Debug: { Usage: Object.fromEntries(all) as unknown } });
  }
  if (command.includes('"Logs"')) return '{"Debug":{"Logs":{"lines":[],"next":0}}}';
  if (!command.startsWith('{"Debug":{"Process"')) return undefined;
  return '{"Debug":{"Process":{"on_exit":"None","public":false,"capabilities":[]}}}';
}

const run = (id: string, more: Partial<Use> = {}): unknown =>
  usage.set(id, {
    state: 'running',
    cpu_ms: 0,
    uptime_ms: 0,
    restarts: 0,
    last_end: null,
    ...more,
  });

async function addApps(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    run(`${name}:${name}:sys`);
    await node.say(`${name}:${name}:sys`, { Add: { label: name, path: '/', icon: null } });
  }
}

async function goHome(host?: string): Promise<void> {
  await page.goto(node.url(host));
  await page.locator('.tile-link').first().waitFor();
}

const labels = (): Promise<string[]> => page.locator('ul .tile-label').allTextContents();
const tile = (name: string) => page.locator(`[data-tile="${name}:${name}:sys"]`);

test('a node without apps says how they come', async () => {
  await page.goto(node.url());
  await page.getByText('Apps appear here by themselves').waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('a tile is dragged among the others, and up to the favourites', async () => {
  await addApps('one', 'two', 'three', 'four');
  await goHome();
  const saved = page.waitForResponse(/\/favorite$/);
  await tile('three').dragTo(page.locator('.drop-hint'), { sourcePosition: { x: 40, y: 40 } });
  await saved;
  expect(await labels()).toEqual(['three', 'one', 'two', 'four']);
  const ordered = page.waitForResponse(/\/order$/);
  await tile('four').dragTo(tile('one'), { targetPosition: { x: 10, y: 40 } });
  await ordered;
  expect(await labels()).toEqual(['three', 'four', 'one', 'two']);
  expect(page.context().pages(), 'a drop opens nothing').toHaveLength(1);
  await page.reload();
  await page.locator('.tile-link').first().waitFor();
  expect(await labels()).toEqual(['three', 'four', 'one', 'two']);
  expect(visitor.complaints).toEqual([]);
});

test('an order that the node does not take is taken back, and said', async () => {
  await addApps('one', 'two');
  await goHome();
  node.instead.set('/order', { status: 500, body: '{"error":"the disk is full"}' });
  await tile('one').locator('.tile-link').focus();
  await page.keyboard.press('Shift+ArrowRight');
  await page.getByText('Not saved: the disk is full').waitFor();
  expect(await labels()).toEqual(['one', 'two']);
});

test('keys search, walk, open and show the options; a digit opens a tab on localhost', async () => {
  await addApps('one', 'two', 'three');
  await goHome();
  await page.keyboard.press('/');
  await page.keyboard.type('t');
  expect(await page.locator('.found-label').allTextContents()).toEqual([
    'twotwo:two:sys',
    'threethree:three:sys',
  ]);
  const opened = page.waitForEvent('popup');
  await page.keyboard.press('Enter');
  const two = await opened;
  expect(two.url()).toBe(`${node.url()}/two:two:sys/`);
  // As somebody who comes back from it: a page behind another one is drawn when the browser likes.
  await two.close();
  await page.bringToFront();
  await page.keyboard.press('Escape');
  const second = page.waitForEvent('popup');
  await page.keyboard.press('3');
  expect((await second).url()).toContain('/three:three:sys/');
  await page.keyboard.press('/');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('m');
  await page.locator('[role^=menuitem]:focus', { hasText: 'Add to favourites' }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.locator('[role^=menuitem]:focus', { hasText: 'Move left' }).waitFor();
  await page.keyboard.press('Escape');
  expect(await page.locator(':focus .tile-label').textContent()).toBe('one');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard help' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.keyboard.press('p');
  await page.getByRole('heading', { name: 'Processes' }).waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('elsewhere than on localhost an app opens in place and goes on running behind the home page', async () => {
  await addApps('one', 'two');
  await goHome(ELSEWHERE);
  await page.keyboard.press('1');
  const app = page.frameLocator('iframe[title="one"]');
  await app.getByText('at /one:one:sys/').waitFor();
  expect(page.url()).toBe(`${node.url(ELSEWHERE)}/#app-one:one:sys`);
  await app.locator('h1').evaluate((heading) => (heading.textContent = 'changed'));
  await page.goBack();
  await page.locator('.tile-link').first().waitFor();
  await page.keyboard.press('1');
  await app.getByText('changed').waitFor();
  await app
    .locator('h1')
    .evaluate(() => parent.postMessage({ type: 'OPEN_APP', id: 'two:two:sys' }, '*'));
  await page.frameLocator('iframe[title="two"]').getByText('at /two:two:sys/').waitFor();
  await page.goto(`${node.url(ELSEWHERE)}/#app-one:one:sys/some/where`);
  await page.reload();
  await app.getByText('at /one:one:sys/some/where').waitFor();
  await page.getByRole('button', { name: 'Close the app' }).click();
  await page.locator('.tile-link').first().waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('a node that is gone, a session that ended and a node that cannot answer are told apart', async () => {
  await addApps('one');
  await goHome();
  await page.goto(`${node.url()}/processes`);
  await page.getByRole('link', { name: /^one/ }).waitFor();
  node.mode = 'gone';
  await page.getByText('The node does not answer').waitFor();
  await page.getByRole('link', { name: /^one/ }).waitFor();
  node.mode = 'serving';
  await page.getByText('The node does not answer').waitFor({ state: 'hidden' });
  node.mode = 'login';
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  node.mode = 'serving';
  node.instead.set('/api/processes', {
    status: 503,
    body: '{"error":"kernel:distro:sys does not answer"}',
  });
  await page.goto(`${node.url()}/processes`);
  await page.getByText('kernel:distro:sys does not answer').waitFor();
  node.instead.clear();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('link', { name: /^one/ }).waitFor();
  await page.goto(`${node.url()}/logs`);
  await page.getByText('Nothing has been printed yet').waitFor();
  expect(visitor.complaints).toEqual([]);
});

test('CPU is the share of a core, rows are sorted by it, and why a process ended is there to be read', async () => {
  run('idle:a:sys');
  run('crashed:a:sys', { state: 'waiting', restarts: 3, last_end: 'trapped: unreachable' });
  run('vfs:distro:sys', { state: 'module' });
  run('busy:a:sys');
  const timer = setInterval(() => (usage.get('busy:a:sys')!.cpu_ms += 50), 100);
  try {
    await page.goto(`${node.url()}/processes`);
    const busy = page.getByRole('row', { name: /^busy/ });
    await eventually(() => busy.locator('.col-cpu').textContent()).toMatch(/^[1-9]\d? %/);
    const rows = page.locator('tbody .process-link');
    expect(await rows.allTextContents()).toEqual([
      'busya:sys',
      'crasheda:systrapped: unreachable',
      'idlea:sys',
    ]);
    await page.getByRole('button', { name: 'Process' }).click();
    expect((await rows.allTextContents())[0]).toBe('busya:sys');
    await page.getByRole('button', { name: 'Process' }).click();
    expect((await rows.allTextContents())[0]).toBe('idlea:sys');
    await page.getByLabel('Parts of the node').check();
    expect(await rows.count()).toBe(4);
  } finally {
    clearInterval(timer);
  }
});

test('light and dark follow the system, and whoever chooses otherwise', async (test) => {
  await visitor[Symbol.asyncDispose]();
  await come(requireBrowser(browser, test), { colorScheme: 'dark' });
  await addApps('one');
  const ground = (): Promise<string> =>
    page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await goHome();
  const dark = await ground();
  await page.getByRole('button', { name: /^Colours: as the system/ }).click();
  const light = await ground();
  expect(light).not.toBe(dark);
  await page.reload();
  await page.locator('.tile-link').first().waitFor();
  expect(await ground()).toBe(light);
  const clock = page.frameLocator('iframe[title="Widget: Clock"]').locator('html');
  expect(await clock.getAttribute('data-theme')).toBe('light');
  await page.getByRole('button', { name: /^Colours: light/ }).click();
  expect(await ground()).toBe(dark);
});

test('on a phone nothing is wider than the screen, and a finger that rests on a tile opens its options', async (test) => {
  await visitor[Symbol.asyncDispose]();
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  await come(requireBrowser(browser, test), phone);
  await addApps('one', 'two', 'three', 'a-very-long-name-that-no-tile-can-hold-in-one-line');
  await goHome();
  expect(await overflow(page)).toBeLessThanOrEqual(0);
  const box = await tile('two').boundingBox();
  const at = { x: (box?.x ?? 0) + 40, y: (box?.y ?? 0) + 40 };
  const touch = await page.context().newCDPSession(page);
  await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [at] });
  await page.locator('.tile.floating').waitFor();
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await page.getByRole('menuitem', { name: 'Add to favourites' }).click();
  await eventually(labels).toEqual(['two', 'one', 'three', expect.any(String)]);
  for (const path of ['/processes', '/processes?id=one:one:sys', '/logs']) {
    await page.goto(node.url() + path);
    await page.getByRole('heading').first().waitFor();
    expect(await overflow(page), path).toBeLessThanOrEqual(0);
  }
  expect(visitor.complaints).toEqual([]);
});
