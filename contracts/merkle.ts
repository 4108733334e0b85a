/** Commitments to files and logs with Node's SHA-256 (compute-market.md §7.1; the shape is in `merkle-tree.ts`). */
import { createHash } from 'node:crypto';
import { type HashedFile, merkleRoot, outputLeaf } from './merkle-tree.ts';

/** SHA-256 of its arguments, one after another. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** Of files in any order: they are sorted by the bytes of their paths. */
export function outputsRoot(files: readonly HashedFile[]): Uint8Array {
  const sorted = files
    .map((file) => ({ file, name: Buffer.from(file.path) }))
    .toSorted((a, b) => Buffer.compare(a.name, b.name));
  return merkleRoot(
    sha256,
    sorted.map(({ file }) => outputLeaf(sha256, file)),
  );
}
