/** Codecs of the shared records in their JSON form (kernel.md §1.1, §1.13). */
import {
  formatAddress,
  parseAddress,
  parsePackageId,
  parseProcessId,
  splitPackageId,
} from './address.ts';
import { bytes, option, record, refined, text, type Codec } from './codec.ts';
import type { Address, Capability, LazyLoadBlob, PackageId, ProcessId } from './types.ts';

/** A string `process:package:publisher`. */
export const processId: Codec<ProcessId> = refined(
  text,
  'process id',
  (value) => okOf(parseProcessId(value)),
  (id) => id,
);

/** A string `node@process:package:publisher`. */
export const address: Codec<Address> = refined(
  text,
  'address',
  (value) => okOf(parseAddress(value)),
  formatAddress,
);

/** An object `{"package_name","publisher_node"}`; never a string (M3). Halves that cannot be joined and split again are refused. */
export const packageId: Codec<PackageId> = refined(
  record({ package_name: text, publisher_node: text }),
  'package id',
  (value) => okOf(parsePackageId(`${value.package_name}:${value.publisher_node}`)),
  (id) => {
    const parts = splitPackageId(id);
    return { package_name: parts.package, publisher_node: parts.publisher };
  },
);

/** `{"issuer","params"}`, params being JSON text inside a string. */
export const capability: Codec<Capability> = record({ issuer: address, params: text });

/** `{"mime","bytes"}`, bytes being an array of numbers. */
export const blob: Codec<LazyLoadBlob> = record({ mime: option(text), bytes });

function okOf<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false },
): T | undefined {
  return result.ok ? result.value : undefined;
}
