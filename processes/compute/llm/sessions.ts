/**
 * Sessions that clients pay by vouchers (compute-market.md §12.4 b; findings F42). A voucher is what the client signs for a job, an attempt
 * and a total; the provider keeps the last, which pays on the chain exactly what it says (`claimSession`). What nobody has signed for stays
 * below a limit.
 */
import { digestOf, type Voucher } from '../../../contracts/compute.ts';
import {
  addressText,
  hashText,
  signatureText,
  structCodec,
  wideNumber,
} from '../../../contracts/compute-json.ts';
import { option, record, u32, u64, type Decoded } from '../../../wit/codec.ts';
import { Refusal } from '../../lib/errors.ts';
import type { Signer } from '../../lib/signer.ts';
import { debtOf, mayServe, type SessionDebt, voucherRefusal, wantsVoucher } from './debt.ts';

/** A session on the chain: a job of mode 2 that is assigned to this node. */
const sessionFields = {
  chainId: u32,
  escrow: addressText,
  /** Who signs vouchers: `voucherSigner` of the terms, or the client. */
  signer: addressText,
  attempt: u32,
  /** Of the acceptance, in millionths of HYPER: what all vouchers together may come to. */
  price: wideNumber,
  /** Seconds since 1970. */
  deadline: u64,
} as const;
const sessionOffer = record({ jobId: hashText, ...sessionFields });
export type SessionOffer = Decoded<typeof sessionOffer>;

/** What the owner asks for. `chain`: what the owner says of it; missing: what the facilitator of this node does. */
export const sessionWish = record({ jobId: hashText, chain: option(record(sessionFields)) });

export const signedVoucher = record({ voucher: structCodec('Voucher'), signature: signatureText });

/** With what was served. */
export interface KeptSession extends SessionDebt {
  readonly jobId: string;
  readonly chainId: number;
  readonly escrow: string;
  readonly signer: string;
  readonly attempt: number;
  readonly price: bigint;
  readonly deadline: number;
  /** JSON of the last voucher and its signature. */
  readonly voucher: string | undefined;
}

/** How a session stands, as its client and the operator see it. */
export interface SessionView {
  readonly jobId: string;
  readonly attempt: number;
  readonly price: string;
  readonly served: string;
  readonly signed: string;
  readonly debt: string;
  readonly maxDebt: string;
  readonly tokensIn: string;
  readonly tokensOut: string;
  /** A voucher for `served` is wanted now. */
  readonly wanted: boolean;
}

export interface SessionsNeeds {
  readonly signer: Pick<Signer, 'verify'>;
  readonly keep: (session: KeptSession) => Promise<void>;
  readonly nowMs: () => number;
  readonly maxDebt: () => bigint;
}

const SESSIONS_MAX = 10_000;

export class Sessions {
  readonly #needs: SessionsNeeds;
  readonly #sessions = new Map<string, KeptSession>();
  /** By job, what requests under way may cost. */
  readonly #held = new Map<string, bigint>();

  constructor(needs: SessionsNeeds, kept: Iterable<KeptSession>) {
    this.#needs = needs;
    for (const session of kept) this.#sessions.set(session.jobId, session);
  }

  get all(): readonly KeptSession[] {
    return [...this.#sessions.values()];
  }

  /** @throws Refusal */
  async open({ deadline, ...offer }: SessionOffer): Promise<void> {
    if (this.#sessions.has(offer.jobId)) throw new Refusal('Conflict', 'it is open already');
    if (this.#sessions.size >= SESSIONS_MAX) throw new Refusal('Conflict', 'too many sessions');
    const session: KeptSession = {
      ...offer,
      deadline: Number(deadline),
      served: 0n,
      tokensIn: 0n,
      tokensOut: 0n,
      signed: 0n,
      askedAt: this.#needs.nowMs(),
      voucher: undefined,
    };
    this.#sessions.set(offer.jobId, session);
    await this.#needs.keep(session);
  }

  /** Keeps room for a request; why not, if there is none. */
  hold(jobId: string, most: bigint): 'over' | 'voucher' | undefined {
    const session = this.#sessions.get(jobId);
    if (session === undefined || this.#needs.nowMs() >= session.deadline * 1_000) return 'over';
    const held = this.#held.get(jobId) ?? 0n;
    const { price } = session;
    if (session.served + held + most > price) return 'over';
    if (!mayServe(session, { most, held, price }, this.#needs.maxDebt())) return 'voucher';
    this.#held.set(jobId, held + most);
    return undefined;
  }

  /** A request that `hold` kept `most` for has come to `cost`. @returns what is to be kept on disk */
  served(
    jobId: string,
    { most, cost, input, output }: { most: bigint; cost: bigint; input: number; output: number },
  ): KeptSession | undefined {
    const held = (this.#held.get(jobId) ?? 0n) - most;
    if (held > 0n) this.#held.set(jobId, held);
    else this.#held.delete(jobId);
    const session = this.#sessions.get(jobId);
    if (session === undefined) return undefined;
    const now: KeptSession = {
      ...session,
      served: session.served + cost,
      tokensIn: session.tokensIn + BigInt(input),
      tokensOut: session.tokensOut + BigInt(output),
    };
    this.#sessions.set(jobId, now);
    return now;
  }

  /**
   * A voucher of this session's client.
   * @throws Refusal `BadVoucher`, saying what is wrong; a voucher for less than the last is none
   */
  async accept(jobId: string, voucher: Voucher, signature: string): Promise<SessionView> {
    const session = this.#of(jobId);
    const { chainId, escrow, signer: address, attempt, price } = session;
    if (voucher.jobId.toLowerCase() !== jobId.toLowerCase() || voucher.attempt !== attempt)
      throw new Refusal('BadVoucher', 'it is of another job or attempt');
    const domain = { name: 'HypernodeEscrow', chainId, verifyingContract: escrow } as const;
    const digest = digestOf(domain, 'Voucher', voucher);
    const [right] = await this.#needs.signer.verify([{ digest, signature, address }]);
    if (right !== true) throw new Refusal('BadVoucher', `it is not signed by ${address}`);
    // As it is now: others may have come while the signature was looked at.
    const now = this.#of(jobId);
    const refusal = voucherRefusal(now, voucher, price);
    if (refusal !== undefined)
      throw new Refusal(
        'BadVoucher',
        `its total is ${refusal === 'lower' ? 'less than that of the last' : 'beyond the price'}`,
      );
    const kept: KeptSession = {
      ...now,
      signed: voucher.cumulative,
      askedAt: this.#needs.nowMs(),
      voucher: signedVoucher.stringify({ voucher, signature }),
    };
    this.#sessions.set(jobId, kept);
    await this.#needs.keep(kept);
    return this.view(jobId);
  }

  /** @throws Refusal */
  view(jobId: string): SessionView {
    const session = this.#of(jobId);
    return {
      jobId,
      attempt: session.attempt,
      price: String(session.price),
      served: String(session.served),
      signed: String(session.signed),
      debt: String(debtOf(session)),
      maxDebt: String(this.#needs.maxDebt()),
      tokensIn: String(session.tokensIn),
      tokensOut: String(session.tokensOut),
      wanted: wantsVoucher(session, this.#needs.nowMs()),
    };
  }

  #of(jobId: string): KeptSession {
    const session = this.#sessions.get(jobId);
    if (session === undefined) throw new Refusal('NotFound', 'no such session');
    return session;
  }
}
