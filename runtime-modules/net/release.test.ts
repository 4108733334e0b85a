/** Memory that is given back, and memory that is not ours to give. */
import { expect, test } from 'vitest';
import { release, releaseAround } from './release.ts';

const LONG = Buffer.poolSize;

test('long memory of its own is gone from every view; what shares memory with others stays', () => {
  const own = Buffer.allocUnsafeSlow(LONG);
  const view = own.subarray(8);
  release(own);
  expect([own.length, view.length, own.buffer.byteLength]).toEqual([0, 0, 0]);

  const whole = Buffer.allocUnsafeSlow(2 * LONG);
  const part = whole.subarray(0, LONG);
  release(part);
  expect(part.length).toBe(LONG);
  releaseAround(part);
  expect(whole.length).toBe(0);
});

test('the memory that short buffers share is never given back, whatever length a peer makes of them', () => {
  for (let length = 1; length < LONG; length += 97) {
    const made = [Buffer.allocUnsafe(length), Buffer.concat([Buffer.alloc(length)])];
    const shared = made.filter(({ buffer }) => buffer.byteLength !== length);
    for (const bytes of shared) {
      releaseAround(bytes);
      expect(bytes.length).toBe(length);
    }
    if (length < LONG / 4) expect(shared.length).toBeGreaterThan(0);
  }
});
