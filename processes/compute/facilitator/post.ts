/**
 * Transactions of the platform's key, in the order in which they were made. Each is signed and on disk before it leaves, under a nonce of
 * its own; until it is mined deep enough it is looked for, and sent again when it is lost, so that neither a crash nor a reorganisation
 * loses or repeats one. `signer:distro:sys` signs, within what its capabilities allow.
 */
import type { ChainView } from '../shared/chain-view.ts';
import type { Book } from './book.ts';
import { EthError, type Receipt } from '../../lib/eth.ts';
import { Signer } from '../../lib/signer.ts';
import type { Settings } from '../shared/settings.ts';

/** Transactions under way. */
export const UNDER_WAY_MAX = 16;
/** Before one that is in no block is sent again, in milliseconds. */
const AGAIN_MS = 10_000;
/** Blocks after which a mined one is forgotten. */
const KEEP_BLOCKS = 64;

/** A call to send. */
export interface Outgoing {
  readonly to: string;
  readonly data: string;
  readonly gas: number;
}

/** One that was sent. */
interface Sent {
  readonly nonce: number;
  readonly hash: string;
  readonly raw: string;
  readonly sentMs: number;
}

/** What became of one: mined, or never to be, because its nonce was used by another one. */
export type Outcome =
  | { readonly kind: 'mined'; readonly nonce: number; readonly receipt: Receipt }
  | { readonly kind: 'displaced'; readonly nonce: number };

export interface PostNeeds {
  readonly settings: Settings;
  readonly chain: ChainView;
  readonly book: Book;
  readonly signer: Signer;
  /** The address of the key. */
  readonly from: string;
}

export class Post {
  readonly #needs: PostNeeds;

  constructor(needs: PostNeeds) {
    this.#needs = needs;
  }

  async underWay(): Promise<number> {
    const row = await this.#needs.book.db
      .get`select count(*) as n from transactions where state = 'sent'`;
    return Number(row?.['n']);
  }

  /**
   * Signs and sends. `claim` is written in the same transaction of the database, so that what was to be sent and what was sent agree.
   * @returns its nonce
   */
  async send(
    outgoing: Outgoing,
    claim: (
      nonce: number,
      run: (pieces: TemplateStringsArray, ...values: (string | number)[]) => Promise<void>,
    ) => Promise<void>,
  ): Promise<number> {
    const { book, chain, settings, signer } = this.#needs;
    const nonce = await this.#nextNonce();
    const { baseFeePerGas = 0n } = await chain.head();
    const price = await chain.eth.gasPrice();
    const tip = price > baseFeePerGas ? price - baseFeePerGas : 1n;
    const { raw, hash } = await signer.signTransaction(settings.key, {
      chainId: settings.chain_id,
      nonce,
      maxPriorityFeePerGas: tip,
      maxFeePerGas: baseFeePerGas * 2n + tip,
      gasLimit: outgoing.gas,
      to: outgoing.to,
      data: outgoing.data,
    });
    await book.db.tx(async (tx) => {
      await tx.run`insert into transactions (nonce, hash, raw, sent_ms) values (${nonce}, ${hash}, ${raw}, ${Date.now()})`;
      await claim(nonce, tx.run);
    });
    await this.#broadcast(raw);
    return nonce;
  }

  /** Looks for all that are under way. */
  async look(): Promise<Outcome[]> {
    const { book, chain, settings } = this.#needs;
    const rows = await book.db
      .all`select nonce, hash, raw, sent_ms from transactions where state = 'sent' order by nonce`;
    if (rows.length === 0) return [];
    const outcomes: Outcome[] = [];
    const end = (await chain.head()).number - settings.confirmations + 1;
    for (const row of rows) {
      const sent: Sent = {
        nonce: Number(row['nonce']),
        hash: String(row['hash']),
        raw: String(row['raw']),
        sentMs: Number(row['sent_ms']),
      };
      const outcome = await this.#lookFor(sent, end);
      if (outcome !== undefined) outcomes.push(outcome);
    }
    return outcomes;
  }

  /** To be called in the transaction of the database that makes use of the outcome. */
  async settle(
    outcome: Outcome,
    run: (pieces: TemplateStringsArray, ...values: (string | number)[]) => Promise<void>,
  ): Promise<void> {
    const { nonce } = outcome;
    if (outcome.kind === 'displaced') {
      await run`delete from transactions where nonce = ${nonce}`;
      return;
    }
    const { blockNumber } = outcome.receipt;
    await run`update transactions set state = 'mined', block = ${blockNumber} where nonce = ${nonce}`;
    await run`delete from transactions where state = 'mined' and block < ${blockNumber - KEEP_BLOCKS}`;
  }

  async #lookFor(sent: Sent, end: number): Promise<Outcome | undefined> {
    const { chain, book, from } = this.#needs;
    const { nonce, hash, raw, sentMs } = sent;
    const receipt = await chain.receipt(hash);
    if (receipt !== undefined) {
      return receipt.blockNumber <= end ? { kind: 'mined', nonce, receipt } : undefined;
    }
    if (Date.now() - sentMs < AGAIN_MS) return undefined;
    // Another one has its nonce: it was sent from outside, or the chain is another one.
    if ((await chain.eth.transactionCount(from, { agreed: true })) > nonce) {
      return (await chain.receipt(hash)) === undefined ? { kind: 'displaced', nonce } : undefined;
    }
    await book.db.run`update transactions set sent_ms = ${Date.now()} where nonce = ${nonce}`;
    await this.#broadcast(raw);
    return undefined;
  }

  async #nextNonce(): Promise<number> {
    const { book, chain, from } = this.#needs;
    const counted = await chain.eth.transactionCount(from, { agreed: true });
    const row = await book.db.get`select max(nonce) as n from transactions where state = 'sent'`;
    return Math.max(counted, row?.['n'] == null ? 0 : Number(row['n']) + 1);
  }

  /** Whether it was taken or not: it is looked for. */
  async #broadcast(raw: string): Promise<void> {
    try {
      await this.#needs.chain.eth.sendRaw(raw);
    } catch (error) {
      if (!(error instanceof EthError)) throw error;
    }
  }
}
