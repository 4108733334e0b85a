/** Reading a whole database and checking that it holds what was last written: no row damaged, missing or out of date. */
import type { Level } from 'level';
import { parseProcessId } from '../../wit/address.ts';
import type { Capability, ProcessId } from '../../wit/types.ts';
import type { StoredEntry, StoredProcess } from '../../kernel/store.ts';
import {
  capabilityRow,
  DIGEST_BYTES,
  entryRow,
  rowDigest,
  SUMMARY_KEY,
  summaryRow,
  unseal,
} from './rows.ts';
import { StoreError } from './store-error.ts';

export type Database = Level<string, Uint8Array>;

export interface Scan {
  readonly processes: readonly StoredProcess[];
  readonly digests: Map<string, Buffer>;
  readonly rows: Map<ProcessId, Set<string>>;
  readonly summary: Buffer;
}

/** Reads and checks every row. @throws StoreError 'damaged' naming the first that does not hold. */
export async function scanAll(db: Database): Promise<Scan> {
  const entries = new Map<ProcessId, StoredEntry>();
  const capabilities = new Map<ProcessId, Capability[]>();
  const scan = { digests: new Map<string, Buffer>(), rows: new Map<ProcessId, Set<string>>() };
  const summary = Buffer.alloc(DIGEST_BYTES);
  let stored: string | undefined;
  for await (const [key, row] of db.iterator()) {
    const content = unseal(key, row) ?? damaged(`row ${JSON.stringify(key)} fails its checksum`);
    if (key === SUMMARY_KEY) {
      const { rows, digest } = decoded(key, summaryRow.decode(content));
      stored = `${rows} ${digest}`;
      continue;
    }
    const digest = rowDigest(key, row);
    xor(summary, digest);
    scan.digests.set(key, digest);
    if (key.startsWith('p!')) {
      const id = decoded(key, parseProcessId(key.slice(2)));
      entries.set(id, decoded(key, entryRow.decode(content)));
    } else if (key.startsWith('c!')) {
      const { holder, capability } = decoded(key, capabilityRow.decode(content));
      addTo(scan.rows, holder, key);
      capabilities.set(holder, [...(capabilities.get(holder) ?? []), capability]);
    } else if (!key.startsWith('s!')) damaged(`unknown row ${JSON.stringify(key)}`);
  }
  const found = `${scan.digests.size} ${summary.toString('hex')}`;
  if (stored === undefined ? scan.digests.size > 0 : stored !== found)
    damaged('rows are missing, or older than what was last written');
  const processes = [...entries].map(([id, entry]) => ({
    id,
    entry,
    capabilities: capabilities.get(id) ?? [],
  }));
  return { ...scan, processes, summary };
}

function decoded<T>(key: string, result: { ok: true; value: T } | { ok: false }): T {
  return result.ok ? result.value : damaged(`row ${JSON.stringify(key)} cannot be decoded`);
}

function damaged(what: string): never {
  throw new StoreError('damaged', `the kernel's database is damaged: ${what}`);
}

export function addTo(sets: Map<ProcessId, Set<string>>, id: ProcessId, key: string): void {
  const set = sets.get(id) ?? new Set<string>();
  set.add(key);
  sets.set(id, set);
}

/** Adds `other` to `into`, or takes it out again. */
export function xor(into: Buffer, other: Buffer): void {
  for (let at = 0; at < DIGEST_BYTES; at += 1) into[at] = (into[at] ?? 0) ^ (other[at] ?? 0);
}
