/** Where requests and WebSockets can lead: not to private addresses, not past a capability's hosts, and through proxies and TLS. */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import type { Capability } from '../../wit/types.ts';
import { listening, selfSigned, serve, serveTls } from '../shared/outbound/testing.ts';
import { clientOf, type Client, type ClientOptions } from './testing.ts';

const FROM = 'app:pkg:someone.os';
const scope = (params: unknown): Capability => ({
  issuer: address('alice.os@http-client:distro:sys'),
  params: JSON.stringify(params),
});

interface Asked {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly capabilities?: readonly Capability[];
}

async function get(
  { bench }: Client,
  { url, headers = {}, capabilities = [] }: Asked,
): Promise<unknown> {
  const body = { Http: { method: 'GET', version: null, url, headers } };
  return (await bench.ask({ from: FROM, body, capabilities }))?.body;
}

async function open(
  { bench }: Client,
  { url, headers = {}, capabilities = [] }: Asked,
): Promise<unknown> {
  const body = { WebSocketOpen: { url, headers, channel_id: 1 } };
  return (await bench.ask({ from: FROM, body, capabilities }))?.body;
}

const failure = (text: RegExp): unknown => ({
  Err: { ExecuteRequestFailed: expect.stringMatching(text) },
});
const ok = (status = 200): unknown => ({ Ok: { Http: { status, headers: expect.any(Object) } } });
const forbidden = failure(
  /which processes may not reach; the operator can allow it: --http-client-allow \S+$/,
);

async function asked(options: ClientOptions, what: Asked): Promise<unknown> {
  await using client = clientOf(options);
  return await get(client, what);
}

describe('addresses that are not the public internet', () => {
  const literals = (port: number): string[] =>
    [
      '127.0.0.1 127.1 0x7f.1 0x7f000001 2130706433 0177.0.0.1 127.0.0.1. 127.255.0.1 0.0.0.0 0',
      'localhost LOCALHOST localhost. a.localhost. [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1]',
      '[64:ff9b::127.0.0.1] [2002:7f00:1::] %31%32%37.0.0.1 \uff11\uff12\uff17.0.0.1 10.0.0.1 192.168.1.1 169.254.169.254',
      '172.16.0.1 100.64.0.1 [fe80::1] [fd00::1] [fc00::1] 224.0.0.1 [ff02::1] 255.255.255.255',
    ]
      .join(' ')
      .split(' ')
      .map((host) => `http://${host}:${port}/`);

  test('none of their spellings is dialled, by HTTP or by WebSocket', async () => {
    await using server = await serve((_request, response) => response.end());
    await using client = clientOf({ allowed: [], hosts: { 'a.localhost': ['127.0.0.1'] } });
    for (const url of literals(server.port)) {
      expect(await get(client, { url }), url).toEqual(forbidden);
      const ws = url.replace('http', 'ws');
      expect(await open(client, { url: ws }), ws).toEqual({
        Err: { WsOpenFailed: { url: new URL(ws).href } },
      });
    }
    expect(server.connections()).toBe(0);
    expect(client.port.prints.at(-1)?.text).toMatch(/--http-client-allow/);
  });

  test('a name that leads there is not, and of several addresses only the public ones are', async () => {
    await using server = await serve((_request, response) => response.end());
    const hosts = { 'inner.example': ['127.0.0.1', '::1', '10.0.0.1'], 'empty.example': [] };
    const url = `http://inner.example:${server.port}/`;
    expect(await asked({ allowed: [], hosts }, { url })).toEqual(forbidden);
    expect(await asked({ allowed: [], hosts }, { url: 'http://empty.example/' })).toEqual(
      failure(/has no address/),
    );
    expect(server.connections()).toBe(0);
  });

  test('what a name led to when it was looked at is what is dialled: DNS rebinding gains nothing', async () => {
    await using server = await serve((_request, response) => response.end('secret'));
    let looks = 0;
    // First somewhere allowed where nobody listens, from then on the loopback server.
    const flips = (): readonly string[] => (looks++ === 0 ? ['127.0.0.2'] : ['127.0.0.1']);
    const options = { allowed: ['127.0.0.2'], hosts: { 'rebind.example': flips } };
    await using client = clientOf(options);
    const url = `http://rebind.example:${server.port}/`;
    expect(await get(client, { url })).toEqual(failure(/refuses connections|cannot be reached/));
    expect(looks).toBe(1);
    expect(await get(client, { url })).toEqual(forbidden);
    expect(server.connections()).toBe(0);
  });

  test('every redirect is looked at', async () => {
    await using inner = await serve((_request, response) => response.end('secret'));
    await using outer = await serve((request, response) => {
      response.writeHead(307, { location: `http://${request.url?.slice(1)}:${inner.port}/` });
      response.end();
    });
    const hosts = { 'outer.example': ['127.0.0.1'], 'inner.example': ['127.0.0.1'] };
    await using client = clientOf({ allowed: [`outer.example:${outer.port}`], hosts });
    for (const to of ['127.0.0.1', 'localhost', '0x7f.1', '[::ffff:127.0.0.1]', 'inner.example'])
      expect(await get(client, { url: `http://outer.example:${outer.port}/${to}` }), to).toEqual(
        forbidden,
      );
    expect(inner.connections()).toBe(0);
    expect(outer.connections()).toBeGreaterThan(0);
  });

  test('the operator allows a host, a host with a port, an address, a range', async () => {
    await using server = await serve((_request, response) => response.end());
    const hosts = { 'db.example': ['127.0.0.1'] };
    const { port } = server;
    for (const [allowed, url] of [
      ['db.example', `http://db.example:${port}/`],
      [`db.example:${port}`, `http://DB.example.:${port}/`],
      ['*.example', `http://db.example:${port}/`],
      ['127.0.0.1', `http://127.1:${port}/`],
      [`127.0.0.1:${port}`, `http://db.example:${port}/`],
      ['127.0.0.0/8', `http://localhost:${port}/`],
      ['localhost', `http://localhost:${port}/`],
    ] as const)
      expect(await asked({ allowed: [allowed], hosts }, { url }), allowed).toEqual(ok());
    for (const allowed of [`127.0.0.1:${port + 1}`, 'other.example', 'example', '128.0.0.0/8'])
      expect(
        await asked({ allowed: [allowed], hosts }, { url: `http://db.example:${port}/` }),
        allowed,
      ).toEqual(forbidden);
  });
});

