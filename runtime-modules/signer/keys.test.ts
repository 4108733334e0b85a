/** Keys: who makes, sees and removes them, and how they are on disk. */
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  capability,
  CLIENT,
  CLIENT_SECRET,
  err,
  GUEST,
  SignerBench,
  voucher,
  vouchers,
  holding,
  kindOf,
  SIGNED,
  KEY_FILE,
} from './testing.ts';

describe('keys', () => {
  test('F41 keys are made, imported and removed, and addresses are all that is told', async () => {
    await using bench = await SignerBench.make();
    const made = (await bench.root({ CreateKey: { name: 'executor' } })) as { Key: string };
    expect(made.Key).toMatch(/^0x[0-9a-fA-F]{40}$/);
    expect(await bench.import()).toEqual({ Key: CLIENT });
    expect(await bench.root('ListKeys')).toEqual({
      Keys: expect.arrayContaining([made.Key, CLIENT]),
    });
    expect(await bench.import('other')).toEqual(err('KeyExists'));
    expect(await bench.root({ CreateKey: { name: 'executor' } })).toEqual(err('NameTaken'));
    expect(await bench.root({ RemoveKey: { key: 'executor' } })).toBe('Ok');
    expect(await bench.root({ RemoveKey: { key: 'executor' } })).toEqual(err('NoSuchKey'));
    expect(await bench.root('ListKeys')).toEqual({ Keys: [CLIENT] });
    expect(await readdir(bench.file(''))).toEqual([KEY_FILE]);
  });

  test.each([0, 31, 33])('F41 an import of %i bytes is no key', async (length) => {
    await using bench = await SignerBench.make();
    const blob = Buffer.alloc(length, 1);
    expect(kindOf(await bench.root({ ImportKey: { name: null } }, { blob }))).toBe(
      'MalformedRequest',
    );
  });

  test('F41 zero and the order of the curve are no keys', async () => {
    await using bench = await SignerBench.make();
    const order = Buffer.from(
      'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
      'hex',
    );
    for (const blob of [Buffer.alloc(32), order])
      expect(kindOf(await bench.root({ ImportKey: { name: null } }, { blob }))).toBe(
        'MalformedRequest',
      );
    expect(await bench.root('ListKeys')).toEqual({ Keys: [] });
  });

  test('F41 only root imports, removes and grants; a key is made by who may make that one', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const create = holding(capability({ create: 'executor' }), vouchers('5'));
    const blob = Buffer.alloc(32, 7);
    const grant = { Grant: { process: GUEST, params: { create: 'x' } } };
    for (const body of [{ ImportKey: { name: null } }, { RemoveKey: { key: 'client' } }, grant])
      expect(kindOf(await bench.do(body, { ...create, blob }))).toBe('NotPermitted');
    for (const name of [null, 'other'])
      expect(kindOf(await bench.do({ CreateKey: { name } }, create))).toBe('NotPermitted');
    expect(kindOf(await bench.do({ CreateKey: { name: 'executor' } }, create))).toBe('Key');
  });

  test('F41 who is no root sees the keys that its capabilities name', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    await bench.root({ CreateKey: { name: null } });
    expect(await bench.do('ListKeys')).toEqual({ Keys: [] });
    expect(await bench.do('ListKeys', holding(vouchers('1')))).toEqual({ Keys: [CLIENT] });
    const byAddress = vouchers('1', { key: CLIENT.toLowerCase() });
    expect(await bench.do('ListKeys', holding(byAddress))).toEqual({ Keys: [CLIENT] });
  });

  test('F41 root grants what is a capability of the signer, and not root', async () => {
    await using bench = await SignerBench.make();
    await bench.import();
    const grant = (process: string, params: unknown) => bench.root({ Grant: { process, params } });
    expect(await grant(GUEST, JSON.parse(vouchers('300').params))).toBe('Ok');
    expect(await bench.do(voucher('273'))).toEqual(SIGNED);
    bench.port.unknown.add('no:such:process');
    expect(await grant('no:such:process', { create: 'x' })).toEqual(err('NoProcess'));
    for (const params of [
      { root: true },
      {},
      null,
      { key: 'client' },
      { create: 'UPPER' },
      { create: CLIENT },
    ])
      expect(kindOf(await grant(GUEST, params))).toBe('MalformedRequest');
  });
});

