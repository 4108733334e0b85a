/** Many files, many writers, large files (issue: vfs under load). */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VfsBench } from './bench.testing.ts';

let bench: VfsBench;
beforeEach(async () => {
  bench = await VfsBench.make();
});
afterEach(() => bench[Symbol.asyncDispose]());

/** What fd-manager would say. */
function limitHandles(limit: number): Promise<unknown> {
  return bench.ask({ from: 'fd-manager:distro:sys', body: { FdsLimit: limit } });
}

test.skipIf(process.platform !== 'linux')(
  'M63 ten thousand open files take no more descriptors than fd-manager allows, and each keeps its content',
  async () => {
    const FILES = 10_000;
    const LIMIT = 100;
    await limitHandles(LIMIT);
    const before = (await readdir('/proc/self/fd')).length;
    let most = 0;
    for (let from = 0; from < FILES; from += 500) {
      await Promise.all(
        Array.from({ length: 500 }, async (_, n) => {
          const path = `/p:q/d/${from + n}`;
          expect(await bench.do(path, { OpenFile: { create: true } })).toBe('Ok');
          expect(await bench.do(path, 'Append', { blob: `${from + n}` })).toBe('Ok');
        }),
      );
      most = Math.max(most, (await readdir('/proc/self/fd')).length);
    }
    // Those in use at one moment come on top.
    expect(most - before).toBeLessThan(LIMIT + 80);
    for (let n = 0; n < FILES; n += 997) expect(await bench.read(`/p:q/d/${n}`)).toBe(String(n));
  },
  60_000,
);

test("M11 many processes append to one file at once: every line is whole, and each writer's are in order", async () => {
  await bench.do('/p:q/d/log', 'CreateFile');
  const [WRITERS, LINES] = [32, 20];
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      for (let line = 0; line < LINES; line += 1)
        await bench.do('/p:q/d/log', 'Append', {
          from: `w${writer}:p:q`,
          blob: `${writer} ${line} ${'x'.repeat(writer * 7)}\n`,
        });
    }),
  );
  const lines = (await readFile(bench.disk('/p:q/d/log'), 'utf8')).trimEnd().split('\n');
  expect(lines).toHaveLength(WRITERS * LINES);
  const next = new Map<string, number>();
  for (const text of lines) {
    const [writer = '', line, rest] = text.split(' ');
    expect(rest).toBe('x'.repeat(Number(writer) * 7));
    expect(Number(line)).toBe(next.get(writer) ?? 0);
    next.set(writer, Number(line) + 1);
  }
});

test('M11 requests of one process overlap on different paths, and keep their order where it can be seen', async () => {
  const sent: Promise<unknown>[] = [];
  const ok = (path: string, action: Parameters<VfsBench['do']>[1], blob?: string): void => {
    sent.push(
      bench
        .do(path, action, blob === undefined ? {} : { blob })
        .then((body) => expect(body).toBe('Ok')),
    );
  };
  // None is awaited before the next is sent.
  for (let n = 0; n < 50; n += 1) {
    const folder = `/p:q/d/f${n}`;
    ok(folder, 'CreateDir');
    ok(`${folder}/a`, 'Write', 'one');
    ok(`${folder}/a`, 'Append', 'two');
    ok(`${folder}/a`, { Rename: { new_path: `${folder}/b` } });
    ok(`${folder}/a`, 'Write', 'three');
    ok(folder, { Rename: { new_path: `/p:q/d/g${n}` } });
  }
  await Promise.all(sent);
  for (let n = 0; n < 50; n += 1) {
    expect(await bench.read(`/p:q/d/g${n}/b`)).toBe('onetwo');
    expect(await bench.read(`/p:q/d/g${n}/a`)).toBe('three');
  }
});

test('M61 a file of 256 MiB goes in and out in pieces', async () => {
  const PIECE = 4 * 1024 * 1024;
  const PIECES = 64;
  const path = '/p:q/d/large';
  const hash = createHash('sha256');
  await bench.do(path, 'CreateFile');
  for (let n = 0; n < PIECES; n += 1) {
    const piece = Buffer.alloc(PIECE, n + 1);
    hash.update(piece);
    expect(await bench.do(path, 'WriteAll', { blob: piece })).toBe('Ok');
  }
  expect(await bench.do(path, 'Metadata')).toEqual({
    Metadata: { file_type: 'File', len: PIECE * PIECES },
  });
  const expected = hash.digest();
  expect(await bench.do(path, 'Hash')).toEqual({ Hash: [...expected] });
  const back = createHash('sha256');
  await bench.do(path, { Seek: { Start: 0 } });
  for (let n = 0; n < PIECES; n += 1) {
    const reply = await bench.send(path, { ReadExact: { length: PIECE } });
    back.update(reply?.blob?.bytes ?? new Uint8Array());
  }
  expect(back.digest()).toEqual(expected);
});
