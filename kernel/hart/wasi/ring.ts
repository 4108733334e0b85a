/** The last bytes written to a stream, in fixed memory. */

const decoder = new TextDecoder();

export class OutputRing {
  readonly #capacity: number;
  // Most processes never write to stderr: no buffer until the first byte.
  #buffer: Uint8Array | undefined;
  #written = 0;

  constructor(capacityBytes: number) {
    this.#capacity = capacityBytes;
  }

  /** Keeps the last bytes of everything written so far. Never fails. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const buffer = (this.#buffer ??= new Uint8Array(this.#capacity));
    const kept = bytes.length > this.#capacity ? bytes.subarray(-this.#capacity) : bytes;
    const start = (this.#written + bytes.length - kept.length) % this.#capacity;
    const head = kept.subarray(0, this.#capacity - start);
    buffer.set(head, start);
    buffer.set(kept.subarray(head.length), 0);
    // Only the remainder and whether it is full matter: keeps the sum exact for ever.
    const written = this.#written + bytes.length;
    this.#written =
      written < this.#capacity ? written : this.#capacity + (written % this.#capacity);
  }

  /** As text; a character cut off at the start is left out, what is not UTF-8 is replaced. */
  text(): string {
    const buffer = this.#buffer;
    if (buffer === undefined) return '';
    if (this.#written < this.#capacity) return decoder.decode(buffer.subarray(0, this.#written));
    const start = this.#written % this.#capacity;
    const bytes = new Uint8Array(this.#capacity);
    bytes.set(buffer.subarray(start));
    bytes.set(buffer.subarray(0, start), this.#capacity - start);
    let first = 0;
    while (first < 3 && ((bytes[first] ?? 0) & 0xc0) === 0x80) first += 1;
    return decoder.decode(bytes.subarray(first));
  }
}
