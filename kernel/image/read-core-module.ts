/**
 * Reads the declarations of a core module: everything but function bodies and the contents of segments, which are skipped.
 * Whether the module is valid is for the engine to say; what is read here must only be read the way the engine reads it.
 */
import type {
  CoreExport,
  CoreExternKind,
  CoreFeature,
  CoreFuncType,
  CoreGlobal,
  CoreImport,
  CoreModule,
  CoreTable,
  Limits,
} from './component.ts';
import { skipConstant } from './read-constant.ts';
import { readCoreValueType, readSubType } from './read-core-types.ts';
import type { ByteReader } from './reader.ts';

/** Section numbers, in the order in which they must come (the tag and data-count sections stand out of numerical order). */
const SECTION_ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
const EXTERN_KINDS: readonly CoreExternKind[] = ['func', 'table', 'memory', 'global', 'tag'];

interface Draft {
  types: (CoreFuncType | undefined)[];
  imports: CoreImport[];
  exports: CoreExport[];
  functions: number[];
  memories: Limits[];
  tables: CoreTable[];
  globals: CoreGlobal[];
  hasStart: boolean;
  dataCount: number;
  elementCount: number;
  features: Set<CoreFeature>;
}

/**
 * Reads a core module from its magic number to the reader's end.
 * @throws ImageError 'malformed' or 'limit'. Unsupported features are listed in the summary, not refused.
 */
export function readCoreModule(r: ByteReader): CoreModule {
  const head = r.take(8);
  if (!MODULE_HEAD.every((byte, i) => head[i] === byte)) {
    r.fail('no core module of version 1', r.offset - 8);
  }
  const draft: Draft = {
    types: [],
    imports: [],
    exports: [],
    functions: [],
    memories: [],
    tables: [],
    globals: [],
    hasStart: false,
    dataCount: 0,
    elementCount: 0,
    features: new Set(),
  };
  let place = -1;
  let bodies = 0;
  while (!r.done) {
    const at = r.offset;
    const id = r.u8();
    const section = r.sub(r.u32());
    if (id === 0) {
      section.name();
      continue;
    }
    const next = SECTION_ORDER.indexOf(id);
    if (next < 0) r.fail(`core section ${id} is unknown`, at);
    if (next <= place) r.fail(`core section ${id} is out of order`, at);
    place = next;
    if (id === 10) bodies = skipBodies(section);
    else readSection(section, id, draft);
    section.expectEnd(`core section ${id}`);
  }
  if (bodies !== draft.functions.length) {
    r.fail(`${draft.functions.length} functions declared, ${bodies} bodies`);
  }
  const memories =
    draft.memories.length + draft.imports.filter((i) => i.type.kind === 'memory').length;
  if (memories > 1) draft.features.add('multi-memory');
  return { ...draft, features: [...draft.features] };
}

const MODULE_HEAD = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

function readSection(r: ByteReader, id: number, draft: Draft): void {
  switch (id) {
    case 1:
      readTypes(r, draft);
      return;
    case 2:
      draft.imports = r.vec('core imports', () => readImport(r, draft));
      return;
    case 3:
      draft.functions = r.vec('core functions', () => r.u32());
      return;
    case 4:
      draft.tables = r.vec('tables', () => readTable(r, draft.features, true));
      return;
    case 5:
      draft.memories = r.vec('memories', () => readMemory(r, draft.features));
      return;
    case 13:
      draft.features.add('tags');
      r.vec('tags', () => readTag(r));
      return;
    case 6:
      draft.globals = r.vec('globals', () => {
        const global = readGlobal(r, draft.features);
        skipConstant(r, draft.features);
        return global;
      });
      return;
    case 7:
      draft.exports = r.vec('core exports', () => readExport(r));
      return;
    case 8:
      draft.hasStart = true;
      r.u32();
      return;
    case 9:
      draft.elementCount = r.count('element segments');
      break;
    case 12:
      r.u32();
      return;
    default:
      draft.dataCount = r.count('data segments');
  }
  // Segments decide nothing here; the engine checks them.
  r.skip(r.remaining);
}

