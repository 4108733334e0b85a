/**
 * What the indexer reads of the chain. Everything that says how a node is reached decides identity, so it has to be agreed on (findings.md
 * F35): by a trusted provider, or by two others. Where nobody can agree, what one provider says is a hint (F34).
 */
import { MULTICALL3 } from '../../../contracts/addresses.ts';
import {
  decodeAggregate,
  decodeGet,
  encodeAggregate,
  encodeGet,
} from '../../../contracts/calls.ts';
import { TOPICS } from '../../../contracts/events.ts';
import { fromHex, type Hex } from '../../../contracts/hex.ts';
import { namehash } from '../../../contracts/hypermap.ts';
import { type Block, Eth, EthError, type Subscription } from '../../lib/eth.ts';
import type { Caller } from '../../lib/modules.ts';
import type { Anchor, NodeNotes } from './ledger.ts';
import type { ChainSettings } from '../../lib/chain-settings.ts';

/** In the order of NodeNotes. */
const LABELS = ['~net-key', '~routers', '~ip', '~ws-port', '~tcp-port'] as const;
/** Seconds for reading one name, or a batch of them. */
const LOOKUP_S = 5;

/** Logs of a range of blocks. */
export interface Range {
  readonly from: number;
  readonly to: number;
  /** The answer, unread. */
  readonly logs: Uint8Array;
  readonly hinted: boolean;
  readonly end: Anchor;
}

/** Blocks changed while they were read. */
export class Reorganised extends Error {
  override readonly name = 'Reorganised';
}

export class ChainReader {
  readonly #caller: Caller;
  readonly #eth: Eth;
  readonly #settings: ChainSettings;

  constructor(caller: Caller, settings: ChainSettings) {
    this.#caller = caller;
    this.#settings = settings;
    this.#eth = new Eth(caller, { chainId: settings.chain_id });
  }

  /** Not `eth_blockNumber`, whose answer may be a second old: the bell rings for blocks that are younger. */
  async head(): Promise<number> {
    return (await this.#block('latest'))?.number ?? 0;
  }

  /** Undefined: there is no such block. */
  async hash(block: number): Promise<Hex | undefined> {
    // Proof of the type: a block has a hash, or it is malformed and refused.
    return (await this.#block(block))?.hash as Hex | undefined;
  }

  /** Something has happened to names, in that block. It is a bell and no more: what happened is read as everything is. */
  ring(bell: (block: number) => void): Promise<Subscription> {
    const { hypermap: address } = this.#settings;
    const topics = [[TOPICS.Mint, TOPICS.Note]];
    const onResumed = (): void => bell(0);
    return this.#eth.subscribeLogs({ address, topics }, (log) => bell(log.blockNumber), {
      onResumed,
    });
  }

  /**
   * The logs of blocks, in their order. `settled`: the blocks will not change any more.
   * @throws EthError, NoResponse, Reorganised
   */
  async range(from: number, to: number, { settled }: { settled: boolean }): Promise<Range> {
    const before = settled ? undefined : await this.hash(to);
    const { logs, hinted } = await this.#logs(from, to);
    const hash = await this.hash(to);
    if (hash === undefined || (!settled && hash !== before))
      throw new Reorganised(`block ${to} changed while it was read`);
    return { from, to, logs, hinted, end: { block: to, hash } };
  }

  /**
   * The notes of names as they are now. A name without a key is undefined: it is no node.
   * @throws EthError with the code NoAgreement or ProvidersDisagree, among others
   */
  async nodes(names: readonly string[]): Promise<(NodeNotes | undefined)[]> {
    const { hypermap: to } = this.#settings;
    const calls = names.flatMap((name) =>
      LABELS.map((label) => ({ to, data: encodeGet(namehash(`${label}.${name}`)) })),
    );
    const eth = new Eth(this.#caller, { chainId: this.#settings.chain_id, timeoutS: LOOKUP_S });
    const answer = await eth.call(
      { to: MULTICALL3, data: encodeAggregate(calls) },
      { agreed: true },
    );
    const returned = decodeAggregate(answer, calls.length);
    if (returned === undefined) throw new EthError('RpcMalformedResponse', 'aggregate');
    const notes = returned.map((one) => {
      const entry = decodeGet(one);
      return (entry.ok ? fromHex(entry.value.data) : undefined) ?? new Uint8Array();
    });
    return names.map((_, index) => {
      const [key, routers, ip, wsPort, tcpPort] = notes.slice(index * LABELS.length);
      if (key?.length !== 32 || !routers || !ip || !wsPort || !tcpPort) return undefined;
      return { key, routers, ip, wsPort, tcpPort };
    });
  }

  async #block(which: number | 'latest'): Promise<Block | undefined> {
    try {
      return await this.#eth.block(which, { agreed: true });
    } catch (error) {
      if (!(error instanceof EthError) || error.code !== 'NoAgreement') throw error;
      return this.#eth.block(which);
    }
  }

  async #logs(from: number, to: number): Promise<Pick<Range, 'logs' | 'hinted'>> {
    const filter = {
      address: this.#settings.hypermap,
      topics: [[TOPICS.Mint, TOPICS.Note]],
      fromBlock: `0x${from.toString(16)}`,
      toBlock: `0x${to.toString(16)}`,
    };
    try {
      const logs = await this.#eth.raw('eth_getLogs', [filter], { agreed: true });
      return { logs, hinted: false };
    } catch (error) {
      if (!(error instanceof EthError) || error.code !== 'NoAgreement') throw error;
    }
    // A trusted one that is down for a moment looks the same: what is hinted at is checked when it is back.
    return { logs: await this.#eth.raw('eth_getLogs', [filter]), hinted: true };
  }
}
