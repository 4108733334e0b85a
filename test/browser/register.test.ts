/** From an unregistered home to a running node, in a real Chromium, with a wallet that signs for real against the embedded chain. */
import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { createPrivateKey, createPublicKey, randomBytes, randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JsonRpcProvider, NonceManager, Wallet } from 'ethers';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HYPER_ACCOUNT, HYPERMAP, MULTICALL3 } from '../../contracts/addresses.ts';
import { encodeMint, encodeNotes } from '../../contracts/calls.ts';
import { startChain, type Chain } from '../../contracts/chain/chain.ts';
import { accountOf } from '../../contracts/chain/genesis.ts';
import { type Persona, personas } from '../../contracts/chain/personas.ts';
import { type IdentityConfig, openRegistered, type Opened } from '../../bin/identity.ts';
import { systemClock } from '../../kernel/clock.ts';
import { sealKeyfile } from '../../runtime-modules/identity/keyfile.ts';
import { decodeKeyfile, encodeKeyfile } from '../../runtime-modules/identity/keyfile-format.ts';
import { hashPassword } from '../../runtime-modules/identity/password.ts';
import { freePort } from '../../runtime-modules/identity/registration/reach.ts';
import { startChromium } from '../support/chromium.ts';
import { RunningNode } from '../support/running-node.ts';
import { missing } from '../support/tools.ts';
import { removeHome } from '../support/remove-home.ts';

/** Where pictures of the pages go, for whoever works on them. */
const SHOTS = process.env['HYPERLOOM_SCREENSHOTS'] ?? '';
const PASSWORD = 'correct horse battery';
/** For whatever a page has to come to, in milliseconds: a node that starts while others build on the same two cores takes a minute. */
const PAGE_MS_MAX = 120_000;
const TEST_MS_MAX = 400_000;

let chain: Chain;
let browser: Browser | undefined;
let context: BrowserContext;
let page: Page;
let home: string;
/** How far the node's clock is ahead, as far as the chain's is. */
let aheadMs = 0;
const complaints: string[] = [];

beforeAll(async () => {
  chain = await startChain({ profile: 'main' });
  browser = await startChromium();
});
afterAll(async () => {
  await browser?.close();
  await chain.close();
});

