/**
 * A new index from what peers have: the cacher of this node is asked for logs (hypermap.md §14). They are hints and no more (F34): a name
 * hashes to itself whoever tells it, but what its notes say counts when the chain has said so too.
 */
import { sleep } from '../../lib/timers.ts';
import { member } from '../../lib/modules.ts';
import type { IndexParts } from './index-of-names.ts';

const CACHER = 'hypermap-cacher:hypermap-cacher:sys';
/** How often the cacher is asked while it is starting, and how long it is waited for in between. */
const TRIES = 12;
const AGAIN_MS = 5_000;
const ANSWER_S = 15;

/** Reads what there is into an empty ledger. Returns when there is no more to be had; nothing of this is needed. */
export async function readSnapshot(parts: IndexParts): Promise<void> {
  const { process, settings, ledger, chain } = parts;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const answer = await ask(parts);
    if (answer === undefined) return;
    if (answer === 'IsStarting') {
      await sleep(process, AGAIN_MS);
      continue;
    }
    const [block, text] = answer;
    let last = settings.first_block;
    for (const cache of cachesOf(text, settings.chain_id)) {
      if (cache.from > last + 1) break;
      const logs = new TextEncoder().encode(JSON.stringify(cache.logs));
      if ((await ledger.apply(logs, { hinted: true })) === undefined) break;
      last = Math.max(last, cache.to);
    }
    const hash = await chain.hash(Math.min(last, block));
    if (hash !== undefined)
      await ledger.seal({ block: Math.min(last, block), hash }, { final: true });
    process.print(`names up to block ${last} come from the cacher`, 1);
    return;
  }
}

async function ask({
  process,
  settings,
}: IndexParts): Promise<'IsStarting' | readonly [block: number, text: string] | undefined> {
  const range = { from_block: settings.first_block, to_block: null };
  try {
    const body = JSON.stringify({ GetLogsByRange: range });
    const reply = await process.request(CACHER, body, { timeoutS: ANSWER_S });
    const answer: unknown = JSON.parse(new TextDecoder().decode(reply.body));
    if (answer === 'IsStarting') return answer;
    const logs = member(member(member(answer, 'GetLogsByRange'), 'Ok'), 'Logs');
    if (!Array.isArray(logs) || typeof logs[0] !== 'number' || typeof logs[1] !== 'string')
      return undefined;
    return [logs[0], logs[1]];
  } catch {
    // There is no cacher, or it talks nonsense: the chain has it all.
    return undefined;
  }
}

interface Cache {
  readonly from: number;
  readonly to: number;
  readonly logs: readonly unknown[];
}

/** By block. */
function cachesOf(text: string, chainId: number): Cache[] {
  const found: Cache[] = [];
  const list: unknown = JSON.parse(text);
  for (const one of Array.isArray(list) ? list : []) {
    const metadata = member(one, 'metadata');
    const logs = member(one, 'logs');
    const from = Number(member(metadata, 'fromBlock'));
    const to = Number(member(metadata, 'toBlock'));
    if (String(member(metadata, 'chainId')) !== String(chainId) || !Array.isArray(logs)) continue;
    if (Number.isSafeInteger(from) && Number.isSafeInteger(to)) found.push({ from, to, logs });
  }
  return found.toSorted((a, b) => a.from - b.from);
}
