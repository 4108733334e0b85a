/** Subscriptions of processes: E10 - E15, shared streams, what a gap misses and a reorganisation takes back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processId } from '../../wit/address.ts';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import { eth, type EthWork } from './index.ts';
import { ask, logAt, type Script, sentTo, subscribeLogs, TestProvider, until } from './testing.ts';

let clock: TestClock;
let port: TestPort;
let stack: AsyncDisposableStack;
beforeEach(() => {
  clock = new TestClock();
  port = new TestPort('eth');
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

/** A chain at `head`, with the logs it has. */
interface Chain {
  head: number;
  logs: Record<string, unknown>[];
}

const serves =
  (chain: Chain, name = '0xsub'): Script =>
  ({ method }) => {
    if (method === 'eth_subscribe') return { result: name };
    if (method === 'eth_blockNumber') return { result: `0x${chain.head.toString(16)}` };
    return method === 'eth_getLogs' ? { result: chain.logs } : { result: true };
  };

async function provider(script: Script): Promise<TestProvider> {
  return stack.use(await TestProvider.start(script));
}

async function module(...providers: TestProvider[]): Promise<Bench<EthWork>> {
  const home = await mkdtemp(join(tmpdir(), 'eth-'));
  stack.defer(() => rm(home, { recursive: true }));
  const defaults = providers.map((each) => each.config());
  const made = await eth({ home, defaults })({ port, clock });
  return new Bench(stack.use(made), port);
}

const results = (id: unknown, ...logs: unknown[]): unknown[] =>
  logs.map((result) => ({ Ok: { id, result } }));

test('E10 answers Ok, then delivers logs as requests, the kind and the filter as given upstream', async () => {
  const one = await provider(serves({ head: 5, logs: [] }));
  const bench = await module(one);
  const filter = { address: '0xaa', topics: [null, ['0x01', '0x02']] };
  expect(await ask(bench, subscribeLogs(1, filter))).toBe('Ok');
  expect(one.calls[0]).toEqual({ method: 'eth_subscribe', params: ['logs', filter] });
  one.notify('0xsub', logAt(6));
  one.notify('0xother', logAt(7));
  await until(() => port.sent.length === 1, 'the update');
  expect(sentTo(port)).toEqual(results(1, logAt(6)));
  const [sent] = port.sent;
  expect(sent).toMatchObject({
    target: { process: 'p:k:q' },
    rsvp: undefined,
    message: { request: { expectsResponse: undefined } },
    blob: undefined,
  });
});

test('E11 unsubscribing answers Ok and ends the stream, without Err; again is MalformedRequest', async () => {
  const one = await provider(serves({ head: 5, logs: [] }));
  const bench = await module(one);
  await ask(bench, subscribeLogs(1));
  expect(await ask(bench, '{"UnsubscribeLogs":1}')).toBe('Ok');
  await until(() => one.count('eth_unsubscribe') === 1, 'the end upstream');
  one.notify('0xsub', logAt(6));
  expect(await ask(bench, '{"UnsubscribeLogs":1}')).toEqual({ Err: 'MalformedRequest' });
  expect(await ask(bench, '{"UnsubscribeLogs":1}', 'other:k:q')).toEqual({
    Err: 'MalformedRequest',
  });
  expect(port.sent).toEqual([]);
});

test('E12 losing the provider for good is exactly one Err a subscription', async () => {
  const one = await TestProvider.start(serves({ head: 5, logs: [] }));
  const bench = await module(one);
  await ask(bench, subscribeLogs(1));
  await ask(bench, subscribeLogs(2, { address: '0xbb' }));
  await ask(bench, subscribeLogs(1), 'other:k:q');
  await one[Symbol.asyncDispose]();
  await until(() => port.sent.length >= 3, 'the ends');
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  expect(sentTo(port)).toHaveLength(3);
  expect(sentTo(port)[0]).toMatchObject({
    Err: {
      id: 1,
      error: expect.stringMatching(
        /^subscription \(alice\.os@p:k:q\) closed unexpectedly/,
      ) as unknown,
    },
  });
  expect(await ask(bench, '{"UnsubscribeLogs":1}')).toEqual({ Err: 'MalformedRequest' });
});

test('E13 a reconnect keeps subscriptions alive, and fetches what was missed, each log once', async () => {
  const chain: Chain = { head: 5, logs: [] };
  const one = await provider(serves(chain));
  const bench = await module(one);
  await ask(bench, subscribeLogs(1, { address: '0xaa' }));
  one.notify('0xsub', logAt(6));
  await until(() => port.sent.length === 1, 'the first');
  Object.assign(chain, { head: 9, logs: [logAt(6), logAt(7), logAt(9)] });
  one.drop();
  await until(() => port.sent.length === 3, 'the missed ones');
  one.notify('0xsub', logAt(9));
  one.notify('0xsub', logAt(10));
  await until(() => port.sent.length >= 4, 'a live one');
  expect(sentTo(port)).toEqual(results(1, logAt(6), logAt(7), logAt(9), logAt(10)));
  expect(one.calls.find(({ method }) => method === 'eth_getLogs')?.params).toEqual([
    { address: '0xaa', fromBlock: '0x6', toBlock: '0x9' },
  ]);
});

