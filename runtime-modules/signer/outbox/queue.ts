/**
 * What one key sends on one chain, in the order of its nonces. A transaction is on disk before anybody hears of it, so a nonce that may be
 * used is never given to another one, and one that was given is broadcast until it is mined. Calls must not overlap: the outbox sees to it.
 */
import { toHex } from '../../../contracts/hex.ts';
import { keccak256 } from '../../../wit/keccak.ts';
import type { SignerError, Transaction } from '../../../wit/signer-api.ts';
import type { Result, U64 } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';
import {
  DEPTH_BLOCKS,
  LOOKS_MAX,
  PENDING_MAX,
  REBROADCAST_MS,
  REPLACEMENTS_MAX,
  SETTLED_MS,
  STUCK_MS,
} from '../limits.ts';
import { signedTransaction, transactionDigest } from '../transaction.ts';
import type { AskFailure, Chains, Receipt } from './chain.ts';
import { type Entry, fileOf, newest } from './entry.ts';
import { defaultLimit, type Fees, firstFees, type GasPrice, higherFees } from './fees.ts';
import type { SendStore } from './store.ts';

/** What is to be sent, with everything but its nonce. */
export type Prepared = Omit<Entry, 'nonce' | 'versions' | 'state' | 'live' | 'order'> & {
  readonly data: string;
  readonly fees: Fees;
};

export interface QueueNeeds {
  readonly chains: Chains;
  readonly store: SendStore;
  readonly clock: Clock;
  /** r, s and v by the key of this address. */
  readonly sign: (address: string, digest: Uint8Array) => Promise<Result<Uint8Array, SignerError>>;
}

/** What the queue remembers of an entry while the node runs. */
interface Memory {
  /** When it is to be broadcast again, and when the form that is out was made. */
  againMs: number;
  madeMs: number;
  minedMs: number | undefined;
  /** Looks that found its nonce used and no receipt. */
  looks: number;
}

/** Nonces below what waits that are used up in one look, once a chain that went back has them free. */
const FILLED_MAX = 16;
/** As whose the transactions count that only use a nonce up. */
const NOBODY = '';
/** A count of the chain may be so old, in milliseconds: eth remembers answers. */
const COUNT_AGE_MS = 5_000;
/** Of a transaction that calls nothing. */
const PLAIN_GAS = 21_000;
/** The chain has it, whatever it says. */
const KNOWN = /already known|known transaction|already imported|already in/i;
/** No chain takes this, now or later: nobody keeps it. */
const HOPELESS =
  /insufficient funds|intrinsic gas|exceeds (block )?gas|gas limit (too|exceeds)|max fee per gas|fee cap|invalid (sender|signature|chain|transaction)|init ?code|oversized|type not supported|revert/i;

export class SendQueue {
  readonly #needs: QueueNeeds;
  readonly #chainId: U64;
  readonly #address: string;
  readonly #memory = new Map<string, Memory>();
  /** What follows the last one that is over, while the chain's count may be older than that. */
  #floor = { nonce: 0n, untilMs: 0 };
  /** The newest block of the last look; undefined: nobody answered. */
  #head: bigint | undefined;
  /** Since when nonces below what waits have been free. */
  #gapMs: number | undefined;

  constructor(needs: QueueNeeds, chainId: U64, address: string) {
    this.#needs = needs;
    this.#chainId = chainId;
    this.#address = address;
  }

  /** How many wait to be mined. */
  get pending(): number {
    return this.live.filter(({ state }) => state.kind === 'Pending').length;
  }

  /** What is not over. */
  get live(): readonly Entry[] {
    return this.#needs.store.live(this.#chainId, this.#address);
  }

