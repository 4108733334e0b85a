/**
 * Keeps the book at the head of the chain, less the confirmations that are asked for. Whatever rings, the blocks since the last complete
 * one are read; of jobs and nodes that something happened to, the state is read at the same block. A block that is complete is remembered
 * with its hash; if the chain has another one there by the next time, what came after the last common block is taken back, and what it had
 * happened to is read anew (CM48).
 */
import {
  decodeEscrowEvent,
  decodeRegistryEvent,
  REGISTRY_EVENTS,
} from '../../../contracts/compute-events.ts';
import { capacityOf } from '../../../contracts/compute.ts';
import type { ChainNode } from '../../../contracts/compute-calls.ts';
import { EthError, type Log } from '../../lib/eth.ts';
import { NoResponse } from '../../lib/errors.ts';
import type { Caller } from '../../lib/modules.ts';
import { sleep } from '../../lib/timers.ts';
import type { Provider } from '../shared/facilitator-contract.ts';
import { Bell } from '../shared/bell.ts';
import type { Book, KeptLog } from './book.ts';
import { type ChainView, type Head, Reorganised } from '../shared/chain-view.ts';
import { moneyOf, type Placed } from './money.ts';
import type { Settings } from '../shared/settings.ts';
import { NOBODY, same } from '../shared/words.ts';

/** Before a read that failed is tried again, in milliseconds. */
const RETRY_MS = 2_000;
/** Blocks of one read. */
const SPAN_BLOCKS_MAX = 10_000;
/** Topics of what makes a node a provider, or another one than it was. */
const ENTERED = new Set<string>(
  (['NodeRegistered', 'NodeUpdated', 'OperatorChanged', 'Staked'] as const).map(
    (name) => REGISTRY_EVENTS[name].topic,
  ),
);
/** Topic of what is counted against a node. */
const SLASHED = REGISTRY_EVENTS.SlashProposed.topic;

export interface FollowNeeds {
  readonly caller: Caller;
  readonly settings: Settings;
  readonly chain: ChainView;
  readonly book: Book;
  /** The book has been brought up to a block. */
  readonly reached: (head: Head) => void;
  /** These have registered, or changed what they are; they are in the book. */
  readonly entered: (providers: readonly Omit<Provider, 'name'>[]) => void;
  /** What was mined may be so no more. */
  readonly tookBack: () => void;
}

export class Follower {
  readonly #needs: FollowNeeds;
  readonly #bell: Bell;
  #span = SPAN_BLOCKS_MAX;
  #reported = '';
  #head: Head | undefined;

