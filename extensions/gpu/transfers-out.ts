/** Files that go to the node as bulk frames, no faster than it takes them (findings F46). */
import { type FileHandle, open } from 'node:fs/promises';
import {
  BULK_CHUNK_BYTES,
  BULK_HEAD_BYTES,
  type BulkFrame,
  emptyFrames,
  encodeEnd,
  TRANSFER_WINDOW_BYTES,
  TRANSFERS_MAX,
  writeDataHead,
} from '../../wit/hn-ext/bulk.ts';

interface Going {
  readonly file: FileHandle;
  readonly size: number;
  offset: number;
  granted: number;
  pumping: boolean;
  ended: boolean;
}

export interface OutNeeds {
  /** False while there is no channel. */
  readonly send: (bulk: Uint8Array) => boolean;
  readonly bufferedBytes: () => number;
  /** Tells the node why a file does not come. */
  readonly failed: (transfer: number, code: string, message: string) => void;
}

/** Frames that are read from disk at once. */
const AHEAD = 4;
/** Bytes that wait in the socket before more is read from disk, and how soon that is looked at again. */
const BUFFERED_BYTES_MAX = 8 * 1024 * 1024;
const LOOK_AGAIN_MS = 2;

export class TransfersOut {
  readonly #going = new Map<number, Going>();
  readonly #needs: OutNeeds;

  constructor(needs: OutNeeds) {
    this.#needs = needs;
  }

  /** Begins to send a file. Its first window needs no credit. */
  async start(transfer: number, path: string): Promise<void> {
    if (this.#going.size >= TRANSFERS_MAX || this.#going.has(transfer))
      return this.#needs.failed(transfer, 'busy', 'too many transfers at a time');
    const file = await open(path, 'r').catch(() => undefined);
    if (file === undefined) return this.#needs.failed(transfer, 'gone', 'there is no such output');
    const { size } = await file.stat();
    const going: Going = {
      file,
      size,
      offset: 0,
      granted: TRANSFER_WINDOW_BYTES,
      pumping: false,
      ended: false,
    };
    this.#going.set(transfer, going);
    await this.#pump(transfer, going);
  }

  /** False: there is no such transfer. */
  received(frame: BulkFrame): boolean {
    const going = this.#going.get(frame.transfer);
    if (going === undefined) return false;
    if (frame.kind === 'end') this.stop(frame.transfer);
    else if (frame.kind === 'credit' && frame.upTo > going.granted) {
      going.granted = frame.upTo;
      void this.#pump(frame.transfer, going);
    }
    return true;
  }

  stop(transfer: number): void {
    const going = this.#going.get(transfer);
    if (going === undefined) return;
    this.#going.delete(transfer);
    going.ended = true;
    if (!going.pumping) void going.file.close();
  }

  /** The channel is gone: the node asks again. */
  lost(): void {
    for (const transfer of this.#going.keys()) this.stop(transfer);
  }

  async #pump(transfer: number, going: Going): Promise<void> {
    if (going.pumping || going.ended) return;
    going.pumping = true;
    try {
      while (!going.ended && going.offset < Math.min(going.size, going.granted)) {
        while (!going.ended && this.#needs.bufferedBytes() > BUFFERED_BYTES_MAX)
          await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
        const room = Math.min(
          AHEAD * BULK_CHUNK_BYTES,
          going.size - going.offset,
          going.granted - going.offset,
        );
        // Of their own for each trip: the socket keeps them until they are written.
        const frames = emptyFrames(room);
        const data = frames.map((frame) => frame.subarray(BULK_HEAD_BYTES));
        const { bytesRead } = await going.file.readv(data, going.offset);
        if (going.ended) return;
        if (bytesRead < room) throw new Error('the output has become shorter');
        for (const frame of frames) {
          writeDataHead(frame, transfer, going.offset);
          if (!this.#needs.send(frame)) return;
          going.offset += frame.length - BULK_HEAD_BYTES;
        }
      }
    } catch (error) {
      going.ended = true;
      this.#needs.send(encodeEnd(transfer, error instanceof Error ? error.message : 'I/O error'));
    } finally {
      going.pumping = false;
      if (going.ended || going.offset >= going.size) {
        this.#going.delete(transfer);
        await going.file.close();
      }
    }
  }
}
