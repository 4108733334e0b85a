/**
 * Access rules A to E of kernel.md §1.12 as one pure, synchronous function. It allocates nothing: the answer is the party the
 * message goes to, or one of a few constants. Imports no `node:` module.
 */
import type { Address, NodeId, ProcessId } from '../wit/types.ts';

/** What the rules ask about somebody on this node. */
export interface RouteParty {
  readonly kind: 'kernel' | 'module' | 'process';
  readonly id: ProcessId;
  readonly exists: boolean;
  readonly trusted: boolean;
  readonly public: boolean;
  readonly messagingKey: string;
  readonly held: { has(key: string): boolean };
}

export interface RouteTables<P extends RouteParty> {
  readonly our: NodeId;
  readonly networkKey: string;
  get(id: ProcessId): P | undefined;
}

/** The message leaves the node. */
const TO_NET = { kind: 'net' } as const;

/** Why a message goes nowhere. */
export type RefusalReason =
  | 'unknown-source'
  | 'no-network-capability'
  | 'unknown-target'
  | 'no-messaging-capability'
  | 'remote-unknown-target'
  | 'remote-target-not-networked'
  | 'remote-to-kernel'
  | 'relayed';

export interface Refusal {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
}

const refusal = (reason: RefusalReason): Refusal => ({ kind: 'refused', reason });
const UNKNOWN_SOURCE = refusal('unknown-source');
const NO_NETWORK = refusal('no-network-capability');
const UNKNOWN_TARGET = refusal('unknown-target');
const NO_MESSAGING = refusal('no-messaging-capability');
const REMOTE_UNKNOWN_TARGET = refusal('remote-unknown-target');
const REMOTE_TARGET_NOT_NETWORKED = refusal('remote-target-not-networked');
const REMOTE_TO_KERNEL = refusal('remote-to-kernel');
const RELAYED = refusal('relayed');

export type Route<P> = P | typeof TO_NET | Refusal;

/**
 * Where a message from `source` to `target` goes. Requests and responses obey the same rules.
 * @param source undefined when the message came from another node
 * @param target with `our` already replaced by the node's name
 */
export function decideRoute<P extends RouteParty>(
  tables: RouteTables<P>,
  source: P | undefined,
  target: Address,
): Route<P> {
  if (source === undefined) return fromRemote(tables, target);
  if (!source.exists) return UNKNOWN_SOURCE;
  if (target.node !== tables.our) {
    return source.held.has(tables.networkKey) ? TO_NET : NO_NETWORK;
  }
  const receiver = tables.get(target.process);
  if (receiver === undefined || !receiver.exists) return UNKNOWN_TARGET;
  if (source.trusted || receiver.public || source.held.has(receiver.messagingKey)) return receiver;
  return NO_MESSAGING;
}

function fromRemote<P extends RouteParty>(tables: RouteTables<P>, target: Address): Route<P> {
  // The reference would pass it on to a third node (H13).
  if (target.node !== tables.our) return RELAYED;
  const receiver = tables.get(target.process);
  if (receiver === undefined || !receiver.exists) return REMOTE_UNKNOWN_TARGET;
  if (!receiver.held.has(tables.networkKey)) return REMOTE_TARGET_NOT_NETWORKED;
  return receiver.kind === 'kernel' ? REMOTE_TO_KERNEL : receiver;
}
