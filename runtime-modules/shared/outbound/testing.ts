/** The world outside for tests: real servers on loopback, names that lead where the test says, certificates made on the spot. */
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import { AddressPolicy, parseAllowed } from './address-policy.ts';
import { Connector } from './connector.ts';
import { NO_PROXIES, readProxies, type ProxyEnvironment } from './proxy.ts';
import type { Resolve } from './resolve.ts';

export interface WorldOptions {
  /** Default: loopback addresses. */
  readonly allowed?: readonly string[];
  /** Host names and where they lead; `localhost` is there already. A function may change its mind. */
  readonly hosts?: Readonly<
    Record<string, readonly string[] | (() => readonly string[] | Promise<readonly string[]>)>
  >;
  readonly proxies?: ProxyEnvironment;
  readonly ca?: string;
}

export function connectorOf(options: WorldOptions, clock: Clock): Connector {
  const allowed = parseAllowed(options.allowed ?? ['127.0.0.0/8', '::1']);
  if (!allowed.ok) throw new Error(allowed.error);
  const proxies = options.proxies === undefined ? undefined : readProxies(options.proxies);
  if (proxies?.ok === false) throw new Error(proxies.error);
  return new Connector({
    policy: new AddressPolicy(allowed.value, { ownAddresses: () => [] }),
    proxies: proxies?.value ?? NO_PROXIES,
    resolve: resolveFrom({ localhost: ['127.0.0.1'], ...options.hosts }),
    trust: () =>
      Promise.resolve(createSecureContext(options.ca === undefined ? {} : { ca: options.ca })),
    clock,
  });
}

function resolveFrom(hosts: NonNullable<WorldOptions['hosts']>): Resolve {
  return (host) => {
    const found = hosts[host];
    if (found === undefined)
      return Promise.reject(Object.assign(new Error(`no ${host}`), { code: 'ENOTFOUND' }));
    return Promise.resolve(typeof found === 'function' ? found() : found);
  };
}

export interface Listening extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:port`, or https. */
  readonly origin: string;
  /** Connections accepted so far. */
  readonly connections: () => number;
}

/** An HTTP server. */
export function serve(listener: RequestListener): Promise<Listening> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  return listening(server, 'http');
}

export function serveTls(listener: RequestListener, certificate: Certificate): Promise<Listening> {
  return listening(
    createTlsServer({ key: certificate.key, cert: certificate.cert }, listener),
    'https',
  );
}

/** A server that says what it likes. */
export function serveRaw(speak: (socket: Socket, request: string) => void): Promise<Listening> {
  const server = createTcpServer((socket) => {
    let seen = '';
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      seen += piece.toString('latin1');
      if (!seen.includes('\r\n\r\n')) return;
      const request = seen;
      seen = '';
      speak(socket, request);
    });
  });
  return listening(server, 'http');
}

export async function listening(server: Server | TcpServer, scheme: string): Promise<Listening> {
  let accepted = 0;
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `${scheme}://127.0.0.1:${port}`,
    connections: () => accepted,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

// --- certificates ----------------------------------------------------------------------------------------------------

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A self-signed certificate for `localhost`, `*.example.com` and 127.0.0.1 (RFC 5280), valid from 2000 to 2049. */
export function selfSigned(): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(0x30, oid('2a8648ce3d040302'));
  const name = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from('test')))));
  const alternatives = der(
    0x30,
    der(0x82, Buffer.from('localhost')),
    der(0x82, Buffer.from('*.example.com')),
    der(0x87, Buffer.from([127, 0, 0, 1])),
  );
  const extensions = der(
    0x30,
    der(0x30, oid('551d11'), der(0x04, alternatives)),
    der(
      0x30,
      oid('551d13'),
      der(0x01, Buffer.from([0xff])),
      der(0x04, der(0x30, der(0x01, Buffer.from([0xff])))),
    ),
  );
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(
      0x02,
      Buffer.from([
        1,
        ...createHash('sha256').update(String(process.hrtime())).digest().subarray(0, 8),
      ]),
    ),
    algorithm,
    name,
    der(0x30, der(0x17, Buffer.from('000101000000Z')), der(0x17, Buffer.from('491231235959Z'))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = sign('sha256', body, privateKey);
  const cert = der(0x30, body, algorithm, der(0x03, Buffer.from([0]), signature));
  return { key: pemOf(privateKey), cert: pem('CERTIFICATE', cert) };
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}
