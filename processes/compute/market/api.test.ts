import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { namehash } from '../../../contracts/hypermap.ts';
import { STREAM } from '../../../wit/jobs/log-records.ts';
import { KEPT_MS } from './artifacts.ts';
import { PIECE_BYTES } from './api-results.ts';
import { type FakeGpu, specOf } from './testing/fake-gpu.ts';
import { type Json, NODE, World } from './testing/world.ts';

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

const utf8 = new TextEncoder();
const sha256 = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');
const record = (seq: number, text: string, stream: 1 | 2 | 3 = STREAM.stdout) => ({
  seq,
  stream,
  atMs: seq,
  bytes: utf8.encode(text),
});

const loggedIn = (key: string): Promise<string> => world.walletToken(key);

async function asWallet(
  token: string,
  method: string,
  path: string,
  body: unknown = {},
): Promise<[number, Json]> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await world.request(method, path, { headers, body: JSON.stringify(body) });
  return [response.status, response.text === '' ? undefined : JSON.parse(response.text)];
}

async function finishedJob(
  outputs: readonly { path: string; bytes: Uint8Array }[] = [],
): Promise<string> {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId, { outputs });
  return jobId;
}

it('a wallet logs in once with what it was given to sign, and only by its own signature', async () => {
  const address = world.signer.key('alice');
  const login = async (): Promise<string> => {
    const { text } = await world.request('POST', '/api/auth/login', {
      body: JSON.stringify({ address }),
    });
    return (JSON.parse(text) as { message: string }).message;
  };
  const answer = async (message: string, signature: string): Promise<number> => {
    const body = JSON.stringify({ message, signature });
    return (await world.request('POST', '/api/auth/login', { body })).status;
  };
  const first = await login();
  expect(first).toContain(`Ethereum account:\n${address}\n`);
  expect(await answer(first, world.personalSign('bob', first))).toBe(401);
  // It is used up by the try.
  expect(await answer(first, world.personalSign('alice', first))).toBe(401);
  const second = await login();
  const changed = second.replace('Chain ID: 1', 'Chain ID: 2');
  expect(await answer(changed, world.personalSign('alice', changed))).toBe(401);
  const third = await login();
  clockMs += 300_001;
  expect(await answer(third, world.personalSign('alice', third))).toBe(401);
  const token = await loggedIn('alice');
  expect(await asWallet(token, 'POST', '/api/auth/verify')).toMatchObject([
    200,
    { valid: true, address },
  ]);
  clockMs += 3_600_000;
  expect((await asWallet(token, 'POST', '/api/auth/verify'))[0]).toBe(401);
  const [head, , mac] = token.split('.');
  const forged = Buffer.from(JSON.stringify({ sub: 'operator', exp: 9_999_999_999 })).toString(
    'base64url',
  );
  expect((await asWallet(`${head}.${forged}.${mac}`, 'GET', '/api/jobs'))[0]).toBe(401);
});

it('CM46 an executor signs its requests, each good once and for a minute', async () => {
  const beat = async (
    more: Readonly<Record<string, string>> = {},
    key = `executor of ${NODE}`,
  ): Promise<number> => {
    const ts = more['x-hn-ts'] ?? String(Date.now());
    const text = `POST\n/api/nodes/heartbeat\n${sha256('{}')}\n${ts}`;
    const headers = {
      'x-hn-node': namehash(NODE),
      'x-hn-ts': ts,
      'x-hn-sig': world.personalSign(key, text),
      ...more,
    };
    return (
      await world.request('POST', '/api/nodes/heartbeat', { headers, body: '{}', loggedIn: false })
    ).status;
  };
  expect(await beat({ 'x-hn-ts': '1' })).toBe(401);
  expect(await beat({}, 'somebody else')).toBe(401);
  expect(await beat({ 'x-hn-node': namehash('nobody.os') })).toBe(401);
  const ts = String(Date.now());
  expect(await beat({ 'x-hn-ts': ts })).toBe(200);
  expect(await beat({ 'x-hn-ts': ts })).toBe(401);
});

it('requests of nobody are limited to sixty a minute, those of the owner are not', async () => {
  const get = async (): Promise<number> =>
    (await world.request('GET', '/api/stats/network')).status;
  const answers: number[] = [];
  for (let index = 0; index < 61; index += 1) answers.push(await get());
  expect(answers.filter((status) => status === 200)).toHaveLength(60);
  expect(answers.at(-1)).toBe(429);
  expect((await world.ask('GET', '/api/stats/network')).status).toBe(200);
  clockMs += 1_000;
  expect(await get()).toBe(200);
});

