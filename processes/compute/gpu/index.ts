/** `gpu:compute:sys`: offers the machine of the paired extension to markets, this node's and others' (compute-market.md §2, §10). */
import { defineProcess, Refusal } from '../../lib/index.ts';
import { namehash } from '../../../contracts/hypermap.ts';
import { gpuContract } from '../shared/gpu-contract.ts';

const noLease = (): never => {
  throw new Refusal('NoSuchLease', 'no attempt runs here under this lease');
};

export default defineProcess({
  contract: gpuContract,
  on: {
    Provider: (_none, _context, process) => ({
      paired: false,
      nodeId: namehash(process.our.node),
      executor: undefined,
      payTo: undefined,
      device: undefined,
      slots: 0,
      free: 0,
      queue: 0,
      prices: [],
      cachedImages: [],
      at: Date.now(),
    }),
    Offer: () => ({
      kind: 'Rejected' as const,
      value: { code: 'unpaired', message: 'no extension is paired with this node' },
    }),
    Start: noLease,
    Cancel: noLease,
    Artifact: noLease,
    Drop: noLease,
  },
});
