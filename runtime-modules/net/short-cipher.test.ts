/** The cipher of short frames against RFC 8439 and Node's own. `CIPHER_SEED` repeats a failure, `CIPHER_RUNS` goes on for longer. */
import { createCipheriv } from 'node:crypto';
import { expect, test } from 'vitest';
import { seededRandom } from './memory.ts';
import { CipherState, TAG_BYTES } from './noise.ts';
import { SHORT_BYTES_MAX, ShortCipher } from './short-cipher.ts';

const SEED = Number(process.env['CIPHER_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = Number(process.env['CIPHER_RUNS'] ?? 3_000);
const RUN_MS_MAX = 3_600_000;
/** Around blocks of either half, and the most. */
const LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 191, 192, 193, SHORT_BYTES_MAX];

const cipher = (key: Uint8Array): ShortCipher => new ShortCipher(key);

function bytes(length: number, random: () => number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

function nonceOf(count: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(count), 4);
  return nonce;
}

/** As Node seals it. */
function sealedByNode(key: Uint8Array, count: number, plain: Uint8Array): Buffer {
  const nonce = nonceOf(count);
  const node = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  return Buffer.concat([node.update(plain), node.final(), node.getAuthTag()]);
}

test('F25 zeros under a key of zeros are the second block of RFC 8439 A.1', () => {
  const stream = cipher(new Uint8Array(32)).seal(nonceOf(0), new Uint8Array(64)).subarray(0, 64);
  expect(stream.toString('hex')).toBe(
    '9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed' +
      '29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f',
  );
});

test(
  `F25 seals what Node seals and opens it, any length, key and count (CIPHER_SEED=${SEED})`,
  () => {
    const random = seededRandom(SEED);
    for (let run = 0; run < RUNS; run++) {
      const length =
        run % 3 === 0
          ? LENGTHS[(run / 3) % LENGTHS.length]!
          : Math.floor(random() * random() * SHORT_BYTES_MAX);
      const key = bytes(32, random);
      const count = Math.floor(random() * (run % 2 === 0 ? 2 ** 53 : 2 ** 10));
      const plain = bytes(length, random);
      const one = cipher(key);
      const nonce = nonceOf(count);
      const sealed = one.seal(nonce, plain);
      expect(sealed.equals(sealedByNode(key, count, plain))).toBe(true);
      // It is opened where others were before.
      expect(one.open(nonce, sealed)?.equals(plain)).toBe(true);
      const spoiled = Buffer.from(sealed);
      const at = Math.floor(random() * sealed.length);
      spoiled[at] = spoiled[at]! ^ (1 << Math.floor(random() * 8));
      expect(one.open(nonce, spoiled)).toBeUndefined();
      expect(one.open(nonceOf(count + 1), sealed)).toBeUndefined();
      expect(cipher(bytes(32, random)).open(nonce, sealed)).toBeUndefined();
    }
  },
  RUN_MS_MAX,
);

test('F25 every bit of a frame counts', () => {
  const random = seededRandom(SEED);
  const key = bytes(32, random);
  const sealed = cipher(key).seal(nonceOf(7), bytes(50, random));
  for (let bit = 0; bit < 8 * sealed.length; bit++) {
    const spoiled = Buffer.from(sealed);
    spoiled[bit >> 3] = spoiled[bit >> 3]! ^ (1 << (bit & 7));
    expect(cipher(key).open(nonceOf(7), spoiled), `bit ${bit}`).toBeUndefined();
  }
});

test('what is opened stays as it is, and keeps little memory alive', () => {
  const random = seededRandom(SEED);
  const one = cipher(bytes(32, random));
  const kept = Array.from({ length: 300 }, (_, count) => {
    const plain = bytes(Math.floor(random() * SHORT_BYTES_MAX), random);
    return { plain, opened: one.open(nonceOf(count), one.seal(nonceOf(count), plain))! };
  });
  for (const { plain, opened } of kept) {
    expect(opened.equals(plain)).toBe(true);
    expect(opened.buffer.byteLength).toBeLessThanOrEqual(2_048);
  }
});

test('F25 a cipher counts on from short frames to long ones and back, in both directions', () => {
  const key = Buffer.alloc(32, 7);
  const [out, back] = [new CipherState(key), new CipherState(key)];
  const lengths = [1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, 0, 60_000, SHORT_BYTES_MAX - 1];
  for (const [count, length] of lengths.entries()) {
    const plain = Buffer.alloc(length, count);
    const sealed = out.seal(plain);
    expect(sealed).toEqual(sealedByNode(key, count, plain));
    expect(back.open(sealed)).toEqual(plain);
  }
});
