/** What the node's owner does, behind the login: keys, money, sessions (compute-market.md §13). */
import { record, text } from '../../../wit/codec.ts';
import { wideNumber } from '../../../contracts/compute-json.ts';
import {
  HttpError,
  type HttpReply,
  type HttpRequest,
  reply,
  wholeNumber,
} from '../../lib/http-server.ts';
import type { ApiKey } from './api-keys.ts';
import { idOf, type Keys, keyWish } from './keys.ts';
import { clientOf, type Ledger } from './ledger.ts';
import { type SessionOffer, type Sessions, sessionWish } from './sessions.ts';
import type { Store } from './store.ts';

export interface OperatorApiNeeds {
  readonly keys: Keys;
  readonly ledger: Ledger;
  readonly sessions: Sessions;
  readonly store: Store;
  /** What the chain says of a session. @throws Refusal */
  readonly onChain: (jobId: string) => Promise<SessionOffer>;
}

const topUp = record({
  owner: text,
  /** Millionths of HYPER. */
  amount: wideNumber,
  /** What it came by, such as a transaction: the same one counts once. */
  ref: text,
});
const REF_CHARS_MAX = 200;
/** HYPER that there will ever be, in millionths, and more: what sums cannot pass. */
const AMOUNT_MAX = 10n ** 18n;

export class OperatorApi {
  readonly #needs: OperatorApiNeeds;
  /** Of money that is being written down. */
  readonly #coming = new Set<string>();

  constructor(needs: OperatorApiNeeds) {
    this.#needs = needs;
  }

  async makeKey(http: HttpRequest): Promise<HttpReply> {
    return reply.json(await this.#needs.keys.make(http.json(keyWish)), { status: 201 });
  }

  listKeys(): HttpReply {
    return reply.json({ keys: this.#needs.keys.all.map(shown) });
  }

  async revokeKey(id: string): Promise<HttpReply> {
    await this.#needs.keys.revoke(id);
    return reply.empty();
  }

  /** Entries of all accounts, or of `?owner`, from `?after` on; with what the owner has. */
  async ledger(http: HttpRequest): Promise<HttpReply> {
    const { ledger, store } = this.#needs;
    const owner = http.query.get('owner');
    const account = owner === undefined ? undefined : clientOf(owner);
    const entries = (await store.entries(afterIn(http), account)).map((row) => ({
      ...row,
      debit: String(row['debit']),
      credit: String(row['credit']),
    }));
    const available = owner === undefined ? {} : { available: String(ledger.available(owner)) };
    return reply.json({ ...available, earned: String(ledger.earned), entries });
  }

  /** Money of a client has arrived, by whatever way. */
  async topUp(http: HttpRequest): Promise<HttpReply> {
    const { ledger, store } = this.#needs;
    const { owner, amount, ref } = http.json(topUp);
    if (amount === 0n || amount > AMOUNT_MAX) throw new HttpError(400, 'amount: from 1 to 10^18');
    if (ref === '' || ref.length > REF_CHARS_MAX)
      throw new HttpError(400, `ref: at most ${REF_CHARS_MAX} characters`);
    const known = this.#coming.has(ref) || (this.#coming.add(ref) && (await store.knowsTopUp(ref)));
    if (known) throw new HttpError(409, `money has come by ${ref} already`);
    try {
      await store.write({ entries: ledger.topUp(owner, amount, ref) });
    } finally {
      this.#coming.delete(ref);
    }
    return reply.json({ owner, available: String(ledger.available(owner)) }, { status: 201 });
  }

  async receipts(http: HttpRequest): Promise<HttpReply> {
    const rows = await this.#needs.store.receipts(afterIn(http));
    return reply.json({ receipts: rows.map((row) => ({ ...row, cost: String(row['cost']) })) });
  }

  /** A session of the chain, whose client gets a key that its vouchers pay for. */
  async openSession(http: HttpRequest): Promise<HttpReply> {
    const { sessions, keys } = this.#needs;
    const { jobId, chain } = http.json(sessionWish);
    const offer = chain === undefined ? await this.#needs.onChain(jobId) : { jobId, ...chain };
    await sessions.open(offer);
    const made = await keys.make({ ...NO_LIMITS, owner: offer.jobId }, offer.jobId);
    return reply.json({ ...made, session: sessions.view(offer.jobId) }, { status: 201 });
  }

  /** With the last voucher of each, which `claimSession` of the escrow pays. */
  listSessions(): HttpReply {
    const { sessions } = this.#needs;
    const all = sessions.all.map(({ jobId, chainId, escrow, voucher }) => ({
      ...sessions.view(jobId),
      chainId,
      escrow,
      claim: voucher === undefined ? null : (JSON.parse(voucher) as object),
    }));
    return reply.json({ sessions: all });
  }
}

const NO_LIMITS = {
  models: undefined,
  endpoints: undefined,
  rpm: undefined,
  tpm: undefined,
  dailyBudget: undefined,
  expiresAt: undefined,
  test: undefined,
} as const;

function afterIn(http: HttpRequest): number {
  const { after = '0' } = Object.fromEntries(http.query.entries());
  const read = wholeNumber.decode(JSON.stringify(after));
  if (!read.ok) throw new HttpError(400, 'after: a whole number');
  return read.value;
}

function shown(key: ApiKey): object {
  const { hash: _hash, dailyBudget, shown: prefix, ...rest } = key;
  return { id: idOf(key), prefix, ...rest, dailyBudget: String(dailyBudget) };
}
