/**
 * Bodies and error names of `http-client:distro:sys` (runtime-modules.md §7), spelled as on the wire: actions, their responses, and the
 * events of WebSockets, which come as requests under the id of the request that opened them.
 */
import { dictionary, option, record, text, u16, u32, union, unit, type Decoded } from './codec.ts';
import { wsMessageType } from './http-server-api.ts';

export const httpClientAction = union({
  /** The body is the blob. */
  Http: record({ method: text, version: option(text), url: text, headers: dictionary(text) }),
  /** `channel_id` is the caller's choice. */
  WebSocketOpen: record({ url: text, headers: dictionary(text), channel_id: u32 }),
  /** The payload is the blob. */
  WebSocketPush: record({ channel_id: u32, message_type: wsMessageType }),
  WebSocketClose: record({ channel_id: u32 }),
});
export type HttpClientAction = Decoded<typeof httpClientAction>;

export const httpClientError = union({
  MalformedRequest: unit,
  BadMethod: record({ method: text }),
  BadUrl: record({ url: text }),
  BadVersion: record({ version: text }),
  BuildRequestFailed: text,
  ExecuteRequestFailed: text,
  WsOpenFailed: record({ url: text }),
  WsPushUnknownChannel: record({ channel_id: u32 }),
  WsPushNoBlob: unit,
  WsPushBadText: unit,
  WsCloseFailed: record({ channel_id: u32 }),
});
export type HttpClientError = Decoded<typeof httpClientError>;

export const httpClientResponse = union({
  Ok: union({
    /** The body is the blob; names are re-cased (`Content-Type`). */
    Http: record({ status: u16, headers: dictionary(text) }),
    WebSocketAck: unit,
  }),
  Err: httpClientError,
});
export type HttpClientResponse = Decoded<typeof httpClientResponse>;

/**
 * Events of a WebSocket, sent to the process that opened it, under the id of the request that did. A WebSocketClose that the node caused has
 * the reason as its metadata: mailbox-full, no-room-for-message, message-too-long, not-websocket, peer-does-not-read.
 */
export const httpClientRequest = union({
  WebSocketPush: record({ channel_id: u32, message_type: wsMessageType }),
  WebSocketClose: record({ channel_id: u32 }),
});
export type HttpClientRequest = Decoded<typeof httpClientRequest>;
