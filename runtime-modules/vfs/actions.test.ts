import { createHash } from 'node:crypto';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  err,
  EXISTS,
  INVALID,
  io,
  IS_DIR,
  NOT_FOUND,
  SIBLING,
  TOO_LARGE,
  VfsBench,
  type WireAction,
} from './bench.testing.ts';

let vfs: VfsBench;
beforeEach(async () => {
  vfs = await VfsBench.make();
});
afterEach(() => vfs[Symbol.asyncDispose]());

const F = '/p:q/d/f';
const open = (create: boolean): WireAction => ({ OpenFile: { create } });
const seek = (where: object): WireAction => ({ Seek: where });

test('M11 fire-and-forget requests of one process take effect in order', async () => {
  await vfs.write(F, '');
  const quiet = { expectsResponse: false };
  const sent = Array.from({ length: 50 }, (_, n) =>
    vfs.do(F, 'Append', { ...quiet, blob: `${n},` }),
  );
  await Promise.all(sent);
  expect(await vfs.read(F)).toBe(Array.from({ length: 50 }, (_, n) => `${n},`).join(''));
});

test('M12 operating-system errors have the exact texts guests match on', async () => {
  expect(await vfs.do(F, 'Read')).toEqual(io('No such file or directory (os error 2)'));
  await vfs.write(F, 'x');
  expect(await vfs.do(`${F}/below`, 'Read')).toEqual(io('Not a directory (os error 20)'));
  expect(await vfs.do(`/p:q/d/${'n'.repeat(256)}`, 'CreateFile')).toEqual(
    io('File name too long (os error 36)'),
  );
  expect(await vfs.do('/p:q/d', 'Read')).toEqual(io('Is a directory (os error 21)'));
});

test('M34 ReadDir entries are relative to the root, without a leading slash', async () => {
  await vfs.do('/p:q/d/sub', 'CreateDir');
  await vfs.write('/p:q/d/sub/name "quoted" é', 'x');
  for (const path of ['/p:q/d/sub', 'p:q/d/sub', '//p:q/d/./sub/'])
    expect(await vfs.do(path, 'ReadDir')).toEqual({
      ReadDir: [{ path: 'p:q/d/sub/name "quoted" é', file_type: 'File' }],
    });
  expect(await vfs.do('/p:q/d/none', 'ReadDir')).toEqual(NOT_FOUND);
  expect(await vfs.do('/p:q/d/sub/name "quoted" é', 'ReadDir')).toEqual(
    io('Not a directory (os error 20)'),
  );
});

test('M35 ReadDir shows links, Metadata what they lead to', async () => {
  await vfs.write(F, 'four');
  await symlink('f', vfs.disk('p:q/d/link'));
  const listed = (await vfs.do('/p:q/d', 'ReadDir')) as { ReadDir: unknown[] };
  expect(listed.ReadDir).toContainEqual({ path: 'p:q/d/link', file_type: 'Symlink' });
  expect(await vfs.do('/p:q/d/link', 'Metadata')).toEqual({
    Metadata: { file_type: 'File', len: 4 },
  });
  expect(await vfs.do('/p:q/d', 'Metadata')).toHaveProperty('Metadata.file_type', 'Directory');
});

test('M36 CreateDir and CreateDirAll', async () => {
  expect(await vfs.do('/p:q/d/a/b', 'CreateDir')).toEqual(NOT_FOUND);
  expect(await vfs.do('/p:q/d/a', 'CreateDir')).toBe('Ok');
  expect(await vfs.do('/p:q/d/a', 'CreateDir')).toEqual(EXISTS);
  expect(await vfs.do('/p:q/d/a/b/c', 'CreateDirAll')).toBe('Ok');
  expect(await vfs.do('/p:q/d/a/b/c', 'CreateDirAll')).toBe('Ok');
  await vfs.write(F, 'x');
  expect(await vfs.do(F, 'CreateDirAll')).toEqual(EXISTS);
});

test('M37 CreateFile truncates; its parent must exist', async () => {
  await vfs.write(F, 'old');
  await vfs.do(F, seek({ End: 0 }));
  expect(await vfs.do(F, 'CreateFile')).toBe('Ok');
  expect(await vfs.do(F, 'Len')).toEqual({ Len: 0 });
  await vfs.do(F, 'WriteAll', { blob: 'new' });
  expect(await vfs.read(F)).toBe('new');
  expect(await vfs.do('/p:q/d/no/f', 'CreateFile')).toEqual(NOT_FOUND);
});

