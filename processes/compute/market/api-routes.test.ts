/** Every route of compute-market.md §13: who gets in, and who sees what of another's (CM46). */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { namehash } from '../../../contracts/hypermap.ts';
import { type FakeResponse, LOGIN_PAGE } from '../../lib/testing/fake-http-server.ts';
import { A_GPU, type FakeGpu, specOf } from './testing/fake-gpu.ts';
import { type Json, NODE, SITE, World } from './testing/world.ts';

let world: World;
let gpu: FakeGpu;
let clockMs = 0;
const realNow = Date.now;
beforeEach(async () => {
  clockMs = 0;
  Date.now = () => realNow() + clockMs;
  world = new World();
  gpu = world.gpu();
  await world.start();
});
afterEach(() => {
  Date.now = realNow;
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

/** Anybody; who has a token; whose job it is; the owner of the node; the executor of a node. */
type For = 'anybody' | 'wallets' | 'client' | 'owner' | 'executor';
const ROUTES: readonly (readonly [method: string, path: string, who: For])[] = [
  ['POST', '/api/auth/login', 'anybody'],
  ['POST', '/api/auth/verify', 'wallets'],
  ['POST', '/api/facilitator/register-node', 'owner'],
  ['POST', '/api/facilitator/submit-job', 'wallets'],
  ['POST', '/api/facilitator/complete-job', 'executor'],
  ['POST', '/api/facilitator/claim-rewards', 'wallets'],
  ['GET', '/api/facilitator/node/:nodeId', 'anybody'],
  ['GET', '/api/facilitator/payment-intent/:id', 'client'],
  ['GET', '/api/facilitator/stats', 'anybody'],
  ['POST', '/x402/verify', 'owner'],
  ['POST', '/x402/settle', 'owner'],
  ['GET', '/x402/supported', 'owner'],
  ['GET', '/api/jobs', 'wallets'],
  ['GET', '/api/jobs/:jobId', 'client'],
  ['DELETE', '/api/jobs/:jobId', 'client'],
  ['POST', '/api/jobs/cancel/:jobId', 'client'],
  ['POST', '/api/jobs/:jobId/cancel-call', 'client'],
  ['GET', '/api/jobs/:jobId/logs', 'client'],
  ['GET', '/api/jobs/:jobId/events', 'client'],
  ['GET', '/api/jobs/:jobId/result', 'client'],
  ['GET', '/api/receipts/:jobId', 'client'],
  ['GET', '/api/nodes', 'anybody'],
  ['POST', '/api/nodes', 'owner'],
  ['GET', '/api/nodes/:nodeId', 'anybody'],
  ['DELETE', '/api/nodes/:nodeId', 'owner'],
  ['POST', '/api/nodes/heartbeat', 'executor'],
  ['GET', '/api/nodes/poll-job', 'executor'],
  ['GET', '/api/nodes/leases/:lease/inputs/:sha256', 'executor'],
  ['GET', '/api/stats/network', 'anybody'],
  ['GET', '/api/stats/nodes', 'anybody'],
  ['GET', '/api/stats/jobs', 'anybody'],
  ['PUT', '/api/uploads/:sha256', 'wallets'],
  ['GET', '/api/uploads/:sha256', 'wallets'],
  ['HEAD', '/api/uploads/:sha256', 'wallets'],
  ['GET', '/api/pricing', 'anybody'],
  ['POST', '/api/quote', 'anybody'],
  ['POST', '/api/disputes', 'client'],
  ['GET', '/api/disputes/:jobId', 'client'],
  ['GET', '/api/settings', 'owner'],
  ['PUT', '/api/settings', 'owner'],
  ['GET', '/api/ledger', 'wallets'],
  ['GET', '/api/keys', 'owner'],
  ['POST', '/api/keys', 'owner'],
  ['DELETE', '/api/keys/:id', 'owner'],
  ['GET', '/api/deployments', 'owner'],
  ['POST', '/api/deployments', 'owner'],
  ['GET', '/api/deployments/:id', 'owner'],
  ['DELETE', '/api/deployments/:id', 'owner'],
];

/** A job of alice's, on a node whose jobs are free for everybody. */
async function jobOf(token: string): Promise<string> {
  await world.ask('PUT', '/api/settings', { free: 'Everybody' });
  const { text } = await world.request('POST', '/api/facilitator/submit-job', {
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ spec: specOf() }),
  });
  return (JSON.parse(text) as { jobId: string }).jobId;
}

