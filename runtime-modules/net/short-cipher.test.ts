/** The cipher of short frames against RFC 8439, Node's own, and Poly1305 in whole numbers. `CIPHER_SEED` repeats a failure, `CIPHER_RUNS` goes on for longer. */
import { createCipheriv } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { bytesFile } from '../../test/net-wasm.ts';
import { seededRandom } from './memory.ts';
import { CipherState, TAG_BYTES } from './noise.ts';
import { SHORT_CIPHER } from './short-cipher-wasm.ts';
import { SHORT_BYTES_MAX, shortCipher, shortCipherOf } from './short-cipher.ts';

const SEED = Number(process.env['CIPHER_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = Number(process.env['CIPHER_RUNS'] ?? 3_000);
const RUN_MS_MAX = 3_600_000;
/** Around the blocks of either half and what is taken at a time, and the most. */
const LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 191, 192, 193, SHORT_BYTES_MAX];
const cipher = shortCipher!;
/** Where the module has what. */
const [IN, ONCE, OUT] = [128, 1_792, 1_856];
/** What sums are modulo, and the bit above each block. */
const [P, TOP] = [(1n << 130n) - 5n, 1n << 128n];
/** The bits of a one-time key that count in its first half. */
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

function bytes(length: number, random: () => number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

/** As Node seals it. */
function sealedByNode(key: Uint8Array, count: number, plain: Uint8Array): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(count), 4);
  const node = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  return Buffer.concat([node.update(plain), node.final(), node.getAuthTag()]);
}

test('the bytes of the module are those of its text (else: node test/net-wasm.ts)', async () => {
  const { path, content } = await bytesFile('short-cipher');
  expect(await readFile(path, 'utf8')).toBe(content);
});

test('F25 this host runs the module, and one without SIMD has none', () => {
  expect(shortCipher).toBeDefined();
  expect(shortCipherOf(Buffer.from('a host that knows no such instruction'))).toBeUndefined();
});

test('F25 zeros under a key of zeros are the second block of RFC 8439 A.1', () => {
  const stream = cipher.seal(new Uint8Array(32), 0, [new Uint8Array(64)]).subarray(0, 64);
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
      const cut = Math.floor(random() * (length + 1));
      const sealed = cipher.seal(key, count, [plain.subarray(0, cut), plain.subarray(cut)]);
      expect(sealed.equals(sealedByNode(key, count, plain))).toBe(true);
      // What was longer before it leaves nothing behind.
      expect(cipher.open(key, count, sealed)?.equals(plain)).toBe(true);
      const spoiled = Buffer.from(sealed);
      const at = Math.floor(random() * sealed.length);
      spoiled[at] = spoiled[at]! ^ (1 << Math.floor(random() * 8));
      expect(cipher.open(key, count, spoiled)).toBeUndefined();
      expect(cipher.open(key, count + 1, sealed)).toBeUndefined();
      expect(cipher.open(bytes(32, random), count, sealed)).toBeUndefined();
    }
  },
  RUN_MS_MAX,
);

test('F25 every bit of a frame counts', () => {
  const random = seededRandom(SEED);
  const key = bytes(32, random);
  const sealed = cipher.seal(key, 7, [bytes(50, random)]);
  for (let bit = 0; bit < 8 * sealed.length; bit++) {
    const spoiled = Buffer.from(sealed);
    spoiled[bit >> 3] = spoiled[bit >> 3]! ^ (1 << (bit & 7));
    expect(cipher.open(key, 7, spoiled), `bit ${bit}`).toBeUndefined();
  }
});

function block(value: bigint): Buffer {
  return Buffer.from(Buffer.from(value.toString(16).padStart(32, '0'), 'hex').toReversed());
}

/** The tag of RFC 8439 §2.8 in whole numbers. */
function tagOf(r: bigint, s: bigint, text: Uint8Array): string {
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(text.length), 8);
  const padded = Buffer.concat([text, Buffer.alloc(-text.length & 15), lengths]);
  let sum = 0n;
  for (let at = 0; at < padded.length; at += 16) {
    const value = padded.readBigUInt64LE(at) | (padded.readBigUInt64LE(at + 8) << 64n);
    sum = ((sum + value + TOP) * r) % P;
  }
  return BigInt.asUintN(128, sum + s)
    .toString(16)
    .padStart(32, '0');
}

/** Two blocks whose sum under `r` is `target`. */
function blocksFor(r: bigint, target: bigint): Buffer {
  const modulo = (value: bigint): bigint => ((value % P) + P) % P;
  let inverse = 1n;
  for (let [bits, square] = [P - 2n, r]; bits > 0n; bits >>= 1n, square = modulo(square * square))
    if (bits & 1n) inverse = modulo(inverse * square);
  const before = (sum: bigint, last: bigint): bigint => modulo(sum * inverse - last - TOP);
  for (let one = 0n; ; one++) {
    const two = before(before(target, 32n << 64n), (one + TOP) * r);
    if (two < TOP) return Buffer.concat([block(one), block(two)]);
  }
}

test('F25 tags at the edges of their arithmetic, which no random key reaches', () => {
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(Buffer.from(SHORT_CIPHER, 'base64')),
  );
  // Proof: `short-cipher.wat` exports them.
  const { memory, probe } = exports as unknown as {
    readonly memory: WebAssembly.Memory;
    readonly probe: (length: number) => void;
  };
  const at = Buffer.from(memory.buffer);
  const compare = (r: bigint, s: bigint, text: Uint8Array): void => {
    at.set(block(r), ONCE);
    at.set(block(s), ONCE + 16);
    at.fill(0, IN, IN + 128).set(text, IN);
    probe(text.length);
    const tag = at.subarray(OUT, OUT + 16).toReversed();
    expect(Buffer.from(tag).toString('hex')).toBe(tagOf(r & CLAMP, s, text));
  };
  const ones = TOP - 1n;
  for (const s of [0n, 1n, 4n, 1n << 64n, ones - 4n, ones]) {
    // Sums just below p, which is 2^130 - 5, at it, and past 2^130, by what the second block adds to the first and the lengths.
    for (let over = -3n; over < 9n; over++) {
      const rest = P + over - 3n * TOP - (32n << 64n);
      compare(1n, s, Buffer.concat([block(1n << 127n), block(rest - (1n << 127n))]));
    }
    // Small sums of large products, which are over 2^130 once and carry into the lowest parts when they are brought below it.
    for (const r of [CLAMP, CLAMP - 4n, CLAMP ^ (0xffn << 64n)])
      for (let over = -2n; over < 8n; over++) {
        compare(r, s, blocksFor(r, over + (1n << 26n)));
        if (over >= 0n) compare(r, s, blocksFor(r, over));
      }
    // Carries through every part.
    const texts = [0n, 1n, ones, ones - 4n, ones << 64n, 1n << 127n].map((value) =>
      block(BigInt.asUintN(128, value)),
    );
    for (const r of [0n, 1n, 2n, 4n, 1n << 26n, 1n << 122n, CLAMP, CLAMP - 3n, ones])
      for (const one of texts)
        for (const two of texts)
          for (const cut of [0, 1]) compare(r, s, Buffer.concat([one, two]).subarray(cut));
  }
});

test('what is opened stays as it is, and keeps little memory alive', () => {
  const random = seededRandom(SEED);
  const key = bytes(32, random);
  const kept = Array.from({ length: 300 }, (_, count) => {
    const plain = bytes(Math.floor(random() * (count % 5 === 0 ? SHORT_BYTES_MAX : 600)), random);
    return { plain, opened: cipher.open(key, count, cipher.seal(key, count, [plain]))! };
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