test('M38 OpenFile creates when asked and never truncates', async () => {
  expect(await vfs.do(F, open(false))).toEqual(NOT_FOUND);
  expect(await vfs.do(F, open(true))).toBe('Ok');
  await vfs.do(F, 'WriteAll', { blob: 'kept' });
  expect(await vfs.do(F, open(true))).toBe('Ok');
  expect(await vfs.read(F)).toBe('kept');
  expect(await vfs.do('/p:q/d/no/f', open(true))).toEqual(NOT_FOUND);
});

test('M39 OpenFile puts the cursor at 0, also when open', async () => {
  await vfs.write(F, 'abc');
  await vfs.do(F, open(false));
  expect(await vfs.read(F, 'ReadToEnd')).toBe('abc');
  await vfs.do(F, open(false));
  expect(await vfs.read(F, 'ReadToEnd')).toBe('abc');
});

test('M40 OpenFile on a directory', async () => {
  expect(await vfs.do('/p:q/d', open(false))).toEqual(IS_DIR);
  expect(await vfs.do('/p:q/d', open(true))).toEqual(IS_DIR);
});

test('M41 Write replaces the content and leaves the cursor alone', async () => {
  expect(await vfs.write(F, 'first')).toBe('Ok');
  await vfs.do(F, open(false));
  await vfs.do(F, seek({ Start: 2 }));
  expect(await vfs.write(F, 'second')).toBe('Ok');
  expect(await vfs.read(F, 'ReadToEnd')).toBe('cond');
  expect(await vfs.write('/p:q/d', 'x')).toEqual(IS_DIR);
  expect(await vfs.write('/p:q/d/no/f', 'x')).toEqual(NOT_FOUND);
});

test('M42 data actions without a blob are NoBlob; an empty blob is one', async () => {
  await vfs.write(F, 'x');
  for (const action of ['Write', 'WriteAll', 'Append', 'AddZip'] as const)
    expect(await vfs.do(F, action)).toEqual(err('NoBlob'));
  expect(await vfs.do(F, 'Append', { blob: '' })).toBe('Ok');
});

test('M43 WriteAll and Append need an existing file', async () => {
  expect(await vfs.do(F, 'WriteAll', { blob: 'x' })).toEqual(NOT_FOUND);
  expect(await vfs.do(F, 'Append', { blob: 'x' })).toEqual(NOT_FOUND);
});

test('M44 WriteAll overwrites at the cursor, Append goes to the end and stays there', async () => {
  await vfs.write(F, '0123456789');
  await vfs.do(F, seek({ Start: 2 }));
  await vfs.do(F, 'WriteAll', { blob: 'AB' });
  await vfs.do(F, 'WriteAll', { blob: 'CD' });
  expect(await vfs.read(F)).toBe('01ABCD6789');
  await vfs.do(F, 'Append', { blob: 'E' });
  expect(await vfs.do(F, seek({ Current: 0 }))).toEqual({ SeekFrom: { new_offset: 11 } });
});

test('M45 Read is whole, ReadToEnd continues', async () => {
  await vfs.write(F, 'abcdef');
  await vfs.do(F, seek({ Start: 3 }));
  expect(await vfs.read(F)).toBe('abcdef');
  expect(await vfs.read(F, 'ReadToEnd')).toBe('def');
  expect(await vfs.read(F, 'ReadToEnd')).toBe('');
});

test('M46 ReadExact is exact or `early eof`', async () => {
  await vfs.write(F, 'abcdef');
  expect(await vfs.read(F, { ReadExact: { length: 4 } })).toBe('abcd');
  expect(await vfs.do(F, { ReadExact: { length: 3 } })).toEqual(io('early eof'));
  await vfs.do(F, seek({ Start: 6 }));
  expect(await vfs.read(F, { ReadExact: { length: 0 } })).toBe('');
});

