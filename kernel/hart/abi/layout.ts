/** Sizes, alignments and flat core types of the canonical ABI; computed once per type object. */
import type { CoreType, FuncType, ValueType, VariantLike } from './types.ts';

/** Parameters passed as core values; more go through memory. */
const flatParamsMax = 16;
/** Results passed as core values; more go through memory. */
const flatResultsMax = 1;

export interface Layout {
  /** Bytes in linear memory. */
  readonly size: number;
  /** 1, 2, 4 or 8 bytes. */
  readonly align: number;
  readonly flat: readonly CoreType[];
  /** Of records and tuples: each member's byte offset. */
  readonly offsets: readonly number[];
  /** Of variant-likes: bytes of the discriminant, offset of the payload. */
  readonly discriminantSize: 1 | 2 | 4;
  readonly payloadOffset: number;
}

export interface CoreSignature {
  readonly params: readonly CoreType[];
  readonly results: readonly CoreType[];
  /** Parameters go through memory: the one core parameter is a pointer. */
  readonly indirectParams: boolean;
  /** The result goes through memory. */
  readonly indirectResult: boolean;
}

const layouts = new WeakMap<ValueType, Layout>();

export function layoutOf(type: ValueType): Layout {
  let layout = layouts.get(type);
  if (layout === undefined) {
    layout = compute(type);
    layouts.set(type, layout);
  }
  return layout;
}

function alignTo(offset: number, align: number): number {
  return Math.ceil(offset / align) * align;
}

/** The payload types of a variant, enum, option or result, in discriminant order. */
export function caseTypes(type: VariantLike): readonly (ValueType | undefined)[] {
  let types = cases.get(type);
  if (types === undefined) {
    types = computeCases(type);
    cases.set(type, types);
  }
  return types;
}

const cases = new WeakMap<VariantLike, readonly (ValueType | undefined)[]>();

function computeCases(type: VariantLike): readonly (ValueType | undefined)[] {
  switch (type.kind) {
    case 'variant':
      return type.cases.map((one) => one.type);
    case 'enum':
      return type.names.map(() => undefined);
    case 'option':
      return [undefined, type.type];
    case 'result':
      return [type.ok, type.err];
  }
}

/** The type that parameters have when they go through memory, and as a flat sequence. */
export function paramsTuple(type: FuncType): ValueType {
  let tuple = tuples.get(type);
  if (tuple === undefined) {
    tuple = { kind: 'tuple', types: type.params.map((param) => param.type) };
    tuples.set(type, tuple);
  }
  return tuple;
}

const tuples = new WeakMap<FuncType, ValueType>();

/** The core signature of a function that a component exports (`lift`) or imports (`lower`). */
export function flatten(type: FuncType, direction: 'lift' | 'lower'): CoreSignature {
  const flatParams = layoutOf(paramsTuple(type)).flat;
  const flatResults = type.result === undefined ? [] : layoutOf(type.result).flat;
  const indirectParams = flatParams.length > flatParamsMax;
  const indirectResult = flatResults.length > flatResultsMax;
  const params: CoreType[] = indirectParams ? ['i32'] : [...flatParams];
  if (indirectResult && direction === 'lower') params.push('i32');
  const results: CoreType[] = indirectResult
    ? direction === 'lower'
      ? []
      : ['i32']
    : [...flatResults];
  return { params, results, indirectParams, indirectResult };
}

function plain(size: number, flat: CoreType[], align = size): Layout {
  return { size, align, flat, offsets: [], discriminantSize: 1, payloadOffset: 0 };
}

function compute(type: ValueType): Layout {
  switch (type.kind) {
    case 'bool':
    case 'u8':
    case 's8':
      return plain(1, ['i32']);
    case 'u16':
    case 's16':
      return plain(2, ['i32']);
    case 'u32':
    case 's32':
    case 'char':
    case 'own':
    case 'borrow':
      return plain(4, ['i32']);
    case 'u64':
    case 's64':
      return plain(8, ['i64']);
    case 'f32':
      return plain(4, ['f32']);
    case 'f64':
      return plain(8, ['f64']);
    case 'string':
    case 'list':
      return plain(8, ['i32', 'i32'], 4);
    case 'record':
      return sequence(type.fields.map((field) => field.type));
    case 'tuple':
      return sequence(type.types);
    case 'flags':
      return flagsLayout(type.names.length);
    case 'variant':
    case 'enum':
    case 'option':
    case 'result':
      return variantLayout(type);
  }
}

function sequence(types: readonly ValueType[]): Layout {
  const offsets: number[] = [];
  const flat: CoreType[] = [];
  let end = 0;
  let align = 1;
  for (const type of types) {
    const layout = layoutOf(type);
    end = alignTo(end, layout.align);
    offsets.push(end);
    end += layout.size;
    align = Math.max(align, layout.align);
    flat.push(...layout.flat);
  }
  return {
    size: alignTo(end, align),
    align,
    flat,
    offsets,
    discriminantSize: 1,
    payloadOffset: 0,
  };
}

function flagsLayout(count: number): Layout {
  if (count === 0) return plain(0, [], 1);
  if (count <= 8) return plain(1, ['i32']);
  if (count <= 16) return plain(2, ['i32']);
  const words = Math.ceil(count / 32);
  return plain(
    4 * words,
    Array.from({ length: words }, () => 'i32' as const),
    4,
  );
}

function variantLayout(type: VariantLike): Layout {
  const types = caseTypes(type);
  const discriminantSize = types.length <= 0x100 ? 1 : types.length <= 0x10000 ? 2 : 4;
  let payloadSize = 0;
  let payloadAlign = 1;
  const joined: CoreType[] = [];
  for (const one of types) {
    if (one === undefined) continue;
    const layout = layoutOf(one);
    payloadSize = Math.max(payloadSize, layout.size);
    payloadAlign = Math.max(payloadAlign, layout.align);
    layout.flat.forEach((core, i) => {
      const before = joined[i];
      joined[i] = before === undefined ? core : join(before, core);
    });
  }
  const align = Math.max(discriminantSize, payloadAlign);
  const payloadOffset = alignTo(discriminantSize, payloadAlign);
  return {
    size: alignTo(payloadOffset + payloadSize, align),
    align,
    flat: ['i32', ...joined],
    offsets: [],
    discriminantSize,
    payloadOffset,
  };
}

function join(a: CoreType, b: CoreType): CoreType {
  if (a === b) return a;
  return (a === 'i32' && b === 'f32') || (a === 'f32' && b === 'i32') ? 'i32' : 'i64';
}
