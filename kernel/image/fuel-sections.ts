/** The sections around the code: what is read from them, which indices move, and which caps are written into them. */
import { ImageError } from '../engine.ts';
import type { ByteReader, ByteWriter } from './fuel-bytes.ts';
import { malformed, unsupported } from './fuel-bytes.ts';
import { hex, refusedOpcode } from './fuel-opcodes.ts';
import {
  type ModuleShape,
  movedFunction,
  movedGlobal,
  readReferenceType,
  readValueType,
} from './fuel-shape.ts';
import { TABLE_ENTRIES_MAX } from './limits.ts';

/** Entries of any index space; a little under V8's million, to leave room for ours. */
const INDEX_SPACE_MAX = 999_000;

/** The module name our imports come from; a guest's import of that name could take them over. */
export const FUEL_MODULE = 'hl';

/** Reads a section's count. @throws ImageError 'limit' past what V8 takes together with our additions */
export function readCount(reader: ByteReader): number {
  const count = reader.u32();
  if (count > INDEX_SPACE_MAX)
    throw new ImageError('limit', `core module: ${count} entries in a section`);
  return count;
}

export function readTypes(reader: ByteReader, shape: ModuleShape): void {
  for (let n = readCount(reader); n > 0; n--) {
    const form = reader.byte();
    if (form !== 0x60) throw unsupported(refusedForm(form), reader.pos - 1);
    let count = reader.u32();
    shape.typeParams.push(count);
    for (; count > 0; count--) readValueType(reader);
    count = reader.u32();
    shape.typeResults.push(count);
    for (; count > 0; count--) readValueType(reader);
  }
}

function refusedForm(form: number): string {
  if (form === 0x5d) return 'stack switching (continuation type)';
  if (form === 0x65) return 'threads (shared type)';
  return form >= 0x4c && form <= 0x5f
    ? `garbage collection (type form ${hex(form)})`
    : `type form ${hex(form)}`;
}

/** Reads one function's type index. */
function readTypeIndex(reader: ByteReader, shape: ModuleShape): number {
  const type = reader.u32();
  if (type >= shape.typeParams.length) throw malformed(`no type ${type}`, reader.pos);
  return type;
}

/** Reads the imports; they are copied unchanged, because the module that defines a memory or table is the one that caps it. */
export function readImports(reader: ByteReader, shape: ModuleShape): void {
  const text = new TextDecoder();
  for (let n = readCount(reader); n > 0; n--) {
    const module = reader.name();
    if (module.length === FUEL_MODULE.length && text.decode(module) === FUEL_MODULE) {
      throw new ImageError(
        'unsupported-import',
        `core module: imports from '${FUEL_MODULE}' are the node's own`,
      );
    }
    reader.name();
    const kind = reader.byte();
    if (kind === 0) {
      shape.functionTypes.push(readTypeIndex(reader, shape));
      shape.importedFunctions++;
    } else if (kind === 1) {
      const type = readReferenceType(reader);
      noteTable(shape, type, readLimits(reader, 'table', TABLE_ENTRIES_MAX));
    } else if (kind === 2)
      noteMemory(shape, readLimits(reader, 'memory', shape.memoryPagesMax), reader.pos);
    else if (kind === 3) {
      readGlobalType(reader);
      shape.globals++;
      shape.importedGlobals++;
    } else throw refusedKind(kind, reader.pos - 1);
  }
}

function refusedKind(kind: number, offset: number): ImageError {
  return kind === 4
    ? unsupported('exceptions (tag)', offset)
    : unsupported(`import or export kind ${hex(kind)}`, offset);
}

export function readFunctions(reader: ByteReader, shape: ModuleShape): number {
  const count = readCount(reader);
  for (let n = count; n > 0; n--) shape.functionTypes.push(readTypeIndex(reader, shape));
  return count;
}

interface Limits {
  readonly min: number;
  readonly max: number;
}

/** Reads limits and caps them. */
function readLimits(reader: ByteReader, what: 'memory' | 'table', cap: number): Limits {
  const flags = reader.byte();
  if ((flags & 0x08) !== 0) throw unsupported('custom page sizes', reader.pos - 1);
  if ((flags & 0x04) !== 0) throw unsupported('memory64', reader.pos - 1);
  if ((flags & 0x02) !== 0) throw unsupported('threads (shared memory)', reader.pos - 1);
  if (flags > 1) throw malformed(`limits ${hex(flags)}`, reader.pos - 1);
  const min = reader.u32();
  const max = flags === 1 ? reader.u32() : cap;
  if (flags === 1 && max < min) throw malformed('maximum below minimum', reader.pos);
  if (min > cap) {
    const unit = what === 'memory' ? 'pages' : 'entries';
    throw new ImageError('limit', `core module: a ${what} of ${min} ${unit}; a node allows ${cap}`);
  }
  return { min, max: Math.min(max, cap) };
}

function noteTable(shape: ModuleShape, type: number, limits: Limits): void {
  shape.tableTypes.push(type);
  shape.tableMax.push(limits.max);
  shape.tableEntries += limits.min;
  if (shape.tableEntries > TABLE_ENTRIES_MAX) {
    throw new ImageError(
      'limit',
      `core module: tables of together ${shape.tableEntries} entries; a node allows ${TABLE_ENTRIES_MAX}`,
    );
  }
}

function noteMemory(shape: ModuleShape, limits: Limits, offset: number): void {
  if (++shape.memories > 1) throw unsupported('multiple memories', offset);
  shape.memoryMax = limits.max;
}

function readGlobalType(reader: ByteReader): void {
  readValueType(reader);
  const mutable = reader.byte();
  if (mutable > 3) throw malformed('mutability', reader.pos - 1);
  if (mutable > 1) throw unsupported('threads (shared global)', reader.pos - 1);
}

