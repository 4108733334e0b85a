import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Accounts, RECOUNT_MS } from '../shared/accounts.ts';
import { parseQuotas, readQuotas } from '../shared/quotas.ts';
import { packageId } from '../../wit/address.ts';
import { bytesOf } from '../shared/bytes-of.ts';
import { capability, io, VfsBench } from './bench.testing.ts';

const QUOTA = io('Disk quota exceeded (os error 122)');
const P = packageId('p:q');
const X = packageId('x:y');
const LIMIT = 1000;
const F = '/p:q/d/f';
const bytes = (count: number): Uint8Array => new Uint8Array(count);

interface ZipWriter {
  addBuffer(content: Buffer, name: string): void;
  end(): void;
  readonly outputStream: NodeJS.ReadableStream;
}

let now = 0;
let accounts: Accounts;
let bench: VfsBench;
beforeEach(async () => {
  now = 0;
  accounts = new Accounts(
    parseQuotas({ packages: { 'p:q': { bytes: LIMIT, handles: 3 } } }),
    () => now,
  );
  bench = await VfsBench.make(accounts);
});
afterEach(() => bench[Symbol.asyncDispose]());

/** What was booked is what is there. */
async function expectExact(): Promise<void> {
  for (const pkg of [P, X]) {
    expect(accounts.use(pkg).bytes ?? (await accounts.bytes(pkg))).toBe(
      await bytesOf(bench.disk(pkg)),
    );
  }
}

describe('bytes of a package', () => {
  test.each([
    ['Write', 'Write'],
    ['WriteAll', 'WriteAll'],
    ['Append', 'Append'],
  ] as const)('%s takes up to the quota, and not one byte more', async (_name, action) => {
    await bench.do(F, 'CreateFile');
    expect(await bench.do(F, action, { blob: bytes(LIMIT + 1) })).toEqual(QUOTA);
    expect((await stat(bench.disk(F))).size).toBe(0);
    expect(await bench.do(F, action, { blob: bytes(LIMIT) })).toBe('Ok');
    await expectExact();
    expect(await bench.do('/p:q/d/g', 'Write', { blob: bytes(1) })).toEqual(QUOTA);
    expect(await bench.do('/p:q/d/g', 'Write', { blob: bytes(0) })).toBe('Ok');
    expect(await bench.read(F, 'Read')).toHaveLength(LIMIT);
  });

  test('a refusal changes nothing, and what shrinks or goes makes room', async () => {
    await bench.write(F, bytes(900));
    expect(await bench.do('/p:q/d/g', 'Write', { blob: bytes(200) })).toEqual(QUOTA);
    expect(await bench.do(F, 'Write', { blob: bytes(100) })).toBe('Ok');
    expect(await bench.do('/p:q/d/g', 'Write', { blob: bytes(900) })).toBe('Ok');
    expect(await bench.do('/p:q/d/g', { SetLen: 901 })).toEqual(QUOTA);
    expect(await bench.do('/p:q/d/g', { SetLen: 500 })).toBe('Ok');
    await expectExact();
    expect(await bench.do('/p:q/d/g', 'RemoveFile')).toBe('Ok');
    expect(await bench.do(F, 'CreateFile')).toBe('Ok');
    await expectExact();
    expect(accounts.use(P).bytes).toBe(0);
  });

  test('every action keeps the book exact, and the other package pays for what moves to it', async () => {
    await bench.do('/x:y/d', 'CreateDrive', { from: 'x:x:y' });
    const both = {
      capabilities: ['/p:q/d', '/x:y/d'].map((drive) =>
        capability(JSON.stringify({ kind: 'write', drive })),
      ),
    };
    await bench.write(F, bytes(100));
    await bench.do('/p:q/d/copy', 'Append');
    expect(await bench.do(F, { CopyFile: { new_path: '/p:q/d/copy' } })).toBe('Ok');
    expect(await bench.do(F, { CopyFile: { new_path: '/p:q/d/copy' } })).toBe('Ok');
    await expectExact();
    await bench.do('/p:q/d/deep', 'CreateDir');
    for (const name of ['1', '2']) await bench.write(`/p:q/d/deep/${name}`, bytes(150));
    await bench.do(F, { Seek: { Start: 50 } });
    await bench.do(F, 'WriteAll', { blob: bytes(80) });
    expect(await bench.do(F, { Rename: { new_path: '/p:q/d/copy' } })).toBe('Ok');
    await expectExact();
    expect(await bench.do('/p:q/d/deep', { Rename: { new_path: '/x:y/d/deep' } }, both)).toBe('Ok');
    await expectExact();
    expect(accounts.use(X).bytes).toBe(300);
    expect(await bench.do('/x:y/d/deep', { Rename: { new_path: '/p:q/d/deep' } }, both)).toBe('Ok');
    expect(await bench.do('/p:q/d', 'RemoveDirAll')).toBe('Ok');
    await expectExact();
    expect(accounts.use(P).bytes).toBe(0);
  });

  test('moving or unpacking more than there is room for is refused', async () => {
    await bench.do('/x:y/d', 'CreateDrive', { from: 'x:x:y' });
    await bench.do('/x:y/d/large', 'Write', { from: 'x:x:y', blob: bytes(LIMIT + 1) });
    const both = {
      capabilities: ['/p:q/d', '/x:y/d'].map((drive) =>
        capability(JSON.stringify({ kind: 'write', drive })),
      ),
    };
    for (const action of ['Rename', 'CopyFile'])
      expect(await bench.do('/x:y/d/large', { [action]: { new_path: F } }, both)).toEqual(QUOTA);
    // A computed name, because the package has no types to be found under it.
    const name: string = 'yazl';
    const { ZipFile } = (await import(name)) as { ZipFile: new () => ZipWriter };
    const zip = new ZipFile();
    for (const each of ['a', 'b']) zip.addBuffer(Buffer.alloc(600, each), each);
    zip.end();
    const archive = await buffer(zip.outputStream);
    expect(await bench.do('/p:q/d', 'AddZip', { blob: archive })).toEqual(QUOTA);
    await expectExact();
  });

  test('many writers at once never pass the quota together', async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        bench.do(`/p:q/d/${n}`, 'Write', { from: `w${n}:p:q`, blob: bytes(100) }),
      ),
    );
    expect(answers.filter((answer) => answer === 'Ok')).toHaveLength(10);
    await expectExact();
  });

  test('room that the owner makes by hand is found before a refusal', async () => {
    await bench.write(F, bytes(LIMIT));
    expect(await bench.do('/p:q/d/g', 'Write', { blob: bytes(1) })).toEqual(QUOTA);
    await rm(bench.disk(F));
    // Not counted again at once: a package at its limit could keep the disk busy.
    expect(await bench.do('/p:q/d/g', 'Write', { blob: bytes(1) })).toEqual(QUOTA);
    now += RECOUNT_MS;
    expect(await bench.do('/p:q/d/g', 'Write', { blob: bytes(1) })).toBe('Ok');
    await expectExact();
  });

  test('what was there before the node counts', async () => {
    await writeFile(bench.disk('/p:q/d/old'), bytes(LIMIT));
    const fresh = await VfsBench.make(
      new Accounts(parseQuotas({ default: { bytes: LIMIT } })),
      bench.home,
    );
    expect(await fresh.do('/p:q/d/g', 'Write', { blob: bytes(1) })).toEqual(QUOTA);
  });
});

