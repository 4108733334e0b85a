/** What an attempt leaves on disk and signs: outputs, logs, receipts, keys (compute-market.md §7, §9.2; threats 5, 6, 21). */
import { createHash } from 'node:crypto';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recoverAddress } from 'ethers';
import { sha256 } from '../../contracts/merkle.ts';
import { GrowingTree, logLeaf } from '../../contracts/merkle-tree.ts';
import { digestOf, escrowDomain } from '../../contracts/compute.ts';
import { LOG_WINDOW_BYTES } from '../../wit/hn-ext/limits.ts';
import {
  decodeRecords,
  encodeRecords,
  RECORD_HEAD_BYTES,
  STREAM,
} from '../../wit/jobs/log-records.ts';
import { completeSpec, type JobSpec } from '../../wit/jobs/spec.ts';
import { Executor } from './executor.ts';
import { JobFolder, leasesIn } from './job-folder.ts';
import { HELD_BYTES_MAX, JobLog } from './job-log.ts';
import { collectOutputs, OutputRefused } from './outputs.ts';
import { claimOf } from './receipt.ts';

const LEASE = 'ab'.repeat(16);
let home: string;
let folder: JobFolder;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'provider-'));
  await mkdir(join(home, 'jobs'));
  folder = new JobFolder(join(home, 'jobs'), LEASE);
  await folder.create();
});
afterEach(() => rm(home, { recursive: true, force: true }));

function specOf(more: object = {}): JobSpec {
  const spec = completeSpec({
    v: 1,
    type: 'custom',
    kind: 'builtin',
    entry: { fn: 'echo' },
    inputs: [],
    ...more,
  });
  if (!spec.ok) throw new Error(spec.error.message);
  return spec.value;
}
const signal = new AbortController().signal;
const collect = (more?: object): ReturnType<typeof collectOutputs> =>
  collectOutputs(folder, specOf(more), signal);

test('CM21 outputs are copied and hashed, sorted by the bytes of their paths, and matched by pattern', async () => {
  await mkdir(join(folder.outputs, 'a/b'), { recursive: true });
  await writeFile(join(folder.outputs, 'a/b/one.txt'), 'one');
  await writeFile(join(folder.outputs, 'Z.txt'), 'zet');
  await writeFile(join(folder.outputs, 'a.bin'), '');
  const files = await collect();
  expect(files.map(({ path, size }) => [path, size])).toEqual([
    ['Z.txt', 3],
    ['a.bin', 0],
    ['a/b/one.txt', 3],
  ]);
  for (const { sha256: hash, size } of files) {
    const content = await readFile(folder.artifact(hash));
    expect([content.length, createHash('sha256').update(content).digest('hex')]).toEqual([
      size,
      hash,
    ]);
  }
  expect((await collect({ outputs: { paths: ['**/*.txt'] } })).map(({ path }) => path)).toEqual([
    'Z.txt',
    'a/b/one.txt',
  ]);
});

test('T5 a link, a name of another file and what is no file are refused, and nothing behind them is read', async () => {
  const secret = join(home, 'secret');
  await writeFile(secret, 'secret');
  for (const [name, make] of [
    ['symlink', (path: string) => symlink(secret, path)],
    ['dangling', (path: string) => symlink('/nowhere', path)],
    ['folder link', (path: string) => symlink('/etc', path)],
    ['hard link', (path: string) => link(secret, path)],
  ] as const) {
    const path = join(folder.outputs, name);
    await make(path);
    expect([name, await collect().catch((error: unknown) => error)]).toEqual([
      name,
      expect.any(OutputRefused),
    ]);
    await rm(path);
  }
  expect(await collect()).toEqual([]);
});

test('T6 T3 names that are no paths, too many files and too many bytes are refused', async () => {
  await writeFile(join(folder.outputs, 'back\\slash'), '');
  await expect(collect()).rejects.toThrow(OutputRefused);
  await rm(join(folder.outputs, 'back\\slash'));
  await writeFile(join(folder.outputs, 'a'), Buffer.alloc(700_000));
  await writeFile(join(folder.outputs, 'b'), Buffer.alloc(700_000));
  const limits = { outMiB: 1 };
  await expect(collect({ limits })).rejects.toThrow('larger than the job may leave');
  await expect(collect({ outputs: { maxFiles: 1 } })).rejects.toThrow('2 files');
  await expect(collect({ outputs: { required: ['c'] } })).rejects.toThrow('there is no "c"');
  await writeFile(join(folder.outputs, 'A'), '');
  await expect(collect()).rejects.toThrow('two files are called');
});

