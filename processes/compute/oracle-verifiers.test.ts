/** The oracles of several nodes on the embedded chain: what takes the signatures of more than one verifier. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keccak256 } from 'ethers';
import { expect, test } from 'vitest';
import { type Persona, personas } from '../../contracts/chain/personas.ts';
import { OUTCOME, saltOf } from '../../contracts/compute.ts';
import {
  client,
  operator,
  payTo,
  UNITS,
  verdictOf,
  verifiers,
} from '../../contracts/test/compute-market.ts';
import { InMemoryNetwork } from '../../kernel/testing.ts';
import type { MoneyNode } from '../../test/support/money-node.ts';
import { oracleContract } from './shared/oracle-contract.ts';
import { builtinSpec } from './testing.ts';
import { comesTo, stateOf, WAIT } from './testing/facilitator.ts';
import {
  assigned,
  DEAR,
  disputed,
  funded,
  oracleOf,
  providerOn,
  rerunDone,
  rerunOf,
  runOf,
  startOracle,
  thresholds,
  useOracleChain,
  verdictOn,
} from './testing/oracle.ts';

const chain = useOracleChain();

test('T15 where two of three verifiers must sign, another node signs what it comes to itself, and nothing else', async () => {
  await thresholds(chain.rpc, 2n, 3n);
  const network = new InMemoryNetwork();
  await using node = await startOracle(
    chain,
    { peers: ['b.os', 'nobody.os'] },
    { network, name: 'a.os' },
  );
  const there = { network, name: 'b.os', platform: personas.ivan, verifier: verifiers[1] };
  await using other = await startOracle(chain, { peers: ['a.os'] }, there);
  const offered = await assigned(chain, node);
  const { jobId } = offered;
  await oracleOf(node).Verify(await runOf(node, offered));
  expect((await verdictOn(node, jobId)).outcome.kind).toBe('Pay');
  await stateOf(node, jobId, 'proposed');
  // What does not pass there is not signed there, whoever asks.
  const second = await assigned(chain, node);
  const run = await runOf(node, second, { receipt: { claimed: 5n } });
  const verdict = { ...verdictOf(run.result.receipt, 6n), checks: 63 };
  const request = { evidence: run, verdict, firstRecord: '0x00', lastRecord: '0x00' };
  await expect(oracleOf(other).Cosign(request)).rejects.toMatchObject({ kind: 'Forbidden' });
  const asked = node.client(oracleContract, 'b.os@oracle:compute:sys');
  await expect(asked.Cosign(request)).rejects.toMatchObject({ kind: 'Disagreed' });
  expect((await node.facilitator.Money({ jobId: second.jobId })).state).toBe('assigned');
  // Of two verdicts on one attempt one is signed, also when both are asked for at once.
  const third = await assigned(chain, node);
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
  await thresholds(chain.rpc, 1n, 2n);
  const network = new InMemoryNetwork();
  const names = ['a.os', 'b.os', 'c.os'];
  const peersOf = (name: string): { peers: string[] } => ({
    peers: names.filter((each) => each !== name),
  });
  const other = (name: string, verifier: Persona): Promise<MoneyNode> =>
    startOracle(chain, peersOf(name), { network, name, platform: personas.ivan, verifier });
  const first = await startOracle(chain, peersOf('a.os'), { network, name: 'a.os' });
  const rest = [await other('b.os', verifiers[1]), await other('c.os', third)] as const;
  for (const node of rest) node.alone = false;
  return { network, nodes: [first, ...rest] };
}

const disposed = (nodes: readonly MoneyNode[]): Promise<unknown> =>
  Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));

test('T15 CM27 CM50 a dispute is resolved by as many verifiers as the chain wants: each has the job run again, one is away, and all are killed meanwhile', async () => {
  const { network, nodes } = await quorum();
  network.setDown('c.os', true);
  const before = await providerOn(chain);
  let [node, other] = nodes;
  const input = 'what it works on';
  const sha256 = createHash('sha256').update(input).digest('hex');
  const spec = builtinSpec({ inputs: [{ path: 'in.txt', size: input.length, sha256 }] });
  await mkdir(join(node.home, 'vfs', 'compute:sys', 'runs'), { recursive: true });
  await writeFile(join(node.home, 'vfs', 'compute:sys', 'runs', sha256), input);
  const offered = await disputed(chain, node, 'wrong', spec);
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
  expect((await providerOn(chain)).stake).toBe(before.stake - 1_000n * UNITS);
  await disposed([node, other, nodes[2]]);
}, 120_000);

test('T15 CM27 a resolution that is false is signed by nobody else, a key that is no verifier’s counts for nothing, and after 72 hours the proposal stands', async () => {
  const { nodes } = await quorum(personas.heidi);
  const [node, honest, stranger] = nodes;
  const offered = await disputed(chain, node, 'right');
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
  await chain.pass(72n * 3_600n + 10n);
  await comesTo(node, jobId, 'settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(85n * UNITS + 2_500_000n);
  await disposed(nodes);
}, 120_000);

test('T15 CM26 a conviction by several verifiers takes what the provider has reserved', async () => {
  const { network, nodes } = await quorum();
  network.setDown('b.os', true);
  const [node, , other] = nodes;
  node.alone = false;
  const offered = await assigned(chain, node, builtinSpec(), DEAR);
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
  const offered = await assigned(chain, node);
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
  const waiting = await funded(chain, node);
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
