/**
 * The network's part of the composition: flags to options, which ports are opened, and how development nodes find each other. Only node.ts
 * calls it. Without a NetworkConfig a node opens no port and can still dial whomever it is told of.
 */
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import type { KernelPort } from '../kernel/module.ts';
import { net, type NetModule } from '../runtime-modules/net/index.ts';
import type { SharedWsPort } from '../runtime-modules/net/shared-ws-port.ts';
import { DevelopmentRecords } from '../runtime-modules/net/records.ts';
import { tcpTransport } from '../runtime-modules/net/tcp.ts';
import { type TransportKind, TRANSPORT_KINDS } from '../runtime-modules/net/transport.ts';
import { wsTransport } from '../runtime-modules/net/ws.ts';
import type { Routing as PublishedRouting } from '../runtime-modules/identity/routing.ts';
import type { Clock } from '../runtime-modules/shared/clock.ts';
import type { Routing } from '../wit/net-api.ts';
import type { KernelMessage, NodeId, SendErrorKind } from '../wit/types.ts';

/** Where the first free port is looked for when none is given (networking.md §16). */
const FIRST_PORT = { ws: 9_000, tcp: 10_000 } as const;
const PORTS_TRIED = 1_000;

export interface NetworkConfig {
  /** Default the first free from 9000 on; 0: none. */
  readonly wsPort?: number | undefined;
  /** WebSockets of other nodes come in at the web server's port; `wsPort` is then where a proxy before it takes them. */
  readonly wsOverHttp?: boolean | undefined;
  /** Default the first free from 10000 on; 0: none. */
  readonly tcpPort?: number | undefined;
  /** Address to listen on. Default all; development nodes 127.0.0.1. */
  readonly host?: string | undefined;
  readonly maxPeers?: number | undefined;
  /** Above 0 the node is a router for others. */
  readonly maxPassthroughs?: number | undefined;
  /** 'reference': speak nothing beyond the reference's protocol. */
  readonly wire?: 'reference' | 'hl/1' | undefined;
  /** A folder that development nodes of this machine share to find each other; opens ports. */
  readonly developmentFolder?: string | undefined;
}

export interface NetworkNeeds {
  readonly identity: {
    readonly name: NodeId;
    readonly networkingKey: KeyObject;
    readonly publicKeyHex: string;
    /** How the chain says this node is reached; of no account for a development node, which listens on this machine. */
    readonly routing: PublishedRouting;
  };
  readonly development: boolean;
  /** Nodes that it hears of may be on this machine or beside it: development nodes, and registered ones of a development chain (F29). */
  readonly local: boolean;
  /** The contract whose names it hears of; undefined: there is no chain. */
  readonly contract?: string | undefined;
  /** Whether a development node is found through a chain, and so has to be reached. */
  readonly shared?: boolean;
  /** Where the web server hands other nodes over, with `wsOverHttp`. */
  readonly peers?: SharedWsPort | undefined;
  readonly clock: Clock;
  readonly kernel: {
    port(name: string): KernelPort;
    inject(message: KernelMessage): void | Promise<void>;
    failed(message: KernelMessage, kind: SendErrorKind, refusal?: string): void;
  };
}

/** A port cannot be had, or the shared folder not be used; the message says what to do. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}

export interface Network extends AsyncDisposable {
  readonly module: NetModule;
  /** Opens the ports. `webPort`: the web server's. @returns where it listens, as text @throws NetworkError */
  listen(webPort?: number): Promise<readonly string[]>;
  /** Where others are to connect, once it listens. */
  readonly ports: ReadonlyMap<string, number>;
}