function openLog(bytesMax = 1024 * 1024 * 64): JobLog {
  let ms = 0;
  return new JobLog({ path: folder.log, bytesMax, atMs: () => (ms += 1) });
}

test('CM18 T21 a program whose log is not read is held back, and goes on when it is', async () => {
  const log = openLog();
  let written = 0;
  const flood = (async () => {
    for (let at = 0; at < 200; at += 1) {
      await log.write(STREAM.stdout, Buffer.alloc(60_000, at));
      written += 60_000;
    }
  })();
  await expect.poll(() => written).toBeGreaterThan(LOG_WINDOW_BYTES - 70_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(written).toBeLessThan(LOG_WINDOW_BYTES + 130_000);
  let seq = 0;
  for (let read = 0; read < 200;) {
    const part = await log.read(seq, 100_000);
    if (part === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    else {
      read += part.next - seq;
      seq = part.next;
      log.taken(seq);
    }
  }
  await flood;
  expect(written).toBe(200 * 60_000);
  await log.close();
});

test('CM13 T3 records are gapless, their root is that of what is sent, and what is beyond the limit is dropped but hashed', async () => {
  const log = openLog(4_096);
  log.system({ ev: 'start' });
  for (let at = 0; at < 10; at += 1) await log.write(STREAM.stdout, Buffer.alloc(1_000, 65 + at));
  await log.write(STREAM.stderr, Buffer.from('x'));
  const { root, stdoutHash } = await log.end(0);
  const { records } = (await log.read(0, 1_000_000))!;
  const read = decodeRecords(records)!;
  expect(read.rest).toBe(records.length);
  expect(read.records.map(({ seq }) => seq)).toEqual(read.records.map((_, at) => at));
  const texts = read.records.map(({ bytes }) => Buffer.from(bytes).toString());
  expect(texts.at(0)).toBe('{"ev":"start"}');
  expect(texts.slice(-2)).toEqual(['{"ev":"truncated","bytes":8001}', '{"ev":"exit","code":0}']);
  const tree = new GrowingTree(sha256);
  for (const record of read.records) tree.add(logLeaf(sha256, encodeRecords([record])));
  expect(Buffer.from(tree.root()).equals(root)).toBe(true);
  const all = Buffer.concat(Array.from({ length: 10 }, (_, at) => Buffer.alloc(1_000, 65 + at)));
  expect(Buffer.from(stdoutHash).equals(createHash('sha256').update(all).digest())).toBe(true);
  await log.close();
  // A later run of the program sends the same again. So little has no file.
  const again = JobLog.restore(log.held!);
  expect(Buffer.from((await again.read(0, 1_000_000))!.records)).toEqual(records);
  expect(() => JobLog.restore(log.held!.subarray(0, -1))).toThrow('no whole log');
  await expect(stat(folder.log)).rejects.toThrow('ENOENT');
});

test.each([-1, 0, 1, 1_000])(
  'CM13 a log that has outgrown memory by %i bytes is read the same, from any record on, and by a later run',
  async (over) => {
    await rm(folder.path, { recursive: true });
    const log = openLog();
    const exit = RECORD_HEAD_BYTES + '{"ev":"exit","code":0}'.length;
    const first = HELD_BYTES_MAX + over - exit - 2 * RECORD_HEAD_BYTES - 3;
    await log.write(STREAM.stdout, Buffer.alloc(first, 'a'));
    await log.write(STREAM.stderr, Buffer.from('two'));
    await log.end(0);
    expect(log.held?.length).toBe(over > 0 ? undefined : HELD_BYTES_MAX + over);
    const whole = Buffer.from((await log.read(0, 1_000_000))!.records);
    expect(whole.length).toBe(HELD_BYTES_MAX + over);
    const again =
      log.held === undefined ? await JobLog.reopen(folder.log) : JobLog.restore(log.held);
    for (const one of [log, again]) {
      for (const seq of [0, 1, 2]) {
        const { records, next } = (await one.read(seq, 1))!;
        expect(next).toBe(seq + 1);
        const from = [0, first + RECORD_HEAD_BYTES, whole.length - exit][seq]!;
        expect(Buffer.from(records)).toEqual(whole.subarray(from, from + records.length));
      }
      one.taken(2);
      expect((await one.read(2, 1_000_000))!.next).toBe(3);
      expect(await one.read(3, 1)).toBeUndefined();
      await one.close();
    }
  },
);

test('CM20 an attempt leaves one receipt, and nothing once it was dropped', async () => {
  await folder.remove();
  // Nor does what ends after it was dropped leave anything.
  await expect(folder.keepReceipt('a')).rejects.toThrow('was dropped');
  expect(await leasesIn(join(home, 'jobs'))).toEqual([]);
  const other = new JobFolder(join(home, 'jobs'), LEASE);
  await other.keepReceipt('a');
  await expect(other.keepReceipt('b')).rejects.toThrow('has its receipt');
});

test('the executor’s key is made once, private, and its signatures are those of its address', async () => {
  const executor = await Executor.open(home);
  const path = join(home, 'executor.key');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await Executor.open(home)).address).toBe(executor.address);
  const domain = escrowDomain(31_337, '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512');
  const acceptance = {
    jobId: `0x${'11'.repeat(32)}`,
    nodeId: `0x${'22'.repeat(32)}`,
    attempt: 0,
    payTo: `0x${'33'.repeat(20)}`,
    price: 5n,
    expiresAt: 9n,
  };
  const { digest, signature } = executor.signAcceptance(domain, acceptance);
  expect(digest).toBe(digestOf(domain, 'Acceptance', acceptance));
  expect(recoverAddress(digest, signature)).toBe(executor.address);
  await chmod(path, 0o644);
  await expect(Executor.open(home)).rejects.toThrow('can be read by others');
  await chmod(path, 0o600);
  await writeFile(path, 'nonsense');
  await expect(Executor.open(home)).rejects.toThrow('is no key');
});

