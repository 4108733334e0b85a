/** `kit provider` as people run it, on a chain where a provider has stake and has earned something. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMPUTE_ESCROW, HYPER } from '../../contracts/abi/constants.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { type Persona, personas } from '../../contracts/chain/personas.ts';
import * as calls from '../../contracts/compute-calls.ts';
import { jobIdOf } from '../../contracts/compute.ts';
import {
  acceptanceOf,
  chainNow,
  client,
  domain,
  executor,
  operator,
  payTo,
  platform,
  quorum,
  receiptOf,
  sign,
  termsAt,
  UNITS,
  verdictOf,
  wait,
} from '../../contracts/test/compute-market.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
const NAME = 'provider.os';
const MS_MAX = 120_000;
const COOLDOWN_S = 7 * 86_400;
const CHALLENGE_S = 700;
const stranger = personas.frank;

let chain: Chain;
let folder: string;
beforeAll(async () => {
  chain = await startChain({ market: true });
  folder = await mkdtemp(join(tmpdir(), 'kit-provider-'));
  for (const { name, privateKey } of [operator, payTo, stranger])
    await writeFile(join(folder, name), privateKey, { mode: 0o600 });
}, MS_MAX);
afterAll(async () => {
  await chain?.close();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function kit(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const all = [KIT, 'provider', ...args, '--rpc', chain.url];
    execFile(process.execPath, all, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const by = ({ name }: Persona): readonly string[] => ['--wallet', join(folder, name)];
const refused = (why: RegExp): object => ({ code: 1, err: expect.stringMatching(why) });
const done = (what: RegExp): object => ({ code: 0, out: expect.stringMatching(what) });

const escrow = (from: string, data: string): Promise<void> =>
  chain.rpc.send({ from, to: COMPUTE_ESCROW, data });

/** A job of 100 HYPER that the provider has; with `paid`, that it is paid for. */
async function job(intent: string, paid: boolean): Promise<void> {
  const terms = termsAt(await chainNow(chain.rpc), intent);
  const acceptance = acceptanceOf(terms);
  await escrow(client.address, calls.encodeFund(terms));
  const accepted = sign(executor, 'Acceptance', acceptance);
  await escrow(platform.address, calls.encodeAssign(acceptance, accepted));
  if (!paid) return;
  const receipt = receiptOf(terms);
  const verdict = verdictOf(receipt, terms.amount);
  const signed = sign(executor, 'JobReceipt', receipt);
  await escrow(
    platform.address,
    calls.encodePropose(receipt, signed, verdict, quorum('Verdict', verdict, 2)),
  );
  await wait(chain.rpc, CHALLENGE_S);
  await escrow(platform.address, calls.encodeFinalize(jobIdOf(domain, terms)));
}

async function balanceOf(account: string): Promise<bigint> {
  const data = encodeCall('70a08231', [BigInt(account)]);
  return BigInt(String(await chain.rpc.request('eth_call', { to: HYPER, data }, 'latest')));
}

test(
  'CM30 what a provider earned is shown, and withdrawn once: to where pay goes, or where that wallet says',
  async () => {
    const nothing = await kit('withdraw', NAME, ...by(operator));
    expect(nothing).toMatchObject(refused(/^kit: 0x\w{40} has nothing to withdraw$/m));
    await job('earning', true);
    const status = await kit('status', NAME);
    expect(status).toMatchObject(
      done(/^stake +10000 HYPER, of which jobs have reserved 0 HYPER$/m),
    );
    expect(status.out).toMatch(
      /^tier +Professional: jobs at a time 10, each of at most 1000 HYPER$/m,
    );
    expect(status.out).toMatch(
      /^to withdraw +85 HYPER of 0x\w{40} in the escrow \(earned 85 HYPER, withdrawn 0 HYPER\)$/m,
    );
    const elsewhere = await kit('withdraw', NAME, ...by(operator), '--to', stranger.address);
    expect(elsewhere).toMatchObject(refused(/only the wallet of 0x\w{40} can send its earnings/));
    const before = await balanceOf(payTo.address);
    expect(await kit('withdraw', NAME, ...by(operator))).toMatchObject(
      done(/^85 HYPER went to 0x/),
    );
    expect(await balanceOf(payTo.address)).toBe(before + 85n * UNITS);
    await job('earning again', true);
    const theirs = await balanceOf(stranger.address);
    const moved = await kit('withdraw', NAME, ...by(payTo), '--to', stranger.address, '--json');
    expect(JSON.parse(moved.out)).toMatchObject({ amount: '85000000', to: stranger.address });
    expect(await balanceOf(stranger.address)).toBe(theirs + 85n * UNITS);
    const after = JSON.parse((await kit('status', NAME, '--json')).out) as { credits: object[] };
    expect(after.credits[0]).toMatchObject({
      account: payTo.address.toLowerCase(),
      amount: '0',
      earned: '170000000',
      withdrawn: '170000000',
    });
    expect(await kit('withdraw', NAME, ...by(payTo))).toMatchObject(refused(/nothing to withdraw/));
  },
  MS_MAX,
);

