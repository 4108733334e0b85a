/** Commitments to files: Merkle trees of the shape of RFC 6962 over output leaves (compute-market.md §7.1). For Node. */
import { createHash } from 'node:crypto';

/** A file that a root commits to. */
export interface HashedFile {
  /** Relative, segments joined by slashes. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the content. */
  readonly sha256: Uint8Array;
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const OUTPUT = 'hn/output/v1\0';
const EMPTY = 'hn/empty/v1\0';

/** The leaf of one file; prefixed, so that no leaf is a node. */
export function outputLeaf({ path, bytes, sha256 }: HashedFile): Uint8Array {
  const name = Buffer.from(path);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(bytes));
  return digest(LEAF, Buffer.from(OUTPUT), length, name, size, sha256);
}

/** Of files in any order: they are sorted by the bytes of their paths. */
export function outputsRoot(files: readonly HashedFile[]): Uint8Array {
  const sorted = files
    .map((file) => ({ file, name: Buffer.from(file.path) }))
    .toSorted((a, b) => Buffer.compare(a.name, b.name));
  return merkleRoot(sorted.map(({ file }) => outputLeaf(file)));
}

/** Of leaf hashes. One leaf is its own root. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return digest(Buffer.from(EMPTY));
  if (leaves.length === 1) return first;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return digest(NODE, merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}

function digest(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