beforeEach(async (test) => {
  if (browser === undefined) missing(test, 'chromium', 'Chromium is not installed');
  home = await mkdtemp(join(tmpdir(), 'register-'));
  complaints.length = 0;
  context = await browser.newContext();
  page = await context.newPage();
  page.setDefaultTimeout(PAGE_MS_MAX);
  page.on('console', (message) => {
    // A refusal by status is what some tests are about; and between the setup and the node nobody answers.
    const expected = /the server responded with|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE/;
    if (message.type() === 'error' && !expected.test(message.text()))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
});
afterEach(async () => {
  await context?.close();
  await removeHome(home);
});

/** The node, up to its identity; it shows its address. */
async function starting(
  config: IdentityConfig = {},
): Promise<{ url: string; opened: Promise<Opened>; told: readonly string[] }> {
  const shown = Promise.withResolvers<string>();
  const told: string[] = [];
  const opened = openRegistered(
    { chain: { fakechainPort: chain.port }, ...config },
    {
      home,
      web: { port: 0 },
      clock: systemClock,
      wallMs: () => Date.now() + aheadMs,
      tell: (line) => {
        told.push(line);
        const [url] = /http:\S+/.exec(line) ?? [];
        if (url !== undefined) shown.resolve(url);
      },
    },
  );
  opened.catch((error: unknown) => shown.reject(error));
  return { url: await shown.promise, opened, told };
}

/** A wallet extension, as a page sees it: EIP-6963 and EIP-1193. It asks nobody. */
async function injectWallet(persona: Persona): Promise<InjectedWallet> {
  const provider = new JsonRpcProvider(chain.url, chain.chainId, {
    staticNetwork: true,
    cacheTimeout: -1,
  });
  const signer = new NonceManager(new Wallet(persona.privateKey, provider));
  const wallet: InjectedWallet = { rejects: new Set(), chainId: chain.chainId, asked: [] };
  await page.exposeFunction('walletRequest', async (method: string, params: unknown[]) => {
    wallet.asked.push(method);
    if (wallet.rejects.has(method)) return { error: { code: 4001, message: 'User rejected' } };
    switch (method) {
      case 'eth_requestAccounts':
        return [persona.address];
      case 'eth_chainId':
        return `0x${wallet.chainId.toString(16)}`;
      case 'wallet_switchEthereumChain':
        if (wallet.asked.includes('wallet_addEthereumChain')) wallet.chainId = chain.chainId;
        else return { error: { code: 4902, message: 'Unrecognized chain' } };
        return null;
      case 'wallet_addEthereumChain':
        return null;
      case 'eth_sendTransaction': {
        const { to, data } = params[0] as { to: string; data: string };
        return (await signer.sendTransaction({ to, data })).hash;
      }
      case 'eth_signTypedData_v4': {
        const { domain, types, message } = JSON.parse(params[1] as string) as {
          domain: object;
          types: Record<string, { name: string; type: string }[]>;
          message: Record<string, unknown>;
        };
        delete types['EIP712Domain'];
        return signer.signTypedData(domain, types, message);
      }
      default:
        return provider.send(method, params);
    }
  });
  await page.addInitScript(() => {
    const asked = (
      window as unknown as { walletRequest: (m: string, p: unknown[]) => Promise<unknown> }
    ).walletRequest;
    const wallet = {
      async request({ method, params = [] }: { method: string; params?: unknown[] }) {
        const answer = await asked(method, params);
        const error = (answer as { error?: { message: string } } | null)?.error;
        if (error !== undefined) throw Object.assign(new Error(error.message), error);
        return answer;
      },
      on: () => undefined,
    };
    const info = { uuid: 'test', name: 'Test wallet', icon: '', rdns: 'test' };
    const announce = (): boolean =>
      window.dispatchEvent(
        new CustomEvent('eip6963:announceProvider', { detail: { info, provider: wallet } }),
      );
    window.addEventListener('eip6963:requestProvider', announce);
  });
  return wallet;
}

interface InjectedWallet {
  /** Methods its user says no to. */
  readonly rejects: Set<string>;
  chainId: number;
  readonly asked: string[];
}

/** A name of `dev` needs no commitment. Ends where the password is asked for. */
async function registerDev(url: string, name: string): Promise<void> {
  await page.goto(url);
  await page.locator('#name').fill(name);
  await page.getByText(`${name} is free.`).waitFor();
  await page.locator('#submit').click();
  await page.getByText('Connect Test wallet').click();
  await page.getByRole('button', { name: 'Register', exact: true }).click();
  await page.locator('#password').waitFor();
}

async function setPassword(): Promise<void> {
  await page.locator('#password').fill(PASSWORD);
  await page.locator('#again').fill(PASSWORD);
  await page.locator('#submit').click();
  await page.getByText('Save the keyfile').waitFor();
}

async function later(seconds: number): Promise<void> {
  await chain.rpc.request('evm_increaseTime', seconds);
  await chain.rpc.request('evm_mine');
  aheadMs += seconds * 1_000;
}

let shots = 0;
async function shot(name: string): Promise<void> {
  if (SHOTS === '') return;
  shots += 1;
  for (const [kind, width, height] of [
    ['desktop', 1280, 860],
    ['phone', 390, 844],
  ] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      const file = `${String(shots).padStart(2, '0')}-${name}-${kind}-${colorScheme}.png`;
      await page.screenshot({ path: join(SHOTS, file) });
    }
  }
}

describe('a new node', { timeout: TEST_MS_MAX }, () => {
  test('F31 a name is chosen, minted by commit and reveal, and the node boots with it', async () => {
    await injectWallet(personas.alice);
    const { url, opened } = await starting();
    await page.goto(url);
    await page.locator('#name').fill('short');
    await page.getByText('at least 9 characters').waitFor();
    await shot('name-short');
    await page.locator('#name').fill('alice-smith');
    await page.getByText('alice-smith.os is free.').waitFor();
    await shot('name-free');
    await page.locator('#submit').click();
    await page.getByText('Connect Test wallet').waitFor();
    await shot('wallet');
    await page.getByText('Connect Test wallet').click();
    await page.getByRole('button', { name: 'Register', exact: true }).waitFor();
    await shot('mint');
    await page.locator('#submit').click();
    await page
      .getByText(/s to go/)
      .first()
      .waitFor();
    await shot('waiting');
    await later(20);
    await page.locator('#password').waitFor();
    await shot('password');
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#again').fill(PASSWORD);
    await page.locator('#submit').click();
    await page.getByText('Save the keyfile').waitFor();
    await shot('finished');
    const { identity, port } = await opened;
    expect(identity.name).toBe('alice-smith.os');
    expect(identity.development).toBe(false);
    expect(url).toContain(`:${port}`);
    expect(complaints).toEqual([]);
    // What is on disk opens with the password, and only its owner can read it.
    const file = join(home, '.keys');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const keyfile = decodeKeyfile(await readFile(file));
    expect(keyfile.ok && keyfile.value).toMatchObject({ username: 'alice-smith.os' });
    expect(await identity.unlock(await hashPassword(PASSWORD, 'alice-smith.os'))).toBe(true);
    expect(await identity.unlock(await hashPassword('wrong', 'alice-smith.os'))).toBe(false);
    // The session that the boot began is one of the node.
    const cookies = await context.cookies();
    expect(cookies).toMatchObject([
      { name: 'hyperware-auth_alice-smith.os', httpOnly: true, sameSite: 'Strict' },
    ]);
  });

  test('F31 the program itself: setup, boot, and the node on the same port, with a session', async () => {
    await injectWallet(personas.bob);
    // Written on chain, so both starts need it: the usual one is any other node's of this machine.
    const peers = await freePort(20_000 + randomInt(10_000));
    const ports = ['--port', '0', '--ws-port', String(peers)];
    const args = [home, ...ports, '--fakechain-port', String(chain.port)];
    await using node = RunningNode.spawn(args);
    const [, url = ''] = await node.until(/Set it up at (http:\S+)/);
    await page.goto(url);
    await page.locator('#name').fill('browser-bob.dev');
    await page.locator('input[value=direct]').check();
    await page.locator('#ip').fill('127.0.0.1');
    await page.locator('#tcp-port').fill('0');
    await shot('direct');
    await page.locator('#submit').click();
    await page.getByText('Connect Test wallet').click();
    await page.getByRole('button', { name: 'Register', exact: true }).click();
    await page.locator('#password').waitFor();
    await setPassword();
    const download = page.waitForEvent('download');
    await page.getByText('Save the keyfile').click();
    expect((await download).suggestedFilename()).toBe('browser-bob.dev.keyfile');
    const saved = await readFile(await (await download).path(), 'utf8');
    expect(Buffer.from(saved, 'base64')).toEqual(await readFile(join(home, '.keys')));
    const [, at] = await node.until(/browser-bob\.dev is up after .* at (http:\S+)\./);
    expect(at).toBe(url);
    await page.locator('#open').waitFor();
    await shot('up');
    expect((await node.end('SIGTERM')).code).toBe(0);
    // From now on it starts by its password, typed at the page.
    await using again = RunningNode.spawn(args);
    const [, login = ''] = await again.until(/Log in at (http:\S+)/);
    await page.goto(login);
    await page.getByRole('heading', { name: 'browser-bob.dev' }).waitFor();
    await shot('login');
    await page.locator('#password').fill('wrong');
    await page.locator('#submit').click();
    await page.getByText('That is not the password of this node.').waitFor();
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#submit').click();
    await again.until(/browser-bob\.dev is up after /);
    await page.waitForURL((there) => there.pathname === '/' && there.port === new URL(login).port);
    // The session of the setup is one of the node: the home page, and no second login.
    await page.getByRole('heading', { name: 'Apps' }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('a wallet that says no, one on another chain, and a page that is loaded again in between', async () => {
    const wallet = await injectWallet(personas.carol);
    wallet.chainId = 1;
    wallet.rejects.add('eth_sendTransaction');
    const { url, opened } = await starting();
    await page.goto(url);
    await page.locator('#name').fill('browser-carol.dev');
    await page.locator('#submit').click();
    await page.getByText('Connect Test wallet').click();
    await page.getByRole('button', { name: 'Register', exact: true }).click();
    expect(wallet.asked).toContain('wallet_addEthereumChain');
    await page.getByText('You said no in the wallet.').waitFor();
    await shot('rejected');
    wallet.rejects.clear();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('#password').waitFor();
    // The name is there, its keys are this node's: what is left is the password.
    await page.goto(`${url}/reset`);
    expect(await page.locator('#name').inputValue()).toBe('browser-carol.dev');
    await page.locator('#submit').click();
    await page.getByText('Connect Test wallet').click();
    await page.locator('#password').waitFor();
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#again').fill('another');
    await page.locator('#submit').click();
    await page.getByText('The two passwords differ.').waitFor();
    await setPassword();
    expect((await opened).identity.name).toBe('browser-carol.dev');
    expect(complaints).toEqual([]);
  });

  test('F31 a name that somebody else has is not to be had, nor reset', async () => {
    await injectWallet(personas.dave);
    const { url, opened } = await starting();
    await registerDev(url, 'browser-dave.dev');
    await setPassword();
    await opened;
    await context.close();
    context = await browser!.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(PAGE_MS_MAX);
    await injectWallet(personas.erin);
    home = await mkdtemp(join(tmpdir(), 'register-'));
    const second = await starting();
    await page.goto(second.url);
    await page.locator('#name').fill('browser-dave.dev');
    await page.getByText('browser-dave.dev is taken').waitFor();
    await page.goto(`${second.url}/reset`);
    await page.locator('#name').fill('browser-dave.dev');
    await page.locator('#submit').click();
    await page.getByText('Connect Test wallet').click();
    await page.getByText('belongs to another account').waitFor();
    await shot('foreign');
    // A keyfile from elsewhere ends what would otherwise wait for ever.
    await page.goto(`${second.url}/import-keyfile`);
    await shot('import');
    await page.locator('#file').setInputFiles({
      name: 'x.keyfile',
      mimeType: 'text/plain',
      buffer: Buffer.from('not a keyfile'),
    });
    await page.getByText('That is not a keyfile.').waitFor();
    expect(complaints).toEqual([]);
    // Its owner can, from a home of its own.
    await context.close();
    context = await browser!.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(PAGE_MS_MAX);
    await injectWallet(personas.dave);
    await page.goto(`${second.url}/reset`);
    await page.locator('#name').fill('browser-dave.dev');
    await page.locator('#submit').click();
    await page.getByText('Connect Test wallet').click();
    await page.getByRole('button', { name: 'Write the keys' }).waitFor();
    await shot('reset');
    await page.locator('#submit').click();
    await setPassword();
    const reset = (await second.opened).identity;
    expect(reset.name).toBe('browser-dave.dev');
    expect(reset.publicKeyHex).not.toBe((await opened).identity.publicKeyHex);
  });

  test('F31 a public setup asks for the code of the terminal', async () => {
    const { url, opened, told } = await starting({ setupPublic: true });
    await page.goto(url);
    await page.locator('#code').fill('AAAA-AAAA');
    await page.locator('#submit').click();
    await page.getByText('That is not the code').waitFor();
    await shot('code');
    const [code = ''] = /[2-9A-Z]{4}-[2-9A-Z]{4}/.exec(told[0] ?? '') ?? [];
    await page.locator('#code').fill(code.toLowerCase());
    await page.locator('#submit').click();
    await page.locator('#name').waitFor();
    await page.goto(`${url}/import-keyfile`);
    await importInto({ opened });
    expect(complaints).toEqual([]);
  });

  test('it is used by keyboard, and fits from 320 px on', async () => {
    const { url, opened } = await starting();
    await page.setViewportSize({ width: 320, height: 640 });
    await page.goto(url);
    await page.locator('#name').waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('name');
    await page.locator('input[value=direct]').check();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
    await page.locator('#name').fill('a'.repeat(60));
    await page.getByText('is free').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
    await page.keyboard.press('Enter');
    await page.getByText('This browser has no wallet.').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
    await shot('no-wallet');
    await page.goto(`${url}/import-keyfile`);
    await importInto({ opened });
  });
});

/** Brings a keyfile of a name that is on chain, at the page that is open. */
async function importInto({ opened }: { opened: Promise<Opened> }): Promise<void> {
  const name = `imported-${++imported}.dev`;
  const seed = randomBytes(32);
  const key = createPrivateKey({ key: seed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
  const netKey = createPublicKey(key).export({ format: 'raw-public' }).toString('hex');
  const { address } = personas.frank;
  const notes = encodeNotes({ hypermap: HYPERMAP, multicall: MULTICALL3 }, [
    { label: '~net-key', data: `0x${netKey}` },
  ]);
  const data = encodeMint({
    who: address,
    label: `imported-${imported}`,
    initialization: notes,
    implementation: HYPER_ACCOUNT,
  });
  await chain.rpc.send({ from: address, to: accountOf('dev'), data });
  const keyfile = await sealKeyfile(
    { username: name, routers: ['r.os'] },
    { seed, sessionSecret: randomBytes(2), fileKey: randomBytes(32) },
    await hashPassword(PASSWORD, name),
  );
  await page.locator('#file').setInputFiles({
    name: `${name}.keyfile`,
    mimeType: 'text/plain',
    buffer: Buffer.from(Buffer.from(encodeKeyfile(keyfile)).toString('base64')),
  });
  await page.getByText(`The keyfile of ${name}.`).waitFor();
  await page.locator('#password').fill(PASSWORD);
  await page.locator('#submit').click();
  expect((await opened).identity.name).toBe(name);
}

let imported = 0;
