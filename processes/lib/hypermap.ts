/**
 * The namespace, for processes: what stands under a name, who owns it, what happens to it, and the calls that change it.
 * `import … from 'hyperware/hypermap'`. Calls are made, not sent: whoever holds the owner's key signs them.
 */
import { HYPERMAP, HYPER_ACCOUNT, MULTICALL3 } from '../../contracts/addresses.ts';
import {
  decodeGet,
  encodeExecute,
  encodeFact,
  encodeGet,
  encodeMint,
  encodeNote,
  encodeNotes,
  type Entry,
  OPERATION_CALL,
} from '../../contracts/calls.ts';
import { decodeEvent, TOPICS } from '../../contracts/events.ts';
import { fromHex, type Hex } from '../../contracts/hex.ts';
import { isFullName, labelhash, leaf, namehash } from '../../contracts/hypermap.ts';
import { EthError, type Eth, type Log, type ReadOptions } from './eth.ts';
import type { SubscribeOptions, Subscription } from './eth.ts';
import { type Caller, member } from './modules.ts';

export type { Entry } from '../../contracts/calls.ts';
export { decodeEvent, type HypermapEvent } from '../../contracts/events.ts';
export { fromHex, textToHex, toHex, type Hex } from '../../contracts/hex.ts';
export { isFullName, labelKind, leaf, namehash } from '../../contracts/hypermap.ts';
export * from '../../contracts/notes.ts';

const INDEXER = 'hns-indexer:hns-indexer:sys';
const NOBODY = `0x${'00'.repeat(20)}`;

/** A node as the indexer knows it (hypermap.md §13). */
export interface NodeInfo {
  readonly name: string;
  /** Hex without `0x`; empty without a key. */
  readonly public_key: string;
  readonly ips: readonly string[];
  readonly ports: readonly (readonly [protocol: string, port: number])[];
  readonly routers: readonly string[];
}

/** A transaction to sign: to whom, and its calldata. */
export interface PreparedCall {
  readonly to: Hex;
  readonly data: Hex;
}

export interface WrittenNote {
  /** With its `~` or `!`. */
  readonly label: string;
  readonly data: Hex;
  readonly log: Log;
}

/** The name is not minted, so there is nobody to write under it. */
export class NoSuchName extends Error {
  override readonly name = 'NoSuchName';
  constructor(name: string) {
    super(`${name} is not minted`);
  }
}

export class Hypermap {
  readonly address: string;
  readonly #eth: Eth;
  readonly #caller: Caller;

  /** @param address  of the namespace; default: where it is on every chain we know */
  constructor(caller: Caller, eth: Eth, address: string = HYPERMAP) {
    this.#caller = caller;
    this.#eth = eth;
    this.address = address;
  }

