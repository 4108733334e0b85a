/**
 * The functions appended to a rewritten module in place of instructions whose cost depends on an operand: bulk memory and table
 * operations run in slices with a check between them (finding F4), `memory.grow` and `table.grow` ask the host first (finding F6).
 */
import { ByteWriter } from './fuel-bytes.ts';
import { EXTERNREF, FUNCREF, type ModuleShape } from './fuel-shape.ts';

/** Bytes a bulk memory instruction moves between two checks. */
export const MEMORY_SLICE_BYTES = 1 << 20;
/** Entries a bulk table instruction moves between two checks. */
export const TABLE_SLICE_ENTRIES = 1 << 16;

/**
 * Bytes per fuel unit, as a shift; entries cost `1 << ENTRY_SHIFT` units each. Measured: a fill 0.4 ns a unit, a copy 0.6; entries 0.2 to 1.4
 * (functions cost most). Ordinary code is at 0.03 to 1.
 */
const BYTES_PER_UNIT_SHIFT = 3;
const ENTRY_SHIFT = 4;
const GROW_BASE_UNITS = 1024;
const PAGE_UNITS_SHIFT = 4;
const BODY_BYTES_MAX = 1024;

const I32 = 0x7f;

/** Which of the host's functions a module needs, as bits. */
export const WANTS_MEMORY_GROW = 1;
export const WANTS_TABLE_GROW = 2;

export interface Helper {
  readonly name: string;
  readonly params: readonly number[];
  readonly results: readonly number[];
  readonly body: Uint8Array;
}

/** Indices, after the rewrite, of what helpers use. */
export interface HelperImports {
  readonly fuel: number;
  readonly yieldFunction: number;
  readonly memoryGrow: number;
  readonly tableGrow: number;
}

