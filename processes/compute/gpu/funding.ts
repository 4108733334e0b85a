/** Whether the money of a stranger's job is where it says: asked of whoever watches the chain for this node. */
import type { Offer } from '../shared/gpu-contract.ts';

export interface Funding {
  /** Why the offer is not backed by locked money; undefined: it is. */
  problem(offer: Offer): Promise<string | undefined>;
}

/** Without anybody who watches the chain no stranger's money can be seen. */
export const noFunding: Funding = {
  problem: async () => 'this provider cannot see the chain that the money is on',
};
