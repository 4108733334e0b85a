/** How a registered node is reached, as the chain says it (networking.md §14, `assign_routing`). */
import type { Result } from '../../../wit/types.ts';
import type { Ports, Routing } from '../routing.ts';
import { type Namespace, readErrorText, type ReadError } from './namespace.ts';

export type RoutingError =
  /** What the chain says is not what the keyfile says. `text` is a sentence. */
  | { readonly kind: 'mismatch'; readonly text: string }
  | { readonly kind: 'chain'; readonly error: ReadError };

export interface Claimed {
  readonly name: string;
  /** Lower-case hex without `0x`. */
  readonly publicKeyHex: string;
  /** Of the keyfile; none for a direct node. */
  readonly routers: readonly string[];
  /** Ports its owner asked for. */
  readonly ports: Ports;
}

/** Compares the key with the name's; of a direct node it reads address and ports. */
export async function routingOf(
  namespace: Namespace,
  { name, publicKeyHex, routers, ports }: Claimed,
): Promise<Result<Routing, RoutingError>> {
  const read = await namespace.node(name);
  if (!read.ok) return { ok: false, error: { kind: 'chain', error: read.error } };
  const node = read.value;
  if (node === undefined)
    return mismatch(`Nobody has the name ${name} on chain ${namespace.place.chainId}.`);
  if (node.netKey !== publicKeyHex) {
    return mismatch(
      `The networking key of ${name} on chain is another than this keyfile's. Its keys were reset since; use the newer keyfile, or reset them again.`,
    );
  }
  if (routers.length > 0) return { ok: true, value: { kind: 'routers', routers } };
  const onChain: Ports = {
    ...(isPort(node.wsPort) ? { ws: node.wsPort } : {}),
    ...(isPort(node.tcpPort) ? { tcp: node.tcpPort } : {}),
  };
  if (node.ip === undefined || Object.keys(onChain).length === 0)
    return mismatch(
      `${name} is a direct node, and the chain has no address of it. Reset its keys.`,
    );
  for (const kind of ['ws', 'tcp'] as const) {
    const wanted = ports[kind];
    if (wanted !== undefined && wanted !== 0 && wanted !== onChain[kind])
      return mismatch(
        `--${kind}-port is ${wanted}, but the chain says ${onChain[kind] ?? 'none'} for ${name}. Leave the flag out, or reset the keys with that port.`,
      );
  }
  return { ok: true, value: { kind: 'direct', ip: node.ip, ports: onChain } };
}

export function routingErrorText(error: RoutingError): string {
  return error.kind === 'mismatch' ? error.text : readErrorText(error.error);
}

function isPort(port: number | undefined): port is number {
  return port !== undefined && port !== 0;
}

function mismatch(text: string): { ok: false; error: RoutingError } {
  return { ok: false, error: { kind: 'mismatch', text } };
}
