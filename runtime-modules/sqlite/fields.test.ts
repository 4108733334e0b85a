/** What crosses the pipe: every value comes out as it went in, in whatever pieces of memory it was written. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Statement } from './fields.ts';
import type { SqlValue } from './parameters.ts';
import { FrameCutter, FrameReader, FrameWriter, Kind } from './protocol.ts';
import { StatementLog } from './statement-log.ts';

const longText = fc.integer({ min: 60_000, max: 70_000 }).map((length) => 'é'.repeat(length / 2));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1).map((n) => new Uint8Array(n).fill(7)),
);
const text = fc.oneof({ arbitrary: fc.string({ unit: 'binary' }), weight: 9 }, longText);
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true }),
  text,
  bytes,
);
const statement: fc.Arbitrary<Statement> = fc.record({
  sql: fc.oneof(fc.constant('INSERT INTO t VALUES(?)'), fc.constant(''), text),
  parameters: fc.oneof(fc.constant(undefined), fc.array(value, { maxLength: 5 }), bytes),
});

/** The frame as a child gets it: cut out of a stream that comes in pieces of any size. */
function sent(frame: FrameWriter, pieceBytes: number): FrameReader {
  const stream = Buffer.concat(frame.finish(0xffff_fffe, Kind.commit));
  const cutter = new FrameCutter();
  const frames: Buffer[] = [];
  for (let at = 0; at < stream.length; at += pieceBytes)
    frames.push(...cutter.push(stream.subarray(at, at + pieceBytes)));
  expect(frames).toHaveLength(1);
  return new FrameReader(frames[0]!);
}

/** Buffers and arrays of bytes are the same here. */
function plain({ sql, parameters }: Statement): unknown {
  const one = (each: SqlValue): unknown => (each instanceof Uint8Array ? [...each] : each);
  if (parameters === undefined) return [sql];
  return [sql, parameters instanceof Uint8Array ? [...parameters] : [parameters.map(one)]];
}

test('F17 statements come out of a frame as they went in', () => {
  fc.assert(
    fc.property(
      fc.array(statement, { maxLength: 12 }),
      fc.integer({ min: 1_000, max: 100_000 }),
      (statements, pieceBytes) => {
        const frame = new FrameWriter().u32(7).u32(statements.length);
        for (const each of statements) frame.statement(each);
        const reader = sent(frame, pieceBytes);
        expect([reader.sequence, reader.kind]).toEqual([0xffff_fffe, Kind.commit]);
        expect([reader.u32(), reader.u32()]).toEqual([7, statements.length]);
        for (const each of statements) expect(plain(reader.statement())).toEqual(plain(each));
      },
    ),
    { numRuns: 60 },
  );
});

test('F17 M102 a log gives its statements in order, as often as it is asked, without those refused after all', () => {
  const entries = fc.array(fc.record({ statement, checked: fc.boolean(), refused: fc.boolean() }), {
    maxLength: 15,
  });
  fc.assert(
    fc.property(entries, (all) => {
      const log = new StatementLog();
      expect(log.isEmpty).toBe(true);
      const kept: Statement[] = [];
      const refusals: (() => void)[] = [];
      for (const { statement: each, checked, refused } of all) {
        if (checked) log.add(each);
        else {
          const refuse = log.addUnchecked(each);
          if (refused) refusals.push(refuse);
        }
        if (checked || !refused) kept.push(each);
      }
      for (const refuse of refusals) refuse();
      // Twice: a child may end before it was answered, and then another gets the same.
      for (let time = 0; time < 2; time += 1) {
        const frame = new FrameWriter().u32(1);
        log.writeTo(frame);
        const reader = sent(frame, 65_536);
        expect(reader.u32()).toBe(1);
        expect(reader.u32()).toBe(kept.length);
        for (const each of kept) expect(plain(reader.statement())).toEqual(plain(each));
      }
    }),
    { numRuns: 60 },
  );
});
