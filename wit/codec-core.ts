/** What every codec is made of: the interface, where a decode stands, and its first and last step. `codec.ts` has the codecs. */
import { type JsonCursor, JsonReader, Malformed } from './json-reader.ts';
import type { Result } from './types.ts';

/** The first place where text and schema disagree. `path` is like `action.ReadExact.length`, '' for the whole body. */
export interface Mismatch {
  readonly path: string;
  readonly expected: string;
}

export interface Codec<T> {
  /** Whole body, as UTF-8 bytes or text. */
  decode(input: Uint8Array | string): Result<T, Mismatch>;
  /** Compact JSON text of a value. */
  stringify(value: T): string;
  /** Compact JSON, UTF-8. The caller owns the bytes. */
  encode(value: T): Uint8Array;
  /** The schema as a reader would note it, such as `{path: text, create: bool}`. */
  readonly description: string;
  /** For codecs that contain this one: reads what is next, or notes the mismatch and returns `FAILED`. @throws Malformed */
  readonly read: (json: JsonCursor, fault: Fault) => T | typeof FAILED;
  /** True when a missing record field is not a mismatch; its value is then undefined. */
  readonly optional: boolean;
  /** True for `unit`: as a union variant it may be a bare string. */
  readonly unit: boolean;
}

/** The type a codec decodes to. */
export type Decoded<C> = C extends Codec<infer T> ? T : never;

/** What `read` returns instead of a value. */
export const FAILED: unique symbol = Symbol('failed');

/** The first mismatch of a decode, once there is one. */
export class Fault {
  /** From the inside out: put together on the way back, so that what fits pays nothing for it. */
  #path: (string | number)[] | undefined;
  #expected: string | undefined;

  fail(expected: string): typeof FAILED {
    this.#expected ??= expected;
    return FAILED;
  }

  /** The failure just returned was in this part of the value. */
  at(step: string | number): typeof FAILED {
    (this.#path ??= []).push(step);
    return FAILED;
  }

  failAt(step: string | number, expected: string): typeof FAILED {
    this.fail(expected);
    return this.at(step);
  }

  mismatch(otherwise: string): Mismatch {
    return {
      path: (this.#path ?? []).toReversed().join('.'),
      expected: this.#expected ?? otherwise,
    };
  }
}

interface Shape<T> {
  readonly description: string;
  readonly read: Codec<T>['read'];
  readonly write: (value: T) => string;
  readonly optional?: boolean;
  readonly unit?: boolean;
}

/** Makes a cursor for a text, which came as `bytes` unless those are undefined. */
type OpenCursor = (text: string, bytes: Uint8Array | undefined) => JsonCursor | undefined;

let cursorOf: OpenCursor = () => undefined;

/** From now on texts are read by the cursors that `open` makes, where it makes one: see `engineCursor`. For guests. */
export function readJsonWith(open: OpenCursor): void {
  cursorOf = open;
}

let utf8Decoder: TextDecoder | undefined;
let utf8Encoder: TextEncoder | undefined;

/** Builds a codec of one's own; `write` returns JSON text. */
export function codec<T>(shape: Shape<T>): Codec<T> {
  const { description, read, write } = shape;
  return {
    description,
    read,
    optional: shape.optional ?? false,
    unit: shape.unit ?? false,
    stringify: write,
    encode: (value) => (utf8Encoder ??= new TextEncoder()).encode(write(value)),
    decode(input) {
      const bytes = typeof input === 'string' ? undefined : input;
      const text = typeof input === 'string' ? input : textOf(input);
      if (text === undefined) return { ok: false, error: { path: '', expected: 'UTF-8' } };
      const json = cursorOf(text, bytes) ?? new JsonReader(text);
      const fault = new Fault();
      try {
        const value = read(json, fault);
        if (value === FAILED) return { ok: false, error: fault.mismatch(description) };
        json.end();
        return { ok: true, value };
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        return { ok: false, error: { path: '', expected: `JSON: ${error.message}` } };
      }
    },
  };
}

function textOf(bytes: Uint8Array): string | undefined {
  utf8Decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
