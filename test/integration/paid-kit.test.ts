/** A provider that is registered, and a job that is paid, by `kit` alone: a node, its extension and the chain, each the real one (CM8). */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMPUTE_ESCROW, HYPER } from '../../contracts/abi/constants.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { encodeCreditOf } from '../../contracts/compute-calls.ts';
import { splitOf } from '../../contracts/compute.ts';
import { PaidNode } from '../support/paid-node.ts';
import { RunningNode } from '../support/running-node.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
const NAME = 'seller.os';
const PATIENCE = { timeout: 150_000, interval: 1_000 };
/** More than the time in which a result may be disputed. */
const WINDOW_S = 700;
const { bob: client } = personas;

let paid: PaidNode;

beforeAll(async () => {
  paid = await PaidNode.start({ name: NAME, slots: 4 });
  for (const { name, privateKey } of [paid.operator, client])
    await writeFile(join(paid.folder, `${name}.key`), privateKey, { mode: 0o600 });
}, 300_000);
afterAll(async () => {
  await paid?.[Symbol.asyncDispose]();
});

async function kit(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const ran = RunningNode.spawn(args, KIT);
  const { code } = await ran.exited;
  return { code, output: ran.output };
}

const creditOf = async (account: string): Promise<bigint> => {
  const data = encodeCreditOf(account, HYPER);
  const answer = await paid.chain.rpc.request('eth_call', { to: COMPUTE_ESCROW, data }, 'latest');
  return BigInt(String(answer));
};

function register(wallet: string, stake: string): ReturnType<typeof kit> {
  const files = [
    '--wallet',
    join(paid.folder, `${wallet}.key`),
    '--extension-home',
    paid.extensionHome,
  ];
  const rpc = `http://127.0.0.1:${paid.chain.port}`;
  const more = ['--pay-to', paid.payTo.address, '--rpc', rpc, '--stake', stake];
  return kit('provider', 'register', NAME, ...files, ...more);
}

test('CM33 kit provider register: only by who owns the name; again it adds what is missing', async () => {
  const stranger = await register(client.name, '100');
  expect([stranger.code, stranger.output]).toEqual([1, expect.stringContaining('NotNameOwner')]);
  const first = await register(paid.operator.name, '100');
  expect([first.code, first.output]).toEqual([0, expect.stringContaining('100 HYPER at stake')]);
  const more = await register(paid.operator.name, '1000');
  expect(more.output).toContain('adding 900 HYPER to the stake');
  const same = await register(paid.operator.name, '1000');
  expect([same.code, same.output]).toEqual([0, expect.not.stringContaining('adding')]);
}, 240_000);

test('CM27 kit job dispute: only by the wallet that paid, for a bond it agreed to; then nothing is paid until it is decided', async () => {
  const rpc = ['--rpc', `http://127.0.0.1:${paid.chain.port}`];
  const by = (wallet: string): readonly string[] => [
    ...['--node', paid.url, '--wallet', join(paid.folder, `${wallet}.key`)],
    ...rpc,
  ];
  const submitted = RunningNode.spawn(
    ['job', 'submit', '--fn', 'echo', '--args', '{"text":"a lie"}', '--yes', ...by(client.name)],
    KIT,
  );
  const [, jobId = ''] = await submitted.until(/job (0x[0-9a-f]{64})/);
  await submitted.until(/the result is verified/);
  const evidence = ['--evidence', 'it says something else'];
  const dispute = (wallet: string, ...more: readonly string[]): ReturnType<typeof kit> =>
    kit('job', 'dispute', jobId, ...by(wallet), ...more);
  const stranger = await dispute(paid.operator.name, ...evidence, '--yes');
  expect([stranger.code, stranger.output]).toEqual([1, expect.stringContaining('NOT_FOUND')]);
  expect((await dispute(client.name, '--yes')).output).toContain('what is wrong with the result?');
  const unasked = await dispute(client.name, ...evidence);
  expect([unasked.code, unasked.output]).toEqual([
    1,
    expect.stringMatching(/a bond of 1 HYPER.*nobody is there to agree/s),
  ]);
  const done = await dispute(client.name, ...evidence, '--yes');
  expect([done.code, done.output]).toEqual([
    0,
    expect.stringMatching(/disputed, with a bond of 1 HYPER, in 0x[0-9a-f]{64}/),
  ]);
  const status = async (): Promise<string> =>
    (await kit('job', 'status', jobId, ...by(client.name).slice(0, 4))).output;
  await expect.poll(status, PATIENCE).toMatch(/verifying \(disputed\)[^]*stopped by a dispute/);
  const twice = await dispute(client.name, ...evidence, '--yes');
  expect([twice.code, twice.output]).toEqual([1, expect.stringContaining('BAD_STATE')]);
}, 400_000);

