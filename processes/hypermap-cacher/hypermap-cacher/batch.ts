/**
 * A batch: the logs of a range of blocks as one file (hypermap.md §14). Its signature covers the exact JSON of the logs, so that text is
 * made in one way only: compact, members in the reference's order, quantities as minimal hex, addresses in lower case.
 */
import { fromHex, toHex } from '../../../contracts/hex.ts';
import type { Requester } from '../../lib/client.ts';
import { member } from '../../lib/modules.ts';
import { cacheMetadata, type CacheMetadata } from '../contract.ts';

export const PROTOCOL = '0';
const DIGEST = 'digest:hypermap-cacher:sys';
const SIGN = 'sign:sign:sys';
const SIGN_S = 10;
const SIGNATURE_BYTES = 64;

export interface Batch {
  readonly metadata: CacheMetadata;
  /** Canonical JSON of the list. */
  readonly logs: string;
}

/** The canonical JSON of a provider's logs; undefined where one of them is none. */
export function canonicalLogs(logs: unknown): string | undefined {
  if (!Array.isArray(logs)) return undefined;
  const texts: string[] = [];
  for (const log of logs) {
    const text = canonicalLog(log);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return `[${texts.join(',')}]`;
}

function canonicalLog(log: unknown): string | undefined {
  const hex = (name: string): string | undefined => lower(member(log, name));
  const topics = member(log, 'topics');
  const timestamp = member(log, 'blockTimestamp');
  if (!Array.isArray(topics)) return undefined;
  const fields: Record<string, unknown> = {
    address: hex('address'),
    topics: topics.map(lower),
    data: hex('data'),
    blockHash: hex('blockHash'),
    blockNumber: minimal(member(log, 'blockNumber')),
    ...(timestamp === undefined || timestamp === null
      ? {}
      : { blockTimestamp: minimal(timestamp) }),
    transactionHash: hex('transactionHash'),
    transactionIndex: minimal(member(log, 'transactionIndex')),
    logIndex: minimal(member(log, 'logIndex')),
    removed: member(log, 'removed') === true,
  };
  const values = [...Object.values(fields), ...(fields['topics'] as unknown[])];
  return values.includes(undefined) ? undefined : JSON.stringify(fields);
}

function lower(value: unknown): string | undefined {
  return typeof value === 'string' && /^0x[0-9a-fA-F]*$/.test(value)
    ? value.toLowerCase()
    : undefined;
}

function minimal(value: unknown): string | undefined {
  const text = lower(value);
  return text === undefined || text === '0x' ? undefined : text.replace(/^0x0+(?=.)/, '0x');
}

export function fileNameOf({ timeCreated, chainId, fromBlock, toBlock }: CacheMetadata): string {
  return `${timeCreated}-chain${chainId}-from${fromBlock}-to${toBlock}-protocol${PROTOCOL}.json`;
}

export function fileOf({ metadata, logs }: Batch): string {
  return `{"metadata":${cacheMetadata.stringify(metadata)},"logs":${logs}}`;
}

/** What a file or a peer holds; undefined where it is no batch. Its signature is another matter. */
export function readBatch(value: unknown): Batch | undefined {
  const metadata = cacheMetadata.decode(JSON.stringify(member(value, 'metadata') ?? null));
  const logs = canonicalLogs(member(value, 'logs'));
  if (!metadata.ok || logs === undefined) return undefined;
  const { fromBlock, toBlock } = metadata.value;
  if (!isBlock(fromBlock) || !isBlock(toBlock) || Number(fromBlock) > Number(toBlock))
    return undefined;
  return { metadata: metadata.value, logs };
}

function isBlock(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

/** As `YYYYMMDDTHHMMSSZ`. */
export function timeText(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** keccak256 of bytes, by a process that is made for it. */
export async function keccak(caller: Requester, bytes: Uint8Array): Promise<Uint8Array> {
  const blob = { mime: undefined, bytes };
  return (await caller.request(DIGEST, 'keccak', { blob, timeoutS: SIGN_S })).body;
}

/** What is signed: keccak256 of the logs, then the first and last block as 64 bits each, big-endian. */
async function digest(
  caller: Requester,
  logs: string,
  from: number,
  to: number,
): Promise<Uint8Array> {
  const text = new TextEncoder().encode(logs);
  const whole = new Uint8Array(text.length + 16);
  whole.set(text);
  const view = new DataView(whole.buffer, text.length);
  view.setBigUint64(0, BigInt(from));
  view.setBigUint64(8, BigInt(to));
  return keccak(caller, whole);
}

/** By this node's key, as `0x` hex. @throws NoResponse without `sign:sign:sys` */
export async function sign(
  caller: Requester,
  logs: string,
  { from, to }: { from: number; to: number },
): Promise<string> {
  const bytes = await digest(caller, logs, from, to);
  const blob = { mime: undefined, bytes };
  const answer = await caller.request(SIGN, '"NetKeySign"', { blob, timeoutS: SIGN_S });
  if (answer.blob?.bytes.length !== SIGNATURE_BYTES) throw new Error('sign:sign:sys did not sign');
  return toHex(answer.blob.bytes);
}

/** Whether the node that a batch names has signed it (HM29). */
export async function isSigned(caller: Requester, { metadata, logs }: Batch): Promise<boolean> {
  const signature = fromHex(metadata.signature);
  if (signature?.length !== SIGNATURE_BYTES) return false;
  const from = Number(metadata.fromBlock);
  const bytes = await digest(caller, logs, from, Number(metadata.toBlock));
  const request = { NetKeyVerify: { node: metadata.createdBy, signature: [...signature] } };
  const blob = { mime: undefined, bytes };
  const answer = await caller.request(SIGN, JSON.stringify(request), { blob, timeoutS: SIGN_S });
  return member(JSON.parse(new TextDecoder().decode(answer.body)), 'NetKeyVerify') === true;
}
