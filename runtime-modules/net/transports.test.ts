/** The conformance suite over every transport, and what is particular to one (networking.md §4). */
import { connect } from 'node:net';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { TestClock } from '../shared/testing.ts';
import { WS_FRAGMENTS_MAX, WS_READS_MAX } from './limits.ts';
import { MemoryNetwork } from './memory.ts';
import { tcpTransport } from './tcp.ts';
import { SharedWsPort } from './shared-ws-port.ts';
import type { Transport, TransportKind } from './transport.ts';
import { transportSuite, type SuiteWorld } from './testing/transport-suite.ts';
import { wsTransport } from './ws.ts';

function real(make: () => Transport, ip: string) {
  return async (): Promise<SuiteWorld> => ({
    transport: make(),
    at: { ip, port: 0 },
    turn: () => new Promise((resolve) => void setImmediate(resolve)),
    async [Symbol.asyncDispose]() {},
  });
}

/** Upgrades that a web server hands over; it ends with the listener, as the node's does. */
function sharedWs(): Transport {
  return wsTransport({
    async listen(at, accept) {
      const shared = new SharedWsPort();
      const server = createServer().listen({ host: at.ip, port: at.port });
      await once(server, 'listening');
      server.on('upgrade', (request, socket, head) => shared.accept(request, socket, head, at.ip));
      const { port } = server.address() as { port: number };
      const listener = await shared.listen({ ...at, port }, accept);
      return {
        port,
        close: async () => {
          await listener.close();
          const closed = once(server, 'close');
          server.close();
          shared.close();
          await closed;
        },
      };
    },
  });
}

function simulated(kind: TransportKind) {
  return async (): Promise<SuiteWorld> => {
    const clock = new TestClock();
    const network = new MemoryNetwork({ clock, seed: 7, jitterMs: 20, loss: 0.2 });
    return {
      transport: network.transport(kind, '10.0.0.1'),
      at: { ip: '10.0.0.1', port: 0 },
      turn: () => clock.advance(10),
      async [Symbol.asyncDispose]() {},
    };
  };
}

transportSuite('tcp', real(tcpTransport, '127.0.0.1'));
transportSuite('tcp over IPv6', real(tcpTransport, '::1'));
transportSuite('ws', real(wsTransport, '127.0.0.1'));
transportSuite('ws over IPv6', real(wsTransport, '::1'));
transportSuite('ws at a port shared with a web server', real(sharedWs, '127.0.0.1'));
transportSuite('tcp in memory, with loss', simulated('tcp'));
transportSuite('ws in memory, with loss', simulated('ws'));

test('N16 text ends a WebSocket, ping and pong do not', async () => {
  const frames: number[] = [];
  const ended = Promise.withResolvers<string>();
  const listener = await wsTransport().listen({ ip: '127.0.0.1', port: 0 }, (connection) =>
    connection.attach({
      onFrame: (frame) => void frames.push(frame.length),
      onLength: () => undefined,
      onDrain: () => undefined,
      onEnd: ended.resolve,
    }),
  );
  const socket = new WebSocket(`ws://127.0.0.1:${listener.port}/`);
  await once(socket, 'open');
  socket.ping('p');
  socket.pong();
  await once(socket, 'pong');
  socket.send(Buffer.alloc(3));
  socket.send('text');
  expect(await ended.promise).toBe('sent text');
  expect(frames).toEqual([3]);
  await listener.close();
});

test('F29 a WebSocket message longer than any chunk, and a plain HTTP request, are refused', async () => {
  const ended = Promise.withResolvers<string>();
  const listener = await wsTransport().listen({ ip: '127.0.0.1', port: 0 }, (connection) =>
    connection.attach({
      onFrame: () => undefined,
      onLength: () => undefined,
      onDrain: () => undefined,
      onEnd: ended.resolve,
    }),
  );
  expect((await fetch(`http://127.0.0.1:${listener.port}/`)).status).toBe(426);
  const socket = new WebSocket(`ws://127.0.0.1:${listener.port}/`);
  socket.on('error', () => undefined);
  await once(socket, 'open');
  socket.send(Buffer.alloc(65_536));
  expect(await ended.promise).toMatch(/WS_ERR_UNSUPPORTED_MESSAGE_LENGTH/);
  await listener.close();
});

test.each([
  ['fragments', WS_FRAGMENTS_MAX],
  ['reads', WS_READS_MAX],
])('a WebSocket message comes in so many %s, and no more', async (what, max) => {
  const frames: number[] = [];
  const ended = Promise.withResolvers<string>();
  const listener = await wsTransport().listen({ ip: '127.0.0.1', port: 0 }, (connection) =>
    connection.attach({
      onFrame: (frame) => void frames.push(frame.length),
      onLength: () => undefined,
      onDrain: () => undefined,
      onEnd: ended.resolve,
    }),
  );
  const raw = connect({ port: listener.port, host: '127.0.0.1', noDelay: true });
  raw.on('error', () => undefined);
  raw.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  await once(raw, 'data');
  /** Binary, masked with zeros. */
  const header = (opcode: number, length: number): Buffer =>
    Buffer.from([opcode, 0x80 | 126, length >> 8, length & 255, 0, 0, 0, 0]);
  const inFragments = (count: number): void => {
    for (let index = 0; index < count; index++) {
      const fin = index === count - 1 ? 0x80 : 0;
      raw.write(Buffer.concat([header(fin | (index === 0 ? 2 : 0), 200), Buffer.alloc(200)]));
    }
  };
  const inReads = async (count: number): Promise<void> => {
    raw.write(header(0x82, count));
    for (let index = 0; index < count && !raw.destroyed; index++) {
      // Apart, or the system joins them.
      await new Promise((resolve) => raw.write(Buffer.of(0), resolve));
      await new Promise(setImmediate);
    }
  };
  if (what === 'fragments') inFragments(max);
  else await inReads(max / 8);
  await expect.poll(() => frames.length).toBe(1);
  if (what === 'fragments') inFragments(max + 1);
  // Some are joined all the same.
  else await inReads(6 * max);
  expect(await ended.promise).toMatch(/^WS_ERR_TOO_MANY/);
  expect(frames.length).toBe(1);
  raw.destroy();
  await listener.close();
});

test('a TCP stream cut at any byte is put together again', async () => {
  const frames: string[] = [];
  const lengths: number[] = [];
  const done = Promise.withResolvers<void>();
  const listener = await tcpTransport().listen({ ip: '127.0.0.1', port: 0 }, (connection) => {
    connection.lengthNext = true;
    connection.attach({
      onFrame: (frame) => {
        frames.push(Buffer.from(frame).toString());
        connection.lengthNext = true;
        if (frames.length === 3) done.resolve();
      },
      onLength: (length) => void lengths.push(length),
      onDrain: () => undefined,
      onEnd: () => undefined,
    });
  });
  const socket = connect({ port: listener.port, host: '127.0.0.1', noDelay: true });
  const stream = Buffer.from('00000007000361626300000001000000000002000164', 'hex');
  for (const byte of stream) {
    socket.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  await done.promise;
  expect([lengths, frames]).toEqual([
    [7, 1, 2],
    ['abc', '', 'd'],
  ]);
  socket.destroy();
  await listener.close();
});
