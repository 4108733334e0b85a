/** Numbers that an operator may change: `settings.json` in the drive (compute-market.md §16). */
import { record, u64, type Decoded } from '../../../wit/codec.ts';
import type { Drive } from '../../lib/vfs.ts';

const settings = record({
  /** Milliseconds without a channel after which running jobs are given up, at both ends. */
  orphanMs: u64,
});
export interface Settings {
  readonly orphanMs: number;
}

const PATH = 'settings.json';
const DEFAULT: Decoded<typeof settings> = { orphanMs: 300_000 };

export async function readSettings(drive: Drive, print: (text: string) => void): Promise<Settings> {
  const read = (await drive.exists(PATH)) ? settings.decode(await drive.readText(PATH)) : undefined;
  if (read?.ok === false)
    print(`${PATH}: ${read.error.path} is no ${read.error.expected}; it is not used`);
  const { orphanMs } = read?.ok === true ? read.value : DEFAULT;
  return { orphanMs: Number(orphanMs) };
}
