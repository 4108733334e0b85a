/** Other nodes at the web server's port, behind a reverse proxy (networking.md §4.2): one port for browsers and nodes. */
import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type Server } from 'node:http';
import { mkdtemp } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { WebNode } from '../../runtime-modules/http-server/testing.ts';
import { SharedWsPort } from '../../runtime-modules/net/shared-ws-port.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const BOOTS_MS_MAX = 240_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-ws-over-http-'));
});
afterAll(() => removeHome(folder));

/** A reverse proxy as docs/operating.md asks for one: Host as it came, the client's address, upgrades passed on. */
class Proxy implements AsyncDisposable {
  port = 0;
  /** Of the node's web server. */
  behind = 0;
  upgrades = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((request, response) => {
      const { method, url } = request;
      const headers = this.#headers(request);
      const to = ask({ port: this.behind, method, path: url, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      to.on('error', () => response.writeHead(502).end());
      request.pipe(to);
    });
    this.#server.on('connection', (socket) => this.#keep(socket));
    this.#server.on('upgrade', (request, socket: Socket, head) => {
      this.upgrades++;
      const to = this.#keep(connect(this.behind, '127.0.0.1'));
      const lines = Object.entries(this.#headers(request)).map(
        ([name, value]) => `${name}: ${value}`,
      );
      to.write([`GET ${request.url} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
      to.write(head);
      socket.pipe(to).pipe(socket);
      socket.on('close', () => to.destroy());
      to.on('close', () => socket.destroy());
    });
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as { port: number }).port;
  }

  /** Every connection breaks; nobody listens any more. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.close();
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  #headers({ headers, socket }: IncomingMessage): Record<string, string> {
    const kept = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    const added = { 'x-forwarded-for': socket.remoteAddress ?? '', 'x-forwarded-proto': 'http' };
    return { ...Object.fromEntries(kept), ...added };
  }
}

/** The status of an upgrade: 101, or why not. */
async function upgrade(
  port: number,
  path = '/',
  headers: Record<string, string> = {},
): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
    headers,
    perMessageDeflate: false,
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  socket.on('open', () => resolve(101));
  socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
  socket.on('error', () => resolve(0));
  const status = await promise;
  socket.terminate();
  return status;
}

test('F21 only what no page asked for is another node: at the root, without Origin, cookie or query', async () => {
  const peers = new SharedWsPort();
  await using web = await WebNode.start({}, { peers });
  const { port } = web.listening;
  // Nobody takes them yet.
  expect(await upgrade(port)).not.toBe(101);
  const from: string[] = [];
  await peers.listen({ ip: '127.0.0.1', port }, (connection) => from.push(connection.remoteIp));
  expect(await upgrade(port)).toBe(101);
  expect(await upgrade(port, '/', { 'x-forwarded-for': 'made up, 203.0.113.7' })).toBe(101);
  expect(from).toEqual(['127.0.0.1', '203.0.113.7']);
  const refused: [string, Record<string, string>][] = [
    ['/', { origin: `http://127.0.0.1:${port}` }],
    ['/', { origin: 'https://evil.example' }],
    ['/', { origin: 'null' }],
    ['/', { 'sec-fetch-site': 'same-origin' }],
    ['/', { cookie: 'hyperware-auth_alice.os=x' }],
    ['/?x', {}],
    ['/chat:chat:sys', {}],
  ];
  for (const [path, headers] of refused) {
    expect(await upgrade(port, path, headers), JSON.stringify([path, headers])).not.toBe(101);
  }
  expect(from.length).toBe(2);
  peers.close();
  expect(await upgrade(port)).not.toBe(101);
});

test('a development node takes other nodes under names of this machine only', async () => {
  const peers = new SharedWsPort();
  await using web = await WebNode.start({ development: true }, { peers });
  const { port } = web.listening;
  await peers.listen({ ip: '127.0.0.1', port }, () => undefined);
  expect(await upgrade(port, '/', { host: 'rebound.example' })).not.toBe(101);
  expect(await upgrade(port, '/', { host: 'localhost' })).toBe(101);
});

test(
  'nodes talk through a reverse proxy before the web server, whose pages are there too; it breaks, and they talk again',
  async () => {
    await using nodes = new AsyncDisposableStack();
    await using proxy = new Proxy();
    await proxy.listen();
    const start = async (name: string, ...more: readonly string[]): Promise<RunningNode> => {
      const node = RunningNode.spawn([
        ...[join(folder, name), '--fake-node-name', name, '--port', '0', '--tcp-port', '0'],
        ...['--dev-network', join(folder, 'network'), ...more],
      ]);
      nodes.use(node);
      await node.until(/ is up after /);
      return node;
    };
    const alice = await start('alice.dev', '--ws-over-http', '--ws-port', String(proxy.port));
    proxy.behind = Number(/http:\/\/localhost:(\d+)/.exec(alice.output)?.[1]);
    await alice.until(new RegExp(`other nodes reach it at ws 127\\.0\\.0\\.1 ${proxy.port}$`, 'm'));
    const bob = await start('bob.dev', '--ws-port', '0');
    for (let shown: string | undefined; shown !== String(proxy.port);)
      [, shown] = await bob.type('peer alice.dev', /127\.0\.0\.1, ws (\d+)|no node called/);
    await bob.type('hi alice.dev hello', /response from alice\.dev: ack/);
    await alice.until(/bob\.dev: hello/);
    // Over the same link: bob cannot be dialled.
    await alice.type('hi bob.dev hello', /response from bob\.dev: ack/);
    expect(proxy.upgrades).toBe(1);
    const page = await fetch(`http://127.0.0.1:${proxy.port}/`, { redirect: 'manual' });
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<html');
    await proxy.close();
    await bob.type('hi alice.dev hello', /alice\.dev is offline|alice\.dev timed out/);
    await using repaired = new Proxy();
    repaired.behind = proxy.behind;
    await repaired.listen(proxy.port);
    for (let heard = false; !heard;)
      heard = (await bob.type('hi alice.dev again', /offline|timed out|(ack)/))[1] === 'ack';
    expect(repaired.upgrades).toBeGreaterThan(0);
    // A node that is connected does not hold up the end.
    expect(await alice.end('SIGTERM')).toMatchObject({ code: 0 });
    expect(alice.output).not.toContain('not down after');
  },
  BOOTS_MS_MAX,
);