it('CM46 every route lets in who it is for, and nobody else', async () => {
  const jobId = await jobOf(await world.walletToken('alice'));
  const bob = await world.walletToken('bob');
  const ask = async (
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    loggedIn = false,
  ): Promise<number> => {
    // No more than sixty a minute are let in.
    clockMs += 1_100;
    const real = path
      .replace(':nodeId', NODE)
      .replace(':sha256', '0'.repeat(64))
      .replace(/:(jobId|id)/, jobId);
    const body = JSON.stringify({ jobId, spec: specOf(), address: world.signer.key('bob') });
    return (await world.request(method, real, { headers, body, loggedIn })).status;
  };
  for (const [method, path, who] of ROUTES) {
    const route = `${method} ${path}`;
    const nobody = await ask(method, path);
    expect([route, nobody]).toEqual([route, who === 'anybody' ? 200 : 401]);
    if (who === 'anybody') continue;
    // Who is logged in at the node but brings no token is nobody here: pages of others have that cookie too.
    expect([route, await ask(method, path, {}, true)]).toEqual([route, 401]);
    if (who === 'wallets') continue;
    const wallet = await ask(method, path, { authorization: `Bearer ${bob}` });
    const refused = { client: 404, owner: 403, executor: 401 }[who];
    expect([route, wallet]).toEqual([route, refused]);
  }
});

it('CM46 no route is missing in the table', () => {
  const bound = [...world.server.bindings]
    .filter(([, { content }]) => content === undefined)
    .map(([path]) => path.slice(SITE.length))
    .filter((path) => path.startsWith('/api/') || path.startsWith('/x402/'));
  expect(bound.toSorted()).toEqual([...new Set(ROUTES.map(([, path]) => path))].toSorted());
});

it('CM46 the token of the owner needs the login', async () => {
  const { text } = await world.request('POST', '/operator/token', { loggedIn: false });
  expect(text).toBe(LOGIN_PAGE);
});

it("CM46 another's job is in no list, and the owner of the node sees all", async () => {
  const alice = await world.walletToken('alice');
  const bob = await world.walletToken('bob');
  const jobId = await jobOf(alice);
  const jobs = async (token: string): Promise<string[]> => {
    const headers = { authorization: `Bearer ${token}` };
    const { text } = await world.request('GET', '/api/jobs', { headers });
    return (JSON.parse(text) as { jobs: { jobId: string }[] }).jobs.map((job) => job.jobId);
  };
  expect(await jobs(alice)).toEqual([jobId]);
  expect(await jobs(bob)).toEqual([]);
  expect(await jobs(world.token)).toEqual([jobId]);
  expect((await world.ask('GET', `/api/jobs/${jobId}`)).status).toBe(200);
});

it('CM46 keys are where models are served; deployments say which routes there are instead', async () => {
  const moved = await world.ask('POST', '/api/keys', {});
  expect([moved.status, moved.response.headers.get('location')]).toEqual([
    308,
    '/llm:compute:sys/api/keys',
  ]);
  const gone = await world.ask('DELETE', '/api/keys/abc');
  expect(gone.response.headers.get('location')).toBe('/llm:compute:sys/api/keys/abc');
  const deployments = await world.ask('GET', '/api/deployments');
  expect([deployments.status, deployments.json.error]).toMatchObject([
    501,
    {
      code: 'NOT_IMPLEMENTED',
      message: expect.stringContaining('GET /llm:compute:sys/v1/models'),
      details: { instead: ['/llm:compute:sys/v1/models', '/market:compute:sys/api/nodes'] },
    },
  ]);
});

/** As the executor of a node. */
function asExecutor(method: string, path: string, query = '', node = NODE): Promise<FakeResponse> {
  const ts = String(Date.now() + (clockMs += 1));
  const hash = createHash('sha256').update('').digest('hex');
  const headers = {
    'x-hn-node': namehash(node),
    'x-hn-ts': ts,
    'x-hn-sig': world.personalSign(`executor of ${node}`, `${method}\n${path}\n${hash}\n${ts}`),
  };
  return world.request(method, path + query, { headers, loggedIn: false });
}

