/** The oracle with the facilitator on the embedded chain: verdicts, audits, convictions and disputes, and what crashes leave of them. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keccak256 } from 'ethers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { COMPUTE_ESCROW, NODE_REGISTRY, VERIFIER_SET } from '../../contracts/abi/constants.ts';
import { OWNER, TREASURY } from '../../contracts/addresses.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { type Persona, personas } from '../../contracts/chain/personas.ts';
import { openMarket } from '../../contracts/chain/market.ts';
import {
  type ChainNode,
  decodeNode,
  encodeFund,
  encodeNodes,
  encodeStake,
} from '../../contracts/compute-calls.ts';
import {
  digestOf,
  escrowDomain,
  type JobReceipt,
  OUTCOME,
  saltOf,
} from '../../contracts/compute.ts';
import {
  acceptanceOf,
  client,
  executor,
  chainNow,
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
import { InMemoryNetwork } from '../../kernel/testing.ts';
import { MoneyNode, type MoneyOptions } from '../../test/support/money-node.ts';
import { canonicalJson } from '../../wit/canonical-json.ts';
import { specHash } from '../../wit/jobs/spec.ts';
import type { Client } from '../lib/client.ts';
import oracle from './oracle/index.ts';
import type { OfferedTerms } from './shared/facilitator-contract.ts';
import {
  type Evidence,
  type GivenVerdict,
  givenVerdict,
  oracleContract,
  type Others,
} from './shared/oracle-contract.ts';
import { builtinSpec, makeRun, type MadeRun } from './testing.ts';

let chain: Chain;
let snapshot: unknown;
beforeAll(async () => {
  chain = await startChain();
  await openMarket(chain.rpc);
  // One verifier, as on a development node: verdicts and disputes.
  await chain.rpc.send({
    from: OWNER,
    to: VERIFIER_SET,
    data: encodeCall('a1cbdf12', [1n, 1n]),
  });
}, 60_000);
afterAll(() => chain.close());
beforeEach(async () => {
  snapshot = await chain.rpc.request('evm_snapshot');
});
afterEach(() => chain.rpc.request('evm_revert', snapshot));

const WAIT = { timeout: 60_000, interval: 50 };
const start = (
  settings: Readonly<Record<string, unknown>> = {},
  more: Partial<MoneyOptions> = {},
): Promise<MoneyNode> =>
  MoneyNode.start({
    chainUrl: chain.webSocketUrl,
    platform,
    verifier: verifiers[0],
    settings: { auditors: 1, ...settings },
    also: { oracle: oracle as never },
    ...more,
  });
const oracleOf = (node: MoneyNode): Client<(typeof oracleContract)['methods']> =>
  node.client(oracleContract, 'oracle:compute:sys');

let intents = 0;
/** A job of 1 HYPER that is assigned to the provider, on the chain. */
async function assigned(
  node: MoneyNode,
  spec = builtinSpec(),
  amount = 1n * UNITS,
): Promise<OfferedTerms> {
  const offered = await funded(node, spec, amount);
  await stateOf(node, offered.jobId, 'funded');
  await assign(node, offered);
  return offered;
}

async function funded(
  node: MoneyNode,
  spec = builtinSpec(),
  amount = 1n * UNITS,
): Promise<OfferedTerms> {
  const offered = await node.facilitator.Terms({
    client: client.address,
    intentId: `intent ${intents++}`,
    amount,
    specHash: specHash(spec),
    attempts: 3,
    timeoutS: 60,
    nodeId: undefined,
    mode: 0,
    fundWindowS: undefined,
    challengeWindowS: undefined,
  });
  const data = encodeFund(offered.terms);
  await chain.rpc.send({ from: client.address, to: COMPUTE_ESCROW, data });
  return offered;
}

async function assign(node: MoneyNode, { terms, jobId }: OfferedTerms, attempt = 0): Promise<void> {
  const acceptance = { ...acceptanceOf(terms), attempt };
  const signature = sign(executor, 'Acceptance', acceptance);
  await node.facilitator.Assign({ acceptance, signature });
  await stateOf(node, jobId, 'assigned');
}

