/**
 * Which labels in front of the node's host belong to packages (runtime-modules.md §6.8): one to a package, for as long as it has a secure
 * path. What is bound and who logs in both depend on it.
 */
import type { PackageId } from '../../../wit/types.ts';

export class SecureLabels {
  readonly #holders = new Map<string, { readonly package: PackageId; count: number }>();

  /** Whether anything is bound securely under it. */
  readonly has = (label: string): boolean => this.#holders.has(label);

  get size(): number {
    return this.#holders.size;
  }

  /** False: another package has it; two names can come to one label (`a-b:c`, `a:b-c`). */
  isFreeFor(label: string, of: PackageId): boolean {
    const holder = this.#holders.get(label);
    return holder === undefined || holder.package === of;
  }

  /** For one more secure path; `isFreeFor` was asked. */
  take(label: string, of: PackageId): void {
    const holder = this.#holders.get(label);
    if (holder === undefined) this.#holders.set(label, { package: of, count: 1 });
    else holder.count++;
  }

  /** One secure path less. */
  release(label: string): void {
    const holder = this.#holders.get(label);
    if (holder !== undefined && --holder.count === 0) this.#holders.delete(label);
  }
}
