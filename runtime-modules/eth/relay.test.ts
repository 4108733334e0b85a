/** Chains through other nodes, both sides of it: E23 - E29, E31. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KernelPort } from '../../kernel/module.ts';
import { address } from '../../wit/address.ts';
import { plainResponse } from '../../wit/message.ts';
import type { U64 } from '../../wit/types.ts';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import type { ProviderConfig } from '../../wit/eth-api.ts';
import { eth, type EthWork } from './index.ts';
import { ask, logAt, rpc, sentTo, subscribeLogs, TestProvider, until } from './testing.ts';

const BOB = 'bob.os@eth:distro:sys';
const ROOT = [{ issuer: address('alice.os@eth:distro:sys'), params: '{"root":true}' }];
const NOBODY: ProviderConfig['provider'] = {
  kind: 'RpcUrl',
  value: { url: 'ws://127.0.0.1:1', auth: undefined },
};

let clock: TestClock;
let port: TestPort;
let stack: AsyncDisposableStack;
let bench: Bench<EthWork>;
beforeEach(() => {
  clock = new TestClock();
  port = new TestPort('eth');
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

function node(name: string): ProviderConfig {
  const hns_update = { name, public_key: '0x', ips: [], ports: new Map(), routers: [] };
  return {
    chain_id: 31_337,
    trusted: false,
    provider: { kind: 'Node', value: { hns_update, use_as_provider: true } },
  };
}

async function module(...defaults: ProviderConfig[]): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'eth-'));
  stack.defer(() => rm(home, { recursive: true }));
  const made = await eth({ home, defaults })({ port, clock });
  bench = new Bench(stack.use(made), port);
}

type Sent = Parameters<KernelPort['send']>[0];

/** The next request to a node; waits for it. */
async function sent(at: number, to = 'bob.os'): Promise<Sent> {
  const all = (): Sent[] => port.sent.filter(({ target }) => target.node === to);
  await until(() => all().length > at, `request ${at} to ${to}`);
  return all()[at]!;
}

function answer(id: U64, body: unknown, from = BOB): void {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  bench.module.onResponse?.({
    id,
    source: address(from),
    target: address('alice.os@eth:distro:sys'),
    rsvp: undefined,
    message: { kind: 'response', response: plainResponse(bytes), context: undefined },
    blob: undefined,
  });
}

function offline(request: Sent): void {
  const { target, message, blob } = request;
  bench.module.onSendError?.(
    { kind: 'offline', target, message, blob },
    request.id!,
    'unreachable',
  );
}

const textOf = ({ message }: Sent): string =>
  message.kind === 'request' ? new TextDecoder().decode(message.request.body) : '';

test('E24 a request is passed on as it came, under its own id; the answer comes back unchanged', async () => {
  await module(node('bob.os'));
  const body = JSON.stringify(rpc('eth_call', [{ to: '0x1' }, 'latest']));
  const asked = bench.ask({ from: 'p:k:q', body, id: 77, timeoutS: 30 });
  const request = await sent(0);
  expect(request).toMatchObject({ id: 77, target: address(BOB), rsvp: undefined });
  expect(request.message).toMatchObject({ request: { expectsResponse: 60 } });
  expect(textOf(request)).toBe(body);
  answer(77, { Response: '0x2a' }, 'eve.os@eth:distro:sys');
  answer(77, { Response: '0x2a' });
  expect((await asked)?.body).toEqual({ Response: '0x2a' });
});

test('E31 nodes are asked when all URLs are down', async () => {
  await module({ chain_id: 31_337, trusted: false, provider: NOBODY }, node('bob.os'));
  const asked = bench.ask({ from: 'p:k:q', body: rpc('eth_blockNumber'), id: 5, timeoutS: 30 });
  await sent(0);
  answer(5, { Response: '0x1' });
  expect((await asked)?.body).toEqual({ Response: '0x1' });
});

test('E29 a node that is offline: the next one is asked; it is looked for again, later and later', async () => {
  await module(node('bob.os'), node('carol.os'));
  const asked = bench.ask({ from: 'p:k:q', body: rpc('eth_blockNumber'), id: 5, timeoutS: 30 });
  offline(await sent(0));
  await sent(0, 'carol.os');
  answer(5, { Response: '0x1' }, 'carol.os@eth:distro:sys');
  expect((await asked)?.body).toEqual({ Response: '0x1' });
  await clock.advance(60_000);
  offline(await sent(1));
  await clock.advance(119_000);
  expect(port.sent.filter(({ target }) => target.node === 'bob.os')).toHaveLength(2);
  await clock.advance(2_000);
  answer((await sent(2)).id!, { Err: 'PermissionDenied' });
  await new Promise(setImmediate);
  const second = bench.ask({ from: 'p:k:q', body: rpc('eth_gasPrice'), id: 6, timeoutS: 30 });
  await sent(3);
  answer(6, { Response: '0x2' });
  expect((await second)?.body).toEqual({ Response: '0x2' });
});

test('a node that answers what no provider answers is not used any more', async () => {
  await module(node('bob.os'));
  const asked = bench.ask({ from: 'p:k:q', body: rpc('eth_blockNumber'), id: 5, timeoutS: 30 });
  await sent(0);
  answer(5, 'what?');
  expect((await asked)?.body).toEqual({ Err: 'RpcMalformedResponse' });
  const listed = await bench.ask({ from: 'p:k:q', body: '"GetProviders"', capabilities: ROOT });
  expect(listed?.body).toMatchObject({
    Providers: [{ provider: { Node: { use_as_provider: false } } }],
  });
});

