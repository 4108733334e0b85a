/** What web-guest.ts serves, as a component on a kernel with the real http-server: the same tests as with the fake. */
import { request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, vi } from 'vitest';
import { WebSocket } from 'ws';
import { buildComponent } from '../../kit/build/component.ts';
import {
  type WebAnswer,
  webConformance,
  type WebRequest,
  type WebSocketEnd,
  type WebWorld,
} from '../../processes/lib/testing/web-conformance.ts';
import { SESSION, webNode } from '../support/web-node.ts';

const OUR = 'web:lib:me.os';
const COOKIE = `${SESSION.name}=${SESSION.value}`;
let component: Uint8Array;
beforeAll(async () => {
  const guest = new URL('../../processes/lib/testing/web-guest.ts', import.meta.url);
  component = await buildComponent(fileURLToPath(guest));
}, 120_000);

async function open(): Promise<WebWorld> {
  const { node, port, ...owned } = await webNode({ process: OUR, component });
  const browser = new Browser(port);
  // What is bound last.
  const ready = async (): Promise<void> =>
    expect((await browser.request('/guarded/page.html')).text).toContain('a page');
  await vi.waitFor(ready, 10_000);
  return {
    request: (path, options) => browser.request(path, options),
    connect: (path) => browser.connect(path),
    prints: () => node.prints.map((printout) => ('text' in printout ? printout.text : '')),
    ...owned,
  };
}

class Browser {
  readonly #port: number;
  constructor(port: number) {
    this.#port = port;
  }

  request(path: string, options: WebRequest = {}): Promise<WebAnswer> {
    const { method = 'GET', headers = {}, body, loggedIn = true } = options;
    return new Promise((resolve, reject) => {
      const asked = httpRequest(
        {
          host: '127.0.0.1',
          port: this.#port,
          path: `/${OUR}${path}`,
          method,
          headers: loggedIn ? { ...headers, cookie: COOKIE } : headers,
          agent: false,
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('error', reject);
          answer.on('end', () =>
            resolve({
              status: answer.statusCode ?? 0,
              headers: new Map(
                Object.entries(answer.headers).map(([name, value]) => [name, String(value)]),
              ),
              text: Buffer.concat(chunks).toString(),
            }),
          );
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
  }

  async connect(path: string): Promise<WebSocketEnd | undefined> {
    const url = `ws://127.0.0.1:${this.#port}/${OUR}${path}`;
    const socket = new WebSocket(url, { headers: { cookie: COOKIE } });
    const frames: string[] = [];
    let arrived = Promise.withResolvers<void>();
    socket.on('message', (data) => {
      // Proof of the type: what `ws` gives unless told otherwise.
      frames.push((data as Buffer).toString());
      arrived.resolve();
      arrived = Promise.withResolvers();
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const opened = new Promise<boolean>((resolve) => {
      socket.once('open', () => resolve(true)).once('error', () => resolve(false));
    });
    if (!(await opened)) return undefined;
    return {
      send: async (frame) => socket.send(frame),
      next: async () => {
        while (frames.length === 0) await arrived.promise;
        return frames.shift() ?? '';
      },
      close: async () => {
        socket.close();
        await closed;
      },
      closed: () => closed,
    };
  }
}

webConformance(open);