/** Steps over function bodies and returns how many there are. */
function skipBodies(r: ByteReader): number {
  const count = r.count('function bodies');
  for (let i = 0; i < count; i++) r.skip(r.u32());
  return count;
}

function readTypes(r: ByteReader, draft: Draft): void {
  const count = r.count('core types');
  for (let i = 0; i < count; i++) {
    if (r.peek() !== 0x4e) {
      draft.types.push(readSubType(r, draft.features));
      continue;
    }
    r.u8();
    draft.features.add('gc');
    const group = r.count('types of a group');
    for (let j = 0; j < group; j++) draft.types.push(readSubType(r, draft.features));
  }
}

function readImport(r: ByteReader, draft: Draft): CoreImport {
  const module = r.name();
  const field = r.name();
  return { module, field, type: readCoreExternType(r, draft.features) };
}

/** What a core import is; module types use the same form. */
export function readCoreExternType(r: ByteReader, features: Set<CoreFeature>): CoreImport['type'] {
  const at = r.offset;
  switch (r.u8()) {
    case 0x00:
      return { kind: 'func', type: r.u32() };
    case 0x01:
      return { kind: 'table', table: readTable(r, features, false) };
    case 0x02:
      return { kind: 'memory', limits: readMemory(r, features) };
    case 0x03:
      return { kind: 'global', global: readGlobal(r, features) };
    case 0x04:
      features.add('tags');
      return { kind: 'tag', type: readTag(r) };
    default:
      return r.fail('core import of an unknown kind', at);
  }
}

function readExport(r: ByteReader): CoreExport {
  const name = r.name();
  const at = r.offset;
  const kind = EXTERN_KINDS[r.u8()];
  if (kind === undefined) return r.fail('core export of an unknown kind', at);
  return { name, kind, index: r.u32() };
}

function readTable(r: ByteReader, features: Set<CoreFeature>, defined: boolean): CoreTable {
  let initialised = false;
  if (defined && r.peek() === 0x40) {
    r.u8();
    if (r.u8() !== 0) r.fail('table of an unknown form', r.offset - 1);
    initialised = true;
  }
  const element = readCoreValueType(r, features);
  const limits = readLimits(r, features);
  if (limits.wide) features.add('table64');
  if (initialised) skipConstant(r, features);
  return { element, limits };
}

function readMemory(r: ByteReader, features: Set<CoreFeature>): Limits {
  const custom = ((r.peek() ?? 0) & 0x08) !== 0;
  const limits = readLimits(r, features);
  if (limits.wide) features.add('memory64');
  if (custom) {
    features.add('custom-page-sizes');
    r.u32();
  }
  return limits;
}

function readLimits(r: ByteReader, features: Set<CoreFeature>): Limits {
  const flags = r.u8();
  if (flags > 0x0f) r.fail('limits of an unknown form', r.offset - 1);
  const shared = (flags & 0x02) !== 0;
  const wide = (flags & 0x04) !== 0;
  if (shared) features.add('shared-memory');
  const bound = (): number => {
    if (!wide) return r.u32();
    const value = r.u64();
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
  };
  const minimum = bound();
  const maximum = (flags & 0x01) !== 0 ? bound() : undefined;
  return { minimum, maximum, shared, wide };
}

function readGlobal(r: ByteReader, features: Set<CoreFeature>): CoreGlobal {
  const type = readCoreValueType(r, features);
  const mutability = r.u8();
  if (mutability > 1) {
    if (mutability > 3) r.fail('global of an unknown form', r.offset - 1);
    features.add('shared-memory');
  }
  return { type, mutable: (mutability & 1) !== 0 };
}

function readTag(r: ByteReader): number {
  if (r.u8() !== 0) r.fail('tag of an unknown form', r.offset - 1);
  return r.u32();
}
