/** Reads component-level types and their declarators. */
import { ImageError } from '../engine.ts';
import type {
  CoreFeature,
  CoreTypeDefinition,
  Declaration,
  DefinedType,
  ExternType,
  FuncType,
  NamedType,
  PrimitiveType,
  ValueType,
} from './component.ts';
import { NESTING_MAX } from './limits.ts';
import { readCoreExternType } from './read-core-module.ts';
import { readSubType } from './read-core-types.ts';
import { readAlias, readExternName, readImport } from './read-definitions.ts';
import type { ByteReader } from './reader.ts';

/** Told of declarations before they are read, so that the caller can refuse too many. */
export type Declared = (count: number) => void;

const PRIMITIVES: ReadonlyMap<number, PrimitiveType> = new Map([
  [0x7f, 'bool'],
  [0x7e, 's8'],
  [0x7d, 'u8'],
  [0x7c, 's16'],
  [0x7b, 'u16'],
  [0x7a, 's32'],
  [0x79, 'u32'],
  [0x78, 's64'],
  [0x77, 'u64'],
  [0x76, 'f32'],
  [0x75, 'f64'],
  [0x74, 'char'],
  [0x73, 'string'],
]);

/** Forms of types that belong to async, GC or later proposals, named in the refusal. */
const UNSUPPORTED_TYPES: ReadonlyMap<number, string> = new Map([
  [0x67, 'fixed-length lists'],
  [0x66, 'streams'],
  [0x65, 'futures'],
  [0x64, 'error-context'],
  [0x63, 'maps'],
  [0x43, 'async functions'],
  [0x3e, 'asynchronous resource destructors'],
]);

/** @throws ImageError 'unsupported-feature' for a form that is known but not ours to run. */
function refuseForm(r: ByteReader, form: number, what: string): never {
  const feature = UNSUPPORTED_TYPES.get(form);
  if (feature !== undefined) {
    throw new ImageError('unsupported-feature', `this node does not support ${feature}`);
  }
  return r.fail(`${what} of form 0x${form.toString(16)}`, r.offset - 1);
}

export function readValueType(r: ByteReader): ValueType {
  const at = r.offset;
  const code = r.s33();
  if (code >= 0) return code;
  const byte = code + 0x80;
  const primitive = PRIMITIVES.get(byte);
  if (primitive !== undefined && r.offset === at + 1) return primitive;
  return refuseForm(r, byte, 'value type');
}

function readOptionalType(r: ByteReader): ValueType | undefined {
  switch (r.u8()) {
    case 0x00:
      return undefined;
    case 0x01:
      return readValueType(r);
    default:
      return r.fail('optional type', r.offset - 1);
  }
}

function readNamedType(r: ByteReader): NamedType {
  const name = r.name();
  return { name, type: readValueType(r) };
}

/** A type definition of the type section, or inside a component or instance type. */
export function readType(r: ByteReader, declared: Declared, depth: number): DefinedType {
  const form = r.u8();
  const primitive = PRIMITIVES.get(form);
  if (primitive !== undefined) return { kind: 'primitive', primitive };
  switch (form) {
    case 0x72:
      return { kind: 'record', fields: r.vec('fields', () => readNamedType(r)) };
    case 0x71:
      return { kind: 'variant', cases: r.vec('cases', () => readCase(r)) };
    case 0x70:
      return { kind: 'list', element: readValueType(r) };
    case 0x6f:
      return { kind: 'tuple', elements: r.vec('tuple elements', () => readValueType(r)) };
    case 0x6e:
      return { kind: 'flags', names: r.vec('flags', () => r.name()) };
    case 0x6d:
      return { kind: 'enum', names: r.vec('enum cases', () => r.name()) };
    case 0x6b:
      return { kind: 'option', some: readValueType(r) };
    case 0x6a: {
      const ok = readOptionalType(r);
      return { kind: 'result', ok, error: readOptionalType(r) };
    }
    case 0x69:
      return { kind: 'own', resource: r.u32() };
    case 0x68:
      return { kind: 'borrow', resource: r.u32() };
    case 0x40:
      return readFuncType(r);
    case 0x41:
      return { kind: 'component', declarations: readDeclarations(r, declared, depth, true) };
    case 0x42:
      return { kind: 'instance', declarations: readDeclarations(r, declared, depth, false) };
    case 0x3f:
      return readResource(r);
    default:
      return refuseForm(r, form, 'type');
  }
}

function readCase(r: ByteReader): { name: string; type: ValueType | undefined } {
  const name = r.name();
  const type = readOptionalType(r);
  // A place where an earlier draft had refinements.
  if (r.u8() !== 0) r.fail('case that refines another', r.offset - 1);
  return { name, type };
}