it('CM47 subscribers get the events of their topics, in the shapes of the whitepaper', async () => {
  const socket = (await world.server.connect(world.process, '/market:compute:sys/ws'))!;
  const heard = (): Json[] => socket.received.splice(0).map((text) => JSON.parse(String(text)));
  await socket.send(JSON.stringify({ op: 'subscribe', topics: ['jobs'] }));
  expect(heard()).toMatchObject([{ event: 'error', data: { code: 'UNAUTHORIZED' } }]);
  await socket.send(
    JSON.stringify({ op: 'subscribe', topics: ['jobs', 'network'], token: world.token }),
  );
  expect(heard()).toMatchObject([{ event: 'subscribed' }]);
  const jobId = await world.submit();
  await socket.send(
    JSON.stringify({ op: 'subscribe', topics: [`job:${jobId}`], token: world.token }),
  );
  await world.started(gpu, jobId);
  await world.news(gpu, jobId, { progress: { ppm: 420_000, note: 'half' } });
  await world.log(gpu, jobId, [record(0, 'hello\n')]);
  await world.finished(gpu, jobId);
  const events = heard();
  const statuses = events
    .filter(({ event }) => event === 'job_status_update')
    .map(({ data }) => data.status);
  expect(statuses).toEqual([
    'pending',
    'escrowed',
    'escrowed',
    'assigned',
    'running',
    'verifying',
    'completed',
  ]);
  expect(events.find(({ event }) => event === 'job_status_update').data).toEqual({
    jobId,
    status: 'pending',
    substate: null,
    attempt: 0,
    timestamp: expect.any(Number),
  });
  expect(events.find(({ event }) => event === 'job_progress').data).toMatchObject({
    jobId,
    ppm: 420_000,
  });
  expect(events.find(({ event }) => event === 'job_log').data).toMatchObject({
    records: [{ seq: 0, stream: 1, text: 'hello\n' }],
  });
  for (let passed = 0; passed < 11; passed += 1) await world.advance(1);
  expect(heard().find(({ event }) => event === 'network_stats_update').data).toMatchObject({
    activeNodes: 1,
    runningJobs: 0,
  });
  const numbers = events.flatMap(({ seq }) => (seq === undefined ? [] : [seq as number]));
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
});

it('CM47 since replays what was missed, and what is gone is a gap', async () => {
  const first = await world.submit();
  const socket = (await world.server.connect(world.process, '/market:compute:sys/ws'))!;
  const heard = (): Json[] => socket.received.splice(0).map((text) => JSON.parse(String(text)));
  await socket.send(JSON.stringify({ op: 'subscribe', topics: ['jobs'], token: world.token }));
  const { seq } = heard()[0];
  await socket.drop();
  await world.started(gpu, first);
  await world.finished(gpu, first);
  const again = (await world.server.connect(world.process, '/market:compute:sys/ws'))!;
  await again.send(
    JSON.stringify({ op: 'subscribe', topics: ['jobs'], token: world.token, since: seq }),
  );
  const missed = again.received.splice(0).map((text) => JSON.parse(String(text)));
  expect(
    missed.flatMap(({ event, data }) => (event === 'job_status_update' ? [data.status] : [])),
  ).toEqual(['running', 'verifying', 'completed']);
  await again.send(
    JSON.stringify({ op: 'subscribe', topics: ['jobs'], token: world.token, since: 1 }),
  );
  const all = again.received.splice(0).map((text) => JSON.parse(String(text)));
  expect(all[0]).toMatchObject({ event: 'gap', from: 2 });
});

it('CM47 a wallet hears of its own jobs only', async () => {
  await world.ask('PUT', '/api/settings', { free: 'Everybody' });
  const alice = await loggedIn('alice');
  const socket = (await world.server.connect(world.process, '/market:compute:sys/ws'))!;
  const jobId = await world.submit();
  await socket.send(JSON.stringify({ op: 'subscribe', topics: ['jobs'], token: alice }));
  await socket.send(JSON.stringify({ op: 'subscribe', topics: [`job:${jobId}`], token: alice }));
  await world.started(gpu, jobId);
  const heard = socket.received.splice(0).map((text) => JSON.parse(String(text)));
  expect(heard.map(({ event }) => event)).toEqual(['subscribed', 'error']);
});

it('CM21 outputs are fetched and believed by their hash only', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  const bytes = utf8.encode('the result');
  gpu.files.set(sha256(bytes), utf8.encode('the resuLt'));
  await world.finished(gpu, jobId, { outputs: [{ path: 'result.txt', bytes }] });
  expect(await world.job(jobId)).toMatchObject({
    state: 'failed',
    error: { code: 'VERDICT_FAIL', fault: 'provider' },
  });
});

