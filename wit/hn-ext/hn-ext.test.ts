/** `hn-ext/1` byte for byte: frames, the handshake's proofs, counting, bulk frames (compute-market.md §10.2-§10.5; findings F40, F46). */
import { createHmac } from 'node:crypto';
import { decode, encode } from '@msgpack/msgpack';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BULK_CHUNK_BYTES,
  creditFor,
  decodeBulk,
  emptyFrames,
  encodeCredit,
  encodeEnd,
  isBulk,
  TRANSFERS_WINDOW_BYTES,
  writeDataHead,
} from './bulk.ts';
import { Counting } from './counting.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import { isProof, proofOf, socketName, tokenIn, type Transcript } from './handshake.ts';
import { EXT_FRAME_BYTES_MAX, UNACKED_FRAMES_MAX } from './limits.ts';
import { FRAMES, type FrameType } from './schema.ts';

const leased = { jobId: `0x${'ab'.repeat(32)}`, lease: 'cd'.repeat(16) };

test('a frame is the vector, and an independent decoder reads it', () => {
  const bytes = encodeFrame('ping', { x: 7 }, { a: 3 });
  expect(bytes.toHex()).toBe('84a17601a174a470696e67a16103a17807');
  expect(decode(bytes)).toEqual({ v: 1, t: 'ping', a: 3, x: 7 });
  const chunk = encodeFrame(
    'log.chunk',
    { ...leased, seq: 0, records: Uint8Array.of(1, 2) },
    { n: 1, a: 0 },
  );
  expect(decode(chunk)).toEqual({
    v: 1,
    t: 'log.chunk',
    n: 1,
    a: 0,
    ...leased,
    seq: 0,
    records: Uint8Array.of(1, 2),
  });
});

test('every type reads back as it was written, with and without what may be missing', () => {
  const sample = {
    text: 'täxt',
    texts: ['a', ''],
    u32: 2 ** 32 - 1,
    count: 2 ** 53 - 1,
    bool: true,
    bytes: Uint8Array.of(0, 255),
    b16: new Uint8Array(16).fill(1),
    b32: new Uint8Array(32).fill(2),
  };
  for (const [t, { fields, reliable }] of Object.entries(FRAMES))
    for (const all of [true, false]) {
      const body = Object.fromEntries(
        Object.entries<string>(fields)
          .filter(([, field]) => all || !field.endsWith('?'))
          .map(([name, field]) => [name, sample[field.replace('?', '') as keyof typeof sample]]),
      );
      const n = reliable ? 5 : undefined;
      const bytes = encodeFrame(t as FrameType, body as never, { n, a: 2 });
      expect(decodeFrame(bytes)).toEqual({ ok: true, value: { t, body, n, a: 2 } });
    }
});

test('what is no frame is refused by name, and never throws', () => {
  const codeOf = (bytes: Uint8Array): string => {
    const read = decodeFrame(bytes);
    return read.ok ? 'ok' : read.error.code;
  };
  const frame = (value: unknown): Uint8Array => encode(value);
  expect(codeOf(frame({ v: 1, t: 'ping', x: 1 }))).toBe('ok');
  expect(codeOf(frame({ v: 1, t: 'ping', x: 1, later: { any: ['thing'] } }))).toBe('ok');
  for (const [value, code] of [
    [{ v: 2, t: 'ping', x: 1 }, 'malformed'],
    [{ t: 'ping', x: 1 }, 'malformed'],
    [{ v: 1, t: 'nothing' }, 'unknown_type'],
    [{ v: 1, t: 'constructor' }, 'unknown_type'],
    [{ v: 1, t: 'ping' }, 'malformed'],
    [{ v: 1, t: 'ping', x: -1 }, 'malformed'],
    [{ v: 1, t: 'ping', x: 2 ** 32 }, 'malformed'],
    [{ v: 1, t: 'ping', x: 'x' }, 'malformed'],
    [{ v: 1, t: 'drain', on: true }, 'malformed'],
    [{ v: 1, t: 'drain', on: true, n: 0 }, 'malformed'],
    [{ v: 1, t: 'proof', mac: new Uint8Array(31) }, 'malformed'],
    [['v', 1], 'malformed'],
    [null, 'malformed'],
  ] as const)
    expect([value, codeOf(frame(value))]).toEqual([value, code]);
  expect(codeOf(new Uint8Array(EXT_FRAME_BYTES_MAX + 1))).toBe('too_long');
  expect(codeOf(new Uint8Array([...encodeFrame('ping', { x: 1 }), 0]))).toBe('malformed');
  // The same key twice means nothing.
  expect(codeOf(Uint8Array.fromHex('84a17601a174a470696e67a17807a17808'))).toBe('malformed');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeFrame(bytes)),
    { numRuns: 500 },
  );
});

