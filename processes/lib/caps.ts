/** Capabilities by what they mean (kernel.md §3.1). */
import type { Address, Capability, NodeId, ProcessId } from '../../wit/types.ts';
import { canonicalParams } from '../../wit/json.ts';
import { processId, sameAddress } from '../../wit/address.ts';
import type { Host } from './host.ts';

/** The right to send messages to a process of `node`. */
export function messaging(node: NodeId, process: ProcessId | string): Capability {
  return { issuer: { node, process: processId(process) }, params: '"messaging"' };
}

/** The right to reach other nodes. */
export function network(node: NodeId): Capability {
  return { issuer: { node, process: processId('kernel:distro:sys') }, params: '"network"' };
}

/** A right that `issuer` defines; `params` is any JSON value. */
export function capability(issuer: Address, params: unknown): Capability {
  return { issuer, params: JSON.stringify(params) };
}

/** Equal issuer, and equal parameters as JSON values. */
export function sameCapability(a: Capability, b: Capability): boolean {
  return sameAddress(a.issuer, b.issuer) && canonicalParams(a.params) === canonicalParams(b.params);
}

/** Whether this process holds the capability. */
export function holds(host: Host, wanted: Capability): boolean {
  return host.ourCapabilities().some((held) => sameCapability(held, wanted));
}

/**
 * Keeps the rights that came with a message, such as those to another package's drive (vfs.ts, kv.ts, sqlite.ts: `capabilities`). They
 * last until they are dropped or revoked. `issuer`: only those of this process, such as `vfs:distro:sys`. Returns how many were kept.
 */
export function keepCapabilities(
  host: Host,
  received: { readonly capabilities: readonly Capability[] },
  issuer?: ProcessId | string,
): number {
  const wanted = received.capabilities.filter(
    (one) => issuer === undefined || one.issuer.process === issuer,
  );
  if (wanted.length > 0) host.saveCapabilities(wanted);
  return wanted.length;
}
