import { readdir, readFile, writeFile } from 'node:fs/promises';
import { Transaction } from 'ethers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startChain, type Chain } from '../../../contracts/chain/chain.ts';
import { PENDING_MAX, STUCK_MS } from '../limits.ts';
import { capability, CLIENT, err, GUEST, SignerBench } from '../testing.ts';
import { CHAIN, EthBench, looking, sending, sent, stateOf, TO } from './testing.ts';

let chain: Chain;
let bench: SignerBench;
let stack: AsyncDisposableStack;
/** Of the client before the test. */
let first: number;

beforeAll(async () => {
  chain = await startChain();
});
afterAll(() => chain.close());

beforeEach(async () => {
  await chain.rpc.request('evm_setAutomine', true);
  stack = new AsyncDisposableStack();
  bench = stack.use(await SignerBench.make());
  await served(bench);
  await bench.import();
  // What the test before sent is mined, a moment after it was taken.
  await chain.rpc.request('evm_mine');
  await expect.poll(() => countOf()).toBe(await countOf('pending'));
  first = await countOf();
  return () => stack.disposeAsync();
});

/** With an eth module that remembers no answers: the tests turn their own clock much faster than that forgets. */
async function served(of: SignerBench): Promise<void> {
  stack.use(await EthBench.make(chain.webSocketUrl)).serve(of);
}

/** As after a crash. */
async function again(): Promise<SignerBench> {
  const next = await bench.again();
  stack.defer(() => next.module[Symbol.asyncDispose]());
  await served(next);
  return next;
}

const countOf = async (at = 'latest'): Promise<number> =>
  Number(await chain.rpc.request('eth_getTransactionCount', CLIENT, at));
const isMined = async (of: SignerBench, id: string): Promise<boolean> =>
  typeof (await stateOf(of, id)).state === 'object';

describe('what is sent', () => {
  test('F41 has nonces in order, is mined, and is sent once for each id', async () => {
    const one = await sent(bench, sending('one'));
    const two = await sent(bench, sending('two', { value: '2' }));
    expect([one.nonce, two.nonce]).toEqual([first, first + 1]);
    expect(one.state).toBe('Pending');
    expect((await sent(bench, sending('one'))).hash).toBe(one.hash);
    await looking(bench, async () => (await isMined(bench, 'one')) && isMined(bench, 'two'));
    expect((await stateOf(bench, 'two')).state).toMatchObject({ Mined: { ok: true } });
    expect(await sent(bench, sending('one'))).toMatchObject({ hash: one.hash, nonce: first });
    expect(await countOf()).toBe(first + 2);
    expect(await bench.root(sending('one', { value: '3' }))).toEqual(err('IdTaken'));
    // Ids are the package's own, and all its processes': at the prompt every command is another one.
    expect(await bench.do({ SendState: { id: 'one' } })).toEqual(err('NoSuchSend'));
    const other = { from: 'another:terminal:sys' };
    expect(await bench.do({ SendState: { id: 'one' } }, other)).toMatchObject({
      Sent: { hash: one.hash },
    });
  });

  test('F41 many at once have one nonce each and leave none out', async () => {
    const ids = Array.from({ length: 24 }, (_, index) => `many ${index}`);
    const all = await Promise.all(ids.map((id) => sent(bench, sending(id))));
    expect(all.map(({ nonce }) => nonce).toSorted((a, b) => a - b)).toEqual(
      ids.map((_, index) => first + index),
    );
    // Two of one id are one.
    const both = await Promise.all([1, 2].map(() => sent(bench, sending('twice'))));
    expect(both[0]).toEqual(both[1]);
    await expect.poll(() => countOf()).toBe(first + 25);
  });

  test('F41 a transaction that reverts all the same says so', async () => {
    // The free minter refuses a call of nothing; with a limit of gas nobody estimates it.
    const to = await refusing();
    await sent(bench, sending('bad', { to, gasLimit: 100_000 }));
    await looking(bench, () => isMined(bench, 'bad'));
    expect((await stateOf(bench, 'bad')).state).toMatchObject({ Mined: { ok: false } });
  });

  test('F41 of finished ones the file keeps what an id is answered with and no calldata', async () => {
    await sent(bench, sending('deep', { data: `0x${'ab'.repeat(300)}` }));
    await chain.rpc.request('anvil_mine', '0x20');
    const [name = ''] = await readdir(bench.file('sends'));
    await looking(bench, async () => {
      const text = await readFile(bench.file(`sends/${name}`), 'utf8');
      return !text.includes('abab');
    });
    const next = await again();
    expect((await stateOf(next, 'deep')).state).toMatchObject({ Mined: { ok: true } });
    expect((await sent(next, sending('next'))).nonce).toBe(first + 1);
  });
});

