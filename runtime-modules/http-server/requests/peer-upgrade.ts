/** Which upgrades are those of other nodes, at a port that they share with browsers (networking.md §4.2; findings F21). */
import type { IncomingMessage } from 'node:http';
import { isHandshake } from '../channels/ws.ts';
import { clientAddress, type Visit } from './visit.ts';

/**
 * The address of a node that asks for a WebSocket at `/`; undefined: this is no node. Every page's upgrade has an origin, and one of somebody's
 * login a cookie; a node has neither, and proves who it is in what follows. A process that has bound the root comes first.
 * `development`: only under a name of this machine.
 */
export function peerAddress(
  request: IncomingMessage,
  visit: Visit,
  development: boolean,
): string | undefined {
  const { path, query, headers, host } = visit;
  if (path !== '' || query !== '' || !isHandshake(request)) return undefined;
  if (development && !host.development) return undefined;
  const { origin, cookie } = headers;
  const isPage = origin !== undefined || headers['sec-fetch-site'] !== undefined;
  return isPage || cookie !== undefined ? undefined : clientAddress(visit);
}
