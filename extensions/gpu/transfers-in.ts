/** Files that come from the node as bulk frames (findings F46): one after another into a file, verified, then under its name. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import {
  type BulkFrame,
  creditFor,
  encodeCredit,
  encodeEnd,
  OUTPUT_TRANSFERS,
  TRANSFER_WINDOW_BYTES,
  TRANSFERS_MAX,
} from '../../wit/hn-ext/bulk.ts';

/** A file could not be got; the code is that of the node, or ours. */
export class TransferFailed extends Error {
  override readonly name = 'TransferFailed';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Wanted {
  readonly sha256: string;
  readonly size: number;
  /** Where it is to be. */
  readonly path: string;
}

interface Coming {
  readonly wanted: Wanted;
  readonly file: FileHandle;
  readonly hash: Hash;
  /** Arrived, written, and said that may come. */
  offset: number;
  written: number;
  granted: number;
  writing: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class TransfersIn {
  readonly #coming = new Map<number, Coming>();
  readonly #send: (bulk: Uint8Array) => void;
  #last = 0;
  #queue: (() => void)[] = [];
  #running = 0;

  constructor(send: (bulk: Uint8Array) => void) {
    this.#send = send;
  }

  /** @param ask tells the node that the file is wanted as this transfer. @throws TransferFailed; I/O errors */
  async get(wanted: Wanted, ask: (transfer: number) => void, signal: AbortSignal): Promise<void> {
    await this.#slot(signal);
    const part = `${wanted.path}.part`;
    const transfer = (this.#last = (this.#last + 1) % OUTPUT_TRANSFERS);
    try {
      const file = await open(part, 'w', 0o600);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const coming: Coming = {
        wanted,
        file,
        hash: createHash('sha256'),
        offset: 0,
        written: 0,
        granted: TRANSFER_WINDOW_BYTES,
        writing: Promise.resolve(),
        resolve,
        reject,
      };
      const stop = (): void => {
        this.#send(encodeEnd(transfer, 'not wanted any more'));
        reject(new TransferFailed('CANCELLED', 'not wanted any more'));
      };
      this.#coming.set(transfer, coming);
      signal.addEventListener('abort', stop, { once: true });
      try {
        ask(transfer);
        if (wanted.size === 0) this.#whole(coming);
        await promise;
      } finally {
        signal.removeEventListener('abort', stop);
        this.#coming.delete(transfer);
        await coming.writing.catch(() => undefined);
        await file.close();
      }
      await rename(part, wanted.path);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }

  /** False: there is no such transfer. */
  received(frame: BulkFrame): boolean {
    const coming = this.#coming.get(frame.transfer);
    if (coming === undefined) return false;
    if (frame.kind === 'end') coming.reject(new TransferFailed('INPUT_UNAVAILABLE', frame.reason));
    else if (frame.kind === 'data') this.#data(frame.transfer, coming, frame.offset, frame.bytes);
    return true;
  }

  /** The node says that it will not come. */
  failed(transfer: number, code: string, message: string): void {
    this.#coming.get(transfer)?.reject(new TransferFailed(code, message));
  }

  /** The channel is gone: everything under way has to be asked for again. */
  lost(): void {
    for (const { reject } of this.#coming.values())
      reject(new TransferFailed('LOST', 'the channel ended'));
  }

  #data(transfer: number, coming: Coming, offset: number, bytes: Uint8Array): void {
    const { wanted, file, hash } = coming;
    if (offset !== coming.offset || offset + bytes.length > Math.min(wanted.size, coming.granted))
      return coming.reject(new TransferFailed('INTERNAL', 'the node sends what was not due'));
    coming.offset += bytes.length;
    hash.update(bytes);
    coming.writing = coming.writing.then(async () => {
      await file.write(bytes, 0, bytes.length, offset);
      coming.written += bytes.length;
      if (coming.written === wanted.size) return this.#whole(coming);
      const { written, granted } = coming;
      const upTo = creditFor({ written, granted, size: wanted.size }, this.#coming.size);
      if (upTo === undefined) return;
      coming.granted = upTo;
      this.#send(encodeCredit(transfer, upTo));
    });
    coming.writing.catch((error: Error) => coming.reject(error));
  }

  #whole({ wanted, hash, resolve, reject }: Coming): void {
    if (hash.digest('hex') === wanted.sha256) resolve();
    else reject(new TransferFailed('INPUT_HASH_MISMATCH', `it is not ${wanted.sha256}`));
  }

  async #slot(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running >= TRANSFERS_MAX)
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running += 1;
    if (!signal.aborted) return;
    this.#running -= 1;
    this.#queue.shift()?.();
    signal.throwIfAborted();
  }
}
