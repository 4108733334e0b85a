/** Names, folders and capabilities of per-package databases, as kv and sqlite have them (runtime-modules.md §3, §4, H4). */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { moduleId, parsePackageId, splitPackageId } from '../../wit/address.ts';
import { standingCapability } from '../../wit/json.ts';
import type { Capability, NodeId, PackageId } from '../../wit/types.ts';

export type DatabaseAccess = 'read' | 'write';

/** Longest file name of the usual file systems, in bytes. */
export const FILE_NAME_BYTES_MAX = 255;
/** Where copies are kept beside the packages; without a colon it cannot be one. */
const BACKUPS = '.backup';
const PARTIAL = '.partial';

/** What one module needs to know of the databases it is asked for, remembered: requests come in thousands. */
export class DatabasePlaces {
  readonly #our: NodeId;
  readonly #module: string;
  readonly #root: string;
  readonly #fits: (folder: string, db: string) => boolean;
  readonly #known = new Map<string, DatabasePlace>();

  /** @param fits  whether the files of a database can have their names, beyond what a folder's name may be */
  constructor(
    our: NodeId,
    module: string,
    root: string,
    fits: (folder: string, db: string) => boolean = () => true,
  ) {
    this.#our = our;
    this.#module = module;
    this.#root = root;
    this.#fits = fits;
  }

  /** Undefined: the names are no plain components of a path. */
  of(pkg: PackageId, db: string): DatabasePlace | undefined {
    const key = `${pkg}/${db}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (!isPlainComponent(pkg) || !isPlainComponent(db)) return undefined;
    if (this.#known.size >= PLACES_MAX) this.#known.clear();
    const capability = (access: DatabaseAccess): Capability =>
      standingCapability(databaseCapability(this.#our, this.#module, access, pkg, db));
    const folder = join(this.#root, packageFolder(pkg), db);
    const fits = Buffer.byteLength(db) <= FILE_NAME_BYTES_MAX && this.#fits(folder, db);
    const place = {
      read: capability('read'),
      write: capability('write'),
      folder: fits ? folder : undefined,
    };
    this.#known.set(key, place);
    return place;
  }
}

/** A database on disk, and whose it is. */
export interface DatabaseFolder {
  readonly folder: string;
  readonly package: PackageId;
}

export interface DatabasePlace {
  readonly read: Capability;
  readonly write: Capability;
  /** Undefined: the name is too long for a file. */
  readonly folder: string | undefined;
}

/** Places remembered. */
const PLACES_MAX = 4096;

/** The capability that the module issues for one database, written as the reference writes it. */
export function databaseCapability(
  our: NodeId,
  module: string,
  access: DatabaseAccess,
  pkg: PackageId,
  db: string,
): Capability {
  const parts = splitPackageId(pkg);
  const key = [{ package_name: parts.package, publisher_node: parts.publisher }, db];
  return {
    issuer: { node: our, process: moduleId(module) },
    params: `{"kind":"${access}","db_key":${JSON.stringify(key)}}`,
  };
}

/** Whether a name stays one plain component of a path, wherever the node runs. */
function isPlainComponent(name: string): boolean {
  // eslint-disable-next-line no-control-regex -- NUL ends a path for the host
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\u0000]/.test(name);
}

/** Where the module's own Backup action puts its copy. */
export function backupFolder(root: string, pkg: PackageId, db: string): string {
  return join(root, BACKUPS, packageFolder(pkg), db);
}

/** A fresh path for something being made or deleted, on the same file system; what a crash leaves of it means nothing. */
export function partialPlace(root: string): string {
  return join(root, PARTIAL, randomUUID());
}

/** Clears what a crash left half-made. */
export function clearPartial(root: string): void {
  rmSync(join(root, PARTIAL), { recursive: true, force: true });
}

/** Every package with a folder under `root`. */
export async function packagesIn(root: string): Promise<PackageId[]> {
  const names = await readdir(root).catch(() => []);
  return names.flatMap((name) => {
    const id = parsePackageId(process.platform === 'win32' ? name.replace('_', ':') : name);
    return id.ok ? [id.value] : [];
  });
}

/** The databases of a package: name and folder. */
export async function databasesOf(
  root: string,
  pkg: PackageId,
): Promise<[db: string, folder: string][]> {
  const folder = join(root, packageFolder(pkg));
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => [name, join(folder, name)]);
}

/** Windows has no colons in names. */
function packageFolder(pkg: PackageId): string {
  return process.platform === 'win32' ? pkg.replaceAll(':', '_') : pkg;
}
