/** What the executor of a node asks over HTTP instead of hearing it on the channel of an extension (compute-market.md §13). */
import { type HttpReply, reply, wholeNumber } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, guardedForExecutors } from './http-guard.ts';
import { mustRead } from './job-access.ts';
import type { Market } from './parts.ts';
import type { JobRecord } from './record.ts';

/** How long a poll waits for a job, in seconds: if it does not say, and at most. */
const POLL_S = 10;
const POLL_S_MAX = 25;

const query = t.record({ wait: t.option(wholeNumber) });

export function workerRoutes(http: MarketHttp, market: () => Market): void {
  /** Nodes that wait: one poll each, so that nobody makes us wait a thousandfold. */
  const polling = new Set<string>();
  http.get(
    '/api/nodes/poll-job',
    guardedForExecutors(market, async ({ request, nodeId, market: { providers } }) => {
      const { wait = POLL_S } = request.query.as(query);
      if (polling.has(nodeId)) throw new ApiError(409, 'CONFLICT', 'a poll of this node waits');
      const known = providers.byId(nodeId);
      if (known !== undefined) providers.seen(known.node);
      polling.add(nodeId);
      try {
        return await nextJob(market(), nodeId, Math.min(wait, POLL_S_MAX) * 1_000);
      } finally {
        polling.delete(nodeId);
      }
    }),
  );
  // The lease stands in the path, which is what an executor signs.
  http.get(
    '/api/nodes/leases/:lease/inputs/:sha256',
    guardedForExecutors<'/api/nodes/leases/:lease/inputs/:sha256'>(market, ({ request, nodeId }) =>
      inputOf(market(), nodeId, request.params),
    ),
  );
}

/** A file that the job reads, or its program, for whoever has it now: the http-server reads it itself, also from somewhere on (`Range`). */
async function inputOf(
  { jobs, providers, uploads }: Market,
  nodeId: string,
  { lease, sha256 }: { readonly lease: string; readonly sha256: string },
): Promise<HttpReply> {
  const job = [...jobs.activeOn(providers.byId(nodeId)?.node ?? '')]
    .map((jobId) => jobs.live(jobId))
    .find((one) => one?.node?.lease === lease);
  // A lease that is over is nobody's.
  if (job === undefined) throw new ApiError(404, 'NO_SUCH_LEASE', 'your node has no such lease');
  mustRead(job, sha256);
  const path = await uploads.fileOf(sha256);
  if (path === undefined) throw new ApiError(410, 'GONE', `${sha256} is not here any more`);
  return reply.file(path, { type: 'application/octet-stream', etag: `"${sha256}"` });
}

/** The job that the node has and has not started, as soon as there is one; 204 after that time. */
async function nextJob(market: Market, nodeId: string, waitMs: number): Promise<HttpReply> {
  const until = market.now() + waitMs;
  for (;;) {
    const job = givenTo(market, nodeId);
    if (job !== undefined) return reply.json(offerOf(job));
    const left = until - market.now();
    if (left <= 0 || !(await market.changed(nodeId, left))) return reply.empty();
  }
}

function givenTo({ jobs, providers }: Market, nodeId: string): JobRecord | undefined {
  for (const jobId of jobs.activeOn(providers.byId(nodeId)?.node ?? '')) {
    const job = jobs.live(jobId);
    if (job?.state === 'assigned' && job.substate === 'preparing') return job;
  }
  return undefined;
}

/** As `job.offer` has it: the spec is the text that was hashed. */
function offerOf({ jobId, attempt, node, spec, specHash, payment, timeoutS }: JobRecord): object {
  return { jobId, attempt, lease: node?.lease, spec, specHash, price: payment.price, timeoutS };
}
