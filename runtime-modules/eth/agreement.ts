/**
 * Reads that decide money or identity (findings.md F35): one provider that its owner marked as trusted answers, or two others give the
 * same answer at the same block. Anything else is an error that names who disagreed.
 */
import type { EthError } from '../../wit/eth-api.ts';
import { formatJson, isJsonObject, parseJson, type JsonValue } from '../../wit/json.ts';
import { members } from './rpc-frame.ts';
import type { CallOutcome } from './rpc-socket.ts';

/** Where the block is among the parameters of what can be agreed on; null: the answer names its block itself. */
const BLOCK_AT: Readonly<Record<string, number | null>> = {
  eth_call: 1,
  eth_getBalance: 1,
  eth_getCode: 1,
  eth_getTransactionCount: 1,
  eth_getStorageAt: 2,
  eth_getBlockByNumber: 0,
  eth_getLogs: null,
  eth_getTransactionReceipt: null,
  eth_chainId: null,
};

/** A provider that can be asked here. */
export interface Witness {
  readonly label: string;
  readonly trusted: boolean;
  call(method: string, params: string): Promise<CallOutcome>;
}

export type Agreed =
  | { readonly ok: true; readonly result: string }
  | { readonly ok: false; readonly error: EthError };

/** @param params as the requester gave them */
export async function agree(
  witnesses: readonly Witness[],
  method: string,
  params: JsonValue,
): Promise<Agreed> {
  if (!(method in BLOCK_AT)) return { ok: false, error: { kind: 'InvalidMethod', value: method } };
  for (const witness of witnesses.filter(({ trusted }) => trusted)) {
    const outcome = await witness.call(method, paramsOf(params));
    if (outcome.kind === 'result') return { ok: true, result: outcome.result };
    if (outcome.kind === 'error')
      return { ok: false, error: { kind: 'RpcError', value: outcome.error } };
  }
  const others = witnesses.filter(({ trusted }) => !trusted);
  const heads = await Promise.all(
    others.map(async (witness) => ({ witness, head: await headOf(witness) })),
  );
  const live = heads.filter(
    (each): each is { witness: Witness; head: number } => each.head !== undefined,
  );
  const [first, second] = live;
  if (first === undefined || second === undefined)
    return { ok: false, error: { kind: 'NoAgreement' } };
  const at = Math.min(first.head, second.head);
  const pair = [first.witness, second.witness] as const;
  const labels = pair.map(({ label }) => label);
  const disagree = { ok: false, error: { kind: 'ProvidersDisagree', value: labels } } as const;
  const [hashA, hashB] = await Promise.all(pair.map((witness) => blockHash(witness, at)));
  if (hashA === undefined || hashB === undefined)
    return { ok: false, error: { kind: 'NoAgreement' } };
  if (hashA !== hashB) return disagree;
  const pinned = pin(method, params, at);
  const [a, b] = await Promise.all(pair.map((witness) => witness.call(method, pinned)));
  if (a === undefined || b === undefined) return { ok: false, error: { kind: 'NoAgreement' } };
  if (a.kind === 'result' && b.kind === 'result')
    return canonical(a.result) === canonical(b.result) ? { ok: true, result: a.result } : disagree;
  if (a.kind === 'error' && b.kind === 'error')
    return { ok: false, error: { kind: 'RpcError', value: a.error } };
  return a.kind === 'result' || b.kind === 'result'
    ? { ok: false, error: { kind: 'NoAgreement' } }
    : { ok: false, error: { kind: 'RpcTimeout' } };
}

async function headOf(witness: Witness): Promise<number | undefined> {
  const outcome = await witness.call('eth_blockNumber', '[]');
  if (outcome.kind !== 'result') return undefined;
  const head = Number(JSON.parse(outcome.result));
  return Number.isSafeInteger(head) ? head : undefined;
}

async function blockHash(witness: Witness, block: number): Promise<string | undefined> {
  const outcome = await witness.call('eth_getBlockByNumber', `["0x${block.toString(16)}",false]`);
  return outcome.kind === 'result' ? members(outcome.result)?.get('hash') : undefined;
}

function paramsOf(params: JsonValue): string {
  return params === null ? '[]' : formatJson(params);
}

/** The same question about one block, where it asked about the newest. */
function pin(method: string, params: JsonValue, block: number): string {
  const list = Array.isArray(params) ? [...(params as readonly JsonValue[])] : [];
  const number = `0x${block.toString(16)}`;
  const at = BLOCK_AT[method];
  if (typeof at === 'number' && isNewest(list[at])) list[at] = number;
  const [filter] = list;
  if (method === 'eth_getLogs' && isJsonObject(filter) && filter['blockHash'] === undefined)
    list[0] = { ...filter, ...(isNewest(filter['toBlock']) ? { toBlock: number } : {}) };
  return formatJson(list);
}

function isNewest(tag: JsonValue | undefined): boolean {
  return tag === undefined || tag === null || tag === 'latest' || tag === 'pending';
}

/** Providers differ in the order of members and in the case of hex. */
function canonical(text: string): string {
  return formatJson(sorted(parseJson(text) ?? null));
}

function sorted(value: JsonValue): JsonValue {
  if (typeof value === 'string') return /^0x[0-9a-f]*$/i.test(value) ? value.toLowerCase() : value;
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(sorted);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