it('F46 a result is a file, sent by the http-server itself, or a tar of all', async () => {
  const large = new Uint8Array(PIECE_BYTES + 100).map((_, index) => index % 251);
  const name = `deep/${'x'.repeat(120)}.bin`;
  const jobId = await finishedJob([
    { path: 'a.txt', bytes: utf8.encode('hello') },
    { path: name, bytes: large },
    { path: 'empty', bytes: new Uint8Array() },
  ]);
  expect(await world.job(jobId)).toMatchObject({ state: 'completed' });
  const get = (query: string, headers = {}) =>
    world.ask('GET', `/api/jobs/${jobId}/result${query}`, undefined, headers);
  const whole = await get(`?path=${encodeURIComponent(name)}`);
  expect(whole.response.body).toEqual(large);
  const text = await get('?path=a.txt');
  expect(text.response.text).toBe('hello');
  const etag = text.response.headers.get('etag')!;
  expect(etag).toBe(`"${sha256('hello')}"`);
  expect((await get('?path=a.txt', { 'if-none-match': etag })).status).toBe(304);
  // Not a byte of a file passes through the market: the http-server reads it, and serves parts of it (F46).
  const reads = (): number =>
    world.vfs.log.splice(0).filter((line) => /^(Open|Read)/.test(line)).length;
  await get('');
  expect(reads()).toBeGreaterThan(0);
  await get(`?path=${encodeURIComponent(name)}`);
  expect(reads()).toBe(0);
  expect((await get('?path=empty')).response.body).toHaveLength(0);
  expect((await get('?path=b.txt')).status).toBe(404);
  const folder = mkdtempSync(join(tmpdir(), 'market-tar-'));
  try {
    writeFileSync(join(folder, 'all.tar'), (await get('')).response.body);
    execFileSync('tar', ['-xf', 'all.tar'], { cwd: folder });
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('hello');
    expect(new Uint8Array(readFileSync(join(folder, name)))).toEqual(large);
    expect(readFileSync(join(folder, 'empty'))).toHaveLength(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('CM49 files of a job go seven days after its end, those that another job left too stay', async () => {
  const shared = { path: 'same', bytes: utf8.encode('both') };
  const first = await finishedJob([shared, { path: 'own', bytes: utf8.encode('mine') }]);
  clockMs += KEPT_MS - 3_600_000;
  // The provider is heard of again.
  for (let passed = 0; passed < 61; passed += 1) await world.advance(1);
  await world.login();
  const second = await finishedJob([shared]);
  // The folder of a job goes with it: its node is told as soon as the market has all.
  expect(gpu.dropped).toEqual([first, second]);
  const there = (text: string): boolean =>
    world.vfs.files.has(`compute:sys/market/artifacts/${sha256(text)}`);
  expect([there('mine'), there('both')]).toEqual([true, true]);
  clockMs += 3_600_001;
  for (let passed = 0; passed < 601; passed += 1) await world.advance(1);
  await world.login();
  expect([there('mine'), there('both')]).toEqual([false, true]);
  expect((await world.ask('GET', `/api/jobs/${first}/result?path=own`)).status).toBe(410);
  expect((await world.ask('GET', `/api/jobs/${second}/result?path=same`)).response.text).toBe(
    'both',
  );
});

it('CM49 inputs, logs and records of files go too', async () => {
  const bytes = utf8.encode('print(1)\n');
  const hash = sha256(bytes);
  await world.ask('PUT', `/api/uploads/${hash}?size=${bytes.length}`, bytes);
  const inputs = [{ path: 'run.py', size: bytes.length, sha256: hash }];
  const jobId = await world.submit(specOf({ inputs }));
  await world.started(gpu, jobId);
  await world.log(gpu, jobId, [record(0, 'one\n')]);
  await world.finished(gpu, jobId, { outputs: [{ path: 'own', bytes: utf8.encode('mine') }] });
  const rows = (table: 'uploads' | 'artifacts'): number => {
    const [database] = [...world.sqlite.databases.values()];
    return Number(database!.prepare(`select count(*) as rows from ${table}`).get()!['rows']);
  };
  const files = (): string[] =>
    [...world.vfs.files.keys()].filter((path) => path.startsWith('compute:sys/market/'));
  expect([rows('uploads'), rows('artifacts'), files().length]).toEqual([1, 1, 3]);
  const sweep = async (): Promise<void> => {
    for (let passed = 0; passed < 601; passed += 1) await world.advance(1);
  };
  clockMs += KEPT_MS - 60_000;
  await sweep();
  expect(rows('artifacts')).toBe(1);
  clockMs += 60_001;
  await sweep();
  expect([rows('uploads'), rows('artifacts'), files()]).toEqual([0, 0, []]);
});

it('logs are stored as they come, once, and read from any record on', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  await world.log(gpu, jobId, [record(0, '{"ev":"start"}', 3), record(1, 'one\n')]);
  await world.log(gpu, jobId, [record(1, 'one\n'), record(2, 'two\n')]);
  await expect(world.log(gpu, jobId, [record(4, 'four\n')])).rejects.toMatchObject({
    kind: 'LogGap',
  });
  await world.crash();
  await world.log(gpu, jobId, [record(2, 'two\n'), record(3, 'three\n')]);
  const { response } = await world.ask('GET', `/api/jobs/${jobId}/logs?from=1`);
  const lines = response.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).text);
  expect(lines).toEqual(['one\n', 'two\n', 'three\n']);
  expect(response.headers.get('x-next')).toBe('4');
  await world.finished(gpu, jobId);
  const followed = await world.ask('GET', `/api/jobs/${jobId}/logs?follow=1`, undefined, {
    accept: 'text/event-stream',
  });
  expect(followed.response.text.match(/^id: \d+$/gm)).toEqual(['id: 0', 'id: 1', 'id: 2', 'id: 3']);
});

it('a log longer than the job may write is refused', async () => {
  const jobId = await world.submit(specOf({ limits: { logKiB: 16 } }));
  await world.started(gpu, jobId);
  const much = Array.from({ length: 18 }, (_, seq) => record(seq, 'x'.repeat(65_000)));
  await expect(world.log(gpu, jobId, much)).rejects.toMatchObject({ kind: 'LogLimit' });
});

it('inputs are sent in parts, found by their hash, and handed to the provider', async () => {
  const bytes = utf8.encode('print(1)\n');
  const hash = sha256(bytes);
  const spec = specOf({ inputs: [{ path: 'run.py', size: bytes.length, sha256: hash }] });
  const early = await world.ask('POST', '/api/facilitator/submit-job', { spec });
  expect([early.status, early.json.error.code]).toEqual([409, 'INPUTS_MISSING']);
  const put = (offset: number, part: Uint8Array) =>
    world.ask('PUT', `/api/uploads/${hash}?offset=${offset}&size=${bytes.length}`, part);
  expect((await put(0, bytes.slice(0, 4))).json).toEqual({ bytes: 4, complete: false });
  expect((await put(2, bytes.slice(2))).status).toBe(409);
  const head = await world.ask('HEAD', `/api/uploads/${hash}`);
  expect(head.response.headers.get('x-upload-bytes')).toBe('4');
  await world.crash();
  expect(await put(4, bytes.slice(4))).toMatchObject({ status: 201, json: { complete: true } });
  const jobId = await world.submit(spec);
  const lease = gpu.lease(jobId);
  const input = await world.tell(gpu, 'Input', {
    jobId,
    lease,
    sha256: hash,
    offset: 6,
    bytes: 100,
  });
  expect(new TextDecoder().decode((input as { blob: Uint8Array }).blob)).toBe('1)\n');
  await expect(
    world.tell(gpu, 'Input', { jobId, lease, sha256: sha256('other'), offset: 0, bytes: 1 }),
  ).rejects.toMatchObject({ kind: 'NotFound' });
});

it('an upload that is not what it was said to be is refused and begins anew', async () => {
  const hash = sha256('right');
  const bad = await world.ask('PUT', `/api/uploads/${hash}?size=5`, utf8.encode('wrong'));
  expect([bad.status, bad.json.error.code]).toEqual([409, 'BAD_HASH']);
  expect((await world.ask('HEAD', `/api/uploads/${hash}`)).status).toBe(404);
  expect((await world.ask('PUT', `/api/uploads/${hash}?size=5`, utf8.encode('right'))).status).toBe(
    201,
  );
});

it('CM36 a quote says what it costs, who could run it, and for how long it is good', async () => {
  const { status, json } = await world.ask('POST', '/api/quote', {
    spec: specOf({ limits: { timeoutS: 3_600 } }),
  });
  expect(status).toBe(200);
  // One core for an hour at little demand, by a new node.
  expect(json).toMatchObject({ price: '36000', class: 'cpu', suited: 1, free: 1, node: NODE });
  expect(json.expiresAt - Date.now()).toBeGreaterThan(110_000);
  expect(json.expiresAt - Date.now()).toBeLessThanOrEqual(120_000);
  const none = await world.ask('POST', '/api/quote', {
    spec: specOf({ require: { gpu: { count: 1 } } }),
  });
  expect(none.json).toMatchObject({
    node: null,
    suited: 0,
    unsuited: [{ node: NODE, why: 'it has no such GPU' }],
  });
});
