/** The vfs's part of a backup: drives of a package, copied while its requests wait. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePackageId } from '../../wit/address.ts';
import type { PackageId } from '../../wit/types.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { type Copied, copyTree } from '../shared/copy-tree.ts';
import type { PackageGates } from '../shared/package-gates.ts';

export class VfsBackup implements BackupParticipant {
  readonly folder = 'vfs';
  readonly #root: string;
  readonly #gates: PackageGates;
  /** What `prepare` copied, by the folder it copied into. */
  readonly #prepared = new Map<string, Copied>();

  constructor(root: string, gates: PackageGates) {
    this.#root = root;
    this.#gates = gates;
  }

  async packages(): Promise<readonly PackageId[]> {
    const names = await readdir(this.#root);
    return names.flatMap((name) => {
      const id = parsePackageId(process.platform === 'win32' ? name.replace('_', ':') : name);
      return id.ok ? [id.value] : [];
    });
  }

  /** Large drives are copied here; while requests wait only what changed meanwhile is. */
  async prepare(of: PackageId, into: string, signal: AbortSignal): Promise<void> {
    this.#prepared.clear();
    const copied: Copied = new Map();
    await copyTree(this.#disk(of), into, { copied, signal, lenient: true });
    this.#prepared.set(into, copied);
  }

  hold<T>(of: PackageId, work: () => Promise<T>): Promise<T> {
    return this.#gates.hold(of, work);
  }

  async copy(of: PackageId, into: string, signal: AbortSignal): Promise<void> {
    const copied = this.#prepared.get(into) ?? new Map<string, string>();
    this.#prepared.delete(into);
    await copyTree(this.#disk(of), into, { copied, signal });
  }

  #disk(of: PackageId): string {
    return packageFolder(this.#root, of);
  }
}

/** Where a package's drives are. Windows has no colons in names. */
export function packageFolder(root: string, of: PackageId): string {
  return join(root, process.platform === 'win32' ? of.replaceAll(':', '_') : of);
}
