/** Values as core parameters and results: the canonical ABI's lift_flat and lower_flat. */
import { caseTypes, layoutOf } from './layout.ts';
import { loadList, lowerHandle, storeList } from './memory.ts';
import { loadString, storeString } from './strings.ts';
import type { CallScope } from './context.ts';
import { camelCase } from './types.ts';
import type { CoreType, CoreValue, ValueType, VariantLike } from './types.ts';
import * as values from './values.ts';

/** Lifts the value that starts at `flat[at]`. @throws Trap as the specification says */
export function liftFlat(
  scope: CallScope,
  type: ValueType,
  flat: readonly CoreValue[],
  at = 0,
): unknown {
  const i32 = () => Number(flat[at]) | 0;
  switch (type.kind) {
    case 'bool':
      return i32() !== 0;
    case 'u8':
      return i32() & 0xff;
    case 's8':
      return (i32() << 24) >> 24;
    case 'u16':
      return i32() & 0xffff;
    case 's16':
      return (i32() << 16) >> 16;
    case 'u32':
      return i32() >>> 0;
    case 's32':
      return i32();
    case 'u64':
      return BigInt.asUintN(64, BigInt(flat[at] ?? 0));
    case 's64':
      return BigInt.asIntN(64, BigInt(flat[at] ?? 0));
    case 'f32':
    case 'f64':
      return Number(flat[at]);
    case 'char':
      return values.liftChar(scope, i32() >>> 0);
    case 'string':
      return loadString(scope, i32() >>> 0, Number(flat[at + 1]) >>> 0);
    case 'list':
      return loadList(scope, type.element, i32() >>> 0, Number(flat[at + 1]) >>> 0);
    case 'own':
      return scope.ctx.resources.take(type.resource, i32() >>> 0);
    case 'borrow':
      return scope.lend(type.resource, i32() >>> 0);
    case 'flags':
      return values.flagsValue(
        type,
        layoutOf(type).flat.map((_, i) => Number(flat[at + i])),
      );
    case 'tuple':
      return liftSequence(scope, type.types, flat, at);
    case 'record': {
      const types = type.fields.map((field) => field.type);
      const members = liftSequence(scope, types, flat, at);
      return Object.fromEntries(type.fields.map((field, i) => [camelCase(field.name), members[i]]));
    }
    case 'variant':
    case 'enum':
    case 'option':
    case 'result':
      return liftVariant(scope, type, flat, at);
  }
}

/** Appends a value's core values to `out`. */
export function lowerFlat(
  scope: CallScope,
  type: ValueType,
  value: unknown,
  out: CoreValue[],
): void {
  switch (type.kind) {
    case 'bool':
      out.push(value === true ? 1 : 0);
      return;
    case 'u8':
      out.push(values.numberOf(scope, type, value) & 0xff);
      return;
    case 's8':
      out.push((values.numberOf(scope, type, value) << 24) >> 24);
      return;
    case 'u16':
      out.push(values.numberOf(scope, type, value) & 0xffff);
      return;
    case 's16':
      out.push((values.numberOf(scope, type, value) << 16) >> 16);
      return;
    case 'u32':
    case 's32':
      out.push(values.numberOf(scope, type, value) | 0);
      return;
    case 'u64':
    case 's64':
      out.push(BigInt.asIntN(64, values.bigintOf(scope, type, value)));
      return;
    case 'f32':
      out.push(Math.fround(values.numberOf(scope, type, value)));
      return;
    case 'f64':
      out.push(values.numberOf(scope, type, value));
      return;
    case 'char':
      out.push(values.lowerChar(scope, value));
      return;
    case 'string':
      out.push(...storeString(scope, values.stringOf(scope, value)));
      return;
    case 'list':
      out.push(...storeList(scope, type.element, value));
      return;
    case 'own':
    case 'borrow':
      out.push(lowerHandle(scope, type, value));
      return;
    case 'flags':
      out.push(...values.flagWords(scope, type, value));
      return;
    case 'tuple': {
      const list = values.arrayOf(scope, 'tuple', value);
      type.types.forEach((one, i) => lowerFlat(scope, one, list[i], out));
      return;
    }
    case 'record': {
      const record = values.objectOf(scope, 'record', value);
      for (const field of type.fields)
        lowerFlat(scope, field.type, record[camelCase(field.name)], out);
      return;
    }
    case 'variant':
    case 'enum':
    case 'option':
    case 'result':
      return lowerVariant(scope, type, value, out);
  }
}

function liftSequence(
  scope: CallScope,
  types: readonly ValueType[],
  flat: readonly CoreValue[],
  at: number,
): unknown[] {
  let next = at;
  return types.map((type) => {
    const value = liftFlat(scope, type, flat, next);
    next += layoutOf(type).flat.length;
    return value;
  });
}

function liftVariant(
  scope: CallScope,
  type: VariantLike,
  flat: readonly CoreValue[],
  at: number,
): unknown {
  const types = caseTypes(type);
  const index = Number(flat[at]) >>> 0;
  if (index >= types.length)
    scope.ctx.trap(`${index} is no case of a ${type.kind} with ${types.length}`);
  const one = types[index];
  if (one === undefined) return values.caseValue(type, index, undefined);
  const joined = layoutOf(type).flat;
  const payload = layoutOf(one).flat.map((want, i) =>
    narrow(flat[at + 1 + i] ?? 0, joined[i + 1] ?? want, want),
  );
  return values.caseValue(type, index, liftFlat(scope, one, payload));
}

function lowerVariant(scope: CallScope, type: VariantLike, value: unknown, out: CoreValue[]): void {
  const { index, payload } = values.caseOf(scope, type, value);
  out.push(index);
  const one = caseTypes(type)[index];
  const flat: CoreValue[] = [];
  if (one !== undefined) lowerFlat(scope, one, payload, flat);
  const have = one === undefined ? [] : layoutOf(one).flat;
  layoutOf(type)
    .flat.slice(1)
    .forEach((want, i) => out.push(widen(flat[i] ?? 0, have[i] ?? 'i32', want)));
}

const scratch = new DataView(new ArrayBuffer(8));

/** A core value of a joined type, back to the case's own. */
function narrow(value: CoreValue, have: CoreType, want: CoreType): CoreValue {
  if (have === want) return value;
  if (have === 'i32') scratch.setInt32(0, Number(value), true);
  else scratch.setBigInt64(0, BigInt(value), true);
  if (want === 'i32') return scratch.getInt32(0, true);
  return want === 'f32' ? scratch.getFloat32(0, true) : scratch.getFloat64(0, true);
}

/** A case's core value, as the joined type; missing ones are i32 zeros. */
function widen(value: CoreValue, have: CoreType, want: CoreType): CoreValue {
  if (have === want) return value;
  if (want === 'f32' || want === 'f64') return 0;
  scratch.setBigUint64(0, 0n, true);
  if (Number.isNaN(value)) {
    if (have === 'f32') scratch.setUint32(0, 0x7fc0_0000, true);
    else scratch.setBigUint64(0, 0x7ff8_0000_0000_0000n, true);
  } else if (have === 'f32') scratch.setFloat32(0, Number(value), true);
  else if (have === 'f64') scratch.setFloat64(0, Number(value), true);
  else if (have === 'i32') scratch.setInt32(0, Number(value), true);
  return want === 'i32' ? scratch.getInt32(0, true) : scratch.getBigInt64(0, true);
}
