/** What kv and sqlite have in common on the wire (runtime-modules.md §3, §4). */
import type { Address, Capability, PackageId } from '../../wit/types.ts';
import { splitPackageId } from '../../wit/address.ts';

export interface Database {
  readonly package: PackageId;
  readonly name: string;
}

/** Package ids are objects in JSON (M3). */
export function wirePackage(pkg: PackageId): unknown {
  const { package: package_name, publisher: publisher_node } = splitPackageId(pkg);
  return { package_name, publisher_node };
}

export function databaseCapabilities(
  issuer: Address,
  { package: pkg, name }: Database,
  access: readonly ('read' | 'write')[],
): readonly Capability[] {
  const db_key = [wirePackage(pkg), name];
  return access.map((kind) => ({ issuer, params: JSON.stringify({ kind, db_key }) }));
}
