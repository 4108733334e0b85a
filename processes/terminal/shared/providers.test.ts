/** The scripts for providers of chains: what they send, and what they make of the answers. */
import { expect, test } from 'vitest';
import type { ProcessId } from '../../../wit/types.ts';
import type { AskOptions, Guest, Reply } from './guest.ts';
import {
  addNodeProvider,
  addRpcUrlProvider,
  getProviders,
  removeProvider,
} from './scripts/providers.ts';

function guest(answer: unknown): Guest & { readonly asked: unknown[]; readonly seconds: number[] } {
  const asked: unknown[] = [];
  const seconds: number[] = [];
  return {
    asked,
    seconds,
    our: { node: 'alice.os', process: '1:terminal:sys' as ProcessId },
    print: () => undefined,
    ask(target, body, { timeoutS }: AskOptions): Reply {
      expect(target).toEqual({ node: 'alice.os', process: 'eth:distro:sys' });
      asked.push(JSON.parse(String(body)));
      seconds.push(timeoutS);
      if (answer === undefined) return { kind: 'timeout' };
      return { kind: 'response', body: new TextEncoder().encode(JSON.stringify(answer)) };
    },
    send: () => undefined,
    blob: () => undefined,
    capabilities: () => [],
    randomName: () => '1',
    state: () => undefined,
    setState: () => undefined,
  };
}

test('M253 provider scripts send exactly the JSON of the reference', () => {
  const ok = guest('Ok');
  addRpcUrlProvider(ok, 'wss://x/y');
  addRpcUrlProvider(ok, 'wss://x --chain-id 10 --trusted false --auth-type bearer --auth-value k');
  addNodeProvider(ok, '8453 base.hypr 0xab 1.2.3.4 9007');
  removeProvider(ok, '8453 base.hypr');
  getProviders(ok, '');
  expect(ok.asked).toEqual([
    { AddProvider: { chain_id: 8453, provider: { RpcUrl: { url: 'wss://x/y' } }, trusted: true } },
    {
      AddProvider: {
        chain_id: 10,
        provider: { RpcUrl: { url: 'wss://x', auth: { Bearer: 'k' } } },
        trusted: false,
      },
    },
    {
      AddProvider: {
        chain_id: 8453,
        provider: {
          Node: {
            hns_update: {
              name: 'base.hypr',
              public_key: '0xab',
              ips: ['1.2.3.4'],
              ports: { ws: 9_007 },
              routers: [],
            },
            use_as_provider: true,
          },
        },
        trusted: false,
      },
    },
    { RemoveProvider: [8453, 'base.hypr'] },
    'GetProviders',
  ]);
  expect(new Set(ok.seconds)).toEqual(new Set([60]));
});

test('M253 what eth answers is said in words', () => {
  const denied = guest('PermissionDenied');
  expect(addRpcUrlProvider(denied, 'wss://x')).toContain('permission denied');
  expect(removeProvider(guest('ProviderNotFound'), '10 x')).toBe('x is no provider of chain 10');
  expect(removeProvider(guest('Ok'), '10 x')).toBe('x is no provider of chain 10 any more');
  expect(getProviders(guest(undefined), '')).toBe('eth did not answer');
  expect(getProviders(guest({ Providers: [] }), '')).toBe('there are no providers');
});

test('providers are listed without what may be a key', () => {
  const url = (path: string, auth?: unknown): unknown => ({
    RpcUrl: { url: `wss://x${path}`, auth },
  });
  const list = getProviders(
    guest({
      Providers: [
        { chain_id: 1, trusted: true, provider: url('/v2/SECRET') },
        { chain_id: 1, trusted: false, provider: url('', { Bearer: 'SECRET' }) },
        { chain_id: 1, trusted: false, provider: { Node: { hns_update: { name: 'a.os' } } } },
      ],
    }),
    '',
  );
  expect(list).toBe(
    '1. chain 1: wss://x, trusted\n2. chain 1: wss://x (with a key)\n3. chain 1: node a.os',
  );
});

test.each([
  [addRpcUrlProvider, ''],
  [addRpcUrlProvider, 'wss://x extra'],
  [addRpcUrlProvider, 'wss://x --chain-id x'],
  [addRpcUrlProvider, 'wss://x --trusted maybe'],
  [addRpcUrlProvider, 'wss://x --auth-type basic'],
  [addRpcUrlProvider, 'wss://x --auth-type none --auth-value v'],
  [addRpcUrlProvider, 'wss://x --nonsense v'],
  [addNodeProvider, '1 a.os 0xab 1.2.3.4'],
  [addNodeProvider, '1 a.os 0xab 1.2.3.4 70000'],
  [removeProvider, '1'],
  [getProviders, 'x'],
])('%o %s is answered with the usage, and nothing is sent', (script, args) => {
  const ok = guest('Ok');
  expect(script(ok, args)).toMatch(/^usage: /);
  expect(ok.asked).toEqual([]);
});
