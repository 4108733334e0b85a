/** What a node that is not up yet believes of its chain, with providers that answer what the test says. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  BASE_CHAIN_ID,
  keepProviders,
  NodeReads,
  providersOf,
  shownProviders,
} from './chain-reads.ts';
import { systemClock } from '../kernel/clock.ts';
import { type RpcCall, TestProvider } from '../runtime-modules/eth/testing.ts';
import { IdentityError } from '../runtime-modules/identity/development.ts';
import type { ProviderConfig } from '../wit/eth-api.ts';

let home: string;
let told: string[];
let open: AsyncDisposableStack;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'chain-reads-'));
  told = [];
  open = new AsyncDisposableStack();
});
afterEach(async () => {
  await open.disposeAsync();
  await rm(home, { recursive: true, force: true });
});

/** A provider of Base unless it says otherwise; `answer` is what calls return. */
async function provider(
  answer: unknown,
  { chainId = '0x2105', hash = '0xaa' }: { chainId?: string; hash?: string } = {},
): Promise<TestProvider> {
  const script = ({ method }: RpcCall): unknown => {
    if (method === 'eth_chainId') return { result: chainId };
    if (method === 'eth_blockNumber') return { result: '0x10' };
    if (method === 'eth_getBlockByNumber') return { result: { hash } };
    return answer;
  };
  const started = await TestProvider.start(script);
  started.chainId = chainId;
  return open.use(started);
}

function readsOf(configs: readonly ProviderConfig[]): NodeReads {
  return open.use(
    new NodeReads(BASE_CHAIN_ID, configs, { clock: systemClock, tell: (line) => told.push(line) }),
  );
}

const config = (one: TestProvider, trusted = false): ProviderConfig => ({
  ...one.config(BASE_CHAIN_ID),
  trusted,
});
const CALL = { to: `0x${'11'.repeat(20)}`, data: '0x' };

describe('reads', () => {
  test('F35 one that is trusted, or two that agree, answer', async () => {
    const one = await provider({ result: '0x01' });
    const two = await provider({ result: '0x01' });
    expect(await readsOf([config(one, true)]).call(CALL)).toEqual({ ok: true, value: '0x01' });
    expect(await readsOf([config(one), config(two)]).call(CALL)).toEqual({
      ok: true,
      value: '0x01',
    });
    const alone = await readsOf([config(one)]).call(CALL);
    expect(alone).toMatchObject({ error: { kind: 'unreachable' } });
  });

  test('F35 providers that disagree are named, about the answer and about the block', async () => {
    const one = await provider({ result: '0x01' });
    const two = await provider({ result: '0x02' });
    const elsewhere = await provider({ result: '0x01' }, { hash: '0xbb' });
    for (const other of [two, elsewhere]) {
      const read = await readsOf([config(one), config(other)]).call(CALL);
      expect(read).toMatchObject({ ok: false, error: { kind: 'disagree' } });
      expect(!read.ok && read.error.kind === 'disagree' && read.error.providers).toHaveLength(2);
    }
  });

  test('F31 a provider of another chain is not asked, and its owner is told', async () => {
    const wrong = await provider({ result: '0x01' }, { chainId: '0x1' });
    const read = await readsOf([config(wrong, true)]).call(CALL);
    expect(read).toMatchObject({
      error: { kind: 'unreachable', reason: expect.stringContaining('chain 8453') as string },
    });
    expect(told).toEqual([expect.stringContaining('is a provider of chain 1')]);
    expect(wrong.count('eth_call')).toBe(0);
  });

  test('what was refused by the chain is told apart from a provider in trouble', async () => {
    const refused = await provider({ error: { code: 3, message: 'execution reverted' } });
    const busy = await provider({ error: { code: -32_005, message: 'rate limit \u0007exceeded' } });
    expect(await readsOf([config(refused, true)]).call(CALL)).toEqual({
      ok: false,
      error: { kind: 'reverted' },
    });
    expect(await readsOf([config(busy, true)]).call(CALL)).toMatchObject({
      error: { kind: 'unreachable', reason: 'a provider refuses (rate limit exceeded)' },
    });
  });
});

describe('providers', () => {
  const saved = [
    { chain_id: 8_453, trusted: false, provider: { RpcUrl: { url: 'wss://saved.example' } } },
    { chain_id: 1, trusted: false, provider: { RpcUrl: { url: 'wss://other.example' } } },
  ];

  test('§14 flags first, then those of the home, then those that everybody has', async () => {
    const urls = (configs: readonly ProviderConfig[]): unknown[] =>
      configs.map(({ provider: { value }, trusted }) => [(value as { url: string }).url, trusted]);
    expect(urls(await providersOf(home, {}))[0]).toEqual(['wss://base.llamarpc.com', false]);
    await writeFile(join(home, '.eth_providers'), JSON.stringify(saved));
    expect(urls(await providersOf(home, { rpc: 'wss://mine.example' }))).toEqual([
      ['wss://mine.example', true],
      ['wss://saved.example', false],
    ]);
    expect(urls(await providersOf(home, { fakechainPort: 8_545 }))).toEqual([
      ['ws://127.0.0.1:8545', true],
    ]);
    await expect(providersOf(home, { rpcConfig: join(home, 'none') })).rejects.toThrow(
      IdentityError,
    );
  });

  test('§14 what a boot names comes first, is trusted, and is shown without its key', async () => {
    await writeFile(join(home, '.eth_providers'), JSON.stringify(saved));
    await keepProviders(home, {}, [
      { url: 'wss://named.example/v2/key', auth: undefined },
      { url: 'wss://saved.example', auth: { kind: 'Bearer', value: 'token' } },
    ]);
    const kept = JSON.parse(await readFile(join(home, '.eth_providers'), 'utf8')) as {
      provider: { RpcUrl: { url: string } };
      trusted: boolean;
    }[];
    expect(kept.map((each) => [each.provider.RpcUrl.url, each.trusted])).toEqual([
      ['wss://named.example/v2/key', true],
      ['wss://saved.example', true],
      ['wss://other.example', false],
    ]);
    expect(shownProviders(await providersOf(home, { rpc: 'wss://plain.example' }))).toEqual([
      '{"url":"wss://plain.example","auth":null}',
    ]);
  });
});
