/**
 * Whether the money of a stranger's job is where it says (compute-market.md §3.5 T4): asked of the facilitator of this node, which watches the
 * chain. What it is asked is a part of its contract.
 */
import { addressText, hashText, wideNumber } from '../../../contracts/compute-json.ts';
import { PULL_S_MAX, START_S_MAX } from '../../../contracts/compute.ts';
import { option, record, text, u32, u64, unit } from '../../../wit/codec.ts';
import { client, type Requester } from '../../lib/client.ts';
import { contract, method } from '../../lib/contract.ts';
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import type { Offer } from '../shared/gpu-contract.ts';

export interface Funding {
  /** Why the offer is not backed by locked money; undefined: it is. */
  problem(offer: Offer): Promise<string | undefined>;
}

const FACILITATOR = 'facilitator:compute:sys';
const asked = contract({
  Settings: method(unit, record({ chainId: u32, escrow: addressText, token: addressText })),
  Money: method(
    record({ jobId: hashText }),
    record({ state: text, amount: wideNumber, token: option(addressText), deadline: u64 }),
  ),
});
const ANSWER_S = 10;

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** As the facilitator of this node sees it. */
export function facilitatorFunding(requester: Requester, nowMs: () => number): Funding {
  const facilitator = client(requester, asked, FACILITATOR, { timeoutS: ANSWER_S });
  return {
    async problem({ jobId, price, timeoutS, money }) {
      if (money === undefined) return 'it says of no place where the money is';
      try {
        const { chainId, escrow, token } = await facilitator.Settings();
        if (chainId !== money.chainId || !same(escrow, money.escrow) || !same(token, money.token))
          return `this provider is paid on chain ${chainId}, by the escrow ${escrow}, in ${token}`;
        const locked = await facilitator.Money({ jobId });
        if (locked.state !== 'funded')
          return `the escrow has the job as ${locked.state}, not funded`;
        if (locked.token === undefined || !same(locked.token, token)) return 'it is another token';
        if (locked.amount < price) return `the escrow has ${locked.amount}, less than the price`;
        const needed = BigInt(Math.floor(nowMs() / 1000) + timeoutS + PULL_S_MAX + START_S_MAX);
        return BigInt(locked.deadline) < needed ? 'its deadline leaves no time for it' : undefined;
      } catch (error) {
        if (error instanceof NoResponse) return 'this provider cannot see the chain now';
        if (error instanceof RemoteError)
          return `this provider cannot see the money: ${error.message}`;
        throw error;
      }
    },
  };
}
