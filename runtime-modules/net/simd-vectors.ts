/**
 * Byte vectors as lists of integers with SIMD (findings F23): a module of a kilobyte, `simd-vectors.wat`, that takes a tenth of the time of plain
 * JavaScript. A host without SIMD has the plain codec.
 */
import { plainVectors, type VectorCodec } from '../../wit/byte-vectors.ts';
import { SIMD_VECTORS } from './simd-vectors-wasm.ts';

/** Where the module has what, and how much there is room for; the text says the same. */
const INPUT = 8_192;
const INPUT_BYTES = 65_536;
const OUTPUT = 73_792;
/** Bytes that the module writes at a time. */
const LANES = 16;
/** Elements read at a time: all of them may be long. */
const BLOCK_ELEMENTS = INPUT_BYTES / 2;
/** Shorter vectors are not worth the call. */
const ELEMENTS_MIN = 256;

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly consumed: WebAssembly.Global;
  high(length: number): number;
  encode(length: number): number;
  decode(length: number, room: number): number;
}

class SimdVectors implements VectorCodec {
  readonly blockElements = BLOCK_ELEMENTS;
  readonly #module: Exports;
  readonly #memory: Uint8Array;

  constructor(module: Exports) {
    this.#module = module;
    this.#memory = new Uint8Array(module.memory.buffer);
  }

  highBytes(bytes: Uint8Array): number {
    if (bytes.length < ELEMENTS_MIN) return plainVectors.highBytes(bytes);
    const end = bytes.length - (bytes.length % LANES);
    let high = plainVectors.highBytes(bytes.subarray(end));
    for (let from = 0; from < end; from += INPUT_BYTES)
      high += this.#module.high(this.#input(bytes, from, end));
    return high;
  }

  write(bytes: Uint8Array, target: Uint8Array, at: number): number {
    if (bytes.length < ELEMENTS_MIN) return plainVectors.write(bytes, target, at);
    const end = bytes.length - (bytes.length % LANES);
    let to = at;
    for (let from = 0; from < end; from += INPUT_BYTES) {
      const written = this.#module.encode(this.#input(bytes, from, end));
      target.set(this.#memory.subarray(OUTPUT, OUTPUT + written), to);
      to += written;
    }
    return plainVectors.write(bytes.subarray(end), target, to);
  }

  read(source: Uint8Array, at: number, out: Uint8Array): number | undefined {
    if (out.length < ELEMENTS_MIN) return plainVectors.read(source, at, out);
    const length = this.#input(source, at, at + 2 * out.length);
    const done = this.#module.decode(length, out.length);
    out.set(this.#memory.subarray(OUTPUT, OUTPUT + done));
    // What is less than it takes at a time, or has an unusual form.
    return plainVectors.read(source, at + Number(this.#module.consumed.value), out.subarray(done));
  }

  /** Copies up to INPUT_BYTES of what is between; how many it were. */
  #input(bytes: Uint8Array, from: number, end: number): number {
    const part = bytes.subarray(from, Math.min(from + INPUT_BYTES, end));
    this.#memory.set(part, INPUT);
    return part.length;
  }
}

/** The codec of these bytes of a module; the plain one where the host cannot run them. */
export function vectorsOf(wasm: BufferSource): VectorCodec {
  if (!WebAssembly.validate(wasm)) return plainVectors;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  // Proof: `simd-vectors.wat` exports them, and a test compares the bytes with it.
  return new SimdVectors(exports as unknown as Exports);
}

/** The fastest codec that this host has. */
export const fastVectors: VectorCodec = vectorsOf(Buffer.from(SIMD_VECTORS, 'base64'));
