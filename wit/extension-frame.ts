/**
 * The frames between a process and its extensions: one `WebSocketExtPushData` in MessagePack, names as texts, the blob as a list of
 * integers (runtime-modules.md §8.2, §8.3). Reading takes whatever the reference's decoder takes.
 */
import type { MessageType } from './http-server-api.ts';
import { MessagePackReader, MessagePackWriter } from './messagepack.ts';
import type { U64 } from './types.ts';

export interface ExtensionFrame {
  /** Of the kernel message that it carries or answers. */
  readonly id: U64;
  readonly type: MessageType;
  /** When decoded from `bin`, a view of the frame. */
  readonly blob: Uint8Array;
}

/** How a blob is written: as a list of integers, as the reference does, or as `bin`, which is half as long and read by all (CM17). */
export type BlobForm = 'list' | 'bin';

/** One binary message for an extension, or of one. */
export function encodeExtensionFrame(
  { id, type, blob }: ExtensionFrame,
  form: BlobForm = 'list',
): Uint8Array<ArrayBuffer> {
  const writer = new MessagePackWriter(blob.length + FRAME_HEAD_BYTES);
  writer.raw(BEFORE_ID);
  writer.u64(id);
  writer.raw(BEFORE_TYPE[type]);
  if (form === 'bin') writer.bin(blob);
  else writer.byteVector(blob);
  return writer.finish();
}

/** In which form a decoded frame carried its blob: only of `bin` it is a view of the message. */
export function blobFormOf(frame: ExtensionFrame, message: Uint8Array): BlobForm {
  return frame.blob.buffer === message.buffer ? 'bin' : 'list';
}

/** Room for everything before a blob. */
const FRAME_HEAD_BYTES = 96;

function encoded(write: (writer: MessagePackWriter) => void): Uint8Array {
  const writer = new MessagePackWriter();
  write(writer);
  return writer.finish();
}

const BEFORE_ID = encoded((writer) => {
  writer.map(1);
  writer.text('WebSocketExtPushData');
  writer.map(3);
  writer.text('id');
});

const beforeBlob = (type: MessageType): Uint8Array =>
  encoded((writer) => {
    writer.text('hyperware_message_type');
    writer.text(type);
    writer.text('blob');
  });

const BEFORE_TYPE: Readonly<Record<MessageType, Uint8Array>> = {
  Request: beforeBlob('Request'),
  Response: beforeBlob('Response'),
};

/**
 * What a message of an extension is: a frame; `another-action`, a well-formed action that extensions have no business with; or
 * undefined, anything else, which its process gets as it is. Bytes after the frame are ignored. Never throws.
 */
export function decodeExtensionFrame(
  message: Uint8Array,
): ExtensionFrame | 'another-action' | undefined {
  const reader = new MessagePackReader(message);
  if (reader.peek() !== 'map' || reader.map() !== 1) return undefined;
  const action = indexIn(reader, NAMES);
  const struct = STRUCTS[action];
  if (struct === undefined || reader.failed) return undefined;
  if (struct === 'u32') reader.u32();
  const values = struct === 'u32' ? [] : readStruct(reader, struct);
  if (reader.failed) return undefined;
  if (NAMES[action] !== 'WebSocketExtPushData') return 'another-action';
  const [id, type, blob] = values;
  // As the table below says: what did not fail has these types.
  return { id: id as U64, type: MESSAGE_TYPES[type as number]!, blob: blob as Uint8Array };
}

type FieldType = 'text' | 'bool' | 'u32' | 'u64' | 'bytes' | 'frame-type' | 'message-type';
interface Struct {
  readonly names: readonly string[];
  readonly types: readonly FieldType[];
}

const FRAME_TYPES = ['Text', 'Binary', 'Ping', 'Pong', 'Close'] as const;
const MESSAGE_TYPES = ['Request', 'Response'] as const;

/** The bodies of `HttpServerAction` in its order: variants may be given by name or by number. */
const BODIES: Readonly<Record<string, Readonly<Record<string, FieldType>> | 'u32'>> = {
  Bind: { path: 'text', authenticated: 'bool', local_only: 'bool', cache: 'bool' },
  SecureBind: { path: 'text', cache: 'bool' },
  Unbind: { path: 'text' },
  WebSocketBind: { path: 'text', authenticated: 'bool', extension: 'bool' },
  WebSocketSecureBind: { path: 'text', extension: 'bool' },
  WebSocketUnbind: { path: 'text' },
  WebSocketOpen: { path: 'text', channel_id: 'u32' },
  WebSocketPush: { channel_id: 'u32', message_type: 'frame-type' },
  WebSocketExtPushOutgoing: {
    channel_id: 'u32',
    message_type: 'frame-type',
    desired_reply_type: 'message-type',
  },
  WebSocketExtPushData: { id: 'u64', hyperware_message_type: 'message-type', blob: 'bytes' },
  WebSocketClose: 'u32',
};
const NAMES = Object.keys(BODIES);
const STRUCTS: readonly (Struct | 'u32')[] = Object.values(BODIES).map((body) =>
  body === 'u32' ? body : { names: Object.keys(body), types: Object.values(body) },
);

/** A name, or its number, as serde takes both; -1 when it is none of them. */
function indexIn(reader: MessagePackReader, names: readonly string[]): number {
  const kind = reader.peek();
  if (kind === 'text' || kind === 'bytes') return names.indexOf(reader.text());
  const index = reader.u32();
  return index < names.length ? index : -1;
}

/** A unit variant: its name, its number, or a map of one of these to nil. Its index in `names`. */
function readUnit(reader: MessagePackReader, names: readonly string[]): number {
  const tagged = reader.peek() === 'map';
  if (tagged && reader.map() !== 1) reader.failed = true;
  const index = indexIn(reader, names);
  if (tagged) reader.nil();
  if (index < 0) reader.failed = true;
  return index;
}

function readField(reader: MessagePackReader, type: FieldType): unknown {
  switch (type) {
    case 'text':
      return reader.text();
    case 'bool':
      return reader.bool();
    case 'u32':
      return reader.u32();
    case 'u64':
      return reader.u64();
    case 'bytes':
      return reader.byteVector();
    case 'frame-type':
      return readUnit(reader, FRAME_TYPES);
    case 'message-type':
      return readUnit(reader, MESSAGE_TYPES);
  }
}

/** The fields in their order: of a list of exactly them, or of a map that has each once and perhaps others. */
function readStruct(reader: MessagePackReader, { names, types }: Struct): readonly unknown[] {
  if (reader.peek() === 'list') {
    if (reader.list() !== types.length) reader.failed = true;
    return types.map((type) => (reader.failed ? undefined : readField(reader, type)));
  }
  const values: unknown[] = types.map(() => undefined);
  let missing = types.length;
  for (let entries = reader.map(); entries > 0 && !reader.failed; entries--) {
    const index = indexIn(reader, names);
    const type = types[index];
    if (type === undefined) reader.skip();
    else if (values[index] !== undefined) reader.failed = true;
    else {
      values[index] = readField(reader, type);
      missing--;
    }
  }
  if (missing > 0) reader.failed = true;
  return values;
}
