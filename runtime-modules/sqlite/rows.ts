/** Rows as JSON text (runtime-modules.md §4): keys in bytewise order, 64-bit integers exact, REALs with a fraction, blobs in base64. */
import type { SqlValue } from './parameters.ts';

/** Writes the rows of one statement. */
export class RowWriter {
  /** Columns to write, in the order of their names; of equal names the last column counts. */
  readonly #columns: readonly (readonly [index: number, prefix: string])[];

  constructor(names: readonly string[]) {
    const byName = new Map(names.map((name, index) => [name, index]));
    this.#columns = [...byName]
      .toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .map(([name, index]) => [index, `${JSON.stringify(name)}:`]);
  }

  /** @param row values by column */
  text(row: readonly SqlValue[]): string {
    let text = '{';
    for (const [index, prefix] of this.#columns) {
      if (text.length > 1) text += ',';
      text += prefix + valueText(row[index] ?? null);
    }
    return `${text}}`;
  }
}

function valueText(value: SqlValue): string {
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'number':
      return realText(value);
    case 'string':
      return JSON.stringify(value);
    default:
      return value === null ? 'null' : `"${base64(value)}"`;
  }
}

/** JSON has no infinities: they are null (M107). */
function realText(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
