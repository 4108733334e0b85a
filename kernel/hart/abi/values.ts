/** Conversions that memory and flat values share: scalars, discriminants, flags. */
import type { CallScope } from './context.ts';
import { camelCase, isNullable } from './types.ts';
import type { ValueType, VariantLike } from './types.ts';

type Flags = Extract<ValueType, { kind: 'flags' }>;

/** Guest i32 to char. @throws Trap for surrogates and beyond U+10FFFF */
export function liftChar(scope: CallScope, code: number): string {
  if (code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff))
    return scope.ctx.trap(`${code} is not a Unicode scalar value`);
  return String.fromCodePoint(code);
}

/** A host char's code; exactly one Unicode scalar value. */
export function lowerChar(scope: CallScope, value: unknown): number {
  const code = typeof value === 'string' ? value.codePointAt(0) : undefined;
  if (code === undefined || String.fromCodePoint(code) !== value || !value.isWellFormed())
    return mismatch(scope, 'char', value);
  return code;
}

/** A host number for an integer or float type. */
export function numberOf(scope: CallScope, type: ValueType, value: unknown): number {
  return typeof value === 'number' ? value : mismatch(scope, type.kind, value);
}

/** A host bigint for a 64-bit type; numbers that are whole are taken too. */
export function bigintOf(scope: CallScope, type: ValueType, value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return mismatch(scope, type.kind, value);
}

export function stringOf(scope: CallScope, value: unknown): string {
  return typeof value === 'string' ? value : mismatch(scope, 'string', value);
}

/** A host value's discriminant and payload. */
export function caseOf(
  scope: CallScope,
  type: VariantLike,
  value: unknown,
): { index: number; payload: unknown } {
  switch (type.kind) {
    case 'enum': {
      const index = typeof value === 'string' ? type.names.indexOf(value) : -1;
      return { index: index < 0 ? mismatch(scope, 'enum', value) : index, payload: undefined };
    }
    case 'option':
      if (isNullable(type))
        return value === undefined || value === null
          ? { index: 0, payload: undefined }
          : { index: 1, payload: value };
      return tagged(scope, value, optionTags);
    case 'result':
      return tagged(scope, value, resultTags);
    case 'variant':
      return tagged(
        scope,
        value,
        type.cases.map((one) => one.name),
      );
  }
}

/** The host value of a discriminant (already checked) and payload. */
export function caseValue(type: VariantLike, index: number, payload: unknown): unknown {
  switch (type.kind) {
    case 'enum':
      return type.names[index];
    case 'option':
      if (isNullable(type)) return index === 0 ? undefined : payload;
      return index === 0 ? { tag: 'none' } : { tag: 'some', val: payload };
    case 'result':
      return { tag: resultTags[index], val: payload };
    case 'variant': {
      const one = type.cases[index];
      return one?.type === undefined ? { tag: one?.name } : { tag: one.name, val: payload };
    }
  }
}

const optionTags = ['none', 'some'];
const resultTags = ['ok', 'err'];

function tagged(
  scope: CallScope,
  value: unknown,
  tags: readonly string[],
): { index: number; payload: unknown } {
  if (typeof value !== 'object' || value === null || !('tag' in value))
    return mismatch(scope, tags.join(' | '), value);
  const index = typeof value.tag === 'string' ? tags.indexOf(value.tag) : -1;
  if (index < 0) return mismatch(scope, tags.join(' | '), value.tag);
  return { index, payload: 'val' in value ? value.val : undefined };
}

/** Flags as 32-bit words, lowest bits first. */
export function flagWords(scope: CallScope, type: Flags, value: unknown): number[] {
  const fields = objectOf(scope, 'flags', value);
  const words: number[] = [];
  type.names.forEach((name, i) => {
    const bit = fields[camelCase(name)] === true ? 1 << (i % 32) : 0;
    words[i >> 5] = (words[i >> 5] ?? 0) | bit;
  });
  return words;
}

/** Words to flags; unknown bits are ignored, as the specification says. */
export function flagsValue(type: Flags, words: readonly number[]): Record<string, boolean> {
  const value: Record<string, boolean> = {};
  type.names.forEach((name, i) => {
    value[camelCase(name)] = (((words[i >> 5] ?? 0) >>> (i % 32)) & 1) === 1;
  });
  return value;
}

export function objectOf(scope: CallScope, kind: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return mismatch(scope, kind, value);
  // Any object may be read by key.
  return value as Record<string, unknown>;
}

/** A list or tuple. */
export function arrayOf(scope: CallScope, kind: string, value: unknown): ArrayLike<unknown> {
  if (Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    // Typed arrays have indices and a length.
    return value as unknown as ArrayLike<unknown>;
  return mismatch(scope, kind, value);
}

/** A value of the host, or of another component's glue, that is not of its type: our bug, but it must not reach a guest. */
export function mismatch(scope: CallScope, wanted: string, value: unknown): never {
  const got = typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : typeof value;
  return scope.ctx.trap(`a host function gave ${got} where ${wanted} belongs`);
}
