import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  DENIED,
  err,
  INVALID,
  io,
  NOT_FOUND,
  OWNER,
  ROOT,
  VfsBench,
  type WireAction,
} from './bench.testing.ts';

let vfs: VfsBench;
/** A file outside the root that nothing may read or change. */
let secret: string;
beforeEach(async () => {
  vfs = await VfsBench.make();
  secret = join(vfs.home, 'secret');
  await writeFile(secret, 'secret');
});
afterEach(() => vfs[Symbol.asyncDispose]());

/** Every action, with its blob. */
const ALL: readonly WireAction[] = [
  'CreateDrive',
  'CreateDir',
  'CreateDirAll',
  'CreateFile',
  { OpenFile: { create: true } },
  { OpenFile: { create: false } },
  'CloseFile',
  'Write',
  'WriteAll',
  'Append',
  'SyncAll',
  'Read',
  'ReadDir',
  'ReadToEnd',
  { ReadExact: { length: 3 } },
  'ReadToString',
  { Seek: { Start: 1 } },
  { Seek: { End: -1 } },
  { Seek: { Current: 1 } },
  'RemoveFile',
  'RemoveDir',
  'RemoveDirAll',
  { Rename: { new_path: '/p:q/d/renamed' } },
  { CopyFile: { new_path: '/p:q/d/copied' } },
  'Metadata',
  'AddZip',
  'Len',
  { SetLen: 3 },
  'Hash',
];

test('M14 links out of the root, to files, directories and nowhere, are followed by no action', async () => {
  const links: readonly (readonly [name: string, target: string])[] = [
    ['file', secret],
    ['relative', '../../../secret'],
    ['nowhere', join(vfs.home, 'new-file')],
    ['dir', vfs.home],
    ['root', '/'],
    ['loop', 'loop'],
  ];
  for (const action of ALL)
    for (const [name, target] of links)
      for (const path of [name, `${name}/secret`, `${name}/vfs/p:q`]) {
        await rm(vfs.disk('p:q/d'), { recursive: true, force: true });
        await mkdir(vfs.disk('p:q/d'));
        await symlink(target, vfs.disk(`p:q/d/${name}`));
        const reply = await vfs.send(`/p:q/d/${path}`, action, { blob: 'overwritten' });
        expect(new TextDecoder().decode(reply?.blob?.bytes)).not.toContain('secret');
        expect(JSON.stringify(reply?.body)).not.toContain('"secret"');
        expect(await readFile(secret, 'utf8')).toBe('secret');
        expect((await readdir(vfs.home)).toSorted()).toEqual(['secret', 'vfs']);
      }
  expect(await vfs.do('/p:q/d/loop', 'Read')).toHaveProperty('Err.IOError');
});

test('M14 removing or renaming a link acts on the link', async () => {
  await symlink(secret, vfs.disk('p:q/d/link'));
  expect(await vfs.do('/p:q/d/link', { Rename: { new_path: '/p:q/d/link2' } })).toBe('Ok');
  expect(await vfs.do('/p:q/d/link2', 'Read')).toEqual(DENIED);
  expect(await vfs.do('/p:q/d/link2', 'RemoveFile')).toBe('Ok');
  await symlink(vfs.home, vfs.disk('p:q/d/dir'));
  expect(await vfs.do('/p:q/d/dir', 'RemoveDirAll')).toBe('Ok');
  expect(await readFile(secret, 'utf8')).toBe('secret');
});

test('M14 a link stays inside its drive: the capability was checked for that drive', async () => {
  await vfs.do('/v:w/private', 'CreateDrive', { from: 'x:v:w' });
  await vfs.do('/v:w/private/f', 'Write', { from: 'x:v:w', blob: 'private' });
  await vfs.do('/p:q/e', 'CreateDrive');
  await symlink('../../v:w/private', vfs.disk('p:q/d/cross'));
  await symlink('..', vfs.disk('p:q/d/up'));
  expect(await vfs.do('/p:q/d/cross/f', 'Read')).toEqual(DENIED);
  expect(await vfs.do('/p:q/d/cross', 'ReadDir')).toEqual(DENIED);
  expect(await vfs.do('/p:q/d/up', 'ReadDir')).toEqual(DENIED);
  expect(await vfs.do('/p:q/d/up/new', 'CreateDir')).toEqual(DENIED);
  await symlink('v:w', vfs.disk('s:t'));
  expect(await vfs.do('/s:t/private/f', 'Read', { from: 'x:s:t' })).toEqual(DENIED);
});

test('M14 links inside the drive work', async () => {
  await vfs.do('/p:q/d/sub', 'CreateDir');
  await symlink('sub', vfs.disk('p:q/d/link'));
  expect(await vfs.write('/p:q/d/link/f', 'through')).toBe('Ok');
  expect(await vfs.read('/p:q/d/sub/f')).toBe('through');
});

