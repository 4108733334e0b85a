/** The files of a wasm job: nothing of the host's but its own, and counts that hold. */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  mkdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { FileError, JobFiles, OPEN_FILES_MAX, type OpenFile, type OpenFolder } from './files.ts';

const root = mkdtempSync(join(tmpdir(), 'hl-files-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

class Exceeded extends Error {}
let made = 0;
interface Made {
  readonly files: JobFiles;
  readonly inside: OpenFolder;
  readonly outside: OpenFolder;
  readonly host: string;
}

function make(limits: { bytesMax?: number; entriesMax?: number } = {}): Made {
  const host = join(root, `${made++}`);
  mkdirSync(join(host, 'in/sub'), { recursive: true });
  mkdirSync(join(host, 'out'));
  writeFileSync(join(host, 'secret'), 'secret');
  writeFileSync(join(host, 'in/a'), 'input');
  writeFileSync(join(host, 'in/sub/b'), 'deep');
  writeFileSync(join(host, 'in/unlisted'), 'not the job’s');
  const files = new JobFiles({
    inputs: join(host, 'in'),
    outputs: join(host, 'out'),
    files: [
      { path: 'a', size: 5 },
      { path: 'sub/b', size: 4 },
    ],
    ...{ bytesMax: 1_000, entriesMax: 10, ...limits },
    exceeded: (message) => {
      throw new Exceeded(message);
    },
  });
  const [inside, outside] = files.roots;
  return { files, inside: inside!.folder, outside: outside!.folder, host };
}

const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'none';
  } catch (error) {
    if (error instanceof FileError) return error.code;
    throw error;
  }
};
function write({ files, outside }: Made, path: string, text: string): OpenFile {
  const file = files.open(outside, path, { create: true, write: true });
  if (file.kind !== 'file') throw new Error('a folder');
  files.write(file, Buffer.from(text), 0);
  return file;
}

it('threat 6: no path leads out, and what was not listed is not there', () => {
  const { files, inside, outside } = make();
  const out = [
    '../secret',
    '/etc/passwd',
    'sub/../../secret',
    '..',
    './../secret',
    'a/../../../../etc/passwd',
  ];
  for (const path of out) {
    for (const folder of [inside, outside])
      expect(codeOf(() => files.open(folder, path, { create: true, write: true }))).toMatch(
        /^(not-permitted|read-only)$/,
      );
  }
  expect(codeOf(() => files.open(inside, 'unlisted', {}))).toBe('no-entry');
  expect(codeOf(() => files.stat(inside, '../out'))).toBe('not-permitted');
  expect(files.list(inside).map(({ name }) => name)).toEqual(['a', 'sub']);
  expect(files.stat(inside, 'sub/../a')).toEqual({ kind: 'file', size: 5 });
});

it('names that outputs may not have can not be made', () => {
  const { files, outside } = make();
  for (const path of ['a\nb', 'a\\b', 'e\u0301', 'x'.repeat(256), '\u007f'])
    expect(codeOf(() => files.open(outside, path, { create: true, write: true }))).toBe(
      'illegal-byte-sequence',
    );
});

it('inputs are read, never written, moved or removed', () => {
  const one = make();
  const { files, inside, outside } = one;
  write(one, 'mine', 'x');
  const attempts: (() => unknown)[] = [
    () => files.open(inside, 'a', { write: true }),
    () => files.open(inside, 'a', { truncate: true }),
    () => files.open(inside, 'new', { create: true }),
    () => files.createFolder(inside, 'new'),
    () => files.removeFile(inside, 'a'),
    () => files.removeFolder(inside, 'sub'),
    () => files.rename(inside, 'a', inside, 'b'),
  ];
  expect(attempts.map(codeOf)).toEqual(attempts.map(() => 'read-only'));
  expect(codeOf(() => files.rename(inside, 'a', outside, 'a'))).toBe('cross-device');
  const file = files.open(inside, 'a', {}) as OpenFile;
  expect(codeOf(() => files.write(file, Buffer.from('x'), 0))).toBe('bad-descriptor');
  const into = new Uint8Array(10);
  expect(files.read(file, into, 1)).toBe(4);
  expect(Buffer.from(into.subarray(0, 4)).toString()).toBe('nput');
});

it('a link that somebody else put there is not followed', () => {
  const one = make();
  symlinkSync(join(one.host, 'secret'), join(one.host, 'out/link'));
  expect(() => one.files.open(one.outside, 'link', { create: true, write: true })).toThrow(
    /EEXIST|ELOOP/,
  );
  expect(readFileSync(join(one.host, 'secret'), 'utf8')).toBe('secret');
});

