/** Reads the types of core WebAssembly: functions, values, references, and as much of the GC proposal as it takes to name it. */
import type { CoreFeature, CoreFuncType, CoreValueType } from './component.ts';
import { CORE_PARAMS_MAX } from './limits.ts';
import type { ByteReader } from './reader.ts';

/** A function type; or a type of the GC proposal, which gives undefined. */
export function readSubType(r: ByteReader, features: Set<CoreFeature>): CoreFuncType | undefined {
  let form = r.u8();
  if (form === 0x50 || form === 0x4f) {
    features.add('gc');
    r.vec('supertypes', () => r.u32());
    form = r.u8();
  }
  switch (form) {
    case 0x60: {
      const each = { max: CORE_PARAMS_MAX };
      const params = r.vec('parameters', () => readCoreValueType(r, features), each);
      const results = r.vec('results', () => readCoreValueType(r, features), each);
      return { params, results };
    }
    case 0x5f:
      features.add('gc');
      r.vec('struct fields', () => skipField(r, features));
      return undefined;
    case 0x5e:
      features.add('gc');
      skipField(r, features);
      return undefined;
    default:
      return r.fail(`core type of form 0x${form.toString(16)}`, r.offset - 1);
  }
}

function skipField(r: ByteReader, features: Set<CoreFeature>): void {
  const storage = r.peek();
  if (storage === 0x78 || storage === 0x77) r.u8();
  else readCoreValueType(r, features);
  r.u8();
}

const VALUE_TYPES: ReadonlyMap<number, CoreValueType> = new Map([
  [0x7f, 'i32'],
  [0x7e, 'i64'],
  [0x7d, 'f32'],
  [0x7c, 'f64'],
  [0x7b, 'v128'],
  [0x70, 'funcref'],
  [0x6f, 'externref'],
  [0x69, 'exnref'],
]);
/** none, noextern, nofunc, noexn, any, eq, i31, struct, array, cont and nocont, as one-byte reference types. */
const GC_TYPES = new Set([0x71, 0x72, 0x73, 0x74, 0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x68, 0x75]);

/** A value type; what is seen of newer proposals goes to `features`. */
export function readCoreValueType(r: ByteReader, features: Set<CoreFeature>): CoreValueType {
  const at = r.offset;
  const byte = r.u8();
  const plain = VALUE_TYPES.get(byte);
  if (plain !== undefined) {
    if (plain === 'exnref') features.add('exception-references');
    return plain;
  }
  if (GC_TYPES.has(byte)) {
    features.add('gc');
    return 'gc-ref';
  }
  if (byte === 0x63 || byte === 0x64) return readHeapType(r, features);
  return r.fail(`core value type 0x${byte.toString(16)}`, at);
}

/** What a reference refers to: a type index, func, extern, or a type of the GC and exception proposals. */
export function readHeapType(r: ByteReader, features: Set<CoreFeature>): CoreValueType {
  const at = r.offset;
  if (r.peek() === 0x65) {
    r.u8();
    features.add('shared-memory');
  }
  const heap = r.s33();
  if (heap >= 0) return 'ref';
  const byte = heap + 0x80;
  if (byte === 0x70) return 'funcref';
  if (byte === 0x6f) return 'externref';
  if (byte === 0x69) {
    features.add('exception-references');
    return 'exnref';
  }
  if (!GC_TYPES.has(byte)) r.fail(`heap type ${heap}`, at);
  features.add('gc');
  return 'gc-ref';
}
