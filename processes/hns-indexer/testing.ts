/** Logs of the namespace as a provider sends them, for tests and benches of the indexer. */
import { HYPERMAP } from '../../contracts/addresses.ts';
import { TOPICS } from '../../contracts/events.ts';
import { textToHex, toHex, type Hex } from '../../contracts/hex.ts';
import { labelhash, leaf, namehash } from '../../contracts/hypermap.ts';

export interface MadeLog {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
  readonly blockHash: string;
  readonly blockNumber: string;
  readonly blockTimestamp: string;
  readonly transactionHash: string;
  readonly transactionIndex: string;
  readonly logIndex: string;
  readonly removed: boolean;
}

/** A Mint of a full name, child first. */
export function mintLog(name: string, block = 1): MadeLog {
  const [label = '', ...above] = name.split('.');
  const parent = namehash(above.join('.'));
  const topics = [TOPICS.Mint, parent, leaf(parent, label), labelhash(label)];
  return logOf(topics, words(32n) + padded(textToHex(label)), block);
}

/** A Note under a name; `data` is hex. */
export function noteLog(name: string, label: string, data: Hex, block = 1): MadeLog {
  const parent = namehash(name);
  const topics = [TOPICS.Note, parent, leaf(parent, label), labelhash(label)];
  const first = padded(textToHex(label));
  return logOf(topics, words(64n, BigInt(64 + first.length / 2)) + first + padded(data), block);
}

/** What registering a direct node writes: its name and four notes. */
export function nodeLogs(name: string, seed: number, block = 1): MadeLog[] {
  return [
    mintLog(name, block),
    noteLog(name, '~net-key', keyOf(seed), block),
    noteLog(
      name,
      '~ip',
      toHex(Uint8Array.of(10, seed >> 16, (seed >> 8) & 255, seed & 255)),
      block,
    ),
    noteLog(name, '~ws-port', '0x2328', block),
  ];
}

/** A key that is nobody's. */
export function keyOf(seed: number): Hex {
  return `0x${seed.toString(16).padStart(64, '0')}`;
}

export function hashOfBlock(block: number, fork = 'b'): Hex {
  return `0x${fork}${block.toString(16).padStart(63, '0')}`;
}

export function bytesOf(logs: readonly MadeLog[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ Response: logs }));
}

function logOf(topics: readonly string[], data: string, block: number): MadeLog {
  return {
    address: HYPERMAP.toLowerCase(),
    topics,
    data: `0x${data}`,
    blockHash: hashOfBlock(block),
    blockNumber: `0x${block.toString(16)}`,
    blockTimestamp: '0x68c8e2f1',
    transactionHash: keyOf(block),
    transactionIndex: '0x0',
    logIndex: '0x0',
    removed: false,
  };
}

function words(...values: readonly bigint[]): string {
  return values.map((value) => value.toString(16).padStart(64, '0')).join('');
}

/** Length, and bytes to a multiple of 32. */
function padded(data: string): string {
  const digits = data.slice(2);
  return words(BigInt(digits.length / 2)) + digits.padEnd(Math.ceil(digits.length / 64) * 64, '0');
}
