/**
 * Message bodies as declared schemas: one declaration gives decoder, encoder, type and description (style guide §4.3).
 * The JSON is serde's default form, with its tolerances: unknown fields ignored, missing options null, structs also as positional
 * arrays, unit variants also as `{"Name":null}`; a repeated field, `1.0` for an integer or trailing text is refused
 * (runtime-modules.md §1.1). Runs in guests: imports nothing of the host.
 */
import { at, codec, FAILED, inside, type Codec, type Decoded, type Fault } from './codec-core.ts';
import { isTreeList as isArray, JsonObject, valueOf, type JsonTree } from './codec-json.ts';
import { formatJson, JsonFloat, type JsonValue } from './json.ts';
import type { U64 } from './types.ts';

export {
  codec,
  FAILED,
  Parsed,
  type Codec,
  type Decoded,
  type Fault,
  type Mismatch,
} from './codec-core.ts';

// --- scalars -------------------------------------------------------------------------------------------------------------

export const text: Codec<string> = codec({
  description: 'text',
  read: (tree, fault) => (typeof tree === 'string' ? tree : fault.fail('text')),
  write: (value) => JSON.stringify(value),
});

export const bool: Codec<boolean> = codec({
  description: 'bool',
  read: (tree, fault) => (typeof tree === 'boolean' ? tree : fault.fail('bool')),
  write: String,
});

export const unit: Codec<undefined> = codec({
  description: 'null',
  unit: true,
  read: (tree, fault) => (tree === null ? undefined : fault.fail('null')),
  write: () => 'null',
});

function integer(name: string, min: number, max: number): Codec<number> {
  return codec({
    description: name,
    read: (tree, fault) =>
      typeof tree === 'number' && tree >= min && tree <= max ? tree : fault.fail(name),
    write: String,
  });
}

export const u8 = integer('u8', 0, 0xff);
export const u16 = integer('u16', 0, 0xffff);
export const u32 = integer('u32', 0, 0xffff_ffff);
export const i32 = integer('i32', -0x8000_0000, 0x7fff_ffff);

function wideInteger(name: string, min: bigint, max: bigint): Codec<U64> {
  return codec({
    description: name,
    read: (tree, fault) =>
      (typeof tree === 'number' || typeof tree === 'bigint') && tree >= min && tree <= max
        ? tree
        : fault.fail(name),
    write: String,
  });
}

/** A number up to 2^53-1, a bigint above (`U64`). */
export const u64 = wideInteger('u64', 0n, 2n ** 64n - 1n);
/** A number within +-(2^53-1), a bigint beyond. */
export const i64 = wideInteger('i64', -(2n ** 63n), 2n ** 63n - 1n);

/** Takes integers too, as serde does; always written with a fraction or exponent. Not finite: written as null, and refused. */
export const f64: Codec<number> = codec({
  description: 'f64',
  read(tree, fault) {
    if (tree instanceof JsonFloat) return tree.value;
    if (typeof tree === 'number' || typeof tree === 'bigint') return Number(tree);
    return fault.fail('f64');
  },
  write: writeFloat,
});

