/** The oracle with the facilitator on the embedded chain: runs that others make again, and what becomes of money and stake then. */
import { expect, test } from 'vitest';
import { saltOf } from '../../contracts/compute.ts';
import { client, NODE, operator, UNITS, verifiers } from '../../contracts/test/compute-market.ts';
import type { MoneyNode } from '../../test/support/money-node.ts';
import type { OfferedTerms } from './shared/facilitator-contract.ts';
import type { Others } from './shared/oracle-contract.ts';
import { builtinSpec } from './testing.ts';
import { stateOf, WAIT } from './testing/facilitator.ts';
import {
  assigned,
  auditor,
  DEAR,
  oracleOf,
  providerOn,
  rerunDone,
  rerunOf,
  rerunsOf,
  runOf,
  startOracle,
  useOracleChain,
  verdictOn,
} from './testing/oracle.ts';

const chain = useOracleChain();

test('CM26 an audited provider that returns something else is convicted: the client has its money, the provider loses its reservation', async () => {
  await using node = await startOracle(chain);
  node.alone = false;
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  const { jobId } = offered;
  const before = await providerOn(chain);
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'random' } }));
  const wanted = await rerunOf(node, jobId);
  expect(wanted).toMatchObject({ rerun: 0, notOperators: [operator.address.toLowerCase()] });
  expect(await oracleOf(node).Verdict({ jobId, attempt: 0 })).toBeUndefined();
  await rerunDone(node, offered, wanted.rerun, 'honest');
  expect(await verdictOn(node, jobId)).toMatchObject({
    outcome: { kind: 'Convicted' },
    code: 'VERDICT_FAIL',
    audit: { kind: 'Differed' },
  });
  await stateOf(node, jobId, 'refunded');
  expect(node.moneyOf(jobId)?.refundReason).toBe(4);
  expect(await node.facilitator.Credit({ account: client.address })).toBe(DEAR);
  expect((await providerOn(chain)).stake).toBe(before.stake - 1_000n * UNITS);
  await expect
    .poll(async () => (await node.facilitator.Provider({ nodeId: NODE }))?.slashes, WAIT)
    .toBe(1);
}, 120_000);

test('CM26 an audited provider that is right is paid', async () => {
  await using node = await startOracle(chain);
  node.alone = false;
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'honest' } }));
  const { rerun } = await rerunOf(node, offered.jobId);
  await rerunDone(node, offered, rerun, 'honest');
  expect(await verdictOn(node, offered.jobId)).toMatchObject({
    outcome: { kind: 'Pay' },
    payout: DEAR,
    audit: { kind: 'Agreed' },
  });
}, 120_000);

test('CM26 where two have to differ, one that agrees with the provider clears it', async () => {
  await using node = await startOracle(chain, { auditors: 2 });
  node.alone = false;
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'honest' } }));
  await rerunDone(node, offered, (await rerunOf(node, jobId)).rerun, 'a lying auditor');
  const second = await rerunOf(node, jobId, 1);
  expect(second.notOperators).toEqual([operator.address.toLowerCase(), auditor(0)]);
  await rerunDone(node, offered, second.rerun, 'honest');
  expect(await verdictOn(node, jobId)).toMatchObject({
    outcome: { kind: 'Pay' },
    audit: { kind: 'Agreed' },
  });
}, 120_000);

test('CM26 an audit that one node could not make is asked of another, and asked for until its end is heard', async () => {
  await using node = await startOracle(chain);
  node.alone = false;
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'honest' } }));
  const { rerun } = await rerunOf(node, jobId);
  await expect.poll(() => rerunsOf(node, jobId, rerun).length, WAIT).toBeGreaterThan(1);
  await oracleOf(node).RerunDone({
    ...{ jobId, attempt: 0, rerun, result: undefined, artifacts: '' },
    node: { name: 'auditor.os', nodeId: saltOf('auditor'), operator: auditor(rerun) },
  });
  const second = await rerunOf(node, jobId, 1);
  expect(second.notOperators).toEqual([operator.address.toLowerCase(), auditor(rerun)]);
  await rerunDone(node, offered, second.rerun, 'honest');
  expect(await verdictOn(node, jobId)).toMatchObject({
    outcome: { kind: 'Pay' },
    audit: { kind: 'Agreed' },
  });
}, 120_000);

test('CM26 where no other node could run it, an audit proves nothing and the run is paid', async () => {
  await using node = await startOracle(chain);
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  await oracleOf(node).Verify(await runOf(node, offered));
  expect(await verdictOn(node, offered.jobId)).toMatchObject({
    outcome: { kind: 'Pay' },
    audit: { kind: 'Inconclusive' },
  });
}, 120_000);