/** What the facilitator says: the market that was told before a power cut is not told again. */
async function comesTo(node: MoneyNode, jobId: string, state: string): Promise<void> {
  const now = async (): Promise<string> => (await node.facilitator.Money({ jobId })).state;
  await expect.poll(now, WAIT).toBe(state);
}

async function stateOf(node: MoneyNode, jobId: string, state: string): Promise<void> {
  await expect.poll(() => node.moneyOf(jobId)?.state, WAIT).toBe(state);
}

function heardVerdict(node: MoneyNode, jobId: string, attempt = 0): GivenVerdict | undefined {
  const found = node.heard
    .filter(({ kind }) => kind === 'VerdictGiven')
    .map(({ body }) => givenVerdict.decode(body))
    .find((each) => each.ok && each.value.jobId === jobId && each.value.attempt === attempt);
  return found?.ok === true ? found.value : undefined;
}

async function verdictOn(node: MoneyNode, jobId: string, attempt = 0): Promise<GivenVerdict> {
  await expect.poll(() => heardVerdict(node, jobId, attempt), WAIT).toBeDefined();
  return heardVerdict(node, jobId, attempt)!;
}

const runOf = (
  node: MoneyNode,
  offered: OfferedTerms,
  part: Partial<MadeRun> = {},
): ReturnType<typeof makeRun> =>
  makeRun({ home: node.home, spec: builtinSpec(), offered, by: executor, ...part });

test('CM8 a run is judged, signed, proposed and told', async () => {
  await using node = await start();
  const offered = await assigned(node);
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
  await until(601n);
  await stateOf(node, jobId, 'settled');
  expect(node.moneyOf(jobId)?.settled?.provider).toBe(850_000n);
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(850_000n);
}, 120_000);

test('CM19 T7 a receipt of another key, attempt, job or chain is refused and changes nothing', async () => {
  await using node = await start();
  const offered = await assigned(node);
  const { jobId } = offered;
  const other = await assigned(node);
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
  await using node = await start();
  const offered = await assigned(node);
  const before = await nodeOnChain();
  await oracleOf(node).Verify(
    await runOf(node, offered, {
      outputs: { 'out.txt': 'first' },
      evidence: { artifacts: '/compute:sys/nowhere' },
    }),
  );
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'second' } }));
  await expect
    .poll(async () => (await nodeOnChain()).stake, WAIT)
    .toBe(before.stake - 1_000n * UNITS);
  expect(node.lines.join()).toMatch(/signed two receipts/);
}, 120_000);

test('CM21 one byte of an output or of the log is noticed, and nobody is paid', async () => {
  await using node = await start();
  const spec = builtinSpec({ retry: { maxAttempts: 1 } });
  const offered = await assigned(node, spec);
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
  await using node = await start();
  const offered = await assigned(node);
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
  await until(601n);
  await stateOf(node, offered.jobId, 'settled');
  expect(node.moneyOf(offered.jobId)?.settled?.clientRefund).toBe(1n * UNITS - 16_667n);
}, 120_000);

