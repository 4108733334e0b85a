/**
 * Connections that are kept open between requests, on node:http's agent. Each package has its own: what one did to a connection, such as
 * logging in on it, is nothing to another.
 */
import { Agent, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Connector, Hop } from './connector.ts';
import { IDLE_CONNECTIONS_MAX, IDLE_CONNECTIONS_PER_HOST_MAX, IDLE_MS_MAX } from './limits.ts';

/** What a request says about its connection. */
export interface Outbound {
  readonly hop: Hop;
  /** Whose connections; nobody else's are used. */
  readonly owner: string;
  readonly signal: AbortSignal;
}

/** Request options that go with this agent. */
export interface PooledOptions extends ClientRequestArgs {
  readonly outbound: Outbound;
}

type Opened = (error: Error | null, socket: Duplex) => void;

export class ConnectionPool extends Agent {
  readonly connector: Connector;

  constructor(connector: Connector) {
    super({
      keepAlive: true,
      maxFreeSockets: IDLE_CONNECTIONS_PER_HOST_MAX,
      timeout: IDLE_MS_MAX,
      scheduling: 'lifo',
    });
    this.connector = connector;
  }

  /** What connections have in common that may stand in for each other. */
  override getName(options?: ClientRequestArgs): string {
    const { hop, owner } = outboundOf(options);
    return JSON.stringify([owner, hop.secure, hop.target.host, hop.target.port, hop.forwardable]);
  }

  override createConnection(options: ClientRequestArgs, opened?: Opened): undefined {
    const { hop, signal } = outboundOf(options);
    this.connector.connect(hop, signal).then(
      (socket) => opened?.(null, socket),
      // Proof of the type: with an error, node:http looks at nothing else.
      (error: Error) => opened?.(error, undefined as unknown as Duplex),
    );
    return undefined;
  }

  /** Asked of a connection whose request is done. */
  override keepSocketAlive(socket: Duplex): boolean {
    const idle = Object.values(this.freeSockets).reduce(
      (count, sockets) => count + (sockets?.length ?? 0),
      0,
    );
    if (idle >= IDLE_CONNECTIONS_MAX) return false;
    // The types say void; it is false when the server wants the connection closed.
    return (super.keepSocketAlive(socket) as unknown) !== false;
  }
}

function outboundOf(options: ClientRequestArgs | undefined): Outbound {
  // Proof of the type: only `exchange` makes requests with this agent.
  return (options as PooledOptions).outbound;
}