describe('what is not sent', () => {
  const plain = (more: object = {}) => ({
    capabilities: [
      capability({
        key: 'client',
        chainId: CHAIN,
        contract: TO,
        calls: [{ selector: '0x' }],
        weiPerDay: '1000000000000000000',
        ...more,
      }),
    ],
  });

  test('F41 a guest sends what its capability names, and what it may cost counts once', async () => {
    const held = plain();
    expect(await bench.do(sending('x'))).toMatchObject({
      Err: { NotPermitted: expect.anything() },
    });
    for (const change of [{ to: CLIENT }, { data: '0x12345678' }])
      expect(await bench.do(sending('x', change), held)).toMatchObject({
        Err: { NotPermitted: expect.anything() },
      });
    const priced = sending('x', { gasLimit: 21_000, maxFeePerGas: '10000000000' });
    expect(await bench.do(priced, held)).toMatchObject({ Sent: { nonce: first } });
    expect(await bench.do(priced, held)).toMatchObject({ Sent: { nonce: first } });
    expect(await bench.do('Budgets', held)).toMatchObject({
      Budgets: [{ spent: '210000000000001' }, { spent: '0' }],
    });
    const dear = sending('y', { gasLimit: 21_000, maxFeePerGas: '100000000000000' });
    expect(await bench.do(dear, held)).toMatchObject({ Err: { OverBudget: expect.anything() } });
    expect(await bench.do({ SendState: { id: 'y' } }, held)).toEqual(err('NoSuchSend'));
    await expect.poll(() => countOf()).toBe(first + 1);
  });

  test('F41 what the chain would not take is refused in its words and leaves no gap', async () => {
    const to = await refusing();
    expect(await bench.root(sending('reverts', { to }))).toMatchObject({
      Err: { Refused: expect.stringContaining('revert') },
    });
    const poor = sending('poor', { value: `1${'0'.repeat(30)}`, gasLimit: 21_000 });
    expect(await bench.root(poor)).toMatchObject({
      Err: { Refused: expect.stringMatching(/insufficient funds/i) },
    });
    expect(await filesOf(bench)).toEqual([]);
    const low = sending('low', { maxFeePerGas: '1' });
    expect(await bench.root(low)).toMatchObject({ Err: { FeeTooLow: { maxFeePerGas: '1' } } });
    // Their ids are free, and so is their nonce.
    expect((await sent(bench, sending('poor'))).nonce).toBe(first);
  });

  test('F41 without a chain nothing is charged and nothing is kept', async () => {
    await using nobody = await EthBench.make(undefined);
    nobody.serve(bench);
    const held = plain();
    expect(await bench.do(sending('x'), held)).toMatchObject({
      Err: { NoChain: expect.anything() },
    });
    expect(await bench.do('Budgets', held)).toMatchObject({ Budgets: [{ spent: '0' }, {}] });
    expect(await filesOf(bench)).toEqual([]);
  });

  test('F41 ids, keys and calldata are checked', async () => {
    for (const id of ['', 'x'.repeat(129)])
      expect(await bench.root(sending(id))).toEqual(err({ MalformedRequest: 'id' }));
    expect(
      await bench.root(sending('x', { data: `0x${'00'.repeat(24 * 1024 + 1)}` })),
    ).toMatchObject({
      Err: { MalformedRequest: expect.stringContaining('calldata') },
    });
    expect(await bench.root(sending('x', {}, { key: 'none' }))).toEqual(err('NoSuchKey'));
  });

  test('F41 a queue takes so many and no more', async () => {
    await chain.rpc.request('evm_setAutomine', false);
    const price = { gasLimit: 21_000 };
    for (let each = 0; each < PENDING_MAX; each += 1) await sent(bench, sending(`${each}`, price));
    expect(await bench.root(sending('more', price))).toEqual(err('QueueFull'));
    await chain.rpc.request('evm_mine');
    await chain.rpc.request('anvil_mine', '0x20');
    await looking(
      bench,
      async () =>
        typeof (await bench.root(sending('more', price))) === 'object' && (await isKnown('more')),
      40_000,
    );
  });
});

const isKnown = async (id: string): Promise<boolean> => {
  const answer = (await bench.root({ SendState: { id } })) as object;
  return 'Sent' in answer;
};

