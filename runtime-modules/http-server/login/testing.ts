/** A login of alice.os for each test, with two apps behind it, and programs that log in. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { afterEach, beforeEach } from 'vitest';
import { Harness, TestIdentity } from './login-harness.ts';
import type { LoginRequest } from './login.ts';

/** networking.md §18.5: of `secret`, for alice.os. */
export const HASH = '0xf0899873c48cdd1d93221d3fa7d63c44f5b65e532dc98b0c991964ca31432b9a';
export const NAME = 'hyperware-auth_alice.os';

interface Heard {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly host?: string;
}

interface LoginScene {
  /** That of the test which runs. */
  readonly node: Harness;
  /** As a program would: any header can be set, `Host` and cookies included. */
  readonly send: (method: string, path: string, options?: Sent) => Promise<Heard>;
  readonly logIn: (over?: Sent, path?: string) => Promise<Heard>;
}

/** Starts a login before each test of the file, and ends it after. */
export function loginScene(): LoginScene {
  let node: Harness;
  beforeEach(async () => {
    node = await Harness.start(new TestIdentity('alice.os', HASH));
    node.paths.set('/p:k:q', {
      process: 'p:k:q',
      authenticated: true,
      secure: false,
      html: 'inside',
    });
    node.paths.set('/main:app-store:sys', {
      process: 'main:app-store:sys',
      authenticated: true,
      secure: true,
      html: 'the store',
    });
  });
  afterEach(() => node[Symbol.asyncDispose]());
  const send: LoginScene['send'] = (method, path, options) =>
    sendTo(node.port, method, path, options);
  return {
    get node() {
      return node;
    },
    send,
    logIn: (over = {}, path = '/login') =>
      send('POST', path, { body: { password_hash: HASH, subdomain: null }, ...over }),
  };
}

async function sendTo(
  port: number,
  method: string,
  path: string,
  options: Sent = {},
): Promise<Heard> {
  const body =
    options.body === undefined || typeof options.body === 'string'
      ? options.body
      : JSON.stringify(options.body);
  const { promise, resolve, reject } = Promise.withResolvers<Heard>();
  const request = httpRequest(
    {
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: {
        Host: options.host ?? `localhost:${port}`,
        ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
        ...options.headers,
      },
    },
    (response) => {
      response.toArray().then((chunks) => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks as Buffer[]).toString(),
        });
      }, reject);
    },
  );
  request.on('error', reject);
  request.end(body);
  return promise;
}

/** The cookie that an answer sets, as `name=value`. */
export const pairOf = (heard: Heard): string => heard.headers['set-cookie']![0]!.split(';')[0]!;

/** A login handed in without a socket. */
export function direct(
  over: Partial<LoginRequest>,
  body: object = { password_hash: HASH },
): LoginRequest {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return {
    host: 'localhost:8080',
    proto: 'http',
    redirect: undefined,
    contentLength: bytes.length,
    origin: undefined,
    secFetchSite: undefined,
    peer: '127.0.0.1',
    body: () => Promise.resolve(bytes),
    ...over,
  };
}
