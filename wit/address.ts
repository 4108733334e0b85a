/** ProcessId, PackageId and Address: parse, format, split, and the Hypermap-safe predicate (kernel.md §1.1). */
import type { Address, PackageId, ProcessId, Result } from './types.ts';

/** Why a text is no identifier; spelled as the reference spells it. */
export type AddressParseError = 'TooManyAts' | 'TooManyColons' | 'MissingNodeId' | 'MissingField';

export interface ProcessIdParts {
  readonly process: string;
  readonly package: string;
  readonly publisher: string;
}

export interface PackageIdParts {
  readonly package: string;
  readonly publisher: string;
}

/** `process:package:publisher`: exactly three non-empty parts, any characters. */
export function parseProcessId(text: string): Result<ProcessId, AddressParseError> {
  const error = segmentsError(text, 3);
  // Proof of the brand: segmentsError found exactly three non-empty segments.
  return error === undefined ? { ok: true, value: text as ProcessId } : { ok: false, error };
}

/** `package:publisher`: exactly two non-empty parts, any characters. */
export function parsePackageId(text: string): Result<PackageId, AddressParseError> {
  const error = segmentsError(text, 2);
  return error === undefined ? { ok: true, value: text as PackageId } : { ok: false, error };
}

/** `node@process:package:publisher`. */
export function parseAddress(text: string): Result<Address, AddressParseError> {
  const parts = text.split('@');
  const [node, rest] = parts;
  if (parts.length > 2) return { ok: false, error: 'TooManyAts' };
  if (node === undefined || node === '' || rest === undefined) {
    return { ok: false, error: 'MissingNodeId' };
  }
  const process = parseProcessId(rest);
  return process.ok ? { ok: true, value: { node, process: process.value } } : process;
}

/** The identifier of text known to be right, such as a literal. @throws Error when it is not. */
export function processId(text: string): ProcessId {
  const parsed = parseProcessId(text);
  if (!parsed.ok) throw new Error(`not a process id: ${JSON.stringify(text)} (${parsed.error})`);
  return parsed.value;
}

/** The package id of text known to be right. @throws Error when it is not. */
export function packageId(text: string): PackageId {
  const parsed = parsePackageId(text);
  if (!parsed.ok) throw new Error(`not a package id: ${JSON.stringify(text)} (${parsed.error})`);
  return parsed.value;
}

/** The address of text known to be right. @throws Error when it is not. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(`not an address: ${JSON.stringify(text)} (${parsed.error})`);
  return parsed.value;
}

export function formatAddress(value: Address): string {
  return `${value.node}@${value.process}`;
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.process === b.process && a.node === b.node;
}

export function splitProcessId(id: ProcessId): ProcessIdParts {
  const [process = '', pkg = '', publisher = ''] = id.split(':');
  return { process, package: pkg, publisher };
}

export function splitPackageId(id: PackageId): PackageIdParts {
  const [pkg = '', publisher = ''] = id.split(':');
  return { package: pkg, publisher };
}

/** The package a process belongs to. */
export function packageOf(id: ProcessId): PackageId {
  // Proof of the brand: what follows the first of exactly two colons has exactly one.
  return id.slice(id.indexOf(':') + 1) as PackageId;
}

/** The process of that name in a package. The name must be non-empty and without a colon; `isSafeProcessId` checks more. */
export function processIn(name: string, pkg: PackageId): ProcessId {
  return processId(`${name}:${pkg}`);
}

/** Names `[a-z0-9-]+`, publisher `[a-z0-9.-]+`: what may be initialised, spawned or bound (not what may be addressed). */
export function isSafeProcessId(id: string): boolean {
  return /^[a-z0-9-]+:[a-z0-9-]+:[a-z0-9.-]+$/.test(id);
}

export function isSafePackageId(id: string): boolean {
  return /^[a-z0-9-]+:[a-z0-9.-]+$/.test(id);
}

/** The node name that stands for the local node, in message sources and targets only (kernel.md §1.2). */
export const OUR = 'our';

export const KERNEL = processId('kernel:distro:sys');
export const VFS = processId('vfs:distro:sys');
export const STATE = processId('state:distro:sys');
export const TIMER = processId('timer:distro:sys');
export const KV = processId('kv:distro:sys');
export const SQLITE = processId('sqlite:distro:sys');
export const FD_MANAGER = processId('fd-manager:distro:sys');
/** A Wasm process, not a runtime module. */
export const TERMINAL = processId('terminal:terminal:sys');

/** The id a runtime module of that name answers as. */
export function moduleId(name: string): ProcessId {
  return processId(`${name}:distro:sys`);
}

function segmentsError(text: string, count: number): AddressParseError | undefined {
  let segments = 1;
  let empty = false;
  let start = 0;
  for (let colon = text.indexOf(':'); colon >= 0; colon = text.indexOf(':', start)) {
    segments += 1;
    empty ||= colon === start;
    start = colon + 1;
  }
  if (segments > count) return 'TooManyColons';
  return segments < count || empty || start === text.length ? 'MissingField' : undefined;
}
