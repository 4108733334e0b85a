/** Random message ids and process names, drawn from a pool of operating-system randomness. */
import { randomFillSync } from 'node:crypto';
import { RANDOM_POOL_BYTES } from './limits.ts';

export interface Ids {
  /** A random integer of 53 bits, never 0: a subset of the reference's 64, so that ids are plain numbers (kernel.md §1.3). */
  id53(): number;
  /** A random integer of 64 bits in decimal, the name of an unnamed process (K70). */
  name64(): string;
}

/** Cryptographically random ids; guests cannot guess those of others. */
export class RandomIds implements Ids {
  readonly #pool = new Uint32Array(RANDOM_POOL_BYTES / 4);
  #at = this.#pool.length;

  id53(): number {
    if (this.#at + 2 > this.#pool.length) this.#refill();
    const high = (this.#pool[this.#at++] ?? 0) & 0x1f_ffff;
    const low = this.#pool[this.#at++] ?? 0;
    return high * 0x1_0000_0000 + low || 1;
  }

  name64(): string {
    if (this.#at + 2 > this.#pool.length) this.#refill();
    const high = BigInt(this.#pool[this.#at++] ?? 0);
    return ((high << 32n) | BigInt(this.#pool[this.#at++] ?? 0)).toString();
  }

  #refill(): void {
    randomFillSync(this.#pool);
    this.#at = 0;
  }
}
