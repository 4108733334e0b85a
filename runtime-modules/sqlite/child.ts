/**
 * A child of the sqlite module: databases by number, one request after another, read from the standard input and answered on the
 * standard output with blocking calls. SQL cannot be interrupted from JavaScript (findings F17), so the way to stop a statement is to
 * kill this process; nothing but SQLite's files outlives it.
 */
import { readSync, writeSync } from 'node:fs';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { errorCode } from '../shared/io-error.ts';
import { Connection, SqlFailure } from './connection.ts';
import { parseParameters } from './parameters.ts';
import { FrameReader, FrameWriter, Kind, Status } from './protocol.ts';

const STDIN = 0;
const STDOUT = 1;
const READ_BYTES = 64 * 1024;
/** Frames between turns of the event loop, so that what the engine defers gets done. */
const FRAMES_PER_TURN = 256;

const connections = new Map<number, Connection>();

async function serve(): Promise<void> {
  const input = new Input();
  for (let served = 1; ; served += 1) {
    const frame = input.frame();
    if (frame === undefined) break;
    answer(new FrameReader(frame));
    if (served % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
  }
  for (const connection of connections.values()) connection.close();
  // Everything is closed; an orderly exit would wait for the leash.
  process.kill(process.pid, 'SIGKILL');
}

function answer(request: FrameReader): void {
  const { sequence } = request;
  try {
    const rows = perform(request);
    if (rows === undefined) reply(sequence, Status.ok, undefined);
    else reply(sequence, Status.rows, rows);
  } catch (error) {
    if (!(error instanceof SqlFailure)) throw error;
    reply(sequence, Status[error.kind], error.message);
  }
}

/** Rows for a read. @throws SqlFailure */
function perform(request: FrameReader): string | undefined {
  const number = request.u32();
  switch (request.kind) {
    case Kind.open: {
      const path = request.text();
      const settings = Array.from({ length: request.u32() }, () => request.text());
      connections.set(number, new Connection(path, settings));
      return undefined;
    }
    case Kind.close:
      connections.get(number)?.close();
      connections.delete(number);
      return undefined;
    case Kind.read:
      return opened(number).read(request.statement());
    case Kind.write:
      opened(number).write(request.statement());
      return undefined;
    case Kind.commit:
      opened(number).commit(request.u32(), () => request.statement());
      return undefined;
    case Kind.check:
      if (parseParameters(request.bytes()) === undefined) throw new SqlFailure('parameters');
      return undefined;
    case Kind.backup:
      opened(number).backup(request.text());
      return undefined;
    default:
      throw new Error(`frame of kind ${request.kind}`);
  }
}

function opened(number: number): Connection {
  const connection = connections.get(number);
  if (connection === undefined) throw new Error(`database ${number} is not open here`);
  return connection;
}

function reply(sequence: number, status: number, text: string | undefined): void {
  const writer = new FrameWriter();
  if (text !== undefined) writer.text(text);
  for (const part of writer.finish(sequence, status)) {
    for (let at = 0; at < part.length;) at += patiently(() => writeSync(STDOUT, part, at));
  }
}

/** Whether a pipe blocks is not for us to say: where it does not, it is tried again. */
function patiently(transfer: () => number): number {
  for (;;) {
    try {
      return transfer();
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error;
      Atomics.wait(NEVER, 0, 0, RETRY_MS);
    }
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));
const RETRY_MS = 1;

/** Frames off the standard input. */
class Input {
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  #start = 0;
  #end = 0;

  /** Blocks for the next frame; undefined at the end of the input. The bytes are good until the next call. */
  frame(): Buffer | undefined {
    const length = this.#take(4)?.readUInt32LE(0);
    return length === undefined ? undefined : this.#take(length);
  }

  #take(length: number): Buffer | undefined {
    if (length > READ_BYTES) return this.#takeLong(length);
    if (this.#end - this.#start < length && this.#start + length > READ_BYTES) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end - this.#start < length) {
      const read = patiently(() =>
        readSync(STDIN, this.#buffer, this.#end, READ_BYTES - this.#end, null),
      );
      if (read === 0) return undefined;
      this.#end += read;
    }
    const taken = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    return taken;
  }

  #takeLong(length: number): Buffer | undefined {
    const taken = Buffer.allocUnsafe(length);
    let have = this.#buffer.copy(taken, 0, this.#start, this.#end);
    this.#start = 0;
    this.#end = 0;
    while (have < length) {
      const read = patiently(() => readSync(STDIN, taken, have, length - have, null));
      if (read === 0) return undefined;
      have += read;
    }
    return taken;
  }
}

// Kills this process when the node is gone, even in the midst of a statement.
new Worker(new URL(`./leash${extname(import.meta.filename)}`, import.meta.url), {
  workerData: Number(process.argv[2]),
}).unref();
await serve();
