/**
 * The ledger, as the indexer sees it: names by hash, what their notes say about nodes, and the way back from a reorganisation. Another
 * process, because hashing a hundred thousand events takes a compiled one; bodies are bytes, little-endian, the first of a request its
 * operation, the first of an answer zero.
 */
import type { Requester } from '../../lib/client.ts';
import type { Hex } from '../../../contracts/hex.ts';
import { fromHex, toHex } from '../../../contracts/hex.ts';

/** Of the longest calls: a megabyte of logs, or writing everything down. */
const TIMEOUT_S = 60;
const OPEN = 1;
const APPLY = 2;
const SEAL = 3;
const ANCHOR = 4;
const ROLL_BACK = 5;
const RESET = 6;
const SAVE = 7;
const NAME = 8;
const NODE = 9;
const CHANGES = 10;
const ALL_CHANGED = 11;
const HINTED = 12;
const PUT = 13;
const NAMES = 14;
const NODES = 15;
const NOWHERE = 0xffff_ffff;

/** A block that everything up to is in the ledger. */
export interface Anchor {
  readonly block: number;
  readonly hash: Hex;
}

export interface Applied {
  readonly applied: number;
  /** Logs that are not of the contract, or not as it makes them. */
  readonly ignored: number;
  /** Nodes that net has yet to be told of. */
  readonly changes: number;
}

export interface Page {
  /** Where to go on; undefined: that was all. */
  readonly next: number | undefined;
  /** JSON, its parts separated by commas. */
  readonly text: Uint8Array;
}

/** What the chain says about a name: the data of its five notes, empty where there is none. */
export interface NodeNotes {
  readonly key: Uint8Array;
  readonly routers: Uint8Array;
  readonly ip: Uint8Array;
  readonly wsPort: Uint8Array;
  readonly tcpPort: Uint8Array;
}

export class Ledger {
  readonly #caller: Requester;
  readonly #target: string;

  constructor(caller: Requester, target: string) {
    this.#caller = caller;
    this.#target = target;
  }

  /** To be called first. What the ledger has of another chain or contract it forgets. */
  async open(
    chainId: number,
    contract: string,
  ): Promise<{ names: number; nodes: number; anchors: number }> {
    const body = new Writer(OPEN).u64(chainId).bytes(fromHex(contract) ?? new Uint8Array(20));
    const answer = await this.#ask(body);
    return { names: answer.u32(), nodes: answer.u32(), anchors: answer.u32() };
  }

  /**
   * Applies the logs of an `eth_getLogs` answer, as text: they must come in the order of the chain.
   * @param hinted  whoever told them is not trusted: what they say of nodes is kept, and not passed on
   * @returns undefined when the text is malformed; what came before the fault may have been applied
   */
  async apply(logs: Uint8Array, { hinted }: { hinted: boolean }): Promise<Applied | undefined> {
    const answer = await this.#ask(new Writer(APPLY).u8(hinted ? 1 : 0), logs);
    const whole = answer.u8() === 1;
    const applied = { applied: answer.u32(), ignored: answer.u32(), changes: answer.u32() };
    return whole ? applied : undefined;
  }