test('a frame that is too long, or lacks something, is not written', () => {
  const records = new Uint8Array(EXT_FRAME_BYTES_MAX);
  expect(() => encodeFrame('log.chunk', { ...leased, seq: 0, records })).toThrow(RangeError);
  expect(() => encodeFrame('ping', {} as never)).toThrow('ping.x is missing');
  expect(() => encodeFrame('proof', { mac: new Uint8Array(3) })).toThrow('proof.mac is no b32');
});

const TOKEN = new Uint8Array(32).fill(0x42);
const transcript: Transcript = {
  nonceP: new Uint8Array(32).fill(0x24),
  nonceE: new Uint8Array(32).fill(0x25),
  session: Uint8Array.fromHex('00112233445566778899aabbccddeeff'),
  socket: '127.0.0.1:40000',
};

test('F40 proofs are HMACs over a label, both nonces, the session and the socket', () => {
  for (const [side, label] of [
    ['process', 'hn-ext-p/v1\0'],
    ['extension', 'hn-ext-e/v1\0'],
  ] as const) {
    const mac = createHmac('sha256', TOKEN)
      .update(label, 'latin1')
      .update(transcript.nonceP)
      .update(transcript.nonceE)
      .update(transcript.session)
      .update(Uint8Array.of(0, 15))
      .update('127.0.0.1:40000')
      .digest();
    expect(Buffer.from(proofOf(side, TOKEN, transcript)).equals(mac)).toBe(true);
    expect(isProof(mac, side, TOKEN, transcript)).toBe(true);
  }
  expect(proofOf('process', TOKEN, transcript).toHex()).toBe(PROCESS_VECTOR);
  expect(proofOf('extension', TOKEN, transcript).toHex()).toBe(EXTENSION_VECTOR);
});
const PROCESS_VECTOR = '522fdb275b27e4ed598a0c2d380b392ead3e782cc8aeed9102107544bb286c32';
const EXTENSION_VECTOR = 'd55519d6b44003760bd13ecc18bfecc4746f3a73362560afa761f088f2c048f5';

test('F40 a proof serves for nothing else: not the other direction, another nonce, session, socket or token', () => {
  const proof = proofOf('process', TOKEN, transcript);
  expect(isProof(proof, 'extension', TOKEN, transcript)).toBe(false);
  const other = new Uint8Array(32).fill(9);
  for (const changed of [
    { nonceP: other },
    { nonceE: other },
    { nonceP: transcript.nonceE, nonceE: transcript.nonceP },
    { session: new Uint8Array(16) },
    { socket: '127.0.0.2:40000' },
  ])
    expect(isProof(proof, 'process', TOKEN, { ...transcript, ...changed })).toBe(false);
  expect(isProof(proof, 'process', other, transcript)).toBe(false);
  expect(isProof(proof.subarray(1), 'process', TOKEN, transcript)).toBe(false);
  expect(() => proofOf('process', TOKEN.subarray(1), transcript)).toThrow(RangeError);
  expect(socketName('::ffff:127.0.0.1', 8)).toBe('127.0.0.1:8');
  expect(socketName('::1', 8)).toBe('[::1]:8');
  expect(tokenIn(`${'42'.repeat(32)}\n`)).toEqual(TOKEN);
  for (const text of ['', '42', 'zz'.repeat(32), '42'.repeat(33)])
    expect(tokenIn(text)).toBeUndefined();
});

