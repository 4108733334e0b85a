/** The clients of chains and of the namespace, on fakes; `test/integration/names.test.ts` has them in a guest, on a chain. */
import { expect, test } from 'vitest';
import { decodeIp } from '../../contracts/notes.ts';
import { defineProcess } from './process.ts';
import { Eth, EthError, takeEthUpdate, type Log } from './eth.ts';
import { Hypermap, namehash, NoSuchName, type WrittenNote } from './hypermap.ts';
import { FakeEth, FakeRefusal, reverted } from './testing/fake-eth.ts';
import { accountOf, FakeHypermap } from './testing/fake-hypermap.ts';
import { fakeTimer } from './testing/fake-timer.ts';
import { TestProcess } from './testing/test-process.ts';
import type { Process } from './process.ts';

const ALICE = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8';

interface Bench {
  readonly fake: FakeEth;
  readonly map: FakeHypermap;
  readonly eth: Eth;
  readonly hypermap: Hypermap;
  readonly running: TestProcess<never, undefined>;
  /** Runs `work` inside the process. */
  readonly within: <T>(work: () => Promise<T>) => Promise<T>;
}

/** A process that runs what the test wants whenever something arrives. */
async function bench(): Promise<Bench> {
  const fake = new FakeEth();
  const map = new FakeHypermap();
  fake.chains.set(31_337, map.chain);
  let process: Process<undefined> | undefined;
  const running = await TestProcess.start(
    defineProcess<never, undefined>({
      setup: (own) => {
        process = own;
      },
      onMessage: async (context) => {
        await takeEthUpdate(context);
      },
    }),
    { peers: { 'eth:distro:sys': fake.peer, 'timer:distro:sys': fakeTimer() } },
  );
  const eth = new Eth(process!, { chainId: 31_337 });
  return {
    fake,
    map,
    eth,
    hypermap: new Hypermap(process!, eth),
    running,
    within: async (work) => {
      const settled = work();
      settled.catch(() => undefined);
      await running.run();
      return settled;
    },
  };
}

test('reads are typed: numbers for counts, bigints for money', async () => {
  const { eth, fake, within } = await bench();
  fake.chains.set(31_337, (method) =>
    method === 'eth_getBalance' ? '0x21e19e0c9bab2400000' : '0x1a',
  );
  expect(await within(() => eth.blockNumber())).toBe(26);
  expect(await within(() => eth.balance(ALICE))).toBe(10_000n * 10n ** 18n);
  expect(await within(() => eth.transactionCount(ALICE))).toBe(26);
});

test('a revert is an error with what the provider said, and a missing chain one with its code', async () => {
  const { eth, fake, within } = await bench();
  fake.chains.set(31_337, () => {
    throw reverted('0x3813fcca');
  });
  const error = await within(() => eth.call({ to: ALICE }).catch((reason: unknown) => reason));
  expect(error).toBeInstanceOf(EthError);
  expect(error).toMatchObject({ code: 'RpcError', rpc: { code: 3, data: '0x3813fcca' } });
  fake.chains.clear();
  await expect(within(() => eth.blockNumber())).rejects.toMatchObject({ code: 'NoRpcForChain' });
});

test('what a provider answers is not believed by its looks', async () => {
  const { eth, fake, within } = await bench();
  for (const wrong of [null, 7, 'latest', '0x', '0xzz', {}]) {
    fake.chains.set(31_337, () => wrong);
    await expect(
      within(() => eth.blockNumber()),
      JSON.stringify(wrong),
    ).rejects.toThrow(/malformed/);
  }
  fake.chains.set(31_337, () => [{ topics: 'no' }]);
  await expect(within(() => eth.logs({}))).rejects.toThrow(/malformed/);
});

test('F35 a read that decides identity is asked for as such, and its disagreement has a name', async () => {
  const { hypermap, fake, within } = await bench();
  await within(() => hypermap.get('alice.os', { agreed: true }));
  expect(fake.log).toEqual(['agreed:eth_call']);
  fake.chains.set(31_337, () => {
    throw new FakeRefusal({ kind: 'ProvidersDisagree', value: ['ws://a', 'ws://b'] });
  });
  const read = within(() => hypermap.get('alice.os', { agreed: true }));
  await expect(read).rejects.toMatchObject({ code: 'ProvidersDisagree' });
});

test('logs arrive typed, and only those of a subscription that is alive', async () => {
  const { eth, fake, map, running, within } = await bench();
  const seen: Log[] = [];
  const subscription = await within(() => eth.subscribeLogs({}, (log) => void seen.push(log)));
  fake.notify(running.host, map.mint('os', ALICE));
  await running.run();
  expect(seen).toMatchObject([{ blockNumber: 1, logIndex: 0, removed: false }]);
  fake.notify(running.host, map.mint('alice.os', ALICE));
  subscription.close();
  await running.run();
  expect(seen).toHaveLength(1);
  expect(fake.subscriptions.size).toBe(0);
});

