/**
 * Bodies of `net:distro:sys` (networking.md §1, §11): MessagePack, structs as lists of their fields, enums by name; reading takes what
 * serde takes. Runs in guests.
 */
import { formatAddress, parseAddress } from './address.ts';
import type { HnsUpdate } from './eth-api.ts';
import { MessagePackReader, MessagePackWriter } from './messagepack.ts';
import {
  bool,
  bytes,
  decodeWith,
  listOf,
  mapOf,
  optional,
  type Read,
  struct,
  text,
  u16,
  UNIT,
  variants,
  writeVariant,
} from './messagepack-shapes.ts';
import type { Address, NodeId } from './types.ts';

/** Port by protocol: `tcp`, `ws`. */
export type Ports = ReadonlyMap<string, number>;

/** How a node is reached. `Both` is of a registration under way only. */
export type Routing =
  | { readonly kind: 'Routers'; readonly value: readonly NodeId[] }
  | { readonly kind: 'Direct'; readonly value: { readonly ip: string; readonly ports: Ports } }
  | {
      readonly kind: 'Both';
      readonly value: {
        readonly ip: string;
        readonly ports: Ports;
        readonly routers: readonly NodeId[];
      };
    };

export interface NetIdentity {
  readonly name: NodeId;
  /** Hexadecimal, with or without `0x`. */
  readonly networking_key: string;
  readonly routing: Routing;
}

/** In the order that decoding by index follows. */
export type NetAction =
  | { readonly kind: 'ConnectionRequest'; readonly value: NodeId }
  | { readonly kind: 'HnsUpdate'; readonly value: HnsUpdate }
  | { readonly kind: 'HnsBatchUpdate'; readonly value: readonly HnsUpdate[] }
  | { readonly kind: 'GetPeers' }
  | { readonly kind: 'GetPeer'; readonly value: NodeId }
  | { readonly kind: 'GetDiagnostics' }
  | { readonly kind: 'Sign' }
  | {
      readonly kind: 'Verify';
      readonly value: { readonly from: Address; readonly signature: Uint8Array };
    };

export type NetResponse =
  | { readonly kind: 'Accepted'; readonly value: NodeId }
  | { readonly kind: 'Rejected'; readonly value: NodeId }
  | { readonly kind: 'Peers'; readonly value: readonly NetIdentity[] }
  | { readonly kind: 'Peer'; readonly value: NetIdentity | undefined }
  | { readonly kind: 'Diagnostics'; readonly value: string }
  /** The signature is the blob. */
  | { readonly kind: 'Signed' }
  | { readonly kind: 'Verified'; readonly value: boolean };

/** An address as text; other text makes the message undecodable (N4). */
export const addressText: Read<Address | undefined> = (reader) => {
  const parsed = parseAddress(reader.text());
  if (!parsed.ok) reader.failed = true;
  return parsed.ok ? parsed.value : undefined;
};

const hnsUpdate = struct({
  name: text,
  public_key: text,
  ips: listOf(text),
  ports: mapOf(u16),
  routers: listOf(text),
});

const routing = variants({
  Routers: listOf(text),
  Direct: struct({ ip: text, ports: mapOf(u16) }),
  Both: struct({ ip: text, ports: mapOf(u16), routers: listOf(text) }),
});

const identity = struct({ name: text, networking_key: text, routing });

const action = variants({
  ConnectionRequest: text,
  HnsUpdate: hnsUpdate,
  HnsBatchUpdate: listOf(hnsUpdate),
  GetPeers: UNIT,
  GetPeer: text,
  GetDiagnostics: UNIT,
  Sign: UNIT,
  Verify: struct({ from: addressText, signature: bytes }),
});

const response = variants({
  Accepted: text,
  Rejected: text,
  Peers: listOf(identity),
  Peer: optional(identity),
  Diagnostics: text,
  Signed: UNIT,
  Verified: bool,
});

/** Undefined when it is none. */
export function decodeNetAction(body: Uint8Array): NetAction | undefined {
  // Proof: only a failed reader leaves an address undefined.
  return decodeWith(new MessagePackReader(body), action) as NetAction | undefined;
}

/** Undefined when it is none. */
export function decodeNetResponse(body: Uint8Array): NetResponse | undefined {
  // Proof: only a failed reader leaves a routing undefined.
  return decodeWith(new MessagePackReader(body), response) as NetResponse | undefined;
}

export function encodeNetAction(value: NetAction): Uint8Array {
  const writer = new MessagePackWriter();
  switch (value.kind) {
    case 'GetPeers':
    case 'GetDiagnostics':
    case 'Sign':
      writer.text(value.kind);
      break;
    case 'ConnectionRequest':
    case 'GetPeer':
      writeVariant(writer, value.kind);
      writer.text(value.value);
      break;
    case 'HnsUpdate':
      writeVariant(writer, value.kind);
      writeUpdate(writer, value.value);
      break;
    case 'HnsBatchUpdate':
      writeVariant(writer, value.kind);
      writer.list(value.value.length);
      for (const update of value.value) writeUpdate(writer, update);
      break;
    case 'Verify':
      writeVariant(writer, value.kind);
      writer.list(2);
      writer.text(formatAddress(value.value.from));
      writer.byteVector(value.value.signature);
      break;
  }
  return writer.finish();
}

export function encodeNetResponse(value: NetResponse): Uint8Array {
  const writer = new MessagePackWriter();
  if (value.kind === 'Signed') {
    writer.text(value.kind);
    return writer.finish();
  }
  writeVariant(writer, value.kind);
  switch (value.kind) {
    case 'Accepted':
    case 'Rejected':
    case 'Diagnostics':
      writer.text(value.value);
      break;
    case 'Peers':
      writer.list(value.value.length);
      for (const each of value.value) writeIdentity(writer, each);
      break;
    case 'Peer':
      if (value.value === undefined) writer.nil();
      else writeIdentity(writer, value.value);
      break;
    case 'Verified':
      writer.bool(value.value);
      break;
  }
  return writer.finish();
}

function writeUpdate(writer: MessagePackWriter, update: HnsUpdate): void {
  writer.list(5);
  writer.text(update.name);
  writer.text(update.public_key);
  writeTexts(writer, update.ips);
  writePorts(writer, update.ports);
  writeTexts(writer, update.routers);
}

function writeIdentity(
  writer: MessagePackWriter,
  { name, networking_key, routing: way }: NetIdentity,
): void {
  writer.list(3);
  writer.text(name);
  writer.text(networking_key);
  writeVariant(writer, way.kind);
  if (way.kind === 'Routers') return writeTexts(writer, way.value);
  writer.list(way.kind === 'Direct' ? 2 : 3);
  writer.text(way.value.ip);
  writePorts(writer, way.value.ports);
  if (way.kind === 'Both') writeTexts(writer, way.value.routers);
}

function writeTexts(writer: MessagePackWriter, texts: readonly string[]): void {
  writer.list(texts.length);
  for (const each of texts) writer.text(each);
}

/** In the byte order of their names, as a sorted map is written. */
function writePorts(writer: MessagePackWriter, ports: Ports): void {
  writer.map(ports.size);
  for (const [name, port] of [...ports].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    writer.text(name);
    writer.u64(port);
  }
}