/** Subscribes through bob; the relay id. */
async function relayed(): Promise<string> {
  await module(node('bob.os'));
  const asked = ask(bench, subscribeLogs(9));
  const request = await sent(0);
  const id = /"sub_id":(\d+)/.exec(textOf(request))?.[1] ?? '';
  answer(request.id!, 'Ok');
  expect(await asked).toBe('Ok');
  return id;
}

function update(body: string, from = BOB): Promise<unknown> {
  return bench.ask({ from, body, expectsResponse: false });
}

test('E25 updates of a relayed subscription reach the process under its own id', async () => {
  const id = await relayed();
  await update(`{"Ok":{"id":${id},"result":${JSON.stringify(logAt(3))}}}`);
  expect(sentTo(port)).toEqual([{ Ok: { id: 9, result: logAt(3) } }]);
  await update(`{"Err":{"id":${id},"error":"closed"}}`);
  expect(sentTo(port)[1]).toMatchObject({ Err: { id: 9 } });
  expect(textOf(await sent(2))).toBe(`{"UnsubscribeLogs":${id}}`);
});

test('E26 a keepalive at once and every 30 s, the bare id under one message id; an answer to it ends the subscription', async () => {
  const id = await relayed();
  await clock.advance(60_000);
  const beats = [await sent(1), await sent(2), await sent(3)];
  expect(beats.map(textOf)).toEqual([id, id, id]);
  expect(new Set(beats.map((beat) => String(beat.id))).size).toBe(1);
  expect(beats[0]?.message).toMatchObject({ request: { expectsResponse: 30 } });
  answer(beats[0]!.id!, { Err: { id: 1, error: 'Subscription not found' } });
  await until(() => sentTo(port).length === 1, 'the end');
  expect(sentTo(port)[0]).toMatchObject({
    Err: { id: 9, error: expect.stringContaining('closed unexpectedly') as unknown },
  });
});

test('E26 two hours without an update are the end', async () => {
  await relayed();
  await clock.advance(2 * 60 * 60 * 1000 + 30_000);
  await until(() => sentTo(port).length === 1, 'the end');
  expect(JSON.stringify(sentTo(port))).toContain('No updates received for 2 hours');
});

test('E27 an update from a node that is not the provider is rejected and unsubscribed', async () => {
  const id = await relayed();
  await update(`{"Ok":{"id":${id},"result":1}}`, 'eve.os@eth:distro:sys');
  expect(sentTo(port)).toEqual([]);
  expect(sentTo(port, 'eve.os')).toEqual([{ UnsubscribeLogs: Number(id) }]);
});

test('E23 a private node refuses other nodes; an allowed one is served; a denied one is not, even when public', async () => {
  const chain = stack.use(await TestProvider.start(() => ({ result: '0x1' })));
  await module(chain.config());
  const configure = (body: unknown): Promise<unknown> =>
    bench.ask({ from: 'p:k:q', body, capabilities: ROOT });
  const asks = (): Promise<unknown> => ask(bench, rpc('eth_blockNumber'), BOB);
  expect(await asks()).toEqual({ Err: 'PermissionDenied' });
  await configure({ AllowNode: 'bob.os' });
  expect(await asks()).toEqual({ Response: '0x1' });
  await configure('"SetPublic"');
  await configure({ DenyNode: 'bob.os' });
  expect(await asks()).toEqual({ Err: 'PermissionDenied' });
  await configure({ UndenyNode: 'bob.os' });
  await configure({ UnallowNode: 'bob.os' });
  await clock.advance(200);
  expect(await asks()).toEqual({ Response: '0x1' });
});

test('E28 more than 100 waiting requests of one node are RateLimited; one is handed on every 200 ms', async () => {
  const chain = stack.use(await TestProvider.start(() => ({ result: '0x1' })));
  await module(chain.config());
  await bench.ask({ from: 'p:k:q', body: '"SetPublic"', capabilities: ROOT });
  const answers: unknown[] = [];
  for (let at = 0; at < 102; at++)
    void ask(bench, rpc('eth_call', [at]), `bob.os@p${at}:k:q`).then((body) => answers.push(body));
  await until(() => answers.length === 2, 'the first and the last');
  expect(answers).toContainEqual({ Err: 'RateLimited' });
  expect(await ask(bench, rpc('eth_call', ['x']), 'carol.os@eth:distro:sys')).toEqual({
    Response: '0x1',
  });
  await clock.advance(200);
  await until(() => answers.length === 3, 'the next');
});

test('other nodes subscribe under their own ids; a keepalive for an unknown one is told so', async () => {
  const chain = stack.use(
    await TestProvider.start(({ method }) => ({
      result: method === 'eth_subscribe' ? 's' : '0x1',
    })),
  );
  await module(chain.config());
  await bench.ask({ from: 'p:k:q', body: '"SetPublic"', capabilities: ROOT });
  const rsvp = address('bob.os@app:k:q');
  const subscribed = bench.ask({ from: BOB, body: subscribeLogs('12345678901234567890'), rsvp });
  expect((await subscribed)?.body).toBe('Ok');
  chain.notify('s', logAt(2));
  const request = await sent(0);
  expect(request.rsvp).toEqual(rsvp);
  expect(textOf(request)).toMatch(/^\{"Ok":\{"id":12345678901234567890,"result":/);
  expect(await bench.ask({ from: BOB, body: '12345678901234567890' })).toBeUndefined();
  expect((await bench.ask({ from: BOB, body: '5' }))?.body).toEqual({
    Err: { id: 5, error: 'Subscription not found' },
  });
  offline({ ...request, id: 1 });
  expect((await bench.ask({ from: BOB, body: '12345678901234567890' }))?.body).toBeDefined();
});
