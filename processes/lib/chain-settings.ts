/** Which namespace a package reads: what the node wrote into its drive `initfiles` before it started, else the one on Base. */
import { HYPERMAP } from '../../contracts/addresses.ts';
import { fromHex } from '../../contracts/hex.ts';
import { list, option, record, text, u32, type Decoded } from '../../wit/codec.ts';
import type { Caller } from './modules.ts';
import { drive } from './vfs.ts';

const settings = record({
  chain_id: u32,
  /** Of the contract. */
  hypermap: text,
  /** Nothing of it happened before. */
  first_block: u32,
  /** Nodes whose cachers may be asked for logs; with none, the chain is. */
  cache_sources: option(list(text)),
});
export type ChainSettings = Decoded<typeof settings>;

const FILE = 'chain.json';
/** Base; the block before its first (hypermap.md §9). */
const BASE: ChainSettings = {
  chain_id: 8453,
  hypermap: HYPERMAP,
  first_block: 27_270_411,
  cache_sources: undefined,
};

export async function readChainSettings(process: Caller): Promise<ChainSettings> {
  const files = await drive(process, 'initfiles');
  if (!(await files.exists(FILE))) return BASE;
  const read = settings.decode(await files.read(FILE));
  if (read.ok && fromHex(read.value.hypermap)?.length === 20) return read.value;
  const wrong = read.ok
    ? 'hypermap is no address'
    : `${read.error.path} is no ${read.error.expected}`;
  process.host.print(0, `initfiles/${FILE} cannot be used (${wrong}): the names of Base are read`);
  return BASE;
}
