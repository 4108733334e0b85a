/** What only shows with a real kernel around http-client: messaging, ids, timeouts, full mailboxes, limits that cannot be shed. */
import { createServer } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import { expect, test } from 'vitest';
import { MAILBOX_MESSAGES_MAX, SUSPENDED_SENDER_S } from '../../kernel/limits.ts';
import { bytesOf, TestNode, textOf, type GuestApi } from '../../kernel/testing.ts';
import type { Capability } from '../../wit/types.ts';
import { processId } from '../../wit/address.ts';
import { TestClock, until } from '../shared/testing.ts';
import { httpClient } from './index.ts';
import { connectorOf, listening, serve } from '../shared/outbound/testing.ts';
import { type ClientOptions } from './testing.ts';

const MODULE = 'our@http-client:distro:sys';
const APP = 'app:p:q';
const HOLDS = ['http-client:distro:sys'];

function nodeWith(options: ClientOptions = {}): TestNode & AsyncDisposable {
  const node = new TestNode();
  const connector = connectorOf(options, new TestClock());
  const { kernel, clock } = node;
  kernel.registerModule(
    httpClient(options)({ port: kernel.port('http-client'), clock, connector }),
  );
  return Object.assign(node, { [Symbol.asyncDispose]: () => kernel.shutdown() });
}

const get = (url: string): Uint8Array =>
  bytesOf(JSON.stringify({ Http: { method: 'GET', version: null, url, headers: {} } }));
const open = (url: string, channel_id = 1): Uint8Array =>
  bytesOf(JSON.stringify({ WebSocketOpen: { url, headers: {}, channel_id } }));

async function ask(guest: GuestApi, body: Uint8Array, expectsResponse = 5): Promise<string> {
  const awaited = await guest.sendAndAwait(MODULE, { body, expectsResponse });
  if (!awaited.ok) return awaited.error.kind;
  const { message } = awaited.value;
  return message.kind === 'response' ? textOf(message.response.body) : 'a request';
}

/** Runs a guest to its end and returns what it returned. */
function run<T>(
  node: TestNode,
  code: (guest: GuestApi) => Promise<T>,
  options: { readonly holds?: readonly (string | Capability)[]; readonly public?: boolean } = {},
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  void node.start(APP, (guest) => code(guest).then(resolve, reject), {
    holds: HOLDS,
    public: true,
    ...options,
  });
  return promise;
}

async function socketServer(meet: (socket: WebSocket) => void) {
  const server = createServer();
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('error', () => undefined);
    meet(socket);
  });
  return listening(server, 'ws');
}

test('M204 M4 a process with messaging both ways gets its response and its blob', async () => {
  await using server = await serve((_request, response) => response.end('hello'));
  await using node = nodeWith();
  const seen = await run(node, async (guest) => [
    await ask(guest, get(server.origin)),
    textOf(guest.host.getBlob()?.bytes ?? new Uint8Array()),
  ]);
  expect(seen).toEqual([expect.stringContaining('"status":200'), 'hello']);
});

test('M211 the guest gets its timeout, the transfer ends, a late response never comes', async () => {
  let ended = false;
  let asked = false;
  await using server = await serve((request) => {
    asked = true;
    request.socket.on('close', () => (ended = true));
  });
  await using node = nodeWith();
  const seen = run(node, (guest) => ask(guest, get(server.origin), 1));
  await until(() => asked);
  await node.clock.advance(1100);
  expect(await seen).toBe('timeout');
  await until(() => ended);
});

test('M214 a peer that talks at once does not end the process that awaits its open', async () => {
  await using server = await socketServer((socket) => {
    for (const text of ['a', 'b', 'c']) socket.send(text);
    socket.close();
  });
  await using node = nodeWith();
  const seen = await run(node, async (guest) => {
    const got = [await ask(guest, open(server.origin))];
    for (let n = 0; n < 4; n += 1) got.push((await guest.request()).body);
    return got;
  });
  const push = '{"WebSocketPush":{"channel_id":1,"message_type":"Text"}}';
  expect(seen).toEqual([
    '{"Ok":"WebSocketAck"}',
    push,
    push,
    push,
    '{"WebSocketClose":{"channel_id":1}}',
  ]);
});

test('a process that stops reading: its socket pauses, then the channel ends and the close event waits in front of its door', async () => {
  let peer: WebSocket | undefined;
  let ended = false;
  await using server = await socketServer((socket) => {
    peer = socket;
    socket.on('close', () => (ended = true));
  });
  await using node = nodeWith();
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  const done = run(node, async (guest) => {
    await ask(guest, open(server.origin));
    await gate;
    const kinds: string[] = [];
    do kinds.push((await guest.request()).body);
    while (!(kinds.at(-1) ?? '').includes('Close'));
    return kinds.length;
  });
  await until(() => peer !== undefined);
  for (let n = 0; n < MAILBOX_MESSAGES_MAX + 100; n += 1) peer?.send(String(n));
  await until(() => node.kernel.usage().get(processId(APP))?.mailbox === MAILBOX_MESSAGES_MAX);
  await node.clock.advance((SUSPENDED_SENDER_S + 1) * 1000);
  await until(() => ended);
  await node.clock.advance((SUSPENDED_SENDER_S + 1) * 1000);
  go();
  expect(await done).toBe(MAILBOX_MESSAGES_MAX + 1);
});

test('killing a process closes its sockets and ends its transfers', async () => {
  const ends: string[] = [];
  let begun = 0;
  await using sockets = await socketServer((socket) => {
    begun += 1;
    socket.on('close', () => ends.push('socket'));
  });
  await using server = await serve((request) => {
    begun += 1;
    request.socket.on('close', () => ends.push('transfer'));
  });
  await using node = nodeWith();
  await node.start(
    APP,
    async (guest) => {
      await ask(guest, open(sockets.origin));
      await ask(guest, get(server.origin), 1000);
    },
    { holds: HOLDS, public: true },
  );
  await until(() => begun === 2);
  await node.kernel.kill(processId(APP));
  await until(() => ends.length === 2);
  expect(ends.toSorted()).toEqual(['socket', 'transfer']);
});

test('a process that ends by itself ends its transfers, though it is started again', async () => {
  const ends: string[] = [];
  let begun = 0;
  await using server = await serve((request) => {
    begun += 1;
    request.socket.on('close', () => ends.push(request.url ?? ''));
  });
  await using node = nodeWith();
  let runs = 0;
  await node.start(
    APP,
    async (guest) => {
      runs += 1;
      if (runs > 1) return;
      await guest.send(MODULE, { body: get(`${server.origin}/first`), expectsResponse: 1000 });
      await until(() => begun === 1);
    },
    { holds: HOLDS, public: true, onExit: { kind: 'restart' } },
  );
  await until(() => ends.length === 1);
  expect(ends).toEqual(['/first']);
});

test('a process limited to hosts cannot drop its limit', async () => {
  await using server = await serve((_request, response) => response.end());
  await using node = nodeWith();
  const limit: Capability = {
    issuer: node.address('http-client:distro:sys'),
    params: '{"hosts":["api.example.com"]}',
  };
  const seen = await run(
    node,
    async (guest) => {
      await guest.host.dropCapabilities([
        limit,
        { ...limit, params: '{ "hosts": ["api.example.com"] }' },
      ]);
      return ask(guest, get(server.origin));
    },
    { holds: [...HOLDS, limit] },
  );
  expect(seen).toMatch(/is not among the hosts this process is limited to \(api.example.com\)/);
});
