/** A chain reached through another node: programs of their own, the network between them, and the access settings of the one that is asked. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../runtime-modules/identity/registration/reach.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

async function start(
  folder: string,
  name: string,
  args: readonly string[] = [],
): Promise<RunningNode> {
  const node = RunningNode.spawn([
    ...[join(folder, name), '--fake-node-name', `${name}.dev`, '--port', '0'],
    ...['--dev-network', join(folder, 'network'), ...args],
  ]);
  await node.until(/ is up after /);
  return node;
}

test('E23 E24 a node without a chain asks one that allows it, over the network; another one is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'eth-relay-'));
  await using cleaning = new AsyncDisposableStack();
  cleaning.defer(() => removeHome(folder));
  await mkdir(join(folder, 'provider'));
  const settings = { public: false, allow: ['friend.dev'], deny: [] };
  await writeFile(join(folder, 'provider/.hyperloom'), '{"layout":1}\n');
  await writeFile(join(folder, 'provider/.eth_access_settings'), JSON.stringify(settings));
  const first = 20_000 + randomInt(10_000);
  const [ws, chainPort] = [await freePort(first), await freePort(first + 10_000)];
  const ports = ['--ws-port', String(ws), '--fakechain-port', String(chainPort)];
  const provider = cleaning.use(await start(folder, 'provider', ports));
  const [, key] = await provider.type(
    'net-diagnostics',
    /our identity: provider\.dev ([0-9a-f]{64})/,
  );
  // Nobody listens at port 1: this node finds no chain.
  for (const name of ['friend', 'stranger']) {
    const node = cleaning.use(await start(folder, name, ['--fakechain-port', '1']));
    await node.type('get-block:hns-indexer:sys 31337', /NoRpcForChain|no provider/);
    const line = `add-node-provider 31337 provider.dev 0x${key} 127.0.0.1 ${ws}`;
    await node.type(line, /added as the first provider of chain 31337/);
    const answer = await node.type('get-block:hns-indexer:sys 31337', /hns-indexer:sys: .+/);
    if (name === 'friend') expect(answer[0]).toMatch(/block \d+/);
    else expect(answer[0]).toMatch(/PermissionDenied/);
  }
}, 400_000);
