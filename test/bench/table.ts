/** Rows as text for people, and as JSON lines for programs. */
import { passes, ratioOf, type Row, type Target } from './row.ts';

const COLUMNS = [
  'name',
  'value',
  'unit',
  'floor',
  'ratio',
  'target',
  'p50',
  'p99',
  'runs',
  '',
] as const;
/** Columns of text; the others are figures and stand to the right. */
const LEFT = new Set(['name', 'unit', '']);

/** The rows as a table with a head, one string a line. */
export function tableLines(rows: readonly Row[]): string[] {
  const cells = [[...COLUMNS], ...rows.map(cellsOf)];
  const widths = COLUMNS.map((_, at) => Math.max(...cells.map((line) => line[at]!.length)));
  return cells.map((line) =>
    line
      .map((cell, at) =>
        LEFT.has(COLUMNS[at]!) ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!),
      )
      .join('  ')
      .trimEnd(),
  );
}

function cellsOf(row: Row): string[] {
  const passed = passes(row);
  return [
    row.name,
    figure(row.value),
    row.unit,
    figure(row.floor),
    figure(ratioOf(row)),
    targetText(row.target, row.unit),
    figure(row.p50),
    figure(row.p99),
    String(row.runs),
    [passed === undefined ? '' : passed ? 'ok' : 'MISS', row.note ?? ''].join('  ').trim(),
  ];
}

function targetText(target: Target | undefined, unit: string): string {
  if (target === undefined) return '-';
  return target.of === 'ratio'
    ? `${Number(target.max.toFixed(2))}x floor`
    : `${target.max} ${unit}`;
}

/** Three digits that mean something, more for large values. */
function figure(value: number | undefined): string {
  if (value === undefined) return '-';
  if (!Number.isFinite(value)) return String(value);
  const digits =
    Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(digits);
}

/** One row as one line of JSON. */
export function jsonLine(row: Row): string {
  const { name, value, unit, runs } = row;
  return JSON.stringify({
    name,
    value,
    unit,
    floor: row.floor ?? null,
    ratio: ratioOf(row) ?? null,
    runs,
    target: row.target ?? null,
    pass: passes(row) ?? null,
    ...(row.p50 === undefined ? {} : { p50: row.p50 }),
    ...(row.p99 === undefined ? {} : { p99: row.p99 }),
  });
}
