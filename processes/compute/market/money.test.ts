/** Paid jobs, with a facilitator and an oracle that say what a test says: what the market makes of it (compute-market.md §3.4, §3.5). */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { namehash } from '../../../contracts/hypermap.ts';
import {
  digestOf,
  escrowDomain,
  jobIdOf,
  saltOf,
  type ComputeTerms,
} from '../../../contracts/compute.ts';
import {
  facilitatorContract,
  type JobMoney,
  type Provider,
} from '../shared/facilitator-contract.ts';
import { marketContract } from '../shared/market-contract.ts';
import { type Evidence, type GivenVerdict, oracleContract } from '../shared/oracle-contract.ts';
import { encodeError, ERROR_METADATA, errorIn } from '../../lib/contract.ts';
import type { Peer } from '../../lib/testing/memory-host.ts';
import { AWAY_MS_MAX } from './reruns.ts';
import { type FakeGpu, specOf } from './testing/fake-gpu.ts';
import {
  DOMAIN,
  ESCROW,
  HASH,
  PLATFORM,
  registeredHere,
  SETTINGS,
  TOKEN,
} from './testing/fake-money.ts';
import { type Json, NODE, World } from './testing/world.ts';

const PAY_TO = `0x${'3a'.repeat(20)}`;
const OPERATOR = PLATFORM;
const CLIENT = `0x${'c1'.repeat(20)}`;

let world: World;
let gpu: FakeGpu;
let assigned: Json[];
/** By the chain's clock. */
let chainNowS: number;
/** Why the facilitator takes no assignment. */
let refusesToAssign: string | undefined;
let funded: Json[];
let judged: Evidence[];
let closed: Json[];
let rerunsDone: Json[];
let outvoted: Json[];
let withdrawn: Json[];
/** In the registry. */
let registered: Provider[];
/** What the escrow owes whoever asks. */
let credit: bigint;
let rev: number;
/** What the chain said last. */
let last: Map<string, JobMoney>;

