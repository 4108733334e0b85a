/** The market's page in a real browser, before a real market whose provider ends each job as it starts. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MarketNode, marketNode } from '../support/market-node.ts';
import { eventually, overflow, requireBrowser, startChromium, visit } from './support.ts';

let market: MarketNode;
let browser: Browser | undefined;
beforeAll(async () => {
  browser = await startChromium();
  if (browser !== undefined) market = await marketNode();
}, 240_000);
afterAll(async () => {
  await browser?.close();
  await market?.[Symbol.asyncDispose]();
});

/** Submits as a program does, beside the page. */
async function submit(fn: string): Promise<void> {
  const spec = { v: 1, type: 'custom', kind: 'builtin', entry: { fn }, inputs: [] };
  const answer = await fetch(`${market.base}/api/facilitator/submit-job`, {
    method: 'POST',
    headers: { authorization: `Bearer ${market.token}` },
    body: JSON.stringify({ spec }),
  });
  expect(answer.status).toBe(202);
}

test('a job is composed with its estimate, submitted by keyboard, and seen to complete; others appear by themselves', async (context) => {
  await using visitor = await visit(requireBrowser(browser, context));
  const { page, complaints } = visitor;
  await page.goto(`${market.base}/`);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByText('Nothing has been computed yet').waitFor();
  await page.keyboard.press('2');
  await page.getByLabel('Function', { exact: true }).nth(1).selectOption('echo');
  expect(await page.getByLabel('Arguments').inputValue()).toBe('{"text":"hello"}');
  const estimate = page.getByRole('region', { name: 'Estimate' });
  await estimate.getByText(/^0\.\d+ HYPER at most$/).waitFor();
  await estimate.getByText(/^1 provider can run it, \d at once\.$/).waitFor();
  await page.getByText('Whoever runs the job can read it.').waitFor();
  await page.getByText('Limits, GPUs, priority').click();
  await page.getByLabel('Name in lists').fill('said by the page');
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Job' });
  await panel.getByRole('heading', { name: 'said by the page' }).waitFor();
  await panel.getByText('completed', { exact: true }).waitFor();
  await panel.getByText('It printed nothing.').waitFor();
  await page.keyboard.press('Escape');
  await eventually(() => page.url()).toMatch(/#jobs$/);
  await submit('shown-at-once');
  const row = page.locator('.row', { hasText: 'shown-at-once' });
  await row.getByText('completed').waitFor();
  expect(await page.locator('.row').count()).toBe(2);
  await eventually(() => complaints).toEqual([]);
}, 120_000);

test('what the market would refuse is said before it is sent', async (context) => {
  await using visitor = await visit(requireBrowser(browser, context));
  const { page, complaints } = visitor;
  await page.goto(`${market.base}/#new`);
  const send = page.getByRole('button', { name: 'Submit' });
  const estimate = page.getByRole('region', { name: 'Estimate' });
  await page.getByLabel('Container').check();
  await page.getByLabel('Image').fill('debian:latest');
  await estimate.getByText(/digest/).waitFor();
  expect(await send.isDisabled()).toBe(true);
  await page.getByLabel('Function').check();
  await page.getByText('Limits, GPUs, priority').click();
  await page.getByLabel('GPUs', { exact: true }).fill('1');
  await estimate.getByText('Nobody can run this now').waitFor();
  await estimate.getByText('it has no such GPU').waitFor();
  await page.getByLabel('Spec (JSON)').check();
  await page.getByLabel('Spec', { exact: true }).fill('{"v":1,"v":2}');
  await estimate.getByText(/no JSON that can be hashed/).waitFor();
  expect(await send.isDisabled()).toBe(true);
  await eventually(() => complaints).toEqual([]);
}, 120_000);

test('every part of it fits a telephone, light and dark', async (context) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const options = { viewport: { width: 390, height: 844 }, colorScheme };
    await using visitor = await visit(requireBrowser(browser, context), options);
    const { page, complaints } = visitor;
    await page.goto(`${market.base}/`);
    await page.getByText('Live', { exact: true }).waitFor();
    for (const [place, sign] of [
      ['New job', 'What is to be run'],
      ['Providers', 'Make a machine a provider'],
      ['Money', 'Jobs a day'],
    ] as const) {
      await page.getByRole('link', { name: place, exact: true }).first().click();
      await page.getByText(sign, { exact: true }).waitFor();
      expect([place, await overflow(page)]).toEqual([place, 0]);
    }
    await page.goto(`${market.base}/#jobs/0x${'1'.repeat(64)}`);
    await page.getByRole('link', { name: 'Back' }).click();
    await page.locator('.rows, .empty').first().waitFor();
    expect(await overflow(page)).toBe(0);
    await eventually(() => complaints).toEqual([]);
  }
}, 120_000);
