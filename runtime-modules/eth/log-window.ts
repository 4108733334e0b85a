/**
 * Which logs a stream has delivered lately, so that after a gap it can tell what was missed and what a reorganisation took back
 * (issue: reorg-safe log streams). Pure: what to fetch and what to deliver are its answers.
 */
import { elements, members } from './rpc-frame.ts';

/** Blocks behind the newest known one that a reorganisation may still replace. */
export const REORG_BLOCKS_MAX = 64;
/** Logs remembered of one stream; the oldest go first. */
export const LOGS_REMEMBERED_MAX = 10_000;

interface Known {
  readonly block: number;
  /** The log as it was delivered, JSON text. */
  readonly text: string;
}

export class LogWindow {
  readonly #delivered = new Map<string, Known>();
  #head: number;

  /** @param head the newest block when the stream began; logs up to there are not its business */
  constructor(head: number) {
    this.#head = head;
    this.#first = head + 1;
  }

  readonly #first: number;

  /** Where to fetch from after a gap. */
  get resumeFrom(): number {
    return Math.max(this.#first, this.#head - REORG_BLOCKS_MAX);
  }

  /** Notes an update of the provider. True: deliver it; false: it was delivered before. */
  take(text: string): boolean {
    const log = identify(text);
    // Whatever it is, it is not ours to judge.
    if (log === undefined) return true;
    if (log.removed) return this.#delivered.delete(log.key);
    if (this.#delivered.has(log.key)) return false;
    this.#note(log.key, { block: log.block, text });
    return true;
  }

  /**
   * What to deliver after a gap, in order: logs that are no longer in the chain, marked as removed, newest first, then the missed ones.
   * @param from the block that was fetched from
   * @param fetched JSON text of the array that `eth_getLogs` returned
   */
  reconcile(from: number, fetched: string): readonly string[] {
    const present = new Map<string, Known>();
    for (const text of elements(fetched) ?? []) {
      const log = identify(text);
      if (log !== undefined && !log.removed) present.set(log.key, { block: log.block, text });
    }
    const gone = [...this.#delivered].filter(
      ([key, { block }]) => block >= from && !present.has(key),
    );
    for (const [key] of gone) this.#delivered.delete(key);
    const missed = [...present].filter(([key]) => !this.#delivered.has(key));
    for (const [key, known] of missed) this.#note(key, known);
    return [
      ...gone.toReversed().map(([, { text }]) => removed(text)),
      ...missed.map(([, { text }]) => text),
    ];
  }

  #note(key: string, known: Known): void {
    this.#delivered.set(key, known);
    this.#head = Math.max(this.#head, known.block);
    for (const [oldest, { block }] of this.#delivered) {
      const settled = block < this.#head - REORG_BLOCKS_MAX;
      if (!settled && this.#delivered.size <= LOGS_REMEMBERED_MAX) break;
      this.#delivered.delete(oldest);
    }
  }
}

interface Identified {
  readonly key: string;
  readonly block: number;
  readonly removed: boolean;
}

function identify(text: string): Identified | undefined {
  const log = members(text);
  const hash = log?.get('blockHash');
  const index = log?.get('logIndex');
  const number = log?.get('blockNumber');
  if (hash === undefined || index === undefined || number === undefined) return undefined;
  const block = Number(number.replaceAll('"', ''));
  if (!Number.isSafeInteger(block)) return undefined;
  return { key: `${hash}${index}`, block, removed: log?.get('removed') === 'true' };
}

/** The same log as a provider reports that it was taken back. */
function removed(text: string): string {
  const fields = new Map(members(text));
  fields.set('removed', 'true');
  return `{${[...fields].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}
