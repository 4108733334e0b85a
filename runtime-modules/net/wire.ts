/**
 * Kernel messages as nodes exchange them (networking.md §6): MessagePack, structs as lists, and the checks that a receiver owes itself. With
 * `bin`, which two hyperloom nodes agree on, byte vectors are `bin`; reading takes both always.
 */
import { parseAddress } from '../../wit/address.ts';
import { MessagePackReader, MessagePackWriter } from '../../wit/messagepack.ts';
import {
  bool,
  bytes,
  decodeWith,
  optional,
  type Read,
  struct,
  text,
  u64,
  variants,
} from '../../wit/messagepack-shapes.ts';
import { TextTable } from '../../wit/text-table.ts';
import { CAPABILITIES_MAX } from './limits.ts';
import { fastVectors } from './simd-vectors.ts';
import type { Address, Capability, KernelMessage } from '../../wit/types.ts';

export interface WireOptions {
  /** Byte vectors as `bin` instead of lists of integers. */
  readonly bin: boolean;
}

const NOTHING = new Uint8Array();
/** A blob longer than this is not copied into its message. */
const COPIED_BYTES_MAX = 16_384;
/** What a message takes besides its bodies, blobs and texts, roughly: addresses and heads. */
const OVERHEAD_BYTES = 320;
/** What a message weighs beside its bodies and blobs. */
const MESSAGE_WEIGHT = 1_024;

/** The encoded message. */
export function encodeMessage(message: KernelMessage, options: WireOptions): Uint8Array {
  const pieces = encodePieces(message, options);
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
}

/**
 * The encoded message in pieces: one that is new, and a long blob as itself, which must not change until they are sent. The context stays
 * here: it never leaves its node (kernel.md §1.3).
 */
export function encodePieces(
  message: KernelMessage,
  { bin }: WireOptions,
): [Uint8Array, ...Uint8Array[]] {
  const { blob } = message;
  const apart = bin && blob !== undefined && blob.bytes.length > COPIED_BYTES_MAX;
  // Of the pool, as most messages are short: memory of its own costs more than all that is written into it.
  const room = Buffer.allocUnsafe(capacityOf(message, { bin, apart }));
  const writer = new MessagePackWriter(room, fastVectors);
  write(writer, message, { bin, apart });
  // A blob is the last thing in a message.
  return apart ? [writer.finish(), blob.bytes] : [writer.finish()];
}

const SHORT_BYTES_MAX = 4_096;
const makeShortWriter = (): MessagePackWriter =>
  new MessagePackWriter(2 * SHORT_BYTES_MAX, fastVectors);
let shortWriter = makeShortWriter();

/**
 * The encoded message, if its bodies and blobs are short; good until the next call. Most messages are, and are sealed at once: memory of
 * their own would cost as much as writing them.
 */
export function encodeShort(message: KernelMessage, { bin }: WireOptions): Uint8Array | undefined {
  if (contentBytes(message) > SHORT_BYTES_MAX) return undefined;
  shortWriter.restart();
  write(shortWriter, message, { bin, apart: false });
  const encoded = shortWriter.finish();
  // Long texts have made it grow, and that is not kept.
  if (encoded.length > 2 * SHORT_BYTES_MAX) shortWriter = makeShortWriter();
  return encoded;
}

/** `apart`: without the bytes of the blob, which follow. */
function write(
  writer: MessagePackWriter,
  message: KernelMessage,
  { bin, apart }: { readonly bin: boolean; readonly apart: boolean },
): void {
  const { blob } = message;
  writer.list(6);
  writer.u64(message.id);
  address(writer, message.source);
  address(writer, message.target);
  if (message.rsvp === undefined) writer.nil();
  else address(writer, message.rsvp);
  writer.map(1);
  const { message: content, signatures = [] } = message;
  const part = content.kind === 'request' ? content.request : content.response;
  if (content.kind === 'request') {
    writer.text('Request');
    writer.list(5);
    writer.bool(part.inherit);
    if (content.request.expectsResponse === undefined) writer.nil();
    else writer.u64(content.request.expectsResponse);
  } else {
    writer.text('Response');
    writer.list(2);
    writer.list(4);
    writer.bool(part.inherit);
  }
  vector(writer, part.body, bin);
  optionalText(writer, part.metadata);
  writer.list(part.capabilities.length);
  for (const [index, { issuer, params }] of part.capabilities.entries()) {
    writer.list(2);
    writer.list(2);
    address(writer, issuer);
    writer.text(params);
    vector(writer, signatures[index] ?? NOTHING, bin);
  }
  if (content.kind === 'response') writer.nil();
  if (blob === undefined) writer.nil();
  else {
    writer.list(2);
    optionalText(writer, blob.mime);
    if (apart) writer.binHead(blob.bytes.length);
    else vector(writer, blob.bytes, bin);
  }
}

