/** A whole node over TLS, by a certificate of its own and behind a reverse proxy, in a real Chromium. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { buildComponent } from '../../kit/build/component.ts';
import { selfSigned } from '../../runtime-modules/shared/outbound/testing.ts';
import { SERVES } from '../support/installed.ts';
import { allBound, BrowsedNode, requireBrowser, startChromium, visit } from './support.ts';

const BANK = '/bank:bank:a.os';
const FIRST_BOOT_MS = 180_000;
const certificate = selfSigned();

let browser: Browser | undefined;
let node: BrowsedNode;
let folder: string;
beforeAll(async () => {
  const component = await buildComponent(
    fileURLToPath(new URL('../guests/site.ts', import.meta.url)),
  );
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-tls-'));
  await writeFile(join(folder, 'cert.pem'), certificate.cert);
  await writeFile(join(folder, 'key.pem'), certificate.key);
  browser = await startChromium();
  node = await BrowsedNode.start({ packages: [{ id: 'bank:a.os', component, ...SERVES }] });
  await allBound(`${node.url}${BANK}`);
}, FIRST_BOOT_MS);
afterAll(async () => {
  await browser?.close();
  await node?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A login, a secure subdomain and a WebSocket, all of it encrypted. */
async function holds(testing: TestContext, port: number): Promise<void> {
  const options = { ignoreHTTPSErrors: true };
  await using visitor = await visit(requireBrowser(browser, testing), options);
  const { page, context, complaints } = visitor;
  const signedIn = async (path: string, title: string): Promise<void> => {
    await page.goto(`https://localhost:${port}${path}`);
    await page.getByLabel('Password').fill('any');
    await page.keyboard.press('Enter');
    await page.waitForFunction((wanted) => document.title === wanted, title);
  };
  await signedIn(`${BANK}/plain`, 'bank:bank:a.os /plain');
  await signedIn(`${BANK}/`, 'bank:bank:a.os /');
  expect(page.url()).toBe(`https://bank-a-os.localhost:${port}${BANK}/`);
  const cookies = await context.cookies();
  expect(cookies).toHaveLength(2);
  for (const cookie of cookies)
    expect(cookie).toMatchObject({ secure: true, httpOnly: true, sameSite: 'Strict' });
  const echoed = await page.evaluate(async (url) => {
    const socket = new WebSocket(url);
    return new Promise((resolve) => {
      socket.addEventListener('open', () => socket.send('over TLS'));
      socket.addEventListener('message', ({ data }) => resolve(data));
      socket.addEventListener('close', ({ code }) => resolve(code));
    });
  }, `wss://bank-a-os.localhost:${port}${BANK}/live`);
  expect(echoed).toBe('over TLS');
  expect(complaints).toEqual([]);
}

test('F22 M149 M158 behind a reverse proxy with TLS cookies are secure, and everything stays on https', async (testing) => {
  await using proxy = await ReverseProxy.before(Number(new URL(node.url).port));
  await holds(testing, proxy.port);
}, 60_000);

test('F22 M236 with --tls-cert and --tls-key the node does it by itself, and has no plain HTTP', async (testing) => {
  await node.end();
  const tls = ['--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')];
  await node.again(tls);
  const { port } = new URL(node.url);
  expect(node.output).toContain(`at https://localhost:${port}`);
  await allBound(`https://localhost:${port}${BANK}`);
  await holds(testing, Number(port));
  await expect(fetch(`http://localhost:${port}/`)).rejects.toThrow();
}, 60_000);

test('M236 a certificate that cannot be used ends the start in words', async () => {
  await node.end();
  const missing = join(folder, 'nowhere.pem');
  await expect(
    node.again(['--tls-cert', missing, '--tls-key', join(folder, 'key.pem')]),
  ).rejects.toThrow(/cannot read a TLS file: .*nowhere\.pem/);
  await writeFile(missing, 'no certificate');
  await expect(
    node.again(['--tls-cert', missing, '--tls-key', join(folder, 'key.pem')]),
  ).rejects.toThrow(/hyperloom: .*(certificate|TLS|PEM)/i);
}, 60_000);

/** What docs/operating.md has nginx do. */
class ReverseProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
  }

  static async before(port: number): Promise<ReverseProxy> {
    const server = createServer(certificate);
    const forwarded = ({ headers, socket }: IncomingMessage) => ({
      ...headers,
      'x-forwarded-proto': 'https',
      'x-forwarded-for': socket.remoteAddress,
    });
    server.on('request', (incoming, outgoing) => {
      const { method, url: path } = incoming;
      const headers = forwarded(incoming);
      const sent = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(sent);
    });
    server.on('upgrade', (incoming: IncomingMessage, client: Duplex, head: Buffer) => {
      const upstream = connect(port, '127.0.0.1', () => {
        const lines = Object.entries(forwarded(incoming)).map(
          ([name, value]) => `${name}: ${String(value)}\r\n`,
        );
        upstream.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
        upstream.write(head);
        client.pipe(upstream).pipe(client);
      });
      for (const end of [upstream, client]) end.on('error', () => upstream.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ReverseProxy(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
