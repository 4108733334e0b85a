/** A node with the oracle on the embedded chain, for its tests: runs that are given to it, and reruns that others make for it. */
import { expect } from 'vitest';
import { COMPUTE_ESCROW, NODE_REGISTRY, VERIFIER_SET } from '../../../contracts/abi/constants.ts';
import { OWNER } from '../../../contracts/addresses.ts';
import { encodeCall } from '../../../contracts/calls.ts';
import type { Rpc } from '../../../contracts/chain/rpc.ts';
import {
  type ChainNode,
  decodeNode,
  encodeFund,
  encodeNodes,
} from '../../../contracts/compute-calls.ts';
import { saltOf } from '../../../contracts/compute.ts';
import {
  client,
  executor,
  NODE,
  UNITS,
  verifiers,
} from '../../../contracts/test/compute-market.ts';
import type { MoneyNode, MoneyOptions } from '../../../test/support/money-node.ts';
import { specHash } from '../../../wit/jobs/spec.ts';
import type { Client } from '../../lib/client.ts';
import oracle from '../oracle/index.ts';
import type { OfferedTerms } from '../shared/facilitator-contract.ts';
import { type GivenVerdict, givenVerdict, oracleContract } from '../shared/oracle-contract.ts';
import { builtinSpec, makeRun, type MadeRun } from '../testing.ts';
import { assign, stateOf, WAIT, wish } from './facilitator.ts';
import { type MarketChain, useMarketChain } from './market-chain.ts';

/** A price at which every run is audited. */
export const DEAR = 1_000n * UNITS;

/** One verifier, as on a development node: verdicts and disputes. */
export function useOracleChain(): MarketChain {
  return useMarketChain((rpc) => thresholds(rpc, 1n, 1n));
}

/** How many verifiers have to sign a verdict, and a resolution. */
export function thresholds(rpc: Rpc, verdicts: bigint, resolutions: bigint): Promise<unknown> {
  const data = encodeCall('a1cbdf12', [verdicts, resolutions]);
  return rpc.send({ from: OWNER, to: VERIFIER_SET, data });
}

/** A node with both, and the first verifier's key. */
export function startOracle(
  chain: MarketChain,
  settings: Readonly<Record<string, unknown>> = {},
  more: Partial<MoneyOptions> = {},
): Promise<MoneyNode> {
  return chain.node({
    verifier: verifiers[0],
    settings: { auditors: 1, ...settings },
    also: { oracle: oracle as never },
    ...more,
  });
}

export const oracleOf = (node: MoneyNode): Client<(typeof oracleContract)['methods']> =>
  node.client(oracleContract, 'oracle:compute:sys');

/** A job of 1 HYPER that is assigned to the provider, on the chain. */
export async function assigned(
  chain: MarketChain,
  node: MoneyNode,
  spec = builtinSpec(),
  amount = 1n * UNITS,
): Promise<OfferedTerms> {
  const offered = await funded(chain, node, spec, amount);
  await stateOf(node, offered.jobId, 'funded');
  await take(node, offered);
  return offered;
}

/** A job of 1 HYPER that its client has paid for. */
export async function funded(
  chain: MarketChain,
  node: MoneyNode,
  spec = builtinSpec(),
  amount = 1n * UNITS,
): Promise<OfferedTerms> {
  const asked = wish({ amount, specHash: specHash(spec), attempts: 3 });
  const offered = await node.facilitator.Terms(asked);
  const data = encodeFund(offered.terms);
  await chain.rpc.send({ from: client.address, to: COMPUTE_ESCROW, data });
  return offered;
}

/** The provider takes it, and the market has heard of it. */
export async function take(
  node: MoneyNode,
  { terms, jobId }: OfferedTerms,
  attempt = 0,
): Promise<void> {
  await assign(node, terms, attempt);
  await stateOf(node, jobId, 'assigned');
}

/** Proposed and disputed by the client. */
export async function disputed(
  chain: MarketChain,
  node: MoneyNode,
  output: string,
  spec = builtinSpec(),
): Promise<OfferedTerms> {
  const offered = await assigned(chain, node, spec, 100n * UNITS);
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

/** The provider's, as the node's market hands it to the oracle. */
export const runOf = (
  node: MoneyNode,
  offered: OfferedTerms,
  part: Partial<MadeRun> = {},
): ReturnType<typeof makeRun> =>
  makeRun({ home: node.home, spec: builtinSpec(), offered, by: executor, ...part });

function heardVerdict(node: MoneyNode, jobId: string, attempt: number): GivenVerdict | undefined {
  const found = node.heard
    .filter(({ kind }) => kind === 'VerdictGiven')
    .map(({ body }) => givenVerdict.decode(body))
    .find((each) => each.ok && each.value.jobId === jobId && each.value.attempt === attempt);
  return found?.ok === true ? found.value : undefined;
}

/** Once the market has heard it. */
export async function verdictOn(
  node: MoneyNode,
  jobId: string,
  attempt = 0,
): Promise<GivenVerdict> {
  await expect.poll(() => heardVerdict(node, jobId, attempt), WAIT).toBeDefined();
  return heardVerdict(node, jobId, attempt)!;
}

/** The provider, as the registry has it. */
export async function providerOn({ rpc }: MarketChain): Promise<ChainNode> {
  const call = { to: NODE_REGISTRY, data: encodeNodes(NODE) };
  const node = decodeNode(String(await rpc.request('eth_call', call, 'latest')));
  if (!node.ok) throw new Error(node.error);
  return node.value;
}

interface RerunWanted {
  readonly rerun: number;
  readonly notOperators: string[];
}

/** As often as it was asked for. */
export function rerunsOf(node: MoneyNode, jobId: string, rerun: number): RerunWanted[] {
  return node.heard
    .filter(({ kind }) => kind === 'RerunWanted')
    .map(({ body }) => JSON.parse(body) as RerunWanted & { jobId: string })
    .filter((each) => each.jobId === jobId && each.rerun === rerun);
}

/** Once it is asked for. */
export async function rerunOf(node: MoneyNode, jobId: string, rerun = 0): Promise<RerunWanted> {
  const find = (): RerunWanted | undefined => rerunsOf(node, jobId, rerun)[0];
  await expect.poll(find, WAIT).toBeDefined();
  return find()!;
}

/** The operator of the node that makes a rerun. */
export function auditor(rerun: number): string {
  return `0x${String((rerun % 9) + 1).repeat(40)}`;
}

/** Another node ran it, free, and its output is this. */
export async function rerunDone(
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
