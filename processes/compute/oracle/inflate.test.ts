import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { inflate } from './inflate.ts';

test('inflate undoes deflate at every level, and never makes more than it may', () => {
  const text = Buffer.from('the same again and again, '.repeat(500) + Math.PI);
  for (const level of [0, 1, 6, 9])
    expect(Buffer.from(inflate(deflateRawSync(text, { level }), text.length)!)).toEqual(text);
  expect(Buffer.from(inflate(deflateRawSync(Buffer.from('ab')), 2)!).toString()).toBe('ab');
  expect(inflate(deflateRawSync(text), text.length - 1)).toBeUndefined();
  expect(inflate(Uint8Array.of(7, 1, 2, 3), 100)).toBeUndefined();
  expect(inflate(new Uint8Array(), 100)).toBeUndefined();
});
