/**
 * Bind-mounted folders have no quota: while a program writes, somebody must look how much (compute-market.md §9.2). Links are not followed,
 * and what vanishes between a look and the next is not counted.
 */
import { lstat, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fault } from './ending.ts';

/** How often is looked. */
const LOOK_MS = 1_000;
/** Bytes that the host's disk keeps free, whatever jobs want. */
export const FREE_BYTES_FLOOR = 5 * 1024 ** 3;
/** Entries that one look counts: more are too many in any case. */
const ENTRIES_MAX = 200_000;

export interface OutputLimits {
  readonly bytesMax: number;
  readonly entriesMax: number;
  readonly freeFloor: number;
}

/** Calls `exceeded` once if the folder outgrows its limits or the disk runs full. Stop it with what is returned. */
export function watchOutputs(
  folder: string,
  limits: OutputLimits,
  exceeded: (fault: Fault) => void,
): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const fault = await overgrown(folder, limits).catch(() => undefined);
    if (stopped) return;
    if (fault !== undefined) exceeded(fault);
    else timer = setTimeout(() => void look(), LOOK_MS);
  };
  timer = setTimeout(() => void look(), LOOK_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** What is wrong with the folder now. Also for the last look, when the program has ended. */
export async function overgrown(
  folder: string,
  { bytesMax, entriesMax, freeFloor }: OutputLimits,
): Promise<Fault | undefined> {
  const size = await sizeOf(folder);
  if (size.bytes > bytesMax)
    return { code: 'OUTPUT_LIMIT', message: `over ${bytesMax} bytes of outputs` };
  if (size.entries > entriesMax)
    return { code: 'OUTPUT_LIMIT', message: `over ${entriesMax} files and folders of outputs` };
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= freeFloor) return undefined;
  // The host's disk is not the client's fault.
  return { code: 'INTERNAL', message: `the host's disk has less than ${freeFloor} bytes free` };
}

async function sizeOf(folder: string): Promise<{ bytes: number; entries: number }> {
  let bytes = 0;
  let entries = 0;
  const folders = [folder];
  for (let at = folders.pop(); at !== undefined && entries <= ENTRIES_MAX; at = folders.pop()) {
    for (const entry of await readdir(at, { withFileTypes: true }).catch(() => [])) {
      entries += 1;
      const path = join(at, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else {
        const stat = await lstat(path).catch(() => undefined);
        if (stat !== undefined) bytes += stat.size + beyondEnd(stat);
      }
    }
  }
  return { bytes, entries };
}

const BLOCK_BYTES = 4096;

/** Bytes that a file holds behind its end, where `stat.size` does not see them. */
function beyondEnd({ size, blocks }: { readonly size: number; readonly blocks: number }): number {
  return Math.max(0, blocks * 512 - Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES);
}