test('the vectors’ executor signs the vectors’ receipt', () => {
  const key = Buffer.from(
    '5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
    'hex',
  );
  const executor = new Executor(new Uint8Array(key));
  expect(executor.address).toBe('0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC');
  const word = (byte: string): string => `0x${byte.repeat(32)}`;
  const receipt = {
    jobId: '0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6',
    nodeId: '0xfc921cbdfda30a7b21ad8f5c9ad542cbb5f6f3d0f8c2831fcd0325d1dbbdce8b',
    attempt: 0,
    specHash: '0x393118dda24e63b29652d25b21e6f3594cf46ab39f87cc3756ae82860e76bb3e',
    inputsRoot: word('00'),
    outputsRoot: word('11'),
    logsRoot: word('22'),
    stdoutHash: word('33'),
    runtimeHash: word('44'),
    usageHash: word('55'),
    exitCode: 0,
    status: 0,
    startedAt: 1_735_689_700n,
    finishedAt: 1_735_690_300n,
    claimed: 100_000_000n,
  };
  const { digest, signature } = executor.signReceipt(
    escrowDomain(31_337, '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512'),
    receipt,
  );
  expect(digest).toBe('0x56a2c8c19f8483d195a9c8fb9aa0b0488bd2e3f5e9e09daba9da049d7ef543ea');
  expect(signature).toBe(
    '0xb24e6a08dfdff53c38481f5d6e1e84b7ce7c965f25052a18a122b7a086fb2ae14f27e13c73e01c3b4f43b717d5ad11ccde904cd143a989ccd038cc75ce3e85291b',
  );
});

test('what did not end well is claimed by its time: at least the type’s least, at most the price', () => {
  const facts = { price: 1_000_000n, spec: specOf(), timeoutS: 100, startedMs: 0 };
  const claim = (status: number, finishedMs: number): bigint =>
    claimOf({ ...facts, status, finishedMs });
  expect(claim(0, 1)).toBe(1_000_000n);
  expect(claim(1, 50_000)).toBe(500_000n);
  expect(claim(1, 50_001)).toBe(500_010n);
  expect(claim(5, 1)).toBe(500n);
  expect(claim(2, 200_000)).toBe(1_000_000n);
  expect(claim(6, 50_000)).toBe(0n);
  expect(claimOf({ ...facts, price: 0n, status: 0, finishedMs: 5 })).toBe(0n);
});

test('CM12 what an earlier run left half done is no attempt', async () => {
  const jobs = join(home, 'jobs');
  await mkdir(join(jobs, `${'cd'.repeat(16)}.gone`));
  await writeFile(join(jobs, 'junk'), '');
  expect(await leasesIn(jobs)).toEqual([LEASE]);
  expect(await leasesIn(jobs)).toEqual([LEASE]);
  expect(() => new JobFolder(jobs, '../../etc')).toThrow(RangeError);
});
