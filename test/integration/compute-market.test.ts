/** The whole story without money: the owner's program, the market, the gpu process and the extension, each the real one. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ComputeNode, type RunningExtension } from '../support/compute-node.ts';

const MARKET = '/market:compute:sys';
const PATIENCE = { timeout: 60_000, interval: 100 };

let node: ComputeNode;
let extension: RunningExtension;
let token: string;

beforeAll(async () => {
  node = await ComputeNode.start();
  extension = node.extension();
  token = await login();
  await paired();
}, 240_000);
afterAll(() => node[Symbol.asyncDispose]());

/** As the owner's browser: any password opens a development node. */
async function login(): Promise<string> {
  const entered = await fetch(`${node.url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: node.url },
    body: JSON.stringify({ password_hash: `0x${'0'.repeat(64)}`, subdomain: null }),
  });
  const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? '';
  await entered.arrayBuffer();
  const given = async (): Promise<string> => {
    const answer = await fetch(`${node.url}${MARKET}/operator/token`, {
      method: 'POST',
      headers: { cookie },
    });
    return ((await answer.json()) as { token: string }).token;
  };
  // The market may not serve yet.
  return vi.waitFor(given, PATIENCE);
}

function ask(method: string, path: string, body?: BodyInit): Promise<Response> {
  return fetch(`${node.url}${MARKET}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body }),
  });
}

// What a test looks into; the shapes are those of the reference.
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a wrong member fails the test that reads it
async function get(path: string): Promise<any> {
  return (await ask('GET', path)).json();
}

async function paired(): Promise<void> {
  await vi.waitFor(async () => {
    expect((await get('/api/nodes')).nodes[0].status).toBe('online');
  }, PATIENCE);
}

async function submit(fn: string, args: object = {}, more: object = {}): Promise<string> {
  const spec = { v: 1, type: 'custom', kind: 'builtin', entry: { fn, args }, inputs: [], ...more };
  const answer = await ask('POST', '/api/facilitator/submit-job', JSON.stringify({ spec }));
  const body = (await answer.json()) as { jobId: string };
  expect(answer.status, JSON.stringify(body)).toBe(202);
  return body.jobId;
}

async function become(jobId: string, state: string): Promise<void> {
  await vi.waitFor(async () => {
    expect((await get(`/api/jobs/${jobId}`)).state).toBe(state);
  }, PATIENCE);
}

test('CM8 a free builtin job: input uploaded, run by the extension, log followed, output downloaded', async () => {
  const content = new TextEncoder().encode('to be hashed');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const put = await ask('PUT', `/api/uploads/${sha256}?size=${content.length}`, content);
  expect(put.status).toBe(201);
  const inputs = [{ path: 'data', size: content.length, sha256 }];
  const jobId = await submit('sha256', {}, { inputs });
  const followed = await ask('GET', `/api/jobs/${jobId}/logs?follow=1`);
  const log = await followed.text();
  await become(jobId, 'completed');
  expect(log).toContain('{\\"ev\\":\\"exit\\",\\"code\\":0}');
  const job = await get(`/api/jobs/${jobId}`);
  expect(job).toMatchObject({ attempt: 0, payment: { state: 'free' }, result: { exitCode: 0 } });
  const [output] = job.result.outputs as { path: string; sha256: string }[];
  const file = await ask('GET', `/api/jobs/${jobId}/result?path=${output!.path}`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(output!.sha256);
  expect(new TextDecoder().decode(bytes)).toContain(sha256);
}, 120_000);

test('CM22 a program that fails says so', async () => {
  const jobId = await submit('fail', { code: 3 });
  await become(jobId, 'failed');
  expect(await get(`/api/jobs/${jobId}`)).toMatchObject({
    error: { code: 'EXIT_NONZERO', fault: 'client' },
  });
}, 120_000);

test('a run is cancelled', async () => {
  const jobId = await submit('sleep', { ms: 60_000 }, { limits: { timeoutS: 60 } });
  await become(jobId, 'running');
  expect((await ask('DELETE', `/api/jobs/${jobId}`)).status).toBe(200);
  await become(jobId, 'cancelled');
}, 120_000);

test('CM12 the extension is killed during a job: it is run again, and ends', async () => {
  const jobId = await submit('sleep', { ms: 3_000 }, { limits: { timeoutS: 60 } });
  await become(jobId, 'running');
  await extension.kill();
  extension = node.extension();
  await become(jobId, 'completed');
  const { attempt } = await get(`/api/jobs/${jobId}`);
  expect(attempt).toBeGreaterThanOrEqual(1);
}, 180_000);
