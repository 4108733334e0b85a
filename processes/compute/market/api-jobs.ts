/** Jobs over HTTP: submitting, looking, following, fetching, cancelling. */
import { type HttpReply, reply, wholeNumber } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import { isObject, parseDocument, type DocumentValue } from '../../../wit/canonical-json.ts';
import type { LogRecord } from '../../../wit/jobs/log-records.ts';
import type { MarketHttp } from './api.ts';
import { runResult } from '../shared/job-events-contract.ts';
import { resultOf } from './completion.ts';
import { base64Of } from './base64.ts';
import { ApiError, type AskedBy, guarded, guardedForExecutors } from './http-guard.ts';
import { cancelJob, ownJob, runsOf, speaking, viewOf, wholeViewOf } from './job-access.ts';
import type { Market } from './parts.ts';
import { paymentRequired, payWith } from './payments.ts';
import type { JobRecord } from './record.ts';
import { outputReply } from './api-results.ts';
import { isOver, STATES } from './states.ts';
import { hashText } from '../../../contracts/compute-json.ts';

/** Between two looks at a log that nothing is heard of, in milliseconds. */
const FOLLOW_MS = 5_000;
const LIST_MAX = 100;
const AMOUNT = /^(0|[1-9][0-9]{0,38})$/;

const listQuery = t.record({
  state: t.option(t.text),
  cursor: t.option(t.text),
  limit: t.option(wholeNumber),
});
const logQuery = t.record({
  from: t.option(wholeNumber),
  attempt: t.option(wholeNumber),
  follow: t.option(t.text),
  proof: t.option(t.text),
});
const completion = t.record({ jobId: hashText, lease: t.text, result: runResult });

export function jobRoutes(http: MarketHttp, market: () => Market): void {
  http.post('/api/facilitator/submit-job', guarded(market, 'wallet', submit));
  http.post(
    '/api/quote',
    guarded(market, 'public', ({ request, principal, market: { submissions } }) => {
      const made = submissions.quote(bodyOf(request.text())['spec'] ?? null, principal);
      return reply.json({
        ...made,
        node: made.node ?? null,
        price: String(made.price),
        expiresAt: Number(made.expiresAt),
      });
    }),
  );
  http.post(
    '/api/facilitator/complete-job',
    guardedForExecutors(market, async ({ request, market: { intake, providers }, nodeId }) => {
      const { jobId, lease, result } = request.json(completion);
      const node = providers.byId(nodeId)?.node ?? '';
      const over = await intake.result(node, { jobId, lease }, result);
      if (over) providers.drop(node, { jobId, lease });
      return reply.json({ ok: true });
    }),
  );
  http.get(
    '/api/jobs',
    guarded(market, 'wallet', async ({ request, principal, market: { store } }) => {
      const { state, cursor, limit = LIST_MAX } = request.query.as(listQuery);
      const wanted = STATES.find((one) => one === state);
      if (state !== undefined && wanted === undefined) {
        throw new ApiError(400, 'BAD_REQUEST', `a job is never ${state}`);
      }
      const most = Math.min(LIST_MAX, Math.max(1, limit));
      const owner = principal.kind === 'operator' ? undefined : principal.owner;
      const jobs = await store.list({ owner, state: wanted, cursor, limit: most });
      const last = jobs.length < most ? undefined : jobs.at(-1);
      return reply.json({
        jobs: await Promise.all(jobs.map((job) => viewOf(market(), job))),
        cursor: last === undefined ? null : `${last.times.created}.${last.jobId}`,
      });
    }),
  );
  http.get(
    '/api/jobs/:jobId',
    guarded(market, 'wallet', async (asked) =>
      reply.json(await wholeViewOf(asked.market, await own(asked))),
    ),
  );
  http.delete('/api/jobs/:jobId', guarded(market, 'wallet', cancel));
  http.post('/api/jobs/cancel/:jobId', guarded(market, 'wallet', cancel));
  http.get('/api/jobs/:jobId/logs', guarded(market, 'wallet', logs));
  http.get(
    '/api/jobs/:jobId/events',
    guarded(market, 'wallet', async (asked) => {
      const job = await own(asked);
      return reply.json({ events: await asked.market.store.events(job.jobId) });
    }),
  );
  http.get(
    '/api/jobs/:jobId/result',
    guarded(market, 'wallet', async (asked) =>
      outputReply(asked.market, await speaking(asked.market, await own(asked)), asked.request),
    ),
  );
  http.get(
    '/api/receipts/:jobId',
    guarded(market, 'wallet', async (asked) => {
      const result = resultOf(await speaking(asked.market, await own(asked)));
      if (result === undefined) throw new ApiError(404, 'NOT_FOUND', 'there is no receipt yet');
      return reply.coded(runResult, result);
    }),
  );
}

