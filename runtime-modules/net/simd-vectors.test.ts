/** The SIMD codec against the plain one: what one writes or reads, the other does. `VECTORS_SEED` repeats a failure, `VECTORS_RUNS` goes on for longer. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { BYTES_FILE, bytesFile } from '../../test/simd-vectors-wasm.ts';
import { plainVectors, type VectorCodec } from '../../wit/byte-vectors.ts';
import { MessagePackReader, MessagePackWriter } from '../../wit/messagepack.ts';
import { seededRandom } from './memory.ts';
import { fastVectors, vectorsOf } from './simd-vectors.ts';

const SEED = Number(process.env['VECTORS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = Number(process.env['VECTORS_RUNS'] ?? 1_500);
const RUN_MS_MAX = 3_600_000;
/** Around what the module takes at a time, and around what it has room for. */
const LENGTHS = [
  0, 15, 16, 255, 256, 257, 271, 272, 32_767, 32_768, 32_769, 65_536, 65_551, 131_090,
];

/** Bytes of one character: random ones, one half, 0xcc in rows, or one value only. */
function vector(length: number, random: () => number): Uint8Array {
  const kind = Math.floor(random() * 5);
  const only = Math.floor(random() * 256);
  const out = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    const byte = Math.floor(random() * 256);
    if (kind === 0) out[index] = byte;
    else if (kind === 1) out[index] = byte & 0x7f;
    else if (kind === 2) out[index] = byte | 0x80;
    else if (kind === 3) out[index] = random() < 0.7 ? 0xcc : byte;
    else out[index] = only;
  }
  return out;
}

function written(bytes: Uint8Array, codec: VectorCodec): Uint8Array {
  const writer = new MessagePackWriter(64, codec);
  writer.byteVector(bytes);
  return writer.finish();
}

function read(encoded: Uint8Array, codec: VectorCodec) {
  const reader = new MessagePackReader(encoded, codec);
  const value = reader.byteVector();
  // Where a reader stands that has failed, and what it has, mean nothing.
  return reader.failed ? 'failed' : { at: reader.at, value: Buffer.from(value).toString('hex') };
}

test('the bytes of the module are those of its text (else: node test/simd-vectors-wasm.ts)', async () => {
  expect(await readFile(BYTES_FILE, 'utf8')).toBe(await bytesFile());
});

test('F23 this host runs the module, and one without SIMD has the plain codec', () => {
  expect(fastVectors).not.toBe(plainVectors);
  expect(vectorsOf(Buffer.from('a host that knows no such instruction'))).toBe(plainVectors);
});

test(
  `F23 any vector is written and read as by the plain codec (VECTORS_SEED=${SEED})`,
  () => {
    const random = seededRandom(SEED);
    for (let run = 0; run < RUNS; run++) {
      const length =
        run % 20 === 0
          ? LENGTHS[(run / 20) % LENGTHS.length]!
          : Math.floor(random() * random() * 6_000);
      // Views that start anywhere, as those of a message do.
      const start = Math.floor(random() * 9);
      const bytes = vector(start + length, random).subarray(start);
      const encoded = written(bytes, plainVectors);
      expect(Buffer.compare(written(bytes, fastVectors), encoded)).toBe(0);
      const behind = Buffer.concat([encoded, vector(Math.floor(random() * 200), random)]);
      expect(read(behind, fastVectors)).toEqual(read(behind, plainVectors));
    }
  },
  RUN_MS_MAX,
);

test(
  `F23 a list that is spoiled, or has other forms of integers, is read as by the plain codec (VECTORS_SEED=${SEED})`,
  () => {
    const random = seededRandom(SEED);
    const outcomes = { failed: 0, read: 0 };
    for (let run = 0; run < RUNS; run++) {
      const encoded = written(vector(300 + Math.floor(random() * 3_000), random), plainVectors);
      const at = (): number => 3 + Math.floor(random() * (encoded.length - 3));
      const kind = run % 4;
      let bytes: Uint8Array = encoded;
      if (kind === 0) bytes = encoded.subarray(0, at());
      // Markers where none was, and none where one was; a byte that is no integer of 8 bits.
      else encoded[at()] = [0, 0xcc, 0x05, 0xd0][kind]!;
      // `cc 05`, which is longer than it had to be, and valid.
      if (kind === 2 && random() < 0.5) {
        const cc = encoded.indexOf(0xcc, 3);
        if (cc >= 0) encoded[cc + 1] = 0x05;
      }
      const plain = read(bytes, plainVectors);
      expect(read(bytes, fastVectors)).toEqual(plain);
      outcomes[plain === 'failed' ? 'failed' : 'read']++;
    }
    expect(outcomes.failed).toBeGreaterThan(RUNS / 10);
    expect(outcomes.read).toBeGreaterThan(RUNS / 10);
  },
  RUN_MS_MAX,
);
