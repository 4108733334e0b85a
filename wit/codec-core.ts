/**
 * What every codec is made of: the interface, where a decode stands, and how text becomes a tree. `codec.ts` has the codecs.
 */
import { parseTree, type JsonTree } from './codec-json.ts';
import type { Result } from './types.ts';

/** The first place where text and schema disagree. `path` is like `action.ReadExact.length`, '' for the whole body. */
export interface Mismatch {
  readonly path: string;
  readonly expected: string;
}

export interface Codec<T> {
  /** Whole body, as UTF-8 bytes, text, or a tree that is parsed already. */
  decode(input: Uint8Array | string | Parsed): Result<T, Mismatch>;
  /** Compact JSON text of a value. */
  stringify(value: T): string;
  /** Compact JSON, UTF-8. The caller owns the bytes. */
  encode(value: T): Uint8Array;
  /** The schema as a reader would note it, such as `{path: text, create: bool}`. */
  readonly description: string;
  /** For codecs that contain this one: reads a tree, or notes the mismatch and returns `FAILED`. */
  readonly read: (tree: JsonTree, fault: Fault) => T | typeof FAILED;
  /** True when a missing record field is not a mismatch; its value is then undefined. */
  readonly optional: boolean;
  /** True for `unit`: as a union variant it may be a bare string. */
  readonly unit: boolean;
}

/** The type a codec decodes to. */
export type Decoded<C> = C extends Codec<infer T> ? T : never;

/** Wraps a parsed tree, so that it cannot be mistaken for text. */
export class Parsed {
  readonly tree: JsonTree;
  constructor(tree: JsonTree) {
    this.tree = tree;
  }
}

/** What `read` returns instead of a value. */
export const FAILED: unique symbol = Symbol('failed');

/** Where a decode stands, and the first mismatch once there is one. */
export class Fault {
  readonly path: (string | number)[] = [];
  mismatch: Mismatch | undefined;

  fail(expected: string): typeof FAILED {
    this.mismatch ??= { path: this.path.join('.'), expected };
    return FAILED;
  }
}

interface Shape<T> {
  readonly description: string;
  readonly read: Codec<T>['read'];
  readonly write: (value: T) => string;
  readonly optional?: boolean;
  readonly unit?: boolean;
}

let utf8Decoder: TextDecoder | undefined;

/** Builds a codec of one's own; `write` returns JSON text. */
export function codec<T>(shape: Shape<T>): Codec<T> {
  const { description, read, write } = shape;
  return {
    description,
    read,
    optional: shape.optional ?? false,
    unit: shape.unit ?? false,
    stringify: write,
    encode: (value) => new TextEncoder().encode(write(value)),
    decode(input) {
      const tree = treeOf(input);
      if (!tree.ok) return tree;
      const fault = new Fault();
      const value = read(tree.value, fault);
      if (value !== FAILED) return { ok: true, value };
      return { ok: false, error: fault.mismatch ?? { path: '', expected: description } };
    },
  };
}

function treeOf(input: Uint8Array | string | Parsed): Result<JsonTree, Mismatch> {
  if (input instanceof Parsed) return { ok: true, value: input.tree };
  let text: string;
  if (typeof input === 'string') text = input;
  else {
    utf8Decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    try {
      text = utf8Decoder.decode(input);
    } catch {
      return { ok: false, error: { path: '', expected: 'UTF-8' } };
    }
  }
  const tree = parseTree(text);
  return tree.ok ? tree : { ok: false, error: { path: '', expected: `JSON: ${tree.error}` } };
}

/** Notes a mismatch one step deeper. */
export function at(fault: Fault, step: string | number, expected: string): typeof FAILED {
  fault.path.push(step);
  return fault.fail(expected);
}

/** Reads a part of a value with its step noted in the path; on failure the path stays, being reported already. */
export function inside<T>(
  fault: Fault,
  step: string | number,
  inner: Codec<T>,
  tree: JsonTree,
): T | typeof FAILED {
  fault.path.push(step);
  const value = inner.read(tree, fault);
  if (value !== FAILED) fault.path.pop();
  return value;
}