describe('what waits', () => {
  beforeEach(() => chain.rpc.request('evm_setAutomine', false));

  test('F41 is sent again with higher fees where it is stuck, and the form that is mined counts', async () => {
    const before = await sent(bench, sending('stuck'));
    const old = Transaction.from(await rawOf(before.hash));
    await looking(
      bench,
      async () => (await stateOf(bench, 'stuck')).hash !== before.hash,
      STUCK_MS,
    );
    const after = await stateOf(bench, 'stuck');
    const raised = await chainHas(after.hash);
    expect(BigInt(raised.maxFeePerGas)).toBeGreaterThan(old.maxFeePerGas!);
    expect(raised.nonce).toBe(`0x${first.toString(16)}`);
    await chain.rpc.request('evm_mine');
    await looking(bench, () => isMined(bench, 'stuck'));
    expect((await stateOf(bench, 'stuck')).hash).toBe(after.hash);
    expect(await countOf()).toBe(first + 1);
  });

  test('F41 never offers more than it may', async () => {
    const limit = 4_000_000_000n;
    await sent(bench, sending('capped', { maxFeePerGas: String(limit) }));
    for (let round = 0; round < 12; round += 1) {
      await bench.clock.advance(STUCK_MS);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { hash } = await stateOf(bench, 'capped');
    expect(BigInt((await chainHas(hash)).maxFeePerGas)).toBeLessThanOrEqual(limit);
    await chain.rpc.request('evm_mine');
    await looking(bench, () => isMined(bench, 'capped'));
  });

  test('F41 is broadcast again after a restart, where the chain has lost it', async () => {
    const { hash } = await sent(bench, sending('lost'));
    await chain.rpc.request('anvil_dropTransaction', hash);
    expect(await chain.rpc.request('eth_getTransactionByHash', hash)).toBeNull();
    const next = await again();
    await looking(next, async () => {
      const known = await chain.rpc.request('eth_getTransactionByHash', hash);
      return known !== null;
    });
    await chain.rpc.request('evm_mine');
    await looking(next, () => isMined(next, 'lost'));
    expect((await stateOf(next, 'lost')).nonce).toBe(first);
  });

  test('F41 is sent again when the block that had it is gone', async () => {
    const snapshot = await chain.rpc.request('evm_snapshot');
    await sent(bench, sending('reorged'));
    await chain.rpc.request('evm_mine');
    await looking(bench, () => isMined(bench, 'reorged'));
    await chain.rpc.request('evm_revert', snapshot);
    await chain.rpc.request('evm_setAutomine', false);
    await served(bench);
    expect(await countOf()).toBe(first);
    await looking(bench, async () => !(await isMined(bench, 'reorged')), 30_000);
    await looking(bench, async () => {
      await chain.rpc.request('evm_mine');
      return isMined(bench, 'reorged');
    });
    expect(await countOf()).toBe(first + 1);
  });

  test('F41 says when something else took its nonce, and the next one goes on after that', async () => {
    const { hash, nonce } = await sent(bench, sending('mine'));
    await chain.rpc.request('anvil_dropTransaction', hash);
    const theirs = { from: CLIENT, to: TO, value: '0x7', nonce: `0x${nonce.toString(16)}` };
    await chain.rpc.request('eth_sendTransaction', theirs);
    await chain.rpc.request('evm_mine');
    await looking(bench, async () => (await stateOf(bench, 'mine')).state === 'Superseded');
    await served(bench);
    expect((await sent(bench, sending('next'))).nonce).toBe(first + 1);
    await chain.rpc.request('evm_mine');
    await looking(bench, () => isMined(bench, 'next'));
  });

  test('F41 is given up when root says so, and by nobody else', async () => {
    const { hash } = await sent(bench, sending('stale'));
    await chain.rpc.request('anvil_dropTransaction', hash);
    const forget = { ForgetSends: { key: 'client', chainId: CHAIN } };
    expect(await bench.do(forget)).toMatchObject({ Err: { NotPermitted: expect.anything() } });
    expect(await bench.root(forget)).toBe('Ok');
    expect(await bench.root({ SendState: { id: 'stale' } })).toEqual(err('NoSuchSend'));
    expect(await filesOf(bench)).toEqual([]);
    expect((await sent(bench, sending('fresh'))).nonce).toBe(first);
    await chain.rpc.request('evm_mine');
  });

  test('F41 a file that was changed is moved aside, and its nonce is not given again while the chain has it', async () => {
    await sent(bench, sending('changed'));
    const [name = ''] = await readdir(bench.file('sends'));
    const path = bench.file(`sends/${name}`);
    await writeFile(path, (await readFile(path, 'utf8')).replace('changed', 'CHANGED'));
    const next = await again();
    expect(await next.do({ SendState: { id: 'changed' } }, { from: GUEST })).toEqual(
      err('NoSuchSend'),
    );
    expect(next.port.prints[0]).toMatchObject({ verbosity: 0 });
    expect(await readdir(next.file('sends/.damaged'))).toHaveLength(1);
    expect((await sent(next, sending('after'))).nonce).toBe(first + 1);
    await chain.rpc.request('evm_mine');
  });
});

/** What is kept of what was sent. */
async function filesOf(of: SignerBench): Promise<readonly string[]> {
  return readdir(of.file('sends')).catch(() => []);
}

/** A contract that reverts whatever it is asked. */
async function refusing(): Promise<string> {
  const to = '0x00000000000000000000000000000000000000fd';
  await chain.rpc.request('anvil_setCode', to, '0x60006000fd');
  return to;
}

async function rawOf(hash: string): Promise<string> {
  return String(await chain.rpc.request('eth_getRawTransactionByHash', hash));
}

/** It is on disk a moment before it is broadcast. */
async function chainHas(hash: string): Promise<{ maxFeePerGas: string; nonce: string }> {
  const find = (): Promise<unknown> => chain.rpc.request('eth_getTransactionByHash', hash);
  await expect.poll(find).not.toBeNull();
  return (await find()) as { maxFeePerGas: string; nonce: string };
}
