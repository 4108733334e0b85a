/**
 * What is told of a job's money: its state as `getJob` has it, and from its events what the escrow forgets, how it was shared out and in
 * which transactions. Pure. Events come in any order, twice, and go again when the chain is reorganised (CM48); the state never rests on them.
 */
import type { ChainJob } from '../../../contracts/compute-calls.ts';
import type { EscrowEvent } from '../../../contracts/compute-events.ts';
import type { JobMoney } from '../shared/facilitator-contract.ts';
import { NOBODY, NOTHING } from '../shared/words.ts';

/** An event with its place on the chain. */
export interface Placed {
  readonly block: number;
  readonly logIndex: number;
  readonly txHash: string;
  readonly event: EscrowEvent;
}

/** All but what the book knows. */
export type ChainMoney = Omit<JobMoney, 'rev' | 'trouble'>;

/** @param events  of this job, in any order */
export function moneyOf(jobId: string, job: ChainJob, events: readonly Placed[]): ChainMoney {
  const sorted = events.toSorted((a, b) => a.block - b.block || a.logIndex - b.logIndex);
  const last = <K extends EscrowEvent['kind']>(kind: K): Found<K> | undefined =>
    // Proof of the type: the kind was compared.
    sorted.findLast(({ event }) => event.kind === kind) as Found<K> | undefined;
  const settled = job.state === 'settled' ? last('Settled')?.event : undefined;
  const refunded = job.state === 'refunded' ? last('Refunded')?.event : undefined;
  const disputed = job.disputer === NOBODY ? undefined : last('Disputed')?.event;
  const known = job.state !== 'none';
  return {
    jobId,
    state: job.state,
    attempt: job.attempt,
    client: known ? job.client : undefined,
    token: known ? job.token : undefined,
    amount: job.amount,
    price: job.price,
    payout: job.payout,
    nodeId: job.nodeId === NOTHING ? undefined : job.nodeId,
    deadline: job.deadline,
    timer: job.state === 'proposed' || job.state === 'disputed' ? job.timer : 0n,
    receiptHash: job.receiptHash === NOTHING ? undefined : job.receiptHash,
    dispute: disputed && {
      by: disputed.by,
      evidenceHash: disputed.evidenceHash,
      bond: disputed.bond,
    },
    settled: settled && {
      provider: settled.providerAmount,
      protocolFee: settled.protocolFee,
      platformFee: settled.platformFee,
      clientRefund: settled.clientRefund,
    },
    refundReason: refunded?.reason,
    fundTx: last('JobFunded')?.txHash,
    lastTx: sorted.at(-1)?.txHash,
  };
}

type Found<K extends EscrowEvent['kind']> = Placed & {
  readonly event: Extract<EscrowEvent, { kind: K }>;
};

/** Whether nothing more happens to it. */
export function isClosed({ state }: { readonly state: JobMoney['state'] }): boolean {
  return state === 'settled' || state === 'refunded';
}
