/**
 * Bodies and error names of `http-server:distro:sys` (runtime-modules.md §6, §8), spelled as on the wire: actions that processes send,
 * requests that the module sends to them, and the answer they give to an HTTP request.
 */
import {
  bool,
  bytes,
  dictionary,
  option,
  record,
  text,
  u16,
  u32,
  u64,
  union,
  unit,
  type Decoded,
} from './codec.ts';
import { processId } from './codec-ids.ts';

/** Kinds of WebSocket frames, on both sides of the socket. */
export const wsMessageType = union({
  Text: unit,
  Binary: unit,
  Ping: unit,
  Pong: unit,
  Close: unit,
});
export type WsMessageType = Decoded<typeof wsMessageType>['kind'];

/** Whether a frame of an extension becomes a request or the response that its process awaits. */
export const messageType = union({ Request: unit, Response: unit });
export type MessageType = Decoded<typeof messageType>['kind'];

/** What processes ask of the module. */
export const httpServerAction = union({
  /** With `cache` the content is the blob, and GET is answered without asking the process. */
  Bind: record({ path: text, authenticated: bool, local_only: bool, cache: bool }),
  /** As Bind, reached only through the package's own subdomain, and authenticated. */
  SecureBind: record({ path: text, cache: bool }),
  Unbind: record({ path: text }),
  WebSocketBind: record({ path: text, authenticated: bool, extension: bool }),
  WebSocketSecureBind: record({ path: text, extension: bool }),
  WebSocketUnbind: record({ path: text }),
  /** Only ever sent to processes. */
  WebSocketOpen: record({ path: text, channel_id: u32 }),
  /** The payload is the blob. */
  WebSocketPush: record({ channel_id: u32, message_type: wsMessageType }),
  /** To the extension on a channel, which is to answer in the module's place; the payload is the blob. */
  WebSocketExtPushOutgoing: record({
    channel_id: u32,
    message_type: wsMessageType,
    desired_reply_type: messageType,
  }),
  /** Only ever sent by extensions. */
  WebSocketExtPushData: record({ id: u64, hyperware_message_type: messageType, blob: bytes }),
  WebSocketClose: u32,
  /**
   * A file that the extension on a channel sends as bulk frames (wit/hn-ext/bulk.ts): written to that path of vfs, where the caller must be
   * allowed to. Answered when it is whole and has the hash, or cannot come. Ours (findings F46).
   */
  ChannelReceive: record({ channel_id: u32, transfer: u32, path: text, size: u64, sha256: text }),
  /** The same to the extension, of a file that the caller may read. Answered when all of it is sent. */
  ChannelSend: record({ channel_id: u32, transfer: u32, path: text, size: u64 }),
  /**
   * More of an answer that was given with the header `x-hyperware-stream: 1`; the bytes are the blob. Answered when the client's connection
   * has taken them. `fin`: that was all. `abort`: there is more, but it will not come: the connection is cut, so that nobody takes
   * what was sent for everything.
   */
  HttpStreamPush: record({ request_id: text, fin: bool, abort: option(bool) }),
});
export type HttpServerAction = Decoded<typeof httpServerAction>;

export const httpServerError = union({
  MalformedRequest: unit,
  NoBlob: unit,
  InvalidSourceProcess: unit,
  WsPingPongTooLong: unit,
  WsChannelNotFound: unit,
  /** The client has gone, the answer has ended, or it never was one in pieces. */
  StreamClosed: unit,
  /** Why a file did not come or go as a whole. */
  TransferFailed: text,
});
export type HttpServerError = Decoded<typeof httpServerError>;

/** A Rust `Result<(), E>`: success is `{"Ok":null}`, not `"Ok"`. */
export const httpServerResponse = union({ Ok: option(unit), Err: httpServerError });

/** An HTTP request as a process receives it; the request's body is the blob, always there. */
export const incomingHttpRequest = record({
  source_socket_addr: option(text),
  method: text,
  /** Scheme `http`, host without port, path; no query. */
  url: text,
  bound_path: text,
  /** Names in lower case. */
  headers: dictionary(text),
  /** Values stay percent-encoded. */
  url_params: dictionary(text),
  query_params: dictionary(text),
});
export type IncomingHttpRequest = Decoded<typeof incomingHttpRequest>;

/** What the module sends to processes, as requests. */
export const httpServerRequest = union({
  Http: incomingHttpRequest,
  WebSocketOpen: record({
    path: text,
    channel_id: u32,
    source_socket_addr: option(text),
    forwarded_for: option(text),
  }),
  /** The payload is the blob. */
  WebSocketPush: record({ channel_id: u32, message_type: wsMessageType }),
  WebSocketClose: u32,
  /** The client of an answer in pieces has gone before its end. */
  HttpStreamClosed: record({ request_id: text }),
});
export type HttpServerRequest = Decoded<typeof httpServerRequest>;

/** A process's answer to `Http`; the body is the blob. */
export const httpResponse = record({ status: u16, headers: dictionary(text) });
export type HttpResponse = Decoded<typeof httpResponse>;

/** The body of a request to `/rpc:distro:sys/message` (runtime-modules.md §6.10), from kit and other programs of this machine. */
export const rpcRequest = record({
  process: processId,
  node: option(text),
  /** Without effect, as `context`. */
  inherit: option(bool),
  expects_response: option(u64),
  body: option(text),
  metadata: option(text),
  context: option(text),
  mime: option(text),
  /** The blob, in base64. */
  data: option(text),
});
export type RpcRequest = Decoded<typeof rpcRequest>;
