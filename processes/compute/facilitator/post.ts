/**
 * Transactions of the platform's key, in the order in which they were made. What each is to do is on disk before `signer:distro:sys` is
 * asked to send it, under an id that sends it once; the signer sees to nonces, fees and lost transactions, and this to what became of each,
 * so that neither a crash nor a reorganisation loses or repeats one.
 */
import type { Receipt } from '../../lib/eth.ts';
import { type Signer, SignerError } from '../../lib/signer.ts';
import type { ChainView } from '../shared/chain-view.ts';
import { MULTICALL3 } from '../../../contracts/addresses.ts';
import type { Settings } from '../shared/settings.ts';
import { same } from '../shared/words.ts';
import type { Book } from './book.ts';

/** Transactions under way. */
export const UNDER_WAY_MAX = 32;
/** Blocks after which a mined one is forgotten. */
const KEEP_BLOCKS = 64;
/** Before what is under way is looked for again where the book has read no further block, in milliseconds. */
const LOOK_MS = 1_000;
/** Before the signer is told again that the chain does not have what it takes for mined, in milliseconds. */
const TOLD_AGAIN_MS = 1_000;

/** A call to send. */
export interface Outgoing {
  readonly to: string;
  readonly data: string;
  readonly gas: number;
}

/** What became of one: mined, or never to be, because its nonce was used by another one. */
export type Outcome = { readonly id: string; readonly takenBack: Book['takenBack'] } & (
  | { readonly kind: 'mined'; readonly receipt: Receipt }
  | { readonly kind: 'displaced' }
);

/** Runs a statement of a transaction of the database. */
export type Run = (
  pieces: TemplateStringsArray,
  ...values: (string | number | null)[]
) => Promise<void>;

export interface PostNeeds {
  readonly settings: Settings;
  readonly chain: ChainView;
  readonly book: Book;
  readonly signer: Signer;
  /** The chain has a block that the book has not. */
  readonly ahead: () => void;
}

export class Post {
  readonly #needs: PostNeeds;
  #toldMs = 0;
  #aggregates = true;
  /** Of the last look: how far the book had read, and when. */
  #looked = { end: -1, ms: 0 };

  constructor(needs: PostNeeds) {
    this.#needs = needs;
  }

  /** Whether the signer lets us bring several transfers at once: owners who set up an earlier version did not permit it. */
  get aggregates(): boolean {
    return this.#aggregates;
  }

  async underWay(): Promise<number> {
    const row = await this.#needs.book.db
      .get`select count(*) as n from transactions where state <> 'mined'`;
    return Number(row?.['n']);
  }

  /** Sends. `claim` is written together with what is to be sent, so that the two agree whatever happens. */
  async send(
    { to, data, gas }: Outgoing,
    claim: (id: string, run: Run) => Promise<void>,
  ): Promise<void> {
    const id = `compute ${crypto.randomUUID()}`;
    await this.#needs.book.db.tx(async (tx) => {
      await tx.run`insert into transactions (id, target, data, gas, made_ms) values (${id}, ${to}, ${data}, ${gas}, ${Date.now()})`;
      await claim(id, tx.run);
    });
    await this.#send(id, { to, data, gas });
  }

  /**
   * Looks for all that are under way. Mined is what is in a block that the book has read: only of those it hears when the chain takes them
   * back.
   */
  async look(): Promise<Outcome[]> {
    const { book, chain, signer, ahead } = this.#needs;
    const rows = await book.db
      .all`select id, target, data, gas, state from transactions where state <> 'mined' order by made_ms`;
    if (rows.length === 0) return [];
    const outcomes: Outcome[] = [];
    const { takenBack } = book;
    const end = await book.readTo();
    const isClaimed = rows.some((row) => row['state'] === 'claimed');
    if (!isClaimed && end === this.#looked.end && Date.now() < this.#looked.ms + LOOK_MS) return [];
    this.#looked = { end, ms: Date.now() };
    const tellAgain = Date.now() >= this.#toldMs + TOLD_AGAIN_MS;
    for (const row of rows) {
      const id = String(row['id']);
      const [to, data] = [String(row['target']), String(row['data'])];
      const outgoing = { to, data, gas: Number(row['gas']) };
      // Claimed and perhaps sent, before a crash: the same id sends nothing twice.
      if (row['state'] === 'claimed' && !(await this.#send(id, outgoing))) {
        outcomes.push({ kind: 'displaced', id, takenBack });
        continue;
      }
      const sent = await signer.sendState(id).catch(unknownOf);
      if (sent === undefined || sent.state === 'superseded') {
        outcomes.push({ kind: 'displaced', id, takenBack });
        continue;
      }
      // The chain itself: the signer looks now and then only.
      const receipt = await chain.receipt(sent.hash);
      if (receipt === undefined) {
        if (sent.state !== 'mined' || !tellAgain) continue;
        this.#toldMs = Date.now();
        await this.#send(id, outgoing);
      } else if (receipt.blockNumber <= end)
        outcomes.push({ kind: 'mined', id, receipt, takenBack });
      else ahead();
    }
    return outcomes;
  }

  /** To be called in the transaction of the database that makes use of the outcome. */
  async settle(outcome: Outcome, run: Run): Promise<void> {
    const { id } = outcome;
    if (outcome.kind === 'displaced') {
      await run`delete from transactions where id = ${id}`;
      return;
    }
    const { blockNumber } = outcome.receipt;
    await run`update transactions set state = 'mined', block = ${blockNumber} where id = ${id}`;
    await run`delete from transactions where state = 'mined' and block < ${blockNumber - KEEP_BLOCKS}`;
  }

  /** @returns false when it is never to be sent: the next look says so */
  async #send(id: string, { to, data, gas }: Outgoing): Promise<boolean> {
    const { signer, settings, book } = this.#needs;
    try {
      await signer.send(id, settings.key, settings.chain_id, { to, data, gasLimit: gas });
    } catch (error) {
      if (!isForbidden(error) || !same(to, MULTICALL3)) throw error;
      this.#aggregates = false;
      return false;
    }
    await book.db.run`update transactions set state = 'sent' where id = ${id}`;
    return true;
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof SignerError && error.code === 'NotPermitted';
}

/** Undefined: the signer does not know it any more, for another one has its nonce. */
function unknownOf(error: unknown): undefined {
  if (error instanceof SignerError && error.code === 'NoSuchSend') return undefined;
  throw error;
}
