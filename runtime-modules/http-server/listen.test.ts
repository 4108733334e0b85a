/** Ports, TLS, upgrades, the orderly end, metrics. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { settle } from '../../kernel/testing.ts';
import { listen, ListenError, webServer } from './listen.ts';
import { DRAIN_MS_MAX, PORT_FIRST, PORT_LAST } from './limits.ts';
import type { Channels, Opening } from './parts.ts';
import { proxyList } from './requests/peer.ts';
import { answer, bind, bindStatic, echo, readAll, readUntil, WebNode } from './testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;

let web: WebNode | undefined;
afterEach(async () => {
  await web?.[Symbol.asyncDispose]();
  web = undefined;
});

describe('ports', () => {
  test('M236 a taken port is refused with the name of the next free one', async () => {
    web = await WebNode.start();
    const { port } = web;
    const error = await WebNode.start({ port }).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(ListenError);
    const { code, message } = error as ListenError;
    expect(code).toBe('port-taken');
    const next = Number(/the next free one is (\d+)/.exec(message)?.[1]);
    expect(next).toBeGreaterThan(port);
    const other = await WebNode.start({ port: next });
    expect(other.port).toBe(next);
    await other[Symbol.asyncDispose]();
  });

  test('M236 without a port it is the first free one from 8080 on', async () => {
    const servers = [webServer(undefined, () => false), webServer(undefined, () => false)];
    const ports: number[] = [];
    for (const server of servers) ports.push((await listen(server, '127.0.0.1', undefined)).port);
    for (const server of servers) server.close();
    for (const port of ports)
      expect(port >= PORT_FIRST && port <= PORT_LAST, String(port)).toBe(true);
    expect(ports[1]).toBeGreaterThan(ports[0] ?? 0);
  });

  test('an address that is not ours, and a proxy that is no address', async () => {
    await expect(
      listen(
        webServer(undefined, () => false),
        '203.0.113.7',
        0,
      ),
    ).rejects.toMatchObject({ code: 'address' });
    for (const entry of ['proxy.example', '10.0.0.0/33', '10.0.0.0/', '::/129', '1.2.3.4/8/9', ''])
      expect(() => proxyList([entry]), entry).toThrow(RangeError);
    const list = proxyList(['10.0.0.0/8', 'fd00::/8', '192.0.2.1']);
    expect([
      list.check('10.9.9.9'),
      list.check('fd12::1', 'ipv6'),
      list.check('192.0.2.2'),
    ]).toEqual([true, true, false]);
  });
});

test('TLS: https with the certificate given, and proto https; a broken one is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tls-'));
  const [certFile, keyFile] = [join(folder, 'c.pem'), join(folder, 'k.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      keyFile,
      '-out',
      certFile,
      '-days',
      '1',
      '-subj',
      '/CN=localhost',
    ],
    { stdio: 'ignore' },
  );
  const tls = { cert: await readFile(certFile), key: await readFile(keyFile) };
  await rm(folder, { recursive: true });
  const protos: string[] = [];
  web = await WebNode.start(
    { tls },
    { accessTo: ({ proto }) => (protos.push(proto), { kind: 'open', sandbox: false }) },
  );
  await web.app(APP, [bind('/', { authenticated: true })], echo);
  expect(web.listening.url).toBe(`https://localhost:${web.port}`);
  const sent = httpsRequest({
    host: '127.0.0.1',
    port: web.port,
    path: AT,
    rejectUnauthorized: false,
    agent: false,
  });
  sent.end();
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  response.resume();
  expect([response.statusCode, protos]).toEqual([200, ['https']]);
  await once(response, 'close');
  await expect(WebNode.start({ tls: { cert: 'x', key: 'y' } })).rejects.toMatchObject({
    code: 'tls',
  });
});

/** Channels that take what they are given. */
class TestChannels implements Channels {
  size = 0;
  full = false;
  readonly openings: Opening[] = [];
  readonly calls: unknown[] = [];

  accept(_request: unknown, socket: Duplex, _head: Buffer, opening: Opening): boolean {
    if (this.full) return false;
    this.openings.push(opening);
    this.size++;
    socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    return true;
  }
  push(...call: unknown[]): undefined {
    this.calls.push(['push', ...call]);
  }
  pushExtension(...call: unknown[]): { kind: 'NoBlob' } {
    this.calls.push(['pushExtension', ...call]);
    return { kind: 'NoBlob' };
  }
  transfers(): undefined {}
  close(...call: unknown[]): undefined {
    this.calls.push(['close', ...call]);
  }
  processGone(...call: unknown[]): void {
    this.calls.push(['gone', ...call]);
  }
  shutdown(): Promise<void> {
    this.calls.push(['shutdown']);
    return Promise.resolve();
  }
}

