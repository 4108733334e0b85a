/**
 * What the web server needs of its neighbours, as interfaces of its own: who may see a path (access), the login page, and WebSocket
 * channels. node.ts joins them; none of them knows another.
 */
import type { IncomingMessage } from 'node:http';
import type { ModuleRequest } from '../../kernel/module.ts';
import type { Duplex } from 'node:stream';
import type { HttpServerError, MessageType, WsMessageType } from '../../wit/http-server-api.ts';
import type { ProcessId } from '../../wit/types.ts';

/** Who asks, as far as access depends on it. */
export interface Visitor {
  /** Authority of the Host header in lower case, port included; empty without one. */
  readonly host: string;
  readonly cookie: string | undefined;
  /** For the redirect to the secure subdomain only: a client may claim it (M159). */
  readonly proto: 'http' | 'https';
  /** As the client sent it, without the query. */
  readonly path: string;
  /** Raw, without the question mark. */
  readonly query: string;
  readonly method: string;
  readonly origin: string | undefined;
  readonly secFetchSite: string | undefined;
  readonly secFetchMode: string | undefined;
}

/** What is asked for. */
export interface GuardedBinding {
  readonly process: ProcessId;
  readonly authenticated: boolean;
  /** The label of its package, such as `app-store-sys`, when it is bound to its secure subdomain. */
  readonly secureSubdomain: string | undefined;
}

/**
 * runtime-modules.md §6.8: shown, with SANDBOX when the origin is another package's; redirected (307); another package's secure subdomain
 * (403); the login page in its place.
 */
export type Access =
  | { readonly kind: 'open'; readonly sandbox?: boolean }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'login' };

/** Takes a document out of the origin it was loaded from. Pictures, styles, scripts and data are not documents. */
export const SANDBOX =
  'sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads';

/** Synchronous and pure. `isSecureLabel`: whether a label of a host name belongs to any secure binding. */
export type AccessTo = (
  visitor: Visitor,
  binding: GuardedBinding,
  isSecureLabel: (label: string) => boolean,
) => Access;

export interface LoginRequest {
  readonly host: string;
  /** Known, not claimed: by TLS of our own or a trusted proxy (F22). */
  readonly proto: 'http' | 'https';
  readonly redirect: string | undefined;
  readonly contentLength: number | undefined;
  readonly origin: string | undefined;
  readonly secFetchSite: string | undefined;
  /** The client's address without port; behind a trusted proxy, the one that proxy names. */
  readonly peer: string;
  readonly cookie: string | undefined;
  /** Rejects when the client leaves or sends more than a login needs. */
  readonly body: () => Promise<Uint8Array>;
}

export interface LoginAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** The login page and what it submits to (runtime-modules.md §6.7). */
export interface Login {
  /** For a host, as HTML. */
  page(host: string): Uint8Array;
  /** Headers for wherever the page is sent, besides its type and length. */
  pageHeaders(host: string): LoginAnswer['headers'];
  /** A file of the page, below `/login/`; undefined: there is none. */
  asset(path: string): { readonly contentType: string; readonly bytes: Uint8Array } | undefined;
  /** `POST /login`. Undefined: not a login; the request is answered like any other. */
  submit(request: LoginRequest): Promise<LoginAnswer | undefined>;
  /** `POST /logout`. */
  logout(
    request: Pick<
      LoginRequest,
      'host' | 'proto' | 'redirect' | 'origin' | 'secFetchSite' | 'cookie'
    >,
  ): LoginAnswer;
  /** `GET /login/session`: whether this browser has a session after all. */
  session(request: { readonly host: string; readonly cookie: string | undefined }): LoginAnswer;
}

/** What a channel knows of its opening. */
export interface Opening {
  readonly process: ProcessId;
  /** Without the segment of the process id; at least `/`. */
  readonly path: string;
  readonly extension: boolean;
  readonly sourceSocketAddr: string | undefined;
  readonly forwardedFor: string | undefined;
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
    request: Pick<ModuleRequest, 'id' | 'timeoutS'>,
  ): HttpServerError | undefined;
  close(owner: ProcessId, channelId: number): HttpServerError | undefined;
  processGone(process: ProcessId, restarts: boolean): void;
  shutdown(): Promise<void>;
}
