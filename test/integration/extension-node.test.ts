/** An extension and its process on a whole node: the pairs of docs/extensions.md, a restart, and who is kept out. */
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decode, encode } from '@msgpack/msgpack';
import { WebSocket } from 'ws';
import { buildComponent } from '../../kit/build/component.ts';
import { install } from '../support/installed.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const PROCESS = 'paired:paired:me.os';
const EXAMPLE = fileURLToPath(new URL('../../docs/examples/extension.mjs', import.meta.url));
const FIRST_BOOT_MS = 180_000;
const PATIENCE = { timeout: 20_000, interval: 50 };

let home: string;
let node: RunningNode;
let port = 0;

async function start(args: readonly string[]): Promise<void> {
  node = RunningNode.spawn([home, '--fake-node-name', 'test.dev', '--port', String(port), ...args]);
  port = Number((await node.until(/ is up after .*http:\/\/localhost:(\d+)\./))[1]);
  await expect.poll(() => ask('/told'), PATIENCE).not.toBe('');
}

/** What the process answers; empty while it is not there. */
async function ask(path: string): Promise<string> {
  const answer = await fetch(`http://localhost:${port}/${PROCESS}${path}`);
  return answer.ok ? answer.text() : '';
}

/** 101 or the status of the ordinary answer. */
async function opens(headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${PROCESS}`, { headers });
  const { promise, resolve } = Promise.withResolvers<number>();
  socket.on('error', () => undefined);
  socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  socket.on('open', () => resolve(101));
  const status = await promise;
  socket.terminate();
  return status;
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'extension-'));
  const guest = fileURLToPath(new URL('../guests/paired.ts', import.meta.url));
  const component = await buildComponent(guest);
  const server = ['http-server:distro:sys'];
  await install(home, [{ id: 'paired:me.os', component, requests: server, grants: server }]);
}, FIRST_BOOT_MS);
afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await removeHome(home);
});

test('M189 without --extensions nobody opens an extension path', async () => {
  await start(['--expose-local']);
  expect(await ask('/ask?text=x')).toBe('no extension');
  expect(await opens({})).toBe(404);
  expect(await node.end('SIGTERM')).toMatchObject({ code: 0 });
}, 60_000);

test('M189 F40 with it a program of this machine does, and no page, proxy or other name', async () => {
  await start(['--extensions']);
  expect(await opens({})).toBe(101);
  for (const headers of [
    { Origin: `http://localhost:${port}` },
    { Origin: 'https://evil.example' },
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'X-Forwarded-For': '198.51.100.1' },
    { 'X-Real-IP': '127.0.0.1' },
    { Forwarded: 'for=127.0.0.1' },
    { Host: `node.localhost:${port}` },
    { Host: 'evil.example' },
  ])
    expect([headers, await opens(headers)]).toEqual([headers, expect.toBeOneOf([403, 404])]);
}, 60_000);

test('M194 M195 M202 the example answers its process, also after the node was killed and started again', async () => {
  const url = `ws://127.0.0.1:${port}/${PROCESS}`;
  const example = spawn(process.execPath, [EXAMPLE, url], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await expect.poll(() => ask('/ask?text=stressed'), PATIENCE).toBe('desserts');
    // Work without an end in sight: the process hears of it later.
    expect(await ask('/tell?text=drawer')).toBe('sent');
    await expect.poll(() => ask('/told'), PATIENCE).toBe('reward');
    await node.end('SIGKILL');
    await start(['--extensions']);
    await expect.poll(() => ask('/ask?text=stressed'), PATIENCE).toBe('desserts');
  } finally {
    example.kill();
  }
}, 60_000);

test('M196 M203 H14 an extension that dies leaves its process waiting no longer than it said; the next one serves', async () => {
  const connect = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${PROCESS}`);
    await new Promise((resolve) => socket.once('open', resolve));
    return socket;
  };
  const dying = await connect();
  const asked = new Promise((resolve) => dying.once('message', resolve));
  const answer = ask('/ask?text=lost');
  await asked;
  dying.terminate();
  expect(await answer).toBe('no answer');
  const serving = await connect();
  serving.on('message', (data: Buffer) => {
    const wide = { useBigInt64: true };
    const { WebSocketExtPushData: frame } = decode(data, wide) as {
      WebSocketExtPushData: { id: bigint; blob: number[] };
    };
    const answered = { id: frame.id, hyperware_message_type: 'Response' };
    // As `bin`, and under an id that nobody asked first.
    for (const id of [frame.id + 1n, frame.id])
      serving.send(
        encode(
          { WebSocketExtPushData: { ...answered, id, blob: Uint8Array.from(frame.blob) } },
          wide,
        ),
      );
  });
  await expect.poll(() => ask('/ask?text=found'), PATIENCE).toBe('found');
  serving.terminate();
}, 60_000);