describe('upgrades', () => {
  const upgradeOf = (path: string, headers = ''): string =>
    `GET ${path} HTTP/1.1\r\nHost: localhost:1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${headers}\r\n`;
  const wsBind = (path: string, more: object = {}): object => ({
    WebSocketBind: { path, authenticated: false, extension: false, ...more },
  });
  const statusOf = async (path: string, headers = ''): Promise<string> =>
    (await (web as WebNode).raw(upgradeOf(path, headers))).slice(9, 12);

  async function start(
    options: Parameters<typeof WebNode.start>[0] = {},
    kind: 'open' | 'login' = 'open',
  ): Promise<TestChannels> {
    const channels = new TestChannels();
    web = await WebNode.start(options, { channels, accessTo: () => ({ kind, sandbox: false }) });
    return channels;
  }

  test('M174 a bound path is handed to the channels, with what they tell the process', async () => {
    const channels = await start();
    await web?.app(APP, [wsBind('/'), wsBind('/a/:b')]);
    await web?.app('homepage:homepage:sys', [wsBind('/')]);
    expect(await statusOf(`${AT}/a/x?q`, 'X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n')).toBe('101');
    expect(await statusOf(AT, 'X-Real-IP: 10.0.0.3\r\n')).toBe('101');
    expect(await statusOf('/')).toBe('101');
    expect(channels.openings).toEqual([
      {
        process: APP,
        path: '/a/x',
        extension: false,
        sourceSocketAddr: expect.stringMatching(/^127.0.0.1:\d+$/) as string,
        forwardedFor: '10.0.0.1',
      },
      expect.objectContaining({ process: APP, path: '/', forwardedFor: '10.0.0.3' }),
      expect.objectContaining({
        process: 'homepage:homepage:sys',
        path: '/',
        forwardedFor: undefined,
      }),
    ]);
  });

  test('M175 a refused upgrade is an ordinary request for that path', async () => {
    const channels = await start({}, 'login');
    await web?.app(
      APP,
      [bind('/'), wsBind('/w', { authenticated: true }), { WebSocketUnbind: { path: '/u' } }],
      () => answer(200, {}, 'by HTTP'),
    );
    for (const path of [AT, `${AT}/w`, `${AT}/u`, `${AT}/none`])
      expect(await statusOf(path), path).toBe('200');
    expect(await statusOf(`${AT}/w`, 'Cookie: a=b\r\n')).toBe('200');
    expect(await statusOf('/nobody')).toBe('404');
    expect(await statusOf('/nobody')).toBe('404');
    expect(channels.openings).toEqual([]);
    // Nor is there a fallback for WebSockets, and other protocols are none.
    const h2c = await web?.raw(
      `GET ${AT} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n`,
    );
    expect(h2c).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('M176 an authenticated path opens for who may see it', async () => {
    const channels = await start();
    await web?.app(APP, [
      wsBind('/', { authenticated: true }),
      { WebSocketSecureBind: { path: '/s', extension: false } },
    ]);
    expect(await statusOf(AT, 'Cookie: a=b\r\n')).toBe('101');
    expect(await statusOf(`${AT}/s`, 'Cookie: a=b\r\n')).toBe('101');
    expect(channels.size).toBe(2);
  });

  test('M184 when there is no room, the answer is HTTP, on that connection', async () => {
    const channels = await start();
    await web?.app(APP, [wsBind('/'), bindStatic('/', 'a page')]);
    channels.full = true;
    const text = await web?.raw(upgradeOf(AT));
    expect(text).toMatch(/^HTTP\/1\.1 200 OK[^]*Connection: close[^]*a page$/);
    channels.full = false;
    expect(await statusOf(AT)).toBe('101');
  });

  test('F21 a page of another origin opens no WebSocket', async () => {
    await start();
    await web?.app(APP, [wsBind('/')]);
    for (const origin of ['http://localhost:1', 'https://localhost:1'])
      expect(await statusOf(AT, `Origin: ${origin}\r\n`), origin).toBe('101');
    for (const origin of [
      'http://localhost',
      'http://localhost:2',
      'https://evil.example',
      'null',
      'file://',
      'http://localhost:1.evil.example',
    ])
      expect(await statusOf(AT, `Origin: ${origin}\r\n`), origin).toBe('404');
  });

  test('F40 F21 an extension is a native program of this machine, and allowed', async () => {
    const channels = await start({ exposeLocal: true });
    await web?.app(APP, [wsBind('/', { extension: true })]);
    expect(await statusOf(AT)).toBe('404');
    await web?.[Symbol.asyncDispose]();
    const allowed = await start({ extensions: true });
    await web?.app(APP, [wsBind('/', { extension: true })]);
    expect(await statusOf(AT)).toBe('101');
    for (const header of [
      'Origin: http://localhost:1',
      'X-Forwarded-For: 127.0.0.1',
      'Via: x',
      'Sec-Fetch-Site: same-site',
    ])
      expect(await statusOf(AT, `${header}\r\n`), header).toBe('404');
    expect([channels.size, allowed.openings[0]?.extension]).toEqual([0, true]);
  });

  test('M180 M182 pushes and closes reach the channels, with the id an extension answers under', async () => {
    const channels = await start();
    const replies = await web?.app(APP, [
      { body: { WebSocketPush: { channel_id: 7, message_type: 'Text' } }, blob: 'hi' },
      { WebSocketClose: 8 },
      {
        body: {
          WebSocketExtPushOutgoing: {
            channel_id: 9,
            message_type: 'Binary',
            desired_reply_type: 'Response',
          },
        },
        blob: 'x',
      },
    ]);
    expect(replies).toEqual(['{"Ok":null}', '{"Ok":null}', '{"Err":"NoBlob"}']);
    const bytes = expect.any(Uint8Array) as Uint8Array;
    expect(channels.calls).toEqual([
      ['push', APP, 7, 'Text', bytes],
      ['close', APP, 8],
      [
        'pushExtension',
        APP,
        9,
        'Binary',
        'Response',
        bytes,
        expect.objectContaining({ blob: { mime: undefined, bytes } }),
      ],
    ]);
    await web?.kill(APP);
    expect(channels.calls.at(-1)).toEqual(['gone', APP, 'ended']);
  });
});

describe('the end', () => {
  test('requests under way are answered, then the connection closes; new ones are not taken', async () => {
    web = await WebNode.start();
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bind('/')], async () => {
      await release.promise;
      return answer(200, {}, 'finished');
    });
    const idle = await web.connect();
    idle.write(`GET /none HTTP/1.1\r\nHost: x\r\n\r\n`);
    await readUntil(idle, /404/);
    const busy = await web.connect();
    busy.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await web.forwarded(1);
    const drained = web.web.drain();
    expect(await readAll(idle)).toBe('');
    await expect(web.get(AT)).rejects.toThrow(/ECONNREFUSED/);
    release.resolve();
    expect(await readAll(busy)).toMatch(/Connection: close[^]*finished/);
    await drained;
    await web.web.drain();
  });

  test('what does not finish in time is ended', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/')], () => undefined);
    const busy = await web.connect();
    busy.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await web.forwarded(1);
    const closed = readAll(busy);
    const drained = web.web.drain();
    let over = false;
    void drained.then(() => (over = true));
    await web.node.clock.advance(DRAIN_MS_MAX - 1);
    expect(over).toBe(false);
    await web.node.clock.advance(1);
    await drained;
    expect(await closed).toBe('');
    await expect.poll(() => (web as WebNode).web.waiting).toBe(0);
  });

  test('a shutdown without a drain waits for nobody', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/')], () => undefined);
    const busy = await web.connect();
    busy.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await web.forwarded(1);
    const closed = readAll(busy);
    await web[Symbol.asyncDispose]();
    expect(await closed).toBe('');
  });
});

