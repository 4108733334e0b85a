/**
 * The facilitator's interface of x402 (x402.md §6): whether a payment would pay for a job that waits here, and paying it. Scheme `exact` by
 * EIP-3009 into the vault of a job; what is asked for any other recipient is refused (X35). For who has the owner's token: it spends gas.
 */
import { type HttpReply, reply } from '../../lib/http-server.ts';
import { RemoteError, t } from '../../lib/index.ts';
import type { MoneySettings } from '../shared/facilitator-contract.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, type AskedBy, guarded } from './http-guard.ts';
import type { Market } from './parts.ts';
import { exactPayload, fundBy, transferOf } from './payments.ts';
import type { JobRecord } from './record.ts';

/** How long settling waits for the chain, in milliseconds; asked again it goes on waiting. */
const SETTLE_MS = 10_000;

const question = t.record({
  x402Version: t.u32,
  paymentPayload: t.record({ payload: exactPayload }),
  paymentRequirements: t.record({
    scheme: t.text,
    network: t.text,
    payTo: t.text,
    asset: t.text,
    /** v2 and v1. */
    amount: t.option(t.text),
    maxAmountRequired: t.option(t.text),
  }),
});
type Question = t.Decoded<typeof question>;

/** What v1, whose list of reasons is closed, says for ours (x402.md §7). */
const V1_REASON: Readonly<Record<string, string>> = {
  invalid_exact_evm_scheme: 'invalid_scheme',
  invalid_exact_evm_network_mismatch: 'invalid_network',
  invalid_exact_evm_recipient_mismatch: 'invalid_exact_evm_payload_recipient_mismatch',
  invalid_exact_evm_signature: 'invalid_exact_evm_payload_signature',
  invalid_exact_evm_authorization_value: 'invalid_exact_evm_payload_authorization_value',
  invalid_exact_evm_nonce_already_used: 'invalid_transaction_state',
  invalid_exact_evm_insufficient_balance: 'insufficient_funds',
  invalid_exact_evm_transaction_simulation_failed: 'invalid_transaction_state',
};

/** Why a payment is not good; an answer, not an error. */
class Invalid extends Error {
  override readonly name = 'Invalid';
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export function x402Routes(http: MarketHttp, market: () => Market): void {
  http.get(
    '/x402/supported',
    guarded(market, 'operator', (asked) => {
      const { chainId, platform } = settingsOf(asked.market);
      const kind = { scheme: 'exact', network: `eip155:${chainId}` };
      return reply.json({
        kinds: [
          { x402Version: 2, ...kind },
          { x402Version: 1, ...kind },
        ],
        extensions: ['hypernode-escrow'],
        signers: { 'eip155:*': [platform] },
      });
    }),
  );
  http.post('/x402/verify', guarded(market, 'operator', verify));
  http.post('/x402/settle', guarded(market, 'operator', settle));
}

async function verify({ market, request }: AskedBy): Promise<HttpReply> {
  const asked = request.json(question);
  const payer = asked.paymentPayload.payload.authorization.from;
  return judged(
    asked,
    async () => {
      await verified(market, asked);
      return { isValid: true, payer };
    },
    (invalidReason, invalidMessage) => ({ isValid: false, invalidReason, invalidMessage, payer }),
  );
}

async function settle({ market, request }: AskedBy): Promise<HttpReply> {
  const asked = request.json(question);
  const { payload } = asked.paymentPayload;
  const payer = payload.authorization.from;
  const { chainId } = settingsOf(market);
  const always = { payer, network: `eip155:${chainId}` };
  return judged(
    asked,
    async () => {
      const job = jobOf(market, asked);
      // Once it is on its way, who asks again waits with whoever asked first.
      const paid = job.payment.state === 'none' ? await fundBy(market, job, payload) : job;
      const transaction = await whenFunded(market, paid);
      return { success: true, ...always, transaction, amount: job.payment.amount };
    },
    (errorReason, errorMessage) => ({
      ...{ success: false, ...always, errorReason, errorMessage, transaction: '' },
    }),
  );
}

/** 200 for whatever was understood. What the facilitator does not answer is an error of its own. */
async function judged(
  { x402Version }: Question,
  work: () => Promise<object>,
  refused: (reason: string, message: string) => object,
): Promise<HttpReply> {
  try {
    return reply.json(await work());
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined || !(error instanceof Error)) throw error;
    const named = x402Version === 1 ? (V1_REASON[reason] ?? reason) : reason;
    return reply.json(refused(named, error.message));
  }
}