beforeEach(async () => {
  world = new World();
  world.domain = DOMAIN;
  gpu = signing(world.gpu());
  outvoted = [];
  assigned = [];
  refusesToAssign = undefined;
  chainNowS = 0;
  funded = [];
  judged = [];
  closed = [];
  rerunsDone = [];
  withdrawn = [];
  registered = [providerOf(NODE)];
  credit = 7n;
  rev = 0;
  last = new Map();
  world.peers['facilitator:compute:sys'] = facilitator;
  world.peers['oracle:compute:sys'] = oracle;
  await world.start();
});
afterEach(() => {
  vi.useRealTimers();
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

function providerOf(node: string, more: Partial<Provider> = {}): Provider {
  const here = registeredHere(world.signer.key(`executor of ${node}`));
  return { ...here, nodeId: namehash(node), name: node, ...more };
}

/** It signs what it accepts. */
function signing(provider: FakeGpu): FakeGpu {
  provider.acceptance = (offer) => ({
    value: {
      jobId: offer.jobId,
      nodeId: namehash(provider.node),
      attempt: offer.attempt,
      payTo: PLATFORM,
      price: offer.price,
      expiresAt: BigInt(offer.expiresAt),
    },
    signature: `0x${'00'.repeat(65)}`,
  });
  return provider;
}

const facilitator: Peer = (sent, host) => {
  const call = facilitatorContract.requests.decode(sent.request.body);
  if (!call.ok) return undefined;
  const { kind, value } = call.value as { kind: string; value: Json };
  const reply = (result?: unknown): Uint8Array =>
    facilitatorContract.responses.encode({ kind, value: result });
  switch (kind) {
    case 'Settings':
      return reply({ ...SETTINGS, nowS: chainNowS });
    case 'Providers':
      return reply(registered);
    case 'Terms': {
      const terms: ComputeTerms = {
        client: value.client,
        token: TOKEN,
        amount: value.amount,
        specHash: value.specHash,
        nodeId: `0x${'0'.repeat(64)}`,
        platform: PLATFORM,
        voucherSigner: `0x${'0'.repeat(40)}`,
        fundBy: BigInt(Math.floor(Date.now() / 1_000) + 3_600),
        deadline: BigInt(Math.floor(Date.now() / 1_000) + 36_000),
        challengeWindow: 600,
        mode: 0,
        salt: saltOf(value.intentId),
      };
      const jobId = jobIdOf(DOMAIN, terms);
      const several = String(value.intentId).includes('#');
      return reply({ terms, jobId, vault: several ? `0x${jobId.slice(-40)}` : TOKEN });
    }
    case 'Credit':
      return reply(credit);
    case 'Withdraw':
      withdrawn.push(value.account);
      return reply();
    case 'Fund':
      funded.push(value);
      return reply();
    case 'Assign':
      assigned.push(value);
      if (refusesToAssign === undefined) return reply();
      host.answer(
        sent,
        encodeError({ kind: 'BadAcceptance', message: refusesToAssign }),
        undefined,
        ERROR_METADATA,
      );
      return undefined;
    case 'Money':
      return reply(last.get(value.jobId) ?? moneyOf(value.jobId, { state: 'none' }));
    default:
      return undefined;
  }
};

const oracle: Peer = (sent) => {
  const call = oracleContract.requests.decode(sent.request.body);
  if (!call.ok) return undefined;
  const { kind, value } = call.value as { kind: string; value: Json };
  if (kind === 'Verify') judged.push(value);
  if (kind === 'Close') closed.push(value);
  if (kind === 'Outvoted') outvoted.push(value);
  if (kind === 'RerunDone') rerunsDone.push(value);
  return oracleContract.responses.encode({ kind, value: undefined });
};

function moneyOf(jobId: string, more: Partial<JobMoney>): JobMoney {
  const made: JobMoney = {
    jobId,
    rev: rev++,
    state: 'funded',
    attempt: 0,
    client: CLIENT,
    token: TOKEN,
    amount: 0n,
    price: 0n,
    payout: 0n,
    nodeId: namehash(NODE),
    deadline: 0,
    timer: 0,
    receiptHash: undefined,
    dispute: undefined,
    settled: undefined,
    refundReason: undefined,
    fundTx: HASH,
    lastTx: HASH,
    trouble: undefined,
    ...more,
  };
  last.set(jobId, made);
  return made;
}

/** A process of this package tells the market. @returns the kind of its refusal */
async function told(process: string, kind: string, value: unknown): Promise<string | undefined> {
  const id = world.host.arrive({
    source: { node: NODE, process: `${process}:compute:sys` } as never,
    body: marketContract.requests.encode({ kind, value }),
    expectsResponse: 5,
  });
  await world.settle();
  const answered = world.host.responses.find((response) => response.id === id)!;
  return errorIn(answered.response.body, answered.response.metadata)?.kind;
}
const chain = (jobId: string, more: Partial<JobMoney>): Promise<string | undefined> =>
  told('facilitator', 'MoneyChanged', moneyOf(jobId, more));
const verdict = (jobId: string, more: Partial<GivenVerdict> = {}): Promise<string | undefined> =>
  told('oracle', 'VerdictGiven', {
    jobId,
    attempt: 0,
    outcome: { kind: 'Pay' },
    payout: 100n,
    scoreBps: 10_000,
    checks: 63,
    code: undefined,
    gates: [],
    receiptHash: undefined,
    audit: undefined,
    ...more,
  });

/** A wallet's submission; its 402 and the job. */
async function unpaid(
  key = 'intent',
): Promise<{ readonly jobId: string; readonly response: Json; readonly token: string }> {
  const token = await world.walletToken('client');
  const response = await world.request('POST', '/api/facilitator/submit-job', {
    headers: { authorization: `Bearer ${token}`, 'idempotency-key': key },
    body: JSON.stringify({ spec: specOf() }),
  });
  expect(response.status).toBe(402);
  return { jobId: (JSON.parse(response.text) as { jobId: string }).jobId, response, token };
}

async function running(key?: string): Promise<string> {
  const { jobId } = await unpaid(key);
  await chain(jobId, { state: 'funded' });
  await chain(jobId, { state: 'assigned' });
  await world.started(gpu, jobId);
  expect(await payment(jobId)).toEqual(['running', 'escrowed']);
  return jobId;
}

async function payment(jobId: string): Promise<[string, string]> {
  const job = await world.job(jobId);
  return [job.state, job.payment.state];
}

it('CM4 an unpaid submission is answered by what to pay, in both versions, and its job waits', async () => {
  const { jobId, response } = await unpaid();
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
  expect(await payment(jobId)).toEqual(['pending', 'none']);
  expect(gpu.offers).toEqual([]);
});

it('CM4 who pays by the header is heard once, and the job goes on when the chain has it', async () => {
  const { jobId, token } = await unpaid();
  const authorization = {
    from: world.signer.key('client'),
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
    world.request('POST', '/api/facilitator/submit-job', {
      headers: {
        authorization: `Bearer ${token}`,
        'idempotency-key': 'intent',
        'x-payment': header,
      },
      body: JSON.stringify({ spec: specOf() }),
    });
  expect((await pay()).status).toBe(202);
  expect((await pay()).status).toBe(202);
  expect(funded).toHaveLength(1);
  expect(await payment(jobId)).toEqual(['pending', 'authorized']);
  await chain(jobId, { state: 'funded' });
  expect(await payment(jobId)).toEqual(['assigned', 'escrowed']);
});

it('CM6 a job that nobody funds is cancelled when its time is over', async () => {
  const { jobId } = await unpaid();
  const realNow = Date.now;
  Date.now = () => realNow() + 3_700_000;
  try {
    await world.advance(2);
    await world.login();
    expect(await world.job(jobId)).toMatchObject({ state: 'cancelled', reason: 'payment_expired' });
  } finally {
    Date.now = realNow;
  }
});

it('CM8 a paid job: assigned on the chain before it starts, judged, and closed by the settlement', async () => {
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  expect(assigned).toHaveLength(1);
  expect(gpu.started).toEqual([]);
  await chain(jobId, { state: 'assigned' });
  expect(gpu.started).toEqual([jobId]);
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId, { receipt: { claimed: 600n } });
  expect(await payment(jobId)).toEqual(['verifying', 'escrowed']);
  expect(judged).toHaveLength(1);
  expect(judged[0]).toMatchObject({
    jobId,
    price: 600n,
    cancelled: false,
    terms: { amount: 600n },
  });
  await verdict(jobId);
  await chain(jobId, { state: 'proposed', payout: 600n });
  expect(await world.job(jobId)).toMatchObject({
    substate: 'challenge-window',
    payment: { state: 'proposed' },
  });
  await chain(jobId, { state: 'settled', payout: 600n });
  expect(await world.job(jobId)).toMatchObject({
    state: 'completed',
    payment: { state: 'released', payout: '600', settleTx: HASH },
    verdict: { outcome: 'Pay', scoreBps: 10_000 },
  });
  // As the escrow shares it: 10 % and 5 % rounded down, the provider has the rest.
  const { json } = await world.ask('GET', '/api/ledger');
  expect(json.days).toMatchObject([
    { jobs: 1, completed: 1, paid: '600', earned: '510', fees: '30' },
  ]);
  expect(json.credits).toMatchObject([{ role: 'coordinator', account: PLATFORM, amount: '7' }]);
});

it('CM46 what the escrow owes is shown to whose it is, and sent there when it is asked for', async () => {
  const address = world.signer.key('client');
  const headers = { authorization: `Bearer ${await world.walletToken('client')}` };
  const claim = async (query = ''): Promise<[number, Json]> => {
    const { status, text } = await world.request('POST', `/api/facilitator/claim-rewards${query}`, {
      headers,
    });
    return [status, JSON.parse(text)];
  };
  const ledger = JSON.parse((await world.request('GET', '/api/ledger', { headers })).text);
  expect(ledger.credits).toEqual([{ role: 'client', account: address, amount: '7' }]);
  // A wallet's own is all that it can ask for.
  expect(await claim('?as=provider')).toEqual([202, { account: address, amount: '7' }]);
  const asOwner = (query: string): Promise<{ status: number; json: Json }> =>
    world.ask('POST', `/api/facilitator/claim-rewards${query}`);
  expect((await asOwner('')).json).toEqual({ account: PLATFORM, amount: '7' });
  expect(await asOwner('?as=provider')).toMatchObject({
    status: 409,
    json: { error: { code: 'NO_PROVIDER' } },
  });
  const state = { ...gpu.state(), payTo: PAY_TO };
  gpu.state = () => state;
  await told('gpu', 'ProviderChanged', undefined);
  expect((await asOwner('?as=provider')).json).toEqual({ account: PAY_TO, amount: '7' });
  expect(withdrawn).toEqual([address, PLATFORM, PAY_TO]);
  credit = 0n;
  expect(await claim()).toEqual([200, { account: address, amount: '0' }]);
  expect(withdrawn).toHaveLength(3);
});

it('what the chain said before is nothing new, in whatever order it comes', async () => {
  const jobId = await running();
  await world.finished(gpu, jobId, { receipt: { claimed: 600n } });
  const old = moneyOf(jobId, { state: 'funded' });
  await chain(jobId, { state: 'proposed' });
  await told('facilitator', 'MoneyChanged', old);
  expect(await payment(jobId)).toEqual(['verifying', 'proposed']);
});

it('CM48 a funding that the chain takes back puts the job back and ends the run', async () => {
  const jobId = await running();
  await chain(jobId, { state: 'none' });
  expect(await payment(jobId)).toEqual(['pending', 'none']);
  expect(gpu.cancelled.map((one) => one.jobId)).toEqual([jobId]);
  await chain(jobId, { state: 'funded' });
  expect(await payment(jobId)).toEqual(['assigned', 'escrowed']);
});

it('CM48 an assignment that the chain took back and does not take again: the same attempt is for others', async () => {
  const jobId = await running();
  const trouble = { action: 'assign', code: 'Expired', message: 'the chain refused to assign' };
  // It may still come again.
  await chain(jobId, { state: 'funded' });
  expect(await payment(jobId)).toEqual(['running', 'escrowed']);
  await chain(jobId, { state: 'funded', trouble });
  expect(await world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 0, node: null });
  expect(gpu.cancelled.map((one) => one.jobId)).toEqual([jobId]);
  expect(gpu.offers).toHaveLength(1);
});

it('CM48 an assignment that comes back to the chain with the funding is ended there: nobody runs it any more', async () => {
  for (const between of [true, false]) {
    const jobId = await running(`between-${between}`);
    await chain(jobId, { state: 'none' });
    gpu.refuse = () => ({ code: 'policy', message: 'this attempt has been made here' });
    // One look may see all of it.
    if (between) await chain(jobId, { state: 'funded' });
    await chain(jobId, { state: 'assigned' });
    const ended = closed.filter((each: Json) => each.jobId === jobId);
    expect(ended[0]).toMatchObject({ attempt: 0, code: 'NODE_LOST', mayRetry: true });
    const releasing = { state: 'escrowed', substate: 'releasing', attempt: 1 };
    expect(await world.job(jobId)).toMatchObject(releasing);
    gpu.refuse = () => undefined;
    await chain(jobId, { state: 'funded', attempt: 1 });
    // The one that it has may have it again.
    expect(gpu.offers.at(-1)).toMatchObject({ jobId, attempt: 1 });
  }
});

it('CM48 the end of such an attempt is told as often as it takes', async () => {
  const jobId = await running();
  await chain(jobId, { state: 'none' });
  await chain(jobId, { state: 'assigned' });
  await world.advance(2);
  expect(closed.length).toBeGreaterThan(1);
  expect(new Set(closed.map(({ attempt }: Json) => attempt))).toEqual(new Set([0]));
});

it('CM48 a run that is over waits for its money, until it will not come again', async () => {
  const jobId = await running();
  await world.finished(gpu, jobId, { receipt: { claimed: 600n } });
  await verdict(jobId);
  await chain(jobId, { state: 'proposed' });
  await chain(jobId, { state: 'none' });
  expect(await payment(jobId)).toEqual(['verifying', 'proposed']);
  await chain(jobId, { state: 'proposed' });
  expect(await payment(jobId)).toEqual(['verifying', 'proposed']);
  const trouble = { action: 'fund', code: 'NoReason', message: 'the chain refused to fund' };
  await chain(jobId, { state: 'none', trouble });
  expect(await payment(jobId)).toEqual(['pending', 'none']);
});

it('CM22 a program that fails is judged for what it used, and the rest comes back', async () => {
  const jobId = await running();
  await world.finished(gpu, jobId, { receipt: { status: 1, exitCode: 2, claimed: 600n } });
  expect(await payment(jobId)).toEqual(['failed', 'refunding']);
  expect(judged).toHaveLength(1);
  await verdict(jobId, { payout: 10n });
  await chain(jobId, { state: 'settled', payout: 10n });
  expect(await payment(jobId)).toEqual(['failed', 'partially_refunded']);
});

it('an attempt that the provider lost waits for the chain before it is offered again', async () => {
  const jobId = await running();
  await world.lost(gpu, jobId, 'GPU_LOST');
  expect(closed).toMatchObject([{ jobId, attempt: 0, code: 'GPU_LOST', mayRetry: true }]);
  expect(await world.job(jobId)).toMatchObject({
    state: 'escrowed',
    substate: 'releasing',
    attempt: 1,
  });
  const later = async (seconds: number): Promise<void> => {
    const realNow = Date.now;
    const from = realNow();
    Date.now = () => from + seconds * 1_000;
    try {
      await world.advance(1);
    } finally {
      Date.now = realNow;
    }
  };
  await later(30);
  expect(gpu.offers).toHaveLength(1);
  await chain(jobId, { state: 'funded', attempt: 1 });
  await later(30);
  expect(gpu.offers.map(({ attempt }) => attempt)).toEqual([0, 1]);
});

it('T15 the last attempt lost is the refund of all', async () => {
  const jobId = await running();
  await verdictlessEnd(jobId);
  expect(await payment(jobId)).toEqual(['failed', 'refunding']);
  expect(closed.at(-1)).toMatchObject({ mayRetry: false });
  await chain(jobId, { state: 'refunded', refundReason: 2 });
  expect(await payment(jobId)).toEqual(['refunded', 'refunded']);
});

async function verdictlessEnd(jobId: string): Promise<void> {
  await world.lost(gpu, jobId, 'INPUT_UNAVAILABLE');
}

it('T13 T15 a verdict against the provider fails the job and brings the money back', async () => {
  const jobId = await running();
  await world.finished(gpu, jobId, { receipt: { claimed: 600n } });
  await verdict(jobId, {
    outcome: { kind: 'Refund' },
    payout: 0n,
    code: 'VERDICT_FAIL',
    gates: [{ gate: 'G4', message: 'the outputs are others' }],
  });
  expect(await world.job(jobId)).toMatchObject({
    state: 'failed',
    error: { code: 'VERDICT_FAIL', fault: 'provider', message: 'G4: the outputs are others' },
  });
  await chain(jobId, { state: 'refunded', refundReason: 2 });
  expect(await payment(jobId)).toEqual(['refunded', 'refunded']);
});

it('T16 a job whose deadline has passed is refunded by the chain, wherever it is', async () => {
  const jobId = await running();
  await chain(jobId, { state: 'refunded', refundReason: 1 });
  expect(await payment(jobId)).toEqual(['refunded', 'refunded']);
});

it('CM27 a dispute keeps the job open until it is resolved', async () => {
  const jobId = await running();
  await world.finished(gpu, jobId, { receipt: { claimed: 600n } });
  await chain(jobId, { state: 'proposed' });
  await chain(jobId, { state: 'disputed', dispute: { by: CLIENT, evidenceHash: HASH, bond: 5n } });
  expect(await world.job(jobId)).toMatchObject({ state: 'verifying', substate: 'disputed' });
  await chain(jobId, { state: 'refunded', refundReason: 4 });
  expect(await payment(jobId)).toEqual(['refunded', 'refunded']);
});

it('a client that cancels a run pays for what it used', async () => {
  const jobId = await running();
  const token = await world.walletToken('client');
  await world.request('DELETE', `/api/jobs/${jobId}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await payment(jobId)).toEqual(['cancelled', 'refunding']);
  await world.finished(gpu, jobId, { receipt: { status: 5, claimed: 600n } });
  expect(judged).toMatchObject([{ jobId, cancelled: true }]);
  await chain(jobId, { state: 'settled', payout: 20n });
  expect(await payment(jobId)).toEqual(['cancelled', 'partially_refunded']);
});

it('a paid acceptance that is not signed for this job is no acceptance', async () => {
  const good = gpu.acceptance;
  gpu.acceptance = (offer) => {
    const made = good(offer);
    return made && { ...made, value: { ...made.value, price: offer.price + 1n } };
  };
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  expect(assigned).toEqual([]);
  expect(gpu.cancelled).toHaveLength(1);
  expect(await payment(jobId)).toEqual(['escrowed', 'escrowed']);
});

it('CM50 an acceptance that ran out before the chain had it is asked for anew, of the same attempt and the same node', async () => {
  const good = gpu.acceptance;
  gpu.acceptance = (offer) => {
    const made = good(offer);
    return made && { ...made, value: { ...made.value, expiresAt: 5n } };
  };
  refusesToAssign = 'it expires too soon';
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  gpu.acceptance = good;
  refusesToAssign = undefined;
  await world.advance(60);
  expect(gpu.offers.map(({ attempt }) => attempt)).toEqual([0, 0]);
  expect(gpu.cancelled[0]).toMatchObject({ jobId, reason: 'not assigned' });
  expect(await world.job(jobId)).toMatchObject({ state: 'assigned', attempt: 0 });
  await chain(jobId, { state: 'assigned' });
  expect(gpu.started).toEqual([jobId]);
});

it('an acceptance is asked for that is good by the chain’s clock, which may be ahead', async () => {
  const nowS = Math.floor(Date.now() / 1_000);
  chainNowS = nowS + 10_000;
  await world.advance(61);
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  expect(Number(gpu.offers[0]!.expiresAt)).toBeGreaterThan(nowS + 10_000 + 60);
  expect(await world.job(jobId)).toMatchObject({ state: 'assigned' });
});

it('CM50 an acceptance that is too old by a clock of the chain that was put forward a moment ago is asked for anew', async () => {
  chainNowS = Math.floor(Date.now() / 1_000) + 10_000;
  refusesToAssign = 'it expires too soon';
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  refusesToAssign = undefined;
  await world.advance(60);
  expect(gpu.offers).toHaveLength(2);
  expect(Number(gpu.offers[1]!.expiresAt)).toBeGreaterThan(chainNowS);
  expect(await world.job(jobId)).toMatchObject({ state: 'assigned', attempt: 0 });
});

it('F38 a node gets no more paid jobs than its stake allows until they are settled, whatever the registry was read to say', async () => {
  gpu.slots = 10;
  registered = [providerOf(NODE, { slots: 2 })];
  await world.advance(61);
  const jobIds: string[] = [];
  for (const key of ['one', 'two', 'three']) {
    const { jobId } = await unpaid(key);
    await chain(jobId, { state: 'funded' });
    jobIds.push(jobId);
  }
  const [one = '', two = '', three = ''] = jobIds;
  expect(gpu.offers.map(({ jobId }) => jobId)).toEqual([one, two]);
  expect(await world.job(three)).toMatchObject({ state: 'escrowed', node: null });
  const quote = await world.request('POST', '/api/quote', {
    headers: { authorization: `Bearer ${await world.walletToken('client')}` },
    body: JSON.stringify({ spec: specOf() }),
  });
  expect(JSON.parse(quote.text)).toMatchObject({ suited: 1, free: 0 });
  // A result does not free the stake: it may be disputed.
  await chain(one, { state: 'assigned' });
  await world.started(gpu, one);
  await world.finished(gpu, one, { receipt: { claimed: 600n } });
  await chain(one, { state: 'proposed' });
  await world.advance(2);
  expect(gpu.offers).toHaveLength(2);
  await chain(one, { state: 'settled' });
  await world.advance(2);
  expect(gpu.offers.map(({ jobId }) => jobId)).toEqual([one, two, three]);
});

it('F38 a node whose stake others have filled is asked again when the registry says that there is room', async () => {
  registered = [providerOf(NODE, { slots: 2 })];
  await world.advance(61);
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  registered = [providerOf(NODE, { slots: 2, active: 2 })];
  const code = 'CapacityExceeded';
  await chain(jobId, { trouble: { action: 'assign', code, message: 'its stake is taken' } });
  await world.advance(30);
  expect(gpu.offers).toHaveLength(1);
  expect(await world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 0, node: null });
  await world.advance(61);
  expect(gpu.offers).toHaveLength(1);
  registered = [providerOf(NODE, { slots: 2, active: 1 })];
  await world.advance(61);
  await world.advance(2);
  expect(gpu.offers.map(({ attempt }) => attempt)).toEqual([0, 0]);
});

it('a node whose assignment the chain cannot have does not get that job again, and no attempt is counted', async () => {
  refusesToAssign = 'payTo is not what the registry has';
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  await world.advance(60);
  expect(gpu.offers).toHaveLength(1);
  expect(await world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 0 });
  expect(closed).toEqual([]);
});

it('CM50 a market that dies while the chain assigns asks for it again, and not for another node', async () => {
  const { jobId } = await unpaid();
  await chain(jobId, { state: 'funded' });
  await world.crash();
  expect(assigned.length).toBeGreaterThan(1);
  expect(new Set(assigned.map(({ acceptance }: Json) => acceptance.attempt))).toEqual(new Set([0]));
  expect(gpu.offers).toHaveLength(1);
  await chain(jobId, { state: 'assigned' });
  expect(gpu.started).toEqual([jobId]);
});

it('CM26 an audit runs the job again at a node of another operator, and its end is told', async () => {
  const jobId = await running();
  const spec = gpu.offers[0]!.spec;
  const wish = { jobId, attempt: 0, rerun: 1, spec, until: Date.now() + 600_000 };
  const want = (notOperators: readonly string[]): Promise<string | undefined> =>
    told('oracle', 'RerunWanted', { ...wish, notOperators });
  // The only registered node is the operator's own.
  expect(await want([OPERATOR])).toBe('NoNodes');
  gpu.acceptance = () => undefined;
  expect(await want([])).toBeUndefined();
  expect(await want([])).toBeUndefined();
  const again = gpu.offers[1]!;
  expect(gpu.offers).toHaveLength(2);
  expect(again).toMatchObject({ spec, price: 0n });
  await world.started(gpu, again.jobId);
  await world.finished(gpu, again.jobId);
  expect(rerunsDone).toMatchObject([
    { jobId, attempt: 0, rerun: 1, node: { name: NODE, operator: OPERATOR }, result: {} },
  ]);
});

it('CM26 an audit that is asked for again is told again, and ended when nobody is left who could run it', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const jobId = await running();
  const spec = gpu.offers[0]!.spec;
  gpu.acceptance = () => undefined;
  const want = (rerun: number): Promise<string | undefined> => {
    const wish = { jobId, attempt: 0, rerun, spec, until: Date.now() + 1_400_000 };
    return told('oracle', 'RerunWanted', { ...wish, notOperators: [] });
  };
  expect(await want(0)).toBeUndefined();
  const { jobId: first } = gpu.offers[1]!;
  await world.started(gpu, first);
  await world.finished(gpu, first);
  expect(rerunsDone).toHaveLength(1);
  // As after an answer that the oracle did not hear.
  expect(await want(0)).toBeUndefined();
  expect(rerunsDone[1]).toEqual(rerunsDone[0]);
  // It goes away without having begun.
  gpu.refuse = () => ({ code: 'unpaired', message: 'its extension is away' });
  gpu.paired = false;
  expect(await want(1)).toBeUndefined();
  vi.setSystemTime(Date.now() + AWAY_MS_MAX - 5_000);
  expect(await want(1)).toBeUndefined();
  expect(rerunsDone).toHaveLength(2);
  vi.setSystemTime(Date.now() + 6_000);
  expect(await want(1)).toBeUndefined();
  expect(rerunsDone[2]).toMatchObject({ jobId, rerun: 1, node: undefined, result: undefined });
});

it('CM26 no audit waits for a node that gets no jobs', async () => {
  const jobId = await running();
  const { spec } = gpu.offers[0]!;
  await world.finished(gpu, jobId, { receipt: { claimed: 600n } });
  const audit = { kind: 'Differed' } as const;
  for (let times = 0; times < 5; times += 1)
    await verdict(jobId, { outcome: { kind: 'Convicted' }, code: 'VERDICT_FAIL', audit });
  const wish = { jobId, attempt: 0, rerun: 0, spec, until: Date.now() + 600_000 };
  expect(await told('oracle', 'RerunWanted', { ...wish, notOperators: [] })).toBe('NoNodes');
});

it('CM26 what audits say is in the reputation', async () => {
  const jobId = await running();
  await world.finished(gpu, jobId, { receipt: { claimed: 600n } });
  const points = async (): Promise<number> =>
    (await world.ask('GET', '/api/nodes')).json.nodes[0].reputation as number;
  const before = await points();
  await verdict(jobId, {
    outcome: { kind: 'Refund' },
    code: 'VERDICT_FAIL',
    audit: { kind: 'Differed' },
  });
  expect(await points()).toBeLessThan(before - 60);
  await world.crash();
  expect(await points()).toBeLessThan(before - 60);
});

it("a free job is nobody's escrow's, also where jobs are paid", async () => {
  const jobId = await world.submit(specOf());
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId);
  expect(await world.job(jobId)).toMatchObject({ state: 'completed', payment: { state: 'free' } });
});

/** Three nodes of three operators, and a job that all of them have, paid for run by run. */
async function threefold(): Promise<{ readonly jobId: string; readonly all: FakeGpu[] }> {
  const names = [NODE, 'bob.os', 'carol.os'];
  registered = names.map((name, index) =>
    providerOf(name, { operator: `0x${String(index + 1).repeat(40)}` }),
  );
  const all = names.map((name) => signing(world.gpu(name)));
  for (const { node } of all.slice(1)) await world.ask('POST', '/api/nodes', { node });
  await world.advance(60);
  const token = await world.walletToken('client');
  const spec = specOf({ verify: { mode: 'exact', replicas: 3 }, retry: { maxAttempts: 1 } });
  const post = (headers: Readonly<Record<string, string>> = {}) =>
    world.request('POST', '/api/facilitator/submit-job', {
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': 'three', ...headers },
      body: JSON.stringify({ spec }),
    });
  const quote = await world.request('POST', '/api/quote', { body: JSON.stringify({ spec }) });
  expect(JSON.parse(quote.text)).toMatchObject({ price: '1800', replicas: 3 });
  let answer = await post();
  let last = '';
  const paid: string[] = [];
  while (answer.status === 402) {
    const required = answer.headers.get('payment-required') ?? '';
    const { accepts, extensions } = JSON.parse(Buffer.from(required, 'base64').toString());
    const { jobId, terms, replica } = extensions['hypernode-escrow'].info;
    expect(terms.salt).toBe(saltOf(`three#${paid.length}`));
    expect([accepts[0].amount, replica]).toEqual(['600', { index: paid.length, of: 3 }]);
    paid.push(jobId);
    const authorization = {
      from: world.signer.key('client'),
      to: accepts[0].payTo,
      value: '600',
      validAfter: '0',
      validBefore: '99999999999',
      nonce: jobId,
    };
    const payload = { signature: `0x${'11'.repeat(65)}`, authorization };
    last = Buffer.from(JSON.stringify({ x402Version: 2, payload })).toString('base64');
    answer = await post({ 'payment-signature': last });
    // Sent again, it pays nothing else.
    const again = await post({ 'payment-signature': last });
    expect(again.status).toBe(answer.status);
  }
  expect(answer.status).toBe(202);
  expect(funded.map(({ jobId }) => jobId)).toEqual(paid);
  for (const jobId of paid) await chain(jobId, { state: 'funded', amount: 600n });
  await world.advance(1);
  for (const each of all) {
    const { jobId } = each.offers[0]!;
    await chain(jobId, { state: 'assigned', nodeId: namehash(each.node) });
    await world.started(each, jobId);
  }
  expect(assigned).toHaveLength(3);
  return { jobId: (JSON.parse(answer.text) as { jobId: string }).jobId, all };
}

const [RIGHT, WRONG] = [`0x${'aa'.repeat(32)}`, `0x${'bb'.repeat(32)}`];
async function answers(each: FakeGpu, outputsRoot: string): Promise<string> {
  const { jobId } = each.offers[0]!;
  await world.finished(each, jobId, { receipt: { claimed: 600n, outputsRoot } });
  return jobId;
}

it('CM8 CM26 of three paid runs each has money of its own; verdicts are asked for once two agree, and the third is held against its node', async () => {
  const { jobId, all } = await threefold();
  const wrong = await answers(all[0]!, WRONG);
  const right = [await answers(all[1]!, RIGHT)];
  expect([judged, outvoted]).toEqual([[], []]);
  right.push(await answers(all[2]!, RIGHT));
  expect(judged.map((evidence) => evidence.jobId).toSorted()).toEqual(right.toSorted());
  expect(outvoted).toHaveLength(1);
  expect(outvoted[0].run.jobId).toBe(wrong);
  expect(outvoted[0].others.map((other: Json) => other.node.operator).toSorted()).toEqual([
    `0x${'2'.repeat(40)}`,
    `0x${'3'.repeat(40)}`,
  ]);
  for (const each of right) {
    await verdict(each);
    await chain(each, { state: 'settled', payout: 600n });
  }
  await verdict(wrong, {
    outcome: { kind: 'Convicted' },
    code: 'VERDICT_FAIL',
    audit: { kind: 'Differed' },
  });
  await chain(wrong, { state: 'refunded', refundReason: 4 });
  expect(await world.job(jobId)).toMatchObject({
    state: 'completed',
    payment: { amount: '1800', payout: '1200' },
  });
  const runs = (await world.job(jobId)).replicas;
  expect(runs.map((run: Json) => run.state).toSorted()).toEqual([
    'completed',
    'completed',
    'refunded',
  ]);
  const { json } = await world.ask('GET', `/api/nodes/${namehash(NODE)}`);
  expect(json.reputation).toBeLessThan(500);
});

it('CM26 CM50 of three paid runs that all differ none is paid, and each is refunded, whatever dies between', async () => {
  const { jobId, all } = await threefold();
  const ids: string[] = [];
  for (const [index, each] of all.entries()) {
    ids.push(await answers(each, `0x${String(index).repeat(64)}`));
    await world.crash();
    await world.advance(1);
  }
  await world.advance(25);
  expect([judged, outvoted]).toEqual([[], []]);
  expect(new Set(closed.map((lost) => lost.jobId))).toEqual(new Set(ids));
  expect(closed.every((lost) => lost.code === 'NO_MAJORITY' && !lost.mayRetry)).toBe(true);
  for (const each of ids) await chain(each, { state: 'refunded', refundReason: 2 });
  expect(await world.job(jobId)).toMatchObject({
    state: 'refunded',
    error: { code: 'NO_MAJORITY' },
  });
});

it('CM1 for paid runs operators count that have a stake', async () => {
  await world.ask('POST', '/api/nodes', { node: world.gpu('bob.os').node });
  await world.settle();
  const spec = specOf({ verify: { mode: 'exact', replicas: 2 } });
  const token = await world.walletToken('client');
  for (const path of ['/api/quote', '/api/facilitator/submit-job']) {
    const { status, text } = await world.request('POST', path, {
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ spec }),
    });
    expect([status, JSON.parse(text).error.code]).toEqual([409, 'TOO_FEW_OPERATORS']);
    expect(JSON.parse(text).error.message).toMatch(/there are 1;/);
  }
  // The owner's own are free, and go to whoever takes them.
  expect((await world.ask('POST', '/api/quote', { spec })).json.suited).toBe(2);
});