test('T16 an attempt that was lost is given to another one, and an old verdict counts for nothing there', async () => {
  await using node = await start();
  const offered = await assigned(node);
  const { jobId, terms } = offered;
  const spec = canonicalJson(builtinSpec());
  await oracleOf(node).Close({ jobId, attempt: 0, terms, spec, code: 'NODE_LOST', mayRetry: true });
  expect(await verdictOn(node, jobId)).toMatchObject({
    outcome: { kind: 'Retry' },
    code: 'NODE_LOST',
  });
  await expect.poll(() => node.moneyOf(jobId)?.attempt, WAIT).toBe(1);
  expect(node.moneyOf(jobId)?.state).toBe('funded');
  await assign(node, offered, 1);
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

const DEAR = 1_000n * UNITS;

test('CM26 an audited provider that returns something else is convicted: the client has its money, the provider loses its reservation', async () => {
  await using node = await start();
  node.alone = false;
  const offered = await assigned(node, builtinSpec(), DEAR);
  const { jobId } = offered;
  const before = await nodeOnChain();
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
  expect((await nodeOnChain()).stake).toBe(before.stake - 1_000n * UNITS);
  await expect
    .poll(async () => (await node.facilitator.Provider({ nodeId: NODE }))?.slashes, WAIT)
    .toBe(1);
}, 120_000);

test('CM26 an audited provider that is right is paid', async () => {
  await using node = await start();
  node.alone = false;
  const offered = await assigned(node, builtinSpec(), DEAR);
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
  await using node = await start({ auditors: 2 });
  node.alone = false;
  const offered = await assigned(node, builtinSpec(), DEAR);
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
  await using node = await start();
  node.alone = false;
  const offered = await assigned(node, builtinSpec(), DEAR);
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
  await using node = await start();
  const offered = await assigned(node, builtinSpec(), DEAR);
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
  await using node = await start({ auditors: 2 });
  node.alone = false;
  const offered = await assigned(node, builtinSpec(), DEAR);
  const { jobId } = offered;
  const before = await nodeOnChain();
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
  expect((await nodeOnChain()).stake).toBe(before.stake - 1_000n * UNITS);
}, 120_000);

test('CM26 one that is right is not convicted by a majority of friends: who runs it again for us clears it', async () => {
  await using node = await start({ auditors: 2 });
  node.alone = false;
  const offered = await assigned(node, builtinSpec(), DEAR);
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
  await using node = await start({ auditors: 2 });
  const spec = builtinSpec({ verify: { mode: 'tolerance', replicas: 3, absPpb: 500_000_000 } });
  const offered = await assigned(node, spec, DEAR);
  const before = await nodeOnChain();
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
  expect((await nodeOnChain()).stake).toBe(before.stake);
}, 120_000);

test('CM25 hours are committed to before, secrets are shown after', async () => {
  await using node = await start();
  const hour = Math.floor(Date.now() / 3_600_000);
  const hours = await oracleOf(node).AuditHours({ from: hour, limit: 10 });
  expect(hours.map((each) => each.hour)).toEqual([hour, hour + 1]);
  for (const each of hours) expect(each).toMatchObject({ secret: undefined, picks: [] });
  const next = await node.again();
  expect(await oracleOf(next).AuditHours({ from: hour, limit: 10 })).toEqual(hours);
  await next[Symbol.asyncDispose]();
}, 120_000);

/** Proposed and disputed by the client. */
async function disputed(
  node: MoneyNode,
  output: string,
  spec = builtinSpec(),
): Promise<OfferedTerms> {
  const offered = await assigned(node, spec, 100n * UNITS);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered, { spec, outputs: { 'out.txt': output } }));
  await verdictOn(node, jobId);
  await stateOf(node, jobId, 'proposed');
  const { call, bond } = await node.facilitator.DisputeCall({ jobId, evidenceHash: saltOf('why') });
  expect(bond).toBe(5n * UNITS);
  await chain.rpc.send(call);
  await stateOf(node, jobId, 'disputed');
  expect(node.moneyOf(jobId)?.dispute).toMatchObject({ by: client.address.toLowerCase(), bond });
  node.alone = false;
  await oracleOf(node).Disputed({ jobId });
  return offered;
}

test('CM27 an upheld dispute gives bond and price back and takes the reservation', async () => {
  await using node = await start();
  const before = await nodeOnChain();
  const offered = await disputed(node, 'wrong');
  await rerunDone(node, offered, (await rerunOf(node, offered.jobId, 100)).rerun, 'right');
  await stateOf(node, offered.jobId, 'settled');
  expect(node.moneyOf(offered.jobId)?.settled).toMatchObject({
    provider: 0n,
    clientRefund: 100n * UNITS,
  });
  expect(await node.facilitator.Credit({ account: client.address })).toBe(105n * UNITS);
  expect((await nodeOnChain()).stake).toBe(before.stake - 1_000n * UNITS);
}, 120_000);

