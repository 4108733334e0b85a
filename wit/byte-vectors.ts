/**
 * Byte vectors as the wire has them, a list of MessagePack integers: `xx` below 0x80, `cc xx` from there (networking.md §5). What does it in a
 * host may be faster than this (`runtime-modules/net/simd-vectors.ts`). Runs in guests.
 */

export interface VectorCodec {
  /** Elements that are read at a time. */
  readonly blockElements: number;
  /** How many of these take two bytes. */
  highBytes(bytes: Uint8Array): number;
  /** Writes them as integers from `at` on, where there is room; returns where they end. */
  write(bytes: Uint8Array, target: Uint8Array, at: number): number;
  /**
   * Fills `out` with integers from `at` on; `source` has two bytes left for each. Where they end, or undefined when one of them has another form
   * than the two usual ones: `out` means nothing then.
   */
  read(source: Uint8Array, at: number, out: Uint8Array): number | undefined;
}

/** Elements of one loop. */
const BLOCK_ELEMENTS = 4_096;

/** Without a branch on a value: of random bytes every other one would be guessed wrong. */
export const plainVectors: VectorCodec = {
  blockElements: BLOCK_ELEMENTS,

  // In blocks, so that it is the inner loops that get hot: inlined into a call that is made once a message, they would stay with the
  // middle compiler, at a sixth of the speed.
  highBytes(bytes) {
    let high = 0;
    for (let from = 0; from < bytes.length; from += BLOCK_ELEMENTS)
      high += highOf(bytes, from, Math.min(from + BLOCK_ELEMENTS, bytes.length));
    return high;
  },

  write(bytes, target, at) {
    let to = at;
    for (let from = 0; from < bytes.length; from += BLOCK_ELEMENTS)
      to = writeElements(bytes.subarray(from, from + BLOCK_ELEMENTS), target, to);
    return to;
  },

  read(source, at, out) {
    let from = at;
    let unusual = 0;
    for (let index = 0; index < out.length; index++) {
      const byte = source[from]!;
      const long = byte >>> 7;
      out[index] = source[from + long]!;
      unusual |= long * (byte ^ 0xcc);
      from += 1 + long;
    }
    return unusual === 0 ? from : undefined;
  },
};

function writeElements(bytes: Uint8Array, target: Uint8Array, at: number): number {
  let to = at;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]!;
    target[to] = 0xcc;
    to += byte >>> 7;
    target[to++] = byte;
  }
  return to;
}

function highOf(bytes: Uint8Array, from: number, to: number): number {
  let high = 0;
  for (let index = from; index < to; index++) high += bytes[index]! >>> 7;
  return high;
}
