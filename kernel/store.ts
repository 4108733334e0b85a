/**
 * What must outlive a kill -9: process map, capabilities, state bytes (kernel.md §5.3, §6; findings F19). The kernel decides in
 * memory, hands the store one batch for each command, and answers only when that batch is on disk. Processes whose on-exit is
 * none are never handed over (H7), so nothing here has to filter them.
 */
import type { Capability, OnExit, ProcessId } from '../wit/types.ts';

/** A process-map entry without its capabilities, which are rows of their own. */
export interface StoredEntry {
  /** Path in the vfs the wasm is read from at the next boot; `''` for a runtime module. */
  readonly wasmBytesHandle: string;
  readonly witVersion: number | undefined;
  readonly onExit: OnExit;
  readonly public: boolean;
}

export interface StoredProcess {
  readonly id: ProcessId;
  readonly entry: StoredEntry;
  readonly capabilities: readonly Capability[];
}

/**
 * One row written or removed. `key` of a capability is `capabilityKey` of wit/json.ts: equal capabilities have equal keys, of any
 * length and with any character, so an implementation may hash it but must not parse it.
 */
export type StoreChange =
  | { readonly kind: 'put-process'; readonly id: ProcessId; readonly entry: StoredEntry }
  /** Removes the entry and every capability row of `id`, but not its state (K80). */
  | { readonly kind: 'delete-process'; readonly id: ProcessId }
  | {
      readonly kind: 'put-capability';
      readonly holder: ProcessId;
      readonly key: string;
      readonly capability: Capability;
    }
  | { readonly kind: 'delete-capability'; readonly holder: ProcessId; readonly key: string }
  /** The store owns `bytes` from here on; nobody writes to them. */
  | { readonly kind: 'put-state'; readonly id: ProcessId; readonly bytes: Uint8Array }
  | { readonly kind: 'delete-state'; readonly id: ProcessId };

export interface KernelStore extends AsyncDisposable {
  /** Every process with its capabilities, in any order. Rejects when the data cannot be decoded: the node must not boot then. */
  load(): Promise<readonly StoredProcess[]>;
  /** A process's state bytes; undefined when it has none. Sees every commit made before the call, resolved or not. */
  readState(id: ProcessId): Promise<Uint8Array | undefined>;
  /**
   * Applies all changes or none, in order, and resolves once they are on disk. Calls may overlap; their effect is that of running
   * them in call order, so a store may merge waiting batches into one synced write.
   */
  commit(changes: readonly StoreChange[]): Promise<void>;
}

/** A store that forgets: for tests and for `kit run`. Same visible behaviour as the one on disk. */
export class MemoryStore implements KernelStore {
  readonly #entries = new Map<ProcessId, StoredEntry>();
  readonly #capabilities = new Map<ProcessId, Map<string, Capability>>();
  readonly #states = new Map<ProcessId, Uint8Array>();
  /** Batches committed so far; tests count synced writes with it. */
  commits = 0;

  load(): Promise<readonly StoredProcess[]> {
    return Promise.resolve(
      [...this.#entries].map(([id, entry]) => ({
        id,
        entry,
        capabilities: [...(this.#capabilities.get(id)?.values() ?? [])],
      })),
    );
  }

  readState(id: ProcessId): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#states.get(id));
  }

  commit(changes: readonly StoreChange[]): Promise<void> {
    this.commits++;
    for (const change of changes) this.#apply(change);
    return Promise.resolve();
  }

  #apply(change: StoreChange): void {
    switch (change.kind) {
      case 'put-process':
        this.#entries.set(change.id, change.entry);
        return;
      case 'delete-process':
        this.#entries.delete(change.id);
        this.#capabilities.delete(change.id);
        return;
      case 'put-capability': {
        const held = this.#capabilities.get(change.holder) ?? new Map<string, Capability>();
        held.set(change.key, change.capability);
        this.#capabilities.set(change.holder, held);
        return;
      }
      case 'delete-capability':
        this.#capabilities.get(change.holder)?.delete(change.key);
        return;
      case 'put-state':
        this.#states.set(change.id, change.bytes);
        return;
      case 'delete-state':
        this.#states.delete(change.id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held open.
  }
}
