/** One transaction that was sent, as it is on disk: a file of its own, named by chain, key and nonce. */
import { createHash } from 'node:crypto';
import { type Decoded, list, option, record, text, u32, u64 } from '../../../wit/codec.ts';
import { amount, type Outgoing, sendState } from '../../../wit/signer-api.ts';
import type { U64 } from '../../../wit/types.ts';

/** One signed form of it; a later one has higher fees. */
const version = record({
  hash: text,
  maxFeePerGas: amount,
  maxPriorityFeePerGas: amount,
});

const entry = record({
  /** The package that sent it, and what it calls it. */
  sender: text,
  id: text,
  /** Of what was asked for, by `contentOf`. */
  content: text,
  chainId: u64,
  /** Of the key, lower case. */
  address: text,
  nonce: u64,
  to: text,
  value: amount,
  gasLimit: u64,
  /** The most that a unit of gas may cost. */
  feeLimit: amount,
  versions: list(version),
  state: sendState,
  /** What is needed as long as it may have to be sent again; nothing once it is over. */
  live: option(record({ data: text, raw: text })),
  /** Order in which they were sent. */
  order: u32,
});
export type Entry = Decoded<typeof entry>;
export type Version = Entry['versions'][number];

export const encodeEntry = (value: Entry): Uint8Array => entry.encode(value);

export function decodeEntry(content: string): Entry | undefined {
  const decoded = entry.decode(content);
  return decoded.ok && decoded.value.versions.length > 0 ? decoded.value : undefined;
}

/** `31337-0x….17`: no two of them may be. */
export function fileOf({
  chainId,
  address,
  nonce,
}: Pick<Entry, 'chainId' | 'address' | 'nonce'>): string {
  return `${chainId}-${address}.${nonce}`;
}

/** The newest form. */
export function newest(of: Entry): Version {
  // Proof: an entry is made with one, and none is ever removed.
  return of.versions.at(-1)!;
}

/** Tells two requests apart that have one id. */
export function contentOf(
  address: string,
  chainId: U64,
  { to, value, data, gasLimit, maxFeePerGas }: Outgoing,
): string {
  const parts = [
    address,
    chainId,
    to.toLowerCase(),
    value,
    data.toLowerCase(),
    gasLimit,
    maxFeePerGas,
  ];
  const spelled = JSON.stringify(parts.map((part) => (part === undefined ? null : String(part))));
  return createHash('sha256').update(spelled).digest('base64url');
}
