/**
 * Where pay goes: where the operator's policy says, or else where the registry says, which an acceptance has to name anyway
 * (compute-market.md §6.5 `assign`).
 */
import { addressText, hashText } from '../../../contracts/compute-json.ts';
import { option, record } from '../../../wit/codec.ts';
import { client, type Requester } from '../../lib/client.ts';
import { contract, method } from '../../lib/contract.ts';
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import type { Policy } from './policy.ts';

/** Address, or undefined: the node has no place for money. */
export type PayTo = (policy: Pick<Policy, 'payTo'>) => Promise<string | undefined>;

const FACILITATOR = 'facilitator:compute:sys';
const asked = contract({
  Provider: method(record({ nodeId: hashText }), option(record({ payTo: addressText }))),
});
const ANSWER_S = 3;
/** How long an answer counts, in milliseconds: what is there changes rarely, what is missing is about to come. */
const FOUND_MS = 30_000;
const MISSING_MS = 3_000;

/** As the facilitator of this node sees the registry. */
export function payToOf(requester: Requester, nodeId: string, nowMs: () => number): PayTo {
  const facilitator = client(requester, asked, FACILITATOR, { timeoutS: ANSWER_S });
  let until = -Infinity;
  let known: Promise<string | undefined> = Promise.resolve(undefined);
  const look = async (): Promise<string | undefined> => {
    try {
      const payTo = (await facilitator.Provider({ nodeId }))?.payTo;
      until = nowMs() + (payTo === undefined ? MISSING_MS : FOUND_MS);
      return payTo;
    } catch (error) {
      until = nowMs() + MISSING_MS;
      // No chain, or none now: nobody is paid there either.
      if (error instanceof NoResponse || error instanceof RemoteError) return undefined;
      throw error;
    }
  };
  return ({ payTo }) => {
    if (payTo !== undefined) return Promise.resolve(payTo);
    if (nowMs() >= until) {
      // Whoever asks meanwhile gets the same answer.
      until = Infinity;
      known = look();
    }
    return known;
  };
}