export function rewriteTables(reader: ByteReader, out: ByteWriter, shape: ModuleShape): void {
  const count = readCount(reader);
  out.u32(count);
  for (let n = count; n > 0; n--) {
    if (reader.bytes[reader.pos] === 0x40 && reader.pos < reader.end) {
      throw unsupported('typed function references (table initialiser)', reader.pos);
    }
    const type = readReferenceType(reader);
    const limits = readLimits(reader, 'table', TABLE_ENTRIES_MAX);
    noteTable(shape, type, limits);
    out.byte(type);
    writeLimits(out, limits);
  }
}

export function rewriteMemories(reader: ByteReader, out: ByteWriter, shape: ModuleShape): void {
  const count = readCount(reader);
  out.u32(count);
  for (let n = count; n > 0; n--) {
    const limits = readLimits(reader, 'memory', shape.memoryPagesMax);
    noteMemory(shape, limits, reader.pos);
    writeLimits(out, limits);
  }
}

function writeLimits(out: ByteWriter, limits: Limits): void {
  out.byte(1);
  out.u32(limits.min);
  out.u32(limits.max);
}

export function rewriteGlobals(reader: ByteReader, out: ByteWriter, shape: ModuleShape): void {
  const count = readCount(reader);
  out.u32(count);
  for (let n = count; n > 0; n--) {
    const start = reader.pos;
    readGlobalType(reader);
    out.copy(reader.bytes, start, reader.pos);
    rewriteConstant(reader, out, shape);
    shape.globals++;
  }
}

export function rewriteExports(reader: ByteReader, out: ByteWriter, shape: ModuleShape): void {
  const count = readCount(reader);
  out.u32(count);
  for (let n = count; n > 0; n--) {
    const start = reader.pos;
    reader.name();
    const kind = reader.byte();
    out.copy(reader.bytes, start, reader.pos);
    const index = reader.u32();
    if (kind === 0) out.u32(escaped(shape, index, reader.pos));
    else if (kind === 3) out.u32(movedGlobal(shape, index, reader.pos));
    else if (kind < 3) out.u32(index);
    else throw refusedKind(kind, reader.pos);
  }
}

/** Moves a function index that makes its function reachable otherwise than by a direct call. */
export function escaped(shape: ModuleShape, index: number, offset: number): number {
  shape.escaping.add(index);
  return movedFunction(shape, index, offset);
}

export function rewriteElements(reader: ByteReader, out: ByteWriter, shape: ModuleShape): void {
  const count = readCount(reader);
  out.u32(count);
  for (let n = count; n > 0; n--) {
    const flags = reader.u32();
    if (flags > 7) throw malformed(`element segment ${hex(flags)}`, reader.pos);
    out.u32(flags);
    const active = (flags & 1) === 0;
    const expressions = (flags & 4) !== 0;
    if (active && (flags & 2) !== 0) out.u32(reader.u32());
    if (active) rewriteConstant(reader, out, shape);
    if ((flags & 3) !== 0) {
      if (expressions) out.byte(readReferenceType(reader));
      else if (reader.byte() === 0) out.byte(0);
      else throw malformed('element kind', reader.pos - 1);
    }
    const entries = reader.u32();
    out.u32(entries);
    for (let entry = entries; entry > 0; entry--) {
      if (expressions) rewriteConstant(reader, out, shape);
      else out.u32(escaped(shape, reader.u32(), reader.pos));
    }
  }
}

export function rewriteData(reader: ByteReader, out: ByteWriter, shape: ModuleShape): void {
  const count = readCount(reader);
  out.u32(count);
  for (let n = count; n > 0; n--) {
    const flags = reader.u32();
    if (flags > 2) throw malformed(`data segment ${hex(flags)}`, reader.pos);
    if (flags === 2 && reader.u32() !== 0) throw unsupported('multiple memories', reader.pos);
    out.u32(flags === 1 ? 1 : 0);
    if (flags !== 1) rewriteConstant(reader, out, shape);
    const start = reader.pos;
    reader.name();
    out.copy(reader.bytes, start, reader.pos);
  }
}

/** Copies a constant expression; global and function indices move. */
function rewriteConstant(reader: ByteReader, out: ByteWriter, shape: ModuleShape): void {
  for (;;) {
    const at = reader.pos;
    const opcode = reader.byte();
    switch (opcode) {
      case 0x0b:
        out.byte(opcode);
        return;
      case 0x23:
        out.byte(opcode);
        out.u32(movedGlobal(shape, reader.u32(), at));
        continue;
      case 0xd2:
        out.byte(opcode);
        out.u32(escaped(shape, reader.u32(), at));
        continue;
      case 0x41:
      case 0x42:
        reader.skipSigned(opcode === 0x41 ? 5 : 10);
        break;
      case 0x43:
      case 0x44:
        reader.skip(opcode === 0x43 ? 4 : 8);
        break;
      case 0x6a:
      case 0x6b:
      case 0x6c:
      case 0x7c:
      case 0x7d:
      case 0x7e:
        break;
      case 0xd0:
        readReferenceType(reader);
        break;
      case 0xfd:
        skipVectorConstant(reader, at);
        break;
      default:
        throw unsupported(`${refusedOpcode(opcode)} in a constant expression`, at);
    }
    out.copy(reader.bytes, at, reader.pos);
  }
}

function skipVectorConstant(reader: ByteReader, at: number): void {
  const code = reader.u32();
  if (code !== 12) throw unsupported(`SIMD opcode ${code} in a constant expression`, at);
  reader.skip(16);
}
