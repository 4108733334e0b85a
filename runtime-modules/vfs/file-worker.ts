/**
 * Worker thread: reads files by descriptor and does to their bytes what would hold the kernel's thread. Jobs take turns, a slice
 * each, so that a huge file does not block a small one. Loaded by `off-thread.ts` only.
 */
import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { LogFault, LogSink, type Sink } from './log-sink.ts';

export interface Job {
  readonly id: number;
  /** 'hash': SHA-256 to the end. 'log': what `readLogHash` reads. 'text': UTF-8 to the end, as a whole ReadToString body. */
  readonly kind: 'hash' | 'log' | 'text';
  /** Open until the job is done; the descriptor belongs to the other thread. */
  readonly descriptor: number;
  readonly start: bigint;
}

/** `done` says that the descriptor is no longer used. */
export type JobResult =
  | { readonly id: number; readonly kind: 'done'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly kind: 'not-utf8' | 'cancelled' }
  | { readonly id: number; readonly kind: 'no-log'; readonly reason: string }
  | { readonly id: number; readonly kind: 'failed'; readonly code: string };

export interface Cancel {
  readonly cancel: number;
}

const SLICE_BYTES = 1024 * 1024;
const slice = Buffer.allocUnsafeSlow(SLICE_BYTES);
const cancelled = new Set<number>();
/** Jobs here by id, so that a late cancel leaves nothing behind. */
const running = new Set<number>();

parentPort?.on('message', (message: Job | Cancel) => {
  if ('cancel' in message) {
    if (running.has(message.cancel)) cancelled.add(message.cancel);
    return;
  }
  running.add(message.id);
  void report(message);
});

async function report(job: Job): Promise<void> {
  const result = await run(job);
  running.delete(job.id);
  cancelled.delete(job.id);
  parentPort?.postMessage(result, result.kind === 'done' ? [result.bytes.buffer] : []);
}

async function run(job: Job): Promise<JobResult> {
  const { id } = job;
  const sink = sinkOf(job.kind);
  try {
    for (let position = job.start; ;) {
      if (cancelled.has(id)) return { id, kind: 'cancelled' };
      const length = readSync(job.descriptor, slice, 0, SLICE_BYTES, position);
      if (length === 0) return { id, kind: 'done', bytes: sink.end() };
      sink.add(slice.subarray(0, length));
      position += BigInt(length);
      // Lets other jobs, and cancellations, have their turn.
      await new Promise(setImmediate);
    }
  } catch (error) {
    if (error instanceof LogFault) return { id, kind: 'no-log', reason: error.message };
    if (error instanceof TypeError) return { id, kind: 'not-utf8' };
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'EIO';
    return { id, kind: 'failed', code };
  }
}

function sinkOf(kind: Job['kind']): Sink {
  if (kind === 'log') return new LogSink();
  return kind === 'hash' ? new HashSink() : new TextSink();
}

class HashSink implements Sink {
  readonly #hash: Hash = createHash('sha256');

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  end(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#hash.digest());
  }
}

class TextSink implements Sink {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #parts: string[] = [];

  /** @throws TypeError when it is not UTF-8 */
  add(bytes: Uint8Array): void {
    this.#parts.push(JSON.stringify(this.#decoder.decode(bytes, { stream: true })).slice(1, -1));
  }

  end(): Uint8Array<ArrayBuffer> {
    this.#parts.push(JSON.stringify(this.#decoder.decode()).slice(1, -1));
    return new TextEncoder().encode(`{"ReadToString":"${this.#parts.join('')}"}`);
  }
}
