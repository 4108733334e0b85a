/** What an offer and its acceptance change of a job (compute-market.md §3.5 T4). Pure. */
import type { Change } from './jobs.ts';
import type { Candidate } from './matching.ts';
import type { NewOffer } from './offer-lines.ts';
import type { JobRecord } from './record.ts';

/** @param now  milliseconds since 1970 */
export function offerChange({ node, state, price }: Candidate, now: number): Change {
  return {
    cause: `offered to ${node}`,
    patch: {
      substate: 'offered',
      node: { name: node, nodeId: state.nodeId, offeredAt: now },
      ...(price > 0n ? { payment: { price: String(price) } } : {}),
    },
  };
}

/** As its node is asked. @param money  where its money is; undefined: it is free */
export function offerOf(job: JobRecord, money: NewOffer['money']): NewOffer {
  return {
    jobId: job.jobId,
    attempt: job.attempt,
    spec: job.spec,
    specHash: job.specHash,
    price: BigInt(job.payment.price),
    timeoutS: job.timeoutS,
    money,
    // Of a paid one the chain is told first.
    start: job.payment.state === 'free',
  };
}

/** Of a free job; a paid one has more. @param now  milliseconds since 1970 */
export function assignedChange(
  name: string,
  node: { readonly lease: string; readonly executor: string },
  now: number,
): Change {
  return {
    transition: 'T4',
    cause: `accepted by ${name}`,
    patch: { substate: 'preparing', node, times: { assigned: now } },
  };
}
