/** The index as its requesters see it: the ledger, kept at the head of the chain, and net told of what changes. */
import type { Process } from '../../lib/process.ts';
import { EthError } from '../../lib/eth.ts';
import { NoResponse } from '../../lib/errors.ts';
import { sleep } from '../../lib/timers.ts';
import { fromHex } from '../../../contracts/hex.ts';
import type { U64 } from '../../../wit/types.ts';
import type { ChainReader } from './chain-reader.ts';
import type { Ledger, NodeNotes, Page } from './ledger.ts';
import { readSnapshot } from './snapshot.ts';
import type { ChainSettings } from '../../lib/chain-settings.ts';
import { Sync } from './sync.ts';

const NET = 'net:distro:sys';
/** Nodes of one message to net. */
const BATCH_NODES = 1_000;
/** Names whose hints are checked with one call to the chain. */
const CONFIRM_NAMES = 50;
/** Before hints are checked again, when nobody could be believed: doubled each time, up to the second. */
const CONFIRM_MS_MIN = 5_000;
const CONFIRM_MS_MAX = 300_000;
/** Records of one page of a dump. */
const PAGE_RECORDS = 5_000;
/** Who waits for a block at a time; more are answered with what there is. */
export const WAITERS_MAX = 1_000;

const NOTHING = new Uint8Array();
/** Of a name that was hinted to be a node: so that it is not asked about again. */
const NO_NODE: NodeNotes = {
  key: NOTHING,
  routers: NOTHING,
  ip: NOTHING,
  wsPort: NOTHING,
  tcpPort: NOTHING,
};

export interface IndexParts {
  readonly process: Process<{ readonly origin: string | undefined }>;
  readonly settings: ChainSettings;
  readonly ledger: Ledger;
  readonly chain: ChainReader;
}

interface Waiter {
  readonly block: number;
  readonly done: () => void;
}

export class Index {
  readonly #parts: IndexParts;
  readonly #sync: Sync;
  #waiters: Waiter[] = [];
  /** Names being looked up on the chain. */
  readonly #lookups = new Map<string, Promise<void>>();
  /** Whether the first checkpoint since the start has been written. */
  #saved = false;
  #warned = false;
  /** Whether hints are going to be checked again. */
  #confirming = false;

