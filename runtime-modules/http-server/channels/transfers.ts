/**
 * Files between an extension and vfs, past the process that granted them (findings F46; frames in wit/hn-ext/bulk.ts). A process says once
 * what may come or go: channel, transfer, path, and for what comes size and hash. The bytes then pass here, no faster than disk and socket
 * take them, and the process hears of the end. What nobody granted is told to stop.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  BULK_CHUNK_BYTES,
  BULK_HEAD_BYTES,
  creditFor,
  type BulkFrame,
  decodeBulk,
  encodeCredit,
  emptyFrames,
  encodeEnd,
  TRANSFER_WINDOW_BYTES,
  TRANSFERS_MAX,
  writeDataHead,
} from '../../../wit/hn-ext/bulk.ts';
import type { HttpServerError } from '../../../wit/http-server-api.ts';
import { ioErrorText } from '../../shared/io-error.ts';
import type { FileSink, FileSource } from '../../shared/file-streams.ts';

/** The socket, as transfers use it. */
export interface BulkSocket {
  /** Resolves when the host has taken it; with false when the socket has ended. */
  sendBulk(bytes: Uint8Array): Promise<boolean>;
}

/** What comes. */
export interface Expected {
  readonly transfer: number;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly open: () => Promise<FileSink>;
}

/** What goes. */
export interface Offered {
  readonly transfer: number;
  readonly bytes: number;
  readonly open: () => Promise<FileSource>;
}

type Outcome = HttpServerError | undefined;

interface Coming {
  readonly expected: Expected;
  readonly hash: Hash;
  sink: FileSink | undefined;
  /** Bytes that have come, that are in the file, and up to which may come. */
  offset: number;
  written: number;
  granted: number;
  /** What has come and waits for the write before it. */
  pieces: Uint8Array[];
  /** One write after another; begins with the file being opened. */
  writing: Promise<void>;
  readonly done: (why: string | undefined) => void;
}

interface Going {
  granted: number;
  /** Wakes who waits for credit. */
  wake: () => void;
  ended: string | undefined;
}

/** Frames that are on their way to the host at a time. */
const AHEAD = 4;

export class Transfers {
  readonly #socket: BulkSocket;
  readonly #coming = new Map<number, Coming>();
  readonly #going = new Map<number, Going>();

  constructor(socket: BulkSocket) {
    this.#socket = socket;
  }