test('M14 directories swapped for links while in use never lead outside', async () => {
  await mkdir(join(vfs.home, 'outside'));
  await writeFile(join(vfs.home, 'outside/f'), 'secret');
  await vfs.do('/p:q/d/dir', 'CreateDir');
  await vfs.write('/p:q/d/dir/f', 'inside');
  let isOver = false;
  const swap = (async () => {
    const [dir, away, link] = ['dir', 'away', 'link'].map((name) => vfs.disk(`p:q/d/${name}`));
    if (dir === undefined || away === undefined || link === undefined) return;
    while (!isOver) {
      await symlink('../../../outside', link);
      await rename(dir, away);
      await rename(link, dir);
      await unlink(dir);
      await rename(away, dir);
    }
  })();
  const seen = new Set<string>();
  for (let round = 0; round < 400; round += 1)
    seen.add(JSON.stringify(await vfs.read('/p:q/d/dir/f', round % 2 ? 'Read' : 'ReadToEnd')));
  isOver = true;
  await swap;
  expect([...seen].filter((each) => each.includes('secret'))).toEqual([]);
  expect(seen).toContain('"inside"');
});

test('M16 names are taken as they are: case, accents, spaces, colons and dots', async () => {
  const names = [
    'a:b',
    'A',
    'a',
    'é',
    'e\u0301',
    '...',
    ' ',
    '-rf',
    'a\\b',
    'nul',
    '\u202e',
    '%2e%2e',
    '~',
  ];
  for (const name of names) expect(await vfs.write(`/p:q/d/${name}`, name)).toBe('Ok');
  for (const name of names) expect(await vfs.read(`/p:q/d/${name}`)).toBe(name);
  expect(await readdir(vfs.disk('p:q/d'))).toHaveLength(names.length);
  expect(await vfs.do('/p:q/d/%2e%2e/%2e%2e/secret', 'Read')).toHaveProperty('Err');
  expect(await vfs.do('/P:q/d/a', 'Read')).toEqual(err('NoReadCap'));
});

test('M16 names too long for the host are IOError 36 for every action that needs the name', async () => {
  const tooLong = io('File name too long (os error 36)');
  for (const name of ['n'.repeat(300), '字'.repeat(300), 'n/'.repeat(3000)])
    for (const action of ALL) {
      if (action === 'CloseFile' || action === 'CreateDrive' || action === 'AddZip') continue;
      expect(await vfs.do(`/p:q/d/${name}`, action, { blob: 'x' }), JSON.stringify(action)).toEqual(
        tooLong,
      );
    }
  expect(await vfs.do(`/p:q/${'n'.repeat(300)}`, 'CreateDrive')).toEqual(tooLong);
});

test('M12 a pipe in a drive does not block, it is refused', async () => {
  execFileSync('mkfifo', [vfs.disk('p:q/d/pipe')]);
  for (const action of [
    'Read',
    'Hash',
    'Write',
    'Append',
    'ReadToEnd',
    { OpenFile: { create: false } },
  ] as const)
    expect(await vfs.do('/p:q/d/pipe', action, { blob: 'x' })).toEqual(INVALID);
  expect(await vfs.do('/p:q/d/pipe', 'Metadata')).toHaveProperty('Metadata.file_type', 'Other');
});

test('M31 half-written files are in no listing and a restart clears them', async () => {
  await writeFile(vfs.disk('.partial/1'), 'half');
  const root = { from: OWNER, capabilities: [ROOT] };
  expect(await vfs.do('/', 'ReadDir', root)).toEqual({
    ReadDir: [{ path: 'p:q', file_type: 'Directory' }],
  });
  expect(await vfs.do('/.partial/1', 'Read', root)).toEqual(err('MalformedRequest'));
});

test('M41 an overwritten file is the old one or the new one, never half of it', async () => {
  const [a, b] = ['a'.repeat(300_000), 'b'.repeat(200_000)];
  await vfs.write('/p:q/d/f', a);
  let isOver = false;
  const writer = (async () => {
    for (let round = 0; round < 60; round += 1) await vfs.write('/p:q/d/f', round % 2 ? a : b);
    isOver = true;
  })();
  let reads = 0;
  while (!isOver) {
    // Read past the vfs, as a restarted node would after a kill at this instant.
    const content = await readFile(vfs.disk('p:q/d/f'), 'utf8');
    expect(content === a || content === b).toBe(true);
    reads += 1;
  }
  await writer;
  expect(reads).toBeGreaterThan(5);
});

test('M61 an aborted request ends and leaves the path usable', async () => {
  await vfs.do('/p:q/d/f', 'CreateFile');
  await vfs.do('/p:q/d/f', { SetLen: 2 ** 41 });
  const abort = new AbortController();
  const body = { path: '/p:q/d/f', action: 'Hash' };
  const hashing = vfs.answer(vfs.request({ from: OWNER, body }), abort.signal);
  setTimeout(() => abort.abort(), 30);
  expect(await hashing).toBeUndefined();
  expect(await vfs.do('/p:q/d/f', 'Len')).toEqual({ Len: 2 ** 41 });
});

