/** The money of one job, from the 402 to what the escrow shares out (compute-market.md §3.4, §3.5). */
import { expect, it } from 'vitest';
import { digestOf, escrowDomain } from '../../../contracts/compute.ts';
import { specOf } from './testing/fake-gpu.ts';
import { DOMAIN, ESCROW, HASH, PLATFORM, TOKEN } from './testing/fake-money.ts';
import { CLIENT, useMoneyWorld } from './testing/money-world.ts';
import type { Json } from './testing/world.ts';

const PAY_TO = `0x${'3a'.repeat(20)}`;

const money = useMoneyWorld();

it('CM4 an unpaid submission is answered by what to pay, in both versions, and its job waits', async () => {
  const { jobId, response } = await money.unpaid();
  const v1 = JSON.parse(response.text);
  expect(v1.accepts[0]).toMatchObject({
    scheme: 'exact',
    asset: TOKEN,
    payTo: TOKEN,
    maxAmountRequired: '600',
  });
  const v2 = JSON.parse(Buffer.from(response.headers.get('payment-required'), 'base64').toString());
  expect(v2.accepts[0]).toMatchObject({ network: 'eip155:31337', amount: '600' });
  expect(v2.extensions['hypernode-escrow'].info).toMatchObject({ jobId, terms: { amount: '600' } });
  expect(await money.payment(jobId)).toEqual(['pending', 'none']);
  expect(money.gpu.offers).toEqual([]);
});

it('CM4 who pays by the header is heard once, and the job goes on when the chain has it', async () => {
  const { jobId, token } = await money.unpaid();
  const authorization = {
    from: money.world.signer.key('client'),
    to: TOKEN,
    value: '600',
    validAfter: '0',
    validBefore: '99999999999',
    nonce: HASH,
  };
  const payload = { signature: `0x${'11'.repeat(65)}`, authorization };
  const header = Buffer.from(
    JSON.stringify({ x402Version: 1, scheme: 'exact', network: 'eip155:31337', payload }),
  ).toString('base64');
  const pay = () =>
    money.world.request('POST', '/api/facilitator/submit-job', {
      headers: {
        authorization: `Bearer ${token}`,
        'idempotency-key': 'intent',
        'x-payment': header,
      },
      body: JSON.stringify({ spec: specOf() }),
    });
  expect((await pay()).status).toBe(202);
  expect((await pay()).status).toBe(202);
  expect(money.funded).toHaveLength(1);
  expect(await money.payment(jobId)).toEqual(['pending', 'authorized']);
  await money.chain(jobId, { state: 'funded' });
  expect(await money.payment(jobId)).toEqual(['assigned', 'escrowed']);
});

it('CM6 a job that nobody funds is cancelled when its time is over', async () => {
  const { jobId } = await money.unpaid();
  const realNow = Date.now;
  Date.now = () => realNow() + 3_700_000;
  try {
    await money.world.advance(2);
    await money.world.login();
    expect(await money.world.job(jobId)).toMatchObject({
      state: 'cancelled',
      reason: 'payment_expired',
    });
  } finally {
    Date.now = realNow;
  }
});

it('CM8 a paid job: assigned on the chain before it starts, judged, and closed by the settlement', async () => {
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  expect(money.assigned).toHaveLength(1);
  expect(money.gpu.started).toEqual([]);
  await money.chain(jobId, { state: 'assigned' });
  expect(money.gpu.started).toEqual([jobId]);
  await money.world.started(money.gpu, jobId);
  await money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  expect(await money.payment(jobId)).toEqual(['verifying', 'escrowed']);
  expect(money.judged).toHaveLength(1);
  expect(money.judged[0]).toMatchObject({
    jobId,
    price: 600n,
    cancelled: false,
    terms: { amount: 600n },
  });
  await money.verdict(jobId);
  await money.chain(jobId, { state: 'proposed', payout: 600n });
  expect(await money.world.job(jobId)).toMatchObject({
    substate: 'challenge-window',
    payment: { state: 'proposed' },
  });
  await money.chain(jobId, { state: 'settled', payout: 600n });
  expect(await money.world.job(jobId)).toMatchObject({
    state: 'completed',
    payment: { state: 'released', payout: '600', settleTx: HASH },
    verdict: { outcome: 'Pay', scoreBps: 10_000 },
  });
  // As the escrow shares it: 10 % and 5 % rounded down, the provider has the rest.
  const { json } = await money.world.ask('GET', '/api/ledger');
  expect(json.days).toMatchObject([
    { jobs: 1, completed: 1, paid: '600', earned: '510', fees: '30' },
  ]);
  expect(json.credits).toMatchObject([{ role: 'coordinator', account: PLATFORM, amount: '7' }]);
});