test('a reorganisation during the gap: what it took back is delivered as removed, then what is there instead', async () => {
  const chain: Chain = { head: 5, logs: [] };
  const one = await provider(serves(chain));
  const bench = await module(one);
  await ask(bench, subscribeLogs(1));
  one.notify('0xsub', logAt(6));
  one.notify('0xsub', logAt(7));
  await until(() => port.sent.length === 2, 'both');
  Object.assign(chain, { head: 8, logs: [logAt(6), logAt(7, 0, '0xb7again')] });
  one.drop();
  await until(() => port.sent.length === 4, 'the correction');
  expect(sentTo(port).slice(2)).toEqual(
    results(1, { ...logAt(7), removed: true }, logAt(7, 0, '0xb7again')),
  );
});

test('another provider carries a stream on, and nothing is missed', async () => {
  const chain: Chain = { head: 5, logs: [] };
  const first = await TestProvider.start(serves(chain));
  const second = await provider(serves(chain, '0xsecond'));
  const bench = await module(first, second);
  await ask(bench, subscribeLogs(1));
  Object.assign(chain, { head: 6, logs: [logAt(6)] });
  await first[Symbol.asyncDispose]();
  await until(() => port.sent.length === 1, 'the missed one');
  second.notify('0xsecond', logAt(7));
  await until(() => port.sent.length === 2, 'a live one');
  expect(sentTo(port)).toEqual(results(1, logAt(6), logAt(7)));
});

test('a gap that cannot be filled ends the subscription instead of hiding that something is missing', async () => {
  const chain: Chain = { head: 5, logs: [] };
  const one = await provider((call) =>
    call.method === 'eth_getLogs'
      ? { error: { code: -32_603, message: 'no' } }
      : serves(chain)(call),
  );
  const bench = await module(one);
  await ask(bench, subscribeLogs(1));
  chain.head = 9;
  one.drop();
  await until(() => port.sent.length === 1, 'the end');
  expect(sentTo(port)[0]).toMatchObject({ Err: { id: 1 } });
});

test('E14 a sub_id above 2^53 survives unchanged', async () => {
  const one = await provider(serves({ head: 5, logs: [] }));
  const bench = await module(one);
  expect(await ask(bench, subscribeLogs('18446744073709551615'))).toBe('Ok');
  one.notify('0xsub', 1);
  await until(() => port.sent.length === 1, 'the update');
  const { message } = port.sent[0]!;
  const body = message.kind === 'request' ? new TextDecoder().decode(message.request.body) : '';
  expect(body).toBe('{"Ok":{"id":18446744073709551615,"result":1}}');
});

test('E15 newHeads prints a warning that names who asked', async () => {
  const bench = await module(await provider(serves({ head: 5, logs: [] })));
  const body = { SubscribeLogs: { sub_id: 1, chain_id: 31_337, kind: 'newHeads', params: {} } };
  expect(await ask(bench, body)).toBe('Ok');
  expect(port.prints).toContainEqual({
    verbosity: 0,
    text: expect.stringContaining('p:k:q') as string,
  });
});

test('equal filters share one stream upstream, whoever listens; it ends with the last', async () => {
  const one = await provider(serves({ head: 5, logs: [] }));
  const bench = await module(one);
  await Promise.all(
    Array.from({ length: 50 }, (_, at) => ask(bench, subscribeLogs(at), `p${at % 10}:k:q`)),
  );
  expect(one.count('eth_subscribe')).toBe(1);
  one.notify('0xsub', logAt(6));
  await until(() => port.sent.length === 50, 'all updates');
  for (let at = 0; at < 10; at++) bench.module.onProcessGone?.(processId(`p${at}:k:q`), 'ended');
  await until(() => one.count('eth_unsubscribe') === 1, 'the end upstream');
});

test('a subscriber whose mailbox stays full loses its subscription, others keep theirs', async () => {
  const one = await provider(serves({ head: 5, logs: [] }));
  const bench = await module(one);
  await ask(bench, subscribeLogs(1));
  await ask(bench, subscribeLogs(1), 'slow:k:q');
  port.offered = ({ target }) =>
    target.process === 'slow:k:q' ? Promise.resolve('full' as const) : 'taken';
  one.notify('0xsub', logAt(6));
  await until(() => port.prints.some(({ text }) => text.includes('mailbox is full')), 'the loss');
  one.notify('0xsub', logAt(7));
  await until(() => port.sent.length === 2, 'the other');
  expect(await ask(bench, '{"UnsubscribeLogs":1}', 'slow:k:q')).toEqual({
    Err: 'MalformedRequest',
  });
});

test('an id used again replaces its subscription', async () => {
  const one = await provider(({ method, params }) =>
    method === 'eth_subscribe'
      ? { result: (params as [string, { address?: string }])[1].address ?? 'x' }
      : { result: '0x5' },
  );
  const bench = await module(one);
  await ask(bench, subscribeLogs(1, { address: 'a' }));
  await ask(bench, subscribeLogs(1, { address: 'b' }));
  one.notify('a', logAt(6));
  one.notify('b', logAt(7));
  await until(() => port.sent.length === 1, 'the update');
  expect(sentTo(port)).toEqual(results(1, logAt(7)));
});

test('a refused filter is the error of the provider; no provider, NoRpcForChain; too many, RateLimited', async () => {
  const one = await provider(() => ({ error: { code: -32_602, message: 'invalid params' } }));
  const bench = await module(one);
  expect(await ask(bench, subscribeLogs(1))).toMatchObject({
    Err: { RpcError: { code: -32_602 } },
  });
  const body = { SubscribeLogs: { sub_id: 1, chain_id: 1, kind: 'logs', params: {} } };
  expect(await ask(bench, body)).toEqual({ Err: 'NoRpcForChain' });
});
