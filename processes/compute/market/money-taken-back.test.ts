/** Paid jobs of which the chain takes something back, or whose attempts are lost: what becomes of the run and of the money. */
import { expect, it } from 'vitest';
import { useMoneyWorld } from './testing/money-world.ts';
import type { Json } from './testing/world.ts';

const money = useMoneyWorld();

it('CM48 a funding that the chain takes back puts the job back and ends the run', async () => {
  const jobId = await money.running();
  await money.chain(jobId, { state: 'none' });
  expect(await money.payment(jobId)).toEqual(['pending', 'none']);
  expect(money.gpu.cancelled.map((one) => one.jobId)).toEqual([jobId]);
  await money.chain(jobId, { state: 'funded' });
  expect(await money.payment(jobId)).toEqual(['assigned', 'escrowed']);
});

it('CM48 an assignment that the chain took back and does not take again: the same attempt is for others', async () => {
  const jobId = await money.running();
  const trouble = { action: 'assign', code: 'Expired', message: 'the chain refused to assign' };
  // It may still come again.
  await money.chain(jobId, { state: 'funded' });
  expect(await money.payment(jobId)).toEqual(['running', 'escrowed']);
  await money.chain(jobId, { state: 'funded', trouble });
  expect(await money.world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 0, node: null });
  expect(money.gpu.cancelled.map((one) => one.jobId)).toEqual([jobId]);
  expect(money.gpu.offers).toHaveLength(1);
});

it('CM48 an assignment that comes back to the chain with the funding is ended there: nobody runs it any more', async () => {
  for (const between of [true, false]) {
    const jobId = await money.running(`between-${between}`);
    await money.chain(jobId, { state: 'none' });
    money.gpu.refuse = () => ({ code: 'policy', message: 'this attempt has been made here' });
    // One look may see all of it.
    if (between) await money.chain(jobId, { state: 'funded' });
    await money.chain(jobId, { state: 'assigned' });
    const ended = money.closed.filter((each: Json) => each.jobId === jobId);
    expect(ended[0]).toMatchObject({ attempt: 0, code: 'NODE_LOST', mayRetry: true });
    const releasing = { state: 'escrowed', substate: 'releasing', attempt: 1 };
    expect(await money.world.job(jobId)).toMatchObject(releasing);
    money.gpu.refuse = () => undefined;
    await money.chain(jobId, { state: 'funded', attempt: 1 });
    // The one that it has may have it again.
    expect(money.gpu.offers.at(-1)).toMatchObject({ jobId, attempt: 1 });
  }
});

it('CM48 the end of such an attempt is told as often as it takes', async () => {
  const jobId = await money.running();
  await money.chain(jobId, { state: 'none' });
  await money.chain(jobId, { state: 'assigned' });
  await money.world.advance(2);
  expect(money.closed.length).toBeGreaterThan(1);
  expect(new Set(money.closed.map(({ attempt }: Json) => attempt))).toEqual(new Set([0]));
});

it('CM48 a run that is over waits for its money, until it will not come again', async () => {
  const jobId = await money.running();
  await money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  await money.verdict(jobId);
  await money.chain(jobId, { state: 'proposed' });
  await money.chain(jobId, { state: 'none' });
  expect(await money.payment(jobId)).toEqual(['verifying', 'proposed']);
  await money.chain(jobId, { state: 'proposed' });
  expect(await money.payment(jobId)).toEqual(['verifying', 'proposed']);
  const trouble = { action: 'fund', code: 'NoReason', message: 'the chain refused to fund' };
  await money.chain(jobId, { state: 'none', trouble });
  expect(await money.payment(jobId)).toEqual(['pending', 'none']);
});

it('an attempt that the provider lost waits for the chain before it is offered again', async () => {
  const jobId = await money.running();
  await money.world.lost(money.gpu, jobId, 'GPU_LOST');
  expect(money.closed).toMatchObject([{ jobId, attempt: 0, code: 'GPU_LOST', mayRetry: true }]);
  expect(await money.world.job(jobId)).toMatchObject({
    state: 'escrowed',
    substate: 'releasing',
    attempt: 1,
  });
  const later = async (seconds: number): Promise<void> => {
    const realNow = Date.now;
    const from = realNow();
    Date.now = () => from + seconds * 1_000;
    try {
      await money.world.advance(1);
    } finally {
      Date.now = realNow;
    }
  };
  await later(30);
  expect(money.gpu.offers).toHaveLength(1);
  await money.chain(jobId, { state: 'funded', attempt: 1 });
  await later(30);
  expect(money.gpu.offers.map(({ attempt }) => attempt)).toEqual([0, 1]);
});

it('T15 the last attempt lost is the refund of all', async () => {
  const jobId = await money.running();
  await verdictlessEnd(jobId);
  expect(await money.payment(jobId)).toEqual(['failed', 'refunding']);
  expect(money.closed.at(-1)).toMatchObject({ mayRetry: false });
  await money.chain(jobId, { state: 'refunded', refundReason: 2 });
  expect(await money.payment(jobId)).toEqual(['refunded', 'refunded']);
});

async function verdictlessEnd(jobId: string): Promise<void> {
  await money.world.lost(money.gpu, jobId, 'INPUT_UNAVAILABLE');
}

it('T16 a job whose deadline has passed is refunded by the chain, wherever it is', async () => {
  const jobId = await money.running();
  await money.chain(jobId, { state: 'refunded', refundReason: 1 });
  expect(await money.payment(jobId)).toEqual(['refunded', 'refunded']);
});
