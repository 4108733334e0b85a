/** The request to a router (networking.md §8): the first unit on a connection that another node is to get. Never answered. */
import { sign, verify, type KeyObject } from 'node:crypto';
import { MessagePackReader, MessagePackWriter } from '../../wit/messagepack.ts';
import { bytes, decodeWith, struct, text, u8 } from '../../wit/messagepack-shapes.ts';
import type { NodeId } from '../../wit/types.ts';
import { PROTOCOL_VERSION } from './handshake.ts';
import { HANDSHAKE_UNIT_BYTES_MAX } from './limits.ts';

export interface RoutingRequest {
  readonly source: NodeId;
  readonly target: NodeId;
  readonly signature: Uint8Array;
}

const shape = struct({ protocol_version: u8, source: text, signature: bytes, target: text });

export function encodeRoutingRequest(
  us: { readonly name: NodeId; readonly networkingKey: KeyObject },
  target: NodeId,
  router: NodeId,
): Uint8Array {
  const writer = new MessagePackWriter();
  writer.list(4);
  writer.u64(PROTOCOL_VERSION);
  writer.text(us.name);
  writer.byteVector(sign(null, signedBytes(target, router), us.networkingKey));
  writer.text(target);
  return writer.finish();
}

/** Undefined when it is none. The version is not looked at, as the reference does not. */
export function decodeRoutingRequest(unit: Uint8Array): RoutingRequest | undefined {
  if (unit.length > HANDSHAKE_UNIT_BYTES_MAX) return undefined;
  return decodeWith(new MessagePackReader(unit), shape);
}

/** Whether the source signed this request to this router (N19). */
export function isSigned(request: RoutingRequest, router: NodeId, key: KeyObject): boolean {
  const { signature, target } = request;
  return signature.length === 64 && verify(null, signedBytes(target, router), key, signature);
}

function signedBytes(target: NodeId, router: NodeId): Uint8Array {
  return Buffer.from(target + router);
}
