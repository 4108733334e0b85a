/** Nodes in network namespaces of their own, over real cables: one is cut off and killed meanwhile; it heals, and F28 holds (findings F27). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Namespaces, whyNoNamespaces } from '../support/namespaces.ts';

const NODE = fileURLToPath(new URL('../support/namespace-node.ts', import.meta.url));
const PORT = 9_000;
const HOSTS = 3;
/** Attempts last 10 s, and what a dead socket was given is lost. */
const WAIT_MS = 45_000;
const TEST_MS_MAX = 120_000;

interface Stored {
  readonly author: string;
  readonly content: string;
  readonly delivery: string;
}

/** One node's process, with what it has stored last. */
class Host implements AsyncDisposable {
  readonly #child: ChildProcess;
  #stored: Readonly<Record<string, readonly Stored[]>> = {};
  #changed = Promise.withResolvers<void>();

  constructor(namespaces: Namespaces, host: number, folder: string) {
    const others = Array.from({ length: HOSTS }, (_, at) => `n${at}.os=${namespaces.ip(at)}`);
    const [command, ...args] = namespaces.command(host);
    const own = [`n${host}.os`, namespaces.ip(host), `${PORT}`, join(folder, `n${host}`)];
    this.#child = spawn(
      command,
      [...args, process.execPath, NODE, ...own, ...others.filter((_, at) => at !== host)],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const text = Buffer.from(line, 'base64').toString();
      this.#stored =
        text === '' ? {} : (JSON.parse(text) as { state: Record<string, Stored[]> }).state;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }

  post(to: number, text: string): void {
    this.#child.stdin?.write(`n${to}.os ${text}\n`);
  }

  with(other: number): readonly Stored[] {
    return this.#stored[`n${other}.os`] ?? [];
  }

  /** Waits until that message is stored here, and as that. @throws Error when it takes too long */
  async until(other: number, text: string, delivery: string): Promise<void> {
    const endMs = Date.now() + WAIT_MS;
    const fits = (each: Stored): boolean => each.content === text && each.delivery === delivery;
    while (!this.with(other).some(fits)) {
      const leftMs = endMs - Date.now();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, Math.max(0, leftMs));
      await Promise.race([this.#changed.promise, late.promise]);
      clearTimeout(timer);
      if (leftMs <= 0)
        throw new Error(`${text} is not ${delivery}: ${JSON.stringify(this.#stored)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'close');
  }
}

const reason = whyNoNamespaces();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-namespaces-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.skipIf(reason !== undefined)(
  `F27 F28 a node that is cut off and killed: the others talk on, and all that was kept arrives once${reason === undefined ? '' : ` (skipped: ${reason})`}`,
  async () => {
    using namespaces = new Namespaces(HOSTS);
    const start = (host: number): Host => new Host(namespaces, host, folder);
    await using a = start(0);
    await using b = start(1);
    await using c = start(2);
    a.post(1, 'before');
    await a.until(1, 'before', 'Delivered');
    namespaces.cut(1);
    a.post(1, 'into the cut');
    b.post(0, 'out of the cut');
    await a.until(1, 'into the cut', 'Sent');
    await b.until(0, 'out of the cut', 'Sent');
    // A partition of one is none of the others.
    a.post(2, 'elsewhere');
    c.post(0, 'elsewhere too');
    await a.until(2, 'elsewhere', 'Delivered');
    await c.until(0, 'elsewhere too', 'Delivered');
    await b[Symbol.asyncDispose]();
    await using again = start(1);
    await again.until(0, 'out of the cut', 'Sent');
    expect(a.with(1).map(({ delivery }) => delivery)).toEqual(['Delivered', 'Sent']);
    namespaces.heal(1);
    await again.until(0, 'out of the cut', 'Delivered');
    await a.until(1, 'into the cut', 'Delivered');
    await again.until(0, 'into the cut', 'Received');
    const contents = (stored: readonly Stored[]): string[] =>
      stored.map(({ content }) => content).toSorted();
    const all = ['before', 'into the cut', 'out of the cut'];
    expect(contents(a.with(1))).toEqual(all);
    expect(contents(again.with(0))).toEqual(all);
  },
  TEST_MS_MAX,
);