test('CM27 a rejected dispute splits the bond between provider and treasury', async () => {
  await using node = await start();
  const offered = await disputed(node, 'right');
  await rerunDone(node, offered, (await rerunOf(node, offered.jobId, 100)).rerun, 'right');
  await stateOf(node, offered.jobId, 'settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(85n * UNITS + 2_500_000n);
  expect(await node.facilitator.Credit({ account: TREASURY })).toBe(10n * UNITS + 2_500_000n);
}, 120_000);

test('CM27 F43 a dispute that nobody can resolve ends after 72 hours as it was proposed, half the bond the provider’s', async () => {
  await using node = await start();
  const offered = await disputed(node, 'right');
  await until(72n * 3_600n + 10n);
  await stateOf(node, offered.jobId, 'settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(85n * UNITS + 2_500_000n);
  expect(await node.facilitator.Credit({ account: client.address })).toBe(2_500_000n);
}, 120_000);

test('T15 one verifier below the threshold moves no money, and a flood of verdicts waits and is told of', async () => {
  await chain.rpc.send({ from: OWNER, to: VERIFIER_SET, data: encodeCall('a1cbdf12', [2n, 3n]) });
  await using node = await start();
  const offered = await assigned(node);
  await oracleOf(node).Verify(await runOf(node, offered));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await oracleOf(node).Verdict({ jobId: offered.jobId, attempt: 0 })).toBeUndefined();
  expect((await node.facilitator.Money({ jobId: offered.jobId })).state).toBe('assigned');
  await chain.rpc.send({ from: OWNER, to: VERIFIER_SET, data: encodeCall('a1cbdf12', [1n, 1n]) });
  await using limited = await start({ verdicts_per_minute: 1 });
  const [first, second] = [await assigned(limited), await assigned(limited)];
  await oracleOf(limited).Verify(await runOf(limited, first));
  await verdictOn(limited, first.jobId);
  await oracleOf(limited).Verify(await runOf(limited, second));
  await expect.poll(() => limited.lines.join(), WAIT).toMatch(/ALARM: more than 1 verdicts/);
  expect(await oracleOf(limited).Verdict({ jobId: second.jobId, attempt: 0 })).toBeUndefined();
}, 120_000);

test('T15 where two of three verifiers must sign, another node signs what it comes to itself, and nothing else', async () => {
  const threshold = encodeCall('a1cbdf12', [2n, 3n]);
  await chain.rpc.send({ from: OWNER, to: VERIFIER_SET, data: threshold });
  const network = new InMemoryNetwork();
  await using node = await start({ peers: ['b.os', 'nobody.os'] }, { network, name: 'a.os' });
  const there = { network, name: 'b.os', platform: personas.ivan, verifier: verifiers[1] };
  await using other = await start({ peers: ['a.os'] }, there);
  const offered = await assigned(node);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered));
  expect((await verdictOn(node, jobId)).outcome.kind).toBe('Pay');
  await stateOf(node, jobId, 'proposed');
  // What does not pass there is not signed there, whoever asks.
  const second = await assigned(node);
  const run = await runOf(node, second, { receipt: { claimed: 5n } });
  const verdict = { ...verdictOf(run.result.receipt, 6n), checks: 63 };
  const request = { evidence: run, verdict, firstRecord: '0x00', lastRecord: '0x00' };
  await expect(oracleOf(other).Cosign(request)).rejects.toMatchObject({ kind: 'Forbidden' });
  const asked = node.client(oracleContract, 'b.os@oracle:compute:sys');
  await expect(asked.Cosign(request)).rejects.toMatchObject({ kind: 'Disagreed' });
  expect((await node.facilitator.Money({ jobId: second.jobId })).state).toBe('assigned');
  // Of two verdicts on one attempt one is signed, also when both are asked for at once.
  const third = await assigned(node);
  const failed = await runOf(node, third, { receipt: { claimed: 5n } });
  const against = (outcome: number) => ({
    ...request,
    evidence: failed,
    verdict: { ...verdictOf(failed.result.receipt, 0n), checks: 63, outcome },
  });
  const both = [OUTCOME.retry, OUTCOME.refund].map((outcome) => asked.Cosign(against(outcome)));
  const [kept, refused] = (await Promise.allSettled(both)).toSorted((a, b) =>
    a.status.localeCompare(b.status),
  );
  expect(kept).toMatchObject({ status: 'fulfilled' });
  expect(refused).toMatchObject({ status: 'rejected', reason: { kind: 'SignedOther' } });
  // The other node is away: nothing is paid by one.
  network.setDown('b.os', true);
  await oracleOf(node).Verify(await runOf(node, second));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await oracleOf(node).Verdict({ jobId: second.jobId, attempt: 0 })).toBeUndefined();
}, 120_000);