/** What two nodes of other operators came to, which were paid for the same. */
async function others(
  node: MoneyNode,
  offered: OfferedTerms,
  path: string,
  outputs: readonly string[],
): Promise<Others> {
  return Promise.all(
    outputs.map(async (output, index) => {
      const made = { by: verifiers[2], outputs: { [path]: output } };
      const { result, artifacts } = await runOf(node, offered, made);
      const who = { name: `other-${index}.os`, nodeId: saltOf(`other ${index}`) };
      return { node: { ...who, operator: auditor(index) }, result, artifacts };
    }),
  );
}

test('CM26 a run that most others differ from is convicted once somebody differs from it whom the client did not pay', async () => {
  await using node = await startOracle(chain, { auditors: 2 });
  node.alone = false;
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  const { jobId } = offered;
  const before = await providerOn(chain);
  const run = await runOf(node, offered, { outputs: { 'out.txt': 'random' } });
  const outvoted = { run, others: await others(node, offered, 'out.txt', ['honest', 'honest']) };
  await oracleOf(node).Outvoted(outvoted);
  const wanted = await rerunOf(node, jobId, 2);
  expect(wanted.notOperators).toEqual([operator.address.toLowerCase(), auditor(0), auditor(1)]);
  await oracleOf(node).Outvoted(outvoted);
  expect(await oracleOf(node).Verdict({ jobId, attempt: 0 })).toBeUndefined();
  await rerunDone(node, offered, wanted.rerun, 'honest');
  expect(await verdictOn(node, jobId)).toMatchObject({
    outcome: { kind: 'Convicted' },
    audit: { kind: 'Differed' },
  });
  await stateOf(node, jobId, 'refunded');
  expect(await node.facilitator.Credit({ account: client.address })).toBe(DEAR);
  expect((await providerOn(chain)).stake).toBe(before.stake - 1_000n * UNITS);
}, 120_000);

test('CM26 one that is right is not convicted by a majority of friends: who runs it again for us clears it', async () => {
  await using node = await startOracle(chain, { auditors: 2 });
  node.alone = false;
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  const run = await runOf(node, offered, { outputs: { 'out.txt': 'honest' } });
  await oracleOf(node).Outvoted({
    run,
    others: await others(node, offered, 'out.txt', ['lie', 'lie']),
  });
  await rerunDone(node, offered, (await rerunOf(node, offered.jobId, 2)).rerun, 'honest');
  expect(await verdictOn(node, offered.jobId)).toMatchObject({
    outcome: { kind: 'Pay' },
    audit: { kind: 'Agreed' },
  });
}, 120_000);

test('CM26 where nobody else could run it, one that most differ from is not paid, and its node keeps its stake', async () => {
  await using node = await startOracle(chain, { auditors: 2 });
  const spec = builtinSpec({ verify: { mode: 'tolerance', replicas: 3, absPpb: 500_000_000 } });
  const offered = await assigned(chain, node, spec, DEAR);
  const before = await providerOn(chain);
  const run = await runOf(node, offered, { spec, outputs: { 'out.json': '9.0' } });
  const [first, second] = await others(node, offered, 'out.json', ['1.0', '1.2']);
  const compare = { spec: run.spec, artifacts: run.artifacts };
  const close = { ...compare, first: first!.result, second: second!.result };
  expect((await oracleOf(node).Compare(close)).kind).toBe('Same');
  const far = { ...compare, first: first!.result, second: run.result };
  expect((await oracleOf(node).Compare(far)).kind).toBe('Different');
  await oracleOf(node).Outvoted({ run, others: [first!, second!] });
  expect(await verdictOn(node, offered.jobId)).toMatchObject({
    outcome: { kind: 'Refund' },
    code: 'VERDICT_FAIL',
  });
  await stateOf(node, offered.jobId, 'refunded');
  expect((await providerOn(chain)).stake).toBe(before.stake);
}, 120_000);

test('CM25 hours are committed to before, secrets are shown after', async () => {
  await using node = await startOracle(chain);
  const hour = Math.floor(Date.now() / 3_600_000);
  const hours = await oracleOf(node).AuditHours({ from: hour, limit: 10 });
  expect(hours.map((each) => each.hour)).toEqual([hour, hour + 1]);
  for (const each of hours) expect(each).toMatchObject({ secret: undefined, picks: [] });
  const next = await node.again();
  expect(await oracleOf(next).AuditHours({ from: hour, limit: 10 })).toEqual(hours);
  await next[Symbol.asyncDispose]();
}, 120_000);
