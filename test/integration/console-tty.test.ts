/** The console on a real terminal device, which util-linux's `script` provides; skipped where that is not installed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const LAUNCHER = fileURLToPath(new URL('../../bin/hyperloom.mjs', import.meta.url));
const probe = spawnSync('script', ['--version'], { encoding: 'utf8' });
const available = probe.error === undefined && probe.stdout.includes('util-linux');

test.skipIf(!available)(
  'M224 M230 M231 at a real terminal: prompt, editing, history, search, Ctrl-C',
  async () => {
    const home = join(await mkdtemp(join(tmpdir(), 'hyperloom-tty-')), 'home');
    const command = `"${process.execPath}" "${LAUNCHER}" "${home}" --fake-node-name test.dev`;
    const child = spawn('script', ['-qfec', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const exited = once(child, 'close');
    const shows = async (pattern: RegExp, from: number): Promise<void> => {
      await expect.poll(() => output.slice(from), { timeout: 45_000 }).toMatch(pattern);
    };
    const press = async (keys: string, pattern: RegExp): Promise<void> => {
      const from = output.length;
      child.stdin.write(keys);
      await shows(pattern, from);
    };
    try {
      await shows(/is up after.*test\.dev > /s, 0);
      await press('echo onX\u007fe\r', /terminal:sys: one\r?\n/);
      await press('echo two\r', /terminal:sys: two\r?\n/);
      await press('\u001b[A\u001b[A', /test\.dev > echo one/);
      await press('\r', /terminal:sys: one\r?\n/);
      await press('\u0012tw', /test\.dev \* echo two/);
      await press('\r', /terminal:sys: two\r?\n/);
      await press('\u0016', /verbose mode: debug/);
      await press('\u0003', /exit code received/);
      expect((await exited)[0]).toBe(0);
      // The title and the paste mode are given back.
      expect(output).toContain('\u001b[?2004l');
    } finally {
      child.kill('SIGKILL');
      await rm(join(home, '..'), { recursive: true, force: true });
    }
  },
);