  /**
   * Everything up to that block has been applied. Returns how many events wait for names that are unknown.
   * @param final  the block cannot be taken back any more, nor what was sealed before
   */
  async seal({ block, hash }: Anchor, { final }: { final: boolean }): Promise<number> {
    const body = new Writer(SEAL)
      .u64(block)
      .bytes(hashBytes(hash))
      .u8(final ? 1 : 0);
    return (await this.#ask(body)).u32();
  }

  /** The block that was sealed last, or the so manieth before it; undefined: there is none that could be gone back to. */
  async anchor(newest = 0): Promise<Anchor | undefined> {
    const answer = await this.#ask(new Writer(ANCHOR).u32(newest));
    if (answer.left === 0) return undefined;
    return { block: answer.u64(), hash: toHex(answer.bytes(32)) };
  }

  /** Takes back everything since that anchor. */
  async rollBack(newest: number): Promise<void> {
    await this.#ask(new Writer(ROLL_BACK).u32(newest));
  }

  /** Forgets everything. */
  async reset(): Promise<void> {
    await this.#ask(new Writer(RESET));
  }

  /** Writes it down: the next start has it. */
  async save(): Promise<void> {
    await this.#ask(new Writer(SAVE));
  }

  async nameOf(hash: Uint8Array): Promise<string | undefined> {
    const answer = await this.#ask(new Writer(NAME).bytes(hash));
    return answer.left === 0 ? undefined : answer.text(answer.left);
  }

  /** A node as JSON; `hinted`: nobody who is trusted has said so. Undefined: the name is unknown. */
  async node(name: string): Promise<{ hinted: boolean; json: Uint8Array } | undefined> {
    const answer = await this.#ask(new Writer(NODE).text(name));
    if (answer.left === 0) return undefined;
    return { hinted: answer.u8() === 1, json: answer.bytes(answer.left) };
  }

  /** What net has to be told: the body of a batch of at most so many nodes. Undefined: none of those looked at is of use to it. */
  async changes(most: number): Promise<Uint8Array | undefined> {
    const answer = await this.#ask(new Writer(CHANGES).u32(most));
    return answer.left === 0 ? undefined : answer.bytes(answer.left);
  }

  /** As if all nodes had changed. Returns nothing; `changes` tells them. */
  async touchAll(): Promise<void> {
    await this.#ask(new Writer(ALL_CHANGED));
  }

  /** Names of nodes that rest on hints. */
  async hinted(from: number, most: number): Promise<{ next: number | undefined; names: string[] }> {
    const answer = await this.#ask(new Writer(HINTED).u32(from).u32(most));
    const next = answer.u32();
    const names: string[] = [];
    while (answer.left > 0) names.push(answer.text(answer.u32()));
    return { next: next === NOWHERE ? undefined : next, names };
  }

  /** What somebody trusted says about a name takes the place of what is known of it. False: it is no name. */
  async put(name: string, { key, routers, ip, wsPort, tcpPort }: NodeNotes): Promise<boolean> {
    const notes = [key, routers, ip, wsPort, tcpPort];
    const body = new Writer(PUT).u32(name.length).text(name);
    for (const note of notes) body.u32(note.length);
    for (const note of notes) body.bytes(note);
    return (await this.#request(body)) !== undefined;
  }

  names(from: number, most: number): Promise<Page> {
    return this.#page(NAMES, from, most);
  }

  nodes(from: number, most: number): Promise<Page> {
    return this.#page(NODES, from, most);
  }

  async #page(operation: number, from: number, most: number): Promise<Page> {
    const answer = await this.#ask(new Writer(operation).u32(from).u32(most));
    const next = answer.u32();
    return { next: next === NOWHERE ? undefined : next, text: answer.bytes(answer.left) };
  }

  async #ask(body: Writer, blob?: Uint8Array): Promise<Reader> {
    const answer = await this.#request(body, blob);
    if (answer === undefined) throw new Error('the ledger refuses what the indexer asks');
    return answer;
  }

  async #request(body: Writer, blob?: Uint8Array): Promise<Reader | undefined> {
    const reply = await this.#caller.request(this.#target, body.whole(), {
      timeoutS: TIMEOUT_S,
      blob: blob && { mime: undefined, bytes: blob },
    });
    const answer = new Reader(reply.body);
    return answer.u8() === 0 ? answer : undefined;
  }
}

function hashBytes(hash: string): Uint8Array {
  const bytes = fromHex(hash);
  if (bytes?.length !== 32) throw new RangeError(`"${hash}" is no hash`);
  return bytes;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

class Writer {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(operation: number) {
    this.u8(operation);
  }
  u8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }
  u32(value: number): this {
    const part = new DataView(new ArrayBuffer(4));
    part.setUint32(0, value, true);
    return this.bytes(new Uint8Array(part.buffer));
  }
  /** Up to 2^53. */
  u64(value: number): this {
    return this.u32(value % 2 ** 32).u32(Math.floor(value / 2 ** 32));
  }
  text(value: string): this {
    return this.bytes(encoder.encode(value));
  }
  bytes(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
  whole(): Uint8Array {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  u8(): number {
    return this.#view.getUint8(this.#at++);
  }
  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }
  u64(): number {
    const low = this.u32();
    return low + this.u32() * 2 ** 32;
  }
  bytes(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
  text(length: number): string {
    return decoder.decode(this.bytes(length));
  }
}
