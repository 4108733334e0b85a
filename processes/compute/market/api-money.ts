/** What clients and providers ask about money over HTTP; calls that are theirs to send are answered, not sent. */
import { reply } from '../../lib/http-server.ts';
import { RemoteError, t } from '../../lib/index.ts';
import { hashText, signatureText } from '../../../contracts/compute-json.ts';
import { sha256Hex } from '../../../wit/jobs/digest.ts';
import type { JobMoney } from '../shared/facilitator-contract.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, type AskedBy, guarded } from './http-guard.ts';
import { ownJob } from './job-access.ts';
import type { Market } from './parts.ts';
import type { JobRecord } from './record.ts';

const dispute = t.record({
  jobId: hashText,
  evidence: t.option(t.text),
  evidenceHash: t.option(hashText),
});
const cancelling = t.record({ release: t.option(signatureText) });
/** As what the owner of the node claims: `provider`, else as coordinator. */
const claiming = t.record({ as: t.option(t.text) });
const EVIDENCE_CHARS_MAX = 64 * 1024;

export function moneyRoutes(http: MarketHttp, market: () => Market): void {
  http.get(
    '/api/facilitator/payment-intent/:id',
    guarded<'/api/facilitator/payment-intent/:id'>(market, 'wallet', async (asked) => {
      const { id } = asked.request.params;
      const job = await jobOfIntent(asked, id);
      const { payment, times } = job;
      return reply.json({
        jobId: job.jobId,
        intentId: job.intentId,
        // Proof of the type: `ComputeTerms` as it was written here.
        terms: payment.terms === undefined ? null : (JSON.parse(payment.terms) as unknown),
        state: payment.state,
        amount: payment.amount,
        price: payment.price,
        vault: payment.vault ?? null,
        fundBy: times.fundBy ?? null,
        deadline: times.deadline ?? null,
      });
    }),
  );
  /** The call that only the client can send: to take a job back that no node has, or that its node released. */
  http.post(
    '/api/jobs/:jobId/cancel-call',
    guarded<'/api/jobs/:jobId/cancel-call'>(
      market,
      'wallet',
      async ({ market: { settlement }, principal, request }) => {
        const { jobId } = await ownJob(market(), principal, request.params.jobId);
        const { release } = request.json(cancelling);
        return reply.json(await settlement.facilitator.CancelCall({ jobId, release }));
      },
    ),
  );
  http.post(
    '/api/facilitator/claim-rewards',
    guarded(market, 'wallet', async ({ market: { settlement, providers }, principal, request }) => {
      const { as } = request.query.as(claiming);
      const { platform } = settlement.settings ?? {};
      if (platform === undefined)
        throw new ApiError(403, 'NOT_CONFIGURED', 'this node has no chain');
      // The escrow sends a credit to its account and nowhere else: the owner may as well have the node pay the gas of its provider's.
      const ofNode = as === 'provider' ? providers.get(providers.local)?.state?.payTo : platform;
      const account = principal.address ?? ofNode;
      if (account === undefined)
        throw new ApiError(409, 'NO_PROVIDER', 'the policy of this node has no payTo');
      const amount = await settlement.facilitator.Credit({ account });
      if (amount > 0n) await settlement.facilitator.Withdraw({ account });
      return reply.json({ account, amount: String(amount) }, { status: amount > 0n ? 202 : 200 });
    }),
  );
  http.post(
    '/api/disputes',
    guarded(market, 'wallet', async ({ market: { settlement }, principal, request }) => {
      const { jobId, evidence, evidenceHash } = request.json(dispute);
      const job = await ownJob(market(), principal, jobId);
      if (evidence !== undefined && evidence.length > EVIDENCE_CHARS_MAX) {
        throw new ApiError(
          413,
          'TOO_LARGE',
          `evidence has at most ${EVIDENCE_CHARS_MAX} characters`,
        );
      }
      const hash = evidenceHash ?? `0x${sha256Hex(evidence ?? '')}`;
      const { call, bond } = await settlement.facilitator.DisputeCall({
        jobId: job.jobId,
        evidenceHash: hash,
      });
      return reply.json({ jobId: job.jobId, evidenceHash: hash, bond: String(bond), call });
    }),
  );
  http.get(
    '/api/disputes/:jobId',
    guarded<'/api/disputes/:jobId'>(market, 'wallet', async ({ principal, request }) => {
      const job = await ownJob(market(), principal, request.params.jobId);
      const money = await moneyOf(market(), job);
      if (money?.dispute === undefined)
        throw new ApiError(404, 'NOT_FOUND', 'the job is not disputed');
      const { by, evidenceHash, bond } = money.dispute;
      return reply.json({
        jobId: job.jobId,
        by,
        evidenceHash,
        bond: String(bond),
        until: Number(money.timer),
        state: money.state,
      });
    }),
  );
  http.get(
    '/api/facilitator/stats',
    guarded(market, 'public', async ({ market: { store, settlement } }) => {
      const payments = await store.database
        .all`select payment, count(*) as jobs from jobs group by payment`;
      return reply.json({
        chain: settlement.settings === undefined ? null : `eip155:${settlement.settings.chainId}`,
        payments: Object.fromEntries(
          payments.map(({ payment, jobs }) => [String(payment), Number(jobs)]),
        ),
      });
    }),
  );
}

/** By the intent that the client gave it, or by its id. */
async function jobOfIntent(
  { market, principal }: AskedBy<'/api/facilitator/payment-intent/:id'>,
  id: string,
): Promise<JobRecord> {
  if (/^0x[0-9a-fA-F]{64}$/.test(id)) return ownJob(market, principal, id);
  const found = await market.store.byIntent(principal.owner, id);
  if (found === undefined)
    throw new ApiError(404, 'NOT_FOUND', `you have no intent ${id.slice(0, 100)}`);
  return found;
}

async function moneyOf(market: Market, job: JobRecord): Promise<JobMoney | undefined> {
  if (job.payment.state === 'free') return undefined;
  try {
    return await market.settlement.money(job.jobId);
  } catch (error) {
    if (error instanceof RemoteError) return undefined;
    throw error;
  }
}
