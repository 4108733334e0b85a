/** Blobs in pieces (findings F24) between two processes on in-memory hosts, over a line that a test may hold up or lose from. */
import { expect, test } from 'vitest';
import { defineProcess, Refusal, type Process } from './index.ts';
import {
  CREDITS_MAX,
  LARGE_BYTES_MAX,
  LARGE_MESSAGE_BYTES_MAX,
  type LargeBlob,
  LargeReceiver,
  PIECE_BYTES_MAX,
  PIECE_TIMEOUT_S,
  type ReceiveLargeOptions,
  sendLarge,
  TRANSFER_IDLE_MS_MAX,
  TRANSFERS_PER_NODE_MAX,
} from './large.ts';
import type { Sent } from './testing/memory-host.ts';
import { TestProcess } from './testing/test-process.ts';

type Running = TestProcess<never, unknown>;

const RECEIVER = 'bob.os@store:store:sys';

/** A sender here, a receiver there, and the line between. */
class Line {
  readonly blobs: LargeBlob[] = [];
  /** Every piece that was sent, by its index. */
  readonly pieces: number[] = [];
  /** The most that were under way at once. */
  deepest = 0;
  longest = 0;
  /** What happens to an answer; default it arrives. */
  lose: (piece: number) => boolean = () => false;
  use: (blob: LargeBlob) => void = (blob) => void this.blobs.push(blob);
  receiver!: LargeReceiver;
  #sender!: Running;
  #process!: Process<unknown>;
  #there!: Running;
  readonly #under = new Map<number, Sent>();
  #forwarded = 0;

  static async open(options: ReceiveLargeOptions = {}): Promise<Line> {
    const line = new Line();
    const sender = defineProcess({ setup: (process) => void (line.#process = process) });
    const receiver = defineProcess({
      setup: () => void (line.receiver = new LargeReceiver(options)),
      onMessage: async (context) => {
        if (await line.receiver.receive(context, (blob) => line.use(blob))) return undefined;
        return 'something else';
      },
    });
    line.#sender = (await TestProcess.start(sender)) as never;
    line.#there = (await TestProcess.start(receiver, { our: RECEIVER })) as never;
    return line;
  }

  send(bytes: Uint8Array, about?: string, signal?: AbortSignal): Promise<void> {
    const options = { ...(about && { about }), ...(signal && { signal }) };
    const sending = sendLarge(this.#process, RECEIVER, bytes, options);
    sending.catch(() => undefined);
    return sending;
  }

  /** One message as from another process of that node. */
  say(body: string, blob?: Uint8Array, node = 'alice.os'): Promise<string | undefined> {
    const source = { ...this.#process.our, node };
    return this.#there.ask(body, { source, blob: blob && { mime: undefined, bytes: blob } });
  }

  /** Carries what was sent there, and the answers back, until nothing moves. */
  async carry(rounds = Infinity): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.#sender.run();
      const sent = this.#sender.host.sent.slice(this.#forwarded);
      this.#forwarded += sent.length;
      for (const each of sent) this.#arrive(each);
      this.deepest = Math.max(this.deepest, this.#under.size);
      await this.#there.run();
      if (!this.#answer() && sent.length === 0) return;
    }
  }

  async advance(seconds: number): Promise<void> {
    this.#sender.host.advance(seconds);
    await this.carry();
  }

  #arrive(each: Sent): void {
    const { body } = each.request;
    const index = /"index":(\d+)/.exec(new TextDecoder().decode(body))?.[1];
    if (index !== undefined) this.pieces.push(Number(index));
    this.longest = Math.max(this.longest, body.length + (each.blob?.bytes.length ?? 0));
    const id = this.#there.host.arrive({
      source: this.#process.our,
      body,
      blob: each.blob,
      expectsResponse: PIECE_TIMEOUT_S,
    });
    this.#under.set(id, each);
  }

  #answer(): boolean {
    let moved = false;
    for (const { id, response } of this.#there.host.responses) {
      const sent = this.#under.get(id);
      if (sent === undefined) continue;
      this.#under.delete(id);
      moved = true;
      const index = /"index":(\d+)/.exec(new TextDecoder().decode(sent.request.body))?.[1];
      if (index !== undefined && this.lose(Number(index))) continue;
      this.#sender.host.answer(sent, response.body, undefined, response.metadata);
    }
    return moved;
  }
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 9)) & 255);
}

test('F24 a large blob arrives whole, in messages of 256 KiB at most, no more at once than agreed', async () => {
  const line = await Line.open();
  const bytes = bytesOf(20 * PIECE_BYTES_MAX + 7);
  const sending = line.send(bytes, 'a film');
  await line.carry();
  await sending;
  expect(line.blobs.map(({ about, source }) => [about, source.node])).toEqual([
    ['a film', 'alice.os'],
  ]);
  expect(Buffer.compare(line.blobs[0]!.bytes, bytes)).toBe(0);
  expect(line.longest).toBeLessThanOrEqual(LARGE_MESSAGE_BYTES_MAX);
  expect(line.deepest).toBe(CREDITS_MAX);
  expect(line.receiver.open).toBe(0);
});

