/** Whole nodes: killed and started again, backed up while they run, restored. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/hyperloom.mjs', import.meta.url));
const KILLS = 5;

let folder: string;
let home: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-'));
  home = join(folder, 'home');
});
afterEach(() => removeHome(folder));

async function command(...args: readonly string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => (text += more));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text };
}

test(`F19 a whole node killed ${KILLS} times comes up each time with everything it acknowledged`, async () => {
  for (let round = 0; round < KILLS; round += 1) {
    await using node = await RunningNode.start(home);
    expect(node.output).not.toMatch(/damaged|corrupt/i);
    // Names that earlier rounds gave to the help script still run it.
    if (round > 0) await node.type(`k${round - 1}`, /terminal|alias/);
    await node.type(`alias k${round} help:terminal:sys`, /alias set/);
    await node.end('SIGKILL');
  }
  await using node = await RunningNode.start(home);
  for (let round = 0; round < KILLS; round += 1) await node.type(`k${round}`, /alias/);
  await node.end('SIGTERM');
});

test('F19 a running node is backed up from the command line, and what is restored starts with all of it', async () => {
  const [file, again, password] = ['b', 'again', 'pw'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(password, 'correct horse\n', { mode: 0o600 });
  await using node = await RunningNode.start(home);
  await node.type('alias tt help:terminal:sys', /alias set/);
  const saved = await command('backup', home, file, '--password-file', password);
  expect(saved).toMatchObject({
    code: 0,
    text: expect.stringContaining('while its node ran') as string,
  });
  await node.type('ps', /processes; runtime modules/);

  expect(await command('backup', home, file, '--password-file', password)).toMatchObject({
    code: 8,
  });
  expect(await command('backup', home)).toMatchObject({ code: 2 });
  expect(await command('restore', file, home, '--password-file', password)).toMatchObject({
    code: 8,
  });
  expect(await command('restore', file, again)).toMatchObject({
    code: 8,
    text: expect.stringContaining('--password-file') as string,
  });
  await writeFile(`${password}2`, 'wrong');
  expect(await command('restore', file, again, '--password-file', `${password}2`)).toMatchObject({
    code: 8,
    text: expect.stringContaining('password is wrong') as string,
  });
  expect((await readdir(folder)).toSorted()).toEqual(['b', 'home', 'pw', 'pw2']);

  expect(await command('restore', file, again, '--password-file', password)).toMatchObject({
    code: 0,
  });
  await using other = await RunningNode.start(again);
  await other.type('tt', /alias/);
  await other.end('SIGTERM');
  await node.end('SIGTERM');
  const stopped = await command('backup', home, `${file}2`, '--password-file', password);
  expect(stopped).toMatchObject({
    code: 0,
    text: expect.stringContaining('not running') as string,
  });
});