test('reliable frames are kept until acknowledged, bounded, and come once and in order', () => {
  const one = new Counting();
  const frames = [1, 2, 3].map((x) => one.send((n, a) => Uint8Array.of(n, a, x)));
  expect(frames).toEqual([Uint8Array.of(1, 0, 1), Uint8Array.of(2, 0, 2), Uint8Array.of(3, 0, 3)]);
  expect(one.acked(2)).toBe(true);
  expect(one.unsent()).toEqual([frames[2]]);
  // Nothing of that number was sent: the other side lies.
  expect(one.acked(4)).toBe(false);
  const other = new Counting();
  expect([1, 2, 2, 1, 3, 5].map((n) => other.receive(n))).toEqual([
    'next',
    'next',
    'again',
    'again',
    'next',
    'gap',
  ]);
  expect(other.lastSeq).toBe(3);
  for (let at = other.lastSeq + 1; at <= 8; at += 1) other.receive(at);
  expect(other.ackDue).toBe(true);
  expect(other.acknowledge()).toBe(8);
  expect(other.ackDue).toBe(false);
  const full = new Counting();
  for (let at = 0; at < UNACKED_FRAMES_MAX; at += 1) full.send(() => new Uint8Array(1));
  expect(full.room(1)).toBe(false);
  full.acked(1);
  expect(full.room(1)).toBe(true);
  expect(full.room(17 * 1024 * 1024)).toBe(false);
});

test('F46 bulk frames begin no MessagePack value, and read back', () => {
  const [frame = new Uint8Array()] = emptyFrames(3);
  frame.set([7, 8, 9], 14);
  writeDataHead(frame, 5, 2 ** 40);
  expect(frame.toHex()).toBe('c101000000050000010000000000070809');
  expect(isBulk(frame)).toBe(true);
  expect(decodeBulk(frame)).toEqual({
    kind: 'data',
    transfer: 5,
    offset: 2 ** 40,
    bytes: Uint8Array.of(7, 8, 9),
  });
  expect(decodeBulk(encodeCredit(5, 77))).toEqual({ kind: 'credit', transfer: 5, upTo: 77 });
  expect(decodeBulk(encodeEnd(5, 'why'))).toEqual({ kind: 'end', transfer: 5, reason: 'why' });
  expect(emptyFrames(2 * BULK_CHUNK_BYTES + 1).map(({ length }) => length)).toEqual([
    BULK_CHUNK_BYTES + 14,
    BULK_CHUNK_BYTES + 14,
    15,
  ]);
  for (const bad of [
    '',
    'c1',
    'c10100000005',
    'c1040000000500000000000000000000',
    `c101${'00'.repeat(4)}ffffffffffffffff`,
    'c20100000005000000000000000000',
  ])
    expect(decodeBulk(Uint8Array.fromHex(bad))).toBeUndefined();
  expect(
    decodeBulk(
      new Uint8Array([0xc1, 1, ...new Uint8Array(12), ...new Uint8Array(BULK_CHUNK_BYTES + 1)]),
    ),
  ).toBeUndefined();
});

test('F46 transfers share one window, and are not told of every byte', () => {
  const size = 2 ** 40;
  expect(creditFor({ written: 0, granted: 0, size }, 1)).toBe(TRANSFERS_WINDOW_BYTES);
  expect(creditFor({ written: 0, granted: 0, size }, 4)).toBe(TRANSFERS_WINDOW_BYTES / 4);
  expect(creditFor({ written: 1, granted: TRANSFERS_WINDOW_BYTES, size }, 1)).toBeUndefined();
  expect(creditFor({ written: 5, granted: 10, size: 11 }, 1)).toBe(11);
  expect(creditFor({ written: 5, granted: 11, size: 11 }, 1)).toBeUndefined();
});
