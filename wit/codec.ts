/**
 * Message bodies as declared schemas: one declaration gives decoder, encoder, type and description (style guide §4.3).
 * The JSON is serde's default form, with its tolerances: unknown fields ignored, missing options null, structs also as positional
 * arrays, unit variants also as `{"Name":null}`; a repeated field, `1.0` for an integer or trailing text is refused
 * (runtime-modules.md §1.1). Runs in guests: imports nothing of the host.
 */
import { codec, FAILED, type Codec, type Decoded, type Fault } from './codec-core.ts';
import { formatJson, JsonFloat, type JsonValue } from './json.ts';
import type { JsonCursor } from './json-reader.ts';
import type { U64 } from './types.ts';

export {
  codec,
  FAILED,
  type Codec,
  type Decoded,
  type Fault,
  type Mismatch,
} from './codec-core.ts';

// --- scalars -------------------------------------------------------------------------------------------------------------

export const text: Codec<string> = codec({
  description: 'text',
  read: (json, fault) => (json.kind === 'string' ? json.string() : fault.fail('text')),
  write: (value) => JSON.stringify(value),
});

export const bool: Codec<boolean> = codec({
  description: 'bool',
  read: (json, fault) => (json.kind === 'word' ? json.word() : null) ?? fault.fail('bool'),
  write: String,
});

export const unit: Codec<undefined> = codec({
  description: 'null',
  unit: true,
  read: (json, fault) =>
    json.kind === 'word' && json.word() === null ? undefined : fault.fail('null'),
  write: () => 'null',
});

