/** The indexer on the embedded chain: what it answers, what net hears, and what reorganisations and restarts leave of it. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { HYPERMAP, HYPER_ACCOUNT, MULTICALL3 } from '../../contracts/addresses.ts';
import { encodeExecute, encodeMint, encodeNote, encodeNotes } from '../../contracts/calls.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { accountOf } from '../../contracts/chain/genesis.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { encodeRouters } from '../../contracts/notes.ts';
import type { Hex } from '../../contracts/hex.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { TestProvider } from '../../runtime-modules/eth/testing.ts';
import { IndexerNode } from '../../test/support/indexer-node.ts';
import { keyOf, mintLog, nodeLogs } from './testing.ts';

const PARROT = new URL('../../test/guests/parrot.ts', import.meta.url).pathname;
const { alice } = personas;
const where = { hypermap: HYPERMAP, multicall: MULTICALL3 };

let chain: Chain;
let snapshot: unknown;
beforeAll(async () => {
  chain = await startChain();
}, 60_000);
afterAll(() => chain.close());
beforeEach(async () => {
  snapshot = await chain.rpc.request('evm_snapshot');
});
afterEach(() => chain.rpc.request('evm_revert', snapshot));

const trusted = (): { providers: { url: string; trusted: boolean }[] } => ({
  providers: [{ url: chain.webSocketUrl, trusted: true }],
});

type Notes = Readonly<Record<string, Hex>>;

/** Registers a name under `os` with notes, as a node does. */
async function register(label: string, notes: Notes = direct(1)): Promise<void> {
  const list = Object.entries(notes).map(([name, data]) => ({ label: name, data }));
  const initialization = list.length === 0 ? '0x' : encodeNotes(where, list);
  const who = alice.address;
  const data = encodeMint({ who, label, initialization, implementation: HYPER_ACCOUNT });
  await chain.rpc.send({ from: who, to: accountOf('os'), data });
}

async function note(name: string, label: string, data: Hex): Promise<void> {
  const call = encodeExecute({ to: HYPERMAP, data: encodeNote(label, data), operation: 0 });
  await chain.rpc.send({ from: alice.address, to: accountOf(name), data: call });
}

function direct(seed: number): Notes {
  return { '~net-key': keyOf(seed), '~ip': '0x0a000001', '~ws-port': '0x2328' };
}

const info = (name: string, block = 0): unknown => ({ NodeInfo: { name, block } });
const block = async (): Promise<number> => Number(await chain.rpc.request('eth_blockNumber'));

const WAIT = { timeout: 60_000, interval: 500 };

const DIRECT = {
  name: 'first.os',
  public_key: keyOf(1).slice(2),
  ips: ['10.0.0.1'],
  ports: [['ws', 9_000]],
  routers: [],
};

test('HM19 HM22 names and nodes are read from the chain, answered, and told to net once they are complete', async () => {
  await register('first');
  await register('second', { '~net-key': keyOf(2) });
  await using indexer = await IndexerNode.start(trusted());
  expect(await indexer.ask(info('first.os', await block()))).toEqual({ NodeInfo: DIRECT });
  expect(indexer.told('first.os')).toEqual([
    'first.os',
    DIRECT.public_key,
    ['10.0.0.1'],
    { ws: 9_000 },
    [],
  ]);
  expect(indexer.told('second.os')).toBeUndefined();
  expect(await indexer.ask(info('second.os'))).toMatchObject({
    NodeInfo: { public_key: keyOf(2).slice(2), ips: [], ports: [] },
  });
}, 120_000);

test('HM24 a hash has its name, an unknown one has none', async () => {
  await register('first');
  await using indexer = await IndexerNode.start(trusted());
  const ask = async (hash: string): Promise<unknown> =>
    indexer.ask({ NamehashToName: { hash, block: await block() } });
  expect(await ask(namehash('first.os'))).toEqual({ Name: 'first.os' });
  expect(await ask(namehash('os'))).toEqual({ Name: 'os' });
  expect(await ask(namehash('never.os'))).toEqual({ Name: null });
  expect(await ask('nonsense')).toEqual({ Name: null });
}, 120_000);

test('HM26 P65 what happens later arrives, and who asks for its block waits for it', async () => {
  await using indexer = await IndexerNode.start(trusted());
  const next = (await block()) + 1;
  const asked = indexer.ask(info('first.os', next));
  await register('first');
  expect(await asked).toEqual({ NodeInfo: DIRECT });
  await note('first.os', '~ws-port', '0x2329');
  await expect.poll(() => indexer.told('first.os')?.[3]).toEqual({ ws: 9_001 });
}, 120_000);

test('HM26 what happens before the chain can be listened to arrives as soon as it can', async () => {
  let listens = 0;
  await using provider = await TestProvider.start(async ({ method, params }) => {
    if (method === 'eth_unsubscribe') return { result: true };
    if (method !== 'eth_subscribe')
      return { result: await chain.rpc.request(method, ...(params as unknown[])) };
    listens += 1;
    // Once it listens it never hears anything.
    return listens === 1 ? { error: { code: -32_000, message: 'not yet' } } : { result: '0x1' };
  });
  await using indexer = await IndexerNode.start({
    providers: [{ url: provider.url, trusted: true }],
  });
  await indexer.ask(info('first.os', await block()));
  await expect.poll(() => listens).toBe(1);
  await register('first');
  await expect.poll(() => indexer.told('first.os'), WAIT).toBeDefined();
}, 120_000);

