/** Bodies of the messages between channels and processes, in the text that the reference writes (runtime-modules.md §6.2, §6.11). */
import {
  httpServerRequest,
  type HttpServerRequest,
  type WsMessageType,
} from '../../../wit/http-server-api.ts';

const utf8 = new TextEncoder();

/** `WebSocketOpen`, the first message of a channel. */
export function openBody(
  value: Extract<HttpServerRequest, { kind: 'WebSocketOpen' }>['value'],
): Uint8Array {
  return httpServerRequest.encode({ kind: 'WebSocketOpen', value });
}

/** `WebSocketPush`, to accompany a frame. Text by hand: a frame must not cost a walk through a schema. */
export function pushBody(channelId: number, type: WsMessageType): Uint8Array {
  return utf8.encode(`${PUSH_HEAD}${channelId}${PUSH_MIDDLE}${type}${PUSH_TAIL}`);
}

/** `WebSocketClose`, the last message of a channel. */
export function closeBody(channelId: number): Uint8Array {
  return utf8.encode(`{"WebSocketClose":${channelId}}`);
}

const PUSH_HEAD = '{"WebSocketPush":{"channel_id":';
const PUSH_MIDDLE = ',"message_type":"';
const PUSH_TAIL = '"}}';
const HEAD = utf8.encode(PUSH_HEAD);
const MIDDLE = utf8.encode(PUSH_MIDDLE);
const TAILS = (['Text', 'Binary', 'Ping', 'Pong', 'Close'] as const).map(
  (type) => [type, utf8.encode(`${type}${PUSH_TAIL}`)] as const,
);
const ZERO = 0x30;

export interface Push {
  readonly channelId: number;
  readonly type: WsMessageType;
}

/**
 * A `WebSocketPush` action in the form that serde and `JSON.stringify` write; undefined for anything else, which is for the codec to
 * judge: `1e1`, spaces, another order. It saves the codec's 2 us for each frame that a process sends.
 */
export function decodePush(body: Uint8Array): Push | undefined {
  if (!hasAt(body, HEAD, 0)) return undefined;
  let at = HEAD.length;
  let channelId = 0;
  for (; at < body.length; at++) {
    const digit = body[at]! - ZERO;
    if (digit < 0 || digit > 9) break;
    channelId = channelId * 10 + digit;
  }
  const digits = at - HEAD.length;
  const leadingZero = digits > 1 && body[HEAD.length] === ZERO;
  if (digits === 0 || digits > 10 || leadingZero || channelId > 0xffff_ffff) return undefined;
  if (!hasAt(body, MIDDLE, at)) return undefined;
  at += MIDDLE.length;
  for (const [type, tail] of TAILS)
    if (body.length === at + tail.length && hasAt(body, tail, at)) return { channelId, type };
  return undefined;
}

function hasAt(body: Uint8Array, part: Uint8Array, at: number): boolean {
  if (body.length < at + part.length) return false;
  for (let index = 0; index < part.length; index++)
    if (body[at + index] !== part[index]) return false;
  return true;
}
