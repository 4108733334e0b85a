/**
 * Types of the component model, closed and resolved: no indices, no names to look up. The JavaScript values that stand for them:
 *
 * bool boolean; u8 to s32, f32, f64 number; u64, s64 bigint; char, string string; list<u8> Uint8Array, other lists array;
 * record object with camelCase keys; tuple array; variant `{ tag, val }`; enum its name; flags object of booleans with camelCase keys;
 * option `undefined | value`, but `{ tag: 'some' | 'none', val }` around an option that is itself `undefined | value`;
 * result `{ tag: 'ok' | 'err', val }`; own and borrow the host's resource object, or the rep (a number) of a guest's resource.
 */

export type PrimitiveKind =
  | 'bool'
  | 'u8'
  | 's8'
  | 'u16'
  | 's16'
  | 'u32'
  | 's32'
  | 'u64'
  | 's64'
  | 'f32'
  | 'f64'
  | 'char'
  | 'string';

/** Identity of a resource type; compared with `===`. */
export interface ResourceType {
  /** For trap messages only. */
  readonly name: string;
  /** The component instance that defines it, as its table knows itself; undefined for the host's resources. */
  readonly implementer?: object | undefined;
  /** Runs when an owning handle is dropped. Gets the host's object or the rep. */
  readonly destructor?: ((value: unknown) => void | Promise<void>) | undefined;
}

export interface NamedType {
  readonly name: string;
  readonly type: ValueType;
}

export interface Case {
  readonly name: string;
  readonly type?: ValueType | undefined;
}

export type ValueType =
  | { readonly kind: PrimitiveKind }
  | { readonly kind: 'list'; readonly element: ValueType }
  | { readonly kind: 'record'; readonly fields: readonly NamedType[] }
  | { readonly kind: 'tuple'; readonly types: readonly ValueType[] }
  | { readonly kind: 'variant'; readonly cases: readonly Case[] }
  | { readonly kind: 'enum'; readonly names: readonly string[] }
  | { readonly kind: 'flags'; readonly names: readonly string[] }
  | { readonly kind: 'option'; readonly type: ValueType }
  | {
      readonly kind: 'result';
      readonly ok?: ValueType | undefined;
      readonly err?: ValueType | undefined;
    }
  | { readonly kind: 'own' | 'borrow'; readonly resource: ResourceType };

export type VariantLike = Extract<ValueType, { kind: 'variant' | 'enum' | 'option' | 'result' }>;

export interface FuncType {
  readonly params: readonly NamedType[];
  readonly result?: ValueType | undefined;
}

/** A value of a core function: number for i32, f32 and f64, bigint for i64. */
export type CoreValue = number | bigint;
export type CoreType = 'i32' | 'i64' | 'f32' | 'f64';

const camelNames = new Map<string, string>();
/** Distinct names remembered; they come from components, so there must be an end. */
const camelNamesMax = 10_000;

/** `some-HTTP-name` to `someHttpName`, as jco spells keys. */
export function camelCase(kebab: string): string {
  const known = camelNames.get(kebab);
  if (known !== undefined) return known;
  const [first = '', ...rest] = kebab.toLowerCase().split('-');
  const name = first + rest.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
  if (camelNames.size < camelNamesMax) camelNames.set(kebab, name);
  return name;
}

/** Whether an option is `undefined | value`; otherwise it is tagged. */
export function isNullable(option: Extract<ValueType, { kind: 'option' }>): boolean {
  return option.type.kind !== 'option' || !isNullable(option.type);
}

/** A resource type of the host: dropping the last owner calls the object's `[Symbol.dispose]`, where it has one. */
export function hostResource(name: string): ResourceType {
  return {
    name,
    destructor(value) {
      if (typeof value === 'object' && value !== null && Symbol.dispose in value) {
        const dispose = value[Symbol.dispose];
        if (typeof dispose === 'function') dispose.call(value);
      }
    },
  };
}