export function networkOf(config: NetworkConfig | undefined, needs: NetworkNeeds): Network {
  const { identity, development, local, shared = false, peers, clock, kernel } = needs;
  const ports = new Map<string, number>();
  const here: Routing = { kind: 'Direct', value: { ip: '127.0.0.1', ports } };
  const routing = development ? here : onWire(identity.routing);
  const us = { name: identity.name, networking_key: identity.publicKeyHex, routing };
  const module = net({
    us,
    networkingKey: identity.networkingKey,
    development: local,
    wire: config?.wire,
    peersMax: config?.maxPeers,
    passthroughsMax: config?.maxPassthroughs,
  })({
    clock,
    transports: [tcpTransport(), wsTransport(peers)],
    random: Math.random,
    contract: needs.contract,
    port: kernel.port('net'),
    deliver: (message) => kernel.inject(message),
    failed: (...what) => kernel.failed(...what),
  });
  const parts = new AsyncDisposableStack();
  return {
    module,
    ports,
    async listen(webPort) {
      const found = development && (shared || config?.developmentFolder !== undefined);
      const wanted = config === undefined ? [] : portsOf(config, routing, { found, webPort });
      const host = config?.host ?? (development ? '127.0.0.1' : '::');
      for (const { kind, port, fixed } of wanted)
        ports.set(kind, await openPort(module, kind, { host, port, fixed }));
      const folder = config?.developmentFolder;
      if (folder !== undefined) parts.use(await openRecords(folder, module, ports, clock));
      return module.net.listening;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** As net tells it. An address that the chain could not be asked for is no address: others know it, and we need not. */
function onWire(routing: PublishedRouting): Routing {
  if (routing.kind === 'routers') return { kind: 'Routers', value: routing.routers };
  const { ip = '', ports } = routing;
  return { kind: 'Direct', value: { ip, ports: new Map(Object.entries(ports)) } };
}

interface WantedPort {
  readonly kind: TransportKind;
  readonly port: number;
  /** No other one will do: it is on chain, or was asked for. */
  readonly fixed: boolean;
}

/** An indirect node needs none; a direct one those that the chain names; a development node those asked for, or both to be found by. */
function portsOf(
  config: NetworkConfig,
  routing: Routing,
  { found, webPort }: { readonly found: boolean; readonly webPort: number | undefined },
): readonly WantedPort[] {
  const asked = { ws: config.wsPort, tcp: config.tcpPort };
  const published = routing.kind === 'Routers' ? undefined : routing.value.ports;
  return TRANSPORT_KINDS.flatMap((kind): readonly WantedPort[] => {
    const port = asked[kind];
    if (port === 0) return [];
    if (port !== undefined) return [{ kind, port, fixed: true }];
    const onChain = published?.get(kind);
    if (onChain !== undefined && onChain !== 0) return [{ kind, port: onChain, fixed: true }];
    if (kind === 'ws' && config.wsOverHttp === true)
      return webPort === undefined ? [] : [{ kind, port: webPort, fixed: true }];
    return found ? [{ kind, port: FIRST_PORT[kind], fixed: false }] : [];
  });
}

async function openPort(
  module: NetModule,
  kind: TransportKind,
  { host, port, fixed }: { readonly host: string; readonly port: number; readonly fixed: boolean },
): Promise<number> {
  if (isIP(host) === 0) throw new NetworkError(`${host} is no address to listen on`);
  for (let at = port; ; at++) {
    try {
      return await module.listen(kind, { ip: host, port: at });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A machine without IPv6.
      if (code === 'EAFNOSUPPORT' && host === '::')
        return openPort(module, kind, { host: '0.0.0.0', port: at, fixed });
      if (code === 'EADDRINUSE' && !fixed && at < port + PORTS_TRIED) continue;
      const what = `cannot listen for peers on ${kind} port ${at} (${code ?? String(error)})`;
      throw new NetworkError(`${what}; choose another with --${kind}-port, or 0 for none.`, {
        cause: error,
      });
    }
  }
}

async function openRecords(
  folder: string,
  module: NetModule,
  ports: ReadonlyMap<string, number>,
  clock: Clock,
): Promise<DevelopmentRecords> {
  const { us } = module.net;
  const own = {
    name: us.name,
    public_key: us.networking_key,
    ips: ['127.0.0.1'],
    ports: new Map(ports),
    routers: [],
  };
  try {
    return await DevelopmentRecords.open(folder, own, {
      clock,
      learnt: (update) => module.net.update(update),
    });
  } catch (cause) {
    throw new NetworkError(
      `${folder} cannot be used to find other nodes: ${(cause as Error).message}`,
      { cause },
    );
  }
}
