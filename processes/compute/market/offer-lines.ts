/** Offers to a node: those that are made while earlier ones are not answered go together, as soon as these are. */
import { RemoteError } from '../../lib/errors.ts';
import type { Offer, OfferAnswer } from '../shared/gpu-contract.ts';
import type { Gpu } from './providers.ts';

/** Seconds that a node has to answer an offer. */
export const ACCEPT_S = 15;
/** Offers in one message, and UTF-16 units of their specs after which no more are added. */
const OFFERS_MAX = 64;
const SPECS_CHARS_MAX = 256 * 1024;

export interface OfferLinesNeeds {
  readonly gpu: (node: string) => Pick<Gpu, 'Offers'>;
  readonly now: () => number;
  /** Seconds that the chain's clock, by which acceptances run out, is ahead of ours. */
  readonly aheadS: () => number;
}

/** Seconds that an acceptance is good for beyond its answer: a node, or a chain, that is started again meanwhile can still use it. */
const ASSIGN_S = 120;

export interface Answered {
  readonly answer: OfferAnswer;
  /** Milliseconds from when it was sent. */
  readonly tookMs: number;
}

/** An offer that expires as long after it is sent as a node has to answer; a paid one when the chain has had time, too. */
export type NewOffer = Omit<Offer, 'expiresAt'>;

interface Waiting {
  readonly offer: NewOffer;
  readonly answered: PromiseWithResolvers<Answered>;
}

export class OfferLines {
  readonly #needs: OfferLinesNeeds;
  /** By node, and whether they are paid: a free one need not wait for somebody to look at the money of another. */
  readonly #lines = new Map<string, Waiting[]>();

  constructor(needs: OfferLinesNeeds) {
    this.#needs = needs;
  }

  /** Resolves with what the node answers. @throws NoResponse, RemoteError */
  offer(node: string, offer: NewOffer): Promise<Answered> {
    const answered = Promise.withResolvers<Answered>();
    const key = `${node} ${offer.money === undefined ? 'free' : 'paid'}`;
    const line = this.#lines.get(key);
    if (line !== undefined) line.push({ offer, answered });
    else {
      const begun = [{ offer, answered }];
      this.#lines.set(key, begun);
      void this.#run(node, key, begun);
    }
    return answered.promise;
  }

  async #run(node: string, key: string, line: Waiting[]): Promise<void> {
    // What else is offered by the end of this turn goes along.
    await Promise.resolve();
    while (line.length > 0) await this.#send(node, line.splice(0, together(line)));
    this.#lines.delete(key);
  }

  async #send(node: string, some: readonly Waiting[]): Promise<void> {
    const { gpu, now, aheadS } = this.#needs;
    const sentAt = now();
    const untilS = Math.floor(sentAt / 1_000) + ACCEPT_S;
    const offers = some.map(({ offer }) => ({
      ...offer,
      expiresAt: offer.money === undefined ? untilS : untilS + ASSIGN_S + aheadS(),
    }));
    try {
      const { answers } = await gpu(node).Offers({ offers }, { timeoutS: ACCEPT_S });
      const tookMs = now() - sentAt;
      for (const [at, { answered }] of some.entries()) {
        const answer = answers[at];
        if (answer === undefined) answered.reject(new RemoteError('BadResponse', 'no answer'));
        else answered.resolve({ answer, tookMs });
      }
    } catch (error) {
      for (const { answered } of some) answered.reject(error);
    }
  }
}

/** How many of the first go in one message: at least one. */
function together(line: readonly Waiting[]): number {
  let chars = 0;
  for (const [at, { offer }] of line.entries()) {
    if (at >= OFFERS_MAX || chars > SPECS_CHARS_MAX) return at;
    chars += offer.spec.length;
  }
  return line.length;
}