/** Local indices and opcodes, spelled for reading the listings below. */
const leb = (value: number): number[] => {
  const out: number[] = [];
  let rest = value >>> 0;
  for (; rest >= 0x80; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  out.push(rest);
  return out;
};
const get = (local: number): number[] => [0x20, ...leb(local)];
const set = (local: number): number[] => [0x21, ...leb(local)];
const i32 = (value: number): number[] => {
  const writer = new ByteWriter(8, 8);
  writer.byte(0x41);
  writer.s32(value);
  return [...writer.finish()];
};
const i64 = (value: number): number[] => [0x42, ...i32(value).slice(1)];
const call = (index: number): number[] => [0x10, ...leb(index)];
const IF = [0x04, 0x40];
const LOOP = [0x03, 0x40];
const END = 0x0b;
const RETURN = 0x0f;
const ADD = 0x6a;
const SUB = 0x6b;
const SELECT = 0x1b;
const LESS = 0x49;
const I64_ADD = 0x7c;
const I64_GREATER = 0x56;
const I64_OF_U32 = 0xad;

/** Instructions, from bytes and lists of them. */
const code = (...parts: readonly (number | readonly number[])[]): number[] => parts.flat();

/** `fuel -= <units on the stack>`, then yields if that was too much. */
function charge(imports: HelperImports, units: readonly number[]): number[] {
  const fuel = leb(imports.fuel);
  return code(
    code(0x23, fuel, units, SUB, 0x24, fuel),
    code(0x23, fuel, i32(0), 0x48, IF, call(imports.yieldFunction), END),
  );
}

/** Dispenses helper functions on demand; equal ones are shared. */
export class Helpers {
  readonly list: Helper[] = [];
  /** `WANTS_..` bits of the host functions that helpers call. */
  wants = 0;
  readonly #shape: ModuleShape;
  readonly #imports: HelperImports;
  readonly #byKey = new Map<string, number>();

  constructor(shape: ModuleShape, imports: HelperImports) {
    this.#shape = shape;
    this.#imports = imports;
  }

  /** The function index, after the rewrite, of the helper called `name`. */
  #index(name: string, build: () => Omit<Helper, 'name'>): number {
    let position = this.#byKey.get(name);
    if (position === undefined) {
      position = this.list.length;
      this.#byKey.set(name, position);
      this.list.push({ name, ...build() });
    }
    return this.#shape.functionTypes.length + this.#shape.shift + position;
  }

  memoryFill(): number {
    return this.#index('memory.fill', () =>
      this.#bulk({ operation: [0xfc, 11, 0], dstSize: MEMORY_SIZE, value: I32, entries: false }),
    );
  }

  memoryCopy(): number {
    return this.#index('memory.copy', () =>
      this.#bulk({
        operation: [0xfc, 10, 0, 0],
        dstSize: MEMORY_SIZE,
        srcSize: MEMORY_SIZE,
        overlaps: true,
        entries: false,
      }),
    );
  }

  memoryInit(segment: number): number {
    return this.#index(`memory.init ${segment}`, () =>
      this.#bulk({
        operation: code(0xfc, 8, leb(segment), 0),
        dstSize: MEMORY_SIZE,
        entries: false,
      }),
    );
  }

  tableFill(table: number): number {
    return this.#index(`table.fill ${table}`, () =>
      this.#bulk({
        operation: code(0xfc, 17, leb(table)),
        dstSize: tableSize(table),
        value: this.#shape.tableTypes[table] === EXTERNREF ? EXTERNREF : FUNCREF,
        entries: true,
      }),
    );
  }

  tableCopy(to: number, from: number): number {
    return this.#index(`table.copy ${to} ${from}`, () =>
      this.#bulk({
        operation: code(0xfc, 14, leb(to), leb(from)),
        dstSize: tableSize(to),
        srcSize: tableSize(from),
        overlaps: to === from,
        entries: true,
      }),
    );
  }

  tableInit(segment: number, table: number): number {
    return this.#index(`table.init ${segment} ${table}`, () =>
      this.#bulk({
        operation: code(0xfc, 12, leb(segment), leb(table)),
        dstSize: tableSize(table),
        entries: true,
      }),
    );
  }

  /** (pages) -> previous pages or -1. Asks the host only for what could succeed. */
  memoryGrow(): number {
    this.wants |= WANTS_MEMORY_GROW;
    return this.#index('memory.grow', () => {
      const listing = code(
        growsPast(0, [0x3f, 0, I64_OF_U32], this.#shape.memoryMax),
        code(IF, i32(-1), RETURN, END),
        charge(
          this.#imports,
          code(code(get(0), i32(PAGE_UNITS_SHIFT), 0x74), code(i32(GROW_BASE_UNITS), ADD)),
        ),
        code(get(0), 0x3f, 0, call(this.#imports.memoryGrow), 0x45),
        code(IF, i32(-1), RETURN, END),
        code(get(0), 0x40, 0),
      );
      return { params: [I32], results: [I32], body: body([], listing) };
    });
  }

  /** (value, entries) -> previous entries or -1. */
  tableGrow(table: number): number {
    this.wants |= WANTS_TABLE_GROW;
    return this.#index(`table.grow ${table}`, () => {
      const max = this.#shape.tableMax[table] ?? 0;
      const listing = code(
        growsPast(1, tableSize(table), max),
        code(IF, i32(-1), RETURN, END),
        charge(
          this.#imports,
          code(code(get(1), i32(ENTRY_SHIFT), 0x74), code(i32(GROW_BASE_UNITS), ADD)),
        ),
        code(get(1), call(this.#imports.tableGrow), 0x45),
        code(IF, i32(-1), RETURN, END),
        code(get(0), get(1), 0xfc, 15, leb(table)),
      );
      const type = this.#shape.tableTypes[table] === EXTERNREF ? EXTERNREF : FUNCREF;
      return { params: [type, I32], results: [I32], body: body([], listing) };
    });
  }

  /**
   * A bulk operation in slices. Locals: 0 destination, 1 source or value, 2 length, 3 done, 4 this slice, 5 offset, 6 backwards.
   * The whole range is checked before the first slice, so that nothing is written when any of it is out of bounds: an operation that
   * would trap is executed as it stands.
   */
  #bulk(operation: Bulk): Omit<Helper, 'name'> {
    const slice = operation.entries ? TABLE_SLICE_ENTRIES : MEMORY_SLICE_BYTES;
    const units = (local: number): number[] =>
      code(
        get(local),
        operation.entries ? code(i32(ENTRY_SHIFT), 0x74) : code(i32(BYTES_PER_UNIT_SHIFT), 0x76),
      );
    const whole = code(get(0), get(1), get(2), operation.operation);
    const trapIf = (test: readonly number[]): number[] => code(test, IF, whole, RETURN, END);
    const fromSegment = operation.value === undefined && operation.srcSize === undefined;
    const source = operation.value === undefined ? code(get(1), get(5), ADD) : get(1);
    const listing = code(
      code(get(2), i32(slice), 0x4d, IF, charge(this.#imports, units(2))),
      code(whole, RETURN, END),
      trapIf(pastEnd(0, 2, operation.dstSize)),
      operation.srcSize ? trapIf(pastEnd(1, 2, operation.srcSize)) : [],
      // A segment's size shows only by trapping: a copy of nothing at the end of the range.
      fromSegment
        ? code(
            trapIf(pastEnd(1, 2, U32_MAX)),
            code(get(0), get(1), get(2), ADD, i32(0), operation.operation),
          )
        : [],
      operation.overlaps ? code(get(1), get(0), LESS, set(6)) : [],
      LOOP,
      // slice = min(length - done, limit); offset = backwards ? length - done - slice : done
      code(get(2), get(3), SUB, i32(slice), get(2), get(3), SUB, i32(slice), LESS),
      code(SELECT, set(4)),
      code(get(2), get(3), SUB, get(4), SUB, get(3), get(6), SELECT, set(5)),
      charge(this.#imports, units(4)),
      code(get(0), get(5), ADD, source, get(4), operation.operation),
      code(get(3), get(4), ADD, 0x22, 3, get(2), 0x47, 0x0d, 0),
      END,
    );
    return {
      params: [I32, operation.value ?? I32, I32],
      results: [],
      body: body([I32, I32, I32, I32], listing),
    };
  }
}

interface Bulk {
  readonly operation: readonly number[];
  /** Code that gives the size of the destination, and of a source that is a memory or table, as i64. */
  readonly dstSize: readonly number[];
  readonly srcSize?: readonly number[];
  /** Type of the middle operand when it is a value rather than an offset. */
  readonly value?: number;
  readonly overlaps?: boolean;
  readonly entries: boolean;
}

/** i64.const 2^32 - 1. */
const U32_MAX = [0x42, 0xff, 0xff, 0xff, 0xff, 0x0f];
const MEMORY_SIZE = [0x3f, 0, I64_OF_U32, 0x42, 16, 0x86];
const tableSize = (table: number): number[] => code(0xfc, 16, leb(table), I64_OF_U32);

/** Pushes whether the range of locals `start` and `length` ends past `size`, in 64 bits because the sum can overflow 32. */
function pastEnd(start: number, length: number, size: readonly number[]): number[] {
  return code(get(start), I64_OF_U32, get(length), I64_OF_U32, I64_ADD, size, I64_GREATER);
}

/** Pushes whether `size` entries and as many more as local `more` says are over `max`. */
function growsPast(more: number, size: readonly number[], max: number): number[] {
  return code(get(more), I64_OF_U32, size, I64_ADD, i64(max), I64_GREATER);
}

/** A body of one local per entry of `locals` and `code`. */
function body(locals: readonly number[], listing: readonly number[]): Uint8Array {
  const writer = new ByteWriter(256, BODY_BYTES_MAX);
  writer.u32(locals.length);
  for (const type of locals) writer.list([1, type]);
  writer.list(listing);
  writer.byte(END);
  return writer.finish();
}
