/**
 * Names to keys and addresses (networking.md §1): what the indexer, or the kernel from its providers, has told us. In memory only, filled again
 * at each start.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { HnsUpdate } from '../../wit/eth-api.ts';
import type { NetIdentity } from '../../wit/net-api.ts';
import type { NodeId } from '../../wit/types.ts';
import { NAME_CHARS_MAX, PKI_NODES_MAX } from './limits.ts';

const KEY_BYTES = 32;

interface Known {
  readonly identity: NetIdentity;
  /** Made when first asked for: most nodes are never talked to. Null: the text is no key. */
  key: KeyObject | null | undefined;
}

/** What an update did. `changed`: the key is another one, so what was proved with the old one is void. */
export type UpdateOutcome = 'new' | 'changed' | 'kept' | 'refused';

export class Pki {
  readonly #nodes = new Map<NodeId, Known>();

  get size(): number {
    return this.#nodes.size;
  }

  identity(name: NodeId): NetIdentity | undefined {
    return this.#nodes.get(name)?.identity;
  }

  /** Undefined for an unknown node and for one whose key text is none: nothing verifies for it (§1). */
  key(name: NodeId): KeyObject | undefined {
    const known = this.#nodes.get(name);
    if (known === undefined) return undefined;
    if (known.key === undefined) known.key = publicKeyOf(known.identity.networking_key) ?? null;
    return known.key ?? undefined;
  }

  /** Overwrites what was known of that name (§1). */
  update(update: HnsUpdate): UpdateOutcome {
    if (!isNodeName(update.name)) return 'refused';
    const before = this.#nodes.get(update.name);
    if (before === undefined && this.#nodes.size >= PKI_NODES_MAX) return 'refused';
    const identity = identityOf(update);
    const same =
      before !== undefined &&
      keyText(before.identity.networking_key) === keyText(identity.networking_key);
    this.#nodes.set(update.name, { identity, key: same ? before.key : undefined });
    if (before === undefined) return 'new';
    return same ? 'kept' : 'changed';
  }
}

/** With an address it is direct, and its routers are nobody's business; without one it is reached through them (N41). */
export function identityOf({ name, public_key, ips, ports, routers }: HnsUpdate): NetIdentity {
  const [ip] = ips;
  return {
    name,
    networking_key: public_key,
    routing:
      ip === undefined
        ? { kind: 'Routers', value: routers }
        : { kind: 'Direct', value: { ip, ports } },
  };
}

/** What a node may be called (§6). */
export function isNodeName(name: string): boolean {
  return name.length <= NAME_CHARS_MAX && /^[a-z0-9.-]+$/.test(name);
}

/** The Ed25519 key of hexadecimal text, with or without `0x` (N42). */
export function publicKeyOf(text: string): KeyObject | undefined {
  const hex = keyText(text);
  if (!/^[0-9a-f]+$/.test(hex) || hex.length !== 2 * KEY_BYTES) return undefined;
  try {
    const key = Buffer.from(hex, 'hex');
    return createPublicKey({ key, format: 'raw-public', asymmetricKeyType: 'ed25519' });
  } catch {
    return undefined;
  }
}

function keyText(text: string): string {
  return (text.startsWith('0x') ? text.slice(2) : text).toLowerCase();
}
