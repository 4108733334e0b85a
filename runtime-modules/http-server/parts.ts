/**
 * What the web server needs of its neighbours, as interfaces of its own: who may see a path (access), the login page, and WebSocket
 * channels. node.ts joins them; none of them knows another.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ModuleRequest, ProcessEnding } from '../../kernel/module.ts';
import type { HttpServerError, MessageType, WsMessageType } from '../../wit/http-server-api.ts';
import type { ProcessId } from '../../wit/types.ts';
import type { Transfers } from './channels/transfers.ts';
import type { Access, BoundPath, Visitor } from './login/access.ts';
import type { LoginAnswer, LoginRequest, LogoutRequest } from './login/login.ts';

/** Synchronous and pure (`access.ts`). */
export type AccessTo = (
  visitor: Visitor,
  binding: BoundPath,
  isSecureLabel: (label: string) => boolean,
) => Access;

/** The login page and what it submits to (runtime-modules.md §6.7; `login.ts`). */
export interface Login {
  /** For `host`, as a visitor named it. */
  page(host: string): Uint8Array;
  /** What the page is sent with, wherever it stands. */
  pageHeaders(host: string): readonly (readonly [name: string, value: string])[];
  /** A file of the page, below `/login/`; undefined: there is none. */
  asset(path: string): { readonly contentType: string; readonly bytes: Uint8Array } | undefined;
  /** `POST /login`. Undefined: not a login; the request is answered like any other. */
  submit(request: LoginRequest): Promise<LoginAnswer | undefined>;
  /** `GET /login/session`. */
  session(request: { readonly host: string; readonly cookie: string | undefined }): LoginAnswer;
  /** `POST /logout`. */
  logout(request: LogoutRequest): LoginAnswer;
}

/** What is known of an upgrade that may become a channel. */
export interface Opening {
  /** Who bound the path. */
  readonly process: ProcessId;
  /** Without the segment of the process id; at least `/`. */
  readonly path: string;
  /** Whether its frames may answer requests (§8.3). */
  readonly extension: boolean;
  readonly sourceSocketAddr: string | undefined;
  readonly forwardedFor: string | undefined;
}

/** Other nodes, which connect at this port when they have none of their own (networking.md §4.2). */
export interface PeerSockets {
  /** Whether anybody takes them. */
  readonly open: boolean;
  /** Answers a granted upgrade and has the socket from then on. `ip`: the client's. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, ip: string): void;
  /** Ends all of them, and takes no more. */
  close(): void;
}

/** WebSocket channels and extension channels (runtime-modules.md §6.11, §8). */
export interface Channels {
  /** Open ones. */
  readonly size: number;
  /** False: no room, and nothing was written; the caller answers over HTTP. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, opening: Opening): boolean;
  push(
    owner: ProcessId,
    channelId: number,
    type: WsMessageType,
    bytes: Uint8Array | undefined,
  ): HttpServerError | undefined;
  pushExtension(
    owner: ProcessId,
    channelId: number,
    type: WsMessageType,
    replyType: MessageType,
    bytes: Uint8Array | undefined,
    request: ModuleRequest,
  ): HttpServerError | undefined;
  /** Files to and from an extension (findings F46). */
  transfers(owner: ProcessId, channelId: number): Transfers | undefined;
  close(owner: ProcessId, channelId: number): HttpServerError | undefined;
  processGone(process: ProcessId, ending: ProcessEnding): void;
  shutdown(): Promise<void>;
}
