/** A provider that is registered, and a job that is paid, by `kit` alone: a node, its extension and the chain, each the real one (CM8). */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { COMPUTE_ESCROW, HYPER } from '../../contracts/abi/constants.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { encodeCreditOf } from '../../contracts/compute-calls.ts';
import { splitOf } from '../../contracts/compute.ts';
import { openHome } from '../../runtime-modules/identity/home.ts';
import { RunningExtension } from '../support/compute-node.ts';
import { RunningNode } from '../support/running-node.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
const NAME = 'seller.os';
const PATIENCE = { timeout: 150_000, interval: 1_000 };
/** More than the time in which a result may be disputed. */
const WINDOW_S = 700;
const { owner: operator, bob: client, heidi: payTo } = personas;

let chain: Chain;
let folder: string;
let node: RunningNode;
let url: string;
let extension: RunningExtension;

beforeAll(async () => {
  chain = await startChain();
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-paid-kit-'));
  const home = join(folder, 'home');
  await (await openHome(home)).release();
  const drive = join(home, 'vfs', 'compute:sys', 'gpu');
  await mkdir(drive, { recursive: true });
  const policy = { free: 'Own', paid: true, minPrice: '0', allow: [], deny: [], slots: null };
  const text = JSON.stringify({ ...policy, payTo: payTo.address, prices: [], takesJobs: true });
  await writeFile(join(drive, 'policy.json'), text);
  for (const { name, privateKey } of [operator, client])
    await writeFile(join(folder, `${name}.key`), privateKey, { mode: 0o600 });
  const chainArgs = ['--fakechain-port', String(chain.port), '--extensions', '--port', '0'];
  node = RunningNode.spawn([home, '--fake-node-name', NAME, ...chainArgs]);
  [, url = ''] = await node.until(/ is up after .*, at (http:\/\/localhost:[0-9]+)/);
  const args = ['extension', 'gpu', '--node', url, '--home', join(folder, 'ext')];
  extension = new RunningExtension([...args, '--token-file', join(drive, 'pairing-token')], {});
  await node.until(/find it as seller\.os/);
  await vi.waitFor(() => expect(extension.output).toContain('paired'), PATIENCE);
}, 300_000);
afterAll(async () => {
  await extension?.kill();
  await node?.[Symbol.asyncDispose]();
  await chain?.close();
  await rm(folder, { recursive: true, force: true });
});

async function kit(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const ran = RunningNode.spawn(args, KIT);
  const { code } = await ran.exited;
  return { code, output: ran.output };
}

const creditOf = async (account: string): Promise<bigint> => {
  const data = encodeCreditOf(account, HYPER);
  const answer = await chain.rpc.request('eth_call', { to: COMPUTE_ESCROW, data }, 'latest');
  return BigInt(String(answer));
};

function register(wallet: string, stake: string): ReturnType<typeof kit> {
  const files = [
    '--wallet',
    join(folder, `${wallet}.key`),
    '--extension-home',
    join(folder, 'ext'),
  ];
  const rpc = `http://127.0.0.1:${chain.port}`;
  const more = ['--pay-to', payTo.address, '--rpc', rpc, '--stake', stake];
  return kit('provider', 'register', NAME, ...files, ...more);
}

test('CM33 kit provider register: only by who owns the name; again it adds what is missing', async () => {
  const stranger = await register(client.name, '100');
  expect([stranger.code, stranger.output]).toEqual([1, expect.stringContaining('NotNameOwner')]);
  const first = await register(operator.name, '100');
  expect([first.code, first.output]).toEqual([0, expect.stringContaining('100 HYPER at stake')]);
  const more = await register(operator.name, '1000');
  expect(more.output).toContain('adding 900 HYPER to the stake');
  const same = await register(operator.name, '1000');
  expect([same.code, same.output]).toEqual([0, expect.not.stringContaining('adding')]);
}, 240_000);

test('CM4 CM8 kit job submit --wallet pays into the vault, ends with the result that was verified, and the provider is paid once nobody disputes it', async () => {
  const market = ['--node', url, '--wallet', join(folder, `${client.name}.key`)];
  const what = ['--fn', 'echo', '--args', '{"text":"paid for"}'];
  await expect
    .poll(async () => (await kit('job', 'cost', ...what, ...market)).code, PATIENCE)
    .toBe(0);
  const unasked = await kit('job', 'submit', ...what, ...market);
  expect([unasked.code, unasked.output]).toEqual([1, expect.stringContaining('--yes agrees')]);
  const out = join(folder, 'out');
  const intent = ['--intent', 'one-payment'];
  const rpc = ['--rpc', `http://127.0.0.1:${chain.port}`];
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
  expect(await creditOf(payTo.address)).toBe(0n);
  await chain.rpc.request('evm_increaseTime', WINDOW_S);
  // The node looks at the chain's time when there is a block; this chain has none of its own.
  const settled = async (): Promise<bigint> => {
    await chain.rpc.request('evm_mine');
    return creditOf(payTo.address);
  };
  await expect.poll(settled, PATIENCE).toBe(splitOf(amount).provider);
  // The same intent is the same job: nothing is paid twice.
  const again = await kit('job', 'submit', ...what, ...market, ...intent, '--yes', '-d');
  expect([again.code, again.output]).toEqual([0, expect.not.stringContaining('paying')]);
  expect(await creditOf(payTo.address)).toBe(splitOf(amount).provider);
  const status = await kit('provider', 'status', NAME, ...rpc);
  expect(status.output).toMatch(/^to withdraw +0\.\d+ HYPER of 0x\w+ in the escrow/m);
  const byOperator = ['--wallet', join(folder, `${operator.name}.key`)];
  const withdrawn = await kit('provider', 'withdraw', NAME, ...rpc, ...byOperator);
  expect([withdrawn.code, withdrawn.output]).toEqual([0, expect.stringMatching(/went to 0x/)]);
  expect(await creditOf(payTo.address)).toBe(0n);
  // The whole price was paid out: nothing of it is the client's again.
  const back = await kit('job', 'withdraw', ...market);
  expect([back.code, back.output]).toEqual([1, expect.stringContaining('nothing to withdraw')]);
}, 400_000);
