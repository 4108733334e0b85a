/**
 * The reference's encoding of the process map (kernel.md §6): bincode 1.3 defaults, little-endian, fixed-width integers, 64-bit
 * lengths, trailing bytes tolerated. Used to take over a reference node's home and to write entries compactly.
 */
import { formatAddress, parseAddress, parseProcessId } from '../wit/address.ts';
import type {
  Address,
  Capability,
  LazyLoadBlob,
  OnExit,
  ProcessId,
  Request,
  Result,
  U64,
} from '../wit/types.ts';
import type { StoredEntry } from './store.ts';

export interface SignedCapability {
  readonly capability: Capability;
  /** 64 bytes, or none when nobody signed it. */
  readonly signature: Uint8Array;
}

/** An entry as the reference keeps it: with its capabilities inside. */
export interface MapEntry extends StoredEntry {
  readonly capabilities: readonly SignedCapability[];
}

/** Byte for byte what the reference writes for the entries in this order. */
export function encodeProcessMap(map: ReadonlyMap<ProcessId, MapEntry>): Uint8Array {
  const writer = new Writer();
  writer.u64(map.size);
  for (const [id, entry] of map) {
    writer.text(id);
    writeEntry(writer, entry);
  }
  return writer.bytes();
}

/** The error says what does not fit, and where in the bytes. */
export function decodeProcessMap(bytes: Uint8Array): Result<Map<ProcessId, MapEntry>, string> {
  return reading(bytes, (reader) => {
    const map = new Map<ProcessId, MapEntry>();
    for (let left = reader.length(); left > 0; left--)
      map.set(reader.processId(), readEntry(reader));
    return map;
  });
}

/** One entry without its capabilities. */
export function encodeEntry(entry: StoredEntry): Uint8Array {
  const writer = new Writer();
  writeEntry(writer, { ...entry, capabilities: [] });
  return writer.bytes();
}

export function decodeEntry(bytes: Uint8Array): Result<StoredEntry, string> {
  return reading(bytes, (reader) => {
    const { capabilities: _none, ...entry } = readEntry(reader);
    return entry;
  });
}

function writeEntry(writer: Writer, entry: MapEntry): void {
  writer.text(entry.wasmBytesHandle);
  writer.option(entry.witVersion, (version) => writer.u32(version));
  writeOnExit(writer, entry.onExit);
  writeCapabilities(writer, entry.capabilities);
  writer.flag(entry.public);
}

function readEntry(reader: Reader): MapEntry {
  return {
    wasmBytesHandle: reader.text(),
    witVersion: reader.option(() => reader.u32()),
    onExit: readOnExit(reader),
    capabilities: readCapabilities(reader),
    public: reader.flag(),
  };
}

const ON_EXIT_KINDS = ['none', 'restart', 'requests'] as const;

function writeOnExit(writer: Writer, onExit: OnExit): void {
  writer.u32(ON_EXIT_KINDS.indexOf(onExit.kind));
  if (onExit.kind !== 'requests') return;
  writer.u64(onExit.requests.length);
  for (const { target, request, blob } of onExit.requests) {
    writer.text(formatAddress(target));
    writeRequest(writer, request);
    writer.option(blob, (present) => {
      writer.option(present.mime, (mime) => writer.text(mime));
      writer.data(present.bytes);
    });
  }
}

function readOnExit(reader: Reader): OnExit {
  const kind = ON_EXIT_KINDS[reader.u32()];
  if (kind === undefined) throw new Malformed('an unknown on-exit');
  if (kind !== 'requests') return { kind };
  const requests = reader.list(() => ({
    target: reader.address(),
    request: readRequest(reader),
    blob: reader.option((): LazyLoadBlob => ({
      mime: reader.option(() => reader.text()),
      bytes: reader.data(),
    })),
  }));
  return { kind, requests };
}

function writeRequest(writer: Writer, request: Request): void {
  writer.flag(request.inherit);
  writer.option(request.expectsResponse, (seconds) => writer.u64(seconds));
  writer.data(request.body);
  writer.option(request.metadata, (metadata) => writer.text(metadata));
  const unsigned = request.capabilities.map((capability) => ({
    capability,
    signature: new Uint8Array(),
  }));
  writeCapabilities(writer, unsigned);
}

function readRequest(reader: Reader): Request {
  return {
    inherit: reader.flag(),
    expectsResponse: reader.option(() => reader.u64()),
    body: reader.data(),
    metadata: reader.option(() => reader.text()),
    capabilities: readCapabilities(reader).map(({ capability }) => capability),
  };
}

function writeCapabilities(writer: Writer, capabilities: readonly SignedCapability[]): void {
  writer.u64(capabilities.length);
  for (const { capability, signature } of capabilities) {
    writer.text(formatAddress(capability.issuer));
    writer.text(capability.params);
    writer.data(signature);
  }
}

function readCapabilities(reader: Reader): SignedCapability[] {
  return reader.list(() => ({
    capability: { issuer: reader.address(), params: reader.text() },
    signature: reader.data(),
  }));
}

/** Never leaves this file. */
class Malformed extends Error {}

function reading<T>(bytes: Uint8Array, read: (reader: Reader) => T): Result<T, string> {
  const reader = new Reader(bytes);
  try {
    return { ok: true, value: read(reader) };
  } catch (cause) {
    if (cause instanceof Malformed)
      return { ok: false, error: `${cause.message} at byte ${reader.at}` };
    throw cause;
  }
}

class Writer {
  readonly #parts: Uint8Array[] = [];

  u32(value: number): void {
    const part = new Uint8Array(4);
    new DataView(part.buffer).setUint32(0, value, true);
    this.#parts.push(part);
  }

  u64(value: U64): void {
    const part = new Uint8Array(8);
    new DataView(part.buffer).setBigUint64(0, BigInt(value), true);
    this.#parts.push(part);
  }

  flag(value: boolean): void {
    this.#parts.push(Uint8Array.of(value ? 1 : 0));
  }

  data(value: Uint8Array): void {
    this.u64(value.length);
    this.#parts.push(value);
  }

  text(value: string): void {
    this.data(new TextEncoder().encode(value));
  }

  option<T>(value: T | undefined, write: (present: T) => void): void {
    this.flag(value !== undefined);
    if (value !== undefined) write(value);
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): U64 {
    const value = this.#view.getBigUint64(this.#take(8), true);
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }

  /** Of something that follows: no more than there are bytes left, because every element takes at least one. */
  length(): number {
    const value = this.u64();
    if (value > this.#bytes.length - this.at) throw new Malformed('a length beyond the end');
    return Number(value);
  }

  flag(): boolean {
    const value = this.#bytes[this.#take(1)];
    if (value !== 0 && value !== 1) throw new Malformed('neither true nor false');
    return value === 1;
  }

  data(): Uint8Array {
    const length = this.length();
    const start = this.#take(length);
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  text(): string {
    const bytes = this.data();
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Malformed('text that is not UTF-8');
    }
  }

  option<T>(read: () => T): T | undefined {
    return this.flag() ? read() : undefined;
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.length() }, read);
  }

  processId(): ProcessId {
    const parsed = parseProcessId(this.text());
    if (!parsed.ok) throw new Malformed(`not a process id (${parsed.error})`);
    return parsed.value;
  }

  address(): Address {
    const parsed = parseAddress(this.text());
    if (!parsed.ok) throw new Malformed(`not an address (${parsed.error})`);
    return parsed.value;
  }

  #take(length: number): number {
    const start = this.at;
    if (start + length > this.#bytes.length) throw new Malformed('the bytes end too early');
    this.at += length;
    return start;
  }
}