function address(writer: MessagePackWriter, { node, process }: Address): void {
  writer.address(node, process);
}

function vector(writer: MessagePackWriter, value: Uint8Array, bin: boolean): void {
  if (bin) writer.bin(value);
  else writer.byteVector(value);
}

function optionalText(writer: MessagePackWriter, value: string | undefined): void {
  if (value === undefined) writer.nil();
  else writer.text(value);
}

/** Bytes of bodies and blobs and a little, which is what a waiting message holds on to. */
export function weightOf(message: KernelMessage): number {
  return contentBytes(message) + MESSAGE_WEIGHT;
}

function contentBytes({ message, blob }: KernelMessage): number {
  const part = message.kind === 'request' ? message.request : message.response;
  return part.body.length + (blob?.bytes.length ?? 0);
}

function capacityOf(
  message: KernelMessage,
  { bin, apart }: { readonly bin: boolean; readonly apart: boolean },
): number {
  const bytes = contentBytes(message) - (apart ? (message.blob?.bytes.length ?? 0) : 0);
  // Of random bytes every other one takes two.
  return OVERHEAD_BYTES + (bin ? bytes : bytes + (bytes >>> 1));
}

/** Addresses of messages that came. */
const texts = new TextTable();
const addresses = new Map<string, Address>();
const ADDRESSES_MAX = 1_024;
const ADDRESS_CHARS_MAX = 256;

/** An address as text; other text makes the message undecodable (N4). The same address is the same object for as long as it is known. */
const addressText: Read<Address | undefined> = (reader) => {
  const name = reader.text();
  const known = addresses.get(name);
  if (known !== undefined) return known;
  const parsed = parseAddress(name);
  if (!parsed.ok) {
    reader.failed = true;
    return undefined;
  }
  if (name.length <= ADDRESS_CHARS_MAX) {
    if (addresses.size === ADDRESSES_MAX) addresses.clear();
    addresses.set(name, parsed.value);
  }
  return parsed.value;
};

const capabilityShape = struct({
  capability: struct({ issuer: addressText, params: text }),
  signature: bytes,
});
/** As `listOf`, and no longer than one message may bring. */
const capabilitiesShape: Read<ReturnType<typeof capabilityShape>[]> = (reader) => {
  const out: ReturnType<typeof capabilityShape>[] = [];
  const length = reader.list();
  if (length > CAPABILITIES_MAX) reader.failed = true;
  while (out.length < length && !reader.failed) out.push(capabilityShape(reader));
  return out;
};

const requestShape = struct({
  inherit: bool,
  expects_response: optional(u64),
  body: bytes,
  metadata: optional(text),
  capabilities: capabilitiesShape,
});
const responseShape = struct({
  inherit: bool,
  body: bytes,
  metadata: optional(text),
  capabilities: capabilitiesShape,
});
const messageShape = struct({
  id: u64,
  source: addressText,
  target: addressText,
  rsvp: optional(addressText),
  message: variants({
    Request: requestShape,
    Response: struct({ response: responseShape, context: optional(bytes) }),
  }),
  lazy_load_blob: optional(struct({ mime: optional(text), bytes })),
});

/**
 * Undefined when it is no kernel message (N4). Byte vectors that came as `bin` are views into `encoded`, which must not be written to. A
 * context is not passed on: one from elsewhere means nothing.
 */
export function decodeMessage(encoded: Uint8Array): KernelMessage | undefined {
  const read = decodeWith(new MessagePackReader(encoded, fastVectors, texts), messageShape);
  if (read?.source === undefined || read.target === undefined || read.message === undefined)
    return undefined;
  const { kind, value } = read.message;
  const part = kind === 'Request' ? value : value.response;
  const { inherit, body, metadata, capabilities: attached } = part;
  // Proof: only a failed reader leaves an issuer undefined.
  const capabilities = attached.map(({ capability }) => capability as Capability);
  const shared = { inherit, body, metadata, capabilities };
  const signatures = attached.map(({ signature }) => signature);
  return {
    id: read.id,
    source: read.source,
    target: read.target,
    rsvp: read.rsvp,
    message:
      kind === 'Request'
        ? { kind: 'request', request: { ...shared, expectsResponse: value.expects_response } }
        : { kind: 'response', response: shared, context: undefined },
    blob: read.lazy_load_blob,
    ...(signatures.length > 0 ? { signatures } : {}),
  };
}

/** Whether parts of a decoded message are views into what it was decoded from. */
export function sharesMemory(
  { message, blob, signatures = [] }: KernelMessage,
  encoded: Uint8Array,
): boolean {
  const { body } = message.kind === 'request' ? message.request : message.response;
  return [body, blob?.bytes, ...signatures].some((bytes) => bytes?.buffer === encoded.buffer);
}