test('HM26 a subscription that ends is made again, after 5, 10, 20 seconds, and its owner is told', async () => {
  const { eth, fake, running, within } = await bench();
  let resumed = 0;
  await within(() => eth.subscribeLogs({}, () => undefined, { onResumed: () => void resumed++ }));
  fake.refusing = { kind: 'NoRpcForChain' };
  fake.end(running.host);
  await running.run();
  for (const waitS of [5, 10, 20]) {
    running.host.advance(waitS - 1);
    await running.run();
    expect(fake.subscriptions.size).toBe(0);
    if (waitS === 20) fake.refusing = undefined;
    running.host.advance(1);
    await running.run();
  }
  expect(fake.subscriptions.size).toBe(1);
  expect(resumed).toBe(1);
});

test('nobody but eth of this node can pretend that something happened', async () => {
  const { eth, map, running, within } = await bench();
  const seen: Log[] = [];
  await within(() => eth.subscribeLogs({}, (log) => void seen.push(log)));
  const update = JSON.stringify({ Ok: { id: 1, result: map.mint('os', ALICE) } });
  const id = running.host.arrive({ body: new TextEncoder().encode(update), expectsResponse: 5 });
  await running.run();
  expect(running.answerTo(id)).toBeUndefined();
  expect(seen).toEqual([]);
});

test('HM3 names and notes are read by name or by hash', async () => {
  const { hypermap, map, within } = await bench();
  map.mint('alice.os', ALICE);
  map.note('alice.os', '~ip', '0x7f000001');
  expect(await within(() => hypermap.get('alice.os'))).toMatchObject({ owner: ALICE, data: '0x' });
  const byHash = await within(() => hypermap.get(namehash('~ip.alice.os')));
  expect(decodeIp(byHash.data)).toBe('127.0.0.1');
  expect(await within(() => hypermap.data('~ip.bob.os'))).toEqual(new Uint8Array());
  await expect(within(() => hypermap.account('bob.os'))).rejects.toBeInstanceOf(NoSuchName);
  await expect(within(() => hypermap.get('Alice.os'))).rejects.toBeInstanceOf(RangeError);
});

test('notes of a name arrive by label; a log that belongs elsewhere is not believed', async () => {
  const { hypermap, fake, map, running, within } = await bench();
  const seen: WrittenNote[] = [];
  await within(() =>
    hypermap.subscribeNotes('alice.os', (note) => void seen.push(note), { labels: ['~ip'] }),
  );
  fake.notify(running.host, map.note('alice.os', '~ip', '0x0a000001'));
  fake.notify(running.host, map.note('bob.os', '~ip', '0x0a000002'));
  const forged = map.note('alice.os', '~ip', '0x0a000003');
  const [topic, parent, , label] = forged['topics'] as string[];
  const other = [topic, parent, namehash('~ip.carol.os'), label];
  fake.notify(running.host, { ...forged, topics: other });
  await running.run();
  expect(seen.map(({ label: name, data }) => [name, data])).toEqual([['~ip', '0x0a000001']]);
});

test('HM8 the notes of a name are the last of each label, in the order of the chain; what belongs elsewhere is not believed', async () => {
  const { hypermap, map, within } = await bench();
  map.note('alice.os', '~ip', '0x01');
  map.note('alice.os', '!born', '0x02');
  map.note('bob.os', '~ip', '0x03');
  map.note('alice.os', '~ip', '0x04');
  const forged = map.note('alice.os', '~ip', '0x05');
  forged['topics'] = (forged['topics'] as string[]).with(2, namehash('~ip.carol.os'));
  const found = await within(() => hypermap.notes('alice.os', { fromBlock: 0 }));
  expect(found.map(({ label, data }) => [label, data])).toEqual([
    ['!born', '0x02'],
    ['~ip', '0x04'],
  ]);
});

test('calls go to the account of the name, or of the zone', async () => {
  const { hypermap, map, within } = await bench();
  map.mint('os', ALICE);
  map.mint('alice.os', ALICE);
  const mint = await within(() => hypermap.mintCall('os', { who: ALICE, label: 'alice' }));
  expect(mint.to).toBe(accountOf('os'));
  const note = await within(() => hypermap.noteCall('alice.os', '~ip', '0x7f000001'));
  expect(note.to).toBe(accountOf('alice.os'));
  await expect(within(() => hypermap.factCall('bob.os', '!a', '0x01'))).rejects.toBeInstanceOf(
    NoSuchName,
  );
});
