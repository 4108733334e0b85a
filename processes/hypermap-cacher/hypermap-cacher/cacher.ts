/** Fills the store: from peers at first, then from the chain, once an hour (hypermap.md §14). */
import { TOPICS } from '../../../contracts/events.ts';
import { formatAddress } from '../../../wit/address.ts';
import type { ChainSettings } from '../../lib/chain-settings.ts';
import { Eth, EthError } from '../../lib/eth.ts';
import { NoResponse } from '../../lib/errors.ts';
import { type Caller, member } from '../../lib/modules.ts';
import { sleep } from '../../lib/timers.ts';
import { cacherResponse } from '../contract.ts';
import { canonicalLogs, isSigned, readBatch, sign, timeText } from './batch.ts';
import type { BatchStore } from './store.ts';

export const INTERVAL_S = 3_600;
/** Between two batches, in milliseconds. */
const PAUSE_MS = 200;
/** How often a batch is tried, and how long it is waited for in between. */
const TRIES = 3;
const AGAIN_MS = 10_000;
/** Blocks of the smallest batch that is tried. */
const BATCH_BLOCKS_MIN = 10;
/** Characters of a batch's logs; a larger one is halved, for it is signed, kept and sent as a whole. */
const BATCH_CHARS_MAX = 512 * 1024;
/** Behind the head a block may still be replaced, and what was signed cannot be taken back. */
const SETTLED_BLOCKS = 64;
const STATUS_S = 3;
const RANGE_S = 15;

export interface CacherParts {
  readonly process: Caller;
  readonly settings: ChainSettings;
  readonly store: BatchStore;
}

/** What a peer has that is signed; false: it has nothing, or does not answer. */
export async function fetchFromPeer(parts: CacherParts, node: string): Promise<boolean> {
  const { process, store, settings } = parts;
  const target = `${node}@${process.our.process}`;
  const ask = async (body: unknown, timeoutS: number): Promise<unknown> => {
    const reply = await process.request(target, JSON.stringify(body), { timeoutS });
    const answer = cacherResponse.decode(reply.body);
    return answer.ok ? answer.value : undefined;
  };
  try {
    const status = await ask('GetStatus', STATUS_S);
    if (member(status, 'kind') !== 'GetStatus') return false;
    for (let from = (store.last ?? settings.first_block - 1) + 1; ;) {
      const answer = await ask({ GetLogsByRange: { from_block: from, to_block: null } }, RANGE_S);
      const ok = member(member(answer, 'value'), 'value');
      const logs = member(ok, 'kind') === 'Logs' ? member(ok, 'value') : undefined;
      if (!Array.isArray(logs)) return from > settings.first_block;
      const last = await keepSigned(parts, JSON.parse(String(logs[1])));
      // A peer whose answers lead nowhere is left.
      if (last === undefined || last < from) return from > settings.first_block;
      from = last + 1;
    }
  } catch (error) {
    if (error instanceof NoResponse || error instanceof SyntaxError) return false;
    throw error;
  }
}

/** Keeps those that were signed by whom they name (HM29). Returns the last block that is there then. */
async function keepSigned(
  { process, store, settings }: CacherParts,
  list: unknown,
): Promise<number | undefined> {
  for (const one of Array.isArray(list) ? list : []) {
    const batch = readBatch(one);
    if (batch?.metadata.chainId !== String(settings.chain_id)) continue;
    if (await isSigned(process, batch)) await store.add(batch);
    else
      process.host.print(
        1,
        `a batch in the name of ${batch.metadata.createdBy.slice(0, 80)} is not signed`,
      );
  }
  return store.last;
}

/** Reads what is settled and not kept yet. Throws when the chain, or who signs, does not answer. */
export async function fetchFromChain(parts: CacherParts): Promise<void> {
  const { process, settings, store } = parts;
  const eth = new Eth(process, { chainId: settings.chain_id });
  const last = (await eth.blockNumber()) - SETTLED_BLOCKS;
  let span = Math.max(BATCH_BLOCKS_MIN, last - settings.first_block + 1);
  for (let from = (store.last ?? settings.first_block - 1) + 1; from <= last;) {
    const to = Math.min(from + span - 1, last);
    const logs = await batchOf(parts, eth, from, to);
    if (logs === undefined || (logs.length > BATCH_CHARS_MAX && span > BATCH_BLOCKS_MIN)) {
      if (span <= BATCH_BLOCKS_MIN)
        throw new Error(`the logs of blocks ${from} to ${to} cannot be read`);
      span = Math.max(BATCH_BLOCKS_MIN, span >> 1);
      continue;
    }
    const metadata = {
      chainId: String(settings.chain_id),
      fromBlock: String(from),
      toBlock: String(to),
      timeCreated: timeText(new Date()),
      createdBy: formatAddress(process.our),
      signature: await sign(process, logs, { from, to }),
    };
    await store.add({ metadata, logs });
    from = to + 1;
    if (from <= last) await sleep(process, PAUSE_MS);
  }
}

/** Undefined: fewer blocks may help. */
async function batchOf(
  { process, settings }: CacherParts,
  eth: Eth,
  from: number,
  to: number,
): Promise<string | undefined> {
  const filter = {
    address: settings.hypermap,
    topics: [[TOPICS.Mint, TOPICS.Note]],
    fromBlock: `0x${from.toString(16)}`,
    toBlock: `0x${to.toString(16)}`,
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return canonicalLogs(await eth.request('eth_getLogs', [filter]));
    } catch (error) {
      if (error instanceof EthError && error.code === 'RpcError') return undefined;
      if (!(error instanceof EthError) || attempt === TRIES) throw error;
      await sleep(process, AGAIN_MS);
    }
  }
}