/** Disputes by two of three; `b.os` and `c.os` have the other two keys, or `c.os` one that counts for nothing. */
async function quorum(third: Persona = verifiers[2]): Promise<{
  readonly network: InMemoryNetwork;
  readonly nodes: [MoneyNode, MoneyNode, MoneyNode];
}> {
  await chain.rpc.send({ from: OWNER, to: VERIFIER_SET, data: encodeCall('a1cbdf12', [1n, 2n]) });
  const network = new InMemoryNetwork();
  const names = ['a.os', 'b.os', 'c.os'];
  const peersOf = (name: string): { peers: string[] } => ({
    peers: names.filter((each) => each !== name),
  });
  const other = (name: string, verifier: Persona): Promise<MoneyNode> =>
    start(peersOf(name), { network, name, platform: personas.ivan, verifier });
  const first = await start(peersOf('a.os'), { network, name: 'a.os' });
  const rest = [await other('b.os', verifiers[1]), await other('c.os', third)] as const;
  for (const node of rest) node.alone = false;
  return { network, nodes: [first, ...rest] };
}

const disposed = (nodes: readonly MoneyNode[]): Promise<unknown> =>
  Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));

test('T15 CM27 CM50 a dispute is resolved by as many verifiers as the chain wants: each has the job run again, one is away, and all are killed meanwhile', async () => {
  const { network, nodes } = await quorum();
  network.setDown('c.os', true);
  const before = await nodeOnChain();
  let [node, other] = nodes;
  const input = 'what it works on';
  const sha256 = createHash('sha256').update(input).digest('hex');
  const spec = builtinSpec({ inputs: [{ path: 'in.txt', size: input.length, sha256 }] });
  await mkdir(join(node.home, 'vfs', 'compute:sys', 'runs'), { recursive: true });
  await writeFile(join(node.home, 'vfs', 'compute:sys', 'runs', sha256), input);
  const offered = await disputed(node, 'wrong', spec);
  const { jobId } = offered;
  await rerunDone(node, offered, (await rerunOf(node, jobId, 100)).rerun, 'right');
  // The other one has it run again by itself, with the inputs, and signs nothing before.
  const wanted = await rerunOf(other, jobId, 100);
  expect(wanted.notOperators).toEqual([operator.address.toLowerCase()]);
  expect(Buffer.from(other.uploads.get(sha256) ?? []).toString()).toBe(input);
  expect((await node.facilitator.Money({ jobId })).state).toBe('disputed');
  [node, other] = [await node.again(), await other.again()];
  await rerunDone(other, offered, wanted.rerun, 'right');
  await comesTo(node, jobId, 'settled');
  expect((await node.facilitator.Money({ jobId })).settled).toMatchObject({
    provider: 0n,
    clientRefund: 100n * UNITS,
  });
  expect((await nodeOnChain()).stake).toBe(before.stake - 1_000n * UNITS);
  await disposed([node, other, nodes[2]]);
}, 120_000);

