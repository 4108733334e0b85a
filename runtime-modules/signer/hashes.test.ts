/** What needs no key. */
import { symlink } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../contracts/hex.ts';
import { logLeaf, merkleRoot } from '../../contracts/merkle-tree.ts';
import { sha256 } from '../../contracts/merkle.ts';
import { encodeRecords, STREAM } from '../../wit/jobs/log-records.ts';
import { VfsBench, READ_D, STRANGER, OWNER as VFS_OWNER } from '../vfs/bench.testing.ts';
import {
  CLIENT,
  err,
  JOB_ID,
  SignerBench,
  kindOf,
  TOKEN,
  VOUCHER_SIGNATURE,
  VOUCHER_DIGEST,
} from './testing.ts';

describe('hashes and signatures', () => {
  test('F41 signers are recovered, and only signatures that contracts take are any', async () => {
    await using bench = await SignerBench.make();
    const digest = VOUCHER_DIGEST;
    const s = BigInt(`0x${VOUCHER_SIGNATURE.slice(66, 130)}`);
    const order = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
    const malleable = `${VOUCHER_SIGNATURE.slice(0, 66)}${(order - s).toString(16).padStart(64, '0')}1b`;
    const none = [
      '0x',
      malleable,
      `${VOUCHER_SIGNATURE.slice(0, -2)}01`,
      `${VOUCHER_SIGNATURE}00`,
      `0x${'00'.repeat(64)}1b`,
      `0x${'ff'.repeat(64)}1b`,
    ];
    const signed = [VOUCHER_SIGNATURE, ...none].map((signature) => ({ digest, signature }));
    expect(await bench.do({ Recover: signed })).toEqual({
      Addresses: [CLIENT, ...none.map(() => null)],
    });
    const verify = [
      { digest, signature: VOUCHER_SIGNATURE, address: CLIENT.toLowerCase() },
      { digest, signature: VOUCHER_SIGNATURE, address: TOKEN },
      { digest: JOB_ID, signature: VOUCHER_SIGNATURE, address: CLIENT },
      { digest, signature: malleable, address: CLIENT },
    ];
    expect(await bench.do({ Verify: verify })).toEqual({ Verified: [true, false, false, false] });
    const many = Array.from({ length: 257 }, () => signed[0]);
    expect(kindOf(await bench.do({ Recover: many }))).toBe('MalformedRequest');
  });

  test('F41 keccak256 of a blob', async () => {
    await using bench = await SignerBench.make();
    expect(await bench.do('Keccak256')).toEqual({
      Hash: '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
    });
    expect(await bench.do('Keccak256', { blob: 'transfer(address,uint256)' })).toEqual({
      Hash: expect.stringMatching(/^0xa9059cbb/),
    });
  });

  test('F41 files of vfs are hashed, and folders as the reference commits to them', async () => {
    await using files = await VfsBench.make();
    const hashes = files.hashes;
    await files.do('/p:q/d/out/model', 'CreateDirAll');
    await files.write('/p:q/d/out/metrics.json', '{"loss":0.25}');
    await files.write('/p:q/d/out/model/weights.bin', Uint8Array.of(0, 1, 2, 3));
    await files.write('/p:q/d/out/result.txt', 'hello\n');
    await using bench = await SignerBench.make({ files: hashes });
    const from = VFS_OWNER;
    expect(await bench.do({ MerkleRoot: { path: '/p:q/d/out' } }, { from })).toEqual({
      Root: {
        root: '0xb7b9ab5295259ff384e9c0002b2eb8d458aa02d7594cd0ae9e4010b441d4dffd',
        files: 3,
        bytes: 23,
      },
    });
    expect(await bench.do({ Sha256: { path: '/p:q/d/out/result.txt' } }, { from })).toEqual({
      FileHash: {
        sha256: '0x5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03',
        bytes: 6,
      },
    });
    const stranger = { from: STRANGER };
    expect(await bench.do({ Sha256: { path: '/p:q/d/out/result.txt' } }, stranger)).toEqual(
      err('NoReadCap'),
    );
    expect(await bench.do({ MerkleRoot: { path: '/p:q/d/out' } }, stranger)).toEqual(
      err('NoReadCap'),
    );
    expect(
      kindOf(
        await bench.do(
          { MerkleRoot: { path: '/p:q/d/out' } },
          { ...stranger, capabilities: [READ_D] },
        ),
      ),
    ).toBe('Root');
    expect(kindOf(await bench.do({ Sha256: { path: '/p:q/d/none' } }, { from }))).toBe('IOError');
    expect(kindOf(await bench.do({ Sha256: { path: '/p:q/d/out' } }, { from }))).toBe('IOError');
    expect(kindOf(await bench.do({ Sha256: { path: '/../p:q' } }, { from }))).toBe(
      'MalformedRequest',
    );
    await symlink('/etc/passwd', files.disk('p:q/d/out/model/link'));
    expect(await bench.do({ MerkleRoot: { path: '/p:q/d/out' } }, { from })).toEqual(
      err({ BadTree: 'model/link is no file and no folder' }),
    );
    expect(kindOf(await bench.do({ Sha256: { path: '/p:q/d/out/model/link' } }, { from }))).toBe(
      'IOError',
    );
  });

  test('CM21 a log in vfs has the root and the stdout hash of the reference', async () => {
    await using files = await VfsBench.make();
    const log = encodeRecords(
      (
        [
          [3, 0, '{"ev":"start"}'],
          [1, 12, 'step 1\n'],
          [2, 15, 'warn: x\n'],
          [1, 40, 'done\n'],
          [3, 41, '{"ev":"exit","code":0}'],
        ] as const
      ).map(([stream, atMs, text], seq) => ({ seq, stream, atMs, bytes: Buffer.from(text) })),
    );
    await files.write('/p:q/d/log', log);
    await files.write('/p:q/d/none', '');
    await using bench = await SignerBench.make({ files: files.hashes });
    const rootOf = (path: string, from = VFS_OWNER): Promise<unknown> =>
      bench.do({ LogRoot: { path } }, { from });
    expect(await rootOf('/p:q/d/log')).toEqual({
      LogRoot: {
        root: '0xef9ddba9b1f8732ad52ccf13d10a140878a3fa21f04890e88bba563b654df3cd',
        records: 5,
        stdoutHash: '0x75cca5fb3904ef7f2c7debd2f72f2147b7610a8471d5d1d08c89cf32fab4794a',
        bytes: log.length,
      },
    });
    expect(await rootOf('/p:q/d/none')).toMatchObject({
      LogRoot: {
        root: '0x93dd39660312082bd5cea7530d890432790929510bb31aba437aacd84a0be509',
        records: 0,
      },
    });
    expect(await rootOf('/p:q/d/log', STRANGER)).toEqual(err('NoReadCap'));
    expect(kindOf(await rootOf('/p:q/d/nothing'))).toBe('IOError');
    const broken: readonly (readonly [Uint8Array, string])[] = [
      [log.subarray(0, -1), 'the log ends within record 4'],
      [log.subarray(0, 5), 'the log ends within record 0'],
      [log.subarray(17 + 14), 'record 1 stands where 0 should'],
      [Buffer.concat([log, log]), 'record 0 stands where 5 should'],
      [Buffer.alloc(40, 0xff), 'one of the records after the first 0 is none'],
    ];
    for (const [bytes, reason] of broken) {
      await files.write('/p:q/d/log', bytes);
      expect(await rootOf('/p:q/d/log')).toEqual(err({ BadLog: reason }));
    }
  });

  test('CM21 a long log is read in pieces, and is what its records are', async () => {
    await using files = await VfsBench.make();
    const records = Array.from({ length: 3_000 }, (_, seq) => ({
      seq,
      stream: seq % 3 === 0 ? STREAM.stdout : STREAM.stderr,
      atMs: seq,
      bytes: Buffer.alloc((seq * 37) % 3_000, seq),
    }));
    const log = encodeRecords(records);
    await files.write('/p:q/d/log', log);
    await using bench = await SignerBench.make({ files: files.hashes });
    const leaves = records.map((record) => logLeaf(sha256, encodeRecords([record])));
    const stdout = records.filter(({ stream }) => stream === STREAM.stdout);
    expect(await bench.do({ LogRoot: { path: '/p:q/d/log' } }, { from: VFS_OWNER })).toEqual({
      LogRoot: {
        root: toHex(merkleRoot(sha256, leaves)),
        records: records.length,
        stdoutHash: toHex(sha256(...stdout.map(({ bytes }) => bytes))),
        bytes: log.length,
      },
    });
  });
});