function readFuncType(r: ByteReader): FuncType {
  const params = r.vec('parameters', () => readNamedType(r));
  switch (r.u8()) {
    case 0x00:
      return { kind: 'func', params, result: readValueType(r) };
    case 0x01:
      if (r.u32() !== 0) {
        throw new ImageError('unsupported-feature', 'this node does not support named results');
      }
      return { kind: 'func', params, result: undefined };
    default:
      return r.fail('function results', r.offset - 1);
  }
}

function readResource(r: ByteReader): DefinedType {
  if (r.u8() !== 0x7f) {
    throw new ImageError(
      'unsupported-feature',
      'this node does not support resources that are not represented by an i32',
    );
  }
  switch (r.u8()) {
    case 0x00:
      return { kind: 'resource', destructor: undefined };
    case 0x01:
      return { kind: 'resource', destructor: r.u32() };
    default:
      return r.fail('resource destructor', r.offset - 1);
  }
}

function readDeclarations(
  r: ByteReader,
  declared: Declared,
  depth: number,
  ofComponent: boolean,
): Declaration[] {
  if (depth >= NESTING_MAX) {
    throw new ImageError('limit', `component too big: types nested deeper than ${NESTING_MAX}`);
  }
  const count = r.count('declarations');
  declared(count);
  const declarations: Declaration[] = [];
  for (let i = 0; i < count; i++) {
    const at = r.offset;
    const form = r.u8();
    if (form === 0x00) declarations.push(readCoreType(r, declared, depth + 1));
    else if (form === 0x01) {
      declarations.push({ kind: 'type', type: readType(r, declared, depth + 1) });
    } else if (form === 0x02) declarations.push(readAlias(r));
    else if (form === 0x03 && ofComponent) declarations.push(readImport(r));
    else if (form === 0x04) {
      const name = readExternName(r);
      declarations.push({ kind: 'export-declaration', name, type: readExternType(r) });
    } else r.fail(`declaration of form 0x${form.toString(16)}`, at);
  }
  return declarations;
}

/** What an import or export is: sort, and an index or bound. */
export function readExternType(r: ByteReader): ExternType {
  const at = r.offset;
  switch (r.u8()) {
    case 0x00:
      if (r.u8() !== 0x11) r.fail('extern type', at);
      return { sort: 'core-module', type: r.u32() };
    case 0x01:
      return { sort: 'func', type: r.u32() };
    case 0x02:
      throw new ImageError('unsupported-feature', 'this node does not support values');
    case 0x03:
      switch (r.u8()) {
        case 0x00:
          return { sort: 'type', bound: 'eq', type: r.u32() };
        case 0x01:
          return { sort: 'type', bound: 'resource' };
        default:
          return r.fail('type bound', at);
      }
    case 0x04:
      return { sort: 'component', type: r.u32() };
    case 0x05:
      return { sort: 'instance', type: r.u32() };
    default:
      return r.fail('extern type', at);
  }
}

/** An entry of the core type section: a function type or a module type. */
export function readCoreType(r: ByteReader, declared: Declared, depth: number): CoreTypeDefinition {
  if (depth > NESTING_MAX) r.fail('core types nested too deep');
  const form = r.peek();
  if (form === 0x50) {
    r.u8();
    const count = r.count('declarations');
    declared(count);
    for (let i = 0; i < count; i++) skipModuleDeclaration(r, declared, depth);
    return { kind: 'core-type', form: 'module' };
  }
  if (form !== 0x60) {
    throw new ImageError('unsupported-feature', 'this node does not support GC types');
  }
  readCoreFunc(r);
  return { kind: 'core-type', form: 'func' };
}

function readCoreFunc(r: ByteReader): void {
  const features = new Set<CoreFeature>();
  readSubType(r, features);
  const [feature] = features;
  if (feature !== undefined) {
    throw new ImageError('unsupported-feature', `this node does not support ${feature}`);
  }
}

function skipModuleDeclaration(r: ByteReader, declared: Declared, depth: number): void {
  const at = r.offset;
  switch (r.u8()) {
    case 0x00:
      r.name();
      r.name();
      skipCoreExtern(r);
      return;
    case 0x01:
      if (readCoreType(r, declared, depth + 1).form !== 'func') r.fail('module type in one', at);
      return;
    case 0x02:
      // Only types of an enclosing component can be aliased here.
      if (r.u8() !== 0x10 || r.u8() !== 0x01) r.fail('alias in a module type', at);
      r.u32();
      r.u32();
      return;
    case 0x03:
      r.name();
      skipCoreExtern(r);
      return;
    default:
      r.fail('declaration of a module type', at);
  }
}

function skipCoreExtern(r: ByteReader): void {
  const features = new Set<CoreFeature>();
  readCoreExternType(r, features);
  const [feature] = features;
  if (feature !== undefined) {
    throw new ImageError('unsupported-feature', `this node does not support ${feature}`);
  }
}
