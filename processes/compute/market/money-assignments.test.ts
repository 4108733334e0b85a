/** Acceptances of paid jobs, and how the chain comes to have them: for as long as they are good, and as many as a stake allows. */
import { expect, it } from 'vitest';
import { specOf } from './testing/fake-gpu.ts';
import { useMoneyWorld } from './testing/money-world.ts';
import { type Json, NODE } from './testing/world.ts';

const money = useMoneyWorld();

it('a paid acceptance that is not signed for this job is no acceptance', async () => {
  const good = money.gpu.acceptance;
  money.gpu.acceptance = (offer) => {
    const made = good(offer);
    return made && { ...made, value: { ...made.value, price: offer.price + 1n } };
  };
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  expect(money.assigned).toEqual([]);
  expect(money.gpu.cancelled).toHaveLength(1);
  expect(await money.payment(jobId)).toEqual(['escrowed', 'escrowed']);
});

it('CM50 an acceptance that ran out before the chain had it is asked for anew, of the same attempt and the same node', async () => {
  const good = money.gpu.acceptance;
  money.gpu.acceptance = (offer) => {
    const made = good(offer);
    return made && { ...made, value: { ...made.value, expiresAt: 5n } };
  };
  money.refusesToAssign = 'it expires too soon';
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  money.gpu.acceptance = good;
  money.refusesToAssign = undefined;
  await money.world.advance(60);
  expect(money.gpu.offers.map(({ attempt }) => attempt)).toEqual([0, 0]);
  expect(money.gpu.cancelled[0]).toMatchObject({ jobId, reason: 'not assigned' });
  expect(await money.world.job(jobId)).toMatchObject({ state: 'assigned', attempt: 0 });
  await money.chain(jobId, { state: 'assigned' });
  expect(money.gpu.started).toEqual([jobId]);
});

it('an acceptance is asked for that is good by the chain’s clock, which may be ahead', async () => {
  const nowS = Math.floor(Date.now() / 1_000);
  money.chainNowS = nowS + 10_000;
  await money.world.advance(61);
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  expect(Number(money.gpu.offers[0]!.expiresAt)).toBeGreaterThan(nowS + 10_000 + 60);
  expect(await money.world.job(jobId)).toMatchObject({ state: 'assigned' });
});

it('CM50 an acceptance that is too old by a clock of the chain that was put forward a moment ago is asked for anew', async () => {
  money.chainNowS = Math.floor(Date.now() / 1_000) + 10_000;
  money.refusesToAssign = 'it expires too soon';
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  money.refusesToAssign = undefined;
  await money.world.advance(60);
  expect(money.gpu.offers).toHaveLength(2);
  expect(Number(money.gpu.offers[1]!.expiresAt)).toBeGreaterThan(money.chainNowS);
  expect(await money.world.job(jobId)).toMatchObject({ state: 'assigned', attempt: 0 });
});

it('F38 a node gets no more paid jobs than its stake allows until they are settled, whatever the registry was read to say', async () => {
  money.gpu.slots = 10;
  money.registered = [money.providerOf(NODE, { slots: 2 })];
  await money.world.advance(61);
  const jobIds: string[] = [];
  for (const key of ['one', 'two', 'three']) {
    const { jobId } = await money.unpaid(key);
    await money.chain(jobId, { state: 'funded' });
    jobIds.push(jobId);
  }
  const [one = '', two = '', three = ''] = jobIds;
  expect(money.gpu.offers.map(({ jobId }) => jobId)).toEqual([one, two]);
  expect(await money.world.job(three)).toMatchObject({ state: 'escrowed', node: null });
  const quote = await money.world.request('POST', '/api/quote', {
    headers: { authorization: `Bearer ${await money.world.walletToken('client')}` },
    body: JSON.stringify({ spec: specOf() }),
  });
  expect(JSON.parse(quote.text)).toMatchObject({ suited: 1, free: 0 });
  // A result does not free the stake: it may be disputed.
  await money.chain(one, { state: 'assigned' });
  await money.world.started(money.gpu, one);
  await money.world.finished(money.gpu, one, { receipt: { claimed: 600n } });
  await money.chain(one, { state: 'proposed' });
  await money.world.advance(2);
  expect(money.gpu.offers).toHaveLength(2);
  await money.chain(one, { state: 'settled' });
  await money.world.advance(2);
  expect(money.gpu.offers.map(({ jobId }) => jobId)).toEqual([one, two, three]);
});

it('F38 a node whose stake others have filled is asked again when the registry says that there is room', async () => {
  money.registered = [money.providerOf(NODE, { slots: 2 })];
  await money.world.advance(61);
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  money.registered = [money.providerOf(NODE, { slots: 2, active: 2 })];
  const code = 'CapacityExceeded';
  await money.chain(jobId, { trouble: { action: 'assign', code, message: 'its stake is taken' } });
  await money.world.advance(30);
  expect(money.gpu.offers).toHaveLength(1);
  expect(await money.world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 0, node: null });
  await money.world.advance(61);
  expect(money.gpu.offers).toHaveLength(1);
  money.registered = [money.providerOf(NODE, { slots: 2, active: 1 })];
  await money.world.advance(61);
  await money.world.advance(2);
  expect(money.gpu.offers.map(({ attempt }) => attempt)).toEqual([0, 0]);
});

it('a node whose assignment the chain cannot have does not get that job again, and no attempt is counted', async () => {
  money.refusesToAssign = 'payTo is not what the registry has';
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  await money.world.advance(60);
  expect(money.gpu.offers).toHaveLength(1);
  expect(await money.world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 0 });
  expect(money.closed).toEqual([]);
});

it('CM50 a market that dies while the chain assigns asks for it again, and not for another node', async () => {
  const { jobId } = await money.unpaid();
  await money.chain(jobId, { state: 'funded' });
  await money.world.crash();
  expect(money.assigned.length).toBeGreaterThan(1);
  expect(new Set(money.assigned.map(({ acceptance }: Json) => acceptance.attempt))).toEqual(
    new Set([0]),
  );
  expect(money.gpu.offers).toHaveLength(1);
  await money.chain(jobId, { state: 'assigned' });
  expect(money.gpu.started).toEqual([jobId]);
});
