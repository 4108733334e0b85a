/**
 * Keeps the ledger at the head of the chain. One path for everything: whatever rings, the blocks since the last complete one are read, as
 * many at a time as make an answer of about a megabyte, while those before are being applied. A block that is complete is remembered with
 * its hash; if the chain has another one there by the next time, what came after the last common block is taken back first.
 *
 *   idle --ring()--> reading --head reached--> idle
 *                       |   ^
 *                    failure| after RETRY_MS
 */
import type { Caller } from '../../lib/modules.ts';
import { sleep } from '../../lib/timers.ts';
import { EthError } from '../../lib/eth.ts';
import { NoResponse } from '../../lib/errors.ts';
import { type ChainReader, type Range, Reorganised } from './chain-reader.ts';
import type { Ledger } from './ledger.ts';

/** Blocks behind the head that a reorganisation may still replace. */
export const REORG_BLOCKS_MAX = 64;
/** Before a read that failed is tried again, in milliseconds. */
export const RETRY_MS = 5_000;
/** Before a provider that does not know a block yet is asked again, in milliseconds, and how often. */
const BEHIND_MS = 1_000;
const BEHIND_TRIES = 5;
/** Blocks of the first read; then by what came, up to four times as many. */
const SPAN_BLOCKS_FIRST = 4;
const SPAN_GROWTH_MAX = 4;
const SPAN_BLOCKS_MAX = 1_048_576;
/** Bytes of an answer that are aimed at: some milliseconds of everybody's time. */
const ANSWER_BYTES = 1024 * 1024;

export interface SyncNeeds {
  readonly caller: Caller;
  readonly ledger: Ledger;
  readonly chain: ChainReader;
  /** Nothing of the namespace happened before. */
  readonly firstBlock: number;
  /** Hash of the first block as it was; the chain is another one if that differs. */
  readonly origin: { get(): string | undefined; set(hash: string): void };
  /** Nodes have changed. */
  readonly changed: () => Promise<void>;
  /** The head was reached. */
  readonly reached: (block: number) => Promise<void>;
}

export class Sync {
  readonly #needs: SyncNeeds;
  #span = SPAN_BLOCKS_FIRST;
  #rung = false;
  /** The newest block that somebody has told of; a provider may not know it yet. */
  #told = 0;
  #running = false;
  #reported = '';
  #block = -1;
  /** Anything applied since it was last asked. */
  #dirty = false;

  constructor(needs: SyncNeeds) {
    this.#needs = needs;
  }

  /** The last block that is in the ledger as a whole; -1: none. */
  get block(): number {
    return this.#block;
  }

  takeDirty(): boolean {
    const dirty = this.#dirty;
    this.#dirty = false;
    return dirty;
  }

