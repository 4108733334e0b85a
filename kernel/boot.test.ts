import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ProcessId } from '../wit/types.ts';
import {
  type BundledPackage,
  clearUnpacking,
  installPackage,
  planBoot,
  type ReadablePackage,
  readPackage,
  readPackages,
  readWasm,
} from './boot.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hyperloom-boot-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function bundled(
  name: string,
  entry: object = {},
  extra: readonly [string, string][] = [],
): BundledPackage {
  const manifest = {
    process_name: 'main',
    process_wasm_path: '/main.wasm',
    on_exit: 'Restart',
    request_networking: false,
    request_capabilities: [],
    grant_capabilities: [],
    public: false,
    ...entry,
  };
  return {
    label: name,
    metadata: JSON.stringify({
      properties: {
        package_name: name,
        publisher: 'sys',
        current_version: '1.0.0',
        wit_version: 1,
      },
    }),
    zip: utf8(`zip of ${name}`),
    files: [
      { path: 'manifest.json', bytes: utf8(JSON.stringify([manifest])) },
      { path: 'main.wasm', bytes: utf8('wasm') },
      ...extra.map(([path, text]) => ({ path, bytes: utf8(text) })),
    ],
  };
}

function readable(one: BundledPackage): ReadablePackage {
  const read = readPackage(one);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

const id = (text: string): ProcessId => text as ProcessId;
const issuedBy = (process: string, params: string) => ({
  issuer: { node: 'n.os', process: id(process) },
  params,
});

test('K120 files edited in pkg/ are replaced, other drives are left alone', async () => {
  await installPackage(home, readable(bundled('app', {}, [['ui/index.html', 'shipped']])));
  const folder = join(home, 'vfs', 'app:sys');
  await writeFile(join(folder, 'pkg', 'ui', 'index.html'), 'edited');
  await writeFile(join(folder, 'pkg', 'added.txt'), 'added');
  await mkdir(join(folder, 'data'));
  await writeFile(join(folder, 'data', 'kept.txt'), 'kept');
  await installPackage(home, readable(bundled('app', {}, [['ui/index.html', 'shipped']])));
  expect(await readFile(join(folder, 'pkg', 'ui', 'index.html'), 'utf8')).toBe('shipped');
  expect(await readdir(join(folder, 'pkg'))).not.toContain('added.txt');
  expect(await readFile(join(folder, 'data', 'kept.txt'), 'utf8')).toBe('kept');
});

test('K125 the zip lies in pkg/ under the name of the package', async () => {
  await installPackage(home, readable(bundled('app')));
  expect(await readFile(join(home, 'vfs', 'app:sys', 'pkg', 'app:sys.zip'), 'utf8')).toBe(
    'zip of app',
  );
});

test('K120 an unpacking cut short leaves the old files, and is cleared away', async () => {
  await installPackage(home, readable(bundled('app')));
  await mkdir(join(home, 'cache', 'unpack', 'half'), { recursive: true });
  await clearUnpacking(home);
  expect(await readdir(join(home, 'cache'))).toEqual([]);
  expect(await readdir(join(home, 'vfs', 'app:sys', 'pkg'))).toContain('main.wasm');
});

test('K120 entries with unsafe paths are skipped', async () => {
  const extra: [string, string][] = [
    ['../../evil', 'x'],
    ['/../evil', 'x'],
    ['a/../../../evil', 'x'],
    ['fine.txt', 'y'],
  ];
  await installPackage(home, readable(bundled('app', {}, extra)));
  expect(
    (await readdir(home, { recursive: true })).filter((name) => name.endsWith('evil')),
  ).toEqual([]);
  expect(await readdir(join(home, 'vfs', 'app:sys', 'pkg'))).toContain('fine.txt');
});

test('K121 capabilities of a kept process are extended, never cut, and its entry is overwritten', () => {
  const app = readable(bundled('app', { request_capabilities: ['net:distro:sys'], public: true }));
  const extra = issuedBy('chess:chess:sys', '"messaging"');
  const kept = {
    id: id('main:app:sys'),
    entry: {
      wasmBytesHandle: '/old',
      witVersion: undefined,
      onExit: { kind: 'none' } as const,
      public: false,
    },
    capabilities: [extra, issuedBy('vfs:distro:sys', '{"kind":"read","drive":"/app:sys/pkg"}')],
  };
  const [main, ...others] = planBoot('n.os', [kept], [app]).processes;
  expect(others).toEqual([]);
  expect(main?.entry).toEqual({
    wasmBytesHandle: '/app:sys/pkg/main.wasm',
    witVersion: 1,
    onExit: { kind: 'restart' },
    public: true,
  });
  expect(main?.capabilities).toContainEqual(extra);
  expect(main?.capabilities).toContainEqual(issuedBy('net:distro:sys', '"messaging"'));
  // The kept read capability is equal as JSON, so it is there once, with its old text.
  const drives = main?.capabilities.filter((cap) => cap.params.includes('read'));
  expect(drives).toEqual([issuedBy('vfs:distro:sys', '{"kind":"read","drive":"/app:sys/pkg"}')]);
});

test('K121 grants reach processes of packages that come later; unknown targets are ignored', () => {
  const first = readable(
    bundled('first', { grant_capabilities: ['main:second:sys', 'no:such:process'] }),
  );
  const plan = planBoot('n.os', [], [first, readable(bundled('second'))]);
  const second = plan.processes.find((process) => process.id === 'main:second:sys');
  expect(second?.capabilities).toContainEqual(issuedBy('main:first:sys', '"messaging"'));
  expect(plan.processes).toHaveLength(2);
});

test('K126 a process installed by the user stays in the map as it was', () => {
  const kept = {
    id: id('main:mine:me.os'),
    entry: {
      wasmBytesHandle: '/mine:me.os/pkg/main.wasm',
      witVersion: 1,
      onExit: { kind: 'restart' } as const,
      public: false,
    },
    capabilities: [issuedBy('vfs:distro:sys', '"messaging"')],
  };
  expect(planBoot('n.os', [kept], [readable(bundled('app'))]).processes).toContainEqual(kept);
});

test('K123 wasm that vanished is undefined, and no handle leads out of the vfs', async () => {
  await installPackage(home, readable(bundled('app')));
  expect(await readWasm(home, '/app:sys/pkg/main.wasm')).toEqual(Buffer.from('wasm'));
  expect(await readWasm(home, '/app:sys/pkg/gone.wasm')).toBeUndefined();
  await writeFile(join(home, 'secret'), 'x');
  expect(await readWasm(home, '/../secret')).toBeUndefined();
});

test('K127 tester is absent outside simulation', () => {
  const all = [bundled('tester'), bundled('app')];
  const names = (simulation: boolean) =>
    readPackages(all, { simulation }).packages.map(({ metadata }) => metadata.packageName);
  expect(names(false)).toEqual(['app']);
  expect(names(true)).toEqual(['tester', 'app']);
});

test('K120 a package with a damaged or missing manifest is named, the others boot', () => {
  const damaged = { ...bundled('bad'), files: [{ path: 'manifest.json', bytes: utf8('[{') }] };
  const missing = { ...bundled('empty'), files: [] };
  const { packages, lines } = readPackages([damaged, missing, bundled('app')], {
    simulation: false,
  });
  expect(packages.map(({ metadata }) => metadata.packageName)).toEqual(['app']);
  expect(lines[0]).toMatch(/bad.*manifest\.json.*not JSON/);
  expect(lines[1]).toMatch(/empty.*manifest\.json/);
});

test('K120 entries with unsafe ids are dropped with a line', () => {
  const kept = {
    id: id('A_b:pkg:pub'),
    entry: {
      wasmBytesHandle: '',
      witVersion: 1,
      onExit: { kind: 'restart' } as const,
      public: false,
    },
    capabilities: [],
  };
  const plan = planBoot('n.os', [kept], []);
  expect(plan.processes).toEqual([]);
  expect(plan.lines.join()).toContain('A_b:pkg:pub');
});
