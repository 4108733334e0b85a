/** How much room a folder's files take. */
import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './io-error.ts';

/** Entries fetched from the host at a time. */
const DIR_BATCH = 256;
/** Files asked for their size at a time. */
const STAT_BATCH = 64;

/** Bytes of all files at and below `disk`; 0 when there is nothing. Links are not followed. */
export async function bytesOf(disk: string, signal?: AbortSignal): Promise<number> {
  const stats = await lstat(disk).catch(ignoreMissing);
  if (stats === undefined || !stats.isDirectory()) return stats === undefined ? 0 : sizeOf(stats);
  let bytes = 0;
  let batch: Promise<number>[] = [];
  for await (const entry of await opendir(disk, { bufferSize: DIR_BATCH })) {
    signal?.throwIfAborted();
    const path = join(disk, entry.name);
    if (entry.isDirectory()) bytes += await bytesOf(path, signal);
    else batch.push(bytesOf(path));
    if (batch.length < STAT_BATCH) continue;
    for (const each of await Promise.all(batch)) bytes += each;
    batch = [];
  }
  for (const each of await Promise.all(batch)) bytes += each;
  return bytes;
}

function sizeOf(stats: Stats): number {
  return stats.isFile() ? stats.size : 0;
}

/** A file may go while its folder is read. */
function ignoreMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}
