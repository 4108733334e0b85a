/**
 * js-libp2p beside a bench: two processes of it (`libp2p/peer.mjs`). It is 43 MB of packages that nothing else needs, so it is installed into
 * its own folder when a bench wants it for the first time, and never for a smoke test.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { pidOf } from './net-ends.ts';
import { SMOKE, type Scale } from './row.ts';

const FOLDER = join(import.meta.dirname, 'libp2p');
const INSTALL_MS_MAX = 300_000;
const ANSWER_MS_MAX = 300_000;
const run = promisify(execFile);

/** A process that answers lines with lines. */
class Talker implements Disposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(...args: readonly string[]) {
    const file = join(FOLDER, 'peer.mjs');
    this.#child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('no pipe');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return pidOf(this.#child);
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  async line(): Promise<string> {
    const timer = setTimeout(() => this.#child.kill(), ANSWER_MS_MAX);
    const { value, done } = await this.#lines.next();
    clearTimeout(timer);
    if (done === true) throw new Error('js-libp2p has ended, or did not answer');
    return value;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

export class Libp2p implements Disposable {
  readonly #near: Talker;
  readonly #far: Talker;

  private constructor(near: Talker, far: Talker) {
    this.#near = near;
    this.#far = far;
  }

  /** Undefined, with a line that says why, where it is not installed and cannot or should not be. */
  static async start(scale: Scale): Promise<Libp2p | undefined> {
    if (!(await isInstalled(scale))) return undefined;
    const far = new Talker('serve');
    const near = new Talker('dial', await far.line());
    await near.line();
    return new Libp2p(near, far);
  }

  get nearPid(): number {
    return this.#near.pid;
  }

  get farPid(): number {
    return this.#far.pid;
  }

  /** Milliseconds of each of so many round trips of 64 B, or of so many blobs of a MiB one way together. */
  async take(what: 'trips' | 'blobs', times: number): Promise<readonly number[]> {
    this.#near.tell(`${what} ${times}`);
    return (await this.#near.line()).split(' ').map(Number);
  }

  [Symbol.dispose](): void {
    this.#near[Symbol.dispose]();
    this.#far[Symbol.dispose]();
  }
}

async function isInstalled(scale: Scale): Promise<boolean> {
  if (existsSync(join(FOLDER, 'node_modules', 'libp2p'))) return true;
  if (scale === SMOKE) return false;
  process.stderr.write('installing js-libp2p into test/bench/libp2p …\n');
  try {
    await run('npm', ['ci', '--ignore-scripts'], { cwd: FOLDER, timeout: INSTALL_MS_MAX });
    return true;
  } catch (error) {
    process.stderr.write(`no figures beside js-libp2p: ${String(error)}\n`);
    return false;
  }
}