test('M47 ReadToString continues from the cursor and refuses what is no UTF-8', async () => {
  await vfs.write(F, 'aé"\n');
  await vfs.do(F, seek({ Start: 1 }));
  expect(await vfs.do(F, 'ReadToString')).toEqual({ ReadToString: 'é"\n' });
  expect(await vfs.do(F, 'ReadToString')).toEqual({ ReadToString: '' });
  await vfs.write(F, new Uint8Array([0x61, 0xff]));
  await vfs.do(F, open(false));
  expect(await vfs.do(F, 'ReadToString')).toEqual(io('stream did not contain valid UTF-8'));
});

test('M47 long texts are converted off the thread, with the same result', async () => {
  const text = `é"\n😀`.repeat(200_001);
  await vfs.write(F, text);
  expect(await vfs.do(F, 'ReadToString')).toEqual({ ReadToString: text });
  expect(await vfs.read(F, 'ReadToEnd')).toBe('');
  await vfs.write(F, Buffer.concat([Buffer.from(text), new Uint8Array([0xc3])]));
  await vfs.do(F, open(false));
  expect(await vfs.do(F, 'ReadToString')).toEqual(io('stream did not contain valid UTF-8'));
});

test('M48 Seek', async () => {
  await vfs.write(F, 'abcdef');
  expect(await vfs.do(F, seek({ Start: 4 }))).toEqual({ SeekFrom: { new_offset: 4 } });
  expect(await vfs.do(F, seek({ Current: -1 }))).toEqual({ SeekFrom: { new_offset: 3 } });
  expect(await vfs.do(F, seek({ End: 10 }))).toEqual({ SeekFrom: { new_offset: 16 } });
  expect(await vfs.do(F, seek({ End: -7 }))).toEqual(INVALID);
  expect(await vfs.do(F, seek({ Current: -17 }))).toEqual(INVALID);
  expect(await vfs.do(F, seek({ Current: 0 }))).toEqual({ SeekFrom: { new_offset: 16 } });
  expect(await vfs.do('/p:q/d/none', seek({ Start: 0 }))).toEqual(NOT_FOUND);
});

test('M49 SetLen extends with zeros and leaves the cursor alone', async () => {
  await vfs.write(F, 'abcdef');
  await vfs.do(F, seek({ Start: 5 }));
  expect(await vfs.do(F, { SetLen: 3 })).toBe('Ok');
  expect(await vfs.do(F, 'Len')).toEqual({ Len: 3 });
  expect(await vfs.do(F, { SetLen: 7 })).toBe('Ok');
  expect(await vfs.read(F)).toBe('abc\0\0\0\0');
  expect(await vfs.do(F, seek({ Current: 0 }))).toEqual({ SeekFrom: { new_offset: 5 } });
});

test('M50 Hash is SHA-256 of the whole, small or large, and leaves the cursor at the end', async () => {
  for (const size of [0, 5, 3_000_000]) {
    const content = Buffer.alloc(size, 'xyz');
    await vfs.write(F, content);
    await vfs.do(F, seek({ Start: 2 }));
    const expected = [...createHash('sha256').update(content).digest()];
    expect(await vfs.do(F, 'Hash')).toEqual({ Hash: expected });
    expect(await vfs.do(F, seek({ Current: 0 }))).toEqual({ SeekFrom: { new_offset: size } });
  }
});

test('M51 CloseFile is fine on anything', async () => {
  expect(await vfs.do('/p:q/d/none', 'CloseFile')).toBe('Ok');
  expect(await vfs.do('/p:q/no/such/parent', 'CloseFile')).toBe('Ok');
  expect(await vfs.do('/p:q/d', 'CloseFile')).toBe('Ok');
});

test('M52 after CloseFile the cursor starts at 0', async () => {
  await vfs.write(F, 'abc');
  await vfs.do(F, seek({ Start: 2 }));
  await vfs.do(F, 'CloseFile');
  expect(await vfs.read(F, 'ReadToEnd')).toBe('abc');
});

test('M53 two processes share the cursor of a path', async () => {
  await vfs.write(F, 'abcd');
  expect(await vfs.read(F, { ReadExact: { length: 2 } })).toBe('ab');
  expect(await vfs.read(F, 'ReadToEnd', { from: SIBLING })).toBe('cd');
});