function integer(name: string, min: number, max: number): Codec<number> {
  return codec({
    description: name,
    read(json, fault) {
      const value = json.kind === 'number' ? json.number() : undefined;
      return typeof value === 'number' && value >= min && value <= max ? value : fault.fail(name);
    },
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
    read(json, fault) {
      const value = json.kind === 'number' ? json.number() : undefined;
      return (typeof value === 'number' || typeof value === 'bigint') &&
        value >= min &&
        value <= max
        ? value
        : fault.fail(name);
    },
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
  read(json, fault) {
    if (json.kind !== 'number') return fault.fail('f64');
    const value = json.number();
    return value instanceof JsonFloat ? value.value : Number(value);
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
  read(json, fault) {
    if (json.kind !== 'array') return fault.fail('bytes');
    const out: number[] = [];
    for (let more = json.enter(); more; more = json.nextItem()) {
      const item = u8.read(json, fault);
      if (item === FAILED) return fault.at(out.length);
      out.push(item);
    }
    return Uint8Array.from(out);
  },
  write: (value) => `[${value.join(',')}]`,
});

/** Any JSON value, with its number classes; of repeated keys the last counts. */
export const json: Codec<JsonValue> = codec({
  description: 'json',
  read: (json) => json.value(),
  write: (value) => formatJson(value),
});

/** Any JSON value as the text it came in: for what is passed on and not looked at. The text of a value that is written is taken as valid. */
export const jsonText: Codec<string> = codec({
  description: 'json',
  read: (json) => json.valueText(),
  write: (value) => value,
});

// --- composites ----------------------------------------------------------------------------------------------------------

/** `null` or a missing field is undefined. */
export function option<T>(inner: Codec<T>): Codec<T | undefined> {
  return codec<T | undefined>({
    description: `${inner.description}?`,
    optional: true,
    read: (json, fault) => (json.skipNull() ? undefined : inner.read(json, fault)),
    write: (value) => (value === undefined ? 'null' : inner.stringify(value)),
  });
}

export function list<T>(inner: Codec<T>): Codec<readonly T[]> {
  return codec<readonly T[]>({
    description: `[${inner.description}]`,
    read(json, fault) {
      if (json.kind !== 'array') return fault.fail('list');
      const out: T[] = [];
      for (let more = json.enter(); more; more = json.nextItem()) {
        const value = inner.read(json, fault);
        if (value === FAILED) return fault.at(out.length);
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
    // Proof of the type: as many values as codecs, each read by its own.
    read: (json, fault) => positional(json, fault, codecs) as TupleOf<C> | typeof FAILED,
    write: (value) => `[${codecs.map((each, index) => each.stringify(value[index])).join(',')}]`,
  });
}

/** An array of exactly these. `names`: what a mismatch calls its place, instead of the index. */
function positional(
  json: JsonCursor,
  fault: Fault,
  codecs: readonly Codec<unknown>[],
  names?: readonly string[],
): unknown[] | typeof FAILED {
  const expected = `array of ${codecs.length}`;
  if (json.kind !== 'array') return fault.fail(expected);
  const out: unknown[] = [];
  for (let more = json.enter(); more; more = json.nextItem()) {
    const each = codecs[out.length];
    if (each === undefined) return fault.fail(expected);
    const value = each.read(json, fault);
    if (value === FAILED) return fault.at(names?.[out.length] ?? out.length);
    out.push(value);
  }
  return out.length === codecs.length ? out : fault.fail(expected);
}

/** An object used as a dictionary; of a repeated key the last counts. */
export function dictionary<T>(inner: Codec<T>): Codec<ReadonlyMap<string, T>> {
  return codec<ReadonlyMap<string, T>>({
    description: `{[name]: ${inner.description}}`,
    read(json, fault) {
      if (json.kind !== 'object') return fault.fail('object');
      const out = new Map<string, T>();
      for (let more = json.enter(); more; more = json.nextMember()) {
        const key = json.key();
        const value = inner.read(json, fault);
        if (value === FAILED) return fault.at(key);
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
  const names = Object.keys(fields);
  const codecs = Object.values(fields);
  const indexOf = new Map(names.map((name, index) => [name, index]));
  const quoted = names.map((name) => JSON.stringify(name));
  const before = quoted.map((name, index) => `${index === 0 ? '' : ','}${name}:`);
  /** Copied rather than built: all values of one codec then look alike to the engine, and adding no field is quicker. */
  const blank: Readonly<Record<string, unknown>> = Object.fromEntries(
    names.map((name) => [name, FAILED]),
  );
  /** The field that is next in the text, which as a rule is the one declared next; undefined for one that is not ours. */
  const nextField = (json: JsonCursor, expected: number): number | undefined => {
    const guess = quoted[expected];
    if (guess !== undefined && json.skipKey(guess, names[expected]!)) return expected;
    return indexOf.get(json.key());
  };
  return codec<RecordOf<F>>({
    description: `{${names.map((name, index) => `${name}: ${codecs[index]!.description}`).join(', ')}}`,
    read(json, fault) {
      const out = { ...blank };
      if (json.kind === 'array') {
        const values = positional(json, fault, codecs, names);
        if (values === FAILED) return FAILED;
        for (const [index, name] of names.entries()) out[name] = values[index];
        return out as RecordOf<F>;
      }
      if (json.kind !== 'object') return fault.fail('object');
      let missing = names.length;
      let expected = 0;
      for (let more = json.enter(); more; more = json.nextMember()) {
        const index = nextField(json, expected);
        if (index === undefined) {
          json.skip();
          continue;
        }
        const name = names[index]!;
        if (out[name] !== FAILED) return fault.failAt(name, 'one such field');
        const value = codecs[index]!.read(json, fault);
        if (value === FAILED) return fault.at(name);
        out[name] = value;
        expected = index + 1;
        missing -= 1;
      }
      if (missing > 0) {
        for (const [index, name] of names.entries()) {
          if (out[name] !== FAILED) continue;
          const { optional, description } = codecs[index]!;
          if (!optional) return fault.failAt(name, description);
          out[name] = undefined;
        }
      }
      // Proof of the type: every field was read by its codec, or is an option.
      return out as RecordOf<F>;
    },
    write(value) {
      let json = '{';
      for (let index = 0; index < names.length; index++)
        json += before[index]! + codecs[index]!.stringify(value[names[index]!]);
      return `${json}}`;
    },
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
  /** The engine compares these by identity; what it cuts out of a text it compares letter by letter, each time anew. */
  const kinds = new Map([...codecs].map(([kind, each]) => [kind, { kind, each }]));
  const names = [...codecs.keys()].join(' | ');
  return codec<UnionOf<V>>({
    description: [...codecs]
      .map(([name, each]) => (each.unit ? name : `${name}(${each.description})`))
      .join(' | '),
    read(json, fault) {
      if (json.kind === 'string') {
        const named = kinds.get(json.string());
        if (named?.each.unit !== true) return fault.fail(names);
        return { kind: named.kind, value: undefined } as unknown as UnionOf<V>;
      }
      if (json.kind !== 'object' || !json.enter()) return fault.fail(names);
      const named = kinds.get(json.key());
      if (named === undefined) return fault.fail(names);
      const { kind, each } = named;
      const value = each.read(json, fault);
      if (value === FAILED) return fault.at(kind);
      return json.nextMember() ? fault.fail(names) : ({ kind, value } as unknown as UnionOf<V>);
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
    read(json, fault) {
      const value = inner.read(json, fault);
      if (value === FAILED) return FAILED;
      return parse(value) ?? fault.fail(description);
    },
    write: (value) => inner.stringify(format(value)),
  });
}
