/**
 * Other nodes' WebSockets at a port that somebody else listens on: the web server's, which hands upgrades on (networking.md §4.2; issue of
 * networking, 2). The node behind a reverse proxy then needs one port for browsers and nodes.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Connection, Listener, NetAddress } from './transport.ts';
import { WS_OPTIONS, WsConnection } from './ws.ts';

export class SharedWsPort {
  readonly #server = new WebSocketServer({ ...WS_OPTIONS, noServer: true, clientTracking: false });
  readonly #sockets = new Set<WebSocket>();
  #accept: ((connection: Connection) => void) | undefined;

  /** Whether net takes connections. */
  get open(): boolean {
    return this.#accept !== undefined;
  }

  /** As a transport's, but for the port, which is open already: where others are told to connect. */
  listen(at: NetAddress, accept: (connection: Connection) => void): Promise<Listener> {
    this.#accept = accept;
    return Promise.resolve({
      port: at.port,
      close: () => {
        this.#accept = undefined;
        return Promise.resolve();
      },
    });
  }

  /** Answers an upgrade; the connection is net's. `ip`: of the node, as far as a proxy in between tells. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, ip: string): void {
    const accept = this.#accept;
    if (accept === undefined) return void socket.destroy();
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      this.#sockets.add(ws);
      ws.once('close', () => this.#sockets.delete(ws));
      accept(new WsConnection(ws, ip));
    });
  }

  /** Ends all connections that came in here, and takes no more: the web server goes. */
  close(): void {
    this.#accept = undefined;
    for (const ws of this.#sockets) ws.terminate();
  }
}
