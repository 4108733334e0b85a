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
  REBROADCAST_MS,
  REPLACEMENTS_MAX,
  SETTLED_MS,
  STUCK_MS,
} from '../limits.ts';
import { signedTransaction, transactionDigest } from '../transaction.ts';
import type { AskFailure, Chains, Receipt } from './chain.ts';
import { type Entry, fileOf, newest } from './entry.ts';
import { type Fees, type GasPrice, higherFees } from './fees.ts';
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

/** A count of the chain may be so old, in milliseconds: eth remembers answers. */
const COUNT_AGE_MS = 5_000;
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
    if (!counted.ok) return counted.error;
    if (!head.ok) return head.error;
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
    return undefined;
  }

  /** Gives up what is not mined. @throws as the file system does */
  async forget(): Promise<void> {
    for (const entry of this.live) await this.#drop(entry);
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

  /** The next nonce, where the chain has counted so many. */
  #after(counted: bigint): bigint {
    const last = this.live.at(-1);
    const ours = last === undefined ? 0n : BigInt(last.nonce) + 1n;
    const floor = this.#needs.clock.nowMs() < this.#floor.untilMs ? this.#floor.nonce : 0n;
    return [ours, floor].reduce((most, each) => (each > most ? each : most), counted);
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
