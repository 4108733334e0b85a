/**
 * Who holds which capability (kernel.md §3). Each holder's map is its own; this class is the only one that writes to them, keeps
 * the reverse index (issuer -> holders, over every capability however it was obtained) and notes for the journal what is persistent.
 * Everything is synchronous, so no message can overtake a grant (H12, K113).
 */
import { OUR } from '../wit/address.ts';
import { capabilityKey } from '../wit/json.ts';
import type { Capability, ProcessId } from '../wit/types.ts';
import type { CapabilitySigner } from './capability-signature.ts';
import type { Journal } from './journal.ts';
import { CAPABILITY_PARAMS_CHARS_MAX, HELD_CAPABILITIES_MAX } from './limits.ts';
import type { Party, Process, ProcessTable } from './process-table.ts';

/** Whether this party's rows are on disk: modules' always, a process's by its on-exit. */
function isPersistent(party: Party): boolean {
  return party.kind !== 'process' || party.persistent;
}

export class CapabilityStore {
  readonly #our: string;
  readonly #journal: Journal;
  readonly #table: Pick<ProcessTable, 'process'>;
  readonly #holders = new Map<ProcessId, Set<Party>>();

  constructor(our: string, journal: Journal, table: Pick<ProcessTable, 'process'>) {
    this.#our = our;
    this.#journal = journal;
    this.#table = table;
  }

  /** Adds; of an equal one that is held already, the old text stays. Returns how many were too many or too long. */
  add(holder: Party, capabilities: readonly Capability[]): number {
    let refused = 0;
    for (const capability of capabilities) {
      if (capability.params.length > CAPABILITY_PARAMS_CHARS_MAX) {
        refused++;
        continue;
      }
      const key = capabilityKey(capability);
      if (holder.held.has(key)) continue;
      if (holder.held.size >= HELD_CAPABILITIES_MAX) {
        refused++;
        continue;
      }
      holder.held.set(key, capability);
      this.#index(holder, capability);
      if (isPersistent(holder) && !this.#endsWithNode(capability))
        this.#put(holder, key, capability);
    }
    return refused;
  }

  /** A process that was not on disk is now: what others hold of it goes there too. */
  keepIssuedBy(issuer: ProcessId): void {
    for (const holder of this.#holders.get(issuer) ?? []) {
      if (!isPersistent(holder)) continue;
      for (const [key, capability] of holder.held) {
        const { process, node } = capability.issuer;
        if (process === issuer && node === this.#our) this.#put(holder, key, capability);
      }
    }
  }

  /** Removes equal ones; absent ones are ignored. */
  drop(holder: Party, capabilities: readonly Capability[]): void {
    for (const capability of capabilities) this.#remove(holder, capabilityKey(capability));
  }

  has(holder: Party, capability: Capability): boolean {
    return holder.held.has(capabilityKey(capability));
  }

  all(holder: Party): Capability[] {
    return [...holder.held.values()];
  }

  /** Takes every capability issued by `issuer` of this node from everybody who holds one. */
  revokeAll(issuer: ProcessId): void {
    const holders = this.#holders.get(issuer);
    if (holders === undefined) return;
    this.#holders.delete(issuer);
    for (const holder of holders) {
      for (const [key, capability] of holder.held) {
        if (capability.issuer.process === issuer && capability.issuer.node === this.#our) {
          this.#remove(holder, key);
        }
      }
      if (holder.kind === 'process') holder.forgetDeliveredFrom(issuer, this.#our);
    }
  }

  /** The process was shown these; until they are revoked it may save them (H2). */
  noteDelivered(receiver: Process, capabilities: readonly Capability[]): void {
    const kept = capabilities.filter(({ params }) => params.length <= CAPABILITY_PARAMS_CHARS_MAX);
    receiver.noteDelivered(kept);
    for (const capability of kept) this.#index(receiver, capability);
  }

  /** Whether `save-capabilities` may add it: own, held already, or delivered to this process (H2). */
  maySave(process: Process, capability: Capability): boolean {
    if (this.issuedBy(process, capability)) return true;
    const key = capabilityKey(capability);
    return process.held.has(key) || process.wasDelivered(key);
  }

  /** The holder is gone: nothing may reach it through the index any more. Its map is left as it is. */
  forget(holder: Party): void {
    for (const capability of holder.held.values()) {
      this.#holders.get(capability.issuer.process)?.delete(holder);
    }
    if (holder.kind !== 'process') return;
    for (const capability of holder.delivered()) {
      this.#holders.get(capability.issuer.process)?.delete(holder);
    }
  }

  /** What of `capabilities` the sender may attach: issued by itself or held, in order, texts as supplied (kernel.md §3.5). */
  filterOutgoing(sender: Party, capabilities: readonly Capability[]): readonly Capability[] {
    const allowed = capabilities.filter(
      (capability) => this.issuedBy(sender, capability) || this.has(sender, capability),
    );
    return allowed.length === capabilities.length ? capabilities : allowed;
  }

  /** Whether the capability is the party's own to give. The literal `our` is accepted and satisfies no check (K69). */
  issuedBy(party: Party, capability: Capability): boolean {
    const { issuer } = capability;
    return issuer.process === party.id && (issuer.node === this.#our || issuer.node === OUR);
  }

  #put(holder: Party, key: string, capability: Capability): void {
    this.#journal.add({ kind: 'put-capability', holder: holder.id, key, capability });
  }

  /** Of a process that is not on disk: at the next start nobody is there whom it reaches. So scripts run also on a full disk. */
  #endsWithNode({ issuer }: Capability): boolean {
    return issuer.node === this.#our && this.#table.process(issuer.process)?.persistent === false;
  }

  #remove(holder: Party, key: string): void {
    if (!holder.held.delete(key) || !isPersistent(holder)) return;
    this.#journal.add({ kind: 'delete-capability', holder: holder.id, key });
  }

  #index(holder: Party, capability: Capability): void {
    if (capability.issuer.node !== this.#our) return;
    const { process } = capability.issuer;
    let holders = this.#holders.get(process);
    if (holders === undefined) this.#holders.set(process, (holders = new Set()));
    holders.add(holder);
  }
}

/**
 * What arrives of the capabilities attached by another node: those it says we issued only with our valid signature, all others
 * unverified (kernel.md §3.6, K62, K63).
 */
export function pruneIncoming(
  capabilities: readonly Capability[],
  signatures: readonly Uint8Array[],
  our: string,
  signer: CapabilitySigner,
): readonly Capability[] {
  return capabilities.filter((capability, index) => {
    if (capability.issuer.node !== our) return true;
    const signature = signatures[index];
    return signature !== undefined && signer.verifies(capability, signature);
  });
}
