/**
 * What is done before the kernel starts, at every boot (kernel.md §7.2, §7.3): bundled packages are unpacked into the vfs, and what
 * they declare is merged into the process map that was kept. Deciding (`planBoot`) is pure; `installPackage` acts.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSafeProcessId } from '../wit/address.ts';
import { capabilityKey } from '../wit/json.ts';
import type { Capability, NodeId, ProcessId, Result } from '../wit/types.ts';
import {
  decodeManifest,
  decodeMetadata,
  entryOf,
  grantedCapabilities,
  initialCapabilities,
  type ManifestEntry,
  type Metadata,
  processOf,
} from './bundle.ts';
import type { StoredEntry, StoredProcess } from './store.ts';

/** A package as it comes with the node: the bytes of its zip, and the same files unpacked. */
export interface BundledPackage {
  /** What to call it in a message before its metadata is known, such as its folder. */
  readonly label: string;
  /** Text of metadata.json, which is not part of the zip. */
  readonly metadata: string;
  readonly zip: Uint8Array;
  /** Paths inside `pkg/`, with forward slashes. */
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

/** A bundled package whose declarations could be read. */
export interface ReadablePackage {
  readonly metadata: Metadata;
  readonly manifest: readonly ManifestEntry[];
  readonly bundled: BundledPackage;
}

export interface BootPlan {
  /** The process map as it is to be: what was kept, with the bundled processes merged in. Runtime modules are as they were kept. */
  readonly processes: readonly StoredProcess[];
  /** What the owner should know; printed at level 0. */
  readonly lines: readonly string[];
}

/** Only development networks have it (K127). */
const SIMULATION_ONLY = 'tester:sys';

/** Reads what a package declares; a refusal names the package, the file and the field. */
export function readPackage(bundled: BundledPackage): Result<ReadablePackage, string> {
  const metadata = decodeMetadata(bundled.metadata);
  if (!metadata.ok) return refuse(bundled.label, metadata.error);
  const file = bundled.files.find(({ path }) => path === 'manifest.json');
  if (file === undefined) {
    return {
      ok: false,
      error: `package ${bundled.label} has no manifest.json in pkg/: it is skipped`,
    };
  }
  const manifest = decodeManifest(new TextDecoder().decode(file.bytes));
  if (!manifest.ok) return refuse(bundled.label, manifest.error);
  return { ok: true, value: { metadata: metadata.value, manifest: manifest.value, bundled } };
}

/** The packages to install and run, and why the others are not. */
export function readPackages(
  bundled: readonly BundledPackage[],
  options: { readonly simulation: boolean },
): { readonly packages: readonly ReadablePackage[]; readonly lines: readonly string[] } {
  const packages: ReadablePackage[] = [];
  const lines: string[] = [];
  for (const one of bundled) {
    const read = readPackage(one);
    if (!read.ok) lines.push(read.error);
    else if (options.simulation || read.value.metadata.package !== SIMULATION_ONLY) {
      packages.push(read.value);
    }
  }
  return { packages, lines };
}

/**
 * The process map for this boot. A kept entry of a bundled process gets the bundle's handle, version, on-exit and publicness, and its
 * capabilities are extended, never cut (K121); other entries stay as they are (K126). Entries with unsafe ids are dropped.
 */
export function planBoot(
  our: NodeId,
  kept: readonly StoredProcess[],
  packages: readonly ReadablePackage[],
): BootPlan {
  const lines: string[] = [];
  const map = new Map<ProcessId, { entry: StoredEntry; held: Map<string, Capability> }>();
  for (const { id, entry, capabilities } of kept) {
    if (!isSafeProcessId(id)) {
      lines.push(`the process map held an unsafe id, which is dropped: ${JSON.stringify(id)}`);
      continue;
    }
    map.set(id, { entry, held: byKey(capabilities) });
  }
  for (const { metadata, manifest } of packages) {
    for (const entry of manifest) {
      const id = processOf(metadata, entry);
      lines.push(...entry.skipped.map((line) => `${metadata.package}: ${line}`));
      const held = map.get(id)?.held ?? new Map<string, Capability>();
      add(held, initialCapabilities(our, metadata, entry));
      map.set(id, { entry: entryOf(metadata, entry), held });
    }
  }
  // A second pass, because a grant may name a process of a package that comes later.
  for (const { metadata, manifest } of packages) {
    for (const entry of manifest) {
      for (const { to, capability } of grantedCapabilities(our, metadata, entry)) {
        const grantee = map.get(to);
        if (grantee !== undefined) add(grantee.held, [capability]);
      }
    }
  }
  const processes = Array.from(map, ([id, { entry, held }]) => ({
    id,
    entry,
    capabilities: [...held.values()],
  }));
  return { processes, lines };
}

/**
 * Puts a package's files where the vfs finds them, replacing what is there (K120), with the zip among them as `<pkg>:<pub>.zip`
 * (K125). Whole or not at all: unpacked beside it, then swapped in by rename; a boot that died in between is repeated by the next.
 */
export async function installPackage(
  home: string,
  { metadata, bundled }: ReadablePackage,
): Promise<void> {
  const pkg = join(home, 'vfs', onDisk(metadata.package), 'pkg');
  const staging = join(home, 'cache', 'unpack', randomUUID());
  const zip = { path: `${metadata.package}.zip`, bytes: bundled.zip };
  for (const { path, bytes } of [...bundled.files, zip]) {
    const target = insideOf(staging, onDisk(path));
    if (target === undefined) continue;
    await mkdir(dirname(target), { recursive: true });
    const file = await open(target, 'wx');
    try {
      await file.writeFile(bytes);
    } finally {
      await file.close();
    }
  }
  await mkdir(dirname(pkg), { recursive: true });
  const old = join(home, 'cache', 'unpack', randomUUID());
  await rename(pkg, old).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  await rename(staging, pkg);
  await rm(old, { recursive: true, force: true });
}

/** Removes what boots that were cut short left behind. */
export async function clearUnpacking(home: string): Promise<void> {
  await rm(join(home, 'cache', 'unpack'), { recursive: true, force: true });
}

/** The wasm a process map entry names; undefined when it cannot be read. */
export async function readWasm(home: string, handle: string): Promise<Uint8Array | undefined> {
  const vfs = join(home, 'vfs');
  const path = insideOf(vfs, onDisk(handle.replace(/^\/+/, '')));
  if (path === undefined) return undefined;
  return readFile(path).catch(() => undefined);
}

function add(held: Map<string, Capability>, capabilities: readonly Capability[]): void {
  for (const capability of capabilities) {
    const key = capabilityKey(capability);
    if (!held.has(key)) held.set(key, capability);
  }
}

function byKey(capabilities: readonly Capability[]): Map<string, Capability> {
  const held = new Map<string, Capability>();
  add(held, capabilities);
  return held;
}

/** `path` under `folder`, or undefined when it would lie outside (entries with unsafe paths are skipped). */
function insideOf(folder: string, path: string): string | undefined {
  const parts = path.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..') || path.includes('\0')) return undefined;
  return join(folder, ...parts);
}

/** Windows has no `:` in names. */
function onDisk(path: string): string {
  return process.platform === 'win32' ? path.replaceAll(':', '_') : path;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function refuse(
  label: string,
  error: { readonly file: string; readonly field: string; readonly message: string },
): { ok: false; error: string } {
  const where = error.field === '' ? error.file : `${error.file}, ${error.field}`;
  return {
    ok: false,
    error: `package ${label} cannot be started, its ${where}: ${error.message}. Mend the file and start again; other packages run.`,
  };
}
