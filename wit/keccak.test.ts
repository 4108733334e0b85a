import { keccak_256 } from '@noble/hashes/sha3.js';
import { expect, test } from 'vitest';
import { keccak256 } from './keccak.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('HM1 keccak256 equals an audited implementation at every length up to three blocks', () => {
  const message = new Uint8Array(3 * 136 + 1).map((_, i) => (i * 31 + 7) & 0xff);
  for (let length = 0; length <= message.length; length++) {
    const part = message.subarray(0, length);
    expect(hex(keccak256(part)), `${length} bytes`).toBe(hex(keccak_256(part)));
  }
});

test('HM1 keccak256 of the empty string and of "os"', () => {
  expect(hex(keccak256(new Uint8Array()))).toBe(
    'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
  );
  expect(hex(keccak256(new TextEncoder().encode('~net-key')))).toBe(
    'a5373a61425ed8131f531e016a0201b9a2ede9433815077c8afab1eaa138c07c',
  );
});

test("HM1 a hash is the caller's own", () => {
  const first = keccak256(Uint8Array.of(1));
  const kept = hex(first);
  keccak256(Uint8Array.of(2));
  expect(hex(first)).toBe(kept);
});
