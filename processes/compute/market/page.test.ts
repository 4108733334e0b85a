/** The market's page and its figures: who may see them, and what they come to. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LOGIN_PAGE } from '../../lib/testing/fake-http-server.ts';
import { type Json, World } from './testing/world.ts';

let world: World;
let tiles: Json[];
beforeEach(async () => {
  tiles = [];
  world = new World();
  world.peers['homepage:homepage:sys'] = ({ request }) =>
    void tiles.push(JSON.parse(new TextDecoder().decode(request.body)));
  world.gpu();
  await world.start();
});
afterEach(() => {
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

it('CM46 the page is for the owner, logged in, and runs no script but its own', async () => {
  for (const path of ['', '/', '/index.html', '/operator/token']) {
    const method = path === '/operator/token' ? 'POST' : 'GET';
    const answer = await world.request(method, path, { loggedIn: false });
    expect([path, answer.text]).toEqual([path, LOGIN_PAGE]);
  }
  const page = await world.request('GET', '/');
  expect(page.text).toContain('<base href="/market:compute:sys/">');
  expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'self';/);
  expect(page.headers.get('x-content-type-options')).toBe('nosniff');
});

it('the homepage gets a tile with an icon and a widget', () => {
  expect(tiles).toMatchObject([
    {
      Add: {
        label: 'Compute',
        path: '/',
        icon: expect.stringMatching(/^data:image\/svg\+xml;base64,/),
        widget: '/market:compute:sys/widget.html',
      },
    },
  ]);
});

it('CM46 the ledger is counted by day: all jobs for the owner, its own for a wallet', async () => {
  const gpu = world.gpu();
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId);
  await world.submit();
  const today = new Date().toISOString().slice(0, 10);
  const { status, json } = await world.ask('GET', '/api/ledger');
  expect([status, json]).toEqual([
    200,
    {
      days: [{ day: today, jobs: 2, completed: 1, failed: 0, paid: '0', earned: '0', fees: '0' }],
      credits: [],
    },
  ]);
  const headers = { authorization: `Bearer ${await world.walletToken('alice')}` };
  const wallet = await world.request('GET', '/api/ledger', { headers });
  expect(JSON.parse(wallet.text)).toEqual({ days: [], credits: [] });
  expect((await world.request('GET', '/api/ledger')).status).toBe(401);
  for (const days of [0, 91]) {
    expect((await world.ask('GET', `/api/ledger?days=${days}`)).status).toBe(400);
  }
});
