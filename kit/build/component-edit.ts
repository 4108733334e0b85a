/**
 * The binary form of a component, as far as `quickjs-native.ts` and `quickjs-exports.ts` edit it: sections, and the entries of those that have indices in them.
 * An entry is kept as it is, but for the indices that the edit moves.
 */
import { BuildError } from './build-error.ts';

const HEADER_BYTES = 8;

export const SECTION = {
  custom: 0,
  coreModule: 1,
  coreInstance: 2,
  component: 4,
  instance: 5,
  alias: 6,
  canon: 8,
  import: 10,
  export: 11,
} as const;

export interface ComponentSection {
  readonly id: number;
  readonly body: Uint8Array;
}

/** @throws BuildError for bytes that are no component */
export function sectionsOf(component: Uint8Array): ComponentSection[] {
  const reader = new Reader(component, HEADER_BYTES);
  const sections: ComponentSection[] = [];
  while (!reader.done) {
    const id = reader.byte();
    sections.push({ id, body: reader.bytes(reader.u32()) });
  }
  return sections;
}

/** A component of these sections; its header is that of `like`. */
export function componentWith(like: Uint8Array, sections: readonly ComponentSection[]): Uint8Array {
  return joined([
    like.subarray(0, HEADER_BYTES),
    ...sections.flatMap(({ id, body }) => [Uint8Array.of(id, ...leb(body.length)), body]),
  ]);
}

/** A section of so many entries. */
export function sectionOf(id: number, entries: readonly Uint8Array[]): ComponentSection {
  return { id, body: joined([Uint8Array.from(leb(entries.length)), ...entries]) };
}

export class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw shapeError('truncated');
    return byte;
  }

  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw shapeError('an index is too long');
  }

  bytes(length: number): Uint8Array {
    const start = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw shapeError('truncated');
    return this.#bytes.subarray(start, this.at);
  }

  name(): string {
    return new TextDecoder().decode(this.bytes(this.u32()));
  }

  /** What lies between. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.at);
  }
}

/** LEB128. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

export function named(name: string): number[] {
  const bytes = new TextEncoder().encode(name);
  return [...leb(bytes.length), ...bytes];
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function shapeError(what: string): BuildError {
  return new BuildError(
    'componentize',
    `the QuickJS component has an unknown shape (${what}): this version of componentize-qjs is not supported`,
  );
}
