/** What people see of the market on a whole node with the real extension beside it: `kit job` logged in as the owner, and the page. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ComputeNode } from '../support/compute-node.ts';
import { eventually, requireBrowser, startChromium, visit } from './support.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
const PAGE = '/market:compute:sys/';
const PATIENCE = { timeout: 120_000, interval: 500 };

let node: ComputeNode;
let browser: Browser | undefined;
beforeAll(async () => {
  node = await ComputeNode.start();
  node.extension();
  browser = await startChromium();
  // Until the extension is paired nobody can run anything, and kit says so by its exit code.
  await vi.waitFor(async () => expect((await kit('cost', '--fn', 'echo')).code).toBe(0), PATIENCE);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await node?.[Symbol.asyncDispose]();
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** As the owner: a development node needs no password. */
function kit(command: string, ...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [KIT, 'job', command, '--node', node.url, ...args],
      (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      },
    );
  });
}

test('CM8 kit job submit: files are sent, the log followed, results fetched and checked', async () => {
  const content = 'to be hashed\n';
  const path = join(node.folder, 'data.txt');
  const out = join(node.folder, 'results');
  await writeFile(path, content);
  const ran = await kit('submit', '--fn', 'sha256', path, '-o', out);
  expect(ran.code, ran.err).toBe(0);
  const hash = createHash('sha256').update(content).digest('hex');
  expect(ran.err).toContain(`| ${hash}\n`);
  expect(ran.err).not.toContain('"ev":"exit"');
  expect(ran.out).toContain(`${out}/sha256.txt\n`);
  expect(await readFile(join(out, 'sha256.txt'), 'utf8')).toBe(`${hash}\n`);
  const [, id = ''] = /^job (0x\S+)$/m.exec(ran.out) ?? [];
  expect(await kit('logs', id)).toMatchObject({ code: 0, out: `${hash}\n`, err: '' });
  expect(await kit('result', id, '-o', out)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/is there already; --force/),
  });
  expect((await kit('result', id, '-o', out, '--force')).code).toBe(0);
}, 180_000);

test('CM22 a job that fails ends kit with 1 and the reason; one that is cancelled says so', async () => {
  const failed = await kit('submit', '--fn', 'fail', '--args', '{"code":3,"message":"no luck"}');
  expect(failed.code).toBe(1);
  expect(failed.err).toContain('! no luck\n');
  expect(failed.err).toMatch(/kit: the job is failed: EXIT_NONZERO: the program exited with 3/);
  const long = await kit('submit', '--fn', 'sleep', '--args', '{"ms":50000}', '-d', '--json');
  const { jobId } = JSON.parse(long.out.trim().split('\n').at(-1) ?? '') as { jobId: string };
  expect((await kit('cancel', jobId)).code).toBe(0);
  const status = await kit('status', jobId);
  expect(status.out).toMatch(/state +cancelled/);
}, 180_000);

test('CM47 the page behind login: a job submitted there prints, goes on and completes before one’s eyes, and its file is checked', async (context) => {
  await using visitor = await visit(requireBrowser(browser, context));
  const { page, complaints } = visitor;
  await page.goto(`${node.url}${PAGE}#new`);
  await page.getByLabel('Password').fill('any password');
  await page.keyboard.press('Enter');
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('combobox', { name: 'Function' }).selectOption('sleep');
  await page.getByLabel('Arguments').fill('{"ms":4000,"everyMs":500}');
  await page.getByRole('button', { name: 'Submit' }).click();
  const panel = page.getByRole('complementary', { name: 'Job' });
  await panel.getByText(/^running \d+ %$/).waitFor();
  await panel.getByText('tick 2', { exact: true }).waitFor();
  await panel.getByText('completed', { exact: true }).waitFor();
  await panel.getByText('tick 8', { exact: true }).waitFor();

  await page.keyboard.press('n');
  await page.getByRole('combobox', { name: 'Function' }).selectOption('echo');
  const input = { name: 'read.txt', mimeType: 'text/plain', buffer: Buffer.from('read') };
  await page.getByLabel('Files that it reads').setInputFiles(input);
  await page.getByText(/4 B · /).waitFor();
  await page.getByRole('button', { name: 'Submit' }).click();
  const file = panel.getByRole('button', { name: 'echo.txt' });
  await file.waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), file.click()]);
  expect(await readFile(await download.path(), 'utf8')).toBe('hello\n');
  await panel.getByText('echo.txt is what the provider signed.').waitFor();

  await page.keyboard.press('3');
  await page.getByRole('heading', { name: 'test.dev' }).waitFor();
  await page.getByText(/^\d of 4 free$/).waitFor();
  // The homepage shows it too.
  await page.goto(node.url);
  await page.getByRole('link', { name: 'Compute' }).first().waitFor();
  await eventually(() => complaints).toEqual([]);
}, 240_000);
