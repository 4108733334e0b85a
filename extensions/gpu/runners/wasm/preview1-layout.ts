/** Numbers and records of WASI preview 1, as they stand in a guest's memory. */
import type { FileErrorCode } from './files.ts';

/** `errno` by the names of `wasi:filesystem/types`. */
export const ERRNO = {
  success: 0,
  access: 2,
  'bad-descriptor': 8,
  busy: 10,
  exist: 20,
  'illegal-byte-sequence': 25,
  invalid: 28,
  'is-directory': 31,
  'no-entry': 44,
  'insufficient-memory': 48,
  'not-directory': 54,
  'not-empty': 55,
  unsupported: 58,
  'not-permitted': 63,
  'read-only': 69,
  'cross-device': 75,
} as const satisfies Record<FileErrorCode | 'success', number>;

/** `filetype`. */
export const FILE_TYPE = { character: 2, folder: 3, file: 4 } as const;
type Kind = keyof typeof FILE_TYPE;

/** Fills 64 bytes of `filestat`: no device, no inode, one link, no times. */
export function filestat(into: Uint8Array, kind: Kind, size: number): void {
  into.fill(0);
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  view.setUint8(16, FILE_TYPE[kind]);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, BigInt(size), true);
}

interface Name {
  readonly name: string;
  readonly kind: Kind;
}

/** A listing with the two names that every folder has. */
export function folderNames(names: readonly Name[]): readonly Name[] {
  return [{ name: '.', kind: 'folder' }, { name: '..', kind: 'folder' }, ...names];
}

const DIRENT_BYTES = 24;
const encoder = new TextEncoder();

/** One `dirent` and its name; `next` is the cookie of the one behind it. */
export function dirent({ name, kind }: Name, next: number): Uint8Array {
  const text = encoder.encode(name);
  const bytes = new Uint8Array(DIRENT_BYTES + text.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(next), true);
  view.setUint32(16, text.length, true);
  view.setUint8(20, FILE_TYPE[kind]);
  bytes.set(text, DIRENT_BYTES);
  return bytes;
}
