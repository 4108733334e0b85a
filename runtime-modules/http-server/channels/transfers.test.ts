/** Files past a process (findings F46): granted, verified, no faster than they are taken, and whatever an extension may send instead. */
import { createHash } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import {
  BULK_CHUNK_BYTES,
  decodeBulk,
  emptyFrames,
  encodeCredit,
  encodeEnd,
  TRANSFER_WINDOW_BYTES,
  TRANSFERS_MAX,
  TRANSFERS_WINDOW_BYTES,
  writeDataHead,
} from '../../../wit/hn-ext/bulk.ts';
import type { FileSink, FileSource } from '../../shared/file-streams.ts';
import { Transfers } from './transfers.ts';

let sent: Uint8Array[];
let transfers: Transfers;
beforeEach(() => {
  sent = [];
  transfers = new Transfers({
    sendBulk: async (bytes) => {
      sent.push(bytes);
      return true;
    },
  });
});

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const kinds = (): unknown[] => sent.map((bytes) => decodeBulk(bytes)?.kind);

/** A file in memory. `slow`: writes wait until they are let go. */
class TestFile {
  readonly pieces: Uint8Array[] = [];
  committed = false;
  abandoned = false;
  waiting: (() => void)[] = [];
  slow = false;

  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }

  readonly open = async (): Promise<FileSink> => ({
    write: async (pieces) => {
      if (this.slow) await new Promise<void>((resolve) => this.waiting.push(resolve));
      this.pieces.push(...pieces.map((piece) => piece.slice()));
    },
    commit: async () => void (this.committed = true),
    abandon: async () => void (this.abandoned = true),
  });
}

/** Sends bytes from there on, in as many frames as they need. */
function data(transfer: number, offset: number, bytes: Uint8Array): void {
  let at = 0;
  for (const frame of emptyFrames(bytes.length)) {
    const part = bytes.subarray(at, at + BULK_CHUNK_BYTES);
    frame.set(part, frame.length - part.length);
    writeDataHead(frame, transfer, offset + at);
    at += part.length;
    transfers.received(frame);
  }
}

const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('F46 a file that was granted arrives whole and is kept; the process hears that it is there', async () => {
  const content = Buffer.alloc(3 * BULK_CHUNK_BYTES + 5, 'x');
  const file = new TestFile();
  const over = transfers.receive({
    transfer: 7,
    bytes: content.length,
    sha256: hashOf(content),
    open: file.open,
  });
  data(7, 0, content);
  expect(await over).toBeUndefined();
  expect(file.bytes.equals(content)).toBe(true);
  expect(file.committed).toBe(true);
  const none = new TestFile();
  expect(
    await transfers.receive({
      transfer: 8,
      bytes: 0,
      sha256: hashOf(new Uint8Array()),
      open: none.open,
    }),
  ).toBeUndefined();
  expect(none.committed).toBe(true);
});

test('F46 what has another hash, comes out of order, is too much or was ended is not kept', async () => {
  const sha256 = hashOf(Buffer.from('right'));
  for (const [why, send] of [
    ['another hash', () => data(1, 0, Buffer.from('wrong'))],
    ['not due', () => data(1, 3, Buffer.from('ht'))],
    ['not due', () => data(1, 0, Buffer.from('right and more'))],
    ['ended it: no disk', () => transfers.received(encodeEnd(1, 'no disk'))],
    ['the channel ended', () => transfers.close()],
  ] as const) {
    const file = new TestFile();
    const over = transfers.receive({ transfer: 1, bytes: 5, sha256, open: file.open });
    send();
    expect(await over).toEqual({ kind: 'TransferFailed', value: expect.stringContaining(why) });
    expect([file.committed, file.abandoned]).toEqual([false, true]);
  }
  const broken = await transfers.receive({
    transfer: 1,
    bytes: 5,
    sha256,
    open: () => Promise.reject(new Error('no such folder')),
  });
  expect(broken).toEqual({ kind: 'TransferFailed', value: 'no such folder' });
});

test('F46 T18 what nobody granted is told to stop, and reaches no disk', async () => {
  data(99, 0, Buffer.from('unasked'));
  transfers.received(Uint8Array.of(0xc1, 9, 9));
  transfers.received(encodeCredit(99, 5));
  expect(kinds()).toEqual(['end']);
});

test('CM18 T21 a slow disk holds the extension back: never more than the window is under way', async () => {
  const file = new TestFile();
  file.slow = true;
  const size = 3 * TRANSFERS_WINDOW_BYTES;
  const content = Buffer.alloc(BULK_CHUNK_BYTES, 'y');
  const whole = createHash('sha256');
  for (let at = 0; at < size; at += content.length) whole.update(content);
  const over = transfers.receive({
    transfer: 1,
    bytes: size,
    sha256: whole.digest('hex'),
    open: file.open,
  });
  await turns();
  let granted = TRANSFER_WINDOW_BYTES;
  let offset = 0;
  const send = (): void => {
    for (; offset < Math.min(size, granted); offset += content.length) data(1, offset, content);
  };
  send();
  await turns();
  expect(offset).toBe(TRANSFER_WINDOW_BYTES);
  expect(sent).toEqual([]);
  while (offset < size) {
    expect(offset - file.bytes.length).toBeLessThanOrEqual(TRANSFERS_WINDOW_BYTES);
    for (const go of file.waiting.splice(0)) go();
    await turns();
    for (const bytes of sent.splice(0)) {
      const frame = decodeBulk(bytes);
      if (frame?.kind === 'credit') granted = frame.upTo;
    }
    send();
    await turns();
  }
  file.slow = false;
  for (const go of file.waiting.splice(0)) go();
  expect(await over).toBeUndefined();
});

test('F46 a file goes out as credit allows, and no further without it', async () => {
  const size = TRANSFER_WINDOW_BYTES + 10;
  const source: FileSource = {
    size,
    read: async (offset, into) => {
      for (const piece of into) piece.fill(offset % 251);
      return into.reduce((sum, { length }) => sum + length, 0);
    },
    close: async () => undefined,
  };
  const over = transfers.send({ transfer: 2, bytes: size, open: async () => source });
  await turns();
  const bytes = (): number => sent.reduce((sum, { length }) => sum + length - 14, 0);
  expect(bytes()).toBe(TRANSFER_WINDOW_BYTES);
  transfers.received(encodeCredit(2, size));
  expect(await over).toBeUndefined();
  expect(bytes()).toBe(size);
  // One that changed since it was granted is not sent for what it was.
  expect(await transfers.send({ transfer: 3, bytes: 5, open: async () => source })).toMatchObject({
    kind: 'TransferFailed',
  });
  const stopped = transfers.send({ transfer: 4, bytes: size, open: async () => source });
  await turns();
  transfers.received(encodeEnd(4, 'not wanted'));
  expect(await stopped).toEqual({
    kind: 'TransferFailed',
    value: 'the extension ended it: not wanted',
  });
});

test('F46 so many files at a time, and no number twice', async () => {
  const open = new TestFile().open;
  const grant = (transfer: number): Promise<unknown> =>
    transfers.receive({ transfer, bytes: 1, sha256: '', open });
  const going = Array.from({ length: TRANSFERS_MAX }, (_, at) => grant(at));
  expect(await grant(50)).toMatchObject({
    kind: 'TransferFailed',
    value: 'too many transfers at a time',
  });
  transfers.close();
  await Promise.all(going);
  const one = grant(1);
  expect(await grant(1)).toMatchObject({ kind: 'TransferFailed' });
  transfers.close();
  await one;
});
