/** The memory of a guest of preview 1, each access checked. */
import { FileError } from './files.ts';

const IOVEC_BYTES = 8;
const IOVECS_MAX = 1024;

/** Views of a memory that may have grown since the last call. @throws FileError for what is outside of it */
export class GuestMemory {
  readonly view: DataView;
  readonly #bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory) {
    this.view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  bytes(pointer: number, length: number): Uint8Array {
    const start = pointer >>> 0;
    const end = start + (length >>> 0);
    if (end > this.#bytes.length) throw new FileError('invalid');
    return this.#bytes.subarray(start, end);
  }

  text(pointer: number, length: number): string {
    try {
      return utf8.decode(this.bytes(pointer, length));
    } catch (error) {
      throw error instanceof FileError ? error : new FileError('illegal-byte-sequence');
    }
  }

  u32(pointer: number): number {
    return this.view.getUint32(this.#inside(pointer, 4), true);
  }

  setU32(pointer: number, value: number): void {
    this.view.setUint32(this.#inside(pointer, 4), value, true);
  }

  setU64(pointer: number, value: bigint): void {
    this.view.setBigUint64(this.#inside(pointer, 8), value, true);
  }

  /** The parts of an iovec list, as far as they fit in `most` bytes together. */
  iovecs(pointer: number, count: number, most: number): Uint8Array[] {
    if (count >>> 0 > IOVECS_MAX) throw new FileError('invalid');
    const parts: Uint8Array[] = [];
    let room = most;
    for (let index = 0; index < count && room > 0; index += 1) {
      const at = (pointer >>> 0) + index * IOVEC_BYTES;
      const part = this.bytes(this.u32(at), this.u32(at + 4)).subarray(0, room);
      room -= part.length;
      if (part.length > 0) parts.push(part);
    }
    return parts;
  }

  #inside(pointer: number, length: number): number {
    const start = pointer >>> 0;
    if (start + length > this.#bytes.length) throw new FileError('invalid');
    return start;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A copy of parts, one behind another. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