  /** What stands under a name or hash (`0x` and 64 digits); zeros and no data where nothing does. */
  async get(nameOrHash: string, options: ReadOptions = {}): Promise<Entry> {
    const data = encodeGet(hashOf(nameOrHash));
    const answer = decodeGet(await this.#eth.call({ to: this.address, data }, options));
    if (!answer.ok) throw new EthError('RpcMalformedResponse', `get ${nameOrHash}`, answer.error);
    return answer.value;
  }

  /** The bytes of a note or fact, such as `~ip.alice.os`; empty where there is none. */
  async data(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return fromHex((await this.get(name, options)).data) ?? new Uint8Array();
  }

  /**
   * The account of a name: what is sent there is signed and paid for, so somebody trusted has to say where it is, or two others (F35),
   * unless `options` say otherwise.
   * @throws NoSuchName
   */
  async account(name: string, options: ReadOptions = { agreed: true }): Promise<Hex> {
    const { tba } = await this.get(name, options);
    if (tba === NOBODY) throw new NoSuchName(name);
    return tba;
  }

  /** The name of a hash, from the indexer; undefined: it does not know it. The manifest must request `hns-indexer:hns-indexer:sys`. */
  async nameOf(hash: string, block = 0): Promise<string | undefined> {
    const answer = await this.#indexer({ NamehashToName: { hash, block } });
    const name = member(answer, 'Name');
    return typeof name === 'string' ? name : undefined;
  }

  /** How to reach a node, from the indexer; undefined: there is no such name. */
  async node(name: string, block = 0): Promise<NodeInfo | undefined> {
    const answer = await this.#indexer({ NodeInfo: { name, block } });
    // Proof of the type: what the indexer answers to this request.
    return (member(answer, 'NodeInfo') as NodeInfo | null | undefined) ?? undefined;
  }

  /**
   * The notes and facts under a name, each as it was last written, in the order of the chain; an emptied note is there with no data.
   * Providers of large chains may refuse to look through all of it: `fromBlock`, or `data` of the labels that matter.
   */
  async notes(
    name: string,
    { fromBlock = 0, agreed = false }: { fromBlock?: number; agreed?: boolean } = {},
  ): Promise<WrittenNote[]> {
    const parent = namehash(name);
    const topics = [[TOPICS.Note, TOPICS.Fact], parent];
    const logs = await this.#eth.logs({ address: this.address, topics, fromBlock }, { agreed });
    const last = new Map<string, WrittenNote>();
    for (const log of logs) {
      const note = noteOf(parent, log);
      if (note === undefined) continue;
      last.delete(note.label);
      last.set(note.label, note);
    }
    return [...last.values()];
  }

  /** Notes and facts under a name as they are written. `labels`: only these. See `Eth.subscribeLogs`. */
  subscribeNotes(
    name: string,
    onNote: (note: WrittenNote) => void | Promise<void>,
    options: SubscribeOptions & { readonly labels?: readonly string[] } = {},
  ): Promise<Subscription> {
    const { labels } = options;
    const parent = namehash(name);
    const topics = [[TOPICS.Note, TOPICS.Fact], parent, null, labels?.map(labelhash) ?? null];
    const take = async (log: Log): Promise<void> => {
      const note = noteOf(parent, log);
      if (note !== undefined) await onNote(note);
    };
    return this.#eth.subscribeLogs({ address: this.address, topics }, take, options);
  }

  /** Mints `label` under a zone that lets anybody mint, such as `os` on a development chain, with notes from the start. */
  async mintCall(
    zone: string,
    { who, label, notes = [] }: { who: string; label: string; notes?: readonly NoteToWrite[] },
  ): Promise<PreparedCall> {
    const { address: hypermap } = this;
    const initialization =
      notes.length === 0 ? '0x' : encodeNotes({ hypermap, multicall: MULTICALL3 }, notes);
    const data = encodeMint({ who, label, initialization, implementation: HYPER_ACCOUNT });
    return { to: await this.account(zone), data };
  }

  /** Mints under a name of one's own, whoever else may mint there. */
  async mintUnderCall(
    parent: string,
    { who, label }: { who: string; label: string },
  ): Promise<PreparedCall> {
    const implementation = HYPER_ACCOUNT;
    return this.#executeCall(
      parent,
      encodeMint({ who, label, initialization: '0x', implementation }),
    );
  }

  /** Writes a note under a name; its owner sends it. `label` with its `~`. */
  async noteCall(name: string, label: string, data: Hex): Promise<PreparedCall> {
    return this.#executeCall(name, encodeNote(label, data));
  }

  /** Writes several notes at once. */
  async notesCall(name: string, notes: readonly NoteToWrite[]): Promise<PreparedCall> {
    const data = encodeNotes({ hypermap: this.address, multicall: MULTICALL3 }, notes);
    return { to: await this.account(name), data };
  }

  /** Writes a fact under a name, once and for all; its owner sends it. `label` with its `!`. */
  async factCall(name: string, label: string, data: Hex): Promise<PreparedCall> {
    return this.#executeCall(name, encodeFact(label, data));
  }

  async #executeCall(name: string, data: Hex): Promise<PreparedCall> {
    const to = await this.account(name);
    return { to, data: encodeExecute({ to: this.address, data, operation: OPERATION_CALL }) };
  }

  async #indexer(body: unknown): Promise<unknown> {
    const reply = await this.#caller.request(INDEXER, JSON.stringify(body), { timeoutS: 15 });
    return JSON.parse(new TextDecoder().decode(reply.body)) as unknown;
  }
}

export interface NoteToWrite {
  readonly label: string;
  readonly data: Hex;
}

/** A provider that mixes up labels or parents is not believed. */
function noteOf(parent: Hex, log: Log): WrittenNote | undefined {
  const event = decodeEvent(log);
  if (event?.kind !== 'Note' && event?.kind !== 'Fact') return undefined;
  if (event.parent !== parent || leaf(parent, event.label) !== event.hash) return undefined;
  return { label: event.label, data: event.data, log };
}

function hashOf(nameOrHash: string): Hex {
  if (/^0x[0-9a-fA-F]{64}$/.test(nameOrHash)) return nameOrHash as Hex;
  if (nameOrHash !== '' && !isFullName(nameOrHash))
    throw new RangeError(`"${nameOrHash}" is no name`);
  return namehash(nameOrHash);
}
