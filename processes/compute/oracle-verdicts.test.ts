/** The oracle with the facilitator on the embedded chain: what it makes of one run, from its receipt to the money. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMPUTE_ESCROW, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { encodeStake } from '../../contracts/compute-calls.ts';
import { digestOf, escrowDomain, type JobReceipt } from '../../contracts/compute.ts';
import {
  client,
  executor,
  NODE,
  operator,
  payTo,
  platform,
  sign,
  signDigest,
  termsAt,
  UNITS,
  verdictOf,
  verifiers,
} from '../../contracts/test/compute-market.ts';
import type { MoneyNode } from '../../test/support/money-node.ts';
import { canonicalJson } from '../../wit/canonical-json.ts';
import { specHash } from '../../wit/jobs/spec.ts';
import type { OfferedTerms } from './shared/facilitator-contract.ts';
import type { Evidence } from './shared/oracle-contract.ts';
import { builtinSpec } from './testing.ts';
import { comesTo, stateOf, WAIT } from './testing/facilitator.ts';
import {
  assigned,
  DEAR,
  oracleOf,
  providerOn,
  rerunDone,
  rerunOf,
  runOf,
  startOracle,
  take,
  thresholds,
  useOracleChain,
  verdictOn,
} from './testing/oracle.ts';

const chain = useOracleChain();

test('CM8 a run is judged, signed, proposed and told', async () => {
  await using node = await startOracle(chain);
  const offered = await assigned(chain, node);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered));
  expect(await verdictOn(node, jobId)).toMatchObject({
    outcome: { kind: 'Pay' },
    payout: 1n * UNITS,
    scoreBps: 10_000,
    checks: 63,
    gates: [],
    code: undefined,
  });
  await stateOf(node, jobId, 'proposed');
  await chain.pass(601n);
  await stateOf(node, jobId, 'settled');
  expect(node.moneyOf(jobId)?.settled?.provider).toBe(850_000n);
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(850_000n);
}, 120_000);

test('CM19 T7 a receipt of another key, attempt, job or chain is refused and changes nothing', async () => {
  await using node = await startOracle(chain);
  const offered = await assigned(chain, node);
  const { jobId } = offered;
  const other = await assigned(chain, node);
  const good = await runOf(node, offered);
  const refused = async (run: Evidence, kind: string): Promise<void> => {
    await expect(oracleOf(node).Verify(run)).rejects.toMatchObject({ kind });
  };
  const withReceipt = async (receipt: Partial<JobReceipt>): Promise<Evidence> =>
    runOf(node, offered, { receipt });
  await refused(await runOf(node, offered, { by: client }), 'BadReceipt');
  await refused(await withReceipt({ attempt: 1 }), 'BadEvidence');
  await refused(await withReceipt({ jobId: other.jobId }), 'BadEvidence');
  await refused({ ...good, terms: other.terms }, 'BadEvidence');
  const elsewhere = digestOf(escrowDomain(1, COMPUTE_ESCROW), 'JobReceipt', good.result.receipt);
  const signature = signDigest(executor, elsewhere);
  await refused({ ...good, result: { ...good.result, signature } }, 'BadReceipt');
  await refused({ ...good, result: { ...good.result, receiptHash: elsewhere } }, 'BadEvidence');
  await refused(
    {
      ...good,
      attempt: 7,
      result: { ...good.result, receipt: { ...good.result.receipt, attempt: 7 } },
    },
    'BadEvidence',
  );
  expect(await oracleOf(node).Verdict({ jobId, attempt: 0 })).toBeUndefined();
  expect(node.moneyOf(jobId)?.state).toBe('assigned');
  // And the right one still counts.
  await oracleOf(node).Verify(good);
  expect((await verdictOn(node, jobId)).outcome.kind).toBe('Pay');
}, 120_000);

test('CM20 G7 two receipts for one attempt cost the node what it has reserved', async () => {
  await using node = await startOracle(chain);
  const offered = await assigned(chain, node);
  const before = await providerOn(chain);
  await oracleOf(node).Verify(
    await runOf(node, offered, {
      outputs: { 'out.txt': 'first' },
      evidence: { artifacts: '/compute:sys/nowhere' },
    }),
  );
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'second' } }));
  await expect
    .poll(async () => (await providerOn(chain)).stake, WAIT)
    .toBe(before.stake - 1_000n * UNITS);
  expect(node.lines.join()).toMatch(/signed two receipts/);
}, 120_000);

test('CM21 one byte of an output or of the log is noticed, and nobody is paid', async () => {
  await using node = await startOracle(chain);
  const spec = builtinSpec({ retry: { maxAttempts: 1 } });
  const offered = await assigned(chain, node, spec);
  const run = await runOf(node, offered, { spec, outputs: { 'out.txt': 'right' } });
  const [file] = run.result.outputs;
  await writeFile(join(node.home, 'vfs', 'compute:sys', 'runs', file!.sha256), 'wrong');
  await oracleOf(node).Verify(run);
  const verdict = await verdictOn(node, offered.jobId);
  expect(verdict).toMatchObject({ outcome: { kind: 'Refund' }, code: 'VERDICT_FAIL', payout: 0n });
  expect(verdict.gates).toEqual([
    { gate: 'G4', message: 'the output out.txt is not what its hash says' },
  ]);
  await stateOf(node, offered.jobId, 'refunded');
  expect(node.moneyOf(offered.jobId)?.refundReason).toBe(2);
  expect(await node.facilitator.Credit({ account: client.address })).toBe(1n * UNITS);
}, 120_000);

test('CM22 T9 a program that prints success and exits with 1 is charged by time, and the rest goes back', async () => {
  await using node = await startOracle(chain);
  const offered = await assigned(chain, node);
  const run = await runOf(node, offered, {
    exitCode: 1,
    printed: 'success ✅ completed\n',
    outputs: {},
  });
  await oracleOf(node).Verify(run);
  const verdict = await verdictOn(node, offered.jobId);
  // A second of sixty of 1 HYPER.
  expect(verdict).toMatchObject({
    outcome: { kind: 'Pay' },
    code: 'EXIT_NONZERO',
    payout: 16_667n,
  });
  await stateOf(node, offered.jobId, 'proposed');
  await chain.pass(601n);
  await stateOf(node, offered.jobId, 'settled');
  expect(node.moneyOf(offered.jobId)?.settled?.clientRefund).toBe(1n * UNITS - 16_667n);
}, 120_000);

test('T16 an attempt that was lost is given to another one, and an old verdict counts for nothing there', async () => {
  await using node = await startOracle(chain);
  const offered = await assigned(chain, node);
  const { jobId, terms } = offered;
  const spec = canonicalJson(builtinSpec());
  await oracleOf(node).Close({ jobId, attempt: 0, terms, spec, code: 'NODE_LOST', mayRetry: true });
  expect(await verdictOn(node, jobId)).toMatchObject({
    outcome: { kind: 'Retry' },
    code: 'NODE_LOST',
  });
  await expect.poll(() => node.moneyOf(jobId)?.attempt, WAIT).toBe(1);
  expect(node.moneyOf(jobId)?.state).toBe('funded');
  await take(node, offered, 1);
  // A verdict on the first attempt, with its receipt.
  const old = await runOf(node, offered);
  const verdict = { ...verdictOf(old.result.receipt, 1n * UNITS) };
  const signatures = [
    { signer: verifiers[0].address, signature: sign(verifiers[0], 'Verdict', verdict) },
  ];
  const { receipt, signature } = old.result;
  await node.facilitator.Propose({ receipt, signature, verdict, signatures });
  await expect.poll(() => node.moneyOf(jobId)?.trouble?.code, WAIT).toBe('WrongAttempt');
  expect(node.moneyOf(jobId)?.state).toBe('assigned');
  // The last attempt, by the client's doing: the refund.
  await oracleOf(node).Close({
    jobId,
    attempt: 1,
    terms,
    spec,
    code: 'INPUT_UNAVAILABLE',
    mayRetry: true,
  });
  expect(await verdictOn(node, jobId, 1)).toMatchObject({ outcome: { kind: 'Refund' } });
  await stateOf(node, jobId, 'refunded');
}, 120_000);

test('T15 one verifier below the threshold moves no money, and a flood of verdicts waits and is told of', async () => {
  await thresholds(chain.rpc, 2n, 3n);
  await using node = await startOracle(chain);
  const offered = await assigned(chain, node);
  await oracleOf(node).Verify(await runOf(node, offered));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await oracleOf(node).Verdict({ jobId: offered.jobId, attempt: 0 })).toBeUndefined();
  expect((await node.facilitator.Money({ jobId: offered.jobId })).state).toBe('assigned');
  await thresholds(chain.rpc, 1n, 1n);
  await using limited = await startOracle(chain, { verdicts_per_minute: 1 });
  const [first, second] = [await assigned(chain, limited), await assigned(chain, limited)];
  await oracleOf(limited).Verify(await runOf(limited, first));
  await verdictOn(limited, first.jobId);
  await oracleOf(limited).Verify(await runOf(limited, second));
  await expect.poll(() => limited.lines.join(), WAIT).toMatch(/ALARM: more than 1 verdicts/);
  expect(await oracleOf(limited).Verdict({ jobId: second.jobId, attempt: 0 })).toBeUndefined();
}, 120_000);

test('CM50 a power cut at any moment of a verdict gives one verdict, one payment, and the market hears of it', async () => {
  let node = await startOracle(chain);
  node.alone = false;
  const again = async (): Promise<void> => {
    node = await node.again();
    node.alone = false;
  };
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'honest' } }));
  await again();
  const { rerun } = await rerunOf(node, jobId);
  await again();
  node.deaf = true;
  await rerunDone(node, offered, rerun, 'honest');
  await again();
  const verdict = await verdictOn(node, jobId);
  expect(verdict.outcome.kind).toBe('Pay');
  await again();
  await comesTo(node, jobId, 'proposed');
  await chain.pass(601n);
  await comesTo(node, jobId, 'settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(850n * UNITS);
  expect(await oracleOf(node).Verdict({ jobId, attempt: 0 })).toEqual(verdict);
  // Verified once more, as a market does that does not know whether it was heard.
  await oracleOf(node)
    .Verify(await runOf(node, offered, { outputs: { 'out.txt': 'honest' } }))
    .catch(() => undefined);
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(850n * UNITS);
  await node[Symbol.asyncDispose]();
}, 240_000);

test('CM8 a hundred paid jobs are funded, assigned, judged and settled in few transactions, and no job waits for the block of another', async () => {
  await using node = await startOracle(chain, { verdicts_per_minute: 6_000 });
  const COUNT = 100;
  // The highest tier: a hundred jobs at a time.
  const data = encodeStake(NODE, 90_000n * UNITS);
  await chain.rpc.send({ from: operator.address, to: NODE_REGISTRY, data });
  const sentBefore = await chain.sentBy(platform.address);
  const began = performance.now();
  const waiting = Array.from({ length: COUNT }, (_, index) => index);
  const lanes = Array.from({ length: 50 }, async () => {
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      const offered = await windowless(node, index);
      await take(node, offered);
      await oracleOf(node).Verify(await runOf(node, offered, { spec: UNAUDITED }));
      await stateOf(node, offered.jobId, 'settled');
    }
  });
  await Promise.all(lanes);
  const rate = Math.round((COUNT / (performance.now() - began)) * 1_000);
  const sent = (await chain.sentBy(platform.address)) - sentBefore;
  process.stdout.write(`${rate} paid jobs/s, ${sent} transactions for ${COUNT} jobs\n`);
  // Three calls each.
  expect(sent).toBeLessThan(COUNT);
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(BigInt(COUNT) * 850_000n);
}, 120_000);

/** Nobody runs it again: audits take as long as they take. */
const UNAUDITED = builtinSpec({ verify: { mode: 'none' } });

/** A job for which its client signed terms without a window, paid from its allowance. */
async function windowless(node: MoneyNode, index: number): Promise<OfferedTerms> {
  const terms = {
    ...termsAt(await chain.now(), `windowless ${index}`),
    amount: 1n * UNITS,
    specHash: specHash(UNAUDITED),
    challengeWindow: 0,
  };
  const offered = await node.facilitator.Adopt({ terms });
  const { jobId } = offered;
  const termsSignature = sign(client, 'ComputeTerms', terms);
  await node.facilitator.Fund({ jobId, payment: { kind: 'Allowance', value: { termsSignature } } });
  await stateOf(node, jobId, 'funded');
  return offered;
}
