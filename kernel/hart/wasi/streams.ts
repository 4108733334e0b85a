/** `wasi:io/error` and `wasi:io/streams`: an input that is at its end, an output that takes everything and stores nothing. */
import { Trap } from '../../process-host.ts';
import { blockingWriteBytesMax, writePermitBytes } from './limits.ts';
import { err, ok } from './interface.ts';
import type { WasiInterface, WasiResult } from './interface.ts';
import { Pollable } from './poll.ts';

/** The resource `error`. */
export class IoError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

type StreamError =
  | { readonly tag: 'closed' }
  | { readonly tag: 'last-operation-failed'; readonly val: IoError };
type StreamResult<T> = WasiResult<T, StreamError>;

const closed = err({ tag: 'closed' } as const);

/** The resource `input-stream`: stdin, which has ended. */
export class InputStream {
  /** No byte ever comes. */
  read(): StreamResult<never> {
    return closed;
  }
}

/** The resource `output-stream`. Bytes go to the sink in the same turn, so it never fills. */
export class OutputStream {
  readonly #sink: (bytes: Uint8Array) => void;
  #permitted = 0;

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink;
  }

  checkWrite(): StreamResult<bigint> {
    this.#permitted = writePermitBytes;
    return ok(BigInt(writePermitBytes));
  }

  /** @throws Trap for more than the last `check-write` permits, as the interface says */
  write(bytes: Uint8Array): StreamResult<undefined> {
    this.#spend(BigInt(bytes.length));
    this.#sink(bytes);
    return ok();
  }

  writeZeroes(length: bigint): StreamResult<undefined> {
    this.#spend(length);
    this.#sink(new Uint8Array(Number(length)));
    return ok();
  }

  /** Without a permit, but at most 4,096 bytes. */
  blockingWrite(bytes: Uint8Array): StreamResult<undefined> {
    checkBlocking(BigInt(bytes.length));
    this.#sink(bytes);
    return ok();
  }

  blockingWriteZeroes(length: bigint): StreamResult<undefined> {
    checkBlocking(length);
    this.#sink(new Uint8Array(Number(length)));
    return ok();
  }

  #spend(length: bigint): void {
    if (length > BigInt(this.#permitted))
      throw new Trap(`wrote ${length} bytes to a stream that permitted ${this.#permitted}`);
    this.#permitted -= Number(length);
  }
}

function checkBlocking(length: bigint): void {
  if (length > BigInt(blockingWriteBytesMax))
    throw new Trap(
      `wrote ${length} bytes at once to a stream; a blocking write takes at most ${blockingWriteBytesMax}`,
    );
}

export const errorInterface: WasiInterface = {
  resources: { error: IoError },
  functions: { '[method]error.to-debug-string': (error: IoError) => error.message },
};

const readEnd = (stream: InputStream) => stream.read();
const splice = (_output: OutputStream, input: InputStream) => input.read();
const subscribe = () => new Pollable();

export const streamsInterface: WasiInterface = {
  resources: { 'input-stream': InputStream, 'output-stream': OutputStream },
  functions: {
    '[method]input-stream.read': readEnd,
    '[method]input-stream.blocking-read': readEnd,
    '[method]input-stream.skip': readEnd,
    '[method]input-stream.blocking-skip': readEnd,
    '[method]input-stream.subscribe': subscribe,
    '[method]output-stream.check-write': (stream: OutputStream) => stream.checkWrite(),
    '[method]output-stream.write': (stream: OutputStream, bytes: Uint8Array) => stream.write(bytes),
    '[method]output-stream.blocking-write-and-flush': (stream: OutputStream, bytes: Uint8Array) =>
      stream.blockingWrite(bytes),
    '[method]output-stream.flush': () => ok(),
    '[method]output-stream.blocking-flush': () => ok(),
    '[method]output-stream.subscribe': subscribe,
    '[method]output-stream.write-zeroes': (stream: OutputStream, length: bigint) =>
      stream.writeZeroes(length),
    '[method]output-stream.blocking-write-zeroes-and-flush': (
      stream: OutputStream,
      length: bigint,
    ) => stream.blockingWriteZeroes(length),
    '[method]output-stream.splice': splice,
    '[method]output-stream.blocking-splice': splice,
  },
};