async function submit({ request, principal, market }: AskedBy): Promise<HttpReply> {
  const body = bodyOf(request.text());
  const { intentId, client, maxPrice } = body;
  const key = request.headers.get('idempotency-key') ?? textOf(intentId, 'intentId');
  const job = await market.submissions.submit({
    principal,
    spec: body.spec ?? null,
    intentId: key,
    client: principal.kind === 'wallet' ? undefined : textOf(client, 'client'),
    maxPrice: amountOf(maxPrice),
  });
  await payWith(market, await runsOf(market, job), request);
  const runs = await runsOf(market, job);
  const unpaid = runs.find(({ state, payment }) => state === 'pending' && payment.state === 'none');
  // Each run is paid by itself, one after another.
  if (unpaid !== undefined) return paymentRequired(market, unpaid, request);
  const { jobId, state } = runs[0]!;
  return reply.json(
    { jobId, state, intentId: job.replica?.group ?? job.intentId },
    { status: 202, headers: { location: `/market:compute:sys/api/jobs/${jobId}` } },
  );
}

async function cancel(asked: AskedBy): Promise<HttpReply> {
  const job = await own(asked);
  const runs = await runsOf(asked.market, job);
  if (!runs.some(({ state }) => CANCELLABLE.has(state))) {
    throw new ApiError(409, 'CONFLICT', `the job is ${job.state}`, { state: job.state });
  }
  return reply.json(await viewOf(asked.market, await cancelJob(asked.market, job)));
}

const CANCELLABLE = new Set(['pending', 'escrowed', 'assigned', 'running']);

/**
 * NDJSON, or events for who asks for them. With `follow` the answer goes on until nothing more can come; without, `x-next` says where to go on.
 * `proof` is what whoever checks the receipt needs: the records as they were framed, in base64.
 */
async function logs(asked: AskedBy): Promise<HttpReply> {
  const { market, request } = asked;
  const job = await speaking(market, await own(asked));
  const { from = 0, attempt = job.attempt, follow, proof } = request.query.as(logQuery);
  const events = (request.headers.get('accept') ?? '').includes('text/event-stream');
  const type = events ? 'text/event-stream' : 'application/x-ndjson';
  const line = (record: LogRecord): string => {
    const json = JSON.stringify(recordView(record, proof !== undefined));
    return events ? `id: ${record.seq}\nevent: job_log\ndata: ${json}\n\n` : `${json}\n`;
  };
  if (follow === undefined || follow === '0') {
    const { records, next } = await market.logs.read(job.jobId, attempt, from);
    const headers = { 'x-next': String(next) };
    return reply.bytes(new TextEncoder().encode(records.map(line).join('')), { type, headers });
  }
  return reply.stream(
    async (stream) => {
      let next = from;
      let offset = 0;
      while (!stream.signal.aborted) {
        const now = (await market.jobs.find(job.jobId)) ?? job;
        const part = await market.logs.read(job.jobId, attempt, next, offset);
        ({ next, offset } = part);
        if (part.records.length > 0) await stream.write(part.records.map(line).join(''));
        else if (hasRun(now) || now.attempt !== attempt) return;
        else await market.changed(job.jobId, FOLLOW_MS);
      }
    },
    { type },
  );
}

/** Whether it runs no more: a result that is proposed is paid or refunded, and not tried again. */
function hasRun({ state, payment }: JobRecord): boolean {
  return isOver(state, payment.state) || payment.state === 'proposed';
}

function recordView({ seq, stream, atMs, bytes }: LogRecord, framed: boolean): unknown {
  const shown = { seq, stream, atMs, text: new TextDecoder().decode(bytes) };
  return framed ? { ...shown, base64: base64Of(bytes) } : shown;
}

function own({ market, principal, request }: AskedBy): Promise<JobRecord> {
  // Proof of the type: every path that has a job has it under this name.
  const { jobId = '' } = request.params as Readonly<Record<string, string>>;
  return ownJob(market, principal, jobId);
}

/** The body, read strictly: the spec in it is hashed. @throws HttpError 400 */
export function bodyOf(text: string): { readonly [name: string]: DocumentValue } {
  const read = parseDocument(text);
  if (!read.ok) throw new ApiError(400, 'NOT_CANONICAL', `the body: ${read.error}`);
  if (!isObject(read.value)) throw new ApiError(400, 'BAD_REQUEST', 'the body is no object');
  return read.value;
}

function textOf(value: DocumentValue | undefined, name: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw new ApiError(400, 'BAD_REQUEST', `${name} is no text`);
  return value;
}

function amountOf(value: DocumentValue | undefined): bigint | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || !AMOUNT.test(value)) {
    throw new ApiError(400, 'BAD_REQUEST', 'maxPrice is a decimal text in atomic units');
  }
  return BigInt(value);
}