it('a receipt of a paid job is bound to its escrow', async () => {
  const jobId = await running();
  world.domain = escrowDomain(1, ESCROW);
  await expect(world.finished(gpu, jobId, { receipt: { claimed: 600n } })).rejects.toMatchObject({
    kind: 'BadReceipt',
  });
  expect(digestOf(DOMAIN, 'Acceptance', gpu.acceptance(gpu.offers[0]!)!.value)).toMatch(/^0x/);
});

/** What the market knows of a node: `online`, `offline`, or nothing. */
async function statusOf(node: string): Promise<string | undefined> {
  const { json } = await world.ask('GET', '/api/nodes');
  const found = json.nodes.find((one: { node: string }) => one.node === node);
  return found?.status as string | undefined;
}

it('F47 a provider that registers is asked at once, and may be paid', async () => {
  world.gpu('other.os');
  expect(await statusOf('other.os')).toBeUndefined();
  await told('facilitator', 'ProvidersChanged', [providerOf('other.os')]);
  expect(await statusOf('other.os')).toBe('online');
  const { json } = await world.ask('GET', `/api/nodes/${namehash('other.os')}`);
  expect(json.registry).toMatchObject({ stake: '1000000000', on: true });
  // One that is there already may have changed its mind.
  await told('facilitator', 'ProvidersChanged', [providerOf('other.os', { on: false })]);
  const after = await world.ask('GET', `/api/nodes/${namehash('other.os')}`);
  expect(after.json.registry).toMatchObject({ on: false });
  // Without a stake, or under a name that is not of that id, nobody is met.
  const third = providerOf('third.os', { slots: 0 });
  const false_ = providerOf('fourth.os', { nodeId: namehash('fifth.os') });
  await told('facilitator', 'ProvidersChanged', [third, false_]);
  expect(await statusOf('third.os')).toBeUndefined();
  expect((await world.ask('GET', `/api/nodes/${namehash('fifth.os')}`)).status).toBe(404);
});

it('F47 a name that the namespace learns a moment later is looked for within seconds, for a minute', async () => {
  world.gpu('other.os');
  registered.push(providerOf('other.os', { name: undefined }));
  await told('facilitator', 'ProvidersChanged', registered.slice(1));
  expect(await statusOf('other.os')).toBeUndefined();
  registered[1] = providerOf('other.os');
  await world.advance(6);
  expect(await statusOf('other.os')).toBe('online');
});

it('F47 a provider of another node that is known is asked when it says that it has changed', async () => {
  const other = world.gpu('other.os');
  other.paired = false;
  // What says so and is nobody's provider is not asked.
  await world.tell(other, 'ProviderChanged', undefined);
  expect(await statusOf('other.os')).toBeUndefined();
  await told('facilitator', 'ProvidersChanged', [providerOf('other.os')]);
  expect(await statusOf('other.os')).toBe('offline');
  other.paired = true;
  await world.tell(other, 'ProviderChanged', undefined);
  expect(await statusOf('other.os')).toBe('online');
});
