/**
 * Machines for tests of the network, each to run one program: network namespaces where we are root, else this one with a cable of our own between
 * every two (findings F27). Either way a host that is cut off is not refused anything, it hears nothing.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Cable } from './cable.ts';
import { Namespaces } from './namespaces.ts';

export interface Hosts extends AsyncDisposable {
  readonly count: number;
  /** What stands before a command that runs on that host. */
  command(host: number): readonly string[];
  /** Where it listens. */
  own(host: number): { readonly ip: string; readonly port: number };
  /** Where `from` finds `to`. */
  at(from: number, to: number): { readonly ip: string; readonly port: number };
  cut(host: number): void;
  heal(host: number): void;
}

const PORT = 9_000;
const LOOPBACK = '127.0.0.1';

/** `netem`: what `tc qdisc … netem` is told of every cable, such as `delay 50ms loss 5%`. */
export function namespaceHosts(count: number, netem?: string): Promise<Hosts> {
  const namespaces = new Namespaces(count);
  for (let host = 0; netem !== undefined && host < count; host++) namespaces.spoil(host, netem);
  const own = (host: number): { ip: string; port: number } => ({
    ip: namespaces.ip(host),
    port: PORT,
  });
  return Promise.resolve({
    count,
    command: (host) => namespaces.command(host),
    own,
    at: (_, to) => own(to),
    cut: (host) => namespaces.cut(host),
    heal: (host) => namespaces.heal(host),
    [Symbol.asyncDispose]: async () => namespaces[Symbol.dispose](),
  });
}

export async function loopbackHosts(count: number): Promise<Hosts> {
  const all = Array.from({ length: count }, (_, host) => host);
  const ports = await Promise.all(all.map(freePort));
  // From each to each, so that one may be cut and the others not.
  const cables = await Promise.all(all.map(() => Promise.all(ports.map((port) => Cable.to(port)))));
  const of = (host: number): Cable[] =>
    all.flatMap((other) => [cables[host]![other]!, cables[other]![host]!]);
  return {
    count,
    command: () => [],
    own: (host) => ({ ip: LOOPBACK, port: ports[host]! }),
    at: (from, to) => ({ ip: LOOPBACK, port: cables[from]![to]!.port }),
    cut: (host) => of(host).forEach((cable) => cable.cut()),
    heal: (host) => of(host).forEach((cable) => cable.heal()),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(cables.flat().map((cable) => cable[Symbol.asyncDispose]()));
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
