/** Guessing the password of a registered node, whose keyfile has to be opened for each guess. */
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  FAILURES_FREE,
  STOCK_MAX,
} from '../../runtime-modules/http-server/login/login-attempts.ts';
import { RegisteredNode } from '../support/registered-node.ts';

const GUESSES = 10_000;
/** Connections that the attacker keeps busy. */
const AT_ONCE = 64;
const ATTACKER = '203.0.113.9';

let node: RegisteredNode;
beforeAll(async () => {
  node = await RegisteredNode.start('correct horse');
}, 60_000);
afterAll(() => node?.[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly retryAfter: number | undefined;
}

/** As a proxy on this machine hands it on from an address. */
function login(hash: string, from: string, agent?: Agent): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const body = JSON.stringify({ password_hash: hash, subdomain: null });
  const sent = request({
    host: '127.0.0.1',
    port: node.port,
    path: '/login',
    method: 'POST',
    headers: { 'Content-Length': Buffer.byteLength(body), 'X-Forwarded-For': from },
    ...(agent && { agent }),
  });
  sent.on('error', reject);
  sent.on('response', (response) => {
    const retryAfter = response.headers['retry-after'];
    response.resume().on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        retryAfter: retryAfter === undefined ? undefined : Number(retryAfter),
      }),
    );
  });
  sent.end(body);
  return promise;
}

test('H9 F33 of 10,000 guesses a few are tried, the rest are told to wait, and the owner gets in meanwhile', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const answers: Answer[] = [];
  let left = GUESSES;
  const guess = async (): Promise<void> => {
    while (left-- > 0) answers.push(await login(`0x${left}`, ATTACKER, agent));
  };
  const attack = Promise.all(Array.from({ length: AT_ONCE }, guess));
  // In the middle of it, from an address of their own.
  await expect.poll(() => answers.length, { timeout: 30_000 }).toBeGreaterThan(GUESSES / 10);
  const owner = login(node.passwordHash, '198.51.100.1');
  expect((await owner).status).toBe(200);
  await attack;
  agent.destroy();

  const tried = answers.filter(({ status }) => status === 500);
  const told = answers.filter(({ status }) => status === 429);
  expect([answers.length, tried.length + told.length]).toEqual([GUESSES, GUESSES]);
  expect(told.every(({ retryAfter }) => retryAfter !== undefined && retryAfter >= 1)).toBe(true);
  // Each costs a derivation of a key; the first ones may be under way at once.
  expect(tried.length).toBeGreaterThan(0);
  expect(tried.length).toBeLessThanOrEqual(FAILURES_FREE + STOCK_MAX);
  expect(node.derived()).toBe(tried.length + 1);
}, 60_000);
