import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  decodeRecords,
  encodeRecords,
  RECORD_BYTES_MAX,
  RECORD_HEAD_BYTES,
  STREAM,
  type LogRecord,
} from './log-records.ts';

const record = fc.record({
  seq: fc.integer({ min: 0, max: 0xffff_ffff }),
  stream: fc.constantFrom(...Object.values(STREAM)),
  atMs: fc.maxSafeNat(),
  bytes: fc.uint8Array({ maxLength: 300 }),
});

it('records come back as they went, wherever the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 8 }), fc.nat(), (records, cut) => {
      const bytes = encodeRecords(records);
      const end = bytes.length === 0 ? 0 : cut % bytes.length;
      const first = decodeRecords(bytes.subarray(0, end))!;
      const second = decodeRecords(bytes.subarray(first.rest))!;
      expect(second.rest).toBe(bytes.length - first.rest);
      expect([...first.records, ...second.records]).toEqual(records);
    }),
  );
});

it('what is no record is refused', () => {
  const good: LogRecord = { seq: 0, stream: STREAM.stdout, atMs: 1, bytes: Uint8Array.of(1) };
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = encodeRecords([good]);
    bytes[at] = value;
    return bytes;
  };
  expect(decodeRecords(changed(4, 0))).toBeUndefined();
  expect(decodeRecords(changed(4, 4))).toBeUndefined();
  expect(decodeRecords(changed(5, 0xff))).toBeUndefined();
  const long = changed(13, 0xff);
  expect(decodeRecords(long)).toBeUndefined();
  expect(long.length).toBeLessThan(RECORD_HEAD_BYTES + RECORD_BYTES_MAX);
});