/** Reasons of x402.md are in small letters; names of errors of contracts are not, and say that the chain would refuse it. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof Invalid) return error.reason;
  if (!(error instanceof RemoteError)) return undefined;
  if (['NotConfigured', 'Unavailable', 'Internal', 'NotFound'].includes(error.kind))
    return undefined;
  return /^[a-z0-9_]+$/.test(error.kind)
    ? error.kind
    : 'invalid_exact_evm_transaction_simulation_failed';
}

async function verified(market: Market, asked: Question): Promise<void> {
  const { jobId } = jobOf(market, asked);
  const payment = transferOf(asked.paymentPayload.payload);
  await market.settlement.facilitator.VerifyPayment({ jobId, payment });
}

/** The job whose vault is paid. @throws Invalid for what is not asked for here */
function jobOf(
  market: Market,
  { x402Version, paymentPayload, paymentRequirements }: Question,
): JobRecord {
  const { chainId, token } = settingsOf(market);
  const { scheme, network, payTo, asset, amount, maxAmountRequired } = paymentRequirements;
  const { from, to } = paymentPayload.payload.authorization;
  if (x402Version !== 1 && x402Version !== 2)
    throw new Invalid('invalid_x402_version', 'versions 1 and 2 are spoken here');
  if (scheme !== 'exact') throw new Invalid('invalid_exact_evm_scheme', 'only exact is taken');
  if (network !== `eip155:${chainId}`)
    throw new Invalid('invalid_exact_evm_network_mismatch', `money is on eip155:${chainId}`);
  if (!same(asset, token))
    throw new Invalid('invalid_payment_requirements', `the token is ${token}`);
  const job = jobOfVault(market, payTo);
  if (job === undefined)
    throw new Invalid('invalid_payment_requirements', `${payTo} is the vault of no job that waits`);
  if (!same(to, payTo))
    throw new Invalid('invalid_exact_evm_recipient_mismatch', `it pays ${to}, not ${payTo}`);
  if ((x402Version === 2 ? amount : maxAmountRequired) !== job.payment.amount)
    throw new Invalid('invalid_payment_requirements', `the job costs ${job.payment.amount}`);
  if (!same(from, job.client))
    throw new Invalid('terms_mismatch', `the terms are of ${job.client}, ${from} pays`);
  return job;
}

function jobOfVault({ jobs }: Market, vault: string): JobRecord | undefined {
  for (const job of jobs.all()) if (same(job.payment.vault ?? '', vault)) return job;
  return undefined;
}

/** The transaction that funded it. @throws Invalid while the chain does not have it */
async function whenFunded(market: Market, { jobId }: JobRecord): Promise<string> {
  const until = market.now() + SETTLE_MS;
  for (;;) {
    const { payment } = (await market.jobs.find(jobId)) ?? {};
    // Of a funding that the chain took back the transaction is still known.
    const funded = payment?.state !== 'none' && payment?.state !== 'authorized';
    if (funded && payment?.fundTx !== undefined) return payment.fundTx;
    const left = until - market.now();
    if (left <= 0 || !(await market.changed(jobId, left)))
      throw new Invalid(
        'invalid_transaction_state',
        'it is sent, and not on the chain yet: ask again',
      );
  }
}

function settingsOf({ settlement: { settings } }: Market): MoneySettings {
  if (settings === undefined)
    throw new ApiError(503, 'UNAVAILABLE', 'this node has no chain now: nothing can be paid');
  return settings;
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
