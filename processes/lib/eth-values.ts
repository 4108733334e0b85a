/** What JSON-RPC says, as values. Providers are not trusted: what is not as it should be is an error, and never half a value. */
import { member } from './modules.ts';

/** What a log has to match. A position of `topics` is one hash, several of which any will do, or null for anything. */
export interface LogFilter {
  readonly address?: string | readonly string[];
  readonly topics?: readonly (string | readonly string[] | null)[];
  readonly fromBlock?: number;
  readonly toBlock?: number;
}

export interface Log {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly transactionHash: string;
  readonly logIndex: number;
  /** A reorganisation took it back. */
  readonly removed: boolean;
}

export interface Block {
  readonly number: number;
  readonly hash: string;
  readonly parentHash: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Wei for each unit of gas; undefined before EIP-1559. */
  readonly baseFeePerGas: bigint | undefined;
}

export interface Receipt {
  readonly transactionHash: string;
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly from: string;
  readonly to: string | undefined;
  /** False: it reverted. */
  readonly ok: boolean;
  readonly gasUsed: bigint;
  readonly logs: readonly Log[];
}

/** A provider's answer that is not what it should be. */
export class MalformedAnswer extends Error {
  override readonly name = 'MalformedAnswer';
  constructor(what: string) {
    super(`the provider's answer is malformed: ${what}`);
  }
}

/** The filter of JSON-RPC: cut after the last position that asks for something (eth.md §2). */
export function filterOf({ address, topics, fromBlock, toBlock }: LogFilter): unknown {
  const last = topics?.findLastIndex((topic) => topic !== null) ?? -1;
  return {
    ...(address === undefined ? {} : { address }),
    ...(last < 0 ? {} : { topics: topics?.slice(0, last + 1) }),
    ...(fromBlock === undefined ? {} : { fromBlock: hex(fromBlock) }),
    ...(toBlock === undefined ? {} : { toBlock: hex(toBlock) }),
  };
}

export function logOf(value: unknown): Log {
  const topics = member(value, 'topics');
  if (!Array.isArray(topics)) throw new MalformedAnswer('topics of a log');
  return {
    address: hexOf(value, 'address'),
    topics: topics.map((topic) => hexText(topic, 'a topic')),
    data: hexOf(value, 'data'),
    blockNumber: numberOf(member(value, 'blockNumber'), 'blockNumber'),
    blockHash: hexOf(value, 'blockHash'),
    transactionHash: hexOf(value, 'transactionHash'),
    logIndex: numberOf(member(value, 'logIndex'), 'logIndex'),
    removed: member(value, 'removed') === true,
  };
}

export function blockOf(value: unknown): Block {
  const fee = member(value, 'baseFeePerGas');
  return {
    number: numberOf(member(value, 'number'), 'number of a block'),
    hash: hexOf(value, 'hash'),
    parentHash: hexOf(value, 'parentHash'),
    timestamp: numberOf(member(value, 'timestamp'), 'timestamp'),
    baseFeePerGas: fee === undefined || fee === null ? undefined : quantity(fee, 'baseFeePerGas'),
  };
}

export function receiptOf(value: unknown): Receipt {
  const logs = member(value, 'logs');
  if (!Array.isArray(logs)) throw new MalformedAnswer('logs of a receipt');
  const to = member(value, 'to');
  return {
    transactionHash: hexOf(value, 'transactionHash'),
    blockNumber: numberOf(member(value, 'blockNumber'), 'blockNumber'),
    blockHash: hexOf(value, 'blockHash'),
    from: hexOf(value, 'from'),
    to: typeof to === 'string' ? to : undefined,
    ok: numberOf(member(value, 'status'), 'status') === 1,
    gasUsed: quantity(member(value, 'gasUsed'), 'gasUsed'),
    logs: logs.map((log) => logOf(log)),
  };
}

export function quantity(value: unknown, what: string): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value))
    throw new MalformedAnswer(what);
  return BigInt(value);
}

/** @throws MalformedAnswer above 2^53 too */
export function numberOf(value: unknown, what: string): number {
  const number = Number(quantity(value, what));
  if (!Number.isSafeInteger(number)) throw new MalformedAnswer(what);
  return number;
}

function hexOf(value: unknown, name: string): string {
  return hexText(member(value, name), name);
}

function hexText(value: unknown, what: string): string {
  if (typeof value !== 'string' || !value.startsWith('0x')) throw new MalformedAnswer(what);
  return value;
}

function hex(block: number): string {
  return `0x${block.toString(16)}`;
}
