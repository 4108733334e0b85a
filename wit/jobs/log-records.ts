/**
 * Log records of a job, one behind another: sequence u32be, stream u8, milliseconds since the start u64be, length u32be, bytes. On the
 * extension's socket, between processes, in files, and in the leaves that a receipt commits to (compute-market.md §7.1). Runs in guests.
 */

/** `stream` of a record. `system` is the runner itself: the first record is its start, the last its exit. */
export const STREAM = { stdout: 1, stderr: 2, system: 3 } as const;
export type Stream = (typeof STREAM)[keyof typeof STREAM];

export interface LogRecord {
  /** From 0, without gaps. */
  readonly seq: number;
  readonly stream: Stream;
  /** Milliseconds since the start of the run. */
  readonly atMs: number;
  readonly bytes: Uint8Array;
}

/** Bytes of one record's content. */
export const RECORD_BYTES_MAX = 64 * 1024;
/** Bytes before the content. */
export const RECORD_HEAD_BYTES = 17;

/** Appends nothing: the bytes of these records, as one array. */
export function encodeRecords(records: readonly LogRecord[]): Uint8Array {
  const size = records.reduce((sum, { bytes }) => sum + RECORD_HEAD_BYTES + bytes.length, 0);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = 0;
  for (const { seq, stream, atMs, bytes } of records) {
    view.setUint32(at, seq);
    view.setUint8(at + 4, stream);
    view.setBigUint64(at + 5, BigInt(atMs));
    view.setUint32(at + 13, bytes.length);
    out.set(bytes, at + RECORD_HEAD_BYTES);
    at += RECORD_HEAD_BYTES + bytes.length;
  }
  return out;
}

/**
 * The records that stand whole in these bytes, as views, and where the rest begins; undefined where the bytes are no records: a stream
 * that there is none of, a record that is too long, a time beyond 2^53.
 */
export function decodeRecords(
  bytes: Uint8Array,
): { readonly records: readonly LogRecord[]; readonly rest: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: LogRecord[] = [];
  let at = 0;
  while (at + RECORD_HEAD_BYTES <= bytes.length) {
    const stream = view.getUint8(at + 4);
    const atMs = view.getBigUint64(at + 5);
    const length = view.getUint32(at + 13);
    if (!isStream(stream) || length > RECORD_BYTES_MAX || atMs > Number.MAX_SAFE_INTEGER) {
      return undefined;
    }
    const start = at + RECORD_HEAD_BYTES;
    if (start + length > bytes.length) break;
    const content = bytes.subarray(start, start + length);
    records.push({ seq: view.getUint32(at), stream, atMs: Number(atMs), bytes: content });
    at = start + length;
  }
  return { records, rest: at };
}

function isStream(value: number): value is Stream {
  return value === STREAM.stdout || value === STREAM.stderr || value === STREAM.system;
}
