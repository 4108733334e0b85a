/** Killed at random instants, again and again, in one home: nothing that was acknowledged is lost, and nothing is torn (issue: Durability). */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLevelStore } from '../../runtime-modules/state/level-store.ts';
import { type Counts, subjects } from './crash-subjects.ts';

const WRITER = fileURLToPath(new URL('./crash-writer.ts', import.meta.url));
const KILLS = 200;
/** A kill comes at a random instant within this many milliseconds of the first acknowledgement. */
const ALIVE_MS_MAX = 60;
/** sqlite, which starts processes of its own, takes part in each round of this many. */
const SQL_EVERY = 10;
/** Each subject must have acknowledged more than this, or the kills came before anything was written. */
const WRITES_MIN = KILLS / SQL_EVERY / 2;
/** Writers started ahead. */
const AHEAD = 2;

let home: string;
const writers: Writer[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'crash-'));
});
afterEach(async () => {
  for (const writer of writers) writer.kill();
  writers.length = 0;
  await rm(home, { recursive: true, force: true });
});

class Writer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<NodeJS.Signals | null>;
  readonly #first = Promise.withResolvers<void>();
  #output = '';
  #awaited = /^\w+ \d+$/m;

  constructor() {
    this.#child = spawn(process.execPath, [WRITER], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: join(home, '.compiled') },
    });
    this.#child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      this.#output += text;
      if (this.#awaited.test(this.#output)) this.#first.resolve();
    });
    this.#ended = new Promise((resolve) =>
      this.#child.once('close', (_code, signal) => resolve(signal)),
    );
    this.#child.stdin?.on('error', () => undefined);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Lets it write until it is killed. @returns the last acknowledged of each subject */
  async run(next: Counts, sql: boolean): Promise<Counts> {
    // Its process takes a while to start, and a kill before the first write says nothing.
    if (sql) this.#awaited = /^tables \d+$/m;
    this.#child.stdin?.write(`${JSON.stringify({ home, next, sql })}\n`);
    await Promise.race([this.#first.promise, this.#ended]);
    const timer = setTimeout(() => this.kill(), Math.random() * ALIVE_MS_MAX);
    expect(await this.#ended).toBe('SIGKILL');
    clearTimeout(timer);
    const last: Record<string, number> = {};
    // The last line may be cut short by the kill; then it was not acknowledged.
    for (const line of this.#output.split('\n').slice(0, -1)) {
      const [name = '', count] = line.split(' ');
      if (count !== undefined) last[name] = Number(count);
    }
    return last;
  }
}

function nextWriter(): Writer {
  while (writers.length <= AHEAD) writers.push(new Writer());
  return writers.shift()!;
}

test(`K80 M11 after ${KILLS} kills at random instants everything acknowledged is there, and nothing is torn`, async () => {
  const acknowledged: Record<string, number> = {};
  const next: Record<string, number> = {};
  const enough = (): boolean => Object.values(acknowledged).every((count) => count > WRITES_MIN);
  // A loaded machine writes less between kills: it gets more of them, all with sqlite, which is the slowest.
  for (let round = 0; round < KILLS || (!enough() && round < 2 * KILLS); round += 1) {
    const sql = round % SQL_EVERY === 0 || round >= KILLS;
    Object.assign(acknowledged, await nextWriter().run(next, sql));
    const { store } = await openLevelStore(join(home, 'kernel'), { onDamage: 'refuse' });
    await using looking = subjects({ home, store, sql });
    for (const subject of looking.all) {
      const found = await subject.found();
      const last = acknowledged[subject.name] ?? -1;
      // One more than acknowledged is possible: done, and killed before saying so.
      expect([last, last + 1], `${subject.name} in round ${round}`).toContain(found);
      acknowledged[subject.name] = found;
      next[subject.name] = found + 1;
    }
    await store[Symbol.asyncDispose]();
  }
  expect(Object.keys(acknowledged)).toHaveLength(6);
  for (const [name, count] of Object.entries(acknowledged))
    expect(count, name).toBeGreaterThan(WRITES_MIN);
}, 240_000);