test('M54 removals', async () => {
  await vfs.do('/p:q/d/dir', 'CreateDir');
  await vfs.write('/p:q/d/dir/f', 'x');
  expect(await vfs.do('/p:q/d/dir', 'RemoveFile')).toEqual(IS_DIR);
  expect(await vfs.do('/p:q/d/dir', 'RemoveDir')).toEqual(io('Directory not empty (os error 39)'));
  expect(await vfs.do('/p:q/d/dir/f', 'RemoveDir')).toEqual(io('Not a directory (os error 20)'));
  expect(await vfs.do('/p:q/d/dir', 'RemoveDirAll')).toBe('Ok');
  expect(await vfs.do('/p:q/d/dir', 'RemoveDirAll')).toEqual(NOT_FOUND);
  expect(await vfs.do('/p:q/d/dir/f', 'RemoveFile')).toEqual(NOT_FOUND);
  expect(await vfs.do('/p:q/d', 'RemoveDir')).toBe('Ok');
});

test('M54 a removed file is gone for open handles too', async () => {
  await vfs.write(F, 'abc');
  await vfs.do(F, seek({ Start: 2 }));
  await vfs.do(F, 'RemoveFile');
  expect(await vfs.do(F, 'Len')).toEqual(NOT_FOUND);
  await vfs.write(F, 'xyz');
  expect(await vfs.read(F, 'ReadToEnd')).toBe('xyz');
});

test('M55 Rename replaces; a missing source is not found', async () => {
  await vfs.write(F, 'new');
  await vfs.write('/p:q/d/g', 'old');
  expect(await vfs.do(F, { Rename: { new_path: '/p:q/d/g' } })).toBe('Ok');
  expect(await vfs.read('/p:q/d/g')).toBe('new');
  expect(await vfs.do(F, { Rename: { new_path: '/p:q/d/g' } })).toEqual(NOT_FOUND);
  await vfs.do('/p:q/d/a', 'CreateDir');
  expect(await vfs.do('/p:q/d/a', { Rename: { new_path: '/p:q/d/a/b' } })).toEqual(INVALID);
});

test('M55 CopyFile replaces, refuses directories, copies onto itself', async () => {
  await vfs.write(F, 'content');
  await vfs.write('/p:q/d/g', 'old');
  await vfs.do('/p:q/d/g', seek({ Start: 3 }));
  expect(await vfs.do(F, { CopyFile: { new_path: '/p:q/d/g' } })).toBe('Ok');
  expect(await vfs.read('/p:q/d/g', 'ReadToEnd')).toBe('tent');
  expect(await vfs.do(F, { CopyFile: { new_path: F } })).toBe('Ok');
  expect(await vfs.do('/p:q/d', { CopyFile: { new_path: F } })).toEqual(IS_DIR);
  expect(await vfs.do(F, { CopyFile: { new_path: '/p:q/d/no/x' } })).toEqual(NOT_FOUND);
  expect(await vfs.read(F)).toBe('content');
});

test('M60 after Rename the old name is free, also for what was below a directory', async () => {
  await vfs.do('/p:q/d/a', 'CreateDir');
  await vfs.write('/p:q/d/a/f', 'moved');
  await vfs.do('/p:q/d/a/f', seek({ Start: 2 }));
  await vfs.do('/p:q/d/a', { Rename: { new_path: '/p:q/d/b' } });
  await vfs.do('/p:q/d/a', 'CreateDir');
  expect(await vfs.do('/p:q/d/a/f', open(true))).toBe('Ok');
  expect(await vfs.do('/p:q/d/a/f', 'Len')).toEqual({ Len: 0 });
  await vfs.do('/p:q/d/a/f', 'WriteAll', { blob: 'fresh' });
  expect(await vfs.read('/p:q/d/b/f')).toBe('moved');
  expect(await vfs.read('/p:q/d/b/f', 'ReadToEnd')).toBe('moved');
});

test('M61 absurd lengths are errors', async () => {
  await vfs.write(F, 'abc');
  const huge = `{"path":"${F}","action":{"ReadExact":{"length":1152921504606846976}}}`;
  expect((await vfs.ask({ from: SIBLING, body: huge }))?.body).toEqual(io('early eof'));
  const setLen = (n: string): string => `{"path":"${F}","action":{"SetLen":${n}}}`;
  expect((await vfs.ask({ from: SIBLING, body: setLen('18446744073709551615') }))?.body).toEqual(
    TOO_LARGE,
  );
  const start = `{"path":"${F}","action":{"Seek":{"Start":18446744073709551615}}}`;
  expect((await vfs.ask({ from: SIBLING, body: start }))?.body).toEqual(INVALID);
  const far = `{"path":"${F}","action":{"Seek":{"Start":9223372036854775807}}}`;
  expect(await vfs.ask({ from: SIBLING, body: far })).toBeDefined();
  expect(await vfs.do(F, 'WriteAll', { blob: 'x' })).toEqual(TOO_LARGE);
  expect(await vfs.read(F, 'ReadToEnd')).toBe('');
});

