/**
 * Child of ws.ts: `node ws-main.ts <node|plain>`, a server of WebSockets that sends every frame back. Says its port, then answers each
 * message of its parent with what it has used.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { systemClock } from '../../kernel/clock.ts';
import { WsModule } from '../../runtime-modules/http-server/testing/ws-module.ts';
import { testNode } from '../support/node.ts';
import { settle } from './child.ts';
import { guest } from './guests.ts';

const ECHO = 'echo:bench:sys';
/** As many as the bench of idle ones opens. */
const CHANNELS_MAX = 4_096;

/** From a child to its parent. */
export interface Used {
  readonly port: number;
  readonly cpuUs: number;
  readonly rssBytes: number;
}

const server = process.argv[2] === 'plain' ? await plain() : await node();
// It listens on TCP.
const { port } = server.address() as AddressInfo;
const used = (): Used => {
  const { user, system } = process.cpuUsage();
  return { port, cpuUs: user + system, rssBytes: process.memoryUsage.rss() };
};
process.on('message', (what) => {
  if (what === 'settle') void settle().then(() => process.send?.(used()));
  else process.send?.(used());
});
process.on('disconnect', () => process.exit(0));
process.send?.(used());

/** The floor: `ws` and nothing else. */
async function plain(): Promise<Server> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return http;
}

async function node(): Promise<Server> {
  const test = await testNode();
  const { kernel } = test;
  const parts = { port: kernel.port('http-server'), clock: systemClock };
  const module = new WsModule({ channelsMax: CHANNELS_MAX }, parts);
  kernel.registerModule(module);
  await test.start(ECHO, await guest('ws-echo.wat'));
  while (!module.binds(`/${ECHO}`)) await new Promise((resolve) => setImmediate(resolve));
  await module.listen();
  return module.server;
}
