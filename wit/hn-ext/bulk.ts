/**
 * Bulk frames: the bytes of files between an extension and vfs, past the process that granted the transfer (findings F46). A binary
 * WebSocket message that begins with 0xc1, which begins no MessagePack value:
 *
 *   c1 01 transfer u32be offset u64be bytes…   data
 *   c1 02 transfer u32be offset u64be          credit: data may be sent up to there
 *   c1 03 transfer u32be reason utf8…          ended before its time, by either side
 *
 * A transfer has a direction and its data come in order; it is over when its size is reached. Inputs, which the extension asks for, have
 * numbers below 2^31, outputs, which the process asks for, those above: an end is of one transfer only.
 */

export const BULK_MARK = 0xc1;
/** The first number of an output. */
export const OUTPUT_TRANSFERS = 2 ** 31;
/** Bytes before the data. */
export const BULK_HEAD_BYTES = 14;
/** Bytes of data in one frame. */
export const BULK_CHUNK_BYTES = 256 * 1024;
/** Transfers of one channel in one direction at a time (compute-market.md §10.5). */
export const TRANSFERS_MAX = 4;
/** Bytes of one transfer that may be under way without credit, from its start. */
export const TRANSFER_WINDOW_BYTES = 4 * 1024 * 1024;
/** Bytes of all transfers in one direction that may be under way; those there are share them. */
export const TRANSFERS_WINDOW_BYTES = TRANSFERS_MAX * TRANSFER_WINDOW_BYTES;

/**
 * Up to where a transfer may be granted now; undefined while it is too little to be worth a frame.
 * @param written bytes that have been dealt with. @param among transfers that share the window
 */
export function creditFor(
  { written, granted, size }: { written: number; granted: number; size: number },
  among: number,
): number | undefined {
  const window = Math.floor(TRANSFERS_WINDOW_BYTES / Math.max(1, among));
  const upTo = Math.min(size, written + window);
  const more = upTo - granted;
  return more > 0 && (more >= window / 4 || upTo === size) ? upTo : undefined;
}
const REASON_BYTES_MAX = 1_024;
const DATA = 1;
const CREDIT = 2;
const END = 3;

export type BulkFrame =
  | {
      readonly kind: 'data';
      readonly transfer: number;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'credit'; readonly transfer: number; readonly upTo: number }
  | { readonly kind: 'end'; readonly transfer: number; readonly reason: string };

export function isBulk(message: Uint8Array): boolean {
  return message[0] === BULK_MARK;
}

/** Undefined for what is none; `bytes` is a view. */
export function decodeBulk(message: Uint8Array): BulkFrame | undefined {
  if (message.length < 6 || message[0] !== BULK_MARK) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const transfer = view.getUint32(2);
  const kind = message[1];
  if (kind === END) {
    if (message.length > 6 + REASON_BYTES_MAX) return undefined;
    return { kind: 'end', transfer, reason: new TextDecoder().decode(message.subarray(6)) };
  }
  if (message.length < BULK_HEAD_BYTES) return undefined;
  const offset = view.getBigUint64(6);
  if (offset > Number.MAX_SAFE_INTEGER) return undefined;
  if (kind === CREDIT) {
    return message.length === BULK_HEAD_BYTES
      ? { kind: 'credit', transfer, upTo: Number(offset) }
      : undefined;
  }
  if (kind !== DATA || message.length > BULK_HEAD_BYTES + BULK_CHUNK_BYTES) return undefined;
  const bytes = message.subarray(BULK_HEAD_BYTES);
  return { kind: 'data', transfer, offset: Number(offset), bytes };
}

/** Data frames without their heads and data, for so many bytes: what is read from disk lands where it is sent from. */
export function emptyFrames(bytes: number): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let left = bytes; left > 0; left -= BULK_CHUNK_BYTES)
    frames.push(new Uint8Array(BULK_HEAD_BYTES + Math.min(BULK_CHUNK_BYTES, left)));
  return frames;
}

/** Writes the head of a data frame into its first `BULK_HEAD_BYTES`: the data are read from disk to behind it, and copied no more. */
export function writeDataHead(message: Uint8Array, transfer: number, offset: number): void {
  writeHead(message, DATA, transfer, offset);
}

export function encodeCredit(transfer: number, upTo: number): Uint8Array {
  const message = new Uint8Array(BULK_HEAD_BYTES);
  writeHead(message, CREDIT, transfer, upTo);
  return message;
}

export function encodeEnd(transfer: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason).subarray(0, REASON_BYTES_MAX);
  const message = new Uint8Array(6 + text.length);
  message.set([BULK_MARK, END]);
  new DataView(message.buffer).setUint32(2, transfer);
  message.set(text, 6);
  return message;
}

function writeHead(message: Uint8Array, kind: number, transfer: number, offset: number): void {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  view.setUint8(0, BULK_MARK);
  view.setUint8(1, kind);
  view.setUint32(2, transfer);
  view.setBigUint64(6, BigInt(offset));
}
