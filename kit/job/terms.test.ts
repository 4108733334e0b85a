/** What a market may ask a wallet to sign, and what it may not: a server that writes hostile terms gets nothing (F37). */
import { verifyMessage, verifyTypedData, Wallet as Signer } from 'ethers';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VAULT_INIT_HASH } from '../../contracts/abi/constants.ts';
import { structCodec } from '../../contracts/compute-json.ts';
import {
  type ComputeTerms,
  escrowDomain,
  jobIdOf,
  saltOf,
  vaultOf,
} from '../../contracts/compute.ts';
import { type Agreed, checkTerms, DEVELOPMENT_CHAIN } from './terms.ts';
import { Wallet } from './wallet.ts';

const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const CLIENT = new Signer(KEY).address;
const OTHER = `0x${'77'.repeat(20)}`;
const NOW = 1_800_000_000;
const { chainId, escrow, token } = DEVELOPMENT_CHAIN;

const agreed: Agreed = {
  client: CLIENT,
  intentId: 'mine',
  specHash: `0x${'12'.repeat(32)}`,
  amount: 1_000n,
  chain: DEVELOPMENT_CHAIN,
  replicas: 1,
  nowS: NOW,
};
const good: ComputeTerms = {
  client: CLIENT,
  token,
  amount: 1_000n,
  specHash: agreed.specHash,
  nodeId: `0x${'00'.repeat(32)}`,
  platform: OTHER,
  voucherSigner: `0x${'00'.repeat(20)}`,
  fundBy: BigInt(NOW + 3_600),
  deadline: BigInt(NOW + 36_000),
  challengeWindow: 600,
  mode: 0,
  salt: saltOf('mine'),
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kit-wallet-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Lies {
  readonly terms?: Partial<ComputeTerms>;
  readonly payTo?: string;
  readonly amount?: string;
  readonly asset?: string;
  readonly network?: string;
  readonly jobId?: string;
  readonly escrow?: string;
  readonly chainId?: number;
}

/** `PAYMENT-REQUIRED` as the market writes it, but for what it lies about: ids and vaults follow the terms. */
function header(lies: Lies = {}): string {
  const terms = { ...good, ...lies.terms };
  const where = { chainId: lies.chainId ?? chainId, escrow: lies.escrow ?? escrow };
  const jobId = lies.jobId ?? jobIdOf(escrowDomain(where.chainId, where.escrow), terms);
  const payTo = lies.payTo ?? vaultOf(where.escrow, jobId, VAULT_INIT_HASH);
  const required = {
    x402Version: 2,
    accepts: [
      {
        scheme: 'exact',
        network: lies.network ?? `eip155:${where.chainId}`,
        amount: lies.amount ?? String(terms.amount),
        asset: lies.asset ?? terms.token,
        payTo,
        maxTimeoutSeconds: 3_600,
        extra: { name: 'Hypernode', version: '1', assetTransferMethod: 'eip3009' },
      },
    ],
    extensions: {
      'hypernode-escrow': {
        info: {
          version: '1',
          jobId,
          ...where,
          vaultInitCodeHash: `0x${'99'.repeat(32)}`,
          terms: JSON.parse(structCodec('ComputeTerms').stringify(terms)) as unknown,
        },
      },
    },
  };
  return Buffer.from(JSON.stringify(required)).toString('base64');
}

test('F37 terms that are what was agreed are taken, at their price or a lower one', () => {
  const checked = checkTerms(header(), agreed);
  expect(checked).toMatchObject({ chainId, jobId: jobIdOf(escrowDomain(chainId, escrow), good) });
  expect(checked.vault).toBe(vaultOf(escrow, checked.jobId, VAULT_INIT_HASH));
  expect(checkTerms(header({ terms: { amount: 999n } }), agreed).terms.amount).toBe(999n);
});

test.each<readonly [string, Lies, RegExp]>([
  ['another price', { terms: { amount: 1_001n } }, /1001 is asked, 1000 was agreed/],
  ['another spec', { terms: { specHash: `0x${'13'.repeat(32)}` } }, /another spec/],
  ['another client', { terms: { client: OTHER } }, /of the client/],
  ['another intent', { terms: { salt: saltOf('theirs') } }, /another intent/],
  ['vouchers', { terms: { mode: 2 } }, /vouchers/],
  ['a signer of vouchers', { terms: { voucherSigner: OTHER } }, /sign vouchers/],
  [
    'a payment that has two days',
    { terms: { fundBy: BigInt(NOW + 172_800), deadline: BigInt(NOW + 200_000) } },
    /time to pay is too long/,
  ],
  ['a payment that is over', { terms: { fundBy: BigInt(NOW - 600) } }, /time to pay is over/],
  [
    'money that is held for a year',
    { terms: { deadline: BigInt(NOW + 366 * 86_400) } },
    /deadline is too far/,
  ],
  ['a deadline before the payment', { terms: { deadline: BigInt(NOW) } }, /deadline is before/],
  ['no time to dispute', { terms: { challengeWindow: 599 } }, /no time to dispute/],
  ['an escrow of their own', { escrow: OTHER }, /--escrow/],
  ['another chain', { chainId: 1 }, /on chain 1 /],
  ['another token', { terms: { token: OTHER } }, /--token/],
  ['an address in the place of the vault', { payTo: OTHER }, /the money would go to 0x7777/],
  ['the vault of another job', { jobId: `0x${'ee'.repeat(32)}` }, /another job/],
  ['another amount beside the terms', { amount: '1' }, /not what is to be paid/],
  ['another asset beside the terms', { asset: OTHER }, /not what is to be paid/],
  ['another network beside the terms', { network: 'eip155:1' }, /not what is to be paid/],
])('F37 nothing is signed for %s', (_what, lies, why) => {
  expect(() => checkTerms(header(lies), agreed)).toThrow(why);
});

test.each(['', '%%%', Buffer.from('{"accepts":[]}').toString('base64')])(
  'a header that says nothing is refused: %j',
  (text) => {
    expect(() => checkTerms(text, agreed)).toThrow(/which job is paid/);
  },
);

test('F37 of a job with several runs each has terms with a salt of its own, and its share of what was agreed', () => {
  const several = { ...agreed, replicas: 2 };
  const taken = (part: Partial<ComputeTerms>): bigint =>
    checkTerms(header({ terms: { amount: 500n, ...part } }), several).terms.amount;
  expect(taken({ salt: saltOf('mine#0') })).toBe(500n);
  expect(taken({ salt: saltOf('mine#1') })).toBe(500n);
  expect(() => taken({ salt: saltOf('mine#2') })).toThrow(/another intent/);
  expect(() => taken({ salt: saltOf('mine') })).toThrow(/another intent/);
  expect(() => taken({ salt: saltOf('mine#0'), amount: 501n })).toThrow(/500 was agreed/);
});

test('the payment is a transfer of that amount into that vault, once, and for no longer than the terms', async () => {
  const path = join(folder, 'key');
  await writeFile(path, `${KEY}\n`, { mode: 0o600 });
  const wallet = await Wallet.open(path);
  const checked = checkTerms(header(), agreed);
  const text = Buffer.from(await wallet.payment(checked), 'base64').toString();
  const { payload } = JSON.parse(text) as {
    payload: { signature: string; authorization: Record<string, string> };
  };
  expect(payload.authorization).toEqual({
    from: CLIENT,
    to: checked.vault,
    value: '1000',
    validAfter: '0',
    validBefore: String(NOW + 3_600),
    nonce: checked.jobId,
  });
  const types = {
    TransferWithAuthorization: ['from', 'to', 'value', 'validAfter', 'validBefore', 'nonce'].map(
      (name, index) => ({ name, type: index < 2 ? 'address' : index < 5 ? 'uint256' : 'bytes32' }),
    ),
  };
  const domain = { name: 'Hypernode', version: '1', chainId, verifyingContract: token };
  expect(verifyTypedData(domain, types, payload.authorization, payload.signature)).toBe(CLIENT);
  expect(text).not.toContain(KEY.slice(2));
});

test('a wallet signs in where it asked to, and nowhere else', async () => {
  const path = join(folder, 'login-key');
  await writeFile(path, KEY, { mode: 0o600 });
  const wallet = await Wallet.open(path);
  const message = (site: string, address = CLIENT): string =>
    `${site} wants you to sign in with your Ethereum account:\n${address}\n\nSign in.\n\nURI: http://${site}/market:compute:sys\nVersion: 1\nChain ID: 1\nNonce: 0123456789abcdef`;
  const signature = wallet.signLogin(message('localhost:8080'), 'localhost:8080');
  expect(verifyMessage(message('localhost:8080'), signature)).toBe(CLIENT);
  for (const bad of [message('bank.example'), message('localhost:8080', OTHER), 'send all']) {
    expect(() => wallet.signLogin(bad, 'localhost:8080')).toThrow(/no login/);
  }
});

test('a key that others can read is not used', async () => {
  const path = join(folder, 'open-key');
  await writeFile(path, KEY);
  await chmod(path, 0o644);
  await expect(Wallet.open(path)).rejects.toThrow(/chmod 600/);
  await expect(Wallet.open(join(folder, 'none'))).rejects.toThrow(/cannot be read/);
  expect((await Wallet.open('dev')).address).toBe(CLIENT);
});
