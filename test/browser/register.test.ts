/** From an unregistered home to a running node, in a real Chromium, with a wallet that signs for real against the embedded chain. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JsonRpcProvider, NonceManager, Wallet } from 'ethers';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startChain, type Chain } from '../../contracts/chain/chain.ts';
import { type Persona, personas } from '../../contracts/chain/personas.ts';
import { openRegistered, type Opened } from '../../identity.ts';
import { systemClock } from '../../kernel/clock.ts';
import { decodeKeyfile } from '../../runtime-modules/identity/keyfile-format.ts';
import { hashPassword } from '../../runtime-modules/identity/password.ts';
import { startChromium } from '../support/chromium.ts';
import { missing } from '../support/tools.ts';

/** Where pictures of the pages go, for whoever works on them. */
const SHOTS = process.env['HYPERLOOM_SCREENSHOTS'];
const PASSWORD = 'correct horse battery';

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
  page.setDefaultTimeout(20_000);
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('the server responded with'))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
});
afterEach(async () => {
  await context?.close();
  await rm(home, { recursive: true, force: true });
});

/** The node, up to its identity; it shows its address. */
async function starting(): Promise<{ url: string; opened: Promise<Opened> }> {
  const shown = Promise.withResolvers<string>();
  const opened = openRegistered(
    { chain: { fakechainPort: chain.port } },
    {
      home,
      web: { port: 0 },
      clock: systemClock,
      wallMs: () => Date.now() + aheadMs,
      tell: (line) => {
        const [url] = /http:\S+/.exec(line) ?? [];
        if (url !== undefined) shown.resolve(url);
      },
    },
  );
  opened.catch((error: unknown) => shown.reject(error));
  return { url: await shown.promise, opened };
}

/** A wallet extension, as a page sees it: EIP-6963 and EIP-1193. It asks nobody. */
async function injectWallet(persona: Persona): Promise<void> {
  const provider = new JsonRpcProvider(chain.url, chain.chainId, {
    staticNetwork: true,
    cacheTimeout: -1,
  });
  const signer = new NonceManager(new Wallet(persona.privateKey, provider));
  await page.exposeFunction('walletRequest', async (method: string, params: unknown[]) => {
    switch (method) {
      case 'eth_requestAccounts':
        return [persona.address];
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
    const asked = (window as unknown as { walletRequest: (m: string, p: unknown[]) => unknown })
      .walletRequest;
    const wallet = {
      request: ({ method, params = [] }: { method: string; params?: unknown[] }) =>
        asked(method, params),
      on: () => undefined,
    };
    const info = { uuid: 'test', name: 'Test wallet', icon: '', rdns: 'test' };
    const announce = (): boolean =>
      window.dispatchEvent(
        new CustomEvent('eip6963:announceProvider', { detail: { info, provider: wallet } }),
      );
    window.addEventListener('eip6963:requestProvider', announce);
  });
}

async function later(seconds: number): Promise<void> {
  await chain.rpc.request('evm_increaseTime', seconds);
  await chain.rpc.request('evm_mine');
  aheadMs += seconds * 1_000;
}

let shots = 0;
async function shot(name: string): Promise<void> {
  if (SHOTS === undefined) return;
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

describe('a new node', () => {
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
});
