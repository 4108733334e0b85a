/** The oracle with the facilitator on the embedded chain: disputes, and who has price, bond and stake after them. */
import { expect, test } from 'vitest';
import { TREASURY } from '../../contracts/addresses.ts';
import { client, payTo, UNITS } from '../../contracts/test/compute-market.ts';
import { stateOf } from './testing/facilitator.ts';
import {
  disputed,
  providerOn,
  rerunDone,
  rerunOf,
  startOracle,
  useOracleChain,
} from './testing/oracle.ts';

const chain = useOracleChain();

test('CM27 an upheld dispute gives bond and price back and takes the reservation', async () => {
  await using node = await startOracle(chain);
  const before = await providerOn(chain);
  const offered = await disputed(chain, node, 'wrong');
  await rerunDone(node, offered, (await rerunOf(node, offered.jobId, 100)).rerun, 'right');
  await stateOf(node, offered.jobId, 'settled');
  expect(node.moneyOf(offered.jobId)?.settled).toMatchObject({
    provider: 0n,
    clientRefund: 100n * UNITS,
  });
  expect(await node.facilitator.Credit({ account: client.address })).toBe(105n * UNITS);
  expect((await providerOn(chain)).stake).toBe(before.stake - 1_000n * UNITS);
}, 120_000);

test('CM27 a rejected dispute splits the bond between provider and treasury', async () => {
  await using node = await startOracle(chain);
  const offered = await disputed(chain, node, 'right');
  await rerunDone(node, offered, (await rerunOf(node, offered.jobId, 100)).rerun, 'right');
  await stateOf(node, offered.jobId, 'settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(85n * UNITS + 2_500_000n);
  expect(await node.facilitator.Credit({ account: TREASURY })).toBe(10n * UNITS + 2_500_000n);
}, 120_000);

test('CM27 F43 a dispute that nobody can resolve ends after 72 hours as it was proposed, half the bond the provider’s', async () => {
  await using node = await startOracle(chain);
  const offered = await disputed(chain, node, 'right');
  await chain.pass(72n * 3_600n + 10n);
  await stateOf(node, offered.jobId, 'settled');
  expect(await node.facilitator.Credit({ account: payTo.address })).toBe(85n * UNITS + 2_500_000n);
  expect(await node.facilitator.Credit({ account: client.address })).toBe(2_500_000n);
}, 120_000);
