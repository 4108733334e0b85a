/**
 * A chain that is killed and started again from an older file, as a development chain is: money and what is told of it agree again, wherever
 * it was killed and however far it went back.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { COMPUTE_ESCROW } from '../../contracts/abi/constants.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { openMarket } from '../../contracts/chain/market.ts';
import { decodeJob, encodeGetJob } from '../../contracts/compute-calls.ts';
import { client, payTo, platform, UNITS, wait } from '../../contracts/test/compute-market.ts';
import { MoneyNode } from '../../test/support/money-node.ts';
import type { OfferedTerms } from './shared/facilitator-contract.ts';
import { transfer } from './testing.ts';
import { assign, propose, wish } from './testing/facilitator.ts';

const WAIT = { timeout: 100_000, interval: 50 };

let folder: string;
let chain: Chain;
let node: MoneyNode;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-rollback-'));
  chain = await startChain({ stateFile: join(folder, 'chain'), saveEveryMs: 3_600_000 });
  await openMarket(chain.rpc);
  node = await MoneyNode.start({ chainUrl: chain.webSocketUrl, platform });
}, 60_000);
afterEach(async () => {
  await node[Symbol.asyncDispose]();
  await chain.close();
  await rm(folder, { recursive: true, force: true });
});

async function save(name: string): Promise<void> {
  await chain.save();
  await copyFile(join(folder, 'chain'), join(folder, name));
}

async function killAndReturnTo(name: string): Promise<void> {
  const { pid, port, ended } = chain;
  process.kill(pid, 'SIGKILL');
  await ended;
  await chain.close().catch(() => undefined);
  const stateFile = join(folder, 'chain');
  await copyFile(join(folder, name), stateFile);
  chain = await startChain({ stateFile, saveEveryMs: 3_600_000, port });
}

/** What brings a job from one state to the next, in order. */
const STEPS = ['funded', 'assigned', 'proposed'] as const;

async function step(offered: OfferedTerms, to: (typeof STEPS)[number]): Promise<void> {
  switch (to) {
    case 'funded':
      return node.facilitator.Fund({ jobId: offered.jobId, payment: transfer(offered) });
    case 'assigned':
      return assign(node, offered.terms);
    case 'proposed':
      return propose(node, offered.terms, offered.terms.amount);
    default:
      return to satisfies never;
  }
}

/** On the chain, and as the facilitator sees it, which hears of it later. */
async function comesTo(jobId: string, state: string): Promise<void> {
  const now = async (): Promise<readonly unknown[]> => {
    const call = { to: COMPUTE_ESCROW, data: encodeGetJob(jobId) };
    const job = decodeJob(String(await chain.rpc.request('eth_call', call, 'latest')));
    const money = await node.facilitator.Money({ jobId });
    return [job.ok && job.value.state, money.state];
  };
  await expect.poll(now, WAIT).toEqual([state, state]);
}

/** Paid once, and the market heard of it. */
async function settles(jobId: string): Promise<void> {
  await wait(chain.rpc, 601);
  await expect.poll(() => node.moneyOf(jobId)?.state, WAIT).toBe('settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(85n * UNITS);
  expect(await node.facilitator.Credit({ account: client.address })).toBe(0n);
}

test('CM48 CM50 a chain that is killed the moment it was paid, and goes back to before: it is paid again', async () => {
  for (const waitMs of [0, 40, 80, 120, 160, 200, 300, 500]) {
    const offered = await node.facilitator.Terms(wish());
    await save('then');
    await step(offered, 'funded');
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await killAndReturnTo('then');
    await comesTo(offered.jobId, 'funded');
  }
}, 240_000);

/** Until the facilitator has seen all that it sent. */
const IDLE_MS = 1_000;
/** The signer looks at what is mined so often. */
const SETTLED_MS = 33_000;

for (const blocks of [20, 80])
  test(`CM48 CM50 a chain that goes back further than it ever should, ${blocks} blocks: jobs in every state come to where they were, and each is paid once`, async () => {
    await save('then');
    const jobs = await Promise.all(STEPS.map(() => node.facilitator.Terms(wish())));
    const [, assigned, proposed] = jobs as [OfferedTerms, OfferedTerms, OfferedTerms];
    const advance = async (to: (typeof STEPS)[number], ...some: OfferedTerms[]): Promise<void> => {
      for (const each of some) await step(each, to);
      for (const { jobId } of some) await comesTo(jobId, to);
    };
    await advance('funded', proposed);
    await chain.rpc.request('anvil_mine', `0x${blocks.toString(16)}`);
    // Nothing of it is kept by the signer now that it could send again.
    await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
    await advance('funded', ...jobs.slice(0, 2));
    await advance('assigned', assigned, proposed);
    await advance('proposed', proposed);
    await killAndReturnTo('then');
    for (const [index, { jobId }] of jobs.entries()) await comesTo(jobId, STEPS[index]!);
    await settles(proposed.jobId);
  }, 240_000);

test('CM48 CM50 a chain that is killed anywhere goes back to wherever it was saved, and the job goes on from where it was', async () => {
  const ways = ['unpaid', ...STEPS].flatMap((_, at) => STEPS.slice(at).map((to) => ({ at, to })));
  for (const { at, to } of ways) {
    const offered = await node.facilitator.Terms(wish());
    const { jobId } = offered;
    const reach = async (steps: readonly (typeof STEPS)[number][]): Promise<void> => {
      for (const each of steps) {
        await step(offered, each);
        await comesTo(jobId, each);
      }
    };
    const killed = STEPS.indexOf(to) + 1;
    await reach(STEPS.slice(0, at));
    await save('then');
    await reach(STEPS.slice(at, killed));
    // Nothing is under way any more, and nobody looks for it.
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    await killAndReturnTo('then');
    await comesTo(jobId, to);
    await reach(STEPS.slice(killed));
  }
}, 240_000);
