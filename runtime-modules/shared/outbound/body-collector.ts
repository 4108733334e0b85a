/**
 * A body of unknown length, arriving in pieces of any size, in one array at the end. Small pieces are copied into blocks: a server that
 * sends single bytes would otherwise cost a hundred bytes of memory for each.
 */

/** Pieces from this size on are kept as they are. */
const WHOLE_PIECE_BYTES_MIN = 8 * 1024;
const FIRST_BLOCK_BYTES = 1024;
const BLOCK_BYTES_MAX = 64 * 1024;

export class BodyCollector {
  #done: Uint8Array[] = [];
  #block = new Uint8Array(0);
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The piece must not change afterwards. */
  add(piece: Uint8Array): void {
    this.#length += piece.length;
    if (piece.length >= WHOLE_PIECE_BYTES_MIN) {
      this.#seal();
      this.#done.push(piece);
      return;
    }
    let rest = piece;
    while (rest.length > 0) {
      if (this.#used === this.#block.length) this.#grow();
      const part = rest.subarray(0, this.#block.length - this.#used);
      this.#block.set(part, this.#used);
      this.#used += part.length;
      rest = rest.subarray(part.length);
    }
  }

  /** All of it; the collector is empty afterwards. */
  take(): Uint8Array {
    this.#seal();
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#done) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.#done = [];
    this.#length = 0;
    return whole;
  }

  #grow(): void {
    const length = Math.min(Math.max(this.#block.length * 2, FIRST_BLOCK_BYTES), BLOCK_BYTES_MAX);
    this.#seal();
    this.#block = new Uint8Array(length);
  }

  #seal(): void {
    if (this.#used > 0) this.#done.push(this.#block.subarray(0, this.#used));
    this.#block = new Uint8Array(0);
    this.#used = 0;
  }
}
