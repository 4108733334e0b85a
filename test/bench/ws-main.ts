/**
 * Child of ws.ts: `node ws-main.ts <node|plain>`, a server of WebSockets that sends every frame back. Says its port, then answers each
 * message of its parent with what it has used.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../kernel/clock.ts';
import { Channels, channelsNeeds } from '../../runtime-modules/http-server/channels/channels.ts';
import { httpServer } from '../../runtime-modules/http-server/index.ts';
import { moduleId } from '../../wit/address.ts';
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

const port = process.argv[2] === 'plain' ? await plain() : await node();
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
async function plain(): Promise<number> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  // It listens on TCP.
  return (http.address() as AddressInfo).port;
}

async function node(): Promise<number> {
  const test = await testNode();
  const { kernel } = test;
  const kernelPort = kernel.port('http-server');
  const channels = new Channels(
    { channelsMax: CHANNELS_MAX },
    channelsNeeds(kernelPort, systemClock),
  );
  const web = httpServer({ port: 0, host: '127.0.0.1' })({
    port: kernelPort,
    clock: systemClock,
    channels,
    accessTo: () => ({ kind: 'open', sandbox: false }),
  });
  kernel.registerModule(web);
  const { port } = await web.listen();
  const server = { node: kernel.our, process: moduleId('http-server') };
  await test.start(ECHO, await guest('ws-echo.wat'), {
    capabilities: [{ issuer: server, params: '"messaging"' }],
  });
  // A path that is not bound yet is 404, one for WebSockets alone too: the first that opens says that it is.
  while (!(await opens(port))) await new Promise((resolve) => setTimeout(resolve, 10));
  return port;
}

function opens(port: number): Promise<boolean> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${ECHO}`);
  return new Promise((resolve) => {
    socket.on('error', () => resolve(false));
    socket.on('open', () => socket.close());
    socket.on('close', (code) => resolve(code !== 1006));
  });
}
