/**
 * Blobs whose memory is given back when nobody can ask for them any more, and not when the collector gets round to it: a fresh
 * MiB for each message costs 105 us of the machine, most of it the collector's and the kernel's for new pages; one that was freed
 * in time costs 39 (findings.md F15).
 *
 * A blob is held by the messages that carry it and wait, by the register it was delivered to, and by the request that would come
 * back with it. Who else takes one (a module, the net, another hart, an event print) keeps it, and then it is the collector's. A
 * holder that is forgotten here would find the blob empty: memory that was given back is detached, so nobody ever sees another
 * guest's bytes in it.
 */
import type { LazyLoadBlob } from '../wit/types.ts';

export class HeldBlob implements LazyLoadBlob {
  readonly mime: string | undefined;
  readonly bytes: Uint8Array;
  #holders = 0;
  #kept = false;

  /** `bytes` has its memory to itself, and nobody else refers to it. */
  constructor(mime: string | undefined, bytes: Uint8Array) {
    this.mime = mime;
    this.bytes = bytes;
  }

  hold(): void {
    this.#holders++;
  }

  /** Frees it if nobody else holds it. */
  letGo(): void {
    if (--this.#holders > 0 || this.#kept) return;
    const { buffer } = this.bytes;
    // `transfer` is of ArrayBuffers only; shared memory is never a guest's blob.
    if (buffer instanceof ArrayBuffer && buffer.byteLength === this.bytes.byteLength)
      buffer.transfer(0);
  }

  keep(): void {
    this.#kept = true;
  }
}

/** Counts a holder, which is to call `letGo`; one that ends without doing so leaves the blob to the collector. */
export function hold(blob: LazyLoadBlob | undefined): void {
  if (blob instanceof HeldBlob) blob.hold();
}

export function letGo(blob: LazyLoadBlob | undefined): void {
  if (blob instanceof HeldBlob) blob.letGo();
}

/** Somebody outside of processes has it now: it is never freed from here. */
export function keep(blob: LazyLoadBlob | undefined): void {
  if (blob instanceof HeldBlob) blob.keep();
}
