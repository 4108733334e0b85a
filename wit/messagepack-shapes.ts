/** Structs, enums, lists and maps of MessagePack as serde reads them (networking.md §5), on top of `messagepack.ts`. */
import type { MessagePackReader, MessagePackWriter } from './messagepack.ts';
import type { U64 } from './types.ts';

/** Reads one value; marks the reader as failed when it is another. */
export type Read<T> = (reader: MessagePackReader) => T;
type Reads = Readonly<Record<string, Read<unknown>>>;
export type StructOf<R extends Reads> = { readonly [K in keyof R]: ReturnType<R[K]> };

export const text: Read<string> = (reader) => reader.text();
export const bool: Read<boolean> = (reader) => reader.bool();
export const u64: Read<U64> = (reader) => reader.u64();
export const bytes: Read<Uint8Array> = (reader) => reader.byteVector();
export const u16: Read<number> = (reader) => below(reader, 0x1_0000);
export const u8: Read<number> = (reader) => below(reader, 0x100);

function below(reader: MessagePackReader, end: number): number {
  const value = reader.u64();
  if (value >= end) reader.failed = true;
  return Number(value);
}

export function optional<T>(read: Read<T>): Read<T | undefined> {
  return (reader) => {
    if (reader.peek() !== 'nil') return read(reader);
    reader.nil();
    return undefined;
  };
}

export function listOf<T>(read: Read<T>): Read<T[]> {
  return (reader) => {
    const out: T[] = [];
    for (let left = reader.list(); left > 0 && !reader.failed; left--) out.push(read(reader));
    return out;
  };
}

/** A map with texts as keys; of equal keys the last one counts. */
export function mapOf<T>(read: Read<T>): Read<Map<string, T>> {
  return (reader) => {
    const out = new Map<string, T>();
    for (let left = reader.map(); left > 0 && !reader.failed; left--) {
      const key = reader.text();
      out.set(key, read(reader));
    }
    return out;
  };
}

/** A struct: a list of exactly its fields in order, or a map with all of them by name. What it returns after a failure means nothing. */
export function struct<R extends Reads>(fields: R): Read<StructOf<R>> {
  const names = Object.keys(fields);
  const reads = Object.values(fields);
  // With its fields in place an object costs half of what adding one after another does.
  const empty: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, undefined]));
  return (reader) => {
    // Proof, of both: every field was read by its own reader, unless `failed` says otherwise.
    if (reader.peek() !== 'list') return readNamed(reader, fields) as StructOf<R>;
    const out = { ...empty };
    if (reader.list() !== names.length) reader.failed = true;
    for (let index = 0; index < names.length && !reader.failed; index++)
      out[names[index]!] = reads[index]!(reader);
    return out as StructOf<R>;
  };
}

function readNamed(reader: MessagePackReader, fields: Reads): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (let left = reader.map(); left > 0 && !reader.failed; left--) {
    const name = reader.text();
    const read = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (Object.hasOwn(out, name)) reader.failed = true;
    else if (read === undefined) reader.skip();
    else out[name] = read(reader);
  }
  for (const name of Object.keys(fields)) if (!Object.hasOwn(out, name)) reader.failed = true;
  return out;
}

/** What marks a variant without a value in `variants`. */
export const UNIT: Read<undefined> = (reader) => {
  reader.nil();
  return undefined;
};
export type VariantOf<R extends Reads> = {
  readonly [K in keyof R & string]: { readonly kind: K; readonly value: ReturnType<R[K]> };
}[keyof R & string];

/**
 * An enum, by name or by its place in `variants`: bare for a unit variant, or the only key of a map. Undefined, with the reader failed,
 * when it is none of them.
 */
export function variants<R extends Reads>(of: R): Read<VariantOf<R> | undefined> {
  const names = Object.keys(of);
  return (reader) => {
    const bare = reader.peek() !== 'map';
    if (!bare && reader.map() !== 1) reader.failed = true;
    const kind = reader.peek() === 'integer' ? names[Number(reader.u64())] : reader.text();
    const read = kind !== undefined && Object.hasOwn(of, kind) ? of[kind] : undefined;
    if (read === undefined || (bare && read !== UNIT)) reader.failed = true;
    if (reader.failed || read === undefined) return undefined;
    const value = bare ? undefined : read(reader);
    // Proof: the value was read by the reader of that kind.
    return { kind, value } as VariantOf<R>;
  };
}

/** The value of a whole body; bytes after it are ignored, as serde ignores them. */
export function decodeWith<T>(reader: MessagePackReader, read: Read<T>): T | undefined {
  const value = read(reader);
  return reader.failed ? undefined : value;
}

/** The head of a variant with a value; the value follows. */
export function writeVariant(writer: MessagePackWriter, name: string): void {
  writer.map(1);
  writer.text(name);
}
