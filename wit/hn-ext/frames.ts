/** Frames of `hn-ext/1` as bytes: one MessagePack map with texts as keys (compute-market.md §10.2). Runs in guests. */
import { MessagePackReader, MessagePackWriter } from '../messagepack.ts';
import type { Result } from '../types.ts';
import { EXT_FRAME_BYTES_MAX } from './limits.ts';
import { type Body, type Field, type Frame, FRAMES, type FrameType } from './schema.ts';

const VERSION = 1;
/** Entries of a frame's map, ours and those of a later version. */
const ENTRIES_MAX = 64;
/** Elements of a list in a frame. */
const TEXTS_MAX = 256;

/** Why bytes are no frame. */
export interface FrameFault {
  /** `too_long`, `malformed`, or `unknown_type`, which a later version may have. */
  readonly code: 'too_long' | 'malformed' | 'unknown_type';
  readonly message: string;
}

export interface Numbers {
  readonly n?: number | undefined;
  readonly a?: number | undefined;
}

/** @throws TypeError for a field that is none of its type; RangeError for a frame that is too long */
export function encodeFrame<T extends FrameType>(
  t: T,
  body: Body<T>,
  { n, a }: Numbers = {},
): Uint8Array<ArrayBuffer> {
  const fields: Readonly<Record<string, Field>> = FRAMES[t].fields;
  const values: Readonly<Record<string, unknown>> = body;
  const present = Object.entries(fields).filter(([name]) => values[name] !== undefined);
  const writer = new MessagePackWriter();
  writer.map(2 + (n === undefined ? 0 : 1) + (a === undefined ? 0 : 1) + present.length);
  writer.text('v');
  writer.u64(VERSION);
  writer.text('t');
  writer.text(t);
  if (n !== undefined) {
    writer.text('n');
    writer.u64(n);
  }
  if (a !== undefined) {
    writer.text('a');
    writer.u64(a);
  }
  for (const [name, field] of present) {
    writer.text(name);
    if (!writeField(writer, field, values[name]))
      throw new TypeError(`${t}.${name} is no ${field}`);
  }
  const missing = Object.entries(fields).find(
    ([name, field]) => values[name] === undefined && !field.endsWith('?'),
  );
  if (missing !== undefined) throw new TypeError(`${t}.${missing[0]} is missing`);
  const bytes = writer.finish();
  if (bytes.length > EXT_FRAME_BYTES_MAX) throw new RangeError(`a ${t} of ${bytes.length} bytes`);
  return bytes;
}

/** Reads one frame. Unknown fields are passed over, a field that is there twice or of another type is none. */
export function decodeFrame(bytes: Uint8Array): Result<Frame, FrameFault> {
  if (bytes.length > EXT_FRAME_BYTES_MAX)
    return fault('too_long', `a frame has at most ${EXT_FRAME_BYTES_MAX} bytes`);
  const t = typeIn(bytes);
  if (t === undefined) return fault('malformed', 'no map with v 1 and a type t');
  if (!isFrameType(t)) return fault('unknown_type', `unknown type ${printable(t)}`);
  const fields: Readonly<Record<string, Field>> = {
    ...FRAMES[t].fields,
    n: 'u32?',
    a: 'u32?',
  };
  const reader = new MessagePackReader(bytes);
  const values: Record<string, unknown> = Object.create(null);
  for (let entries = reader.map(); entries > 0 && !reader.failed; entries -= 1) {
    const name = reader.text();
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined || reader.peek() === 'nil') reader.skip();
    else if (values[name] !== undefined) reader.failed = true;
    else values[name] = readField(reader, field);
  }
  if (reader.failed || reader.at !== bytes.length) return fault('malformed', `a malformed ${t}`);
  for (const [name, field] of Object.entries(fields))
    if (values[name] === undefined && !field.endsWith('?'))
      return fault('malformed', `${t} without ${name}`);
  const { n, a, ...body } = values;
  const numbered = FRAMES[t].reliable && (n === undefined || n === 0);
  if (numbered) return fault('malformed', `${t} without a number`);
  // Proof of the type: every field was read as the schema of `t` has it.
  return { ok: true, value: { t, body, n, a } as unknown as Frame };
}

/** The type, wherever in the map it stands; undefined for what is no map of this version. */
function typeIn(bytes: Uint8Array): string | undefined {
  const reader = new MessagePackReader(bytes);
  if (reader.peek() !== 'map') return undefined;
  let type: string | undefined;
  let version: number | undefined;
  const entries = reader.map();
  if (entries > ENTRIES_MAX) return undefined;
  for (let left = entries; left > 0 && !reader.failed; left -= 1) {
    // Both come first as a rule; what is behind them is read once.
    if (type !== undefined && version !== undefined) break;
    if (reader.peek() !== 'text') return undefined;
    const name = reader.text();
    if (name === 't' && reader.peek() === 'text' && type === undefined) type = reader.text();
    else if (name === 'v' && reader.peek() === 'integer') version = reader.u32();
    else reader.skip();
  }
  return reader.failed || version !== VERSION ? undefined : type;
}

function isFrameType(text: string): text is FrameType {
  return Object.hasOwn(FRAMES, text);
}

/** What may be shown of a name that somebody else chose. */
function printable(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

function readField(reader: MessagePackReader, field: Field): unknown {
  const type = field.replace('?', '');
  const kind = reader.peek();
  const fail = (): undefined => {
    reader.failed = true;
    return undefined;
  };
  switch (type) {
    case 'text':
      return kind === 'text' ? reader.text() : fail();
    case 'u32':
      return reader.u32();
    case 'bool':
      return reader.bool();
    case 'count': {
      const value = reader.u64();
      return typeof value === 'number' ? value : fail();
    }
    case 'texts': {
      const length = reader.list();
      if (length > TEXTS_MAX) return fail();
      const texts: string[] = [];
      while (texts.length < length && !reader.failed) {
        texts.push(reader.peek() === 'text' ? reader.text() : String(fail()));
      }
      return texts;
    }
    default: {
      const bytes = kind === 'bytes' ? reader.byteVector() : undefined;
      if (bytes === undefined || (type !== 'bytes' && bytes.length !== sizeOf(type))) return fail();
      return bytes;
    }
  }
}

function writeField(writer: MessagePackWriter, field: Field, value: unknown): boolean {
  const type = field.replace('?', '');
  if (type === 'text' && typeof value === 'string') writer.text(value.toWellFormed());
  else if (type === 'bool' && typeof value === 'boolean') writer.bool(value);
  else if (type === 'u32' && isCount(value) && value <= 0xffff_ffff) writer.u64(value);
  else if (type === 'count' && isCount(value)) writer.u64(value);
  else if (type === 'texts' && Array.isArray(value) && value.length <= TEXTS_MAX) {
    writer.list(value.length);
    for (const text of value as readonly unknown[]) {
      if (typeof text !== 'string') return false;
      writer.text(text.toWellFormed());
    }
  } else if (value instanceof Uint8Array && type.startsWith('b')) {
    if (type !== 'bytes' && value.length !== sizeOf(type)) return false;
    writer.bin(value);
  } else return false;
  return true;
}

function sizeOf(type: string): number {
  return type === 'b16' ? 16 : 32;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function fault(code: FrameFault['code'], message: string): Result<never, FrameFault> {
  return { ok: false, error: { code, message } };
}