it('CM46 what the escrow owes is shown to whose it is, and sent there when it is asked for', async () => {
  const address = money.world.signer.key('client');
  const headers = { authorization: `Bearer ${await money.world.walletToken('client')}` };
  const claim = async (query = ''): Promise<[number, Json]> => {
    const path = `/api/facilitator/claim-rewards${query}`;
    const { status, text } = await money.world.request('POST', path, { headers });
    return [status, JSON.parse(text)];
  };
  const ledger = JSON.parse((await money.world.request('GET', '/api/ledger', { headers })).text);
  expect(ledger.credits).toEqual([{ role: 'client', account: address, amount: '7' }]);
  // A wallet's own is all that it can ask for.
  expect(await claim('?as=provider')).toEqual([202, { account: address, amount: '7' }]);
  const asOwner = (query: string): Promise<{ status: number; json: Json }> =>
    money.world.ask('POST', `/api/facilitator/claim-rewards${query}`);
  expect((await asOwner('')).json).toEqual({ account: PLATFORM, amount: '7' });
  expect(await asOwner('?as=provider')).toMatchObject({
    status: 409,
    json: { error: { code: 'NO_PROVIDER' } },
  });
  const state = { ...money.gpu.state(), payTo: PAY_TO };
  money.gpu.state = () => state;
  await money.told('gpu', 'ProviderChanged', undefined);
  expect((await asOwner('?as=provider')).json).toEqual({ account: PAY_TO, amount: '7' });
  expect(money.withdrawn).toEqual([address, PLATFORM, PAY_TO]);
  money.credit = 0n;
  expect(await claim()).toEqual([200, { account: address, amount: '0' }]);
  expect(money.withdrawn).toHaveLength(3);
});

it('what the chain said before is nothing new, in whatever order it comes', async () => {
  const jobId = await money.running();
  await money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  const old = money.moneyOf(jobId, { state: 'funded' });
  await money.chain(jobId, { state: 'proposed' });
  await money.told('facilitator', 'MoneyChanged', old);
  expect(await money.payment(jobId)).toEqual(['verifying', 'proposed']);
});

it('CM22 a program that fails is judged for what it used, and the rest comes back', async () => {
  const jobId = await money.running();
  await money.world.finished(money.gpu, jobId, {
    receipt: { status: 1, exitCode: 2, claimed: 600n },
  });
  expect(await money.payment(jobId)).toEqual(['failed', 'refunding']);
  expect(money.judged).toHaveLength(1);
  await money.verdict(jobId, { payout: 10n });
  await money.chain(jobId, { state: 'settled', payout: 10n });
  expect(await money.payment(jobId)).toEqual(['failed', 'partially_refunded']);
});

it('T13 T15 a verdict against the provider fails the job and brings the money back', async () => {
  const jobId = await money.running();
  await money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  await money.verdict(jobId, {
    outcome: { kind: 'Refund' },
    payout: 0n,
    code: 'VERDICT_FAIL',
    gates: [{ gate: 'G4', message: 'the outputs are others' }],
  });
  expect(await money.world.job(jobId)).toMatchObject({
    state: 'failed',
    error: { code: 'VERDICT_FAIL', fault: 'provider', message: 'G4: the outputs are others' },
  });
  await money.chain(jobId, { state: 'refunded', refundReason: 2 });
  expect(await money.payment(jobId)).toEqual(['refunded', 'refunded']);
});

it('CM27 a dispute keeps the job open until it is resolved', async () => {
  const jobId = await money.running();
  await money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  await money.chain(jobId, { state: 'proposed' });
  await money.chain(jobId, {
    state: 'disputed',
    dispute: { by: CLIENT, evidenceHash: HASH, bond: 5n },
  });
  expect(await money.world.job(jobId)).toMatchObject({ state: 'verifying', substate: 'disputed' });
  await money.chain(jobId, { state: 'refunded', refundReason: 4 });
  expect(await money.payment(jobId)).toEqual(['refunded', 'refunded']);
});

it('a client that cancels a run pays for what it used', async () => {
  const jobId = await money.running();
  const token = await money.world.walletToken('client');
  await money.world.request('DELETE', `/api/jobs/${jobId}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await money.payment(jobId)).toEqual(['cancelled', 'refunding']);
  await money.world.finished(money.gpu, jobId, { receipt: { status: 5, claimed: 600n } });
  expect(money.judged).toMatchObject([{ jobId, cancelled: true }]);
  await money.chain(jobId, { state: 'settled', payout: 20n });
  expect(await money.payment(jobId)).toEqual(['cancelled', 'partially_refunded']);
});

it("a free job is nobody's escrow's, also where jobs are paid", async () => {
  const jobId = await money.world.submit(specOf());
  await money.world.started(money.gpu, jobId);
  await money.world.finished(money.gpu, jobId);
  expect(await money.world.job(jobId)).toMatchObject({
    state: 'completed',
    payment: { state: 'free' },
  });
});

it('a receipt of a paid job is bound to its escrow', async () => {
  const jobId = await money.running();
  money.world.domain = escrowDomain(1, ESCROW);
  const finished = money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  await expect(finished).rejects.toMatchObject({ kind: 'BadReceipt' });
  const acceptance = money.gpu.acceptance(money.gpu.offers[0]!)!;
  expect(digestOf(DOMAIN, 'Acceptance', acceptance.value)).toMatch(/^0x/);
});
