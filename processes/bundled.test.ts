import { cp, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundledPackages } from './bundled.ts';

const echo = fileURLToPath(new URL('../test/guests/echo.wat', import.meta.url));

let root: string;
let lines: string[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hyperloom-bundled-'));
  lines = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

const load = () => bundledPackages((line) => lines.push(line), root);
const builds = (): number => lines.splice(0).filter((line) => line.startsWith('building')).length;

async function addPackage(name: string, publisher = 'sys'): Promise<string> {
  const folder = join(root, name);
  await mkdir(join(folder, 'pkg'), { recursive: true });
  await mkdir(join(folder, 'main'));
  await cp(echo, join(folder, 'main', 'main.wat'));
  const properties = { package_name: name, publisher, current_version: '1.0.0' };
  await writeFile(join(folder, 'metadata.json'), JSON.stringify({ properties }));
  const entry = {
    process_name: 'main',
    process_wasm_path: '/main.wasm',
    on_exit: 'None',
    request_networking: false,
    request_capabilities: [],
    grant_capabilities: [],
    public: true,
  };
  await writeFile(join(folder, 'pkg', 'manifest.json'), JSON.stringify([entry]));
  return folder;
}

test('K125 packages are built once, and again when a source or a product changed', async () => {
  const folder = await addPackage('app');
  const [first] = await load();
  expect(builds()).toBe(1);
  expect(first?.files.map(({ path }) => path)).toEqual(['main.wasm', 'manifest.json']);
  expect(first?.zip.length).toBeGreaterThan(100);

  expect((await load())[0]?.zip).toEqual(first?.zip);
  expect(builds()).toBe(0);

  await utimes(join(folder, 'main', 'main.wat'), 1, 1);
  await load();
  expect(builds()).toBe(1);

  await writeFile(join(folder, 'pkg', 'main.wasm'), 'damaged');
  const [again] = await load();
  expect(builds()).toBe(1);
  expect(again?.files[0]?.bytes).toEqual(first?.files[0]?.bytes);

  await writeFile(join(folder, 'target', 'bundled.json'), '{"zip":"../../../etc/passwd"}');
  await load();
  expect(builds()).toBe(1);
  expect(await readFile(join(folder, 'target', 'app:sys.zip'))).toEqual(first?.zip);
});

test('K125 the ui of a package is built at the first start, and again when it changed', async () => {
  const folder = await addPackage('app');
  await mkdir(join(folder, 'ui'));
  await writeFile(join(folder, 'ui', 'main.ts'), "document.title = 'one';");
  const paths = (await load())[0]?.files.map(({ path }) => path);
  expect(paths).toEqual(['main.wasm', 'manifest.json', 'ui/main.js']);
  expect(builds()).toBe(1);
  await load();
  expect(builds()).toBe(0);
  await writeFile(join(folder, 'ui', 'main.ts'), "document.title = 'other';");
  const [changed] = await load();
  expect(builds()).toBe(1);
  expect(String(changed?.files[2]?.bytes)).toContain('other');
  await rm(join(folder, 'pkg', 'ui'), { recursive: true });
  await load();
  expect(builds()).toBe(1);
});

test('K120 a package that cannot be built is told and left out; the others are there', async () => {
  await addPackage('good');
  await writeFile(join(await addPackage('bad'), 'main', 'main.wat'), '(module');
  expect((await load()).map(({ label }) => label)).toEqual(['good']);
  expect(lines.join('\n')).toMatch(
    /bundled package bad cannot be built: .*main\.wat.*The node starts without it/s,
  );
});

test('K120 without its terminal the node does not start', async () => {
  await writeFile(join(await addPackage('terminal'), 'main', 'main.wat'), '(module');
  await expect(load()).rejects.toMatchObject({ name: 'BundleBuildError' });
});

test('K120 only packages of the publisher sys are bundled', async () => {
  await addPackage('theirs', 'somebody.os');
  await mkdir(join(root, 'lib'));
  expect(await load()).toEqual([]);
});