describe('limits', () => {
  it('bytes: by writing, by a hole, by growing; what is removed is free again', () => {
    const one = make({ bytesMax: 10 });
    const file = write(one, 'f', '12345');
    expect(() => one.files.write(file, Buffer.from('x'), 10)).toThrow(Exceeded);
    expect(() => one.files.setSize(file, 11)).toThrow(Exceeded);
    one.files.write(file, Buffer.from('678910'), 4);
    expect(one.files.bytes).toBe(10);
    one.files.setSize(file, 3);
    one.files.close(file);
    one.files.removeFile(one.outside, 'f');
    expect(one.files.bytes).toBe(0);
    write(one, 'g', '1234567890');
  });
  it('files and folders', () => {
    const one = make({ entriesMax: 2 });
    one.files.createFolder(one.outside, 'd');
    write(one, 'd/f', '');
    expect(() => one.files.createFolder(one.outside, 'e')).toThrow(Exceeded);
    expect(
      new Set(readdirSync(join(one.host, 'out'), { recursive: true, encoding: 'utf8' })),
    ).toEqual(new Set(['d', 'd/f']));
  });
  it('open files', () => {
    const one = make();
    const open = Array.from({ length: OPEN_FILES_MAX }, () => one.files.open(one.inside, 'a', {}));
    expect(codeOf(() => one.files.open(one.inside, 'a', {}))).toBe('insufficient-memory');
    one.files.close(open[0]!);
    one.files.open(one.inside, 'a', {});
  });
  it('a file that is open can not be removed, for it would go on to grow', () => {
    const one = make();
    const file = write(one, 'f', 'x');
    write(one, 'g', 'y');
    expect(codeOf(() => one.files.removeFile(one.outside, 'f'))).toBe('busy');
    expect(codeOf(() => one.files.rename(one.outside, 'g', one.outside, 'f'))).toBe('busy');
    one.files.close(file);
    one.files.removeFile(one.outside, 'f');
  });
});

it('whatever is done, what is on disk is what the job sees, and all of it is counted', () => {
  const name = fc.constantFrom('a', 'b', 'd', 'd/a', 'd/e', 'd/e/a', '../x', 'd/../b', './a');
  const step = fc.oneof(
    fc.record({
      do: fc.constant('write' as const),
      at: name,
      size: fc.nat(300),
      offset: fc.nat(300),
    }),
    fc.record({ do: fc.constant('folder' as const), at: name }),
    fc.record({ do: fc.constant('remove' as const), at: name }),
    fc.record({ do: fc.constant('clear' as const), at: name }),
    fc.record({ do: fc.constant('size' as const), at: name, size: fc.nat(600) }),
    fc.record({ do: fc.constant('move' as const), at: name, to: name }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { files, outside, host } = make();
      for (const one of steps) {
        try {
          if (one.do === 'folder') files.createFolder(outside, one.at);
          else if (one.do === 'remove') files.removeFile(outside, one.at);
          else if (one.do === 'clear') files.removeFolder(outside, one.at);
          else if (one.do === 'move') files.rename(outside, one.at, outside, one.to);
          else {
            const file = files.open(outside, one.at, {
              create: one.do === 'write',
              write: true,
            }) as OpenFile;
            try {
              if (one.do === 'write')
                files.write(file, new Uint8Array(one.size).fill(1), one.offset);
              else files.setSize(file, one.size);
            } finally {
              files.close(file);
            }
          }
        } catch (error) {
          if (!(error instanceof FileError || error instanceof Exceeded)) throw error;
        }
      }
      const seen: string[] = [];
      let bytes = 0;
      const walk = (folder: OpenFolder): void => {
        for (const { name: child, kind } of files.list(folder)) {
          const path = folder.path === '' ? child : `${folder.path}/${child}`;
          seen.push(path);
          const { size } = files.stat(outside, path);
          if (kind === 'file') {
            expect(statSync(join(host, 'out', path)).size).toBe(size);
            bytes += size;
          } else walk({ ...folder, path });
        }
      };
      walk(outside);
      expect(
        new Set(readdirSync(join(host, 'out'), { recursive: true, encoding: 'utf8' })),
      ).toEqual(new Set(seen));
      expect(files.bytes).toBe(bytes);
      expect(bytes).toBeLessThanOrEqual(1_000);
      expect(readdirSync(host).toSorted()).toEqual(['in', 'out', 'secret']);
      rmSync(host, { recursive: true });
    }),
    { numRuns: 150 },
  );
});
