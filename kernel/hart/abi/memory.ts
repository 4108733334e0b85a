/** Values in linear memory: the canonical ABI's load and store. Pointers given to `load` and `store` are already checked. */
import { caseTypes, layoutOf } from './layout.ts';
import { loadString, storeString } from './strings.ts';
import { liftedValueBytes } from './context.ts';
import type { CallScope } from './context.ts';
import { camelCase } from './types.ts';
import type { ValueType, VariantLike } from './types.ts';
import * as values from './values.ts';

/** Reads a value. @throws Trap as the specification says */
export function load(scope: CallScope, type: ValueType, pointer: number): unknown {
  const { data } = scope;
  switch (type.kind) {
    case 'bool':
      return data.getUint8(pointer) !== 0;
    case 'u8':
      return data.getUint8(pointer);
    case 's8':
      return data.getInt8(pointer);
    case 'u16':
      return data.getUint16(pointer, true);
    case 's16':
      return data.getInt16(pointer, true);
    case 'u32':
      return data.getUint32(pointer, true);
    case 's32':
      return data.getInt32(pointer, true);
    case 'u64':
      return data.getBigUint64(pointer, true);
    case 's64':
      return data.getBigInt64(pointer, true);
    case 'f32':
      return data.getFloat32(pointer, true);
    case 'f64':
      return data.getFloat64(pointer, true);
    case 'char':
      return values.liftChar(scope, data.getUint32(pointer, true));
    case 'string':
      return loadString(scope, data.getUint32(pointer, true), data.getUint32(pointer + 4, true));
    case 'list':
      return loadList(
        scope,
        type.element,
        data.getUint32(pointer, true),
        data.getUint32(pointer + 4, true),
      );
    case 'record':
    case 'tuple':
      return loadSequence(scope, type, pointer);
    case 'flags':
      return values.flagsValue(type, loadWords(scope, type, pointer));
    case 'own':
      return scope.ctx.resources.take(type.resource, data.getUint32(pointer, true));
    case 'borrow':
      return scope.lend(type.resource, data.getUint32(pointer, true));
    case 'variant':
    case 'enum':
    case 'option':
    case 'result':
      return loadVariant(scope, type, pointer);
  }
}

/** Reads a list; bytes are copied. */
export function loadList(
  scope: CallScope,
  element: ValueType,
  pointer: number,
  length: number,
): unknown {
  const { size, align } = layoutOf(element);
  scope.check(pointer, length * size, align);
  if (element.kind === 'u8') {
    scope.spend(length);
    return scope.bytes.slice(pointer, pointer + length);
  }
  scope.spend(length * (size + liftedValueBytes));
  const list: unknown[] = [];
  for (let i = 0; i < length; i += 1) list.push(load(scope, element, pointer + i * size));
  return list;
}

/** Writes a value. Allocates in the guest for strings and lists. */
export function store(scope: CallScope, type: ValueType, value: unknown, pointer: number): void {
  const { data } = scope;
  switch (type.kind) {
    case 'bool':
      return data.setUint8(pointer, value === true ? 1 : 0);
    case 'u8':
    case 's8':
      return data.setUint8(pointer, values.numberOf(scope, type, value));
    case 'u16':
    case 's16':
      return data.setUint16(pointer, values.numberOf(scope, type, value), true);
    case 'u32':
    case 's32':
      return data.setUint32(pointer, values.numberOf(scope, type, value), true);
    case 'u64':
    case 's64':
      return data.setBigUint64(pointer, values.bigintOf(scope, type, value), true);
    case 'f32':
      return storeF32(data, pointer, values.numberOf(scope, type, value));
    case 'f64':
      return storeF64(data, pointer, values.numberOf(scope, type, value));
    case 'char':
      return data.setUint32(pointer, values.lowerChar(scope, value), true);
    case 'string':
      return storePair(scope, pointer, storeString(scope, values.stringOf(scope, value)));
    case 'list':
      return storePair(scope, pointer, storeList(scope, type.element, value));
    case 'record':
    case 'tuple':
      return storeSequence(scope, type, value, pointer);
    case 'flags':
      return storeWords(scope, type, values.flagWords(scope, type, value), pointer);
    case 'own':
    case 'borrow':
      return data.setUint32(pointer, lowerHandle(scope, type, value), true);
    case 'variant':
    case 'enum':
    case 'option':
    case 'result':
      return storeVariant(scope, type, value, pointer);
  }
}

/** Copies a list into the guest. Returns pointer and length. */
export function storeList(
  scope: CallScope,
  element: ValueType,
  value: unknown,
): [pointer: number, length: number] {
  const list = values.arrayOf(scope, 'list', value);
  const { size, align } = layoutOf(element);
  const pointer = scope.alloc(align, list.length * size);
  if (element.kind === 'u8' && list instanceof Uint8Array) {
    scope.bytes.set(list, pointer);
  } else {
    for (let i = 0; i < list.length; i += 1) store(scope, element, list[i], pointer + i * size);
  }
  return [pointer, list.length];
}

