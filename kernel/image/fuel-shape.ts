/** What the code rewriter must know of the rest of a module, gathered from the sections before the code. */
import type { ByteReader } from './fuel-bytes.ts';
import { malformed, unsupported } from './fuel-bytes.ts';
import { refusedType } from './fuel-opcodes.ts';

export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;

/** Index spaces as they were before the rewrite, and by how much they move. */
export interface ModuleShape {
  /** Per type: how many values it takes and gives. */
  readonly typeParams: number[];
  readonly typeResults: number[];
  /** Imported, then defined; `functionTypes` has an entry for each. */
  readonly functionTypes: number[];
  importedFunctions: number;
  globals: number;
  importedGlobals: number;
  /** Element type per table, imported ones first; and the most entries it may get. */
  readonly tableTypes: number[];
  readonly tableMax: number[];
  /** Minimum entries of all tables together. */
  tableEntries: number;
  memories: number;
  memoryMax: number;
  /** Pages that a memory may have at most, whatever it declares. */
  readonly memoryPagesMax: number;
  /** Functions reachable otherwise than by a direct call: exported, in a table, started, referenced. */
  readonly escaping: Set<number>;
  /** How far defined functions move: the number of functions we import. */
  shift: number;
}

export function emptyShape(memoryPagesMax: number): ModuleShape {
  return {
    typeParams: [],
    typeResults: [],
    functionTypes: [],
    importedFunctions: 0,
    globals: 0,
    importedGlobals: 0,
    tableTypes: [],
    tableMax: [],
    tableEntries: 0,
    memories: 0,
    memoryMax: 0,
    memoryPagesMax,
    escaping: new Set(),
    shift: 0,
  };
}

/** Where function `index` is after the rewrite. Refuses one that does not exist, lest it reach what we append. */
export function movedFunction(shape: ModuleShape, index: number, offset: number): number {
  if (index >= shape.functionTypes.length) throw malformed(`no function ${index}`, offset);
  return index < shape.importedFunctions ? index : index + shape.shift;
}

/** Where global `index` is after the rewrite: ours is the last imported one. */
export function movedGlobal(shape: ModuleShape, index: number, offset: number): number {
  if (index >= shape.globals) throw malformed(`no global ${index}`, offset);
  return index < shape.importedGlobals ? index : index + 1;
}

/** Reads a value type. @throws ImageError for types of proposals we do not carry */
export function readValueType(reader: ByteReader): number {
  const type = reader.byte();
  if ((type < 0x7b || type > 0x7f) && type !== FUNCREF && type !== EXTERNREF) {
    throw unsupported(refusedType(type), reader.pos - 1);
  }
  return type;
}

/** Reads a reference type, as in tables and `ref.null`. */
export function readReferenceType(reader: ByteReader): number {
  const type = reader.byte();
  if (type !== FUNCREF && type !== EXTERNREF) throw unsupported(refusedType(type), reader.pos - 1);
  return type;
}
