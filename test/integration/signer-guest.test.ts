/** A component signs and sends by what its capabilities name, through the real signer, the real eth and a chain (F41). */
import { createSecretKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Transaction, verifyMessage, verifyTypedData } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HYPER } from '../../contracts/abi/constants.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { startChain, type Chain } from '../../contracts/chain/chain.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { systemClock } from '../../kernel/clock.ts';
import { eth } from '../../runtime-modules/eth/index.ts';
import { Secret } from '../../runtime-modules/identity/secret.ts';
import { signer } from '../../runtime-modules/signer/index.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { processId } from '../../wit/address.ts';
import { testNode, type TestNode } from '../support/node.ts';

const GUEST = 'main:till:me.os';
const OTHER = 'main:other:me.os';
const TRANSFER = '0xa9059cbb';
const SIGNER = { node: 'test.os', process: processId('signer:distro:sys') };
/** What a key holds of the token, and what a transfer sends. */
const UNITS = 1_000n;

let root: string;
let chain: Chain;
let node: TestNode;
let till: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hyperloom-signer-'));
  const source = fileURLToPath(new URL('../guests/lib-signer.ts', import.meta.url));
  const component = await buildComponent(source);
  chain = await startChain();
  node = await testNode();
  const { kernel } = node;
  const files = vfs({ root: join(root, 'vfs') })({ port: kernel.port('vfs') });
  kernel.registerModule(files);
  kernel.registerModule(
    signer({ folder: join(root, '.wallets') })({
      port: kernel.port('signer'),
      clock: systemClock,
      wallMs: () => Date.now(),
      fileKey: new Secret(createSecretKey(Buffer.alloc(32, 1))),
      files: files.hashes,
    }),
  );
  const url = { url: chain.webSocketUrl, auth: undefined };
  const provider = { kind: 'RpcUrl', value: url } as const;
  const defaults = [{ chain_id: chain.chainId, trusted: true, provider }];
  kernel.registerModule(
    await eth({ home: root, defaults })({ port: kernel.port('eth'), clock: systemClock }),
  );
  const messaging = { issuer: SIGNER, params: '"messaging"' };
  const held = [
    { create: 'till' },
    {
      key: 'till',
      domain: { name: 'Till', version: '1', chainId: chain.chainId },
      types: [{ type: 'Receipt(uint256 total)', value: 'total' }],
      perDay: '100',
    },
    { key: 'till', messages: ['hn/ad/v1'] },
    {
      key: 'till',
      chainId: chain.chainId,
      contract: HYPER,
      calls: [{ selector: TRANSFER, value: 1 }],
      perDay: '900',
      weiPerDay: '10000000000000000000',
    },
  ].map((params) => ({ issuer: SIGNER, params: JSON.stringify(params) }));
  await node.start(GUEST, component, { capabilities: [messaging, ...held] });
  await node.start(OTHER, component, { capabilities: [messaging] });
  till = await call('Create', 'till');
  await chain.rpc.request('anvil_setBalance', till, '0x8ac7230489e80000');
  const give = encodeCall('a9059cbb', [BigInt(till), UNITS]);
  await chain.rpc.send({ from: personas.alice.address, to: HYPER, data: give });
}, 240_000);
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await chain.close();
  await rm(root, { recursive: true, force: true });
});

async function call(method: string, args?: unknown, of = GUEST): Promise<string> {
  const body = JSON.stringify(args === undefined ? method : { [method]: args });
  const { text } = await node.ask(of, body, { seconds: 60 });
  const answer = JSON.parse(text) as object;
  return String(Object.values(answer)[0]);
}

const transferOf = (units: bigint): string =>
  encodeCall('a9059cbb', [BigInt(personas.bob.address), units]);
const hyperOf = async (who: string): Promise<bigint> => {
  const data = encodeCall('70a08231', [BigInt(who)]);
  return BigInt(String(await chain.rpc.request('eth_call', { to: HYPER, data }, 'latest')));
};

test('F41 a component knows the keys that its capabilities name, and no other', async () => {
  expect(await call('Keys')).toBe(till);
  expect(await call('Keys', undefined, OTHER)).toBe('');
  for (const name of ['other', 'till'])
    expect(await call('Create', name, OTHER)).toBe('NotPermitted');
  expect(await call('Create', 'other')).toBe('NotPermitted');
});

test('F41 a component signs typed data of its capability, up to its value per day', async () => {
  const signature = await call('Typed', { type: 'Receipt', total: '60' });
  const domain = { name: 'Till', version: '1', chainId: chain.chainId };
  const types = { Receipt: [{ name: 'total', type: 'uint256' }] };
  expect(verifyTypedData(domain, types, { total: 60n }, signature)).toBe(till);
  expect(await call('Typed', { type: 'Receipt', total: '41' })).toBe('OverBudget');
  expect(await call('Typed', { type: 'Permit', total: '1' })).toBe('NotPermitted');
  expect(await call('Typed', { type: 'Receipt', total: '1' }, OTHER)).toBe('NotPermitted');
});

test('F41 a component signs messages with the tag of its capability', async () => {
  expect(verifyMessage('hn/ad/v1\0bytes', await call('Message', 'hn/ad/v1'))).toBe(till);
  expect(await call('Message', 'hn/ad/v2')).toBe('NotPermitted');
  expect(await call('Message', 'hn/ad/v1', OTHER)).toBe('NotPermitted');
});

test('F41 a component signs transactions to the contract and selector of its capability', async () => {
  const raw = await call('Transaction', { to: HYPER, data: transferOf(10n) });
  expect(Transaction.from(raw)).toMatchObject({ from: till, to: HYPER });
  const approve = encodeCall('095ea7b3', [1n, 1n]);
  expect(await call('Transaction', { to: HYPER, data: approve })).toBe('NotPermitted');
  expect(await call('Transaction', { to: till, data: transferOf(1n) })).toBe('NotPermitted');
});

test('F41 a component sends, once for each id, within its value per day', async () => {
  const before = await hyperOf(personas.bob.address);
  const one = await call('Send', { id: 'one', to: HYPER, data: transferOf(300n) });
  expect(one).toMatch(/^0 0x[0-9a-f]{64}$/);
  expect(await call('Send', { id: 'one', to: HYPER, data: transferOf(300n) })).toBe(one);
  expect(await call('Send', { id: 'two', to: HYPER, data: transferOf(400n) })).toMatch(/^1 0x/);
  await expect.poll(() => call('State', 'two'), { timeout: 30_000 }).toBe('mined true');
  expect(await hyperOf(personas.bob.address)).toBe(before + 700n);
  expect(await call('Send', { id: 'three', to: HYPER, data: transferOf(191n) })).toBe('OverBudget');
  // More than the key has: the chain's own word, before anything is charged.
  const own = await call('Send', { id: 'one', to: HYPER, data: transferOf(1n) });
  expect(own).toBe('IdTaken');
  expect(await call('Send', { id: 'x', to: HYPER, data: transferOf(1_001n) })).toBe('Refused');
  expect(await call('State', 'one', OTHER)).toBe('NoSuchSend');
});