test('T15 CM27 a resolution that is false is signed by nobody else, a key that is no verifier’s counts for nothing, and after 72 hours the proposal stands', async () => {
  const { nodes } = await quorum(personas.heidi);
  const [node, honest, stranger] = nodes;
  const offered = await disputed(node, 'right');
  const { jobId } = offered;
  // Ours lies, and so does the third one.
  for (const each of [node, honest, stranger])
    await rerunDone(
      each,
      offered,
      (await rerunOf(each, jobId, 100)).rerun,
      each === honest ? 'right' : 'wrong',
    );
  await expect
    .poll(() => node.node.sink.at(1).join('\n'), WAIT)
    .toMatch(/b\.os did not sign: .*to the same/);
  await expect.poll(() => node.node.sink.at(1).join('\n'), WAIT).toMatch(/1 of 2 verifiers signed/);
  expect((await node.facilitator.Money({ jobId })).state).toBe('disputed');
  await until(72n * 3_600n + 10n);
  await comesTo(node, jobId, 'settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(85n * UNITS + 2_500_000n);
  await disposed(nodes);
}, 120_000);

test('T15 CM26 a conviction by several verifiers takes what the provider has reserved', async () => {
  const { network, nodes } = await quorum();
  network.setDown('b.os', true);
  const [node, , other] = nodes;
  node.alone = false;
  const offered = await assigned(node, builtinSpec(), DEAR);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered, { outputs: { 'out.txt': 'random' } }));
  await rerunDone(node, offered, (await rerunOf(node, jobId)).rerun, 'honest');
  await rerunDone(other, offered, (await rerunOf(other, jobId, 100)).rerun, 'honest');
  expect((await verdictOn(node, jobId)).outcome.kind).toBe('Convicted');
  await comesTo(node, jobId, 'refunded');
  expect(await node.facilitator.Credit({ account: client.address })).toBe(DEAR);
  await disposed(nodes);
}, 120_000);

test('T15 CM19 what another verifier is to sign has to be of the receipt, of a job that can be resolved, and of a peer', async () => {
  const { nodes } = await quorum();
  const [node, other] = nodes;
  const offered = await assigned(node);
  const asked = node.client(oracleContract, 'b.os@oracle:compute:sys');
  const run = await runOf(node, offered);
  const reruns = '[]';
  const resolution = {
    jobId: offered.jobId,
    receiptHash: run.result.receiptHash,
    upheld: true,
    payout: 0n,
    slash: 1n,
    evidenceHash: keccak256(Buffer.from(reruns)),
    issuedAt: 1n,
  };
  const request = { evidence: run, resolution, reruns };
  const refused = async (part: Partial<typeof request>, kind: string): Promise<void> => {
    await expect(asked.CosignResolution({ ...request, ...part })).rejects.toMatchObject({ kind });
  };
  await refused({ resolution: { ...resolution, receiptHash: saltOf('other') } }, 'BadEvidence');
  await refused({ reruns: '[{}]' }, 'BadEvidence');
  const forged = await runOf(node, offered, { by: client });
  const { receiptHash } = forged.result;
  await refused({ evidence: forged, resolution: { ...resolution, receiptHash } }, 'BadReceipt');
  const result = { ...run.result, outputs: [] };
  await refused({ evidence: { ...run, result } }, 'BadEvidence');
  const waiting = await funded(node);
  const early = await runOf(node, waiting);
  const of = { jobId: waiting.jobId, receiptHash: early.result.receiptHash };
  await refused({ evidence: early, resolution: { ...resolution, ...of } }, 'BadReceipt');
  await expect(oracleOf(other).CosignResolution(request)).rejects.toMatchObject({
    kind: 'Forbidden',
  });
  const part = { jobId: offered.jobId, attempt: 0, sha256: '00'.repeat(32), offset: 0, bytes: 1 };
  await expect(oracleOf(other).Shown(part)).rejects.toMatchObject({ kind: 'Forbidden' });
  await expect(asked.Shown(part)).rejects.toMatchObject({ kind: 'NotFound' });
  expect(other.heard.filter(({ kind }) => kind === 'RerunWanted')).toEqual([]);
  // The right one is weighed, and no verdict here is hindered by it.
  expect(await asked.CosignResolution(request)).toBeUndefined();
  expect((await rerunOf(other, offered.jobId, 100)).rerun).toBe(100);
  await disposed(nodes);
}, 120_000);

