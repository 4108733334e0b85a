/**
 * Randomness for guests whose heap is a snapshot taken at build time: the engine's own Math.random is seeded before the snapshot, so
 * every process of a component would draw the same numbers (measured: equal first values in every run).
 */

/** Fills from the host's secure source. Must not be called before `init`. */
export type RandomSource = (length: number) => Uint8Array;

/** One call of the host gives this many 32-bit words to Math.random. */
const POOL_WORDS = 256;

/** `Math.random` over the host's source: 53 random bits, as the engine's own has. */
export function randomFunction(source: RandomSource): () => number {
  let pool = new Uint32Array(0);
  let next = 0;
  return () => {
    if (next + 2 > pool.length) {
      pool = new Uint32Array(source(POOL_WORDS * 4).slice().buffer);
      next = 0;
    }
    const high = (pool[next] ?? 0) >>> 5;
    const low = (pool[next + 1] ?? 0) >>> 6;
    next += 2;
    return (high * 2 ** 26 + low) / 2 ** 53;
  };
}

/** The two functions of WebCrypto that need no keys. */
export function cryptoObject(source: RandomSource): Pick<Crypto, 'getRandomValues' | 'randomUUID'> {
  const fill = <A extends ArrayBufferView>(view: A): A => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    if (bytes.length > 65_536) throw new RangeError('at most 65,536 bytes at a time');
    bytes.set(source(bytes.length));
    return view;
  };
  return {
    getRandomValues: fill,
    randomUUID: () => {
      const bytes = fill(new Uint8Array(16));
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
      const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as const;
    },
  };
}
