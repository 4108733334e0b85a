/** Chains that lie, and that say nothing. */
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestProvider, type Script } from '../../eth/testing.ts';
import { SignerBench } from '../testing.ts';
import { EthBench, looking, sending, sent, stateOf } from './testing.ts';

/** What a chain that means well answers. */
const GOOD: Readonly<Record<string, unknown>> = {
  eth_getTransactionCount: '0x5',
  eth_gasPrice: '0x3b9aca00',
  eth_getBlockByNumber: { baseFeePerGas: '0x7' },
  eth_estimateGas: '0x5208',
  eth_sendRawTransaction: `0x${'12'.repeat(32)}`,
  eth_getTransactionReceipt: null,
  eth_getTransactionByHash: null,
  eth_blockNumber: '0x10',
};

let stack: AsyncDisposableStack;
let bench: SignerBench;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  bench = stack.use(await SignerBench.make());
  await bench.import();
});
afterEach(() => stack.disposeAsync());

/** A chain that answers so, and well otherwise. */
async function chain(answers: Readonly<Record<string, unknown>>): Promise<TestProvider> {
  const script: Script = ({ method }) => {
    const answer = { ...GOOD, ...answers }[method];
    return typeof answer === 'object' && answer !== null && 'error' in answer
      ? answer
      : { result: answer };
  };
  const provider = stack.use(await TestProvider.start(script));
  stack.use(await EthBench.make(provider.url)).serve(bench);
  return provider;
}

const failing = (message: string): object => ({ error: { code: -32_000, message } });

test.each<[string, Readonly<Record<string, unknown>>]>([
  ['a count that is text', { eth_getTransactionCount: 'many' }],
  ['a count without end', { eth_getTransactionCount: `0x${'f'.repeat(64)}` }],
  ['no count', { eth_getTransactionCount: null }],
  ['a price that is a number', { eth_gasPrice: 5 }],
  ['a block without a base fee', { eth_getBlockByNumber: {} }],
  ['no block', { eth_getBlockByNumber: null }],
  ['an estimate without end', { eth_estimateGas: `0x${'f'.repeat(64)}` }],
])('F41 %s sends nothing and keeps nothing', async (_name, answers) => {
  const provider = await chain(answers);
  expect(await bench.root(sending('x'))).toMatchObject({ Err: { NoChain: expect.anything() } });
  expect(provider.count('eth_sendRawTransaction')).toBe(0);
  await expect(readdir(bench.file('sends'))).rejects.toThrow('ENOENT');
});

test('F41 a wild price is not paid where the asker named a limit', async () => {
  await chain({ eth_gasPrice: `0x${'f'.repeat(60)}` });
  const capped = sending('x', { maxFeePerGas: '1000' });
  expect(await bench.root(capped)).toMatchObject({ Err: { FeeTooLow: { maxFeePerGas: '1000' } } });
});

test.each([
  'already known',
  'nonce too low: next nonce 6, tx nonce 5',
  'replacement transaction underpriced',
  'internal error',
])(
  'F41 "%s" says not that it is not out: it is pending, and its nonce is not given again',
  async (message) => {
    await chain({ eth_sendRawTransaction: failing(message) });
    expect((await sent(bench, sending('one'))).nonce).toBe(5);
    expect((await sent(bench, sending('two'))).nonce).toBe(6);
    expect((await stateOf(bench, 'one')).state).toBe('Pending');
  },
);

test('F41 what is refused and known all the same is pending', async () => {
  await chain({
    eth_sendRawTransaction: failing('insufficient funds for gas'),
    eth_getTransactionByHash: { hash: '0x12' },
  });
  expect((await sent(bench, sending('one'))).nonce).toBe(5);
});

test('F41 what is refused, and may be known to a chain that does not say, is pending', async () => {
  await chain({
    eth_sendRawTransaction: failing('insufficient funds for gas'),
    eth_getTransactionByHash: failing('internal error'),
  });
  expect((await sent(bench, sending('one'))).nonce).toBe(5);
});

test.each<[string, unknown]>([
  ['text', 'mined'],
  ['without a block', { status: '0x1' }],
  ['without a status', { blockNumber: '0x1' }],
])('F41 a receipt that is %s is none, and ends nothing', async (_name, receipt) => {
  const provider = await chain({});
  await sent(bench, sending('one'));
  provider.script = ({ method }) => ({
    result: { ...GOOD, eth_getTransactionCount: '0x6', eth_getTransactionReceipt: receipt }[method],
  });
  await looking(bench, async () => provider.count('eth_getTransactionReceipt') > 2, 60_000);
  expect((await stateOf(bench, 'one')).state).toBe('Pending');
});
