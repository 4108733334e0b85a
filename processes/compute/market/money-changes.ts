/** What the chain says of a job's money, as changes of the job (compute-market.md §3.5 T2, T12, T15 to T17). Pure. */
import type { JobMoney } from '../shared/facilitator-contract.ts';
import { NOT_RUN } from './endings.ts';
import type { Change } from './jobs.ts';
import type { JobPatch, JobRecord, QueueEntry } from './record.ts';
import type { PaymentState } from './states.ts';

/** What is new of a job by what the chain says of it; undefined: nothing. */
export function moneyChange(
  job: JobRecord,
  money: JobMoney,
  {
    queue: newEntry,
    now,
  }: {
    /** A place in the queue. */
    readonly queue: () => QueueEntry;
    /** Milliseconds since 1970. */
    readonly now: number;
  },
): Change | undefined {
  const patch = moneyPatch(money);
  const told = (state: PaymentState, cause: string, more: JobPatch = {}): Change => ({
    cause,
    patch: { ...more, payment: { ...patch, state } },
  });
  switch (money.state) {
    case 'none': {
      if (job.state === 'pending') return told('none', 'unfunded');
      if (!isLocked(job.payment.state)) return undefined;
      // Its run is over; what pays for it may come again, or does not for good.
      if (job.state === 'verifying' && money.trouble === undefined) return undefined;
      return {
        ...told('none', 'the chain took the funding back', { ...NOT_RUN, substate: null }),
        transition: 'T17',
      };
    }
    case 'funded': {
      if (job.state === 'pending') {
        const queue = job.queue ?? newEntry();
        const more = { queue, times: { escrowed: now } };
        return { ...told('escrowed', 'funded', more), transition: 'T2' };
      }
      const released = job.substate === 'releasing' && money.attempt === job.attempt;
      if (job.state === 'escrowed') {
        return told('escrowed', 'funded', released ? { substate: null } : {});
      }
      return undefined;
    }
    case 'assigned': {
      // One look may see both again, the funding and the assignment.
      if (job.state === 'pending') {
        const queue = job.queue ?? newEntry();
        const more = { queue, substate: 'releasing', times: { escrowed: now } } as const;
        return { ...told('escrowed', 'funded and assigned', more), transition: 'T2' };
      }
      const ours = job.state === 'assigned' && money.nodeId?.toLowerCase() === job.node?.nodeId;
      if (!ours || job.substate !== 'assigning') return undefined;
      return told('escrowed', 'assigned on the chain', { substate: 'preparing' });
    }
    case 'proposed':
      return job.state === 'verifying'
        ? told('proposed', 'proposed', { substate: 'challenge-window' })
        : undefined;
    case 'disputed':
      return job.state === 'verifying'
        ? told('disputed', 'disputed', { substate: 'disputed' })
        : undefined;
    case 'settled': {
      if (job.state === 'verifying') {
        return {
          ...told('released', 'settled', { substate: null, error: null }),
          transition: 'T12',
        };
      }
      return job.state === 'failed' || job.state === 'cancelled'
        ? told('partially_refunded', 'settled')
        : undefined;
    }
    case 'refunded': {
      if (job.state === 'cancelled') return told('refunded', 'refunded');
      const transition = job.state === 'failed' ? 'T15' : 'T16';
      return { ...told('refunded', 'refunded', { substate: null }), transition };
    }
    default:
      return money.state satisfies never;
  }
}

/** Whether the escrow had the money of a job that is not over. */
function isLocked(state: PaymentState): boolean {
  return state === 'escrowed' || state === 'proposed' || state === 'disputed';
}

/** Whether the chain has given an attempt to somebody who does not have it here. */
export function isDisowned(job: JobRecord, { state, attempt, nodeId }: JobMoney): boolean {
  if (state !== 'assigned' || attempt !== job.attempt) return false;
  const others = job.substate === 'assigning' && nodeId?.toLowerCase() !== job.node?.nodeId;
  return job.state === 'escrowed' || others;
}

function moneyPatch({ rev, payout, lastTx, fundTx }: JobMoney): Partial<JobRecord['payment']> {
  return {
    rev: Number(rev),
    ...(payout > 0n ? { payout: String(payout) } : {}),
    ...(fundTx === undefined ? {} : { fundTx }),
    ...(lastTx === undefined ? {} : { settleTx: lastTx }),
  };
}