describe('a process limited to hosts by capabilities', () => {
  const hosts = {
    'api.example.com': ['127.0.0.1'],
    'evil.example': ['127.0.0.1'],
    'a.b.example.org': ['127.0.0.1'],
  };
  const limits = [
    scope({ hosts: ['api.example.com'] }),
    scope({ hosts: ['*.example.org', 'x.example'] }),
  ];
  const outside = failure(
    /is not among the hosts this process is limited to \(api.example.com, \*.example.org, x.example\)/,
  );

  test('reaches what any of them names, and nothing else', async () => {
    await using server = await serve((_request, response) => response.end());
    await using client = clientOf({ hosts });
    const at = (host: string): string => `http://${host}:${server.port}/`;
    for (const host of ['api.example.com', 'API.example.com.', 'a.b.example.org'])
      expect(await get(client, { url: at(host), capabilities: limits }), host).toEqual(ok());
    for (const host of ['evil.example', '127.0.0.1', 'example.org', 'api.example.com.evil.example'])
      expect(await get(client, { url: at(host), capabilities: limits }), host).toEqual(outside);
    expect(await get(client, { url: at('evil.example') }), 'others are not limited').toEqual(ok());
  });

  test('also after a redirect, by WebSocket, and in the Host field', async () => {
    let host: string | undefined;
    await using server = await serve((request, response) => {
      host = request.headers.host;
      response.writeHead(request.url === '/go' ? 302 : 200, {
        location: `http://evil.example:${server.port}/`,
      });
      response.end();
    });
    await using client = clientOf({ hosts });
    const own = `api.example.com:${server.port}`;
    expect(await get(client, { url: `http://${own}/go`, capabilities: limits })).toEqual(outside);
    await get(client, {
      url: `http://${own}/`,
      headers: { Host: 'evil.example' },
      capabilities: limits,
    });
    expect(host).toBe(own);
    await get(client, {
      url: `http://${own}/`,
      headers: { Host: 'a.b.example.org' },
      capabilities: limits,
    });
    expect(host).toBe('a.b.example.org');
    await open(client, {
      url: `ws://${own}/`,
      headers: { Host: 'evil.example' },
      capabilities: limits,
    });
    expect(host).toBe(own);
    const url = `ws://evil.example:${server.port}/`;
    expect(await open(client, { url, capabilities: limits })).toEqual({
      Err: { WsOpenFailed: { url } },
    });
  });

  test('what cannot be understood allows nothing; messaging and other issuers limit nothing', async () => {
    await using server = await serve((_request, response) => response.end());
    await using client = clientOf({ hosts });
    const url = `http://api.example.com:${server.port}/`;
    for (const params of [
      {},
      { hosts: 'api.example.com' },
      { hosts: [1, null, '*', 'http://api.example.com'] },
      { Hosts: ['api.example.com'] },
    ])
      expect(
        await get(client, { url, capabilities: [scope(params)] }),
        JSON.stringify(params),
      ).toEqual(failure(/limited to \(none\)/));
    const others = [
      scope('messaging'),
      { ...scope({ hosts: [] }), issuer: address('alice.os@other:distro:sys') },
    ];
    expect(await get(client, { url, capabilities: others })).toEqual(ok());
  });

  test('they do not open what the operator has not allowed', async () => {
    await using server = await serve((_request, response) => response.end());
    const capabilities = [scope({ hosts: ['127.0.0.1', 'localhost'] })];
    await using client = clientOf({ allowed: [] });
    expect(await get(client, { url: server.origin, capabilities })).toEqual(forbidden);
  });

  test('the kernel is told that they are limits', async () => {
    await using client = clientOf();
    const { module } = client.bench;
    expect(
      [{ hosts: [] }, {}, 'messaging', null, 1, []].map((params) => module.limits?.(scope(params))),
    ).toEqual([true, true, false, false, false, false]);
  });
});

