/**
 * `matmul-i8` (pulse.md §5): two n by n matrices of signed bytes, grown from `args.keyA` and `args.keyB`, multiplied exactly; the root over
 * the product on stdout and in `root.txt`. With `args.matrix` the product itself too, in `c.i32`, which a verifier checks by a few products
 * with random vectors.
 */
import { createHash } from 'node:crypto';
import {
  type Arguments,
  type Builtin,
  numberOf,
  problemOf,
  textOf,
  wholeNumber,
} from './builtin.ts';

const SIDE_LEAST = 64;
const SIDE_MOST = 4_096;
/** Results in a leaf. */
const LEAF = 64;
const LEAF_TAG = Buffer.from('\0hs/pulse/leaf/v1\0', 'latin1');
const NODE = Uint8Array.of(1);

export const matmul: Builtin = {
  check(args) {
    for (const name of ['keyA', 'keyB'])
      if (!/^[0-9a-f]{64}$/.test(textOf(args, name, '')))
        return `args.${name} must be 64 hex digits`;
    const n = numberOf(args, 'n', 0);
    const number = problemOf(wholeNumber(args, 'n', { least: SIDE_LEAST, most: SIDE_MOST }));
    return number ?? ((n & (n - 1)) === 0 ? undefined : 'args.n must be a power of two');
  },
  run({ args, output, stdout, progress }) {
    const n = numberOf(args, 'n', SIDE_LEAST);
    const keyA = keyOf(args, 'keyA');
    const product = multiply(grown(keyA, n * n), grown(keyOf(args, 'keyB'), n * n), n, progress);
    const root = rootOver(product, keyA);
    const line = `${Buffer.from(root).toString('hex')}\n`;
    stdout(line);
    output('root.txt', line);
    if (args['matrix'] === true) output('c.i32', bytesOf(product));
    return 0;
  },
};

function keyOf(args: Arguments, name: string): Uint8Array {
  return Buffer.from(textOf(args, name, ''), 'hex');
}

/** The stream of a key: SHA-256 of it and a counter, one block after another. */
function grown(key: Uint8Array, bytes: number): Int8Array {
  const out = new Uint8Array(bytes);
  const counter = new DataView(new ArrayBuffer(8));
  for (let at = 0; at < bytes; at += 32) {
    counter.setBigUint64(0, BigInt(at / 32));
    const hash = createHash('sha256').update(key).update(new Uint8Array(counter.buffer));
    out.set(hash.digest().subarray(0, bytes - at), at);
  }
  return new Int8Array(out.buffer);
}

/** Rows of `a` by rows of `b`, which is transposed already. Sums stay below 2^31. */
function multiply(
  a: Int8Array,
  b: Int8Array,
  n: number,
  progress: (ppm: number) => void,
): Int32Array {
  const out = new Int32Array(n * n);
  for (let row = 0; row < n; row += 1) {
    const from = row * n;
    for (let column = 0; column < n; column += 1) {
      const other = column * n;
      let sum = 0;
      for (let k = 0; k < n; k += 1) sum = (sum + a[from + k]! * b[other + k]!) | 0;
      out[from + column] = sum;
    }
    if (row % 16 === 0) progress(Math.floor((row * 1_000_000) / n));
  }
  return out;
}

function rootOver(product: Int32Array, keyA: Uint8Array): Uint8Array {
  const data = bytesOf(product);
  const index = Buffer.alloc(4);
  let level: Uint8Array[] = [];
  for (let leaf = 0; leaf * LEAF < product.length; leaf += 1) {
    index.writeUInt32BE(leaf);
    const part = data.subarray(leaf * LEAF * 4, (leaf + 1) * LEAF * 4);
    level.push(
      createHash('sha256').update(LEAF_TAG).update(keyA).update(index).update(part).digest(),
    );
  }
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2)
      above.push(
        createHash('sha256')
          .update(NODE)
          .update(level[at]!)
          .update(level[at + 1]!)
          .digest(),
      );
    level = above;
  }
  return level[0]!;
}

/** Little-endian, whatever this machine is. */
function bytesOf(values: Int32Array): Uint8Array {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeInt32LE(value, at * 4);
  return bytes;
}
