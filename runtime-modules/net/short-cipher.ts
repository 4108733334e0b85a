/**
 * ChaCha20-Poly1305 of short frames (RFC 8439; findings F25): a module of 3 kB, `short-cipher.wat`. 200 bytes sealed and opened again take
 * 1 µs of CPU, with Node's own cipher 6.5, most of it for making the cipher objects and for collecting them. A host without SIMD has
 * Node's for all lengths.
 */
import { SHORT_CIPHER } from './short-cipher-wasm.ts';

const KEY = 0;
const IN = 128;
const OUT = 1_856;
const TAG_BYTES = 16;
/** Plaintext there is room for. From about here on Node's cipher, which has wider vectors, takes no longer. */
export const SHORT_BYTES_MAX = 1_536;

interface Exports {
  readonly memory: WebAssembly.Memory;
  seal(length: number, nonceLow: number, nonceHigh: number): void;
  open(length: number, nonceLow: number, nonceHigh: number): number;
}

/**
 * Opened frames share memory of so many bytes: some of its own for each costs half of what opening it does, and one in the host's pool would
 * keep 64 KiB alive.
 */
const SLAB_BYTES_MAX = 2_048;

/** A nonce of Noise: how often the key has been used, below 2^53. */
export type Count = number;

export class ShortCipher {
  readonly #module: Exports;
  readonly #memory: Buffer;
  /** What is left of it. */
  #slab = Buffer.alloc(0);

  constructor(module: Exports) {
    this.#module = module;
    this.#memory = Buffer.from(module.memory.buffer);
  }

  /** Ciphertext and tag of pieces of at most SHORT_BYTES_MAX together. `key`: 32 bytes. */
  seal(key: Uint8Array, count: Count, pieces: readonly Uint8Array[]): Buffer {
    const memory = this.#memory;
    memory.set(key, KEY);
    let length = 0;
    for (const piece of pieces) {
      memory.set(piece, IN + length);
      length += piece.length;
    }
    this.#module.seal(length, low(count), high(count));
    // It is gone in a moment: of the pool.
    return this.#to(Buffer.allocUnsafe(length + TAG_BYTES));
  }

  /** What was sealed so, or undefined. `sealed`: a tag, and at most SHORT_BYTES_MAX before it. */
  open(key: Uint8Array, count: Count, sealed: Uint8Array): Buffer | undefined {
    const length = sealed.length - TAG_BYTES;
    this.#memory.set(key, KEY);
    this.#memory.set(sealed, IN);
    if (this.#module.open(length, low(count), high(count)) === 0) return undefined;
    return this.#to(this.#room(length));
  }

  #to(out: Buffer): Buffer {
    this.#memory.copy(out, 0, OUT, OUT + out.length);
    return out;
  }

  /** Room for what may wait in a mailbox, or be copied to another thread with all that its memory holds. */
  #room(length: number): Buffer {
    if (length > SLAB_BYTES_MAX / 4) return Buffer.allocUnsafeSlow(length);
    if (this.#slab.length < length) this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES_MAX);
    const room = this.#slab.subarray(0, length);
    this.#slab = this.#slab.subarray(length);
    return room;
  }
}

function low(count: Count): number {
  return count >>> 0;
}

function high(count: Count): number {
  return Math.floor(count / 0x1_0000_0000);
}

/** The cipher of these bytes of a module; undefined where the host cannot run them. */
export function shortCipherOf(wasm: BufferSource): ShortCipher | undefined {
  if (!WebAssembly.validate(wasm)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  // Proof: `short-cipher.wat` exports them, and a test compares the bytes with it.
  return new ShortCipher(exports as unknown as Exports);
}

export const shortCipher: ShortCipher | undefined = shortCipherOf(
  Buffer.from(SHORT_CIPHER, 'base64'),
);