test('CM4 CM8 kit job submit --wallet pays into the vault, ends with the result that was verified, and the provider is paid once nobody disputes it', async () => {
  const market = ['--node', paid.url, '--wallet', join(paid.folder, `${client.name}.key`)];
  const what = ['--fn', 'echo', '--args', '{"text":"paid for"}'];
  await expect
    .poll(async () => (await kit('job', 'cost', ...what, ...market)).code, PATIENCE)
    .toBe(0);
  const unasked = await kit('job', 'submit', ...what, ...market);
  expect([unasked.code, unasked.output]).toEqual([1, expect.stringContaining('--yes agrees')]);
  const out = join(paid.folder, 'out');
  const intent = ['--intent', 'one-payment'];
  const rpc = ['--rpc', `http://127.0.0.1:${paid.chain.port}`];
  const job = RunningNode.spawn(
    ['job', 'submit', ...what, ...market, ...intent, '--yes', '-o', out, ...rpc],
    KIT,
  );
  const [, price = ''] = await job.until(/paying 0\.(\d{1,6}) HYPER into the vault 0x/);
  const amount = BigInt(price.padEnd(6, '0'));
  await job.until(/\| paid for/);
  await job.until(/verifying \(challenge-window\) at seller\.os/);
  await job.until(
    /the result is verified; 0\.\d+ HYPER are paid once the time to dispute it is over/,
  );
  expect(await job.exited).toMatchObject({ code: 0 });
  expect(await readFile(join(out, 'echo.txt'), 'utf8')).toBe('paid for\n');
  expect(await creditOf(paid.payTo.address)).toBe(0n);
  await paid.chain.rpc.request('evm_increaseTime', WINDOW_S);
  // The node looks at the chain's time when there is a block; this chain has none of its own.
  const settled = async (): Promise<bigint> => {
    await paid.chain.rpc.request('evm_mine');
    return creditOf(paid.payTo.address);
  };
  await expect.poll(settled, PATIENCE).toBe(splitOf(amount).provider);
  // The same intent is the same job: nothing is paid twice.
  const again = await kit('job', 'submit', ...what, ...market, ...intent, '--yes', '-d');
  expect([again.code, again.output]).toEqual([0, expect.not.stringContaining('paying')]);
  expect(await creditOf(paid.payTo.address)).toBe(splitOf(amount).provider);
  const status = await kit('provider', 'status', NAME, ...rpc);
  expect(status.output).toMatch(/^to withdraw +0\.\d+ HYPER of 0x\w+ in the escrow/m);
  const byOperator = ['--wallet', join(paid.folder, `${paid.operator.name}.key`)];
  const withdrawn = await kit('provider', 'withdraw', NAME, ...rpc, ...byOperator);
  expect([withdrawn.code, withdrawn.output]).toEqual([0, expect.stringMatching(/went to 0x/)]);
  expect(await creditOf(paid.payTo.address)).toBe(0n);
  // The whole price was paid out: nothing of it is the client's again.
  const back = await kit('job', 'withdraw', ...market);
  expect([back.code, back.output]).toEqual([1, expect.stringContaining('nothing to withdraw')]);
}, 400_000);