describe('on disk', () => {
  test('F41 key files are for the owner only, hold no key, and survive a restart', async () => {
    await using first = await SignerBench.make();
    await first.import();
    expect((await stat(first.file(''))).mode & 0o777).toBe(0o700);
    expect((await stat(first.file(KEY_FILE))).mode & 0o777).toBe(0o600);
    const content = await readFile(first.file(KEY_FILE));
    for (const spelling of ['latin1', 'hex', 'base64'] as const)
      expect(content.toString('latin1').toLowerCase()).not.toContain(
        Buffer.from(CLIENT_SECRET, 'hex').toString(spelling).toLowerCase().slice(0, 24),
      );
    await using second = await first.again();
    expect(await second.do(voucher('273'), holding(vouchers('300')))).toEqual(SIGNED);
    expect(second.port.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
  });

  test('F41 any change to a key file is noticed: it is moved aside and the owner told', async () => {
    const original = await (async () => {
      await using bench = await SignerBench.make();
      await bench.import();
      return readFile(bench.file(KEY_FILE));
    })();
    await fc.assert(
      fc.asyncProperty(
        fc.nat(original.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, change) => {
          const bytes = Uint8Array.from(original);
          bytes[at]! ^= change;
          await using bench = await withKeyFile(bytes);
          const signed = await bench.do(voucher('273'), holding(vouchers('300')));
          // A changed seal makes it another keyfile's key: kept where it is, and of no use.
          const locked = kindOf(signed) === 'KeyLocked';
          expect(['NoSuchKey', 'KeyLocked']).toContain(kindOf(signed));
          expect(bench.port.prints[0]).toMatchObject({ verbosity: 0 });
          expect((await readdir(bench.file(''))).includes(KEY_FILE)).toBe(locked);
          if (!locked) expect(await readdir(bench.file('.damaged'))).toHaveLength(1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('F41 a key file under the name of another key, a cut one and an endless one are moved aside', async () => {
    await using first = await SignerBench.make();
    await first.import();
    const other = `0x${'11'.repeat(20)}.key`;
    await rename(first.file(KEY_FILE), first.file(other));
    await writeFile(first.file(`0x${'22'.repeat(20)}.key`), '');
    await writeFile(first.file(`0x${'33'.repeat(20)}.key`), ' '.repeat(10_000));
    await using second = await first.again();
    expect(await second.root('ListKeys')).toEqual({ Keys: [] });
    expect(await readdir(second.file('.damaged'))).toHaveLength(3);
    const lines = second.port.prints.filter(({ verbosity }) => verbosity === 0);
    expect(lines).toHaveLength(3);
    expect(lines[0]?.text).toContain('It is kept as');
  });

  test('F41 under another file key keys are of no use, stay where they are, and work again under their own', async () => {
    await using first = await SignerBench.make();
    await first.import();
    await using other = await first.again({ fileKey: 2 });
    expect(await other.do(voucher('273'), holding(vouchers('300')))).toEqual(err('KeyLocked'));
    expect(other.port.prints[0]?.text).toContain('sealed under another keyfile');
    expect(await other.root('ListKeys')).toEqual({ Keys: [CLIENT] });
    await using third = await other.again();
    expect(await third.do(voucher('273'), holding(vouchers('300')))).toEqual(SIGNED);
  });

  test('F41 what a crash left half-written is replaced', async () => {
    await using first = await SignerBench.make();
    await first.root('ListKeys');
    await writeFile(first.file(`${KEY_FILE}.new`), 'half');
    await first.import();
    expect((await readdir(first.file(''))).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  test('F41 a folder that cannot be used is an error of each request, told to the owner once', async () => {
    await using first = await SignerBench.make();
    await first.import();
    await first.module[Symbol.asyncDispose]();
    await mkdir(first.file('0xbad.key'));
    await using second = await first.again();
    expect(kindOf(await second.root('ListKeys'))).toBe('IOError');
    expect(second.port.prints.filter(({ verbosity }) => verbosity === 0)).toHaveLength(1);
  });
});

async function withKeyFile(bytes: Uint8Array): Promise<SignerBench> {
  const first = await SignerBench.make();
  await first.root('ListKeys');
  await writeFile(first.file(KEY_FILE), bytes);
  return first.again();
}
