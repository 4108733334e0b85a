/** Runs every bench with hardly any work: the rows must be well-formed, what they measured means nothing. */
import { expect, test } from 'vitest';
import { benches } from './benches.ts';
import { median, percentile } from './measure.ts';
import { passes, ratioOf, SMOKE, type Row } from './row.ts';
import { jsonLine, tableLines } from './table.ts';

/** A first boot builds the bundled packages. */
const SLOW_MS = 180_000;

test('every bench has a name of its own', () => {
  const names = benches.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z]+\.[a-zA-Z0-9.-]+$/);
});

for (const bench of benches) {
  test(
    `${bench.name} measures`,
    async () => {
      const rows = await bench.run(SMOKE);
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) {
        expect(row.name).toMatch(/^[a-z]+\.[a-zA-Z0-9.-]+$/);
        expect(row.value).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(row.value)).toBe(true);
        if (row.floor !== undefined) expect(row.floor).toBeGreaterThanOrEqual(0);
        expect(row.runs).toBeGreaterThanOrEqual(1);
      }
      // `npm run bench -- <bench>` and a row's own name lead to the same bench.
      expect(rows.some((row) => row.name.startsWith(bench.name))).toBe(true);
    },
    SLOW_MS,
  );
}

const ROW: Row = {
  name: 'a.row',
  value: 3,
  unit: 'us',
  floor: 2,
  target: { of: 'ratio', max: 1.5 },
  runs: 5,
};

test('a row passes by its ratio or its value', () => {
  expect(ratioOf(ROW)).toBe(1.5);
  expect(passes(ROW)).toBe(true);
  expect(passes({ ...ROW, floor: 1.9 })).toBe(false);
  expect(passes({ ...ROW, floor: undefined })).toBe(false);
  expect(passes({ ...ROW, target: undefined })).toBeUndefined();
  expect(passes({ ...ROW, target: { of: 'value', max: 2.9 } })).toBe(false);
});

test('rows become aligned text and one object a line', () => {
  const [head, line] = tableLines([ROW]);
  expect(head).toMatch(/^name +value +unit/);
  expect(line).toMatch(/^a\.row +3\.00 +us +2\.00 +1\.50 +1\.5x floor .* 5 +ok$/);
  expect(JSON.parse(jsonLine(ROW))).toEqual({
    name: 'a.row',
    value: 3,
    unit: 'us',
    floor: 2,
    ratio: 1.5,
    runs: 5,
    target: { of: 'ratio', max: 1.5 },
    pass: true,
  });
});

test('medians and percentiles are values that were measured', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1])).toBe(1);
  expect(percentile([1, 2, 3, 4], 0.99)).toBe(4);
  expect(() => median([])).toThrow(RangeError);
});

test('F16 a round trip is set beside two guests through JSPI without a kernel, never beside a port', async () => {
  const bench = benches.find((one) => one.name.startsWith('kernel.roundtrip'));
  const rows = await bench!.run(SMOKE);
  const native = rows.find((row) => row.name === 'kernel.roundtrip.native');
  expect(native).toMatchObject({ unit: 'us', target: { of: 'ratio', max: 3 } });
  expect(native?.note).toContain('two WAT guests through JSPI, no kernel');
  expect(native?.floor).toBeGreaterThan(0);
}, 120_000);