  constructor(needs: FollowNeeds) {
    this.#needs = needs;
    this.#bell = new Bell(
      () => this.#work(),
      (error) => this.#print(0, `following the chain has stopped: ${String(error)}`),
    );
  }

  /** The newest block that was seen; undefined before the first. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** Seconds of the chain's clock: that of its newest block, or ours, for a chain without transactions makes no blocks. */
  nowS(): number {
    return Math.max(this.#head?.timestamp ?? 0, Math.floor(Date.now() / 1_000));
  }

  /** There may be something new. Returns at once. */
  ring(): void {
    this.#bell.ring();
  }

  /** Reads one job anew, with all that happened to it: one that is followed only now. */
  async readJob(jobId: string): Promise<void> {
    const { chain, book } = this.#needs;
    const [anchor] = await book.anchors();
    if (anchor === undefined) return;
    const { block } = anchor;
    const job = await chain.job(jobId, block);
    if (job.state === 'none') return;
    const logs = (await chain.logsOf(jobId, block)).flatMap((log) => this.#keep(log) ?? []);
    if ((await chain.hash(block)) !== anchor.hash) throw new Reorganised(`block ${block} changed`);
    const events = logs.flatMap((log): Placed[] => {
      const event = decodeEscrowEvent(log);
      const { block: at, logIndex, txHash } = log;
      return event === undefined ? [] : [{ block: at, logIndex, txHash, event }];
    });
    const money = [moneyOf(jobId, job, events)];
    await book.apply({ logs, money, nodes: [], anchor, nowS: this.nowS() });
    this.#needs.reached(this.#head ?? { number: block, hash: anchor.hash, timestamp: 0 });
  }

  async #work(): Promise<void> {
    try {
      await this.#catchUp();
    } catch (error) {
      this.#report(error);
      this.#bell.ring();
      await sleep(this.#needs.caller, RETRY_MS);
    }
  }

  async #catchUp(): Promise<void> {
    const { chain, settings, reached } = this.#needs;
    const head = await chain.head();
    this.#head = head;
    const end = head.number - settings.confirmations + 1;
    const { from, after } = await this.#resume();
    // A reorganisation may leave a chain that is shorter than what was read: its jobs are read at its end.
    if (after !== undefined) await this.#read(Math.min(from, end), end, after);
    let at = after === undefined ? from : end + 1;
    while (at <= end) {
      const to = Math.min(at + this.#span - 1, end);
      try {
        await this.#read(at, to);
        at = to + 1;
        this.#span = Math.min(this.#span * 2, SPAN_BLOCKS_MAX);
      } catch (error) {
        if (!(error instanceof EthError) || to === at) throw error;
        this.#span = Math.max(1, (to - at + 1) >> 1);
      }
    }
    reached(head);
  }

  /** Where to go on; `after`: what came after that block has to be taken back. */
  async #resume(): Promise<{ from: number; after?: number }> {
    const { book, chain, settings } = this.#needs;
    const anchors = await book.anchors();
    for (const [index, { block, hash }] of anchors.entries()) {
      if ((await chain.hash(block)) !== hash) continue;
      if (index === 0) return { from: block + 1 };
      this.#print(1, `the chain took back what came after block ${block}`);
      return { from: block + 1, after: block };
    }
    if (anchors.length === 0) return { from: settings.first_block };
    this.#print(
      0,
      'the chain is another one, or took back more than is remembered: it is read anew',
    );
    return { from: settings.first_block, after: settings.first_block - 1 };
  }

  /** Reads blocks, and what happened in them; with `after`, instead of what is in the book behind that block. */
  async #read(from: number, to: number, after?: number): Promise<void> {
    const { book, chain } = this.#needs;
    const { logs, hash } = await chain.logs(Math.max(0, from), Math.max(0, to));
    const kept = logs.flatMap((log) => this.#keep(log) ?? []);
    const gone = after === undefined ? { jobs: [], nodes: [] } : await book.takeBack(after);
    const jobIds = await book.followed([
      ...new Set([...kept.flatMap(({ jobId }) => jobId ?? []), ...gone.jobs]),
    ]);
    const nodeIds = [...new Set([...kept.flatMap(({ nodeId }) => nodeId ?? []), ...gone.nodes])];
    const jobs = await chain.jobs(jobIds, to);
    const nodes = await chain.nodes(nodeIds, to);
    // What was read of the state is of the same chain as the logs.
    if (jobIds.length + nodeIds.length > 0 && (await chain.hash(to)) !== hash)
      throw new Reorganised(`block ${to} changed while it was read`);
    const followed = new Set(jobIds);
    const ours = kept.filter(
      ({ jobId, nodeId }) => nodeId !== undefined || followed.has(jobId ?? ''),
    );
    const events = await this.#events(jobIds, ours, after);
    const slashes = await this.#slashes(nodeIds, ours);
    const providers = nodes.flatMap(
      (node, index) => providerOf(nodeIds[index]!, node, slashes[index]!) ?? [],
    );
    await book.apply(
      {
        logs: ours,
        money: jobs.map((job, index) =>
          moneyOf(jobIds[index]!, job, events.get(jobIds[index]!) ?? []),
        ),
        nodes: providers,
        anchor: { block: to, hash },
        nowS: this.nowS(),
      },
      after,
    );
    const ids = new Set(
      ours.flatMap(({ nodeId, topics: [topic = ''] }) =>
        ENTERED.has(topic) ? (nodeId ?? []) : [],
      ),
    );
    const entered = providers.filter(({ nodeId }) => ids.has(nodeId));
    if (entered.length > 0) this.#needs.entered(entered);
    if (after !== undefined) this.#needs.tookBack();
  }

  /** Of jobs: those in the book that still count, and those that were just read. */
  async #events(
    jobIds: readonly string[],
    fresh: readonly KeptLog[],
    after: number | undefined,
  ): Promise<Map<string, Placed[]>> {
    const found = await this.#needs.book.eventsOf(jobIds);
    for (const [jobId, list] of found)
      found.set(jobId, after === undefined ? list : list.filter(({ block }) => block <= after));
    for (const log of fresh) {
      const event = decodeEscrowEvent(log);
      if (event === undefined || log.jobId === undefined) continue;
      const list = found.get(log.jobId) ?? [];
      const twice = list.some(
        ({ txHash, logIndex }) => txHash === log.txHash && logIndex === log.logIndex,
      );
      if (!twice)
        list.push({ block: log.block, logIndex: log.logIndex, txHash: log.txHash, event });
      found.set(log.jobId, list);
    }
    return found;
  }

  async #slashes(nodeIds: readonly string[], fresh: readonly KeptLog[]): Promise<number[]> {
    const counts: number[] = [];
    for (const nodeId of nodeIds) {
      const before = await this.#needs.book.countOfNode(nodeId, SLASHED);
      const now = fresh.filter((log) => log.nodeId === nodeId && log.topics[0] === SLASHED).length;
      counts.push(before + now);
    }
    return counts;
  }

  #keep(log: Log): KeptLog | undefined {
    const { escrow, registry } = this.#needs.settings;
    const base = {
      txHash: log.transactionHash,
      logIndex: log.logIndex,
      block: log.blockNumber,
      topics: log.topics,
      data: log.data,
    };
    if (same(log.address, escrow)) {
      const event = decodeEscrowEvent(log);
      if (event === undefined || !('jobId' in event)) return undefined;
      return { ...base, jobId: event.jobId, nodeId: undefined };
    }
    if (!same(log.address, registry)) return undefined;
    const event = decodeRegistryEvent(log);
    if (event === undefined || !('nodeId' in event)) return undefined;
    return { ...base, jobId: undefined, nodeId: event.nodeId };
  }

  /** The troubles of providers pass, and are many; anything else its owner must see, once. */
  #report(error: unknown): void {
    const passes =
      error instanceof EthError || error instanceof NoResponse || error instanceof Reorganised;
    const text = `following the chain: ${String(error)}`;
    this.#print(passes || text === this.#reported ? 1 : 0, text);
    this.#reported = text;
  }

  #print(verbosity: number, text: string): void {
    this.#needs.caller.host.print(verbosity, `facilitator: ${text}`);
  }
}

/** Undefined: nobody registered it. */
function providerOf(
  nodeId: string,
  node: ChainNode,
  slashes: number,
): Omit<Provider, 'name'> | undefined {
  if (node.operator === NOBODY) return undefined;
  const { slots, reservation } = capacityOf(node.stake);
  return {
    nodeId,
    operator: node.operator,
    executor: node.executor,
    payTo: node.payTo,
    on: node.on,
    stake: node.stake,
    reserved: node.reserved,
    slots: Number(slots),
    active: node.active,
    reservation,
    lastBeat: node.lastBeat,
    slashes,
  };
}