test('M11 a large file being hashed does not delay other processes', async () => {
  await vfs.do('/p:q/d/big', 'CreateFile');
  await vfs.do('/p:q/d/big', { SetLen: 2 ** 41 });
  await vfs.write('/p:q/d/f', 'small');
  const abort = new AbortController();
  const body = { path: '/p:q/d/big', action: 'Hash' };
  const hashing = vfs.answer(vfs.request({ from: OWNER, body }), abort.signal);
  expect(await vfs.read('/p:q/d/f', 'Read', { from: 'other:p:q' })).toBe('small');
  await vfs.do('/p:q/d/g', 'Write', { from: 'other:p:q', blob: Buffer.alloc(1_000_000) });
  expect(await vfs.do('/p:q/d/g', 'Hash', { from: 'other:p:q' })).toHaveProperty('Hash');
  abort.abort();
  expect(await hashing).toBeUndefined();
});

/** Pieces that paths are made of when somebody means harm. */
const piece = fc.constantFrom(
  'p:q',
  'd',
  'f',
  '..',
  '.',
  '',
  'a:b',
  '/',
  '\0',
  'link',
  'sub',
  '~',
  '\\',
  'é',
  'n'.repeat(300),
  ':',
  '::',
);
const path = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('/'));
const number = fc.constantFrom(
  '0',
  '1',
  '-1',
  '1.0',
  '1e9',
  '1152921504606846976',
  '18446744073709551615',
  '18446744073709551616',
  '-9223372036854775808',
  'null',
  '"1"',
);

test('M17 any request gets an answer or silence: nothing throws, nothing outside changes', async () => {
  await symlink(vfs.home, vfs.disk('p:q/d/link'));
  const actionText = fc.oneof(
    fc.constantFrom(...ALL).map((action) => JSON.stringify(action)),
    path.map((new_path) => JSON.stringify({ Rename: { new_path } })),
    path.map((new_path) => JSON.stringify({ CopyFile: { new_path } })),
    number.map((n) => `{"ReadExact":{"length":${n}}}`),
    number.map((n) => `{"Seek":{"Start":${n}}}`),
    number.map((n) => `{"Seek":{"End":${n}}}`),
    // Not beyond what the test's disk may hold as a sparse file.
    number.map((n) => `{"SetLen":${n}}`),
    fc.json(),
  );
  const request = fc
    .tuple(path, actionText)
    .map(([where, action]) => `{"path":${JSON.stringify(where)},"action":${action}}`);
  const mangled = fc
    .tuple(request, fc.nat(), fc.string({ maxLength: 2 }))
    .map(
      ([text, at, insert]) =>
        text.slice(0, at % text.length) + insert + text.slice((at % text.length) + 1),
    );
  const body = fc.oneof({ weight: 8, arbitrary: request }, mangled, fc.uint8Array());
  const blob = fc.option(fc.uint8Array({ maxLength: 50 }), { nil: undefined });
  const asRoot = fc.boolean();
  await fc.assert(
    fc.asyncProperty(body, blob, asRoot, async (text, bytes, root) => {
      const capabilities = root ? [ROOT] : [];
      await vfs.ask({ from: OWNER, body: text, blob: bytes, capabilities });
      expect(await readFile(secret, 'utf8')).toBe('secret');
      expect((await readdir(vfs.home)).toSorted()).toEqual(['secret', 'vfs']);
    }),
    { numRuns: 1500 },
  );
  expect(await vfs.do('/p:q/none', 'ReadDir')).toEqual(NOT_FOUND);
});

test('M60 racing renames, removals and writes leave no handle addressing a file that is elsewhere', async () => {
  const paths = [
    '/p:q/d/a',
    '/p:q/d/b',
    '/p:q/d/x/a',
    '/p:q/d/x/b',
    '/p:q/d/y/a',
    '/p:q/d/x',
    '/p:q/d/y',
  ];
  const some = fc.constantFrom(...paths);
  const step = fc.oneof(
    fc.tuple(some, some).map(([from, new_path]) => [from, { Rename: { new_path } }] as const),
    fc.tuple(some, some).map(([from, new_path]) => [from, { CopyFile: { new_path } }] as const),
    fc
      .tuple(
        some,
        fc.constantFrom<WireAction[]>(
          'Write',
          'WriteAll',
          'Append',
          'CreateFile',
          'ReadToEnd',
          'RemoveFile',
          'RemoveDirAll',
          'CreateDir',
          'Hash',
          { OpenFile: { create: true } },
        ),
      )
      .map(([where, action]) => [where, action] as const),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 12 }), { minLength: 3, maxLength: 5 }),
      async (programs) => {
        const bodies = programs.map(async (program, n) => {
          const from = `proc${n}:p:q`;
          for (const [where, action] of program)
            await vfs.do(where, action, { from, blob: `${n}` });
        });
        await Promise.all(bodies);
        for (const where of paths) {
          // What the vfs says through its handle and what is on disk must be the same file.
          const viaHandle = await vfs.do(where, 'Len');
          const onDisk = await vfs.do(where, 'Metadata');
          const length = (onDisk as { Metadata?: { file_type: string; len: number } }).Metadata;
          if (length?.file_type === 'File') expect(viaHandle).toEqual({ Len: length.len });
          else expect(viaHandle).toHaveProperty('Err.IOError');
        }
      },
    ),
    { numRuns: 60 },
  );
});
