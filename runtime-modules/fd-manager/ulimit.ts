/** The soft limit of open files of this process. */
import { readFile } from 'node:fs/promises';

/** Linux tells it in a file; elsewhere undefined, and fd-manager keeps its default. */
export async function readUlimit(): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined;
  const limits = await readFile('/proc/self/limits', 'utf8');
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  if (soft === 'unlimited') return 1_000_000;
  const limit = Number(soft);
  return Number.isSafeInteger(limit) ? limit : undefined;
}