it('CM46 an executor that polls gets the job that its node was given, at once or when there is one', async () => {
  expect((await asExecutor('GET', '/api/nodes/poll-job')).status).toBe(204);
  const jobId = await world.submit();
  const { status, text } = await asExecutor('GET', '/api/nodes/poll-job');
  expect(status).toBe(200);
  const offer: Json = JSON.parse(text);
  expect(offer).toMatchObject({ jobId, attempt: 0, lease: gpu.lease(jobId), price: '0' });
  expect(JSON.parse(offer.spec)).toMatchObject({ kind: 'builtin', entry: { fn: 'noop' } });
  await world.started(gpu, jobId);
  expect((await asExecutor('GET', '/api/nodes/poll-job', '?wait=0')).status).toBe(204);
  const waiting = asExecutor('GET', '/api/nodes/poll-job');
  const second = asExecutor('GET', '/api/nodes/poll-job');
  expect((await second).status).toBe(409);
  const next = await world.submit(specOf({ label: 'another' }));
  expect(JSON.parse((await waiting).text)).toMatchObject({ jobId: next });
});

it('T30 nodes that have the same GPU are shown to share a machine, and the owner hears of it once', async () => {
  gpu.gpus = [A_GPU];
  const other = world.gpu('other.os');
  other.gpus = [{ ...A_GPU, index: 1, class: 'h100-80' }];
  for (const { node } of [gpu, other]) await world.ask('POST', '/api/nodes', { node });
  await world.ask('POST', '/api/nodes', { node: other.node });
  const { nodes } = (await world.ask('GET', '/api/nodes')).json;
  expect(nodes.map(({ node, sharedWith }: Json) => [node, sharedWith])).toEqual([
    [gpu.node, ['other.os']],
    ['other.os', [gpu.node]],
  ]);
  const said = world.host.prints.filter(({ text }) => text.includes('has too'));
  expect(said.map(({ text }) => text)).toEqual([
    `provider other.os has a GPU that ${gpu.node} has too`,
  ]);
});

it('CM46 the inputs and the program of a job are for the executor that has its lease, as long as it has it', async () => {
  const other = world.gpu('other.os');
  await world.ask('POST', '/api/nodes', { node: other.node });
  const file = async (
    text: string,
  ): Promise<{ readonly size: number; readonly sha256: string }> => {
    const bytes = new TextEncoder().encode(text);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const sent = await world.ask('PUT', `/api/uploads/${sha256}?size=${bytes.length}`, bytes);
    expect(sent.status).toBe(201);
    return { size: bytes.length, sha256 };
  };
  const [input, module, unused] = [await file('input'), await file('module'), await file('unused')];
  const inputs = [{ path: 'a.txt', ...input }];
  other.refuse = () => ({ code: 'policy', message: 'not here' });
  const jobId = await world.submit(specOf({ kind: 'wasm', entry: { cmd: ['x'] }, module, inputs }));
  const { lease } = JSON.parse((await asExecutor('GET', '/api/nodes/poll-job')).text);
  expect(lease).toBe(gpu.lease(jobId));
  const ask = (sha256: string, of = lease, node = NODE): Promise<FakeResponse> =>
    asExecutor('GET', `/api/nodes/leases/${of}/inputs/${sha256}`, '', node);
  const got = await ask(input.sha256);
  expect([got.status, got.text, got.headers.get('etag')]).toEqual([
    200,
    'input',
    `"${input.sha256}"`,
  ]);
  expect((await ask(module.sha256)).text).toBe('module');
  // What the job does not read, what is not here, and what is of another's lease.
  expect((await ask(unused.sha256)).status).toBe(404);
  expect((await ask('0'.repeat(64))).status).toBe(404);
  expect((await ask(input.sha256, 'another')).text).toContain('NO_SUCH_LEASE');
  expect((await ask(input.sha256, lease, other.node)).text).toContain('NO_SUCH_LEASE');
  await world.started(gpu, jobId);
  expect((await ask(input.sha256)).status).toBe(200);
  await world.finished(gpu, jobId);
  expect((await ask(input.sha256)).text).toContain('NO_SUCH_LEASE');
});
