/** `boot.warm`: `npm start` on a home that has booted before, up to the line that says the node is up. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alternate, timed } from './measure.ts';
import type { Bench } from './row.ts';

const WARM_MS_MAX = 2_000;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What the console shows when the node takes commands. */
const UP = / is up after /;
/** A first boot builds the bundled packages. */
const BOOT_MS_MAX = 120_000;

export const boots: readonly Bench[] = [
  {
    name: 'boot.warm',
    async run(scale) {
      const home = await mkdtemp(join(tmpdir(), 'hyperloom-bench-'));
      try {
        // The warm-up is the first boot: it fills the caches.
        const { ours, floor } = await alternate(
          scale.runs,
          () => boot(home),
          () => timed(startNothing),
        );
        return [
          {
            name: 'boot.warm',
            value: ours,
            unit: 'ms',
            floor,
            target: { of: 'value', max: WARM_MS_MAX },
            runs: scale.runs,
            note: 'npm start to "is up"; floor: a Node.js that starts and ends',
          },
        ];
      } finally {
        await rm(home, { recursive: true, force: true });
      }
    },
  },
];

/** Boots a node, ends it as Ctrl-C does; milliseconds until it was up. */
async function boot(home: string): Promise<number> {
  const start = performance.now();
  // A group of its own: npm, its shell and the node all get the signal.
  const child = spawn('npm', ['start', '--silent', '--', '--home', home], {
    cwd: ROOT,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let said = '';
  const upAt = new Promise<number>((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`no node after ${BOOT_MS_MAX} ms: ${said}`)),
      BOOT_MS_MAX,
    );
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      if (UP.test(said)) resolve(performance.now() - start);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.once('close', () => reject(new Error(`the node ended before it was up: ${said}`)));
    void ended.then(() => clearTimeout(late));
  });
  try {
    return await upAt;
  } finally {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGINT');
    await ended;
  }
}

function startNothing(): Promise<unknown> {
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return new Promise((resolve) => child.once('close', resolve));
}