/** The index under which the guest gets a resource. */
export function lowerHandle(
  scope: CallScope,
  type: Extract<ValueType, { kind: 'own' | 'borrow' }>,
  value: unknown,
): number {
  const { resource } = type;
  const { resources } = scope.ctx;
  if (value === undefined || value === null) values.mismatch(scope, resource.name, value);
  if (type.kind === 'own') return resources.add(resource, value);
  // A component that defines the resource gets what it knows it by.
  if (resources.implements(resource) && typeof value === 'number') return value;
  return resources.add(resource, value, scope);
}

function loadSequence(
  scope: CallScope,
  type: Extract<ValueType, { kind: 'record' | 'tuple' }>,
  pointer: number,
): unknown {
  const { offsets } = layoutOf(type);
  if (type.kind === 'tuple')
    return type.types.map((one, i) => load(scope, one, pointer + (offsets[i] ?? 0)));
  const record: Record<string, unknown> = {};
  type.fields.forEach((field, i) => {
    record[camelCase(field.name)] = load(scope, field.type, pointer + (offsets[i] ?? 0));
  });
  return record;
}

function storeSequence(
  scope: CallScope,
  type: Extract<ValueType, { kind: 'record' | 'tuple' }>,
  value: unknown,
  pointer: number,
): void {
  const { offsets } = layoutOf(type);
  if (type.kind === 'tuple') {
    const list = values.arrayOf(scope, 'tuple', value);
    type.types.forEach((one, i) => store(scope, one, list[i], pointer + (offsets[i] ?? 0)));
    return;
  }
  const record = values.objectOf(scope, 'record', value);
  type.fields.forEach((field, i) => {
    store(scope, field.type, record[camelCase(field.name)], pointer + (offsets[i] ?? 0));
  });
}

function loadVariant(scope: CallScope, type: VariantLike, pointer: number): unknown {
  const layout = layoutOf(type);
  const types = caseTypes(type);
  const index = loadUint(scope, pointer, layout.discriminantSize);
  if (index >= types.length)
    scope.ctx.trap(`${index} is no case of a ${type.kind} with ${types.length}`);
  const one = types[index];
  const payload = one === undefined ? undefined : load(scope, one, pointer + layout.payloadOffset);
  return values.caseValue(type, index, payload);
}

function storeVariant(scope: CallScope, type: VariantLike, value: unknown, pointer: number): void {
  const layout = layoutOf(type);
  const { index, payload } = values.caseOf(scope, type, value);
  storeUint(scope, pointer, layout.discriminantSize, index);
  const one = caseTypes(type)[index];
  if (one !== undefined) store(scope, one, payload, pointer + layout.payloadOffset);
}

type Flags = Extract<ValueType, { kind: 'flags' }>;

function loadWords(scope: CallScope, type: Flags, pointer: number): number[] {
  const { size } = layoutOf(type);
  if (size === 1 || size === 2) return [loadUint(scope, pointer, size)];
  return Array.from({ length: size / 4 }, (_, i) => loadUint(scope, pointer + 4 * i, 4));
}

function storeWords(scope: CallScope, type: Flags, words: number[], pointer: number): void {
  const { size } = layoutOf(type);
  const width = size === 1 || size === 2 ? size : 4;
  words.forEach((word, i) => storeUint(scope, pointer + 4 * i, width, word));
}

function loadUint({ data }: CallScope, pointer: number, size: 1 | 2 | 4): number {
  if (size === 1) return data.getUint8(pointer);
  return size === 2 ? data.getUint16(pointer, true) : data.getUint32(pointer, true);
}

function storeUint({ data }: CallScope, pointer: number, size: 1 | 2 | 4, value: number): void {
  if (size === 1) data.setUint8(pointer, value);
  else if (size === 2) data.setUint16(pointer, value, true);
  else data.setUint32(pointer, value, true);
}

function storePair(scope: CallScope, pointer: number, [first, second]: [number, number]): void {
  scope.data.setUint32(pointer, first, true);
  scope.data.setUint32(pointer + 4, second, true);
}

// NaN payloads are not carried over: guests get the canonical one, whatever V8 made of it.
function storeF32(data: DataView, pointer: number, value: number): void {
  if (Number.isNaN(value)) data.setUint32(pointer, 0x7fc0_0000, true);
  else data.setFloat32(pointer, value, true);
}

function storeF64(data: DataView, pointer: number, value: number): void {
  if (Number.isNaN(value)) data.setBigUint64(pointer, 0x7ff8_0000_0000_0000n, true);
  else data.setFloat64(pointer, value, true);
}
