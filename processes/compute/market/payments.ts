/**
 * Paying for a job over HTTP (x402.md §2 to §4, §9): the answer that says what to pay, in both versions of the protocol, and the header
 * that pays. What is verified and sent is the facilitator's business.
 */
import { type HttpReply, type HttpRequest, reply } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import {
  hashText,
  signatureText,
  wideNumber,
  addressText,
} from '../../../contracts/compute-json.ts';
import type { MoneySettings, Payment } from '../shared/facilitator-contract.ts';
import { base64Of, textOfBase64 } from './base64.ts';
import { ApiError } from './http-guard.ts';
import type { Market } from './parts.ts';
import type { JobRecord } from './record.ts';

const authorization = t.record({
  from: addressText,
  to: addressText,
  value: wideNumber,
  validAfter: wideNumber,
  validBefore: wideNumber,
  nonce: hashText,
});
/** Of scheme `exact` by EIP-3009, in both versions. */
export const exactPayload = t.record({ signature: signatureText, authorization });
export type ExactPayload = t.Decoded<typeof exactPayload>;
/** Of both versions; what else they have differs and is compared with nothing here: the facilitator knows the terms. */
const paymentHeader = t.record({ x402Version: t.u32, payload: exactPayload });

const HEADER_CHARS_MAX = 32 * 1024;

/** 402, with what the job costs and where it is paid. */
export function paymentRequired(
  market: Market,
  job: JobRecord,
  request: HttpRequest,
  error?: string,
): HttpReply {
  const { settings } = market.settlement;
  if (settings === undefined)
    throw new ApiError(503, 'UNAVAILABLE', 'the chain is not there now; try again');
  const url = request.url;
  const description = `job ${job.jobId}`;
  const requirement = requirementOf(job, settings, market.now());
  const v2 = {
    x402Version: 2,
    error: error ?? 'payment required',
    resource: { url, description, mimeType: 'application/json' },
    accepts: [
      { ...requirement, network: `eip155:${settings.chainId}`, amount: job.payment.amount },
    ],
    extensions: { 'hypernode-escrow': escrowExtension(job, settings) },
  };
  const v1 = {
    x402Version: 1,
    error: error ?? 'X-PAYMENT header is required',
    accepts: [
      {
        ...requirement,
        network: `eip155:${settings.chainId}`,
        maxAmountRequired: job.payment.amount,
        resource: url,
        description,
        mimeType: 'application/json',
      },
    ],
    jobId: job.jobId,
    state: job.state,
  };
  return reply.json(v1, {
    status: 402,
    headers: {
      'payment-required': base64Of(JSON.stringify(v2)),
      'access-control-expose-headers': 'PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE',
    },
  });
}

/** Hands on what the request pays with: for the run into whose vault it goes, or the first that is not paid. @throws ApiError; RemoteError with a reason of x402.md §7 */
export async function payWith(
  market: Market,
  runs: readonly JobRecord[],
  request: HttpRequest,
): Promise<void> {
  const header = request.headers.get('payment-signature') ?? request.headers.get('x-payment');
  if (header === undefined || runs.every(({ state }) => state !== 'pending')) return;
  const { payload } = readHeader(header);
  const { from, to } = payload.authorization;
  const into = ({ payment }: JobRecord): boolean =>
    payment.vault?.toLowerCase() === to.toLowerCase();
  const isUnpaid = ({ state, payment }: JobRecord): boolean =>
    state === 'pending' && payment.state === 'none';
  const job = runs.find((run) => into(run) && isUnpaid(run)) ?? runs.find(isUnpaid);
  // It was heard before.
  if (job === undefined || (!into(job) && runs.some(into))) return;
  if (from.toLowerCase() !== job.client.toLowerCase()) {
    throw new ApiError(402, 'TERMS_MISMATCH', `the terms are of ${job.client}, ${from} pays`);
  }
  await fundBy(market, job, payload);
}

/** What the facilitator is asked to verify, or to send. */
export function transferOf({ authorization, signature }: ExactPayload): Payment {
  const { from: _from, to: _to, ...signed } = authorization;
  const { validAfter, validBefore } = signed;
  const value = { ...signed, validAfter: Number(validAfter), validBefore: Number(validBefore) };
  return { kind: 'Transfer', value: { ...value, signature } };
}

/** Has the facilitator send the payment. @returns the job as it is then. @throws RemoteError with a reason of x402.md §7 */
export async function fundBy(
  market: Market,
  job: JobRecord,
  payload: ExactPayload,
): Promise<JobRecord> {
  await market.settlement.fund(job.jobId, transferOf(payload));
  const live = market.jobs.live(job.jobId);
  if (live?.state !== 'pending' || live.payment.state !== 'none') return live ?? job;
  const paid = await market.jobs.change(job.jobId, {
    cause: 'the payment is on its way',
    patch: { payment: { state: 'authorized', route: 'vault' } },
  });
  return paid ?? job;
}

function readHeader(header: string): t.Decoded<typeof paymentHeader> {
  const text = textOfBase64(header.slice(0, HEADER_CHARS_MAX));
  if (text === undefined)
    throw new ApiError(400, 'INVALID_PAYLOAD', 'the payment header is no base64');
  const read = paymentHeader.decode(text);
  if (read.ok) return read.value;
  throw new ApiError(
    400,
    'INVALID_PAYLOAD',
    `the payment header: ${read.error.path}: expected ${read.error.expected}`,
  );
}

function requirementOf(
  { payment, times }: JobRecord,
  settings: MoneySettings,
  now: number,
): object {
  return {
    scheme: 'exact',
    asset: settings.token,
    payTo: payment.vault,
    // As it was when the terms were made: it must not change between offer and payment.
    maxTimeoutSeconds: Math.min(
      3_600,
      Math.max(1, Math.floor(((times.fundBy ?? now) - times.created) / 1_000)),
    ),
    extra: {
      name: settings.tokenName,
      version: settings.tokenVersion,
      assetTransferMethod: 'eip3009',
    },
  };
}

function escrowExtension(job: JobRecord, settings: MoneySettings): object {
  return {
    info: {
      version: '1',
      jobId: job.jobId,
      ...(job.replica === undefined
        ? {}
        : { replica: { index: job.replica.index, of: job.replica.of } }),
      chainId: settings.chainId,
      escrow: settings.escrow,
      vaultInitCodeHash: settings.vaultInitHash,
      // Proof of the type: `ComputeTerms` as it was written here.
      terms: JSON.parse(job.payment.terms ?? 'null') as unknown,
    },
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      required: ['version', 'jobId', 'terms'],
    },
  };
}
