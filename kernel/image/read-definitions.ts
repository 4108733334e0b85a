/** Reads the definitions of a component other than modules, nested components and types. */
import { ImageError } from '../engine.ts';
import type {
  AliasDefinition,
  AliasTarget,
  Canon,
  CanonDefinition,
  CanonOptions,
  CoreInstanceDefinition,
  CoreSort,
  ExportDefinition,
  ImportDefinition,
  InstanceDefinition,
  NamedItem,
  Sort,
  StringEncoding,
} from './component.ts';
import { readExternType } from './read-types.ts';
import type { ByteReader } from './reader.ts';

const CORE_SORTS: ReadonlyMap<number, CoreSort> = new Map([
  [0x00, 'core-func'],
  [0x01, 'core-table'],
  [0x02, 'core-memory'],
  [0x03, 'core-global'],
  [0x10, 'core-type'],
  [0x11, 'core-module'],
  [0x12, 'core-instance'],
]);
const SORTS: ReadonlyMap<number, Sort> = new Map([
  [0x01, 'func'],
  [0x03, 'type'],
  [0x04, 'component'],
  [0x05, 'instance'],
]);

function unsupported(feature: string): ImageError {
  return new ImageError('unsupported-feature', `this node does not support ${feature}`);
}

function readCoreSort(r: ByteReader): CoreSort {
  const byte = r.u8();
  const sort = CORE_SORTS.get(byte);
  if (sort !== undefined) return sort;
  if (byte === 0x04) throw unsupported('tags (exception handling)');
  return r.fail('core sort', r.offset - 1);
}

/** Any sort, as aliases name it. */
function readSort(r: ByteReader): Sort {
  return r.peek() === 0x00 ? coreSortAfter(r) : readExternSort(r);
}

function coreSortAfter(r: ByteReader): CoreSort {
  r.u8();
  return readCoreSort(r);
}

/** The sort of something components and instances can export and take: of the core sorts, modules only. */
function readExternSort(r: ByteReader): Sort {
  const byte = r.u8();
  if (byte === 0x00) {
    const sort = readCoreSort(r);
    return sort === 'core-module' ? sort : r.fail(`${sort} outside a core instance`, r.offset - 1);
  }
  const sort = SORTS.get(byte);
  if (sort !== undefined) return sort;
  if (byte === 0x02) throw unsupported('values');
  return r.fail('sort', r.offset - 1);
}

/** The name of an import or export: plain (0x00) or, in older files, marked as an interface's (0x01). */
export function readExternName(r: ByteReader): string {
  switch (r.u8()) {
    case 0x00:
    case 0x01:
      return r.name();
    case 0x02:
      throw unsupported('import and export names with a version suffix');
    default:
      return r.fail('import or export name', r.offset - 1);
  }
}

export function readCoreInstance(r: ByteReader): CoreInstanceDefinition {
  switch (r.u8()) {
    case 0x00: {
      const module = r.u32();
      const args = r.vec('arguments', () => {
        const name = r.name();
        if (r.u8() !== 0x12) r.fail('argument that is no core instance', r.offset - 1);
        return { name, instance: r.u32() };
      });
      return { kind: 'core-instance', from: { kind: 'instantiate', module, args } };
    }
    case 0x01: {
      const exports = r.vec('exports', (): NamedItem<CoreSort> => {
        const name = r.name();
        const sort = readCoreSort(r);
        return { name, sort, index: r.u32() };
      });
      return { kind: 'core-instance', from: { kind: 'exports', exports } };
    }
    default:
      return r.fail('core instance', r.offset - 1);
  }
}

export function readInstance(r: ByteReader): InstanceDefinition {
  switch (r.u8()) {
    case 0x00: {
      const component = r.u32();
      const args = r.vec('arguments', () => readNamedItem(r, r.name()));
      return { kind: 'instance', from: { kind: 'instantiate', component, args } };
    }
    case 0x01: {
      const exports = r.vec('exports', () => readNamedItem(r, readExternName(r)));
      return { kind: 'instance', from: { kind: 'exports', exports } };
    }
    default:
      return r.fail('instance', r.offset - 1);
  }
}

function readNamedItem(r: ByteReader, name: string): NamedItem {
  const sort = readExternSort(r);
  return { name, sort, index: r.u32() };
}

export function readAlias(r: ByteReader): AliasDefinition {
  const sort = readSort(r);
  return { kind: 'alias', sort, target: readAliasTarget(r, sort) };
}

function readAliasTarget(r: ByteReader, sort: Sort): AliasTarget {
  const at = r.offset;
  switch (r.u8()) {
    case 0x00: {
      if (sort.startsWith('core-') && sort !== 'core-module') r.fail(`alias of a ${sort}`, at);
      const instance = r.u32();
      return { kind: 'export', instance, name: r.name() };
    }
    case 0x01: {
      if (!/^core-(func|table|memory|global)$/.test(sort)) r.fail(`alias of a ${sort}`, at);
      const instance = r.u32();
      return { kind: 'core-export', instance, name: r.name() };
    }
    case 0x02: {
      if (!OUTER_SORTS.has(sort)) r.fail(`outer alias of a ${sort}`, at);
      const count = r.u32();
      return { kind: 'outer', count, index: r.u32() };
    }
    default:
      return r.fail('alias', at);
  }
}

