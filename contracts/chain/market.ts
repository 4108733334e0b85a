/**
 * People of the compute market on the embedded chain, and what makes it one where jobs are done: three verifiers and a provider that is
 * registered and has stake. Signatures are the chain's own: it has the keys of the personas.
 */
import { COMPUTE_ESCROW, HYPER, NODE_REGISTRY, VERIFIER_SET } from '../abi/constants.ts';
import { CHAIN_ID, HYPER_ACCOUNT, OWNER } from '../addresses.ts';
import { encodeCall, encodeMint } from '../calls.ts';
import { encodeNodeRecord, encodeStake } from '../compute-calls.ts';
import { registryDomain, saltOf, typedDataOf } from '../compute.ts';
import { namehash } from '../hypermap.ts';
import { accountOf } from './genesis.ts';
import { personas } from './personas.ts';
import type { Rpc } from './rpc.ts';

/** Who is what. `platform` is the coordinator; `operator` has the provider's stake, `payTo` its earnings, `executor` its hot key. */
export const marketPersonas = {
  client: personas.bob,
  platform: personas.dave,
  operator: personas.alice,
  executor: personas.grace,
  payTo: personas.heidi,
  /** The first one is a verifier from the start. */
  verifiers: [personas.carol, personas.erin, personas.frank],
  treasury: personas.ivan,
} as const;

/** The provider's name below `os`, and the stake that makes it Professional, in millionths of HYPER. */
export const PROVIDER_LABEL = 'provider';
export const PROVIDER_STAKE_UNITS = 10_000n * 10n ** 6n;

const EVERYTHING = 2n ** 256n - 1n;

/**
 * Verdicts by 2 of 3, disputes by 3 of 3, the client's and the provider's allowances, and `provider.os` registered with its stake. On a
 * chain of profile `fake`, once.
 */
export async function openMarket(rpc: Rpc): Promise<void> {
  const { client, executor, operator, payTo, verifiers } = marketPersonas;
  const approve = (spender: string): string =>
    encodeCall('095ea7b3', [BigInt(spender), EVERYTHING]);
  const byOwner = (data: string): Promise<void> =>
    rpc.send({ from: OWNER, to: VERIFIER_SET, data });
  const byOperator = (to: string, data: string): Promise<void> =>
    rpc.send({ from: operator.address, to, data });
  // addVerifier(address), setThresholds(uint64,uint64)
  for (const { address } of verifiers.slice(1))
    await byOwner(encodeCall('9000b3d6', [BigInt(address)]));
  await byOwner(encodeCall('a1cbdf12', [2n, 3n]));
  await rpc.send({ from: client.address, to: HYPER, data: approve(COMPUTE_ESCROW) });
  const mint = { who: operator.address, label: PROVIDER_LABEL, initialization: '0x' };
  await byOperator(accountOf('os'), encodeMint({ ...mint, implementation: HYPER_ACCOUNT }));
  const nodeId = namehash(`${PROVIDER_LABEL}.os`);
  const registration = { nodeId, operator: operator.address, executor: executor.address };
  const asked = typedDataOf(registryDomain(CHAIN_ID, NODE_REGISTRY), 'Registration', registration);
  const executorSignature = await rpc.request('eth_signTypedData_v4', executor.address, asked);
  const record = {
    nodeId,
    executor: executor.address,
    payTo: payTo.address,
    metaHash: saltOf('device'),
    executorSignature: String(executorSignature),
  };
  await byOperator(NODE_REGISTRY, encodeNodeRecord('register', record));
  await byOperator(HYPER, approve(NODE_REGISTRY));
  await byOperator(NODE_REGISTRY, encodeStake(nodeId, PROVIDER_STAKE_UNITS));
}
