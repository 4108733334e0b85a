/** The setup server over real sockets: the reference's endpoints, and who may use them. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { personas } from '../../../contracts/chain/personas.ts';
import { sealKeyfile } from '../../identity/keyfile.ts';
import { encodeKeyfile } from '../../identity/keyfile-format.ts';
import { Namespace } from '../../identity/registration/namespace.ts';
import { Registration } from '../../identity/registration/registration.ts';
import { BASE, FakeChain, signedBoot } from '../../identity/registration/testing.ts';
import { FAILURES_FREE } from '../login/login-attempts.ts';
import { serveSetup, type SetupServer } from './server.ts';

const HASH = `0x${'5a'.repeat(32)}`;
const WRONG = `0x${'00'.repeat(32)}`;
const { alice } = personas;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: unknown;
}

let home: string;
let chain: FakeChain;
let registration: Registration;
let server: SetupServer;
let told: string[];
let nowMs: number;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'setup-'));
  chain = new FakeChain();
  told = [];
  nowMs = 1_000_000;
  registration = new Registration({
    home,
    namespace: new Namespace(BASE, chain),
    clock: {
      nowMs: () => nowMs,
      schedule: (action) => setImmediate(action),
      cancel: () => undefined,
    },
    wallMs: () => 1_900_000_000_000,
    publicIp: () => Promise.resolve('203.0.113.7'),
    ports: { ws: 9_000 },
    routers: ['default-router-1.hypr', 'default-router-7.hypr', 'default-router-9.hypr'],
    keep: () => Promise.resolve(),
    tell: () => undefined,
  });
  server = await start({ public: false });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  registration[Symbol.dispose]();
  await rm(home, { recursive: true, force: true });
});

function start(options: { public: boolean }): Promise<SetupServer> {
  return serveSetup(
    { port: 0, host: '127.0.0.1', ...options },
    {
      registration,
      chain: { name: 'Base', rpcUrls: [] },
      providers: () => Promise.resolve(['{"url":"wss://one.example","auth":null}']),
      cacheSources: ['cacher.os'],
      session: ({ keyfile }) => `hyperware-auth_${keyfile.username}=token; HttpOnly`,
      clock: {
        nowMs: () => nowMs,
        schedule: (action) => setImmediate(action),
        cancel: () => undefined,
      },
      tell: (line) => told.push(line),
    },
  );
}

function ask(
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: server.port,
        method,
        path,
        headers: { Host: 'localhost', ...headers },
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () => {
          const text = Buffer.concat(pieces).toString();
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
        });
      },
    );
    asked.on('error', reject);
    if (body === undefined) asked.end();
    else asked.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
}

async function withKeyfile(): Promise<void> {
  const keyfile = await sealKeyfile(
    { username: 'alice.os', routers: ['r1.os'] },
    {
      seed: new Uint8Array(32).fill(1),
      sessionSecret: new Uint8Array(32).fill(2),
      fileKey: new Uint8Array(32).fill(3),
    },
    HASH,
  );
  await writeFile(join(home, '.keys'), encodeKeyfile(keyfile));
  chain.set('alice.os', alice.address, {
    '~net-key': '0x8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
  });
}

describe('endpoints (networking.md §14)', () => {
  test('N48 /info is 404 with a body before there is a keyfile, and 200 after; 401 when it cannot be read', async () => {
    const common = {
      initial_cache_sources: ['cacher.os'],
      initial_base_l2_providers: ['{"url":"wss://one.example","auth":null}'],
    };
    const before = await ask('GET', '/info');
    expect([before.status, before.json]).toEqual([
      404,
      { name: null, allowed_routers: null, ...common },
    ]);
    await withKeyfile();
    const after = await ask('GET', '/info');
    expect([after.status, after.json]).toEqual([
      200,
      { name: 'alice.os', allowed_routers: ['r1.os'], ...common },
    ]);
    expect((await ask('GET', '/our')).text).toBe('alice.os');
    await writeFile(join(home, '.keys'), 'garbage');
    expect((await ask('GET', '/info')).status).toBe(401);
    expect((await ask('GET', '/our')).text).toBe('');
  });

  test('N45 /generate-networking-info has the Both shape, and the same key each time', async () => {
    const first = await ask('POST', '/generate-networking-info');
    expect(first.json).toEqual({
      name: '',
      networking_key: expect.stringMatching(/^0x[0-9a-f]{64}$/) as string,
      routing: {
        Both: {
          ip: '203.0.113.7',
          ports: { ws: 9_000 },
          routers: ['default-router-1.hypr', 'default-router-7.hypr', 'default-router-9.hypr'],
        },
      },
    });
    expect((await ask('POST', '/generate-networking-info')).text).toBe(first.text);
  });

  test('§14 the pages, their files, the chain, and that nothing is kept by caches', async () => {
    for (const path of [
      '/',
      '/login',
      '/commit-os-name',
      '/mint-os-name',
      '/claim-invite',
      '/reset',
      '/import-keyfile',
      '/set-password',
      '/custom-register',
    ]) {
      const page = await ask('GET', path);
      expect([path, page.status]).toEqual([path, 200]);
      expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
      expect(page.headers['cache-control']).toBe(
        'no-store, no-cache, must-revalidate, proxy-revalidate',
      );
      expect(page.headers['content-security-policy']).toContain(
        "default-src 'none'; script-src 'self'",
      );
    }
    const html = (await ask('GET', '/')).text;
    for (const [, path] of html.matchAll(/(?:href|src)="([^"]+)"/g))
      expect([path, (await ask('GET', path!)).status]).toEqual([path, 200]);
    expect((await ask('GET', '/current-chain')).json).toBe('0x2105');
    expect((await ask('GET', '/setup/../.keys')).status).toBe(404);
    expect((await ask('GET', '/nothing')).status).toBe(404);
    expect((await ask('PUT', '/boot')).status).toBe(405);
  });

  test('every module that a page imports is served', async () => {
    const seen = new Set<string>();
    const follow = async (path: string): Promise<void> => {
      if (seen.has(path)) return;
      seen.add(path);
      const file = await ask('GET', path);
      expect([path, file.status]).toEqual([path, 200]);
      for (const [, wanted] of file.text.matchAll(/(?:from|import) ['"](\.{1,2}\/[^'"]+)['"]/g))
        await follow(new URL(wanted!, `http://x${path}`).pathname);
    };
    await follow('/setup/setup.js');
    expect(seen.size).toBeGreaterThan(10);
  });

  test('N44 /login: 404, 401, then 302 with the keyfile and a session', async () => {
    expect((await ask('POST', '/login', { body: { password_hash: HASH } })).status).toBe(404);
    await withKeyfile();
    const wrong = await ask('POST', '/login', { body: { password_hash: WRONG } });
    expect([wrong.status, wrong.json]).toEqual([401, 'Incorrect password.']);
    const right = await ask('POST', '/login', { body: { password_hash: HASH, subdomain: null } });
    expect(right.status).toBe(302);
    expect(right.headers.location).toBeUndefined();
    expect(right.headers['set-cookie']).toEqual(['hyperware-auth_alice.os=token; HttpOnly']);
    expect(JSON.parse(Buffer.from(String(right.json), 'base64').toString())).toHaveLength(6);
    // The connection is over, so that the next request comes to the node.
    expect(right.headers.connection).toBe('close');
  });

  test('N44 /import-keyfile: 400, 401, 302; /vet-keyfile says whose it is', async () => {
    await withKeyfile();
    const info = await ask('GET', '/info');
    expect(info.status).toBe(200);
    const keyfile = (await readFile(join(home, '.keys'))).toString('base64');
    const bring = (path: string, password_hash: string, file = keyfile): Promise<Answer> =>
      ask('POST', path, { body: { password_hash, keyfile: file } });
    expect((await bring('/import-keyfile', HASH, '???')).status).toBe(400);
    expect((await bring('/import-keyfile', WRONG)).status).toBe(401);
    expect((await bring('/vet-keyfile', HASH)).json).toEqual({
      username: 'alice.os',
      networking_key: '0x8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
      routers: ['r1.os'],
    });
    expect((await bring('/import-keyfile', HASH)).status).toBe(302);
  });

  test('N46 /boot of the owner', async () => {
    const { networking_key } = (await ask('POST', '/generate-networking-info')).json as {
      networking_key: string;
    };
    chain.set('alice.os', alice.address, { '~net-key': networking_key });
    const body = await signedBoot(alice.privateKey, {
      username: 'alice.os',
      password_hash: HASH,
      timestamp: 1_900_000_000_000,
      direct: false,
      reset: false,
      chain_id: 8_453,
    });
    const early = await ask('POST', '/boot', { body: { ...body, timestamp: 1 } });
    expect(early.status).toBe(401);
    const booted = await ask('POST', '/boot', { body });
    expect(booted.status).toBe(302);
    expect((await ask('POST', '/boot', { body })).status).toBe(409);
  });

  test('§14 bodies over 16 KiB are refused', async () => {
    expect((await ask('POST', '/login', { body: 'x'.repeat(16_385) })).status).toBe(413);
    expect((await ask('POST', '/login', { body: 'x'.repeat(16_384) })).status).toBe(400);
    await expect(
      ask('POST', '/login', {
        body: 'x'.repeat(64_000),
        headers: { 'Transfer-Encoding': 'chunked' },
      }).then(
        ({ status }) => status,
        () => 'cut',
      ),
    ).resolves.not.toBe(302);
    expect((await ask('GET', '/info')).status).toBe(404);
  });

  test('the next transaction of a name, and what is no address', async () => {
    const plan = { name: 'alice.os', wallet: alice.address, direct: false };
    chain.set('alice.os', alice.address);
    const { json } = await ask('POST', '/setup/transaction', { body: plan });
    expect(json).toMatchObject({
      step: 'reset',
      transaction: { to: expect.any(String) as string },
    });
    chain.set('alice.os', personas.bob.address);
    const taken = await ask('POST', '/setup/transaction', { body: plan });
    expect([taken.status, taken.json]).toEqual([
      409,
      `alice.os belongs to ${personas.bob.address}.`,
    ]);
    expect(
      (await ask('POST', '/setup/transaction', { body: { ...plan, wallet: '0x1' } })).status,
    ).toBe(400);
    const unreachable = { ...plan, direct: true, ip: '203.0.113.7' };
    expect((await ask('POST', '/setup/transaction', { body: unreachable })).status).toBe(400);
    expect((await ask('GET', '/setup/name?name=alice.os&wallet=x')).status).toBe(400);
  });
});

describe('who may', () => {
  test('F31 only this machine: the address, and the name in the request', async () => {
    expect(server.url).toBe(`http://localhost:${server.port}`);
    for (const Host of [
      'evil.example',
      `evil.example:${server.port}`,
      '192.168.1.4',
      'localhost.evil.example',
    ])
      expect([Host, (await ask('GET', '/info', { headers: { Host } })).status]).toEqual([
        Host,
        403,
      ]);
    for (const Host of ['127.0.0.1:8080', '[::1]', 'node.localhost'])
      expect([Host, (await ask('GET', '/', { headers: { Host } })).status]).toEqual([Host, 200]);
  });

  test('F31 no page of another site can make this node somebody else’s', async () => {
    await withKeyfile();
    const body = { password_hash: HASH };
    for (const headers of [
      { Origin: 'http://evil.example' },
      { Origin: 'null' },
      { 'Sec-Fetch-Site': 'cross-site' },
      { 'Sec-Fetch-Site': 'same-site' },
    ])
      expect((await ask('POST', '/login', { body, headers })).status).toBe(403);
    expect(registration.isDone).toBe(false);
  });

  test('F33 guesses are counted before anything is derived', async () => {
    await withKeyfile();
    const reads: number[] = [];
    for (let tries = 0; tries <= FAILURES_FREE; tries++)
      reads.push((await ask('POST', '/login', { body: { password_hash: WRONG } })).status);
    expect(reads).toEqual([...Array<number>(FAILURES_FREE).fill(401), 429]);
    const late = await ask('POST', '/import-keyfile', { body: {} });
    expect([late.status, late.headers['retry-after']]).toEqual([429, '1']);
    nowMs += 1_000;
    expect((await ask('POST', '/login', { body: { password_hash: HASH } })).status).toBe(302);
  });

  test('F31 a public setup needs the code that the terminal shows, once', async () => {
    await server[Symbol.asyncDispose]();
    server = await start({ public: true });
    const [code = ''] = /[2-9A-Z]{4}-[2-9A-Z]{4}/.exec(told[0] ?? '') ?? [];
    expect(code).not.toBe('');
    const Host = 'node.example';
    expect((await ask('GET', '/', { headers: { Host } })).status).toBe(200);
    for (const path of ['/info', '/our', '/setup/state', '/current-chain'])
      expect([path, (await ask('GET', path, { headers: { Host } })).status]).toEqual([path, 401]);
    for (const path of [
      '/boot',
      '/login',
      '/import-keyfile',
      '/generate-networking-info',
      '/setup/transaction',
    ])
      expect([path, (await ask('POST', path, { headers: { Host } })).status]).toEqual([path, 401]);
    const wrong = await ask('POST', '/setup/code', {
      body: { code: 'AAAA-AAAA' },
      headers: { Host },
    });
    expect(wrong.status).toBe(401);
    const spoken = code.toLowerCase().replace('-', ' ');
    const right = await ask('POST', '/setup/code', { body: { code: spoken }, headers: { Host } });
    expect(right.status).toBe(200);
    const [set = ''] = right.headers['set-cookie'] ?? [];
    expect(set).toMatch(/^hyperloom-setup=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/);
    const Cookie = `other=1; ${set.split(';')[0]}`;
    expect((await ask('GET', '/info', { headers: { Host, Cookie } })).status).toBe(404);
    // Once: whoever read it over the owner's shoulder comes too late, and the terminal shows another.
    const again = await ask('POST', '/setup/code', { body: { code }, headers: { Host } });
    expect(again.status).toBe(401);
    expect(told).toHaveLength(2);
    expect(told[1]).not.toBe(told[0]);
  });

  test('F31 codes cannot be tried out', async () => {
    await server[Symbol.asyncDispose]();
    server = await start({ public: true });
    const statuses: number[] = [];
    for (let tries = 0; tries <= FAILURES_FREE; tries++)
      statuses.push((await ask('POST', '/setup/code', { body: { code: 'BBBBBBBB' } })).status);
    expect(statuses.at(-1)).toBe(429);
  });
});
