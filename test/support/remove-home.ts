/** Homes of nodes that tests have killed. */
import { rm } from 'node:fs/promises';

/** Removes a folder, also while programs that a killed node had started still end in it. */
export async function removeHome(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
