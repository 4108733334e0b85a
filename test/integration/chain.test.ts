/** A development node and its chain: what the terminal's scripts see of both. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'vitest';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

let home: string;
beforeEach(async () => {
  home = join(await mkdtemp(join(tmpdir(), 'hyperloom-node-')), 'home');
});
afterEach(() => removeHome(join(home, '..')));

test('M253 a fresh node knows its chain, and its owner changes who is asked', async () => {
  await using node = await RunningNode.start(home);
  await node.type('get-block:hns-indexer:sys 31337', /block \d+/);
  await node.type('get-providers', /1\. chain 31337: ws:\/\/127\.0\.0\.1:\d+, trusted/);
  await node.type(
    'add-rpcurl-provider ws://127.0.0.1:9 --chain-id 1 --trusted false',
    /added as the first/,
  );
  await node.type('get-providers', /chain 1: ws:\/\/127\.0\.0\.1:9/);
  await node.type('remove-provider 1 ws://127.0.0.1:9', /is no provider of chain 1 any more/);
  await node.type('remove-provider 1 ws://127.0.0.1:9', /is no provider of chain 1$/m);
}, 180_000);

test('names of the chain are indexed at once, and again after a reset', async () => {
  await using node = await RunningNode.start(home);
  /** Resolves when the chain has been read as far as the first names. */
  const named = async (): Promise<void> => {
    for (;;) {
      const [text] = await node.type('state:hns-indexer:sys', /{"chain_id".*"last_block":\d+}/);
      if (text.includes('"os"')) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await named();
  await node.type('node-info:hns-indexer:sys os', /{"name":"os","public_key":"".*}/);
  await node.type('node-info:hns-indexer:sys never.os', /never\.os is no node/);
  await node.type('reset:hns-indexer:sys', /the index is being read anew/);
  await named();
}, 180_000);
