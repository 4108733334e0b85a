/** Providers and access as their owner sets them, and their files: E16 - E22. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { Bench, TestClock, TestPort } from '../shared/testing.ts';
import type { ProviderConfig } from '../../wit/eth-api.ts';
import { loadRpcConfig, urlProvider } from './config-file.ts';
import { eth, type EthOptions, type EthWork } from './index.ts';

const ROOT = [{ issuer: address('alice.os@eth:distro:sys'), params: '{ "root": true }' }];
const url = (value: string, trusted = false): ProviderConfig => ({
  ...urlProvider(1, { url: value, auth: undefined }),
  trusted,
});
const shown = (value: string, chain_id = 1, trusted = false): unknown => ({
  chain_id,
  trusted,
  provider: { RpcUrl: { url: value, auth: null } },
});
const hns_update = {
  name: 'bob.os',
  public_key: '0xab',
  ips: ['1.2.3.4'],
  ports: { ws: 9_000 },
  routers: [],
};
const shownNode = {
  chain_id: 1,
  trusted: false,
  provider: { Node: { hns_update, use_as_provider: true } },
};

let home: string;
let port: TestPort;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'eth-'));
  port = new TestPort('eth');
  stack = new AsyncDisposableStack();
  stack.defer(() => rm(home, { recursive: true }));
});
afterEach(() => stack.disposeAsync());

async function start(options: Partial<EthOptions> = {}): Promise<Bench<EthWork>> {
  const made = await eth({ home, defaults: [], ...options })({ port, clock: new TestClock() });
  return new Bench(stack.use(made), port);
}

async function root(bench: Bench<EthWork>, body: unknown): Promise<unknown> {
  return (await bench.ask({ from: 'p:k:q', body, capabilities: ROOT }))?.body;
}

const saved = async (name = '.eth_providers'): Promise<unknown> =>
  JSON.parse(await readFile(join(home, name), 'utf8'));

test('E16 without root, and from other nodes even with it: PermissionDenied', async () => {
  const bench = await start();
  const ask = async (from: string, capabilities = ROOT): Promise<unknown> =>
    (await bench.ask({ from, body: '"GetProviders"', capabilities }))?.body;
  expect(await ask('p:k:q', [])).toBe('PermissionDenied');
  expect(await ask('bob.os@p:k:q')).toBe('PermissionDenied');
  expect(await ask('p:k:q')).toEqual({ Providers: [] });
});

test('E17 AddProvider puts one first of its kind, replaces an equal one, and is on disk', async () => {
  const bench = await start({ defaults: [url('ws://a')] });
  expect(await root(bench, { AddProvider: shownNode })).toBe('Ok');
  expect(await root(bench, { AddProvider: shown('ws://b') })).toBe('Ok');
  expect(await root(bench, { AddProvider: shown('ws://a', 1, true) })).toBe('Ok');
  expect(await root(bench, '"GetProviders"')).toEqual({
    Providers: [shown('ws://a', 1, true), shown('ws://b'), shownNode],
  });
  expect(await saved()).toHaveLength(3);
  expect((await stat(join(home, '.eth_providers'))).mode & 0o777).toBe(0o600);
});

test('E18 RemoveProvider removes by URL or name; an unknown one is ProviderNotFound', async () => {
  const bench = await start({ defaults: [url('ws://a')] });
  await root(bench, { AddProvider: shownNode });
  expect(await root(bench, { RemoveProvider: [2, 'ws://a'] })).toBe('ProviderNotFound');
  expect(await root(bench, { RemoveProvider: [1, 'ws://a'] })).toBe('Ok');
  expect(await root(bench, { RemoveProvider: [1, 'bob.os'] })).toBe('Ok');
  expect(await saved()).toEqual([]);
});

test('E19 the older form of a URL is read, the object form is written, auth only where there is one', async () => {
  const auth = { Bearer: 'token' };
  await writeFile(
    join(home, '.eth_providers'),
    JSON.stringify([
      { chain_id: 1, trusted: false, provider: { RpcUrl: 'wss://old' } },
      { chain_id: 1, trusted: true, provider: { RpcUrl: { url: 'wss://new', auth } } },
    ]),
  );
  const bench = await start();
  await root(bench, { AddProvider: shown('ws://c') });
  expect(await saved()).toEqual([
    { chain_id: 1, trusted: false, provider: { RpcUrl: { url: 'ws://c' } } },
    { chain_id: 1, trusted: false, provider: { RpcUrl: { url: 'wss://old' } } },
    { chain_id: 1, trusted: true, provider: { RpcUrl: { url: 'wss://new', auth } } },
  ]);
});

test('E20 no file: the defaults are written; a file that cannot be read: defaults in memory, the file untouched', async () => {
  const defaults = [url('ws://default')];
  await start({ defaults });
  expect(await saved()).toHaveLength(1);
  for (const damaged of ['{', '[{}]', '"x"']) {
    await writeFile(join(home, '.eth_providers'), damaged);
    const bench = await start({ defaults });
    expect(await root(bench, '"GetProviders"')).toEqual({ Providers: [shown('ws://default')] });
    expect(await readFile(join(home, '.eth_providers'), 'utf8')).toBe(damaged);
  }
  expect(port.prints.at(-1)?.text).toMatch(
    /error loading saved eth providers, using default providers/,
  );
});

test('E21 --rpc comes first and is saved; of --rpc-config the first entry is first', async () => {
  const file = join(home, 'config.json');
  await writeFile(file, '[{"url":"ws://x"},{"url":"ws://y","auth":{"Basic":"abc"}}]');
  const loaded = await loadRpcConfig(file, 8_453);
  if (loaded.kind !== 'read') throw new Error(loaded.kind);
  const bench = await start({ defaults: [url('ws://a')], prepend: loaded.value });
  expect(await root(bench, '"GetProviders"')).toMatchObject({
    Providers: [
      { chain_id: 8_453, trusted: true, provider: { RpcUrl: { url: 'ws://x' } } },
      { provider: { RpcUrl: { url: 'ws://y', auth: { Basic: 'abc' } } } },
      { provider: { RpcUrl: { url: 'ws://a' } } },
    ],
  });
  expect(await saved()).toHaveLength(3);
  expect(await loadRpcConfig(join(home, 'none'), 1)).toEqual({ kind: 'absent' });
});

test('what is only for this run is used first and not saved', async () => {
  const bench = await start({ defaults: [url('ws://a')], temporary: [url('ws://chain')] });
  await root(bench, { AddProvider: shown('ws://b') });
  expect(JSON.stringify(await root(bench, '"GetProviders"'))).toContain('ws://chain');
  expect(JSON.stringify(await saved())).not.toContain('ws://chain');
});

test('E22 access settings are persisted and survive a restart', async () => {
  const first = await start();
  for (const body of [
    '"SetPublic"',
    { AllowNode: 'bob.os' },
    { DenyNode: 'eve.os' },
    { DenyNode: 'eve.os' },
  ])
    expect(await root(first, body)).toBe('Ok');
  const second = await start();
  expect(await root(second, '"GetAccessSettings"')).toEqual({
    AccessSettings: { public: true, allow: ['bob.os'], deny: ['eve.os'] },
  });
  expect(await root(second, '"SetPrivate"')).toBe('Ok');
  expect(await saved('.eth_access_settings')).toMatchObject({ public: false });
});

test('E22 settings that cannot be read mean private', async () => {
  await writeFile(join(home, '.eth_access_settings'), '{"public":true}');
  const bench = await start();
  expect(await root(bench, '"GetAccessSettings"')).toMatchObject({
    AccessSettings: { public: false },
  });
});
