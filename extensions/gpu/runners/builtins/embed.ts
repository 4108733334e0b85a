/**
 * `embed-hash-384`: a vector of 384 signed 16-bit numbers for every line of every input, in `embeddings.i16` (little-endian, one behind
 * another). Words are runs of letters and digits in lower case; SHA-256 of a word names a place and a sign; the sums are scaled so that the
 * vector's length is 32767, halves rounded away from zero. No meaning, but alike texts are near each other, and everybody gets the same.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Builtin } from './builtin.ts';

const DIMENSIONS = 384;
const LENGTH = 32_767;
const WORD = /[\p{L}\p{N}]+/gu;

export const embed: Builtin = {
  check: () => undefined,
  run({ inputs, output, stdout, progress }) {
    const rows: Uint8Array[] = [];
    for (const [index, path] of inputs.entries()) {
      const text = readFileSync(path, 'utf8');
      const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n');
      for (const line of lines) rows.push(embedding(line));
      progress(Math.floor(((index + 1) * 1_000_000) / inputs.length));
    }
    output('embeddings.i16', Buffer.concat(rows));
    stdout(`${rows.length}\n`);
    return 0;
  },
};

/** Of one text, 768 bytes. */
export function embedding(text: string): Uint8Array {
  const sums = new Int32Array(DIMENSIONS);
  for (const [word] of text.normalize('NFC').toLowerCase().matchAll(WORD)) {
    const hash = createHash('sha256').update(word).digest();
    sums[hash.readUInt32BE(0) % DIMENSIONS]! += (hash[4]! & 1) === 1 ? 1 : -1;
  }
  const square = sums.reduce((sum, value) => sum + value * value, 0);
  const out = Buffer.alloc(2 * DIMENSIONS);
  for (const [at, value] of sums.entries())
    if (value !== 0) out.writeInt16LE(scaled(value, square), 2 * at);
  return out;
}

/** `value * LENGTH / sqrt(square)`, exactly: the whole number nearest to it, in integers. */
function scaled(value: number, square: number): number {
  const wanted = BigInt(value) * BigInt(value) * BigInt(LENGTH) * BigInt(LENGTH);
  // (2 r - 1)^2 square <= 4 wanted: r is the nearest, or half a step below it.
  let nearest = BigInt(Math.floor(Math.sqrt(Number(wanted) / square)));
  const fits = (r: bigint): boolean => (2n * r - 1n) ** 2n * BigInt(square) <= 4n * wanted;
  while (nearest > 0n && !fits(nearest)) nearest -= 1n;
  while (fits(nearest + 1n)) nearest += 1n;
  return value < 0 ? -Number(nearest) : Number(nearest);
}