  constructor(parts: IndexParts) {
    this.#parts = parts;
    const { process, settings, ledger, chain } = parts;
    this.#sync = new Sync({
      caller: process,
      ledger,
      chain,
      firstBlock: settings.first_block,
      origin: {
        get: () => process.state.origin,
        set: (origin) => {
          process.state = { origin };
          process.flush();
        },
      },
      changed: () => this.#feed(),
      reached: (block) => this.#arrived(block),
    });
  }

  /** What the last checkpoint has is known again, and net told of all of it (HM25). */
  async open(): Promise<void> {
    const { ledger, settings } = this.#parts;
    await ledger.open(settings.chain_id, settings.hypermap);
    await ledger.touchAll();
    await this.#feed();
  }

  /** Reads what is missing, and goes on doing so. */
  start(): void {
    const { chain, process } = this.#parts;
    this.#begin().catch((error: unknown) =>
      process.print(`indexing cannot start: ${String(error)}`),
    );
    chain
      .ring((block) => this.#sync.ring(block))
      // What happened between the first read and now rang no bell.
      .then(() => this.#sync.ring())
      .catch((error: unknown) =>
        process.print(`names are indexed every five minutes only: ${String(error)}`),
      );
  }

  /** Resolves when the block is in the index, or the requester is gone; at once for 0. */
  async reached(
    block: U64 | undefined,
    requester: { readonly signal: AbortSignal },
  ): Promise<void> {
    const wanted = Number(block ?? 0);
    if (wanted <= this.#sync.block || wanted === 0 || this.#waiters.length >= WAITERS_MAX) return;
    this.#sync.ring();
    await new Promise<void>((resolve) => {
      const waiter = { block: wanted, done: resolve };
      this.#waiters.push(waiter);
      // Not before it is needed: watching a requester costs a message.
      requester.signal.addEventListener('abort', () => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        resolve();
      });
    });
  }

  nameOf(hash: Uint8Array): Promise<string | undefined> {
    return this.#parts.ledger.nameOf(hash);
  }

  /** A node's JSON. What is unknown, or only hinted at, is read from the chain first (HM23). */
  async node(name: string): Promise<Uint8Array | undefined> {
    const known = await this.#parts.ledger.node(name);
    if (known?.hinted === false) return known.json;
    await this.#lookUp(name);
    const found = await this.#parts.ledger.node(name);
    return found?.hinted === false ? found.json : undefined;
  }

  /** The JSON of everything, in parts. */
  async dump(): Promise<(Uint8Array | string)[]> {
    const { ledger, settings } = this.#parts;
    const address = [...(fromHex(settings.hypermap) ?? [])];
    const parts: (Uint8Array | string)[] = [
      `{"chain_id":${settings.chain_id},"contract_address":${JSON.stringify(address)},"names":[`,
    ];
    const all = async (page: 'names' | 'nodes'): Promise<void> => {
      let from: number | undefined = 0;
      for (let first = true; from !== undefined; first = false) {
        const { next, text }: Page = await ledger[page](from, PAGE_RECORDS);
        if (!first && text.length > 0) parts.push(',');
        parts.push(text);
        from = next;
      }
    };
    await all('names');
    parts.push('],"nodes":[');
    await all('nodes');
    parts.push(`],"last_block":${Math.max(0, this.#sync.block)}}`);
    return parts;
  }

  /** Forgets everything, and reads it anew. */
  async reset(): Promise<void> {
    const { ledger } = this.#parts;
    await ledger.reset();
    await ledger.save();
    this.#sync.ring();
  }

  /** Writes down what has changed, and looks at the chain: subscriptions may be silent without a reason. */
  async checkpoint(): Promise<void> {
    if (this.#sync.takeDirty()) await this.#parts.ledger.save();
    this.#sync.ring();
  }

  /** A new index starts with what peers have, if there are any; then the chain is read. */
  async #begin(): Promise<void> {
    const { ledger, settings } = this.#parts;
    if ((settings.cache_sources ?? []).length > 0 && (await ledger.anchor()) === undefined) {
      await readSnapshot(this.#parts);
    }
    this.#sync.ring();
  }

  async #arrived(block: number): Promise<void> {
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((one) => one.block > block);
    for (const one of waiting) if (one.block <= block) one.done();
    if (!(await this.#confirm()) && !this.#confirming) {
      this.#confirming = true;
      void this.#confirmLater();
    }
    // The first time at once: a restart must not read everything again.
    if (!this.#saved && this.#sync.takeDirty()) await this.#parts.ledger.save();
    this.#saved = true;
  }

  /** Hints become knowledge when the chain says the same; what it says otherwise takes their place (F34). False: nobody could be believed. */
  async #confirm(): Promise<boolean> {
    const { ledger } = this.#parts;
    let from: number | undefined = 0;
    while (from !== undefined) {
      const page: Awaited<ReturnType<Ledger['hinted']>> = await ledger.hinted(from, CONFIRM_NAMES);
      if (page.names.length > 0 && !(await this.#read(page.names, NO_NODE))) return false;
      from = page.next;
    }
    return true;
  }

  /** A trusted provider that was away for a moment is no reason to wait for the next block with names in it. */
  async #confirmLater(): Promise<void> {
    const { process } = this.#parts;
    try {
      for (let waitMs = CONFIRM_MS_MIN; ; waitMs = Math.min(waitMs * 2, CONFIRM_MS_MAX)) {
        await sleep(process, waitMs);
        if (await this.#confirm()) return;
      }
    } catch (error) {
      process.print(`hints are checked with the next names: ${String(error)}`);
    } finally {
      this.#confirming = false;
    }
  }

  /**
   * Reads names from the chain into the ledger; false: nobody could be believed.
   * @param otherwise  what is noted of a name that is no node; undefined: nothing
   */
  async #read(names: readonly string[], otherwise?: NodeNotes): Promise<boolean> {
    const { chain, ledger, process } = this.#parts;
    try {
      const notes = await chain.nodes(names);
      for (const [index, name] of names.entries()) {
        const found = notes[index] ?? otherwise;
        if (found !== undefined) await ledger.put(name, found);
      }
      await this.#feed();
      return true;
    } catch (error) {
      if (!(error instanceof EthError) && !(error instanceof NoResponse)) throw error;
      process.print(`names cannot be checked: ${String(error)}`, 1);
      if (error instanceof EthError && error.code === 'NoAgreement') this.#warn();
      return false;
    }
  }

  #warn(): void {
    if (this.#warned) return;
    this.#warned = true;
    const { process, settings } = this.#parts;
    process.print(
      `no provider of chain ${settings.chain_id} is trusted, and there are no two to compare: names are indexed, but nodes are not ` +
        'connected to. Add one that you trust: add-rpcurl-provider <url> --trusted true',
    );
  }

  async #lookUp(name: string): Promise<void> {
    let lookup = this.#lookups.get(name);
    if (lookup === undefined) {
      lookup = this.#read([name]).then(() => undefined);
      this.#lookups.set(name, lookup);
      lookup = lookup.finally(() => this.#lookups.delete(name));
    }
    await lookup;
  }

  /** Tells net what it does not know yet. Without net nobody hears it. */
  async #feed(): Promise<void> {
    const { ledger, process } = this.#parts;
    for (;;) {
      const body = await ledger.changes(BATCH_NODES);
      if (body === undefined) return;
      process.send(NET, body);
    }
  }
}