test('F24 lengths at the edges, and none over 64 MiB', async () => {
  for (const length of [0, 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1]) {
    const line = await Line.open();
    const sending = line.send(bytesOf(length));
    await line.carry();
    await sending;
    expect(line.blobs[0]?.bytes).toEqual(bytesOf(length));
  }
  const line = await Line.open({ bytesMax: 10 });
  const over = line.send(bytesOf(11));
  await line.carry();
  await expect(over).rejects.toMatchObject({ kind: 'TooLarge' });
  await expect(line.send(new Uint8Array(LARGE_BYTES_MAX + 1))).rejects.toBeInstanceOf(RangeError);
});

test('F24 answers that are lost: pieces are sent again, the blob is there once', async () => {
  const line = await Line.open();
  const lost = new Set([1, 5]);
  line.lose = (index) => lost.delete(index);
  const bytes = bytesOf(5 * PIECE_BYTES_MAX + 1);
  const sending = line.send(bytes);
  await line.carry();
  expect(line.pieces).toEqual([0, 1, 2, 3, 4]);
  await line.advance(PIECE_TIMEOUT_S);
  expect(line.blobs).toHaveLength(1);
  await line.advance(PIECE_TIMEOUT_S);
  await sending;
  expect(line.pieces).toEqual([0, 1, 2, 3, 4, 1, 5, 5]);
  expect(line.blobs).toHaveLength(1);
  expect(Buffer.compare(line.blobs[0]!.bytes, bytes)).toBe(0);
});

test('a receiver that answers nothing ends it, and so does the signal', async () => {
  const line = await Line.open();
  line.lose = () => true;
  const silent = line.send(bytesOf(3 * PIECE_BYTES_MAX));
  await line.carry();
  for (let tries = 0; tries < 3; tries++) await line.advance(PIECE_TIMEOUT_S);
  await expect(silent).rejects.toMatchObject({ kind: 'timeout' });
  const stop = new AbortController();
  const stopped = line.send(bytesOf(9 * PIECE_BYTES_MAX), '', stop.signal);
  await line.carry(2);
  stop.abort(new Error('enough'));
  await line.carry();
  await expect(stopped).rejects.toThrow('enough');
});

test('what the receiver refuses is what the sender gets', async () => {
  const refuse = (kind: string) => (): never => {
    throw new Refusal(kind, 'no');
  };
  const picky = await Line.open({ accept: refuse('Stranger') });
  const refused = picky.send(bytesOf(9));
  await picky.carry();
  await expect(refused).rejects.toMatchObject({ kind: 'Stranger' });
  expect(picky.pieces).toEqual([]);
  const full = await Line.open();
  full.use = refuse('DiskFull');
  const failed = full.send(bytesOf(9));
  await full.carry();
  await expect(failed).rejects.toMatchObject({ kind: 'DiskFull' });
});

test('a sender that lies about length, order or credits gets nothing kept', async () => {
  const line = await Line.open();
  const start = (id: string, bytes: number): Promise<string | undefined> =>
    line.say(`{"LargeBegin":{"id":"${id}","bytes":${bytes},"about":""}}`);
  const piece = (index: number, bytes: number, node?: string): Promise<string | undefined> =>
    line.say(`{"LargePiece":{"id":"a","index":${index}}}`, new Uint8Array(bytes), node);
  await expect(piece(0, 1)).rejects.toMatchObject({ kind: 'UnknownTransfer' });
  expect(await start('a', 9 * PIECE_BYTES_MAX)).toBe(`{"Credits":${CREDITS_MAX}}`);
  await expect(piece(0, 1, 'mallory.os')).rejects.toMatchObject({ kind: 'UnknownTransfer' });
  await expect(piece(0, 1)).rejects.toMatchObject({ kind: 'BadPiece' });
  await expect(piece(9, PIECE_BYTES_MAX)).rejects.toMatchObject({ kind: 'BadPiece' });
  await expect(piece(4, PIECE_BYTES_MAX)).rejects.toMatchObject({ kind: 'NoCredit' });
  expect(await piece(3, PIECE_BYTES_MAX)).toBe('"Kept"');
  await expect(start('b', LARGE_BYTES_MAX + 1)).rejects.toMatchObject({ kind: 'TooLarge' });
  expect(await line.say('{"LargeBegin":{"id":"../x","bytes":1,"about":""}}')).toBe(
    'something else',
  );
  expect(line.blobs).toEqual([]);
});

test('one node has a few places and no more; what is silent loses its own', async () => {
  let nowMs = 0;
  const line = await Line.open({ nowMs: () => nowMs });
  const start = (id: string, node: string): Promise<string | undefined> =>
    line.say(`{"LargeBegin":{"id":"${id}","bytes":9,"about":""}}`, undefined, node);
  for (let index = 0; index < TRANSFERS_PER_NODE_MAX; index++)
    await start(`a${index}`, 'mallory.os');
  await expect(start('b', 'mallory.os')).rejects.toMatchObject({ kind: 'Busy' });
  expect(await start('b', 'carol.os')).toContain('Credits');
  nowMs = TRANSFER_IDLE_MS_MAX + 1;
  expect(await start('c', 'mallory.os')).toContain('Credits');
  expect(line.receiver.open).toBe(1);
});
