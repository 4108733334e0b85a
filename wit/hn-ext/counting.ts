/**
 * The count of reliable frames in both directions (compute-market.md §10.5): what the other side has not acknowledged is kept, and sent
 * again after a lost socket; what comes twice is dropped, and a gap ends the channel. Pure. Runs in guests.
 */
import { ACK_EVERY_FRAMES, UNACKED_BYTES_MAX, UNACKED_FRAMES_MAX } from './limits.ts';

interface Kept {
  readonly n: number;
  readonly bytes: Uint8Array;
}

export class Counting {
  #next = 1;
  /** Oldest first. */
  #kept: Kept[] = [];
  #keptBytes = 0;
  #last = 0;
  #acked = 0;

  /** The highest number of the other side's up to which all are here. */
  get lastSeq(): number {
    return this.#last;
  }

  /** Frames that the other side has not acknowledged. */
  get unacked(): number {
    return this.#kept.length;
  }

  /** Whether one more of so many bytes may be sent by whoever can wait. */
  room(bytes: number): boolean {
    return this.#kept.length < UNACKED_FRAMES_MAX && this.#keptBytes + bytes <= UNACKED_BYTES_MAX;
  }

  /** Numbers a frame and keeps it. `encode` gets its number and what is acknowledged with it. */
  send(encode: (n: number, a: number) => Uint8Array): Uint8Array {
    const bytes = encode(this.#next, this.acknowledge());
    this.#kept.push({ n: this.#next, bytes });
    this.#keptBytes += bytes.length;
    this.#next += 1;
    return bytes;
  }

  /** What a frame that goes out acknowledges. */
  acknowledge(): number {
    this.#acked = this.#last;
    return this.#last;
  }

  /** Whether so much has come without an acknowledgement that one is due by itself. */
  get ackDue(): boolean {
    return this.#last - this.#acked >= ACK_EVERY_FRAMES;
  }

  /** The other side has everything up to `a`. False: it cannot, nothing of that number was sent. */
  acked(a: number): boolean {
    if (a >= this.#next) return false;
    let count = 0;
    for (const kept of this.#kept) {
      if (kept.n > a) break;
      this.#keptBytes -= kept.bytes.length;
      count += 1;
    }
    if (count > 0) this.#kept = this.#kept.slice(count);
    return true;
  }

  /** What a frame of that number is. */
  receive(n: number): 'next' | 'again' | 'gap' {
    if (n <= this.#last) return 'again';
    if (n > this.#last + 1) return 'gap';
    this.#last = n;
    return 'next';
  }

  /** The frames that the other side does not have, in order. */
  unsent(): readonly Uint8Array[] {
    return this.#kept.map(({ bytes }) => bytes);
  }
}
