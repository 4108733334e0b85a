/** The oracle with the facilitator on the embedded chain: verdicts, audits, convictions and disputes, and what crashes leave of them. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  COMPUTE_ESCROW,
  HYPER,
  NODE_REGISTRY,
  VERIFIER_SET,
} from '../../contracts/abi/constants.ts';
import { OWNER } from '../../contracts/addresses.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { openMarket } from '../../contracts/chain/market.ts';
import { decodeNode, encodeFund, encodeNodes } from '../../contracts/compute-calls.ts';
import { saltOf } from '../../contracts/compute.ts';
import {
  acceptanceOf,
  client,
  executor,
  NODE,
  payTo,
  platform,
  sign,
  UNITS,
  verifiers,
  wait,
} from '../../contracts/test/compute-market.ts';
import { MoneyNode } from '../../test/support/money-node.ts';
import { specHash } from '../../wit/jobs/spec.ts';
import type { Client } from '../lib/client.ts';
import { processId } from '../../wit/address.ts';
import oracle from './oracle/index.ts';
import type { OfferedTerms } from './shared/facilitator-contract.ts';
import { type GivenVerdict, givenVerdict, oracleContract } from './shared/oracle-contract.ts';
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
const start = (settings: Readonly<Record<string, unknown>> = {}): Promise<MoneyNode> =>
  MoneyNode.start({
    chainUrl: chain.webSocketUrl,
    platform,
    verifier: verifiers[0],
    settings: { auditors: 1, ...settings },
    also: { oracle: oracle as never },
  });
const oracleOf = (node: MoneyNode): Client<(typeof oracleContract)['methods']> =>
  node.client(oracleContract, processId('oracle:compute:sys'));

let intents = 0;
/** A job of 1 HYPER that is assigned to the provider, on the chain. */
async function assigned(
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
  await stateOf(node, offered.jobId, 'funded');
  await assign(node, offered);
  return offered;
}

async function assign(node: MoneyNode, { terms, jobId }: OfferedTerms, attempt = 0): Promise<void> {
  const acceptance = { ...acceptanceOf(terms), attempt };
  const signature = sign(executor, 'Acceptance', acceptance);
  await node.facilitator.Assign({ acceptance, signature });
  await stateOf(node, jobId, 'assigned');
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
  await wait(chain.rpc, 601);
  await stateOf(node, jobId, 'settled');
  expect(node.moneyOf(jobId)?.settled?.provider).toBe(850_000n);
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(850_000n);
}, 120_000);
