/** What a container writes, as the engine frames it: stream u8, three zeros, length u32be, bytes. Read on only when it was taken. */
import type { Readable } from 'node:stream';
import { STREAM, type Stream } from '../../../../wit/jobs/log-records.ts';

const HEAD_BYTES = 8;
/** Bytes handed on at a time. */
const PIECE_BYTES_MAX = 64 * 1024;

/** Hands on all of it, in order. Ends with the stream. @throws if it is not framed so */
export async function readOutput(
  stream: Readable,
  take: (stream: Stream, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let head = Buffer.alloc(0);
  let current: Stream = STREAM.stdout;
  let left = 0;
  for await (const chunk of stream) {
    // Sockets give Buffers unless told otherwise.
    let rest = chunk as Buffer;
    while (rest.length > 0) {
      if (left === 0) {
        const missing = HEAD_BYTES - head.length;
        head = Buffer.concat([head, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (head.length < HEAD_BYTES) break;
        current = streamOf(head[0]!);
        left = head.readUInt32BE(4);
        head = Buffer.alloc(0);
        continue;
      }
      const piece = rest.subarray(0, Math.min(left, PIECE_BYTES_MAX));
      // A copy: the socket's buffer is used again.
      await take(current, Uint8Array.from(piece));
      left -= piece.length;
      rest = rest.subarray(piece.length);
    }
  }
}

function streamOf(number: number): Stream {
  if (number === STREAM.stdout || number === STREAM.stderr) return number;
  throw new Error(`the container engine sent output of stream ${number}`);
}
