/** Names on a real node and its chain, in a real browser: a name is minted and written under while a page looks. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HYPERMAP, HYPER_ACCOUNT } from '../../contracts/addresses.ts';
import { encodeExecute, encodeFact, encodeMint, encodeNote } from '../../contracts/calls.ts';
import { accountOf } from '../../contracts/chain/genesis.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { rpcAt } from '../../contracts/chain/rpc.ts';
import { textToHex } from '../../contracts/hex.ts';
import {
  BrowsedNode,
  eventually,
  overflow,
  requireBrowser,
  signIn,
  startChromium,
  visit,
} from './support.ts';

const PATH = '/names:names:sys/';
const { alice } = personas;

let node: BrowsedNode;
let browser: Browser | undefined;
let chain: string;
beforeAll(async () => {
  browser = await startChromium();
  if (browser === undefined) return;
  node = await BrowsedNode.start();
  const [, address = ''] = await node.type('get-providers', /ws:\/\/(127\.0\.0\.1:\d+)/);
  chain = `http://${address}`;
}, 120_000);
afterAll(async () => {
  await browser?.close();
  if (browser !== undefined) await node[Symbol.asyncDispose]();
});

/** As alice, whose key the development chain holds. */
function send(to: string, data: string): Promise<unknown> {
  return rpcAt(chain).send({ from: alice.address, to, data });
}

function execute(data: `0x${string}`): Promise<unknown> {
  return send(accountOf('alice.os'), encodeExecute({ to: HYPERMAP, data, operation: 0 }));
}

test('a name is free, then minted, then written under, and the page shows each at once', async (context) => {
  await using visitor = await visit(requireBrowser(browser, context));
  const { page, complaints } = visitor;
  await signIn(page, node, PATH);
  await page.getByLabel('Name').fill('Alice.os');
  await page.keyboard.press('Enter');
  await page.getByText('Nobody has alice.os').waitFor();
  expect(page.url()).toContain('#alice.os');
  const mint = {
    who: alice.address,
    label: 'alice',
    initialization: '0x',
    implementation: HYPER_ACCOUNT,
  } as const;
  await send(accountOf('os'), encodeMint(mint));
  await execute(encodeNote('~ip', '0x7f000001'));
  const row = (label: string) =>
    page.locator('.note', { has: page.getByText(label, { exact: true }) });
  await row('~ip').getByText('127.0.0.1').waitFor();
  expect(await page.locator('.who').textContent()).toContain(alice.address.toLowerCase());
  await execute(encodeNote('~ip', '0x0a000001'));
  await row('~ip').getByText('10.0.0.1').waitFor();
  await execute(encodeFact('!saying', textToHex('<b>bold</b>')));
  await row('!saying').getByText('<b>bold</b>').waitFor();
  expect(await row('!saying').getAttribute('data-fresh')).toBe('true');
  expect(await page.title()).toBe('alice.os · Names');

  await page.setViewportSize({ width: 360, height: 640 });
  expect(await overflow(page)).toBe(0);
  await page.reload();
  await row('!saying').waitFor();
  await page.getByLabel('Name').fill('not a name');
  await page.keyboard.press('Enter');
  await page.getByText('this is no name').waitFor();
  await eventually(() => complaints).toEqual([]);
}, 120_000);