test(
  'CM33 stake is added by anybody, asked back by the operator, for what no job has reserved, and had after seven days',
  async () => {
    expect(await kit('stake', NAME, '500', ...by(stranger))).toMatchObject(
      done(/^provider\.os has 10500 HYPER at stake$/m),
    );
    expect(await kit('unstake', NAME, '1', ...by(stranger))).toMatchObject(
      refused(/^kit: the stake of provider\.os is 0x\w+'s: 0x\w+ does not operate it$/m),
    );
    expect(await kit('unstake', NAME, ...by(operator))).toMatchObject(
      refused(/no stake of provider\.os was asked for/),
    );
    expect(await kit('unstake', NAME, '20000', ...by(operator))).toMatchObject(
      refused(/has 10500 HYPER at stake, not 20000 HYPER/),
    );
    await job('holding', false);
    expect((await kit('status', NAME)).out).toMatch(/^active jobs +1$/m);
    expect(await kit('unstake', NAME, '10000', ...by(operator))).toMatchObject(
      refused(/have reserved 1050 HYPER: 9450 HYPER can be asked for now/),
    );
    expect(await kit('unstake', NAME, '500', ...by(operator), '--json')).toMatchObject(
      done(/"unbonding":"500000000","unbondAt":\d+/),
    );
    expect((await kit('status', NAME)).out).toMatch(
      /^leaving +500 HYPER, to be had from \d{4}-\d\d-\d\d \d\d:\d\d UTC on$/m,
    );
    expect(await kit('unstake', NAME, ...by(operator))).toMatchObject(
      refused(/500 HYPER can be had from \d{4}-.* UTC on; until then it answers/),
    );
    await wait(chain.rpc, COOLDOWN_S);
    expect((await kit('status', NAME)).out).toMatch(/^leaving +500 HYPER, to be had now: kit/m);
    const before = await balanceOf(operator.address);
    expect(await kit('unstake', NAME, ...by(operator))).toMatchObject(
      done(/^500 HYPER are yours/m),
    );
    expect(await balanceOf(operator.address)).toBe(before + 500n * UNITS);
  },
  MS_MAX,
);

test(
  'what goes wrong before the chain is one sentence',
  async () => {
    expect(await kit('status', 'nobody.os')).toMatchObject(refused(/nobody\.os is not registered/));
    expect(await kit('status', 'NOT A NAME')).toMatchObject(refused(/which node/));
    expect(await kit('unstake', NAME, '-5', ...by(operator))).toMatchObject({ code: 1 });
    expect(await kit('unstake', NAME, 'all', ...by(operator))).toMatchObject(
      refused(/all is no amount of HYPER/),
    );
    // The wallet of development chains is nobody here.
    expect(await kit('unstake', NAME, '1')).toMatchObject(refused(/does not operate it/));
    expect(await kit('withdraw', NAME, '--wallet', join(folder, 'none'))).toMatchObject(
      refused(/cannot be read/),
    );
    expect(await kit('register', NAME, '--extension-home', folder)).toMatchObject(
      refused(/no extension has its home at/),
    );
    expect(await kit('status', NAME, '--chain', '5')).toMatchObject(refused(/go together/));
    const chainArgs = ['--chain', '5', '--registry', HYPER, '--token', HYPER];
    expect(await kit('unstake', NAME, '1', ...chainArgs)).toMatchObject(refused(/--wallet FILE/));
    const other = ['--registry', HYPER, '--token', HYPER, '--escrow', HYPER];
    expect(await kit('status', NAME, '--chain', '31337', ...other)).toMatchObject(
      refused(/there is no registry at 0x/),
    );
  },
  MS_MAX,
);
