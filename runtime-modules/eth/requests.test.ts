/** Requests of processes to chains: E1 - E7, E9, E30, E32, E33, F35 and what providers do wrong. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import type { ProviderConfig } from '../../wit/eth-api.ts';
import { eth, type EthWork } from './index.ts';
import { ask, rpc, type Script, TestProvider, until } from './testing.ts';

let clock: TestClock;
let port: TestPort;
let stack: AsyncDisposableStack;
beforeEach(() => {
  clock = new TestClock();
  port = new TestPort('eth');
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

async function provider(script: Script): Promise<TestProvider> {
  return stack.use(await TestProvider.start(script));
}

async function module(...defaults: ProviderConfig[]): Promise<Bench<EthWork>> {
  const home = await mkdtemp(join(tmpdir(), 'eth-'));
  stack.defer(() => rm(home, { recursive: true }));
  const made = await eth({ home, defaults })({ port, clock });
  return new Bench(stack.use(made), port);
}

const block =
  (number: number): Script =>
  () => ({ result: `0x${number.toString(16)}` });
const fails =
  (code: number, message: string, data?: unknown): Script =>
  () => ({ error: { code, message, data } });

test('E1 E9 a request yields the result unchanged, without blob', async () => {
  const bench = await module((await provider(block(255))).config());
  const reply = await bench.ask({ from: 'p:k:q', body: rpc('eth_blockNumber'), timeoutS: 30 });
  expect(reply).toMatchObject({ body: { Response: '0xff' }, blob: undefined, metadata: undefined });
});

test('a result keeps its text: long numbers, spelling of numbers, order of members', async () => {
  const text = '{"b":12345678901234567890,"a":1.0,"c":"\\u00e9"}';
  const one = await provider(() => `{"id":2,"jsonrpc":"2.0","result":${text}}`);
  const bench = await module(one.config());
  const answer = await bench.answer(bench.request({ from: 'p:k:q', body: rpc('eth_call', []) }));
  expect(new TextDecoder().decode(answer?.body)).toBe(`{"Response":${text}}`);
});

test('null parameters are sent as an empty list, others as they are', async () => {
  const one = await provider(block(1));
  const bench = await module(one.config());
  await ask(bench, rpc('eth_gasPrice'));
  await ask(
    bench,
    '{"Request":{"chain_id":31337,"method":"eth_call","params":[{"a":18446744073709551615},1.0]}}',
  );
  expect(one.calls).toMatchObject([
    { method: 'eth_gasPrice', params: [] },
    { method: 'eth_call', params: [{ a: 18_446_744_073_709_552_000 }, 1] },
  ]);
});

test('E2 an unknown method is InvalidMethod, and nobody is asked', async () => {
  const one = await provider(block(1));
  const bench = await module(one.config());
  expect(await ask(bench, rpc('eth_feeHistory'))).toEqual({
    Err: { InvalidMethod: 'eth_feeHistory' },
  });
  expect(one.calls).toEqual([]);
});

test('E3 a chain without providers is NoRpcForChain', async () => {
  const bench = await module();
  expect(await ask(bench, rpc('eth_blockNumber'))).toEqual({ Err: 'NoRpcForChain' });
});

test('E4 what is no action is MalformedRequest', async () => {
  const bench = await module();
  for (const body of [
    '',
    'x',
    '{}',
    '{"Request":{"chain_id":1}}',
    '{"Request":{"chain_id":-1,"method":"m","params":null}}',
    '1.5',
    new Uint8Array([0xff]),
  ])
    expect(await ask(bench, body)).toEqual({ Err: 'MalformedRequest' });
});

test('E4 no body makes the module throw', async () => {
  const bench = await module();
  const seed = Math.floor(Math.random() * 2 ** 31);
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.json(), fc.string(), fc.uint8Array()), async (body) => {
      const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
      const decoded = bench.module.decode(bench.request({ from: 'p:k:q', body: bytes }));
      if (!decoded.ok && decoded.error !== undefined)
        expect(new TextDecoder().decode(decoded.error.body)).toMatch(/Err|PermissionDenied/);
    }),
    { seed },
  );
});

test('E5 the same request within a second is served once upstream, after that again', async () => {
  const one = await provider(block(7));
  const bench = await module(one.config());
  for (let i = 0; i < 3; i++)
    expect(await ask(bench, rpc('eth_blockNumber'))).toEqual({ Response: '0x7' });
  await ask(bench, rpc('eth_blockNumber', [1]));
  expect(one.calls).toHaveLength(2);
  await clock.advance(999);
  await ask(bench, rpc('eth_blockNumber'));
  expect(one.calls).toHaveLength(2);
  await clock.advance(1);
  await ask(bench, rpc('eth_blockNumber'));
  expect(one.calls).toHaveLength(3);
});

test('E6 silence upstream is RpcTimeout, just before the requester gives up', async () => {
  const one = await provider(() => undefined);
  const bench = await module(one.config());
  const asked = ask(bench, rpc('eth_blockNumber'));
  let answer: unknown;
  void asked.then((value) => (answer = value));
  await until(() => one.calls.length === 1, 'the call');
  await clock.advance(29_900);
  expect(answer).toBeUndefined();
  await clock.advance(60);
  expect(await asked).toEqual({ Err: 'RpcTimeout' });
});

test('E7 an error upstream is RpcError with code, message and data', async () => {
  const bench = await module(
    (await provider(fails(3, 'execution reverted: no', '0x08c379a0'))).config(),
  );
  expect(await ask(bench, rpc('eth_call', [{}]))).toEqual({
    Err: { RpcError: { code: 3, message: 'execution reverted: no', data: '0x08c379a0' } },
  });
});

test('E32 a reverting call poisons nothing: not the next call, not another method, and no other provider is asked', async () => {
  const reverts = await provider(({ method, params }) =>
    method === 'eth_call' && JSON.stringify(params).includes('bad')
      ? { error: { code: -32_000, message: 'execution reverted' } }
      : { result: '0x1' },
  );
  const other = await provider(block(9));
  const bench = await module(reverts.config(), other.config());
  expect(await ask(bench, rpc('eth_call', ['bad']))).toMatchObject({
    Err: { RpcError: { code: -32_000 } },
  });
  expect(await ask(bench, rpc('eth_call', ['good']))).toEqual({ Response: '0x1' });
  expect(other.calls).toEqual([]);
  expect(reverts.calls).toHaveLength(2);
});

describe('failover', () => {
  test('E30 the first URL down: the second is used, the first is tried again after two minutes', async () => {
    const gone = await TestProvider.start(block(1));
    const { port: at } = gone;
    const config = gone.config();
    await gone[Symbol.asyncDispose]();
    const second = await provider(block(2));
    const bench = await module(config, second.config());
    expect(await ask(bench, rpc('eth_blockNumber'))).toEqual({ Response: '0x2' });
    expect(port.prints.map(({ text }) => text).join()).toContain('is offline');
    expect(port.prints.map(({ text }) => text).join()).not.toContain('key-in-the-path');
    const back = stack.use(await TestProvider.start(block(3), at));
    await clock.advance(1_000);
    expect(await ask(bench, rpc('eth_blockNumber'))).toEqual({ Response: '0x2' });
    await clock.advance(119_000);
    await until(() => back.count('eth_blockNumber') === 1, 'the health check');
    await new Promise(setImmediate);
    await until(() => back.connections === 1, 'its connection');
    expect(await ask(bench, rpc('eth_gasPrice'))).toEqual({ Response: '0x3' });
  });

  test('a silent provider is given up after ten seconds while another one can be asked', async () => {
    const silent = await provider(() => undefined);
    const second = await provider(block(2));
    const bench = await module(silent.config(), second.config());
    const asked = ask(bench, rpc('eth_blockNumber'));
    await until(() => silent.calls.length === 1, 'the call');
    await clock.advance(10_000);
    expect(await asked).toEqual({ Response: '0x2' });
  });

  test('a rate limit moves on, and the method is left alone there for a while that doubles', async () => {
    const limited = await provider(fails(429, 'Too Many Requests'));
    const second = await provider(block(2));
    const bench = await module(limited.config(), second.config());
    await ask(bench, rpc('eth_gasPrice'));
    await ask(bench, rpc('eth_gasPrice', [1]));
    expect(limited.calls).toHaveLength(1);
    await clock.advance(1_000);
    await ask(bench, rpc('eth_gasPrice', [2]));
    expect(limited.calls).toHaveLength(2);
    await clock.advance(1_500);
    await ask(bench, rpc('eth_gasPrice', [3]));
    expect(limited.calls).toHaveLength(2);
    await ask(bench, rpc('eth_chainId'));
    expect(limited.count('eth_chainId')).toBe(1);
  });

  test('E33 a span of logs that failed is not asked for again there, a smaller one is', async () => {
    const small = await provider(({ params }) => {
      const [{ fromBlock, toBlock }] = params as [{ fromBlock: string; toBlock: string }];
      return Number(toBlock) - Number(fromBlock) > 1_000
        ? { error: { code: -32_602, message: 'block range too large' } }
        : { result: [] };
    });
    const large = await provider(() => ({ result: ['large'] }));
    const bench = await module(small.config(), large.config());
    const logs = (from: number, to: number): unknown =>
      rpc('eth_getLogs', [
        { fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}` },
      ]);
    expect(await ask(bench, logs(0, 5_000))).toEqual({ Response: ['large'] });
    expect(await ask(bench, logs(1, 5_001))).toEqual({ Response: ['large'] });
    expect(small.calls).toHaveLength(1);
    expect(await ask(bench, logs(0, 999))).toEqual({ Response: [] });
    expect(small.calls).toHaveLength(2);
  });

  test('when every provider has trouble, all are asked once more after a second', async () => {
    let times = 0;
    const one = await provider(() =>
      ++times === 1 ? { error: { code: -32_603, message: 'internal error' } } : { result: '0x5' },
    );
    const bench = await module(one.config());
    const asked = ask(bench, rpc('eth_blockNumber'));
    await until(() => times === 1, 'the first call');
    for (let i = 0; i < 50; i++) await new Promise(setImmediate);
    await clock.advance(1_000);
    expect(await asked).toEqual({ Response: '0x5' });
  });

  test('a connection lost while a call waits is made again, and the call with it', async () => {
    let times = 0;
    const one = await provider(() => (++times === 1 ? undefined : { result: '0x6' }));
    const bench = await module(one.config());
    const asked = ask(bench, rpc('eth_blockNumber'));
    await until(() => times === 1, 'the first call');
    one.drop();
    expect(await asked).toEqual({ Response: '0x6' });
  });
});

describe('providers that misbehave', () => {
  test('garbage, answers to nobody and binary frames are passed over', async () => {
    const one = await provider(({ method }) => {
      for (const text of [
        '',
        'x',
        '{',
        '[]',
        'null',
        '{"id":1}',
        '{"id":99,"result":1}',
        '{"method":"eth_subscription"}',
        '{"id":"1","result":{}',
      ])
        one.say(text);
      return method === 'eth_blockNumber' ? { result: '0x1' } : undefined;
    });
    const bench = await module(one.config());
    expect(await ask(bench, rpc('eth_blockNumber'))).toEqual({ Response: '0x1' });
  });

  test('two MiB of logs arrive whole', async () => {
    const logs = Array.from({ length: 5_000 }, (_, at) => ({
      data: `0x${'ab'.repeat(200)}`,
      logIndex: at,
    }));
    const bench = await module((await provider(() => ({ result: logs }))).config());
    expect(await ask(bench, rpc('eth_getLogs', [{}]))).toEqual({ Response: logs });
  });

  test('F31 F35 one that is on another chain is not used, whoever trusts it, until it is on the right one', async () => {
    const one = await provider(block(1));
    one.chainId = '0x2105';
    const bench = await module({ ...one.config(), trusted: true });
    const agreed = {
      AgreedRequest: { chain_id: 31_337, method: 'eth_getBalance', params: ['0xcc'] },
    };
    expect(await ask(bench, rpc('eth_blockNumber'))).toMatchObject({ Err: expect.anything() });
    expect(await ask(bench, agreed)).toMatchObject({ Err: expect.anything() });
    expect(await ask(bench, rpc('eth_gasPrice'))).toMatchObject({ Err: expect.anything() });
    expect(one.calls).toEqual([]);
    const lines = port.prints.filter(({ verbosity }) => verbosity === 0);
    expect(lines.map(({ text }) => text)).toEqual([
      `eth: ws://127.0.0.1:${one.port} is a provider of chain 8453, and not of 31337, which it was named for: it is not asked`,
    ]);
    one.chainId = '0x7a69';
    await clock.advance(120_000);
    await until(() => one.count('eth_blockNumber') === 1, 'the health check');
    await new Promise(setImmediate);
    expect(await ask(bench, rpc('eth_gasPrice'))).toEqual({ Response: '0x1' });
  });

  test('one that has no eth_chainId is taken at its word, one that says nonsense is not', async () => {
    const plain = await provider(({ method }) =>
      method === 'eth_chainId'
        ? { error: { code: -32_601, message: 'no such method' } }
        : { result: '0x1' },
    );
    plain.chainId = undefined;
    const bench = await module(plain.config());
    expect(await ask(bench, rpc('eth_blockNumber'))).toEqual({ Response: '0x1' });
    for (const result of [31_337, '0x', '31337', null, '0x7A6900']) {
      const odd = await provider(({ method }) => ({
        result: method === 'eth_chainId' ? result : '0x1',
      }));
      odd.chainId = undefined;
      const other = await module(odd.config());
      expect(await ask(other, rpc('eth_blockNumber')), String(result)).toHaveProperty('Err');
    }
  });

  test('F35 two that disagree about logs, because one leaves some out, are named', async () => {
    const logs = [{ logIndex: '0x0' }, { logIndex: '0x1' }];
    const chain =
      (all: unknown): Script =>
      ({ method }) => {
        if (method === 'eth_blockNumber') return { result: '0x10' };
        return { result: method === 'eth_getLogs' ? all : { hash: '0xaa' } };
      };
    const whole = await provider(chain(logs));
    const dropping = await provider(chain(logs.slice(1)));
    const bench = await module(whole.config(), dropping.config());
    const params = [{ fromBlock: '0x0', toBlock: '0x10' }];
    const read = { AgreedRequest: { chain_id: 31_337, method: 'eth_getLogs', params } };
    expect(await ask(bench, read)).toEqual({
      Err: { ProvidersDisagree: [whole, dropping].map(({ port: at }) => `ws://127.0.0.1:${at}`) },
    });
    dropping.script = chain(logs);
    await clock.advance(1_000);
    expect(await ask(bench, read)).toEqual({ Response: logs });
  });

  test('an error that is no error object is one all the same', async () => {
    const bench = await module(
      (await provider(() => ({ error: 'execution reverted, sorry' }))).config(),
    );
    expect(await ask(bench, rpc('eth_call', []))).toMatchObject({
      Err: { RpcError: { code: -32_603, message: '"execution reverted, sorry"' } },
    });
  });
});

describe('F35 reads that decide', () => {
  const chain =
    (balance: string, hash = '0xaa'): Script =>
    ({ method }) => ({
      result:
        method === 'eth_blockNumber'
          ? '0x10'
          : method === 'eth_getBlockByNumber'
            ? { hash }
            : balance,
    });
  const agreed = (): unknown => ({
    AgreedRequest: { chain_id: 31_337, method: 'eth_getBalance', params: ['0xcc', 'latest'] },
  });

  test('a trusted provider answers alone', async () => {
    const liar = await provider(chain('0xdead'));
    const trusted = await provider(chain('0x1'));
    const bench = await module(liar.config(), { ...trusted.config(), trusted: true });
    expect(await ask(bench, agreed())).toEqual({ Response: '0x1' });
    expect(liar.calls).toEqual([]);
  });

  test('two others agree at one block, pinned by number', async () => {
    const a = await provider(chain('0xAB'));
    const b = await provider(chain('0xab'));
    const bench = await module(a.config(), b.config());
    expect(await ask(bench, agreed())).toEqual({ Response: '0xAB' });
    expect(b.calls.at(-1)).toEqual({ method: 'eth_getBalance', params: ['0xcc', '0x10'] });
  });

  test('ProvidersDisagree names both: on the answer, and on the block', async () => {
    const a = await provider(chain('0x1'));
    const b = await provider(chain('0x2'));
    const forked = await provider(chain('0x1', '0xbb'));
    const labels = (...all: TestProvider[]): string[] =>
      all.map((each) => `ws://127.0.0.1:${each.port}`);
    const bench = await module(a.config(), b.config());
    expect(await ask(bench, agreed())).toEqual({ Err: { ProvidersDisagree: labels(a, b) } });
    const other = await module(a.config(), forked.config());
    expect(await ask(other, agreed())).toEqual({ Err: { ProvidersDisagree: labels(a, forked) } });
  });

  test('one that is not trusted is not enough, and writing is no read', async () => {
    const bench = await module((await provider(chain('0x1'))).config());
    expect(await ask(bench, agreed())).toEqual({ Err: 'NoAgreement' });
    expect(
      await ask(bench, {
        AgreedRequest: { chain_id: 31_337, method: 'eth_sendRawTransaction', params: [] },
      }),
    ).toEqual({ Err: { InvalidMethod: 'eth_sendRawTransaction' } });
  });
});
