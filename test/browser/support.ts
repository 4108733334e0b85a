/** A node in a process of its own and a Chromium in front of it, for tests of pages. */
import { mkdtemp } from 'node:fs/promises';
import { get } from 'node:http';
import { get as getTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { expect, type TestContext, vi } from 'vitest';
import { startChromium } from '../support/chromium.ts';
import { install, type TestPackage } from '../support/installed.ts';
import { RunningNode } from '../support/running-node.ts';
import { missing } from '../support/tools.ts';
import { removeHome } from '../support/remove-home.ts';

/** How long a page may take for anything, ms: the first visit of a busy machine. */
export const PAGE_TIMEOUT_MS = 20_000;
/** A development node takes any. */
const PASSWORD = 'any password';

export interface BrowsedNodeOptions {
  /** Flags besides the home, its name and the port. */
  readonly args?: readonly string[];
  /** Installed before it starts. */
  readonly packages?: readonly TestPackage[];
}

/** A node that serves pages, started again at the same port if need be. */
export class BrowsedNode implements AsyncDisposable {
  readonly home: string;
  readonly url: string;
  #args: readonly string[];
  #node: RunningNode;

  private constructor(home: string, url: string, args: readonly string[], node: RunningNode) {
    this.home = home;
    this.url = url;
    this.#args = args;
    this.#node = node;
  }

  static async start({ args = [], packages = [] }: BrowsedNodeOptions = {}): Promise<BrowsedNode> {
    const home = await mkdtemp(join(tmpdir(), 'hyperloom-browsed-'));
    if (packages.length > 0) await install(home, packages);
    const node = spawned(home, '0', args);
    const [, url = ''] = await node.until(/ is up after .* at (https?:\S+)\. /);
    return new BrowsedNode(home, url, args, node);
  }

  /** Everything the node has shown since it was started last. */
  get output(): string {
    return this.#node.output;
  }

  /** Waits for output after what earlier calls matched. */
  until(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#node.until(pattern);
  }

  /** Types a line into the node's console and waits for what it should print. */
  type(line: string, pattern: RegExp): Promise<RegExpExecArray> {
    return this.#node.type(line, pattern);
  }

  /** Types a line into the node's console. */
  enter(line: string): void {
    this.#node.child.stdin?.write(`${line}\n`);
  }

  /** Ends the node as a power cut would. */
  async stop(): Promise<void> {
    await this.#node.end('SIGKILL');
  }

  /** Ends it as Ctrl-C does; resolves with the exit code. */
  async end(): Promise<number | null> {
    return (await this.#node.end('SIGTERM')).code;
  }

  /** Starts it again where it was, with the same flags or others. */
  async again(args: readonly string[] = this.#args): Promise<void> {
    this.#args = args;
    this.#node = spawned(this.home, new URL(this.url).port, args);
    await this.#node.until(/ is up after /);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
    await removeHome(this.home);
  }
}

function spawned(home: string, port: string, args: readonly string[]): RunningNode {
  return RunningNode.spawn([home, '--fake-node-name', 'test.dev', '--port', port, ...args]);
}

/** Ends the test as skipped, or as failed where Chromium is required, when there is none. */
export function requireBrowser(browser: Browser | undefined, test: TestContext): Browser {
  return browser ?? missing(test, 'chromium', 'Chromium is not installed');
}

export { startChromium };

/** A visitor with a profile of their own, and all that their browser complained about: errors of scripts, breaches of a policy. */
export interface Visitor extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly complaints: string[];
}

export async function visit(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PAGE_TIMEOUT_MS);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error.stack)));
  page.on('console', (message) => {
    // That a request failed is what some tests are about, and what the page shows by itself.
    const failed = /^Failed to load resource|ERR_CONNECTION|ERR_EMPTY_RESPONSE/.test(
      message.text(),
    );
    if (message.type() === 'error' && !failed) complaints.push(message.text());
  });
  return { page, context, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** Waits until the process at `url`, of guests/site.ts, has bound all its paths: until then they are those of its root. */
export async function allBound(url: string): Promise<void> {
  const ask = url.startsWith('https') ? getTls : get;
  const status = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      ask(`${url}${path}`, { rejectUnauthorized: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
  const bound = async (): Promise<void> => {
    for (const path of ['/plain', '/open']) expect(await status(path)).toBe(200);
  };
  await vi.waitFor(bound, { timeout: PAGE_TIMEOUT_MS });
}

/** Goes to a path as its owner: past the login page, by typing a password. */
export async function signIn(page: Page, node: BrowsedNode, path = '/'): Promise<void> {
  await page.goto(`${node.url}${path}`);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.locator('.page').waitFor();
}

/** What will be so within `PAGE_TIMEOUT_MS`. */
export function eventually<T>(read: () => T | Promise<T>): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: PAGE_TIMEOUT_MS });
}

/** By how many pixels the page is wider than the window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
}
