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
  let last = settings.first_block - 1;
  for (let attempt = 0; attempt < TRIES;) {
    const answer = await ask(parts, last + 1);
    if (answer === 'IsStarting') {
      attempt += 1;
      await sleep(process, AGAIN_MS);
      continue;
    }
    const reached = answer === undefined ? undefined : await take(parts, answer, last);
    if (reached === undefined || reached <= last) break;
    last = reached;
  }
  if (last < settings.first_block) return;
  const hash = await chain.hash(last);
  // A snapshot that is ahead of the chain, or of another one, is none.
  if (hash === undefined) return ledger.reset();
  await ledger.seal({ block: last, hash }, { final: true });
  process.print(`names up to block ${last} come from the cacher`, 1);
}

/** Applies what follows the last block without a gap. Returns the last block then, undefined when the logs are malformed. */
async function take(
  { ledger, settings }: IndexParts,
  text: string,
  before: number,
): Promise<number | undefined> {
  let last = before;
  for (const { from, to, logs } of cachesOf(text, settings.chain_id)) {
    if (from > last + 1) break;
    if (to <= last) continue;
    const bytes = new TextEncoder().encode(JSON.stringify(logs));
    if ((await ledger.apply(bytes, { hinted: true })) === undefined) return undefined;
    last = to;
  }
  return last;
}

/** The cacher's logs from a block on, as JSON; undefined: there are none, or there is no cacher. */
async function ask({ process }: IndexParts, from: number): Promise<string | undefined> {
  try {
    const body = JSON.stringify({ GetLogsByRange: { from_block: from, to_block: null } });
    const reply = await process.request(CACHER, body, { timeoutS: ANSWER_S });
    const answer: unknown = JSON.parse(new TextDecoder().decode(reply.body));
    if (answer === 'IsStarting') return answer;
    const logs = member(member(member(answer, 'GetLogsByRange'), 'Ok'), 'Logs');
    return Array.isArray(logs) && typeof logs[1] === 'string' ? logs[1] : undefined;
  } catch {
    // It does not answer, or talks nonsense: the chain has it all.
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
