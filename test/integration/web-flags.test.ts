/** What flags of a whole node do on the web: metrics apart, WebSockets counted, the orderly end, and where processes reach. */
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { buildComponent } from '../../kit/build/component.ts';
import { install, SERVES } from '../support/installed.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const SITE = '/site:site:me.os';
const FIRST_BOOT_MS = 180_000;
const PATIENCE = { timeout: 20_000, interval: 50 };

let home: string;
let server: Server;
/** `127.0.0.1:port` of a server that is no part of the node. */
let other: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'web-flags-'));
  const guest = fileURLToPath(new URL('../guests/site.ts', import.meta.url));
  const component = await buildComponent(guest);
  server = createServer((_request, response) => response.end('from elsewhere'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  other = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const limited = { process: 'http-client:distro:sys', params: { hosts: ['*.example.com'] } };
  await install(home, [
    { id: 'site:me.os', component, ...SERVES },
    { id: 'limited:me.os', component, ...SERVES, requests: [...SERVES.requests, limited] },
    // It binds, and nobody may ask it.
    { id: 'shut:me.os', component, ...SERVES, grants: [] },
  ]);
}, FIRST_BOOT_MS);
afterAll(async () => {
  server.close();
  await removeHome(home);
});

class Started implements AsyncDisposable {
  readonly node: RunningNode;
  readonly url: string;
  readonly metricsUrl: string | undefined;

  private constructor(node: RunningNode, url: string, metricsUrl: string | undefined) {
    this.node = node;
    this.url = url;
    this.metricsUrl = metricsUrl;
  }

  static async with(...args: readonly string[]): Promise<Started> {
    const node = RunningNode.spawn([home, '--fake-node-name', 'test.dev', '--port', '0', ...args]);
    const [, url = ''] = await node.until(/ is up after .*(http:\/\/localhost:\d+)\./);
    const [, metrics] = args.includes('--metrics-port')
      ? await node.until(/metrics: (http:\S+)\/metrics/)
      : [];
    const bound = async (): Promise<void> => {
      for (const name of ['site', 'limited'])
        expect((await fetch(`${url}/${name}:${name}:me.os/open`)).status).toBe(200);
    };
    await vi.waitFor(bound, PATIENCE);
    return new Started(node, url, metrics);
  }

  async text(path: string): Promise<string> {
    return (await fetch(this.url + path)).text();
  }

  /** What a process gets from an address. */
  fetched(url: string, name = 'site'): Promise<string> {
    return this.text(`/${name}:${name}:me.os/fetch?url=${encodeURIComponent(url)}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.node[Symbol.asyncDispose]();
  }
}

/** 101 or the status of the ordinary answer. */
async function open(url: string): Promise<[WebSocket, number]> {
  const socket = new WebSocket(url.replace('http', 'ws'));
  socket.on('error', () => undefined);
  const status = await new Promise<number>((resolve) => {
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.on('open', () => resolve(101));
  });
  return [socket, status];
}

test('M184 metrics have a port of their own, WebSockets a limit, and the end waits for requests under way', async () => {
  await using started = await Started.with('--metrics-port', '0', '--max-channels', '2');
  const { node, url, metricsUrl } = started;
  for (const path of ['/metrics', '/health']) expect((await fetch(url + path)).status).toBe(404);
  expect(await (await fetch(`${metricsUrl}/health`)).json()).toMatchObject({ node: 'test.dev' });
  expect((await fetch(metricsUrl + SITE)).status).toBe(404);

  const sockets = [await open(`${url}${SITE}/echo`), await open(`${url}${SITE}/echo`)];
  expect(sockets.map(([, status]) => status)).toEqual([101, 101]);
  // The ordinary answer of that path: it is below a root that is secure.
  expect((await open(`${url}${SITE}/echo`))[1]).toBe(307);
  const metrics = await (await fetch(`${metricsUrl}/metrics`)).text();
  expect(metrics).toMatch(/^hyperloom_websockets_open 2$/m);
  const ends = sockets.map(async ([socket]) => (await once(socket, 'close'))[0] as number);

  const slow = fetch(`${url}${SITE}/slow`);
  await node.until(/slow began/);
  const down = node.end('SIGTERM');
  const answer = await slow;
  expect([answer.status, await answer.text()]).toEqual([200, 'done']);
  expect(await down).toEqual({ code: 0, signal: null });
  expect(await Promise.all(ends)).toEqual([1001, 1001]);
  await expect(fetch(url)).rejects.toThrow();
}, 60_000);

test('§7.1 a process reaches no private address until the operator lets it, and a package its own hosts only', async () => {
  {
    await using started = await Started.with();
    for (const address of [
      other,
      'localhost:1',
      '[::1]:1',
      '10.0.0.1',
      '169.254.169.254',
      '0.0.0.0:1',
    ])
      expect([address, await started.fetched(`http://${address}/`)]).toEqual([
        address,
        expect.stringMatching(/^ExecuteRequestFailed .*--http-client-allow/),
      ]);
    // Nor its own node, by whatever name.
    const { port } = new URL(started.url);
    expect(await started.fetched(`http://app.localhost:${port}/`)).toMatch(/^ExecuteRequestFailed/);
    expect(await started.fetched('nonsense')).toMatch(/^BadUrl/);
    await started.node.end('SIGTERM');
  }
  await using started = await Started.with('--http-client-allow', '127.0.0.1');
  expect(await started.fetched(`http://${other}/`)).toBe('200 from elsewhere');
  // What its manifest says holds whatever the operator allows.
  expect(await started.fetched(`http://${other}/`, 'limited')).toMatch(
    /not among the hosts this process is limited to \(\*\.example\.com\)/,
  );
}, 60_000);

test('P13 M142 a process that granted http-server nothing gets no request, though it has bound', async () => {
  await using started = await Started.with();
  const answer = await fetch(`${started.url}/shut:shut:me.os/open`);
  expect(answer.status).toBe(408);
  expect(started.node.output).toMatch(/shut:shut:me\.os/);
  expect(started.node.output).not.toContain('shut:me.os: served');
}, 60_000);
