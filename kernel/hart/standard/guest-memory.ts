/**
 * One guest's linear memory and allocator, as the lean bindings use them (findings.md F9, F12). Pointers come from the guest and are
 * checked before use; every access may follow a guest call that grew memory, so views are renewed where they were detached.
 */
import { Trap } from '../../process-host.ts';
import { liftedBytesMax } from '../abi/context.ts';

/** Guest code called from JavaScript cannot suspend; this brackets it (findings.md F7). */
export interface NoSuspend {
  enter(): void;
  leave(): void;
}

export type Realloc = (old: number, oldBytes: number, align: number, newBytes: number) => number;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Copies up to this long go to V8's on-heap arrays, which are the cheapest (64 B: 50 ns; 65 B: 370 ns). */
const ON_HEAP_BYTES_MAX = 64;
/** Copies up to this long come from Node's shared slab; longer ones get memory of their own, unzeroed (1 MiB: 84 us, slice 107). */
export const SLAB_BYTES_MAX = 4_096;
/** Below this a byte loop beats `TypedArray.set`. */
const LOOP_BYTES_MAX = 48;

export class GuestMemory {
  bytes: Uint8Array = NOTHING;
  words: Uint32Array = new Uint32Array(0);
  /** Bytes copied in or out since the last `takeCopied`, for the fuel charge (findings.md F4). */
  copied = 0;
  readonly #memory: WebAssembly.Memory;
  readonly #realloc: Realloc | undefined;
  readonly #noSuspend: NoSuspend;

  constructor(memory: WebAssembly.Memory, realloc: Realloc | undefined, noSuspend: NoSuspend) {
    this.#memory = memory;
    this.#realloc = realloc;
    this.#noSuspend = noSuspend;
  }

  /** Renews the views if the guest's memory grew. Call on entry of every host function; `alloc` does it itself. */
  refresh(): void {
    // Growing detaches the old buffer, which leaves views of length zero; asking the memory for its buffer costs 15 ns, this 1.
    if (this.bytes.length !== 0) return;
    const { buffer } = this.#memory;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer, 0, buffer.byteLength >>> 2);
  }

  /** Checks a record the guest points to; returns the unsigned pointer. */
  record(pointer: number, byteLength: number, align: number): number {
    const at = pointer >>> 0;
    if ((at & (align - 1)) !== 0) throw new Trap(`pointer ${at} is not aligned to ${align} bytes`);
    if (at + byteLength > this.bytes.length)
      throw new Trap(`${byteLength} bytes at pointer ${at} are out of bounds of memory`);
    return at;
  }

  /** Checks a list of `length` elements; returns nothing. */
  list(pointer: number, length: number, elementBytes: number, align: number): void {
    this.record(pointer, length * elementBytes, align);
  }

  /** A copy of guest bytes; the caller owns it. */
  copyOut(pointer: number, length: number): Uint8Array {
    if (pointer + length > this.bytes.length)
      throw new Trap(`${length} bytes at pointer ${pointer} are out of bounds of memory`);
    this.spend(length);
    const end = pointer + length;
    if (length <= ON_HEAP_BYTES_MAX) return this.bytes.slice(pointer, end);
    const copy =
      length <= SLAB_BYTES_MAX ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
    copy.set(this.bytes.subarray(pointer, end));
    return copy;
  }

  /** @throws Trap when the bytes are not UTF-8. */
  text(pointer: number, length: number): string {
    if (pointer + length > this.bytes.length)
      throw new Trap(
        `a string of ${length} bytes at pointer ${pointer} is out of bounds of memory`,
      );
    if (length === 0) return '';
    this.spend(length);
    try {
      return decoder.decode(this.bytes.subarray(pointer, pointer + length));
    } catch (cause) {
      throw new Trap(`a string at pointer ${pointer} is not UTF-8`, { cause });
    }
  }

  /** Books what is about to be lifted to the host. @throws Trap when it is too much for one call */
  spend(bytes: number): void {
    this.copied += bytes;
    if (this.copied > liftedBytesMax)
      throw new Trap(`a call may pass at most ${liftedBytesMax} bytes of values`);
  }

  /** Guest code runs in here: between `begin` and `end` it may not suspend. */
  begin(): void {
    this.#noSuspend.enter();
  }

  end(): void {
    this.#noSuspend.leave();
  }

  /** Asks the guest for memory. Only between `begin` and `end`. */
  alloc(align: number, byteLength: number): number {
    if (this.#realloc === undefined) throw new Trap('the component has no realloc');
    const at = this.#realloc(0, 0, align, byteLength) >>> 0;
    if (this.bytes.length === 0) this.refresh();
    if ((at & (align - 1)) !== 0)
      throw new Trap(`realloc returned ${at}, not aligned to ${align} bytes`);
    if (at + byteLength > this.bytes.length)
      throw new Trap(`realloc returned ${at}, but ${byteLength} bytes there are out of bounds`);
    return at;
  }

  /** Puts bytes into fresh guest memory and the (pointer, length) pair at `slot`, which is aligned to 4. */
  putBytes(slot: number, bytes: Uint8Array): void {
    const { length } = bytes;
    const at = this.alloc(1, length);
    this.copied += length;
    if (length <= LOOP_BYTES_MAX) {
      const target = this.bytes;
      for (let i = 0; i < length; i++) target[at + i] = bytes[i]!;
    } else this.bytes.set(bytes, at);
    this.words[slot >>> 2] = at;
    this.words[(slot >>> 2) + 1] = length;
  }

  putText(slot: number, text: string): void {
    this.putBytes(slot, encoder.encode(text));
  }

  takeCopied(): number {
    const { copied } = this;
    this.copied = 0;
    return copied;
  }
}
