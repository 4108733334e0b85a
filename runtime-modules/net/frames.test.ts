/** Messages into chunks and back in every style, and what a receiver does not take (networking.md §4). */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Assembler, Cutter, type Framing } from './frames.ts';
import {
  CHUNK_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  MUX_MESSAGE_BYTES_MAX,
  MUX_OPEN_MAX,
} from './limits.ts';

const word = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
};
const STYLES: readonly Framing[] = ['clear', 'sealed', 'mux'];

test.each([
  ['clear', [65_519, 65_519, 65_519, 3_443]],
  ['sealed', [65_519, 65_519, 65_519, 3_447]],
  ['mux', [65_519, 65_519, 65_519, 3_463]],
] as const)('N12 200 kB in style %s is %j bytes, and whole again', (framing, sizes) => {
  const message = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index & 0xff));
  const cutter = new Cutter([message.subarray(0, 70_000), message.subarray(70_000)], framing);
  const assembler = new Assembler(framing);
  const found: number[] = [];
  let whole: Uint8Array | undefined;
  while (!cutter.done) {
    const { plain, bytes, clearLength } = cutter.next();
    if (clearLength !== undefined) expect(assembler.length(clearLength)).toBeUndefined();
    expect(Buffer.concat(plain).length).toBe(bytes);
    found.push(bytes);
    const added = assembler.chunk(Buffer.concat(plain));
    if (!added.ok) throw new Error(added.error);
    whole = added.value ?? whole;
  }
  expect(found).toEqual(sizes);
  expect(whole).toEqual(message);
  expect(Math.max(...found)).toBe(CHUNK_BYTES_MAX);
});

test('N15 lengths that cannot be are refused before anything is kept', () => {
  const clear = (length: number): string | undefined => new Assembler('clear').length(length);
  expect(clear(0)).toBe('empty message');
  expect(clear(MESSAGE_BYTES_MAX)).toBeUndefined();
  expect(clear(MESSAGE_BYTES_MAX + 1)).toBe('message too long');
  const sealed = (length: number): unknown => new Assembler('sealed').chunk(word(length));
  expect(sealed(0)).toEqual({ ok: false, error: 'empty message' });
  expect(sealed(MESSAGE_BYTES_MAX)).toEqual({ ok: true, value: undefined });
  expect(sealed(MESSAGE_BYTES_MAX + 1)).toEqual({ ok: false, error: 'message too long' });
  expect(new Assembler('sealed').chunk(Buffer.of(0, 0, 0))).toMatchObject({
    error: 'chunk too short',
  });
  const mux = (length: number): unknown => new Assembler('mux').chunk(word(0, length));
  expect(mux(MUX_MESSAGE_BYTES_MAX)).toEqual({ ok: true, value: undefined });
  expect(mux(MUX_MESSAGE_BYTES_MAX + 1)).toEqual({ ok: false, error: 'message too long' });
});

test('what runs past its message, comes without a length, or out of turn', () => {
  const clear = new Assembler('clear');
  expect(clear.chunk(Buffer.of(1))).toMatchObject({ error: 'message number out of turn' });
  clear.length(3);
  expect(clear.chunk(Buffer.of(1, 2, 3, 4))).toMatchObject({ error: 'chunk past its message' });
  // The reference lets its decoder ignore what is over here.
  const sealed = new Assembler('sealed').chunk(Buffer.concat([word(1), Buffer.of(7, 8)]));
  expect(sealed).toEqual({ ok: true, value: Buffer.of(7, 8) });
  const mux = new Assembler('mux');
  expect(mux.chunk(word(0))).toMatchObject({ error: 'chunk too short' });
  expect(mux.chunk(word(1, 9))).toMatchObject({ error: 'message number out of turn' });
  expect(mux.chunk(Buffer.concat([word(0, 1), Buffer.of(5)]))).toEqual({
    ok: true,
    value: Buffer.of(5),
  });
  expect(mux.chunk(Buffer.concat([word(0, 1), Buffer.of(5)]))).toMatchObject({ ok: false });
});

test('F23 messages interleave, so many and so long at a time', () => {
  const mux = new Assembler('mux');
  for (let number = 0; number < MUX_OPEN_MAX; number++)
    expect(mux.chunk(word(number, 1_000))).toEqual({ ok: true, value: undefined });
  expect(mux.open).toBe(MUX_OPEN_MAX);
  expect(mux.chunk(word(MUX_OPEN_MAX, 1_000))).toMatchObject({ error: 'too many messages open' });
  const long = new Assembler('mux');
  long.chunk(word(0, MUX_MESSAGE_BYTES_MAX));
  expect(long.chunk(word(1, MUX_MESSAGE_BYTES_MAX))).toMatchObject({
    error: 'too many messages open',
  });
  // Begun in the order of their numbers, then taken in turn.
  const cutters = [0, 1, 2].map(
    (number) => new Cutter([Buffer.alloc(150_000, number)], 'mux', number),
  );
  const joined = new Assembler('mux');
  const done: (number | undefined)[] = [];
  while (cutters.some((cutter) => !cutter.done)) {
    for (const cutter of cutters) {
      const added = cutter.done ? undefined : joined.chunk(Buffer.concat(cutter.next().plain));
      if (added?.ok === true && added.value !== undefined) done.push(added.value[149_999]);
    }
  }
  expect(done).toEqual([0, 1, 2]);
});

test('whatever chunks come, nothing throws, and no more is kept than came', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  fc.assert(
    fc.property(
      fc.constantFrom(...STYLES),
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc
            .tuple(fc.nat(3), fc.nat(40), fc.uint8Array({ maxLength: 40 }))
            .map(([number, length, data]) => Buffer.concat([word(number, length), data])),
        ),
        { maxLength: 20 },
      ),
      (framing, chunks) => {
        const assembler = new Assembler(framing);
        let came = 0;
        for (const chunk of chunks) {
          if (framing === 'clear' && assembler.open === 0) assembler.length(chunk.length * 2);
          came += chunk.length;
          const added = assembler.chunk(chunk);
          if (!added.ok) return;
          expect(added.value?.length ?? 0).toBeLessThanOrEqual(came);
        }
      },
    ),
    { seed, numRuns: 2_000 },
  );
});
