/**
 * What carries frames between two nodes, before anybody knows who they are (networking.md §4): one interface, of which TCP, WebSocket and the
 * in-memory network are implementations that pass one suite (`testing/transport-suite.ts`).
 */
import type { Result } from '../../wit/types.ts';
import type { Ports } from '../../wit/net-api.ts';

export type TransportKind = 'tcp' | 'ws';
/** In the order they are tried (§7). */
export const TRANSPORT_KINDS: readonly TransportKind[] = ['tcp', 'ws'];

export interface NetAddress {
  /** An IP address as text, IPv6 without brackets. */
  readonly ip: string;
  readonly port: number;
}

/** Why there is no connection; a few words for diagnostics. */
export type DialRefusal = string;

export interface ConnectionHandler {
  /** A handshake unit or a sealed chunk. The bytes are the handler's during the call only. */
  onFrame(frame: Uint8Array): void;
  /** A length that stands before a message, where `lengthNext` asked for it. */
  onLength(length: number): void;
  /** What was buffered has been passed on. */
  onDrain(): void;
  /** It is over, for whatever reason; told once, after everything else, and never from within a call of ours. */
  onEnd(reason: string): void;
}

export interface Connection {
  readonly kind: TransportKind;
  /** Where the length of a message stands as the reference has it (§4.3). */
  readonly lengths: 'clear' | 'sealed';
  /** The other end's IP address. */
  readonly remoteIp: string;
  /** Bytes taken and not yet passed on. */
  readonly bufferedBytes: number;
  /** The next thing to come is a `clear` length; the handler sets it. Means nothing where lengths are sealed. */
  lengthNext: boolean;
  /** Frames go to this handler from now on; nothing is read before the first call. */
  attach(handler: ConnectionHandler): void;
  /** One frame, given in pieces, which are no longer the caller's: long ones are released. Never refuses: look at `bufferedBytes` first. */
  send(pieces: readonly Uint8Array[], clearLength?: number): void;
  /** What was sent last may be answered within a moment. */
  stayAwake(): void;
  /** Shows that we are here, where the transport has a way. */
  ping(): void;
  pause(): void;
  resume(): void;
  /** Ends it when all that was sent has been passed on. */
  end(): void;
  /** Ends it now. */
  destroy(): void;
  /**
   * Carries everything between two connections of one kind from now on, unread; whatever either has received already goes first. Either
   * end ends both. False, and nothing happens, when they cannot be joined. `onBytes` is told of traffic, `onEnd` once.
   */
  spliceWith(other: Connection, watch: SpliceWatch): boolean;
}

export interface SpliceWatch {
  onBytes(bytes: number): void;
  onEnd(): void;
}

export interface Listener {
  /** Where it listens; the port asked for, or a free one. */
  readonly port: number;
  /** Takes no more connections; those taken live on. */
  close(): Promise<void>;
}

export interface Transport {
  readonly kind: TransportKind;
  /** `signal` ends the attempt. Never rejects. */
  dial(to: NetAddress, signal: AbortSignal): Promise<Result<Connection, DialRefusal>>;
  /** @throws Error of the host when the port cannot be had */
  listen(at: NetAddress, accept: (connection: Connection) => void): Promise<Listener>;
}

/** The port a protocol is offered on; 0 means it is not (§1). */
export function portOf(ports: Ports, kind: TransportKind): number | undefined {
  const port = ports.get(kind);
  return port === 0 ? undefined : port;
}
