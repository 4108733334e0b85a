/** A chain that goes back further than it ever should, as a development chain does that is started again from an older file. */
import { readFile, readdir } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startChain, type Chain } from '../../../contracts/chain/chain.ts';
import { CLIENT, err, SignerBench } from '../testing.ts';
import { EthBench, looking, sending, sent, stateOf } from './testing.ts';

/** Long enough to be found in a file. */
const DATA = `0x${'ab'.repeat(300)}`;

let chain: Chain;
let bench: SignerBench;
let stack: AsyncDisposableStack;
/** Of the client before the test. */
let first: number;
let before: unknown;

beforeAll(async () => {
  chain = await startChain();
});
afterAll(() => chain.close());

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  bench = stack.use(await SignerBench.make());
  await served();
  await bench.import();
  first = await countOf();
  before = await chain.rpc.request('evm_snapshot');
  // Something that is deep: nothing of it is kept that could be sent again.
  await sent(bench, sending('deep', { data: DATA }));
  await chain.rpc.request('anvil_mine', '0x20');
  await looking(bench, () => isMined('deep'));
  await looking(bench, async () => {
    const names = (await readdir(bench.file('sends'))).filter((name) => name.endsWith('.send'));
    const texts = await Promise.all(
      names.map((name) => readFile(bench.file(`sends/${name}`), 'utf8')),
    );
    return texts.length === 1 && !texts[0]!.includes('abab');
  });
  return () => stack.disposeAsync();
});

/** With an eth module that remembers nothing. */
async function served(): Promise<void> {
  stack.use(await EthBench.make(chain.webSocketUrl)).serve(bench);
}

async function goBack(): Promise<void> {
  await chain.rpc.request('evm_revert', before);
  await served();
  await bench.clock.advance(6_000);
}

const isMined = async (id: string): Promise<boolean> =>
  typeof (await stateOf(bench, id)).state === 'object';
const countOf = async (): Promise<number> =>
  Number(await chain.rpc.request('eth_getTransactionCount', CLIENT, 'latest'));

test('CM48 what was deep and is on no chain any more is not to be, who asks again hears so, and its nonce is given again', async () => {
  expect((await sent(bench, sending('deep', { data: DATA }))).state).toMatchObject({ Mined: {} });
  await goBack();
  expect((await sent(bench, sending('deep', { data: DATA }))).state).toBe('Superseded');
  const next = await sent(bench, sending('next'));
  expect(next.nonce).toBe(first);
  await looking(bench, () => isMined('next'));
  expect(await bench.root({ SendState: { id: 'deep' } })).toEqual(err('NoSuchSend'));
  expect(await countOf()).toBe(first + 1);
});

test('CM48 the next nonce is the first that is free, also where nobody has asked before', async () => {
  await goBack();
  expect((await sent(bench, sending('next'))).nonce).toBe(first);
  expect((await sent(bench, sending('and next'))).nonce).toBe(first + 1);
});

test('CM48 what waits behind a nonce that nobody uses any more is mined in the end', async () => {
  const { nonce } = await sent(bench, sending('late'));
  expect(nonce).toBe(first + 1);
  await looking(bench, () => isMined('late'));
  await goBack();
  await looking(bench, async () => (await stateOf(bench, 'late')).state === 'Pending', 30_000);
  await looking(bench, () => isMined('late'));
  expect(await stateOf(bench, 'late')).toMatchObject({ nonce, state: { Mined: { ok: true } } });
  expect(await countOf()).toBe(first + 2);
});