  /** Resolves when the file is whole, verified and in its place; nothing of it stays otherwise. */
  receive(expected: Expected): Promise<Outcome> {
    const { transfer } = expected;
    if (this.#coming.size >= TRANSFERS_MAX || this.#coming.has(transfer))
      return Promise.resolve(failed('too many transfers at a time'));
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const coming: Coming = {
      expected,
      hash: createHash('sha256'),
      sink: undefined,
      offset: 0,
      written: 0,
      granted: TRANSFER_WINDOW_BYTES,
      pieces: [],
      writing: expected.open().then((sink) => {
        coming.sink = sink;
        if (expected.bytes === 0) coming.done(undefined);
      }),
      done: resolve,
    };
    coming.writing.catch((error: unknown) => coming.done(textOf(error)));
    this.#coming.set(transfer, coming);
    return this.#finish(coming, promise);
  }

  /** Resolves when all of the file has been sent. */
  async send({ transfer, bytes, open }: Offered): Promise<Outcome> {
    if (this.#going.size >= TRANSFERS_MAX || this.#going.has(transfer))
      return failed('too many transfers at a time');
    const going: Going = {
      granted: TRANSFER_WINDOW_BYTES,
      wake: () => undefined,
      ended: undefined,
    };
    this.#going.set(transfer, going);
    let source: FileSource | undefined;
    try {
      source = await open();
      if (source.size !== bytes) return failed(`the file has ${source.size} bytes, not ${bytes}`);
      return await this.#pump(transfer, going, source);
    } catch (error) {
      const why = textOf(error);
      void this.#socket.sendBulk(encodeEnd(transfer, 'the file cannot be read'));
      return failed(why);
    } finally {
      this.#going.delete(transfer);
      await source?.close();
    }
  }

  /** A bulk frame of the extension. */
  received(message: Uint8Array): void {
    const frame = decodeBulk(message);
    if (frame === undefined) return;
    const coming = this.#coming.get(frame.transfer);
    const going = this.#going.get(frame.transfer);
    if (frame.kind === 'data') {
      if (coming !== undefined) this.#data(frame, coming);
      else void this.#socket.sendBulk(encodeEnd(frame.transfer, 'nobody granted this'));
    } else if (frame.kind === 'credit') {
      if (going === undefined || frame.upTo <= going.granted) return;
      going.granted = frame.upTo;
      going.wake();
    } else {
      coming?.done(`the extension ended it: ${frame.reason}`);
      if (going === undefined) return;
      going.ended = frame.reason;
      going.wake();
    }
  }

  /** The channel has ended. */
  close(): void {
    for (const { done } of this.#coming.values()) done('the channel ended');
    for (const going of this.#going.values()) {
      going.ended = 'the channel ended';
      going.wake();
    }
  }

  #data({ offset, bytes }: Extract<BulkFrame, { kind: 'data' }>, coming: Coming): void {
    const { expected } = coming;
    const end = offset + bytes.length;
    if (offset !== coming.offset || end > Math.min(coming.granted, expected.bytes))
      return coming.done('the extension sent what was not due');
    coming.offset = end;
    coming.pieces.push(bytes);
    // What comes while a write is under way goes with the next one.
    if (coming.pieces.length === 1) {
      coming.writing = coming.writing.then(() => this.#write(coming));
      coming.writing.catch((error: unknown) => coming.done(textOf(error)));
    }
    return undefined;
  }

  async #write(coming: Coming): Promise<void> {
    const { expected, hash } = coming;
    const pieces = coming.pieces;
    coming.pieces = [];
    const writing = coming.sink!.write(pieces);
    // Meanwhile; and here and not on arrival, so that a burst does not hold the thread.
    for (const piece of pieces) hash.update(piece);
    await writing;
    coming.written += pieces.reduce((sum, { length }) => sum + length, 0);
    if (coming.written === expected.bytes) return coming.done(undefined);
    const { written, granted } = coming;
    const upTo = creditFor({ written, granted, size: expected.bytes }, this.#coming.size);
    if (upTo === undefined) return undefined;
    coming.granted = upTo;
    void this.#socket.sendBulk(encodeCredit(expected.transfer, upTo));
    return undefined;
  }

  async #finish(coming: Coming, over: Promise<string | undefined>): Promise<Outcome> {
    const { transfer, sha256 } = coming.expected;
    let why = await over;
    // Nothing that comes from now on is for it.
    this.#coming.delete(transfer);
    try {
      await coming.writing.catch(() => undefined);
      if (why === undefined && coming.hash.digest('hex') !== sha256)
        why = 'what came has another hash';
      if (why === undefined) await coming.sink?.commit();
    } catch (error) {
      why = textOf(error);
    } finally {
      await coming.sink?.abandon();
    }
    if (why === undefined) return undefined;
    void this.#socket.sendBulk(encodeEnd(transfer, 'it cannot be taken'));
    return failed(why);
  }

  async #pump(transfer: number, going: Going, source: FileSource): Promise<Outcome> {
    const ahead: Promise<boolean>[] = [];
    for (let offset = 0; offset < source.size;) {
      if (going.ended !== undefined) return failed(`the extension ended it: ${going.ended}`);
      const room = Math.min(AHEAD * BULK_CHUNK_BYTES, source.size - offset, going.granted - offset);
      if (room <= 0) {
        await new Promise<void>((resolve) => (going.wake = resolve));
        continue;
      }
      const frames = emptyFrames(room);
      const got = await source.read(
        offset,
        frames.map((frame) => frame.subarray(BULK_HEAD_BYTES)),
      );
      if (got < room) throw new Error('the file has become shorter');
      for (const frame of frames) {
        writeDataHead(frame, transfer, offset);
        offset += frame.length - BULK_HEAD_BYTES;
        ahead.push(this.#socket.sendBulk(frame));
      }
      while (ahead.length > AHEAD) if (!(await ahead.shift()!)) return failed('the channel ended');
    }
    for (const sent of ahead) if (!(await sent)) return failed('the channel ended');
    return undefined;
  }
}

function failed(value: string): HttpServerError {
  return { kind: 'TransferFailed', value };
}

function textOf(error: unknown): string {
  return ioErrorText(error) ?? (error instanceof Error ? error.message : String(error));
}