describe('metrics', () => {
  const fetchText = async (
    url: string,
    headers: Record<string, string> = {},
  ): Promise<[number, string]> => {
    const [response] = (await once(
      get(url.replace('localhost', '127.0.0.1'), { agent: false, headers }),
      'response',
    )) as [import('node:http').IncomingMessage];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return [response.statusCode ?? 0, text];
  };

  test('are off unless asked for, and never on the public port', async () => {
    web = await WebNode.start();
    expect(web.listening.metricsUrl).toBeUndefined();
    expect((await web.get('/metrics')).status).toBe(404);
    expect((await web.get('/health')).status).toBe(404);
  });

  test('count answers, bytes, what waits, and what the node adds', async () => {
    web = await WebNode.start(
      { metrics: { port: 0 } },
      { version: '1.2.3', figures: () => [{ name: 'hyperloom_test', help: 'A test.', value: 42 }] },
    );
    await web.app(
      APP,
      [bindStatic('/', 'x'.repeat(10)), bind('/d'), bind('/slow')],
      ({ bound_path: path }) => (path.endsWith('slow') ? undefined : answer(201, {}, 'y')),
    );
    await web.get(AT);
    await web.get(`${AT}/d`, { method: 'POST', body: 'four' });
    await web.get('/none');
    const waiting = web.get(`${AT}/slow`);
    await web.forwarded(2);
    const base = web.listening.metricsUrl ?? '';
    const [status, text] = await fetchText(`${base}/metrics`);
    expect(status).toBe(200);
    for (const line of [
      'hyperloom_http_responses_total{class="2xx"} 2',
      'hyperloom_http_responses_total{class="4xx"} 1',
      'hyperloom_http_request_bytes_total 4',
      'hyperloom_http_response_bytes_total 11',
      'hyperloom_http_requests_waiting 1',
      'hyperloom_http_bindings 3',
      'hyperloom_http_answer_seconds_count 1',
      'hyperloom_test 42',
    ])
      expect(text).toContain(`${line}\n`);
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect(JSON.parse((await fetchText(`${base}/health`))[1])).toEqual({
      status: 'ok',
      node: 'fake.os',
      version: '1.2.3',
      upS: 0,
    });
    expect((await fetchText(`${base}/x`))[0]).toBe(404);
    // A name that was made to point here is no way in.
    expect((await fetchText(`${base}/metrics`, { Host: 'evil.example' }))[0]).toBe(403);
    await web.kill(APP);
    expect((await waiting).status).toBe(503);
    await settle();
  });

  test('a taken port is refused', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    await expect(WebNode.start({ metrics: { port } })).rejects.toMatchObject({
      code: 'port-taken',
    });
    taken.close();
  });
});