describe('TLS', () => {
  const certificate = selfSigned();
  const hosts = { 'api.example.com': ['127.0.0.1'], 'other.example': ['127.0.0.1'] };

  test('a trusted certificate for that name is needed', async () => {
    await using server = await serveTls(
      (request, response) => response.end(request.headers.host),
      certificate,
    );
    const at = (host: string): Asked => ({ url: `https://${host}:${server.port}/` });
    await using client = clientOf({ hosts, ca: certificate.cert });
    expect(await get(client, at('api.example.com'))).toEqual(ok());
    expect(await get(client, at('127.0.0.1'))).toEqual(ok());
    expect(await get(client, at('other.example'))).toEqual(failure(/ERR_TLS_CERT_ALTNAME_INVALID/));
    expect(await asked({ hosts }, at('api.example.com'))).toEqual(
      failure(/DEPTH_ZERO_SELF_SIGNED_CERT/),
    );
  });

  test('a server that speaks no TLS, or none to us, is a failure', async () => {
    await using plain = await serve((_request, response) => response.end());
    expect(await asked({ hosts }, { url: `https://127.0.0.1:${plain.port}/` })).toEqual(
      failure(/./),
    );
  });
});

/** A proxy that keeps what it was asked; tunnels and forwards to wherever `at` says, whatever it was asked for. */
async function proxyTo(at: () => number, status = 200) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(
      `${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? '-'} ${request.headers.host}`,
    );
    response.end('forwarded');
  });
  server.on('connect', (request, socket: Duplex) => {
    seen.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`);
    socket.on('error', () => undefined);
    if (status !== 200)
      return void socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
    const target = connect(at(), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    target.on('error', () => socket.destroy());
    return undefined;
  });
  return Object.assign(await listening(server, 'http'), { seen });
}

describe('proxies of the environment', () => {
  const certificate = selfSigned();
  const credentials = `Basic ${Buffer.from('us:p@ss').toString('base64')}`;

  test('plain requests are forwarded, TLS and WebSockets tunnelled, exceptions go directly', async () => {
    await using secure = await serveTls(
      (_request, response) => response.end('tunnelled'),
      certificate,
    );
    await using direct = await serve((_request, response) => response.end('direct'));
    await using proxy = await proxyTo(() => secure.port);
    const url = `http://us:p%40ss@127.0.0.1:${proxy.port}`;
    await using client = clientOf({
      ca: certificate.cert,
      hosts: { 'direct.example': ['127.0.0.1'] },
      proxies: {
        HTTP_PROXY: url,
        https_proxy: url,
        HTTPS_PROXY: 'http://unused.example',
        NO_PROXY: 'direct.example, .other.example',
      },
    });
    expect(await get(client, { url: 'http://plain.example:8080/a?b' })).toEqual(ok());
    expect(await get(client, { url: 'https://api.example.com/a' })).toEqual(ok());
    expect(await get(client, { url: `http://direct.example:${direct.port}/` })).toEqual(ok());
    expect(await get(client, { url: direct.origin }), 'never for loopback').toEqual(ok());
    await open(client, { url: 'ws://socket.example/' });
    expect(proxy.seen).toEqual([
      `GET http://plain.example:8080/a?b ${credentials} plain.example:8080`,
      `CONNECT api.example.com:443 ${credentials}`,
      `CONNECT socket.example:80 ${credentials}`,
    ]);
  });

  test('a proxy that refuses is a failure; what it was asked does not appear with credentials', async () => {
    await using proxy = await proxyTo(() => 1, 403);
    const proxies = { ALL_PROXY: `us:secret@127.0.0.1:${proxy.port}` };
    const reply = await asked({ proxies }, { url: 'https://api.example.com/' });
    expect(reply).toEqual(
      failure(/^the proxy answered 403 to a connection to api.example.com:443$/),
    );
    const dead = { ALL_PROXY: 'http://us:secret@127.0.0.1:1' };
    const unreachable = await asked({ proxies: dead }, { url: 'http://api.example.com/' });
    expect(unreachable).toEqual(failure(/^the proxy: 127.0.0.1 refuses connections/));
    expect(JSON.stringify([reply, unreachable])).not.toContain('secret');
  });

  test('the policy looks at where the name leads from here, and at addresses; what only the proxy knows passes', async () => {
    await using proxy = await proxyTo(() => 1);
    const proxies = { HTTP_PROXY: proxy.origin };
    const hosts = { 'inner.example': ['10.0.0.1'], 'mixed.example': ['8.8.8.8', '10.0.0.1'] };
    await using client = clientOf({ allowed: [], hosts, proxies });
    for (const host of ['inner.example', 'mixed.example', '10.0.0.1', '[fd00::1]', '192.168.0.1'])
      expect(await get(client, { url: `http://${host}/` }), host).toEqual(forbidden);
    expect(proxy.seen).toEqual([]);
    expect(await get(client, { url: 'http://unknown.example/' })).toEqual(ok());
    expect(proxy.seen).toHaveLength(1);
  });
});
