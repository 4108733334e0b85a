/**
 * What a wasm job sees of time and chance (compute-market.md §9.3): the same for every attempt, replica and auditor. The clock starts at 0 and
 * goes on by a millisecond each time it is read; whoever waits moves it to the instant waited for, at once. Random bytes are SHA-256 of a
 * counter, keyed by the seed of the spec.
 */
import { createHash } from 'node:crypto';

const MS_NS = 1_000_000n;

export class JobClock {
  #nowNs = 0n;

  /** Nanoseconds since the start of the job. */
  read(): bigint {
    const now = this.#nowNs;
    this.#nowNs += MS_NS;
    return now;
  }

  /** The next reading, which is not one. */
  get nowNs(): bigint {
    return this.#nowNs;
  }

  waitUntil(instantNs: bigint): void {
    if (instantNs > this.#nowNs) this.#nowNs = instantNs;
  }
}

const TAG = 'hn-wasm-random/v1\0';
const BLOCK_BYTES = 32;

/** Block n is SHA-256(`hn-wasm-random/v1` 00 seed 00 n as u64be); the stream is the blocks one behind another. */
export class JobRandom {
  readonly #key: string;
  #count = 0n;
  #rest: Uint8Array = new Uint8Array(0);

  /** `seed`: `verify.seed` of the spec, or nothing. */
  constructor(seed: string) {
    this.#key = `${TAG}${seed}\0`;
  }

  next(into: Uint8Array): void {
    let at = 0;
    while (at < into.length) {
      if (this.#rest.length === 0) this.#rest = this.#block();
      const part = this.#rest.subarray(0, into.length - at);
      into.set(part, at);
      at += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    this.next(bytes);
    return bytes;
  }

  #block(): Uint8Array {
    const counter = new Uint8Array(8);
    new DataView(counter.buffer).setBigUint64(0, this.#count++);
    const digest = createHash('sha256').update(this.#key, 'utf8').update(counter).digest();
    return new Uint8Array(digest.buffer, digest.byteOffset, BLOCK_BYTES);
  }
}
