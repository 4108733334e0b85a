/**
 * Buffered transactions (runtime-modules.md §3, §4): operations by id until the commit takes them. They belong to the process that
 * began them: another cannot add to them, commit or abandon them, and they end with it. Nothing here survives the node.
 */
import { getRandomValues } from 'node:crypto';
import type { Result, U64 } from '../../wit/types.ts';

export interface TransactionOptions<Log> {
  readonly perOwnerMax: number;
  readonly operationsMax: number;
  /** Of all transactions of one owner. */
  readonly bytesMax: number;
  /** What a transaction's operations are kept in; empty. */
  readonly empty: () => Log;
}

/** Why an operation was not taken; `full` names the limit. */
export type TransactionRefusal =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'full'; readonly text: string };

interface Transaction<Log> {
  readonly owner: string;
  readonly log: Log;
  operations: number;
  bytes: number;
}

interface Owner {
  bytes: number;
  readonly ids: Set<string>;
}

export class Transactions<Log> {
  readonly #options: TransactionOptions<Log>;
  readonly #byId = new Map<string, Transaction<Log>>();
  readonly #owners = new Map<string, Owner>();

  constructor(options: TransactionOptions<Log>) {
    this.#options = options;
  }

  /** Open transactions. */
  get size(): number {
    return this.#byId.size;
  }

  /** A fresh transaction's id, or why there can be none. */
  begin(owner: string): number | TransactionRefusal {
    const id = randomId();
    return this.adopt(id, owner) ?? id;
  }

  /** A transaction under an id that the owner chose. */
  adopt(id: U64, owner: string): TransactionRefusal | undefined {
    const key = String(id);
    const other = this.#byId.get(key);
    if (other !== undefined) return other.owner === owner ? undefined : { kind: 'unknown' };
    const { ids } = this.#owner(owner);
    if (ids.size >= this.#options.perOwnerMax)
      return { kind: 'full', text: `more than ${this.#options.perOwnerMax} open transactions` };
    ids.add(key);
    this.#byId.set(key, { owner, log: this.#options.empty(), operations: 0, bytes: 0 });
    return undefined;
  }

  /** Makes room for an operation that holds `bytes` of memory: where the caller is to put it. */
  add(id: U64, owner: string, bytes: number): Result<Log, TransactionRefusal> {
    const transaction = this.#byId.get(String(id));
    if (transaction?.owner !== owner) return { ok: false, error: { kind: 'unknown' } };
    const { operationsMax, bytesMax } = this.#options;
    const full = (text: string): Result<Log, TransactionRefusal> => ({
      ok: false,
      error: { kind: 'full', text },
    });
    if (transaction.operations >= operationsMax)
      return full(`more than ${operationsMax} operations in a transaction`);
    const held = this.#owner(owner);
    if (held.bytes + bytes > bytesMax)
      return full(`more than ${bytesMax} bytes in open transactions`);
    held.bytes += bytes;
    transaction.bytes += bytes;
    transaction.operations += 1;
    return { ok: true, value: transaction.log };
  }

  /** The operations in order; the id is gone afterwards. Undefined: no such transaction of that owner. */
  take(id: U64, owner: string): Log | undefined {
    const key = String(id);
    const transaction = this.#byId.get(key);
    if (transaction?.owner !== owner) return undefined;
    this.#byId.delete(key);
    const held = this.#owner(owner);
    held.bytes -= transaction.bytes;
    held.ids.delete(key);
    if (held.ids.size === 0) this.#owners.delete(owner);
    return transaction.log;
  }

  /** The owner is gone, and all it had open. */
  drop(owner: string): void {
    for (const id of this.#owners.get(owner)?.ids ?? []) this.#byId.delete(id);
    this.#owners.delete(owner);
  }

  #owner(name: string): Owner {
    let owner = this.#owners.get(name);
    if (owner === undefined) {
      owner = { bytes: 0, ids: new Set() };
      this.#owners.set(name, owner);
    }
    return owner;
  }
}

/** Not guessable, and exact as a JSON number everywhere: 53 bits. */
function randomId(): number {
  const [high = 0, low = 0] = getRandomValues(new Uint32Array(2));
  return (high & 0x1f_ffff) * 2 ** 32 + low;
}
