/** Paid jobs that several nodes run: each run has money of its own (compute-market.md §3.4, §4.6). */
import { expect, it } from 'vitest';
import { saltOf } from '../../../contracts/compute.ts';
import { namehash } from '../../../contracts/hypermap.ts';
import { type FakeGpu, specOf } from './testing/fake-gpu.ts';
import { signing, useMoneyWorld } from './testing/money-world.ts';
import { type Json, NODE } from './testing/world.ts';

const money = useMoneyWorld();

/** Three nodes of three operators, and a job that all of them have, paid for run by run. */
async function threefold(): Promise<{ readonly jobId: string; readonly all: FakeGpu[] }> {
  const names = [NODE, 'bob.os', 'carol.os'];
  money.registered = names.map((name, index) =>
    money.providerOf(name, { operator: `0x${String(index + 1).repeat(40)}` }),
  );
  const all = names.map((name) => signing(money.world.gpu(name)));
  for (const { node } of all.slice(1)) await money.world.ask('POST', '/api/nodes', { node });
  await money.world.advance(60);
  const token = await money.world.walletToken('client');
  const spec = specOf({ verify: { mode: 'exact', replicas: 3 }, retry: { maxAttempts: 1 } });
  const post = (headers: Readonly<Record<string, string>> = {}) =>
    money.world.request('POST', '/api/facilitator/submit-job', {
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': 'three', ...headers },
      body: JSON.stringify({ spec }),
    });
  const quote = await money.world.request('POST', '/api/quote', { body: JSON.stringify({ spec }) });
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
      from: money.world.signer.key('client'),
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
  expect(money.funded.map(({ jobId }) => jobId)).toEqual(paid);
  for (const jobId of paid) await money.chain(jobId, { state: 'funded', amount: 600n });
  await money.world.advance(1);
  for (const each of all) {
    const { jobId } = each.offers[0]!;
    await money.chain(jobId, { state: 'assigned', nodeId: namehash(each.node) });
    await money.world.started(each, jobId);
  }
  expect(money.assigned).toHaveLength(3);
  return { jobId: (JSON.parse(answer.text) as { jobId: string }).jobId, all };
}

const [RIGHT, WRONG] = [`0x${'aa'.repeat(32)}`, `0x${'bb'.repeat(32)}`];

async function answers(each: FakeGpu, outputsRoot: string): Promise<string> {
  const { jobId } = each.offers[0]!;
  await money.world.finished(each, jobId, { receipt: { claimed: 600n, outputsRoot } });
  return jobId;
}

it('CM8 CM26 of three paid runs each has money of its own; verdicts are asked for once two agree, and the third is held against its node', async () => {
  const { jobId, all } = await threefold();
  const wrong = await answers(all[0]!, WRONG);
  const right = [await answers(all[1]!, RIGHT)];
  expect([money.judged, money.outvoted]).toEqual([[], []]);
  right.push(await answers(all[2]!, RIGHT));
  expect(money.judged.map((evidence) => evidence.jobId).toSorted()).toEqual(right.toSorted());
  expect(money.outvoted).toHaveLength(1);
  expect(money.outvoted[0].run.jobId).toBe(wrong);
  expect(money.outvoted[0].others.map((other: Json) => other.node.operator).toSorted()).toEqual([
    `0x${'2'.repeat(40)}`,
    `0x${'3'.repeat(40)}`,
  ]);
  for (const each of right) {
    await money.verdict(each);
    await money.chain(each, { state: 'settled', payout: 600n });
  }
  await money.verdict(wrong, {
    outcome: { kind: 'Convicted' },
    code: 'VERDICT_FAIL',
    audit: { kind: 'Differed' },
  });
  await money.chain(wrong, { state: 'refunded', refundReason: 4 });
  expect(await money.world.job(jobId)).toMatchObject({
    state: 'completed',
    payment: { amount: '1800', payout: '1200' },
  });
  const runs = (await money.world.job(jobId)).replicas;
  expect(runs.map((run: Json) => run.state).toSorted()).toEqual([
    'completed',
    'completed',
    'refunded',
  ]);
  const { json } = await money.world.ask('GET', `/api/nodes/${namehash(NODE)}`);
  expect(json.reputation).toBeLessThan(500);
});

it('CM26 CM50 of three paid runs that all differ none is paid, and each is refunded, whatever dies between', async () => {
  const { jobId, all } = await threefold();
  const ids: string[] = [];
  for (const [index, each] of all.entries()) {
    ids.push(await answers(each, `0x${String(index).repeat(64)}`));
    await money.world.crash();
    await money.world.advance(1);
  }
  await money.world.advance(25);
  expect([money.judged, money.outvoted]).toEqual([[], []]);
  expect(new Set(money.closed.map((lost) => lost.jobId))).toEqual(new Set(ids));
  expect(money.closed.every((lost) => lost.code === 'NO_MAJORITY' && !lost.mayRetry)).toBe(true);
  for (const each of ids) await money.chain(each, { state: 'refunded', refundReason: 2 });
  expect(await money.world.job(jobId)).toMatchObject({
    state: 'refunded',
    error: { code: 'NO_MAJORITY' },
  });
});

it('CM1 for paid runs operators count that have a stake', async () => {
  await money.world.ask('POST', '/api/nodes', { node: money.world.gpu('bob.os').node });
  await money.world.settle();
  const spec = specOf({ verify: { mode: 'exact', replicas: 2 } });
  const token = await money.world.walletToken('client');
  for (const path of ['/api/quote', '/api/facilitator/submit-job']) {
    const { status, text } = await money.world.request('POST', path, {
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ spec }),
    });
    expect([status, JSON.parse(text).error.code]).toEqual([409, 'TOO_FEW_OPERATORS']);
    expect(JSON.parse(text).error.message).toMatch(/there are 1;/);
  }
  // The owner's own are free, and go to whoever takes them.
  expect((await money.world.ask('POST', '/api/quote', { spec })).json.suited).toBe(2);
});