  /** Resolves when it is on disk and was broadcast once. @throws as the file system does: nothing was sent then */
  async send(prepared: Prepared): Promise<Result<Entry, SignerError>> {
    const { chains, store } = this.#needs;
    const counted = await chains.count(this.#chainId, this.#address, 'pending');
    if (!counted.ok) return failed({ kind: 'NoChain', value: counted.error.text });
    await this.#wentBack(counted.value);
    const nonce = Number(this.#after(counted.value));
    if (!Number.isSafeInteger(nonce)) return failed({ kind: 'NoChain', value: 'a wild nonce' });
    const made = await this.#make({ ...prepared, nonce }, prepared.fees);
    if (!made.ok) return made;
    const { data, fees, ...rest } = prepared;
    const entry: Entry = {
      ...rest,
      nonce,
      versions: [{ hash: made.value.hash, ...fees }],
      state: { kind: 'Pending' },
      live: { data, raw: made.value.raw },
      order: store.next(),
    };
    await store.put(entry);
    const refused = await this.#broadcast(entry);
    if (refused === undefined) return { ok: true, value: entry };
    await this.#drop(entry);
    return failed({ kind: 'Refused', value: refused });
  }

  /** One look at the chain: what was mined, what is to be sent again. The error says why nothing could be seen. */
  async look(): Promise<AskFailure | undefined> {
    const { chains } = this.#needs;
    const [counted, head] = await Promise.all([
      chains.count(this.#chainId, this.#address, 'latest'),
      chains.head(this.#chainId),
    ]);
    const before = this.#head;
    this.#head = undefined;
    if (!counted.ok) return counted.error;
    if (!head.ok) return head.error;
    // A chain that was away, or has fewer blocks, may have lost what waited for one.
    if (before === undefined || head.value < before)
      for (const entry of this.live) this.#remember(entry).againMs = this.#needs.clock.nowMs();
    this.#head = head.value;
    await this.#lose(counted.value);
    let first = true;
    for (const entry of this.live) {
      if (BigInt(entry.nonce) < counted.value) {
        const failure = await this.#examine(entry, head.value);
        if (failure !== undefined) return failure;
        continue;
      }
      const waiting = await this.#unmined(entry);
      await this.#resend(waiting, first);
      first = false;
    }
    await this.#fill(counted.value);
    return undefined;
  }

  /** Gives up what is not mined. @throws as the file system does */
  async forget(): Promise<void> {
    for (const entry of this.live) await this.#drop(entry);
  }

  /** Before a nonce is given: those of what was over and is not any more are free. */
  async #wentBack(counted: bigint): Promise<void> {
    const { chains, store } = this.#needs;
    if (store.over(this.#chainId, this.#address, counted).length === 0) return;
    const latest = await chains.count(this.#chainId, this.#address, 'latest');
    if (latest.ok) await this.#lose(latest.value);
  }

  /**
   * What was over is not on a chain that has counted fewer: it went back further than it ever should, as a development chain does that is
   * started again from an older file. Nothing of it is kept that could be sent again; who asked for it hears that it is not to be.
   */
  async #lose(counted: bigint): Promise<void> {
    const { store, clock } = this.#needs;
    if (clock.nowMs() < this.#floor.untilMs) return;
    for (const entry of store.over(this.#chainId, this.#address, counted)) {
      if (entry.state.kind !== 'Mined') continue;
      const found = await this.#receipt(entry);
      if (!found.ok || found.value !== undefined) return;
      await store.put({ ...entry, state: { kind: 'Superseded' } });
    }
  }

  /**
   * What waits behind nonces that nobody uses would wait for good. Those who asked for what had them may ask anew, and get them; what is left
   * after a while is used up, for nothing and by no other than the key itself.
   */
  async #fill(counted: bigint): Promise<void> {
    const { chains, store, clock } = this.#needs;
    const first = this.live[0];
    if (first === undefined || BigInt(first.nonce) <= counted) {
      this.#gapMs = undefined;
      return;
    }
    this.#gapMs ??= clock.nowMs();
    if (clock.nowMs() - this.#gapMs < REBROADCAST_MS) return;
    const [known, price] = await Promise.all([
      chains.count(this.#chainId, this.#address, 'pending'),
      chains.gasPrice(this.#chainId),
    ]);
    if (!known.ok || !price.ok) return;
    const room = Math.min(FILLED_MAX, PENDING_MAX - this.pending);
    const to = Math.min(Number(first.nonce), Number(known.value) + room);
    for (let nonce = Number(known.value); nonce < to; nonce += 1) {
      const feeLimit = defaultLimit(price.value);
      const fees = firstFees(price.value, feeLimit);
      const { address } = first;
      const call = { to: address, value: 0n, data: '0x', gasLimit: PLAIN_GAS };
      const entry = { address, chainId: first.chainId, nonce, ...call };
      const made = fees && (await this.#make(entry, fees));
      if (fees === undefined || made?.ok !== true) return;
      const filler: Entry = {
        ...{ ...entry, sender: NOBODY, id: fileOf(entry), content: '', feeLimit },
        versions: [{ hash: made.value.hash, ...fees }],
        ...{ state: { kind: 'Pending' }, live: { data: '0x', raw: made.value.raw } },
        order: store.next(),
      };
      await store.put(filler);
      await this.#broadcast(filler);
    }
  }

  /** Its nonce is used: by which form of it, or by something else? */
  async #examine(entry: Entry, head: bigint): Promise<AskFailure | undefined> {
    const { clock } = this.#needs;
    const memory = this.#remember(entry);
    // Until it is deep, what would undo it shows in the count.
    if (entry.state.kind === 'Mined' && !this.#isSettled(entry.state.value.block, memory, head))
      return undefined;
    const found = await this.#receipt(entry);
    if (!found.ok) return found.error;
    if (found.value === undefined) {
      memory.looks += 1;
      if (memory.looks >= LOOKS_MAX) await this.#end({ ...entry, state: { kind: 'Superseded' } });
      return undefined;
    }
    memory.looks = 0;
    memory.minedMs ??= clock.nowMs();
    const { block, ok, versions } = found.value;
    const value = { block: Number(block), ok };
    const mined: Entry = { ...entry, versions, state: { kind: 'Mined', value } };
    if (this.#isSettled(value.block, memory, head)) await this.#end(mined);
    else await this.#needs.store.put(mined);
    return undefined;
  }

  #isSettled(block: U64, memory: Memory, head: bigint): boolean {
    const now = this.#needs.clock.nowMs();
    memory.minedMs ??= now;
    return head >= BigInt(block) + BigInt(DEPTH_BLOCKS) || now - memory.minedMs >= SETTLED_MS;
  }

  /** Of the form that was mined, which becomes the newest. */
  async #receipt(
    entry: Entry,
  ): Promise<Result<(Receipt & Pick<Entry, 'versions'>) | undefined, AskFailure>> {
    for (const version of entry.versions.toReversed()) {
      const receipt = await this.#needs.chains.receipt(this.#chainId, version.hash);
      if (!receipt.ok) return receipt;
      if (receipt.value === undefined) continue;
      const versions = [...entry.versions.filter((each) => each !== version), version];
      return { ok: true, value: { ...receipt.value, versions } };
    }
    return { ok: true, value: undefined };
  }

  /** The block that had it is none any more. */
  async #unmined(entry: Entry): Promise<Entry> {
    if (entry.state.kind !== 'Mined') return entry;
    const pending: Entry = { ...entry, state: { kind: 'Pending' } };
    await this.#needs.store.put(pending);
    this.#memory.delete(fileOf(entry));
    return pending;
  }

  async #resend(entry: Entry, first: boolean): Promise<void> {
    const { chains, clock } = this.#needs;
    const memory = this.#remember(entry);
    if (clock.nowMs() < memory.againMs) return;
    // Only the first is stuck; the others wait for it.
    const stuck = first && clock.nowMs() - memory.madeMs >= STUCK_MS;
    const price = stuck ? await chains.gasPrice(this.#chainId) : undefined;
    const sent = price?.ok === true ? await this.#raise(entry, price.value) : entry;
    memory.againMs = clock.nowMs() + REBROADCAST_MS;
    await this.#broadcast(sent);
  }

  /** The same with higher fees, on disk; as it was where the limit has no room or the key is gone. */
  async #raise(entry: Entry, price: GasPrice): Promise<Entry> {
    const fees = higherFees(newest(entry), price, entry.feeLimit);
    if (fees === undefined || entry.live === undefined) return entry;
    if (entry.versions.length > REPLACEMENTS_MAX) return entry;
    const { data } = entry.live;
    const made = await this.#make({ ...entry, data }, fees);
    if (!made.ok) return entry;
    const versions = [...entry.versions, { hash: made.value.hash, ...fees }];
    const raised: Entry = { ...entry, versions, live: { data, raw: made.value.raw } };
    await this.#needs.store.put(raised);
    this.#remember(entry).madeMs = this.#needs.clock.nowMs();
    return raised;
  }

  /** Undefined: it is out, or may be; else the chain's words for why it never will be, and nobody has it. */
  async #broadcast(entry: Entry): Promise<string | undefined> {
    const { chains } = this.#needs;
    if (entry.live === undefined) return undefined;
    this.#remember(entry);
    const answer = await chains.broadcast(this.#chainId, entry.live.raw);
    if (answer.ok || answer.error.kind === 'silent') return undefined;
    const { text } = answer.error;
    if (KNOWN.test(text) || !HOPELESS.test(text)) return undefined;
    // Of several providers one may have taken what the next refuses.
    const known = await chains.knows(this.#chainId, newest(entry).hash);
    return known.ok && !known.value ? text : undefined;
  }

  async #make(
    entry: Pick<Entry, 'address' | 'chainId' | 'nonce' | 'to' | 'value' | 'gasLimit'> & {
      readonly data: string;
    },
    { maxFeePerGas, maxPriorityFeePerGas }: Fees,
  ): Promise<Result<{ readonly raw: string; readonly hash: string }, SignerError>> {
    const { chainId, nonce, to, value, gasLimit, data } = entry;
    const fees = { maxFeePerGas, maxPriorityFeePerGas };
    const transaction: Transaction = { chainId, nonce, to, value, gasLimit, data, ...fees };
    const signature = await this.#needs.sign(entry.address, transactionDigest(transaction));
    if (!signature.ok) return signature;
    const raw = signedTransaction(transaction, signature.value);
    return { ok: true, value: { raw: toHex(raw), hash: toHex(keccak256(raw)) } };
  }

  /** The first nonce that nothing has, where the chain has counted so many. */
  #after(counted: bigint): bigint {
    const floor = this.#needs.clock.nowMs() < this.#floor.untilMs ? this.#floor.nonce : 0n;
    const mined = this.#needs.store
      .over(this.#chainId, this.#address, counted)
      .filter(({ state }) => state.kind === 'Mined');
    const taken = new Set([...this.live, ...mined].map(({ nonce }) => BigInt(nonce)));
    let nonce = counted > floor ? counted : floor;
    while (taken.has(nonce)) nonce += 1n;
    return nonce;
  }

  #end(entry: Entry): Promise<void> {
    const nonce = BigInt(entry.nonce) + 1n;
    if (nonce > this.#floor.nonce)
      this.#floor = { nonce, untilMs: this.#needs.clock.nowMs() + COUNT_AGE_MS };
    this.#memory.delete(fileOf(entry));
    return this.#needs.store.put({ ...entry, live: undefined });
  }

  #drop(entry: Entry): Promise<void> {
    this.#memory.delete(fileOf(entry));
    return this.#needs.store.remove(entry);
  }

  /** What a restart has forgotten is sent again at once. */
  #remember(entry: Entry): Memory {
    const now = this.#needs.clock.nowMs();
    const known = this.#memory.get(fileOf(entry));
    if (known !== undefined) return known;
    const fresh = { againMs: now, madeMs: now, minedMs: undefined, looks: 0 };
    this.#memory.set(fileOf(entry), fresh);
    return fresh;
  }
}

function failed(error: SignerError): { readonly ok: false; readonly error: SignerError } {
  return { ok: false, error };
}
