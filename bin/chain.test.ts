/** The chain side of a node: the development chain, its absence, and what packages are told of it. */
import { mkdtemp, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { publicProviders } from './chain-reads.ts';
import {
  beginChain,
  CHAIN_FILE,
  ChainConfigError,
  type ChainParts,
  ethOf,
  tellReaders,
} from './chain.ts';
import { rpcAt } from '../contracts/chain/rpc.ts';
import { systemClock } from '../kernel/clock.ts';
import { DEFAULT_PROVIDERS } from '../runtime-modules/eth/default-providers.ts';
import { TestPort } from '../runtime-modules/shared/testing.ts';

let home: string;
const told: string[] = [];
beforeEach(async () => {
  told.length = 0;
  home = await mkdtemp(join(tmpdir(), 'hyperloom-chain-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

function parts(config: ChainParts['config'], development = true): ChainParts {
  return { home, development, config, tell: (text) => void told.push(text) };
}

const blockAt = async (url: string): Promise<number> =>
  Number(await rpcAt(url.replace('ws:', 'http:')).request('eth_blockNumber'));

test('a development node has a chain of its own, and a second one may share it', async () => {
  await using first = beginChain(parts({}));
  const url = await first.url;
  expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
  const port = Number(new URL(url!).port);
  await using second = beginChain(parts({ fakechainPort: port }));
  expect(await second.url).toBe(url);
  await second[Symbol.asyncDispose]();
  // It was not the second one's to end.
  expect(await blockAt(url!)).toBeGreaterThan(0);
  expect(told).toEqual([fresh(`http://127.0.0.1:${port}`)]);
});

function fresh(url: string | undefined): string {
  return `its development chain is at ${url}, a new one: --keep-chain keeps it from start to start`;
}

test('where the usual port is taken the chain has another, and says which', async () => {
  // One of them has the usual port, unless somebody else has.
  await using one = beginChain(parts({}));
  await using other = beginChain(parts({}));
  const urls = [await one.url, await other.url];
  expect(new Set(urls).size).toBe(2);
  expect(told.toSorted()).toEqual(urls.map((url) => fresh(url?.replace('ws', 'http'))).toSorted());
});

test('a chain that is to be kept is as it was at the next start', async () => {
  let before: number;
  {
    await using chain = beginChain(parts({ keepChain: true }));
    const url = (await chain.url)!;
    await rpcAt(url.replace('ws:', 'http:')).request('anvil_mine', '0x7');
    before = await blockAt(url);
  }
  expect((await stat(join(home, CHAIN_FILE))).size).toBeGreaterThan(1_000);
  await using chain = beginChain(parts({ keepChain: true }));
  expect(await blockAt((await chain.url)!)).toBe(before);
});

test('without a chain the node says so in one line and goes on', async () => {
  // Something that is no chain has the port.
  await using server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await using chain = beginChain(parts({ fakechainPort: port }));
  expect(await chain.url).toBeUndefined();
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/there is no chain on this node: port \d+ is in use/);
});

test('a real node, and one that nobody told of chains, starts none', async () => {
  await using real = beginChain(parts({}, false));
  await using silent = beginChain(parts(undefined));
  expect([await real.url, await silent.url]).toEqual([undefined, undefined]);
});

test('E21 --rpc is a trusted provider in front of the defaults, and is kept', async () => {
  await using none = beginChain(parts(undefined));
  const needs = { port: new TestPort('eth'), clock: systemClock };
  await using module = await ethOf(parts({ rpc: 'wss://mine' }, false), none, needs);
  expect(module.hnsUpdates().map(({ name }) => name)).toContain('base-provider.hypr');
  const saved = JSON.parse(await readFile(join(home, '.eth_providers'), 'utf8')) as unknown[];
  expect(saved[0]).toEqual({
    chain_id: 8453,
    trusted: true,
    provider: { RpcUrl: { url: 'wss://mine' } },
  });
  expect(saved).toHaveLength(1 + publicProviders().length + DEFAULT_PROVIDERS.length);
  await expect(ethOf(parts({ rpcConfig: join(home, 'none') }, false), none, needs)).rejects.toThrow(
    ChainConfigError,
  );
});

test('packages that read names find in initfiles which ones', async () => {
  await mkdir(join(home, 'vfs'));
  await tellReaders(parts({}));
  const read = async (pkg: string): Promise<unknown> =>
    JSON.parse(await readFile(join(home, 'vfs', pkg, 'initfiles', 'chain.json'), 'utf8'));
  expect(await read('hns-indexer:sys')).toMatchObject({ chain_id: 31_337, first_block: 0 });
  expect(await read('names:sys')).toEqual(await read('hns-indexer:sys'));
  await tellReaders(parts({}, false));
  expect(await read('hypermap-cacher:sys')).toMatchObject({
    chain_id: 8453,
    hypermap: '0x000000000044C6B8Cb4d8f0F889a3E47664EAeda',
    first_block: 27_270_411,
  });
});