  /** There may be something new, in that block if it is known. Returns at once. */
  ring(block = 0): void {
    this.#rung = true;
    this.#told = Math.max(this.#told, block);
    if (this.#running) return;
    this.#running = true;
    this.#work().catch((error: unknown) => {
      this.#running = false;
      this.#print(0, `indexing has stopped: ${String(error)}`);
    });
  }

  async #work(): Promise<void> {
    let behind = 0;
    while (this.#rung) {
      this.#rung = false;
      try {
        await this.#catchUp();
        await this.#needs.reached(this.#block);
        if (this.#told > this.#block && behind < BEHIND_TRIES) {
          behind += 1;
          this.#rung = true;
          await sleep(this.#needs.caller, BEHIND_MS);
        } else this.#told = behind = 0;
      } catch (error) {
        this.#report(error);
        this.#rung = true;
        await sleep(this.#needs.caller, RETRY_MS);
      }
    }
    // In the turn that found nothing more: a bell between the two would ring for nobody.
    this.#running = false;
  }

  async #catchUp(): Promise<void> {
    const { chain } = this.#needs;
    const head = await chain.head();
    const from = await this.#resume(head);
    if (from === undefined || from > head) return;
    const settled = head - REORG_BLOCKS_MAX;
    let reading = this.#read(from, head, settled);
    for (;;) {
      const range = await reading;
      const next = range.to + 1;
      if (next <= head) {
        reading = this.#read(next, head, settled);
        // Looked at in the next round, if there is one.
        reading.catch(() => undefined);
      }
      await this.#apply(range, range.to <= settled);
      if (next > head) return;
    }
  }

  /** Where to go on, when what the chain took back is gone; undefined: the provider is behind what we have. */
  async #resume(head: number): Promise<number | undefined> {
    const { ledger, chain, firstBlock, origin } = this.#needs;
    const first = await chain.hash(firstBlock);
    if (first === undefined) return undefined;
    const before = origin.get();
    if (before !== undefined && before !== first) {
      // A development chain that was started anew.
      this.#print(0, 'the chain is another one: names are indexed anew');
      await ledger.reset();
    }
    if (before !== first) origin.set(first);
    let behind = false;
    for (let newest = 0; ; newest++) {
      const anchor = await ledger.anchor(newest);
      if (anchor === undefined) {
        if (newest > 0 && behind) return undefined;
        if (newest > 0) {
          this.#print(0, 'the chain took back more than is remembered: names are indexed anew');
          await ledger.reset();
        }
        this.#block = -1;
        return firstBlock;
      }
      if (anchor.block > head) {
        behind = true;
        continue;
      }
      if ((await chain.hash(anchor.block)) !== anchor.hash) {
        behind = false;
        continue;
      }
      if (behind) return undefined;
      // Also what was applied and never sealed, because something failed in between.
      await ledger.rollBack(newest);
      if (newest > 0) {
        this.#print(1, `the chain took back what came after block ${anchor.block}`);
        await this.#needs.changed();
      }
      this.#block = anchor.block;
      return anchor.block + 1;
    }
  }

  /** The next range, as large as the provider likes. */
  async #read(from: number, head: number, settled: number): Promise<Range> {
    for (;;) {
      const last = from <= settled ? settled : head;
      const to = Math.min(from + this.#span - 1, last);
      try {
        const range = await this.#needs.chain.range(from, to, { settled: to <= settled });
        this.#adapt(to - from + 1, range.logs.length);
        return range;
      } catch (error) {
        if (!isTooMuch(error) || to === from) throw error;
        this.#span = Math.max(1, (to - from + 1) >> 1);
      }
    }
  }

  #adapt(blocks: number, bytes: number): void {
    const fitting = Math.floor((blocks * ANSWER_BYTES) / bytes);
    const most = Math.min(this.#span * SPAN_GROWTH_MAX, SPAN_BLOCKS_MAX);
    this.#span = Math.max(1, Math.min(fitting, most));
  }

  async #apply({ logs, hinted, end }: Range, final: boolean): Promise<void> {
    const { ledger, changed } = this.#needs;
    const applied = await ledger.apply(logs, { hinted });
    if (applied === undefined) throw new Error('a provider sent logs that are no JSON');
    await ledger.seal(end, { final });
    this.#block = end.block;
    if (applied.applied > 0) this.#dirty = true;
    if (applied.changes > 0) await changed();
  }

  /** The troubles of providers pass, and are many; anything else its owner must see, once. */
  #report(error: unknown): void {
    const passes =
      error instanceof EthError || error instanceof NoResponse || error instanceof Reorganised;
    const text = `indexing: ${String(error)}`;
    this.#print(passes || text === this.#reported ? 1 : 0, text);
    this.#reported = text;
  }

  #print(verbosity: number, text: string): void {
    this.#needs.caller.host.print(verbosity, text);
  }
}

/** Whether fewer blocks may be what the provider wants. */
function isTooMuch(error: unknown): boolean {
  return (
    error instanceof EthError &&
    ['RpcError', 'RpcTimeout', 'RpcMalformedResponse', 'NoRpcForChain'].includes(error.code)
  );
}
