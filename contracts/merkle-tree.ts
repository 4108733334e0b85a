/**
 * Merkle trees of the shape of RFC 6962, and the leaves of outputs and logs (compute-market.md §7.1). The hash is handed in: guests, which
 * have none that is fast, check a path of a few nodes with one of their own.
 */

/** SHA-256 of its arguments, one after another. */
export type Sha256 = (...parts: readonly Uint8Array[]) => Uint8Array;

/** A file that a root commits to. */
export interface HashedFile {
  /** Relative, segments joined by slashes. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the content. */
  readonly sha256: Uint8Array;
}

/** Where a leaf is in a tree of `count` leaves; `path` are its siblings, bottom up. */
export interface Inclusion {
  readonly index: number;
  readonly count: number;
  readonly path: readonly Uint8Array[];
}

const utf8 = new TextEncoder();
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const OUTPUT = utf8.encode('hn/output/v1\0');
const LOG = utf8.encode('hn/log/v1\0');
const EMPTY = utf8.encode('hn/empty/v1\0');

/** The leaf of one file; prefixed, so that no leaf is a node. */
export function outputLeaf(
  sha256: Sha256,
  { path, bytes, sha256: content }: HashedFile,
): Uint8Array {
  const name = utf8.encode(path);
  const numbers = new DataView(new ArrayBuffer(12));
  numbers.setUint32(0, name.length);
  numbers.setBigUint64(4, BigInt(bytes));
  const [length, size] = [new Uint8Array(numbers.buffer, 0, 4), new Uint8Array(numbers.buffer, 4)];
  return sha256(LEAF, OUTPUT, length, name, size, content);
}

/** The leaf of one record of a log, as it is framed in its file (`wit/log-file.ts`). */
export function logLeaf(sha256: Sha256, frame: Uint8Array): Uint8Array {
  return sha256(LEAF, LOG, frame);
}

/** A tree that grows leaf by leaf and keeps one node for each level. */
export class GrowingTree {
  readonly #sha256: Sha256;
  /** Roots of whole subtrees, the largest first, and their heights. */
  readonly #peaks: { readonly height: number; readonly hash: Uint8Array }[] = [];
  #count = 0;

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  /** Leaves so far. */
  get count(): number {
    return this.#count;
  }

  add(leaf: Uint8Array): void {
    this.#count += 1;
    let top = { height: 0, hash: leaf };
    for (;;) {
      const left = this.#peaks.at(-1);
      if (left === undefined || left.height !== top.height) break;
      this.#peaks.pop();
      top = { height: top.height + 1, hash: this.#sha256(NODE, left.hash, top.hash) };
    }
    this.#peaks.push(top);
  }

  /** Of the leaves so far. One leaf is its own root. */
  root(): Uint8Array {
    const [last, ...rest] = this.#peaks.toReversed();
    if (last === undefined) return this.#sha256(EMPTY);
    return rest.reduce((right, left) => this.#sha256(NODE, left.hash, right), last.hash);
  }
}

/** Of leaf hashes. */
export function merkleRoot(sha256: Sha256, leaves: readonly Uint8Array[]): Uint8Array {
  const tree = new GrowingTree(sha256);
  for (const leaf of leaves) tree.add(leaf);
  return tree.root();
}

/** Siblings of a leaf, bottom up. @throws RangeError when there is no such leaf */
export function pathOf(
  sha256: Sha256,
  leaves: readonly Uint8Array[],
  index: number,
): readonly Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length)
    throw new RangeError(`there is no leaf ${index} of ${leaves.length}`);
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...pathOf(sha256, left, index), merkleRoot(sha256, right)]
    : [...pathOf(sha256, right, index - split), merkleRoot(sha256, left)];
}

/** The root that this path leads to; undefined: it is none of such a tree. Compare it with the root that was signed. */
export function rootOfPath(
  sha256: Sha256,
  leaf: Uint8Array,
  { index, count, path }: Inclusion,
): Uint8Array | undefined {
  if (!Number.isInteger(index) || !Number.isInteger(count)) return undefined;
  if (index < 0 || index >= count) return undefined;
  if (count === 1) return path.length === 0 ? leaf : undefined;
  const sibling = path.at(-1);
  if (sibling === undefined) return undefined;
  const below = path.slice(0, -1);
  const split = splitOf(count);
  if (index < split) {
    const left = rootOfPath(sha256, leaf, { index, count: split, path: below });
    return left && sha256(NODE, left, sibling);
  }
  const rest = { index: index - split, count: count - split, path: below };
  const right = rootOfPath(sha256, leaf, rest);
  return right && sha256(NODE, sibling, right);
}

/** The largest power of two below a number above one. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}
