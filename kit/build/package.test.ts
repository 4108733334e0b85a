import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromBuffer, type Entry } from 'yauzl';
import { bootSolo } from '../solo-node.ts';
import { buildPackage } from './package.ts';

const ECHO = fileURLToPath(new URL('../../test/guests/echo.wat', import.meta.url));

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'kit-package-'));
  await put('metadata.json', '{"properties":{"package_name":"sample","publisher":"bob.os"}}');
  await put('pkg/manifest.json', '[{"process_wasm_path":"/one.wasm"}]');
  await put('pkg/ui/index.html', '<p>hello</p>');
  await put('one/one.wat', await readFile(ECHO, 'utf8'));
  await put('scripts/two.wat', await readFile(ECHO, 'utf8'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(path: string, content: string): Promise<void> {
  const to = join(root, path);
  await mkdir(join(to, '..'), { recursive: true });
  await writeFile(to, content);
}

const built = async (force = false): Promise<string[]> =>
  (await buildPackage(root, { force })).processes.filter((p) => !p.cached).map((p) => p.name);

test('a package is built into pkg and zipped in sorted order, folders before their files', async () => {
  const report = await buildPackage(root);
  expect(report.packageId).toBe('sample:bob.os');
  expect(report.zip).toBe(join(root, 'target', 'sample:bob.os.zip'));
  const zip = await readFile(report.zip);
  expect(createHash('sha256').update(zip).digest('hex')).toBe(report.zipHash);
  const entries = await entriesOf(zip);
  expect(entries.map((entry) => entry.fileName)).toEqual([
    'manifest.json',
    'one.wasm',
    'two.wasm',
    'ui/',
    'ui/index.html',
  ]);
  for (const entry of entries) {
    expect((entry.externalFileAttributes >>> 16) & 0o777).toBe(0o755);
    expect([entry.lastModFileDate, entry.lastModFileTime]).toEqual([(43 << 9) | (6 << 5) | 19, 0]);
  }
});

test('only what changed is built again: by content, whatever the file times say', async () => {
  expect(await built()).toEqual(['one', 'two']);
  expect(await built()).toEqual([]);
  await utimes(join(root, 'one/one.wat'), new Date(), new Date());
  expect(await built()).toEqual([]);
  await put('one/one.wat', `${await readFile(ECHO, 'utf8')};; changed\n`);
  expect(await built()).toEqual(['one']);
  await put('pkg/two.wasm', 'damaged');
  expect(await built()).toEqual(['two']);
  await rm(join(root, 'pkg/one.wasm'));
  expect(await built()).toEqual(['one']);
  await put('target/build.json', '{"one":{"recipe":7}');
  expect(await built()).toEqual(['one', 'two']);
  expect(await built(true)).toEqual(['one', 'two']);
});

test('equal content makes an equal zip, wherever and whenever', async () => {
  const first = await buildPackage(root);
  const elsewhere = `${root}-copy`;
  await cp(root, elsewhere, { recursive: true });
  try {
    expect((await buildPackage(elsewhere, { force: true })).zipHash).toBe(first.zipHash);
    await writeFile(join(elsewhere, 'pkg/ui/index.html'), '<p>other</p>');
    const other = await buildPackage(elsewhere);
    expect(other.upToDate).toBe(true);
    expect(other.zipHash).not.toBe(first.zipHash);
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
});

test('a changed import of a script builds it again', async () => {
  await put(
    'three/index.ts',
    'import { word } from "../shared/word.ts";\nexport function init(): void { word(); }',
  );
  await put('shared/word.ts', 'export const word = (): string => "a";');
  expect(await built()).toContain('three');
  expect(await built()).toEqual([]);
  await put('shared/word.ts', 'export const word = (): string => "b";');
  expect(await built()).toEqual(['three']);
});

test('scripts in TypeScript are built together, and each does what its own source says', async () => {
  const say = (word: string): string =>
    `import { defineScript } from 'hyperware';\nexport default defineScript({ usage: '', run: ({ text }) => '${word} ' + text });`;
  await put('scripts/hey.ts', say('hey'));
  await put('scripts/bye.ts', say('bye'));
  expect(await built()).toEqual(['bye', 'hey', 'one', 'two']);
  for (const word of ['hey', 'bye']) {
    await using node = await bootSolo(await readFile(join(root, `pkg/${word}.wasm`)));
    const body = new TextEncoder().encode('you');
    const end = await node.ask(body, { timeoutS: 20 });
    expect(end.kind === 'response' && new TextDecoder().decode(end.body)).toBe(`${word} you`);
  }
  expect(await built()).toEqual([]);
  await put('scripts/bye.ts', say('farewell'));
  expect(await built()).toEqual(['bye', 'hey']);
  await rm(join(root, 'scripts/bye.ts'));
  expect(await built()).toEqual(['hey']); // Alone now.
});

test('include and exclude choose', async () => {
  expect((await buildPackage(root, { include: ['one'] })).processes.map((p) => p.name)).toEqual([
    'one',
  ]);
  const { processes } = await buildPackage(root, { exclude: ['one'] });
  expect(processes.map((p) => p.name)).toEqual(['two']);
});

test('a package that cannot be is refused by the name of its fault', async () => {
  await put('pkg/manifest.json', '[{"process_wasm_path":"/absent.wasm"}]');
  await expect(buildPackage(root)).rejects.toMatchObject({
    code: 'missing-wasm',
    message: expect.stringMatching(/absent\.wasm/),
  });
  await put('pkg/manifest.json', '[{"process_wasm_path":"/one.wasm"}]');
  await put('pkg/scripts.json', '{"nowhere.wasm":{}}');
  await expect(buildPackage(root)).rejects.toMatchObject({
    code: 'missing-wasm',
    message: expect.stringMatching(/nowhere/),
  });
  await put('pkg/scripts.json', '[');
  await expect(buildPackage(root)).rejects.toMatchObject({ code: 'bad-manifest' });
  await rm(join(root, 'pkg/scripts.json'));
  await put('pkg/manifest.json', '{}');
  await expect(buildPackage(root)).rejects.toMatchObject({ code: 'bad-manifest' });
  await put('metadata.json', '{"properties":{"package_name":"Bad Name","publisher":"bob.os"}}');
  await expect(buildPackage(root)).rejects.toMatchObject({ code: 'bad-manifest' });
  await rm(join(root, 'metadata.json'));
  await expect(buildPackage(root)).rejects.toMatchObject({ code: 'no-package' });
  await expect(buildPackage(join(root, 'one'))).rejects.toMatchObject({ code: 'no-package' });
});

test('a failing process leaves what was built before, and no half file', async () => {
  await built();
  await put('one/one.wat', '(module');
  await expect(buildPackage(root)).rejects.toMatchObject({ code: 'source' });
  expect((await stat(join(root, 'pkg/one.wasm'))).size).toBeGreaterThan(1_000);
  await put('one/one.wat', await readFile(ECHO, 'utf8'));
  expect(await built()).toEqual([]);
});

test('settings: an unknown engine, a name no process can have, two texts in one folder', async () => {
  await put('one/kit.json', '{"engine":"v8"}');
  await expect(buildPackage(root)).rejects.toMatchObject({
    code: 'bad-manifest',
    message: expect.stringMatching(/"quickjs" or "full"/),
  });
  await rm(join(root, 'one/kit.json'));
  await put('one/other.wat', '(module)');
  await expect(buildPackage(root)).rejects.toMatchObject({ code: 'unknown-language' });
  await rm(join(root, 'one/other.wat'));
  await put('Bad/bad.wat', '(module)');
  await expect(buildPackage(root)).rejects.toMatchObject({ message: expect.stringMatching(/Bad/) });
});

function entriesOf(zip: Buffer): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    fromBuffer(zip, { lazyEntries: false }, (error, file) => {
      if (error !== null) return reject(error);
      const entries: Entry[] = [];
      file.on('entry', (entry: Entry) => entries.push(entry));
      file.on('end', () => resolve(entries));
      file.on('error', reject);
    });
  });
}
