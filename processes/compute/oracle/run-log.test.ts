/** What the log of a run says, and what it cannot be made to say (compute-market.md §8). */
import { describe, expect, it } from 'vitest';
import { encodeRecords, STREAM } from '../../../wit/jobs/log-records.ts';
import { isTame, LogReader } from './run-log.ts';

const utf8 = new TextEncoder();

describe('T9 what a log says', () => {
  const record = (seq: number, text: string, stream: 1 | 2 | 3 = STREAM.system, atMs = seq) => ({
    seq,
    stream,
    atMs,
    bytes: utf8.encode(text),
  });
  const start = record(0, '{"ev":"start"}');
  const read = (...records: Parameters<typeof encodeRecords>[0]) => {
    const reader = new LogReader(undefined);
    const bytes = encodeRecords(records);
    // In pieces that cut records.
    for (let at = 0; at < bytes.length; at += 7)
      if (!reader.add(bytes.subarray(at, at + 7))) return undefined;
    return reader.end();
  };
  it('T9 only a last record of the runner itself is an exit', () => {
    expect(read(start, record(1, '{"ev":"exit","code":0}'))?.exitCode).toBe(0);
    expect(
      read(start, record(1, '{"ev":"exit","code":0}'), record(2, 'x', 1))?.exitCode,
    ).toBeUndefined();
    expect(read(start, record(1, '{"ev":"exit","code":0}', 1))?.exitCode).toBeUndefined();
    expect(read(start, record(1, '{"ev":"exit","code":"0"}'))?.exitCode).toBeUndefined();
  });
  it('gaps, repeats and times that run back are seen', () => {
    const end = (seq: number, atMs = 9): ReturnType<typeof record> =>
      record(seq, '{"ev":"exit","code":0}', 3, atMs);
    expect(read(start, end(1))?.gapless).toBe(true);
    expect(read(start, end(2))?.gapless).toBe(false);
    expect(read(start, record(0, 'x'), end(1))?.gapless).toBe(false);
    expect(read(start, record(1, 'x', 1, 5), end(2, 4))?.gapless).toBe(false);
  });
  it('bytes that are no records, or end in the middle', () => {
    const reader = new LogReader(undefined);
    expect(reader.add(Uint8Array.of(0, 0, 0, 0, 9, ...new Uint8Array(20)))).toBe(false);
    const cut = new LogReader(undefined);
    expect(cut.add(encodeRecords([start]).subarray(0, 5))).toBe(true);
    expect(cut.end()).toBeUndefined();
  });
  it('markers that could be tried forever are not', () => {
    for (const bad of ['(a+)+$', '(a|a)*b', '(?=a)', 'a*a*a*a*b', '(a)\\1']) {
      expect(isTame(bad), bad).toBe(false);
    }
    for (const good of ['^done$', 'loss=[0-9.]+', 'a*b+', 'x\\+y', '[(*+]']) {
      expect(isTame(good), good).toBe(true);
    }
  });
});
