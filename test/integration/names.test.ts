/** The process library's clients of chains and names, in a guest and on the embedded chain. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HYPERMAP } from '../../contracts/addresses.ts';
import { encodeExecute, encodeFact } from '../../contracts/calls.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { accountOf } from '../../contracts/chain/genesis.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { systemClock } from '../../kernel/clock.ts';
import { urlProvider } from '../../runtime-modules/eth/config-file.ts';
import { eth } from '../../runtime-modules/eth/index.ts';
import { processId } from '../../wit/address.ts';
import { testNode, type TestNode } from '../support/node.ts';

const GUEST = fileURLToPath(new URL('../guests/names.ts', import.meta.url));
const NAMES = 'names:test:sys';
const { alice } = personas;

let chain: Chain;
let node: TestNode;
let home: string;
let component: Uint8Array;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'hyperloom-names-'));
  chain = await startChain();
  node = await testNode();
  const provider = urlProvider(31_337, { url: chain.webSocketUrl, auth: undefined });
  const module = await eth({ home, defaults: [provider] })({
    port: node.kernel.port('eth'),
    clock: systemClock,
  });
  node.kernel.registerModule(module);
  component = await buildComponent(GUEST);
  const issuer = { node: node.kernel.our, process: processId('eth:distro:sys') };
  await node.start(NAMES, component, { capabilities: [{ issuer, params: '"messaging"' }] });
}, 120_000);
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await chain.close();
  await rm(home, { recursive: true, force: true });
});

function ask(...request: readonly string[]): Promise<unknown> {
  return askOf(NAMES, request);
}

async function askOf(process: string, request: readonly string[]): Promise<unknown> {
  return JSON.parse((await node.ask(process, JSON.stringify(request))).text) as unknown;
}

interface Call {
  readonly to: string;
  readonly data: string;
}

test('a name is minted, written under and watched by calls that a guest has made', async () => {
  const [mint, early] = (await ask('calls', 'alice.os', alice.address)) as [Call, string];
  expect(early).toBe('NoSuchName: alice.os is not minted');
  await chain.rpc.send({ from: alice.address, ...mint });
  expect(await ask('get', 'alice.os')).toMatchObject({ owner: alice.address.toLowerCase() });
  expect(await ask('watch', 'alice.os')).toBe('watching');
  const [, note, fact] = (await ask('calls', 'alice.os', alice.address)) as [Call, Call, Call];
  await chain.rpc.send({ from: alice.address, ...note });
  await chain.rpc.send({ from: alice.address, ...fact });
  expect(await ask('get', '~ip.alice.os')).toMatchObject({ data: '0x7f000001' });
  await expect.poll(() => ask('seen')).toEqual(['~ip=0x7f000001', '!born=0x2025']);
});

test('HM9 a fact as large as a transaction can be reaches a guest that watches, and one that asks', async () => {
  const [mint] = (await ask('calls', 'large.os', alice.address)) as [Call];
  await chain.rpc.send({ from: alice.address, ...mint });
  await ask('watch', 'large.os');
  // What a transaction of 128 KiB has room for beside the calls around the data.
  const data: `0x${string}` = `0x${'ab'.repeat(131_072 - 700)}`;
  const call = encodeExecute({ to: HYPERMAP, data: encodeFact('!book', data), operation: 0 });
  await chain.rpc.send({ from: alice.address, to: accountOf('large.os'), data: call });
  expect(await ask('get', '!book.large.os')).toMatchObject({ data });
  await expect.poll(() => ask('seen'), { timeout: 30_000 }).toContain(`!book=${data}`);
});

test('E8 a process that may not message eth hears nothing until its time is up, and its owner a line', async () => {
  const mute = 'mute:test:sys';
  await node.start(mute, component);
  expect(await askOf(NAMES, ['raw'])).toBe('answered');
  expect(await askOf(mute, ['raw'])).toBe('NoResponse timeout');
  // The client looks why, so that its user learns what to change.
  expect(await askOf(mute, ['block'])).toBe('EthError NoMessaging');
  const lines = node.prints.map((printout) => ('text' in printout ? printout.text : ''));
  expect(lines.join('\n')).toMatch(
    /mute:test:sys has no messaging capability for .*eth:distro:sys/,
  );
}, 30_000);

test('HM1 a guest hashes a name of two labels in a few milliseconds', async () => {
  const { msEach } = (await ask('hashes', 'os')) as { msEach: number };
  // No duration is promised; this is to see that hashing is not done by a bignum library again: that took forty times as long.
  expect(msEach).toBeLessThan(100);
});
