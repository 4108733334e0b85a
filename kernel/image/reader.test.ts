import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ImageError } from '../engine.ts';
import { ByteReader } from './reader.ts';

const reader = (...bytes: number[]): ByteReader => new ByteReader(Uint8Array.from(bytes));

/** LEB128 as the specification defines it, for values of any size. */
function signedLeb(value: bigint): number[] {
  const bytes: number[] = [];
  for (;;) {
    const low = Number(value & 0x7fn);
    value >>= 7n;
    const done = value === (low & 0x40 ? -1n : 0n);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

function unsignedLeb(value: bigint): number[] {
  const bytes: number[] = [];
  do {
    const low = Number(value & 0x7fn);
    value >>= 7n;
    bytes.push(value === 0n ? low : low | 0x80);
  } while (value !== 0n);
  return bytes;
}

describe('integers', () => {
  test('come back as they were written', () => {
    const limits = { numRuns: 300 };
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 32n - 1n), (value) => {
        expect(BigInt(reader(...unsignedLeb(value)).u32())).toBe(value);
      }),
      limits,
    );
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (value) => {
        expect(reader(...unsignedLeb(value)).u64()).toBe(value);
      }),
      limits,
    );
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 31n), 2n ** 31n - 1n), (value) => {
        expect(BigInt(reader(...signedLeb(value)).s32())).toBe(value);
      }),
      limits,
    );
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 32n), 2n ** 32n - 1n), (value) => {
        expect(BigInt(reader(...signedLeb(value)).s33())).toBe(value);
      }),
      limits,
    );
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (value) => {
        expect(reader(...signedLeb(value)).s64()).toBe(value);
      }),
      limits,
    );
  });

  test('may be padded, but not past their last byte', () => {
    expect(reader(0x80, 0x80, 0x80, 0x80, 0x00).u32()).toBe(0);
    expect(() => reader(0x80, 0x80, 0x80, 0x80, 0x80, 0x00).u32()).toThrow(/over 32 bits/);
    expect(reader(0x80, 0x80, 0x80, 0x80, 0x00).s32()).toBe(0);
    expect(() => reader(0x80, 0x80, 0x80, 0x80, 0x80, 0x00).s32()).toThrow(/over 32 bits/);
    expect(() => reader(...Array(10).fill(0x80), 0x00).u64()).toThrow(/over 64 bits/);
    expect(() => reader(...Array(10).fill(0x80), 0x00).s64()).toThrow(/over 64 bits/);
  });

  test('are refused one above their range', () => {
    expect(() => reader(...unsignedLeb(2n ** 32n)).u32()).toThrow(/over 32 bits at byte 0/);
    expect(() => reader(...unsignedLeb(2n ** 64n)).u64()).toThrow(/over 64 bits/);
    expect(() => reader(...signedLeb(2n ** 31n)).s32()).toThrow(/over 32 bits/);
    expect(() => reader(...signedLeb(-(2n ** 31n) - 1n)).s32()).toThrow(/over 32 bits/);
    expect(() => reader(...signedLeb(2n ** 63n)).s64()).toThrow(/over 64 bits/);
  });
});

describe('what there is no room for', () => {
  test('is refused with the place, before anything is made of it', () => {
    expect(() => reader().u8()).toThrow(/unexpected end at byte 0/);
    expect(() => reader(0x80).u32()).toThrow(/unexpected end at byte 1/);
    expect(() => reader(1, 2).take(3)).toThrow(/3 bytes announced, 2 left/);
    expect(() => reader(5, 0x61).name()).toThrow(/name of 5 bytes, 1 left at byte 0/);
    expect(() => reader(0xff, 0xff, 0xff, 0xff, 0x0f).count('things')).toThrow(
      /4294967295 things announced in 0 bytes/,
    );
    expect(() => reader(2, 0, 0, 0).count('things', { bytesEach: 2 })).toThrow(/2 things/);
    expect(reader(2, 0, 0, 0, 0).count('things', { bytesEach: 2 })).toBe(2);
  });

  test('is refused inside a part even when the file goes on', () => {
    const r = reader(1, 2, 3, 4);
    const part = r.sub(2);
    expect([part.u8(), part.u8(), part.done]).toEqual([1, 2, true]);
    expect(() => part.u8()).toThrow(/unexpected end at byte 2/);
    expect(r.u8()).toBe(3);
    expect(() => r.expectEnd('list')).toThrow(/list is 1 bytes too long at byte 3/);
  });

  test('counts over a limit are a limit, not an error of form', () => {
    expect(() => reader(3, 0, 0, 0).count('things', { max: 2 })).toThrow(
      expect.objectContaining({ name: 'ImageError', code: 'limit' }),
    );
  });
});

test('names are exact UTF-8', () => {
  expect(reader(4, 0x61, 0xc3, 0xa9, 0x62).name()).toBe('aéb');
  // A byte order mark is text, or else two names could read the same.
  expect(reader(4, 0xef, 0xbb, 0xbf, 0x61).name()).toBe('\ufeffa');
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
    expect(() => reader(bytes.length, ...bytes).name()).toThrow(ImageError);
  }
});
