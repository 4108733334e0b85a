import { readdir, readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { err, io, NOT_DIR, TOO_LARGE, VfsBench } from './bench.testing.ts';
import { ZIP_BYTES_MAX } from './limits.ts';

let vfs: VfsBench;
beforeEach(async () => {
  vfs = await VfsBench.make();
});
afterEach(() => vfs[Symbol.asyncDispose]());

type Members = readonly (readonly [name: string, content: string | undefined])[];

/** The part of the zip writer used here; the package has no types. */
interface Writer {
  addBuffer(content: Buffer, name: string, options?: object): void;
  addEmptyDirectory(name: string): void;
  end(): void;
  readonly outputStream: NodeJS.ReadableStream;
}

async function zip(members: Members, options: object = {}): Promise<Buffer> {
  // A computed name, because the package has no types to be found under it.
  const name: string = 'yazl';
  const { ZipFile } = (await import(name)) as { ZipFile: new () => Writer };
  const file = new ZipFile();
  for (const [member, content] of members)
    if (content === undefined) file.addEmptyDirectory(member);
    else file.addBuffer(Buffer.from(content), member, options);
  file.end();
  return buffer(file.outputStream);
}

/** The archive with a member's name replaced by one of the same length, which the writer would refuse. */
async function zipNamed(name: string): Promise<Buffer> {
  const stand = 'n'.repeat(Buffer.byteLength(name));
  const archive = await zip([
    ['good', 'x'],
    [stand, 'evil'],
  ]);
  return Buffer.from(
    archive.toString('latin1').replaceAll(stand, Buffer.from(name).toString('latin1')),
    'latin1',
  );
}

const addZip = (archive: Uint8Array, path = '/p:q/d/base') =>
  vfs.do(path, 'AddZip', { blob: archive });

test('M56 AddZip makes the base, overwrites files, honours directory members', async () => {
  await vfs.do('/p:q/d/base', 'CreateDir');
  await vfs.write('/p:q/d/base/a', 'a longer old content');
  const archive = await zip([
    ['a', 'new'],
    ['dir/', undefined],
    ['dir/b', 'b'.repeat(100_000)],
    ['empty/', undefined],
  ]);
  expect(await addZip(archive)).toBe('Ok');
  expect(await vfs.read('/p:q/d/base/a')).toBe('new');
  expect(await vfs.read('/p:q/d/base/dir/b')).toBe('b'.repeat(100_000));
  expect(await vfs.do('/p:q/d/base/empty', 'ReadDir')).toEqual({ ReadDir: [] });
  expect(await addZip(archive, '/p:q/d/deep/er')).toBe('Ok');
  expect(await vfs.read('/p:q/d/deep/er/a')).toBe('new');
});

test('M56 stored and Zstandard members; other methods are UnzipError', async () => {
  expect(await addZip(await zip([['a', 'stored']], { compress: false }))).toBe('Ok');
  expect(await vfs.read('/p:q/d/base/a')).toBe('stored');
  const archive = await zip([['a', zstdCompressSync('zstd').toString('latin1')]], {
    compress: false,
  });
  const compressed = zstdCompressSync('zstd');
  const raw = await zip([['a', 'x'.repeat(compressed.length)]], { compress: false });
  const at = raw.indexOf('x'.repeat(compressed.length));
  compressed.copy(raw, at);
  expect(archive.length).toBeGreaterThan(0);
  // Patched by hand: method, checksum and unpacked size, in the local and in the central header.
  const { crc32 } = await import('node:zlib');
  for (const [signature, shift] of [
    [0x04034b50, 0],
    [0x02014b50, 2],
  ] as const) {
    const header = raw.indexOf(Buffer.from(Uint32Array.of(signature).buffer));
    raw.writeUInt16LE(93, header + 8 + shift);
    raw.writeUInt32LE(crc32('zstd'), header + 14 + shift);
    raw.writeUInt32LE(4, header + 22 + shift);
  }
  expect(await addZip(raw)).toBe('Ok');
  expect(await vfs.read('/p:q/d/base/a')).toBe('zstd');
  const bzip2 = Buffer.from(raw);
  bzip2.writeUInt16LE(12, bzip2.indexOf(Buffer.from(Uint32Array.of(0x02014b50).buffer)) + 10);
  expect(await addZip(bzip2)).toEqual(err('UnzipError'));
});

test('M57 a blob that is no zip is a ParseError with the path as the guest knows it', async () => {
  for (const blob of ['', 'no zip', 'PK\u0003\u0004', 'x'.repeat(70_000)]) {
    const reply = (await vfs.do('/p:q/d/base', 'AddZip', { blob })) as {
      Err: { ParseError: unknown };
    };
    expect(reply.Err.ParseError).toEqual({ error: expect.any(String), path: '/p:q/d/base' });
    expect(JSON.stringify(reply)).not.toContain(vfs.home);
  }
});

test('M58 parents of members are made when the archive does not name them', async () => {
  expect(await addZip(await zip([['x/y/z', 'deep']]))).toBe('Ok');
  expect(await vfs.read('/p:q/d/base/x/y/z')).toBe('deep');
});

test('M59 members that would leave the target are refused and nothing is written', async () => {
  const names = [
    '../x',
    '/x',
    'a/../../x',
    '..',
    '..\\x',
    'C:\\x',
    '/p:q/d/x',
    'a/..',
    'nul\0name',
  ];
  for (const name of names) {
    expect(await addZip(await zipNamed(name)), name).toEqual(err('UnzipError'));
    expect(await readdir(vfs.disk('p:q/d'))).toEqual([]);
  }
});

test('M59 sizes that an archive states are added up and enforced', async () => {
  const bomb = await zip([['a', 'x'.repeat(1000)]]);
  const central = bomb.indexOf(Buffer.from(Uint32Array.of(0x02014b50).buffer));
  for (const [size, expected] of [
    [ZIP_BYTES_MAX + 1, TOO_LARGE],
    [10, err('UnzipError')],
    [100_000, err('UnzipError')],
  ] as const) {
    const patched = Buffer.from(bomb);
    patched.writeUInt32LE(size, central + 24);
    expect(await addZip(patched), String(size)).toEqual(expected);
    expect(await vfs.do('/p:q/d/base/a', 'Len')).toHaveProperty('Err');
  }
});

test('M59 a member damaged in the archive is UnzipError and leaves no file, and nothing half-written', async () => {
  const archive = await zip([['a', 'content that is stored']], { compress: false });
  archive.write('X', archive.indexOf('content'));
  expect(await addZip(archive)).toEqual(err('UnzipError'));
  expect(await readdir(vfs.disk('p:q/d/base'))).toEqual([]);
  expect(await readdir(vfs.disk('.partial'))).toEqual([]);
});

test('M56 a member where a directory is, and below a file, are errors of the file system', async () => {
  await vfs.do('/p:q/d/base/a', 'CreateDirAll');
  expect(await addZip(await zip([['a', 'x']]))).toEqual(io('Is a directory (os error 21)'));
  await vfs.write('/p:q/d/f', 'x');
  expect(await addZip(await zip([['a', 'x']]), '/p:q/d/f/g')).toEqual(NOT_DIR);
  expect(await addZip(await zip([['a', 'x']]), '/p:q/d/f')).toEqual(
    io('File exists (os error 17)'),
  );
  expect(await readFile(vfs.disk('p:q/d/f'), 'utf8')).toBe('x');
});

test('M59 mutated archives never throw and never write outside their target', async () => {
  const original = await zip([
    ['a/b', 'one'.repeat(50)],
    ['c', 'two'],
    ['d/', undefined],
  ]);
  const mutation = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(mutation, fc.nat(original.length), async (changes, cut) => {
      const archive = Buffer.from(original);
      for (const [at, value] of changes) archive[at] = value;
      const blob = cut % 4 === 0 ? archive.subarray(0, cut) : archive;
      const body = await addZip(blob);
      expect(body === 'Ok' || (body as { Err?: unknown }).Err !== undefined).toBe(true);
      expect((await readdir(vfs.disk('.'))).toSorted()).toEqual(['.partial', 'p:q']);
      expect((await readdir(vfs.disk('p:q/d'))).filter((name) => name !== 'base')).toEqual([]);
      expect(await readdir(vfs.disk('.partial'))).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
