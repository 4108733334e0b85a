import { afterAll, beforeAll, expect, test } from 'vitest';
import { HYPERMAP } from '../contracts/addresses.ts';
import { decodeGet, encodeGet } from '../contracts/calls.ts';
import { type Chain, startChain } from '../contracts/chain/chain.ts';
import { namehash } from '../contracts/hypermap.ts';
import { publishName } from './fake-name.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await startChain();
});
afterAll(() => chain.close());

/** What the chain has under it; `0x`: nothing. */
async function noteOf(name: string, note: string): Promise<string> {
  const call = { to: HYPERMAP, data: encodeGet(namehash(`${note}.${name}`)) };
  const entry = decodeGet(String(await chain.rpc.request('eth_call', call, 'latest')));
  if (!entry.ok) throw new Error(entry.error);
  return entry.value.data;
}

test('HM31 as many development nodes as like come onto one chain at once, and again with other keys', async () => {
  const names = Array.from({ length: 48 }, (_, index) => `node-${index}.os`);
  for (const key of ['ab', 'cd']) {
    const publicKeyHex = key.repeat(32);
    const config = { fakechainPort: chain.port };
    await Promise.all(
      names.map((name, index) =>
        publishName(chain.url, { name, publicKeyHex, ports: { tcp: 10_000 + index } }, config),
      ),
    );
    const keys = await Promise.all(names.map((name) => noteOf(name, '~net-key')));
    expect(keys).toEqual(names.map(() => `0x${publicKeyHex}`));
  }
});
