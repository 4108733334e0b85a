/** Runs that the oracle wants once more, and what audits say of a node. */
import { afterEach, expect, it, vi } from 'vitest';
import { AWAY_MS_MAX } from './reruns.ts';
import { PLATFORM } from './testing/fake-money.ts';
import { useMoneyWorld } from './testing/money-world.ts';
import { NODE } from './testing/world.ts';

const OPERATOR = PLATFORM;

const money = useMoneyWorld();

afterEach(() => {
  vi.useRealTimers();
});

it('CM26 an audit runs the job again at a node of another operator, and its end is told', async () => {
  const jobId = await money.running();
  const spec = money.gpu.offers[0]!.spec;
  const wish = { jobId, attempt: 0, rerun: 1, spec, until: Date.now() + 600_000 };
  const want = (notOperators: readonly string[]): Promise<string | undefined> =>
    money.told('oracle', 'RerunWanted', { ...wish, notOperators });
  // The only registered node is the operator's own.
  expect(await want([OPERATOR])).toBe('NoNodes');
  money.gpu.acceptance = () => undefined;
  expect(await want([])).toBeUndefined();
  expect(await want([])).toBeUndefined();
  const again = money.gpu.offers[1]!;
  expect(money.gpu.offers).toHaveLength(2);
  expect(again).toMatchObject({ spec, price: 0n });
  await money.world.started(money.gpu, again.jobId);
  await money.world.finished(money.gpu, again.jobId);
  expect(money.rerunsDone).toMatchObject([
    { jobId, attempt: 0, rerun: 1, node: { name: NODE, operator: OPERATOR }, result: {} },
  ]);
});

it('CM26 an audit that is asked for again is told again, and ended when nobody is left who could run it', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const jobId = await money.running();
  const spec = money.gpu.offers[0]!.spec;
  money.gpu.acceptance = () => undefined;
  const want = (rerun: number): Promise<string | undefined> => {
    const wish = { jobId, attempt: 0, rerun, spec, until: Date.now() + 1_400_000 };
    return money.told('oracle', 'RerunWanted', { ...wish, notOperators: [] });
  };
  expect(await want(0)).toBeUndefined();
  const { jobId: first } = money.gpu.offers[1]!;
  await money.world.started(money.gpu, first);
  await money.world.finished(money.gpu, first);
  expect(money.rerunsDone).toHaveLength(1);
  // As after an answer that the oracle did not hear.
  expect(await want(0)).toBeUndefined();
  expect(money.rerunsDone[1]).toEqual(money.rerunsDone[0]);
  // It goes away without having begun.
  money.gpu.refuse = () => ({ code: 'unpaired', message: 'its extension is away' });
  money.gpu.paired = false;
  expect(await want(1)).toBeUndefined();
  vi.setSystemTime(Date.now() + AWAY_MS_MAX - 5_000);
  expect(await want(1)).toBeUndefined();
  expect(money.rerunsDone).toHaveLength(2);
  vi.setSystemTime(Date.now() + 6_000);
  expect(await want(1)).toBeUndefined();
  expect(money.rerunsDone[2]).toMatchObject({
    jobId,
    rerun: 1,
    node: undefined,
    result: undefined,
  });
});

it('CM26 no audit waits for a node that gets no jobs', async () => {
  const jobId = await money.running();
  const { spec } = money.gpu.offers[0]!;
  await money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  const audit = { kind: 'Differed' } as const;
  for (let times = 0; times < 5; times += 1)
    await money.verdict(jobId, { outcome: { kind: 'Convicted' }, code: 'VERDICT_FAIL', audit });
  const wish = { jobId, attempt: 0, rerun: 0, spec, until: Date.now() + 600_000 };
  expect(await money.told('oracle', 'RerunWanted', { ...wish, notOperators: [] })).toBe('NoNodes');
});

it('CM26 what audits say is in the reputation', async () => {
  const jobId = await money.running();
  await money.world.finished(money.gpu, jobId, { receipt: { claimed: 600n } });
  const points = async (): Promise<number> =>
    (await money.world.ask('GET', '/api/nodes')).json.nodes[0].reputation as number;
  const before = await points();
  await money.verdict(jobId, {
    outcome: { kind: 'Refund' },
    code: 'VERDICT_FAIL',
    audit: { kind: 'Differed' },
  });
  expect(await points()).toBeLessThan(before - 60);
  await money.world.crash();
  expect(await points()).toBeLessThan(before - 60);
});
