/** One WebSocket to the node, without compression and without a mask that would hide nothing from anybody on this machine (findings F46). */
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { socketName } from '../../wit/hn-ext/handshake.ts';
import { encodeExtensionFrame, decodeExtensionFrame } from '../../wit/extension-frame.ts';
import { isBulk } from '../../wit/hn-ext/bulk.ts';

/** The longest message of the node: a frame in the form of twice its bytes, and its envelope. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
const CONNECT_MS_MAX = 10_000;

export interface SocketEvents {
  /** `socket`: our end of it. */
  opened(socket: string): void;
  /** A frame, out of its envelope. */
  frame(bytes: Uint8Array): void;
  bulk(bytes: Uint8Array): void;
  /** A message that is neither. */
  stray(): void;
  /** Once, also for one that never opened. */
  closed(reason: string): void;
}

export interface ExtensionSocket {
  send(frame: Uint8Array): void;
  /** A bulk frame, without envelope. */
  sendBulk(bytes: Uint8Array): void;
  /** Bytes that the host has not taken yet. */
  readonly bufferedBytes: number;
  close(code: number): void;
  terminate(): void;
}

export type Dial = (url: string, events: SocketEvents) => ExtensionSocket;

export const dialWebSocket: Dial = (url, events) => {
  const ws = new WebSocket(url, {
    perMessageDeflate: false,
    maxPayload: MESSAGE_BYTES_MAX,
    handshakeTimeout: CONNECT_MS_MAX,
    followRedirects: false,
    // Zeros: the library then leaves the bytes as they are.
    generateMask: (mask: Buffer) => void mask.fill(0),
  });
  let name = '';
  let reason = '';
  ws.on('upgrade', ({ socket }) => {
    name = socketName(socket.localAddress ?? '', socket.localPort ?? 0);
  });
  ws.on('open', () => events.opened(name));
  ws.on('message', (data: Buffer, binary) => {
    if (!binary) return events.stray();
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    if (isBulk(bytes)) return events.bulk(bytes);
    const frame = decodeExtensionFrame(bytes);
    if (typeof frame !== 'object' || frame.type !== 'Request') return events.stray();
    events.frame(frame.blob);
  });
  ws.on('error', (error) => (reason = error.message));
  ws.on('close', (code, why) => events.closed(reason || why.toString() || `closed with ${code}`));
  return {
    send: (frame) => {
      const id = randomBytes(8).readBigUInt64BE();
      ws.send(encodeExtensionFrame({ id, type: 'Request', blob: frame }, 'bin'));
    },
    sendBulk: (bytes) => ws.send(bytes),
    get bufferedBytes() {
      return ws.bufferedAmount;
    },
    close: (code) => ws.close(code),
    terminate: () => ws.terminate(),
  };
};
