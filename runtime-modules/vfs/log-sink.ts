/** A job's log as it is read: the root of its records and the hash of its stdout (compute-market.md §7.1), in flat memory. */
import { createHash, type Hash } from 'node:crypto';
import { GrowingTree, logLeaf } from '../../contracts/merkle-tree.ts';
import { sha256 } from '../../contracts/merkle.ts';
import { decodeRecords, encodeRecords, STREAM } from '../../wit/jobs/log-records.ts';
import type { LogHash } from '../shared/file-hashes.ts';

/** Takes bytes in order, and ends with what they come to. */
export interface Sink {
  add(bytes: Uint8Array): void;
  end(): Uint8Array<ArrayBuffer>;
}

/** The bytes are no log. */
export class LogFault extends Error {
  override readonly name = 'LogFault';
}

const HASH_BYTES = 32;
const END_BYTES = 2 * HASH_BYTES + 8;

/** Throws `LogFault`. */
export class LogSink implements Sink {
  readonly #tree = new GrowingTree(sha256);
  readonly #stdout: Hash = createHash('sha256');
  /** The beginning of a record whose end has not come; shorter than one. */
  #rest: Uint8Array = new Uint8Array();

  add(bytes: Uint8Array): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const decoded = decodeRecords(all);
    if (decoded === undefined)
      throw new LogFault(`one of the records after the first ${this.#tree.count} is none`);
    for (const record of decoded.records) {
      if (record.seq !== this.#tree.count)
        throw new LogFault(`record ${record.seq} stands where ${this.#tree.count} should`);
      this.#tree.add(logLeaf(sha256, encodeRecords([record])));
      if (record.stream === STREAM.stdout) this.#stdout.update(record.bytes);
    }
    this.#rest = Uint8Array.from(all.subarray(decoded.rest));
  }

  end(): Uint8Array<ArrayBuffer> {
    if (this.#rest.length > 0) throw new LogFault(`the log ends within record ${this.#tree.count}`);
    const out = new Uint8Array(END_BYTES);
    out.set(this.#tree.root());
    out.set(this.#stdout.digest(), HASH_BYTES);
    new DataView(out.buffer).setBigUint64(2 * HASH_BYTES, BigInt(this.#tree.count));
    return out;
  }
}

/** What a `LogSink` ended with. */
export function readLogHash(bytes: Uint8Array): Omit<LogHash, 'bytes'> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    root: bytes.slice(0, HASH_BYTES),
    stdoutHash: bytes.slice(HASH_BYTES, 2 * HASH_BYTES),
    records: Number(view.getBigUint64(2 * HASH_BYTES)),
  };
}
