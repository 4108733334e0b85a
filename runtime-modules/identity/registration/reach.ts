/** Where others reach this machine, as far as it can tell: its address, and ports that are free. */
import { Resolver } from 'node:dns/promises';
import { createServer, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Longest time the question for our own address may take, in milliseconds (networking.md §16). */
export const PUBLIC_IP_MS_MAX = 5_000;
/** What stands for "not known". */
export const UNKNOWN_IP = '127.0.0.1';
/** The first port tried for peers over WebSocket, and over TCP. */
export const PEER_PORTS_FIRST = { ws: 9_000, tcp: 10_000 } as const;
/** Ports tried, from the first on, for one that is free. */
const PORTS_TRIED_MAX = 999;

/** Answers queries for `myip.opendns.com` with the address they came from. */
const ECHO_SERVERS = ['208.67.222.222', '208.67.220.220'];
const ECHO_NAME = 'myip.opendns.com';

/** A public address of this machine, else the one it is seen under, else `UNKNOWN_IP`. */
export async function publicIp(): Promise<string> {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, internal } of addresses ?? [])
      if (!internal && isPublic(address)) return address;
  }
  const resolver = new Resolver({ timeout: PUBLIC_IP_MS_MAX / 2, tries: 1 });
  resolver.setServers(ECHO_SERVERS);
  const timer = setTimeout(() => resolver.cancel(), PUBLIC_IP_MS_MAX);
  try {
    const [address] = await resolver.resolve4(ECHO_NAME);
    return address !== undefined && isPublic(address) ? address : UNKNOWN_IP;
  } catch {
    return UNKNOWN_IP;
  } finally {
    clearTimeout(timer);
  }
}

/** IPv4, and outside of every range that only some can reach. */
function isPublic(address: string): boolean {
  if (!isIPv4(address)) return false;
  const [a = 0, b = 0] = address.split('.').map(Number);
  const isPrivate =
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && (b === 168 || b === 0)) ||
    (a === 198 && (b === 18 || b === 19));
  return !isPrivate;
}

/** The first port from there on that nobody listens on; undefined: none of 999. */
export async function freePort(first: number): Promise<number | undefined> {
  const last = Math.min(first + PORTS_TRIED_MAX - 1, 65_535);
  for (let port = first; port <= last; port++) if (await isFree(port)) return port;
  return undefined;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}