function writeFloat(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  const digits = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

/** A byte vector: an array of numbers 0 to 255. */
export const bytes: Codec<Uint8Array> = codec({
  description: 'bytes',
  read(tree, fault) {
    if (!isArray(tree)) return fault.fail('bytes');
    const out = new Uint8Array(tree.length);
    for (let index = 0; index < tree.length; index += 1) {
      const item = tree[index];
      if (typeof item !== 'number' || item < 0 || item > 0xff) return at(fault, index, 'u8');
      out[index] = item;
    }
    return out;
  },
  write: (value) => `[${value.join(',')}]`,
});

/** Any JSON value, with its number classes; of repeated keys the last counts. */
export const json: Codec<JsonValue> = codec({
  description: 'json',
  read: valueOf,
  write: (value) => formatJson(value),
});

// --- composites ----------------------------------------------------------------------------------------------------------

/** `null` or a missing field is undefined. */
export function option<T>(inner: Codec<T>): Codec<T | undefined> {
  return codec<T | undefined>({
    description: `${inner.description}?`,
    optional: true,
    read: (tree, fault) => (tree === null ? undefined : inner.read(tree, fault)),
    write: (value) => (value === undefined ? 'null' : inner.stringify(value)),
  });
}

export function list<T>(inner: Codec<T>): Codec<readonly T[]> {
  return codec<readonly T[]>({
    description: `[${inner.description}]`,
    read(tree, fault) {
      if (!isArray(tree)) return fault.fail('list');
      const out: T[] = [];
      for (const [index, item] of tree.entries()) {
        const value = inside(fault, index, inner, item);
        if (value === FAILED) return FAILED;
        out.push(value);
      }
      return out;
    },
    write: (value) => `[${value.map((item) => inner.stringify(item)).join(',')}]`,
  });
}

type TupleOf<C extends readonly Codec<unknown>[]> = { readonly [I in keyof C]: Decoded<C[I]> };

/** A fixed number of values, written as an array. */
export function tuple<const C extends readonly Codec<unknown>[]>(...inner: C): Codec<TupleOf<C>> {
  const codecs = inner;
  return codec<TupleOf<C>>({
    description: `(${codecs.map((each) => each.description).join(', ')})`,
    read(tree, fault) {
      if (!isArray(tree) || tree.length !== codecs.length)
        return fault.fail(`array of ${codecs.length}`);
      const out: unknown[] = [];
      for (const [index, each] of codecs.entries()) {
        const value = inside(fault, index, each, tree[index] as JsonTree);
        if (value === FAILED) return FAILED;
        out.push(value);
      }
      return out as TupleOf<C>;
    },
    write: (value) => `[${codecs.map((each, index) => each.stringify(value[index])).join(',')}]`,
  });
}

/** An object used as a dictionary; of a repeated key the last counts. */
export function dictionary<T>(inner: Codec<T>): Codec<ReadonlyMap<string, T>> {
  return codec<ReadonlyMap<string, T>>({
    description: `{[name]: ${inner.description}}`,
    read(tree, fault) {
      if (!(tree instanceof JsonObject)) return fault.fail('object');
      const out = new Map<string, T>();
      for (const [key, member] of tree.members) {
        const value = inside(fault, key, inner, member);
        if (value === FAILED) return FAILED;
        out.set(key, value);
      }
      return out;
    },
    write: (value) =>
      `{${[...value].map(([key, each]) => `${JSON.stringify(key)}:${inner.stringify(each)}`).join(',')}}`,
  });
}

type Fields = Readonly<Record<string, Codec<unknown>>>;
type RecordOf<F extends Fields> = { readonly [K in keyof F]: Decoded<F[K]> };

/** A struct. Fields are written in declaration order, options as null. */
export function record<const F extends Fields>(fields: F): Codec<RecordOf<F>> {
  const entries = Object.entries(fields);
  const indexOf = new Map(entries.map(([name], index) => [name, index]));
  const positional = (tree: readonly JsonTree[], fault: Fault): RecordOf<F> | typeof FAILED => {
    if (tree.length !== entries.length) return fault.fail(`array of ${entries.length}`);
    const out: Record<string, unknown> = {};
    for (const [index, [name, each]] of entries.entries()) {
      const value = inside(fault, name, each, tree[index] as JsonTree);
      if (value === FAILED) return FAILED;
      out[name] = value;
    }
    return out as RecordOf<F>;
  };
  return codec<RecordOf<F>>({
    description: `{${entries.map(([name, each]) => `${name}: ${each.description}`).join(', ')}}`,
    read(tree, fault) {
      if (isArray(tree)) return positional(tree, fault);
      if (!(tree instanceof JsonObject)) return fault.fail('object');
      const values: unknown[] = Array.from({ length: entries.length }, () => FAILED);
      for (const [key, member] of tree.members) {
        const index = indexOf.get(key);
        const entry = index === undefined ? undefined : entries[index];
        if (index === undefined || entry === undefined) continue;
        if (values[index] !== FAILED) return at(fault, key, 'one such field');
        const value = inside(fault, key, entry[1], member);
        if (value === FAILED) return FAILED;
        values[index] = value;
      }
      const out: Record<string, unknown> = {};
      for (const [index, [name, each]] of entries.entries()) {
        const value = values[index];
        if (value === FAILED && !each.optional) return at(fault, name, each.description);
        out[name] = value === FAILED ? undefined : value;
      }
      return out as RecordOf<F>;
    },
    write: (value) =>
      `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${each.stringify(value[name])}`).join(',')}}`,
  });
}

type UnionOf<V extends Fields> = {
  readonly [K in keyof V & string]: [Decoded<V[K]>] extends [undefined]
    ? { readonly kind: K; readonly value?: undefined }
    : { readonly kind: K; readonly value: Decoded<V[K]> };
}[keyof V & string];

/** An enum, externally tagged: `{"Name":value}`, or `"Name"` for a unit variant. */
export function union<const V extends Fields>(variants: V): Codec<UnionOf<V>> {
  const codecs = new Map(Object.entries(variants));
  const names = [...codecs.keys()].join(' | ');
  return codec<UnionOf<V>>({
    description: [...codecs]
      .map(([name, each]) => (each.unit ? name : `${name}(${each.description})`))
      .join(' | '),
    read(tree, fault) {
      if (typeof tree === 'string') {
        if (codecs.get(tree)?.unit !== true) return fault.fail(names);
        return { kind: tree, value: undefined } as unknown as UnionOf<V>;
      }
      const [member, ...others] = tree instanceof JsonObject ? tree.members : [];
      if (member === undefined || others.length > 0) return fault.fail(names);
      const each = codecs.get(member[0]);
      if (each === undefined) return fault.fail(names);
      const value = inside(fault, member[0], each, member[1]);
      return value === FAILED ? FAILED : ({ kind: member[0], value } as unknown as UnionOf<V>);
    },
    write(value) {
      const { kind, value: inner } = value as { kind: string; value?: unknown };
      const each = codecs.get(kind);
      if (each === undefined) throw new TypeError(`no variant ${kind} in ${names}`);
      return each.unit
        ? JSON.stringify(kind)
        : `{${JSON.stringify(kind)}:${each.stringify(inner)}}`;
    },
  });
}

/** A codec whose values another function accepts and prints, such as an address in a string. */
export function refined<A, B>(
  inner: Codec<A>,
  description: string,
  parse: (value: A) => B | undefined,
  format: (value: B) => A,
): Codec<B> {
  return codec<B>({
    description,
    read(tree, fault) {
      const value = inner.read(tree, fault);
      if (value === FAILED) return FAILED;
      return parse(value) ?? fault.fail(description);
    },
    write: (value) => inner.stringify(format(value)),
  });
}