test('HM21 the newest of ~ip and ~routers decides how a node is reached', async () => {
  await register('router', direct(7));
  await register('first');
  await using indexer = await IndexerNode.start(trusted());
  await note('first.os', '~routers', encodeRouters(['router.os']));
  const after = async (): Promise<unknown> => indexer.ask(info('first.os', await block()));
  expect(await after()).toMatchObject({ NodeInfo: { ips: [], ports: [], routers: ['router.os'] } });
  expect(indexer.told('first.os')?.[4]).toEqual(['router.os']);
  await note('first.os', '~ip', '0x0a000009');
  expect(await after()).toMatchObject({ NodeInfo: { ips: ['10.0.0.9'], routers: [] } });
}, 120_000);

test('a reorganisation takes back names and notes', async () => {
  await register('first');
  await using indexer = await IndexerNode.start(trusted());
  await indexer.ask(info('first.os', await block()));
  const fork = await chain.rpc.request('evm_snapshot');
  await note('first.os', '~ws-port', '0x0001');
  await register('gone', direct(3));
  expect(await indexer.ask(info('gone.os', await block()))).toMatchObject({
    NodeInfo: { name: 'gone.os' },
  });
  await chain.rpc.request('evm_revert', fork);
  await register('other', direct(4));
  await register('more', direct(5));
  await register('most', direct(6));
  expect(await indexer.ask(info('most.os', await block()))).toMatchObject({
    NodeInfo: { name: 'most.os' },
  });
  expect(await indexer.ask(info('gone.os'))).toEqual({ NodeInfo: null });
  expect(await indexer.ask(info('first.os'))).toEqual({ NodeInfo: DIRECT });
  expect(indexer.told('first.os')?.[3]).toEqual({ ws: 9_000 });
  const hash = namehash('gone.os');
  expect(await indexer.ask({ NamehashToName: { hash, block: 0 } })).toEqual({ Name: null });
}, 120_000);

test('a chain that is started anew is another one: its names are read from its beginning, and those of before are gone', async () => {
  const first = await startChain();
  await using indexer = await IndexerNode.start({
    providers: [{ url: first.webSocketUrl, trusted: true }],
  });
  const old = first.rpc;
  const mint = (label: string): { from: string; to: string; data: string } => ({
    from: alice.address,
    to: accountOf('os'),
    data: encodeMint({
      who: alice.address,
      label,
      initialization: '0x',
      implementation: HYPER_ACCOUNT,
    }),
  });
  await old.send(mint('before'));
  const hash = (name: string): unknown => ({ NamehashToName: { hash: namehash(name), block: 0 } });
  const named = async (name: string): Promise<unknown> => indexer.ask(hash(name));
  await expect.poll(() => named('before.os'), WAIT).toEqual({ Name: 'before.os' });
  const { port } = first;
  await first.close();
  await using second = await startChain({ port });
  await second.rpc.send(mint('after'));
  await expect.poll(() => named('after.os'), WAIT).toEqual({ Name: 'after.os' });
  expect(await named('before.os')).toEqual({ Name: null });
  expect(await named('os')).toEqual({ Name: 'os' });
  expect(indexer.prints.join('\n')).toMatch(/the chain is another one|names are indexed anew/);
}, 180_000);

test('HM25 a restart goes on from the checkpoint and tells net of everything again', async () => {
  await register('first');
  await using indexer = await IndexerNode.start(trusted());
  await indexer.ask(info('first.os', await block()));
  await expect.poll(() => indexer.prints.join('\n')).toMatch(/persisted state/);
  indexer.net.batches.length = 0;
  // What is gone from the provider can only come from the checkpoint.
  const until = await block();
  await indexer.restart();
  expect(await indexer.ask(info('first.os'))).toEqual({ NodeInfo: DIRECT });
  expect(indexer.told('first.os')).toBeDefined();
  await register('later', direct(9));
  expect(await indexer.ask(info('later.os', until + 1))).toMatchObject({
    NodeInfo: { name: 'later.os' },
  });
}, 120_000);

test('HM23 a name that is not indexed yet is read from the chain, and net hears of it', async () => {
  await register('first');
  const head = await block();
  // Nothing before the head is indexed, so only a lookup can know.
  await using indexer = await IndexerNode.start({ ...trusted(), firstBlock: head + 1_000 });
  expect(await indexer.ask(info('first.os'))).toEqual({ NodeInfo: DIRECT });
  expect(indexer.told('first.os')).toBeDefined();
  expect(await indexer.ask(info('never.os'))).toEqual({ NodeInfo: null });
  expect(await indexer.ask(info('not a name'))).toEqual({ NodeInfo: null });
}, 120_000);