/** What holds no state, and so may be reached from within a nested component. */
const OUTER_SORTS: ReadonlySet<Sort> = new Set(['core-type', 'core-module', 'type', 'component']);

const NO_OPTIONS: CanonOptions = {
  encoding: 'utf8',
  memory: undefined,
  realloc: undefined,
  postReturn: undefined,
};

function readCanonOptions(r: ByteReader): CanonOptions {
  const options: { -readonly [K in keyof CanonOptions]: CanonOptions[K] } = { ...NO_OPTIONS };
  const seen = new Set<string>();
  const count = r.count('canonical options');
  for (let i = 0; i < count; i++) {
    const at = r.offset;
    const code = r.u8();
    const option = readCanonOption(r, code, options);
    if (seen.has(option)) r.fail(`${option} given twice`, at);
    seen.add(option);
  }
  return options;
}

const ENCODINGS: readonly StringEncoding[] = ['utf8', 'utf16', 'latin1+utf16'];
const UNSUPPORTED_OPTIONS: ReadonlyMap<number, string> = new Map([
  [0x06, 'async lifting and lowering'],
  [0x07, 'async callbacks'],
  [0x08, 'canonical functions with a core type of their own'],
  [0x09, 'GC in canonical functions'],
]);

/** Sets one option; returns its name. */
function readCanonOption(
  r: ByteReader,
  code: number,
  options: { -readonly [K in keyof CanonOptions]: CanonOptions[K] },
): string {
  const encoding = ENCODINGS[code];
  if (encoding !== undefined) {
    options.encoding = encoding;
    return 'string encoding';
  }
  switch (code) {
    case 0x03:
      options.memory = r.u32();
      return 'memory';
    case 0x04:
      options.realloc = r.u32();
      return 'realloc';
    case 0x05:
      options.postReturn = r.u32();
      return 'post-return';
    default: {
      const feature = UNSUPPORTED_OPTIONS.get(code);
      if (feature !== undefined) throw unsupported(feature);
      return r.fail(`canonical option 0x${code.toString(16)}`, r.offset - 1);
    }
  }
}

export function readCanon(r: ByteReader): CanonDefinition {
  return { kind: 'canon', canon: readCanonForm(r) };
}

function readCanonForm(r: ByteReader): Canon {
  const code = r.u8();
  switch (code) {
    case 0x00: {
      if (r.u8() !== 0x00) r.fail('canon lift', r.offset - 1);
      const coreFunc = r.u32();
      const options = readCanonOptions(r);
      return { kind: 'lift', coreFunc, options, type: r.u32() };
    }
    case 0x01: {
      if (r.u8() !== 0x00) r.fail('canon lower', r.offset - 1);
      const func = r.u32();
      const options = readCanonOptions(r);
      if (options.postReturn !== undefined) r.fail('canon lower with a post-return');
      return { kind: 'lower', func, options };
    }
    case 0x02:
      return { kind: 'resource-new', resource: r.u32() };
    case 0x03:
      return { kind: 'resource-drop', resource: r.u32() };
    case 0x04:
      return { kind: 'resource-rep', resource: r.u32() };
    default: {
      const feature = asyncBuiltin(code);
      if (feature !== undefined) throw unsupported(`the built-in function ${feature}`);
      return r.fail(`canonical function 0x${code.toString(16)}`, r.offset - 1);
    }
  }
}

const ASYNC_BUILTINS: ReadonlyMap<number, string> = new Map([
  [0x05, 'task.cancel'],
  [0x06, 'subtask.cancel'],
  [0x07, 'resource.drop async'],
  [0x08, 'backpressure.set'],
  [0x09, 'task.return'],
  [0x0a, 'context.get'],
  [0x0b, 'context.set'],
  [0x0c, 'thread.yield'],
  [0x0d, 'subtask.drop'],
  [0x1c, 'error-context.new'],
  [0x1d, 'error-context.debug-message'],
  [0x1e, 'error-context.drop'],
  [0x1f, 'waitable-set.new'],
  [0x20, 'waitable-set.wait'],
  [0x21, 'waitable-set.poll'],
  [0x22, 'waitable-set.drop'],
  [0x23, 'waitable.join'],
  [0x24, 'backpressure.inc'],
  [0x25, 'backpressure.dec'],
]);

/** The name of a built-in of the async and thread proposals; undefined for a code that is none. */
function asyncBuiltin(code: number): string | undefined {
  if (code >= 0x0e && code <= 0x14) return 'stream.*';
  if (code >= 0x15 && code <= 0x1b) return 'future.*';
  if ((code >= 0x26 && code <= 0x2c) || (code >= 0x40 && code <= 0x42)) return 'thread.*';
  return ASYNC_BUILTINS.get(code);
}

export function readImport(r: ByteReader): ImportDefinition {
  const name = readExternName(r);
  return { kind: 'import', name, type: readExternType(r) };
}

export function readExport(r: ByteReader): ExportDefinition {
  const name = readExternName(r);
  const { sort, index } = readNamedItem(r, name);
  switch (r.u8()) {
    case 0x00:
      return { kind: 'export', name, sort, index, type: undefined };
    case 0x01:
      return { kind: 'export', name, sort, index, type: readExternType(r) };
    default:
      return r.fail('export', r.offset - 1);
  }
}
