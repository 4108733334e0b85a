/** The chain between two starts: one file, replaced as a whole, so that a kill at any instant leaves the old one or the new one. */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ChainError } from './chain-error.ts';
import type { Profile } from './genesis.ts';

export interface SavedChain {
  readonly profile: Profile;
  /** What anvil dumped: `0x` and hex. */
  readonly state: string;
}

const FORMAT = 'hyperloom-chain-1';

/**
 * What was saved, or undefined where nothing was.
 * @throws ChainError `damaged-state`, `unreadable-state`
 */
export async function readState(path: string): Promise<SavedChain | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ChainError(
      'unreadable-state',
      `${path} cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const [format, profile, state, end] = text.split('\n');
  if (format !== FORMAT || (profile !== 'fake' && profile !== 'main')) throw damaged(path);
  // The last line ends: a file that was cut short does not have it.
  if (end !== '' || !/^0x[0-9a-f]+$/.test(state ?? '')) throw damaged(path);
  return { profile, state: state! };
}

/**
 * Replaces what was saved; it is on disk when this returns.
 * @throws ChainError `unwritable-state`; what was saved before is still there
 */
export async function writeState(path: string, saved: SavedChain): Promise<void> {
  try {
    await replace(path, `${FORMAT}\n${saved.profile}\n${saved.state}\n`);
  } catch (error) {
    throw new ChainError(
      'unwritable-state',
      `the embedded chain cannot be saved to ${path}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

async function replace(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  // Not on Windows, where a folder cannot be opened.
  const folder = await open(dirname(path), 'r').catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

export function damaged(path: string, cause?: unknown): ChainError {
  return new ChainError(
    'damaged-state',
    `${path} is damaged. Put a copy back, or delete it: the embedded chain then starts anew, and its names are gone.`,
    { cause },
  );
}
