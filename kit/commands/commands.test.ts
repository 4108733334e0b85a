import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPackage } from './new.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
const GUESTS = fileURLToPath(new URL('../../test/guests', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kit-command-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function kit(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [KIT, ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const lines = ({ out }: Ran): Record<string, unknown>[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('kit new, kit build, kit run: a TypeScript echo, from nothing to an answer', async () => {
  const target = join(folder, 'hello');
  expect(await kit('new', target, '--template', 'echo', '-u', 'bob.os')).toMatchObject({ code: 0 });
  const built = await kit('build', target, '--json');
  expect(built).toMatchObject({ code: 0, err: '' });
  expect(lines(built)[0]).toMatchObject({ packageId: 'hello:bob.os', upToDate: false });
  expect((await kit('build', target)).out).toContain('Build up-to-date.');
  const ran = await kit('run', join(target, 'pkg/echo.wasm'), '--request', '{"Echo":"hi"}');
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toContain('< {"Echo":"hi"}');
  expect(ran.out).toMatch(/fuel \d+.*1 messages in, 1 out/);
});

test('KT11 kit build --no-ui --ui-only is refused; each alone leaves out what it says', async () => {
  const target = join(folder, 'hello');
  await createPackage(target, { template: 'echo', language: 'ts' });
  await mkdir(join(target, 'ui'));
  await writeFile(join(target, 'ui/main.ts'), 'document.title = "hello";');
  expect(await kit('build', target, '--no-ui', '--ui-only')).toMatchObject({
    code: 1,
    err: 'kit: Cannot set both --no-ui and --ui-only\n',
  });
  await kit('build', target, '--no-ui');
  expect(await readdir(join(target, 'pkg'))).toEqual(['echo.wasm', 'manifest.json']);
  await rm(join(target, 'pkg/echo.wasm'));
  const only = await kit('build', target, '--ui-only');
  expect(only.err).toContain('Missing a .wasm file');
  expect(await readdir(join(target, 'pkg/ui'))).toEqual(['main.js']);
});

test('kit new writes the chat package under new names, without products and tests', async () => {
  const target = join(folder, 'talk');
  await createPackage(target, { template: 'chat', language: 'ts', publisher: 'bob.os' });
  const metadata = JSON.parse(await readFile(join(target, 'metadata.json'), 'utf8')) as unknown;
  expect(metadata).toMatchObject({ properties: { package_name: 'talk', publisher: 'bob.os' } });
  const files = (await readdir(target, { recursive: true })).filter((file) => /\.\w+$/.test(file));
  expect(files.toSorted()).toEqual([
    'chat/conversations.ts',
    'chat/index.ts',
    'chat/outgoing.ts',
    'chat/printable.ts',
    'contract.ts',
    'history/index.ts',
    'metadata.json',
    'pkg/manifest.json',
    'pkg/scripts.json',
    'retry/index.ts',
    'send/index.ts',
  ]);
  expect(await readFile(join(target, 'chat/index.ts'), 'utf8')).toContain("from 'hyperware'");
});

test('kit new, kit build: a web app with its page', async () => {
  const target = join(folder, 'visits');
  const made = await kit('new', target, '--template', 'web', '-u', 'bob.os');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(await readFile(join(target, 'ui', 'index.html'), 'utf8')).toContain('<h1>visits</h1>');
  expect(await kit('build', target)).toMatchObject({ code: 0, err: '' });
  expect(await readdir(join(target, 'pkg', 'ui'))).toEqual(['index.html', 'main.css', 'main.js']);
  expect(await readdir(join(target, 'pkg'))).toContain('web.wasm');
});

test('kit new refuses existing folders, unusable names and templates it lacks', async () => {
  const echo = { template: 'echo', language: 'ts' };
  await expect(createPackage(folder, echo)).rejects.toThrow('exists already');
  await expect(createPackage(join(folder, 'Big'), echo)).rejects.toThrow('a-z, 0-9');
  await expect(createPackage(join(folder, 'api'), echo)).rejects.toThrow('cannot be called api');
  await expect(createPackage(join(folder, 'x'), { ...echo, publisher: 'a b' })).rejects.toThrow(
    'publisher',
  );
  await expect(createPackage(join(folder, 'x'), { ...echo, language: 'rust' })).rejects.toThrow(
    'there are echo-c, echo-ts, web-ts, chat-ts',
  );
  await expect(createPackage(join(folder, 'x'), { ...echo, template: '../..' })).rejects.toThrow(
    'no template',
  );
});

test('kit run sends every line of a file, and reports as JSON lines', async () => {
  const requests = join(folder, 'requests.jsonl');
  await writeFile(requests, 'one\n\ntwo\n');
  const ran = await kit('run', join(GUESTS, 'echo.wat'), '--requests', requests, '--json');
  const [one, two, usage] = lines(ran);
  expect(one).toMatchObject({ request: 'one', end: 'response', response: 'one' });
  expect(two).toMatchObject({ request: 'two', response: 'two' });
  expect(usage).toMatchObject({ usage: { messagesReceived: 2, messagesSent: 2 } });
});

test('kit run shows a trap, ends the request, and fails', async () => {
  const path = join(folder, 'trap.wat');
  const echo = await readFile(join(GUESTS, 'echo.wat'), 'utf8');
  await writeFile(path, echo.replace('(call $send-response', '(unreachable) (call $send-response'));
  const ran = await kit('run', path, '--request', 'x');
  expect(ran.code).toBe(1);
  expect(ran.out).toContain('(ended)');
  expect(ran.out).toContain('unreachable');
});

test('kit run says when no answer came in time', async () => {
  const path = join(folder, 'silent.wat');
  const echo = await readFile(join(GUESTS, 'echo.wat'), 'utf8');
  await writeFile(
    path,
    echo.replace('(br_if $next-message', '(br $next-message) (br_if $next-message'),
  );
  const ran = await kit('run', path, '--request', 'x', '--timeout', '1');
  expect(ran).toMatchObject({ code: 1, out: expect.stringContaining('(timeout)') });
});

test.each([
  ['echo.wat', 'hyperware:process@1.0.0'],
  ['echo-kinode-0.7.0.wat', 'kinode:process@0.7.0'],
])('kit run --wit names the contract of %s', async (guest, contract) => {
  const ran = await kit('run', join(GUESTS, guest), '--wit', '--json');
  expect(lines(ran)[0]).toMatchObject({ contract, wasi: [] });
});

test('what is no component is refused in one sentence', async () => {
  const path = join(folder, 'not.wasm');
  await writeFile(path, 'hello');
  const ran = await kit('run', path, '--request', 'x');
  expect(ran.code).toBe(1);
  expect(ran.err).toMatch(/^kit: [^\n]+\n$/);
  expect((await kit('run', join(folder, 'absent.wasm'))).err).toContain('cannot be read');
  const json = await kit('run', path, '--json');
  expect(lines(json)[0]).toMatchObject({ error: { code: 'not-a-component' } });
});

test('a reader that has enough ends kit without a word', async () => {
  const args = ['run', join(GUESTS, 'echo.wat'), '--request', 'hello'];
  const child = spawn(process.execPath, [KIT, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  expect(said).not.toContain('EPIPE');
}, 60_000);