test('a package at its quota of handles loses its own, not those of others, and notices nothing', async () => {
  await bench.do('/x:y/d', 'CreateDrive', { from: 'x:x:y' });
  await bench.do('/x:y/d/f', 'CreateFile', { from: 'x:x:y' });
  for (let n = 0; n < 8; n += 1) {
    await bench.do(`/p:q/d/${n}`, 'CreateFile');
    await bench.do(`/p:q/d/${n}`, 'WriteAll', { blob: 'abc' });
  }
  expect(accounts.use(P).handles).toBe(3);
  expect(accounts.use(X).handles).toBe(1);
  for (let n = 0; n < 8; n += 1)
    expect(await bench.do(`/p:q/d/${n}`, { Seek: { Current: 0 } })).toEqual({
      SeekFrom: { new_offset: 3 },
    });
  await bench.do('/p:q/d', 'RemoveDirAll');
  expect(accounts.use(P).handles).toBe(0);
});

describe('quotas.json', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'quotas-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));
  const read = async (text: string): Promise<Awaited<ReturnType<typeof readQuotas>>> => {
    await writeFile(join(home, 'quotas.json'), text);
    return readQuotas(home);
  };

  test('a package has its own, else the default, else the built-in; no file is fine', async () => {
    const usual = (await readQuotas(home)).of(P);
    expect(usual.bytes).toBeGreaterThan(1e9);
    const quotas = await read(
      '{"default":{"bytes":10,"handles":5},"packages":{"p:q":{"bytes":7}}}',
    );
    expect(quotas.of(P)).toEqual({ bytes: 7, handles: 5, operations: usual.operations });
    expect(quotas.of(X).bytes).toBe(10);
  });

  test.each([
    '',
    '[]',
    '{"defaults":{}}',
    '{"default":{"byte":1}}',
    '{"default":{"bytes":-1}}',
    '{"default":{"bytes":"1"}}',
    '{"default":{"bytes":1.5}}',
    '{"default":{"handles":0}}',
    '{"packages":{"nocolon":{}}}',
    '{"packages":{"p:q":5}}',
  ])('a limit that is not understood is an error that names the file: %s', async (text) => {
    await expect(read(text)).rejects.toThrow(join(home, 'quotas.json'));
  });
});