test('F34 F35 what one provider says that nobody trusts names nodes and connects to none', async () => {
  await register('first');
  const [lonely] = trusted().providers;
  await using indexer = await IndexerNode.start({
    providers: [{ url: lonely!.url, trusted: false }],
  });
  const hash = namehash('first.os');
  expect(await indexer.ask({ NamehashToName: { hash, block: await block() } })).toEqual({
    Name: 'first.os',
  });
  expect(await indexer.ask(info('first.os'))).toEqual({ NodeInfo: null });
  expect(indexer.told('first.os')).toBeUndefined();
  expect(indexer.prints.filter((text) => text.includes('no provider of chain 31337'))).toHaveLength(
    1,
  );
}, 120_000);

test('F35 two providers that agree are as good as one that is trusted', async () => {
  await register('first');
  await using indexer = await IndexerNode.start({
    providers: [
      { url: chain.webSocketUrl, trusted: false },
      // The same chain under another name.
      { url: `ws://localhost:${chain.port}`, trusted: false },
    ],
  });
  expect(await indexer.ask(info('first.os', await block()))).toEqual({ NodeInfo: DIRECT });
  expect(indexer.told('first.os')).toBeDefined();
}, 120_000);

test('F34 a key from a snapshot reaches net only as the chain has it', async () => {
  await register('first');
  await chain.rpc.request('anvil_mine', '0x46');
  const head = await block();
  await using indexer = await IndexerNode.start({
    ...trusted(),
    cacheSources: ['peer.os'],
    idle: true,
  });
  // The snapshot has a key of somebody else, and a name that nobody minted.
  const forged = [mintLog('os'), ...nodeLogs('first.os', 666), ...nodeLogs('never.os', 667)];
  const metadata = { chainId: '31337', fromBlock: '0', toBlock: String(head) };
  const caches = JSON.stringify([{ metadata, logs: forged }]);
  const answer = { GetLogsByRange: { Ok: { Logs: [head, caches] } } };
  const cacher = 'hypermap-cacher:hypermap-cacher:sys';
  await indexer.node.start(cacher, await buildComponent(PARROT));
  await indexer.node.ask(cacher, `say ${JSON.stringify(answer)}`);
  await indexer.startProcesses();
  expect(await indexer.ask(info('first.os', head))).toEqual({ NodeInfo: DIRECT });
  expect(indexer.prints).toContain(
    `hns-indexer:sys: names up to block ${head} come from the cacher`,
  );
  expect(await indexer.ask(info('never.os'))).toMatchObject({
    NodeInfo: { public_key: '', ips: [] },
  });
  expect(indexer.told('first.os')?.[1]).toBe(DIRECT.public_key);
  const keys = indexer.net.batches.flat().map(([, key]) => key);
  expect(keys).not.toContain(keyOf(666).slice(2));
  expect(keys).not.toContain(keyOf(667).slice(2));
}, 120_000);

test('F34 hints that nobody can confirm are checked again, without another block', async () => {
  await register('first');
  const head = await block();
  let refused = 0;
  let away = true;
  await using provider = await TestProvider.start(async ({ method, params }) => {
    if (method === 'eth_unsubscribe') return { result: true };
    // It listens and never hears anything.
    if (method === 'eth_subscribe') return { result: '0x1' };
    if (method === 'eth_call' && away) {
      refused += 1;
      return { error: { code: -32_000, message: 'not now' } };
    }
    return { result: await chain.rpc.request(method, ...(params as unknown[])) };
  });
  await using indexer = await IndexerNode.start({
    providers: [{ url: provider.url, trusted: true }],
    cacheSources: ['peer.os'],
    idle: true,
  });
  const logs = [mintLog('os'), ...nodeLogs('first.os', 666)];
  const metadata = { chainId: '31337', fromBlock: '0', toBlock: String(head) };
  const caches = JSON.stringify([{ metadata, logs }]);
  const cacher = 'hypermap-cacher:hypermap-cacher:sys';
  await indexer.node.start(cacher, await buildComponent(PARROT));
  const answer = { GetLogsByRange: { Ok: { Logs: [head, caches] } } };
  await indexer.node.ask(cacher, `say ${JSON.stringify(answer)}`);
  await indexer.startProcesses();
  await expect.poll(() => refused, WAIT).toBeGreaterThan(0);
  // Longer than what the start looks at by itself.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(indexer.told('first.os')).toBeUndefined();
  away = false;
  await expect.poll(() => indexer.told('first.os')?.[1], WAIT).toBe(DIRECT.public_key);
}, 120_000);

test('GetState tells everything, and Reset is for the package itself', async () => {
  await register('first');
  await using indexer = await IndexerNode.start(trusted());
  await indexer.ask(info('first.os', await block()));
  const { GetState: state } = (await indexer.ask({ GetState: { block: 0 } })) as {
    GetState: Record<string, unknown>;
  };
  expect(state).toMatchObject({ chain_id: 31_337, last_block: await block() });
  expect(state['names']).toContainEqual([namehash('first.os'), 'first.os']);
  expect(state['nodes']).toContainEqual(['first.os', DIRECT]);
  expect(await indexer.ask('Reset')).toEqual({ Reset: { Err: 'NoRootCap' } });
}, 120_000);