test('M61 a file too large for one blob is refused, in pieces it can be read', async () => {
  await vfs.do(F, 'CreateFile');
  expect(await vfs.do(F, { SetLen: 2 ** 40 })).toBe('Ok');
  for (const action of [
    'Read',
    'ReadToEnd',
    'ReadToString',
    { ReadExact: { length: 2 ** 39 } },
  ] as const)
    expect(await vfs.do(F, action)).toEqual(TOO_LARGE);
  expect(await vfs.read(F, { ReadExact: { length: 3 } })).toBe('\0\0\0');
});

test('M62 what WriteAll answered, others read', async () => {
  await vfs.do(F, 'CreateFile');
  for (let n = 0; n < 20; n += 1) {
    await vfs.do(F, 'WriteAll', { blob: 'x' });
    expect(await readFile(vfs.disk('p:q/d/f'), 'utf8')).toBe('x'.repeat(n + 1));
  }
  expect(await vfs.do(F, 'SyncAll')).toBe('Ok');
});

test('M63 more files than handles, each with its cursor', async () => {
  const names = Array.from({ length: 40 }, (_, n) => `/p:q/d/f${n}`);
  for (const name of names) await vfs.write(name, 'abcdef');
  for (const name of names) await vfs.do(name, seek({ Start: 3 }));
  for (const name of names) expect(await vfs.read(name, 'ReadToEnd')).toBe('def');
  const told = vfs.port.sent.map(({ message }) =>
    message.kind === 'request' ? new TextDecoder().decode(message.request.body) : '',
  );
  expect(told[0]).toBe('"RequestFdsLimit"');
  expect(told).toContain('"FdsLimitHit"');
});

test('M63 the limit of fd-manager is taken from fd-manager alone', async () => {
  const limit = { body: { FdsLimit: 30 } };
  expect(await vfs.ask({ from: 'fd-manager:distro:sys', ...limit })).toBeUndefined();
  expect((await vfs.ask({ from: SIBLING, ...limit }))?.body).toEqual(err('MalformedRequest'));
  await vfs.do(F, 'CreateFile');
  vfs.port.sent.length = 0;
  for (let n = 0; n < 20; n += 1) await vfs.do(`/p:q/d/f${n}`, 'CreateFile');
  expect(vfs.port.sent).toEqual([]);
});

test('M41 a file changed by the host is seen by Read', async () => {
  await vfs.write(F, 'ours');
  await writeFile(vfs.disk('p:q/d/f'), 'theirs');
  expect(await vfs.read(F)).toBe('theirs');
});

test('M64 serving a user interface: breadth-first ReadDir, names stripped of the folder asked for, files read', async () => {
  await vfs.do('/p:q/pkg', 'CreateDrive');
  for (const dir of ['ui', 'ui/assets', 'ui/assets/fonts'])
    await vfs.do(`/p:q/pkg/${dir}`, 'CreateDir');
  for (const file of ['index.html', 'assets/app.js', 'assets/fonts/a.woff'])
    await vfs.write(`/p:q/pkg/ui/${file}`, file);
  const folder = 'p:q/pkg/ui';
  const bound: string[] = [];
  for (const queue = [folder]; queue.length > 0;) {
    const listed = (await vfs.do(queue.shift() ?? '', 'ReadDir')) as {
      ReadDir: { path: string; file_type: string }[];
    };
    for (const { path, file_type } of listed.ReadDir) {
      if (file_type === 'Directory') queue.push(path);
      else {
        bound.push(path.replace(folder, ''));
        expect(`/${String(await vfs.read(path))}`).toBe(bound.at(-1));
      }
    }
  }
  expect(bound.toSorted()).toEqual(['/assets/app.js', '/assets/fonts/a.woff', '/index.html']);
});
