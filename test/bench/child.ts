/** Benches that fill memory run in a process of their own, so that they neither find nor leave anything. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs a script of this folder with `--expose-gc`; what it prints is one JSON value. */
export async function inChild<T>(script: string, args: readonly (string | number)[]): Promise<T> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await run(process.execPath, ['--expose-gc', file, ...args.map(String)]);
  return JSON.parse(stdout) as T;
}

/** Collects garbage as often as it takes for finalizers to have run, then lets the collector's own work end. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