test('CM50 a power cut at any moment of a verdict gives one verdict, one payment, and the market hears of it', async () => {
  let node = await start();
  node.alone = false;
  const again = async (): Promise<void> => {
    node = await node.again();
    node.alone = false;
  };
  const offered = await assigned(node, builtinSpec(), DEAR);
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
  await until(601n);
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

/** Seconds from the newest block; the wall clock may be a little ahead of a chain that was reset. */
async function until(seconds: bigint): Promise<void> {
  const now = await chainNow(chain.rpc);
  const wall = BigInt(Math.floor(Date.now() / 1_000));
  const time = (now > wall ? now : wall) + seconds;
  await chain.rpc.batch([['evm_setNextBlockTimestamp', Number(time)], ['evm_mine']]);
}

async function nodeOnChain(): Promise<ChainNode> {
  const call = { to: NODE_REGISTRY, data: encodeNodes(NODE) };
  const node = decodeNode(String(await chain.rpc.request('eth_call', call, 'latest')));
  if (!node.ok) throw new Error(node.error);
  return node.value;
}

interface RerunWanted {
  readonly rerun: number;
  readonly notOperators: string[];
}

/** As often as it was asked for. */
function rerunsOf(node: MoneyNode, jobId: string, rerun: number): RerunWanted[] {
  return node.heard
    .filter(({ kind }) => kind === 'RerunWanted')
    .map(({ body }) => JSON.parse(body) as RerunWanted & { jobId: string })
    .filter((each) => each.jobId === jobId && each.rerun === rerun);
}

async function rerunOf(node: MoneyNode, jobId: string, rerun = 0): Promise<RerunWanted> {
  const find = (): RerunWanted | undefined => rerunsOf(node, jobId, rerun)[0];
  await expect.poll(find, WAIT).toBeDefined();
  return find()!;
}

function auditor(rerun: number): string {
  return `0x${String((rerun % 9) + 1).repeat(40)}`;
}

/** Another node ran it, free, and its output is this. */
async function rerunDone(
  node: MoneyNode,
  offered: OfferedTerms,
  rerun: number,
  output: string,
): Promise<void> {
  const run = await runOf(node, offered, { by: verifiers[2], outputs: { 'out.txt': output } });
  await oracleOf(node).RerunDone({
    jobId: offered.jobId,
    attempt: 0,
    rerun,
    node: { name: 'auditor.os', nodeId: saltOf('auditor'), operator: auditor(rerun) },
    result: run.result,
    artifacts: run.artifacts,
  });
}

test('CM8 a hundred paid jobs are funded, assigned, judged and settled in few transactions, and no job waits for the block of another', async () => {
  await using node = await start({ verdicts_per_minute: 6_000 });
  const COUNT = 100;
  // The highest tier: a hundred jobs at a time.
  const data = encodeStake(NODE, 90_000n * UNITS);
  await chain.rpc.send({ from: operator.address, to: NODE_REGISTRY, data });
  const sentBefore = await sentBy(platform.address);
  const began = performance.now();
  const waiting = Array.from({ length: COUNT }, (_, index) => index);
  const lanes = Array.from({ length: 50 }, async () => {
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      const offered = await windowless(node, index);
      await assign(node, offered);
      await oracleOf(node).Verify(await runOf(node, offered, { spec: UNAUDITED }));
      await stateOf(node, offered.jobId, 'settled');
    }
  });
  await Promise.all(lanes);
  const rate = Math.round((COUNT / (performance.now() - began)) * 1_000);
  const sent = (await sentBy(platform.address)) - sentBefore;
  process.stdout.write(`${rate} paid jobs/s, ${sent} transactions for ${COUNT} jobs\n`);
  // Three calls each.
  expect(sent).toBeLessThan(COUNT);
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(BigInt(COUNT) * 850_000n);
}, 120_000);

/** Nobody runs it again: audits take as long as they take. */
const UNAUDITED = builtinSpec({ verify: { mode: 'none' } });

async function sentBy(account: string): Promise<number> {
  return Number(await chain.rpc.request('eth_getTransactionCount', account, 'latest'));
}

/** A job for which its client signed terms without a window, paid from its allowance. */
async function windowless(node: MoneyNode, index: number): Promise<OfferedTerms> {
  const now = await chainNow(chain.rpc);
  const wall = BigInt(Math.floor(Date.now() / 1_000));
  const terms = {
    ...termsAt(now > wall ? now : wall, `windowless ${index}`),
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
