/** What web-client-guest.ts sees of other servers, as a component on a kernel with the real http-client: the same tests as with the fake. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { beforeAll } from 'vitest';
import { WebSocketServer } from 'ws';
import { systemClock } from '../../kernel/clock.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { RemoteError } from '../../processes/lib/errors.ts';
import {
  type ClientWorld,
  webClientConformance,
} from '../../processes/lib/testing/web-client-conformance.ts';
import { httpClient } from '../../runtime-modules/http-client/index.ts';
import { connectorOf } from '../../runtime-modules/shared/outbound/testing.ts';
import { processId } from '../../wit/address.ts';
import { testNode } from '../support/node.ts';

const OUR = 'web:lib:me.os';

let component: Uint8Array;
beforeAll(async () => {
  const guest = new URL('../../processes/lib/testing/web-client-guest.ts', import.meta.url);
  component = await buildComponent(fileURLToPath(guest));
}, 120_000);

webClientConformance(async (): Promise<ClientWorld> => {
  await using parts = new AsyncDisposableStack();
  const server = parts.use(await otherServer());
  const node = parts.use(await testNode());
  const { kernel } = node;
  const port = kernel.port('http-client');
  kernel.registerModule(
    httpClient()({ port, clock: systemClock, connector: connectorOf({}, systemClock) }),
  );
  const capabilities = [
    {
      issuer: { node: 'test.os', process: processId('http-client:distro:sys') },
      params: '"messaging"',
    },
  ];
  await node.start(OUR, component, { capabilities });
  const owned = parts.move();
  return {
    host: server.name,
    ask: async (method, args) => {
      const { text } = await node.ask(OUR, JSON.stringify({ [method]: args }));
      const value = JSON.parse(text) as string | Record<string, unknown>;
      if (typeof value === 'string') return undefined;
      const refused = value['Err'] as { kind: string; message: string } | undefined;
      if (refused !== undefined) throw new RemoteError(refused.kind, refused.message);
      return value[method];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
});

async function otherServer(): Promise<AsyncDisposable & { readonly name: string }> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method, headers, url = '' } = request;
    switch (url.split('?')[0]) {
      case '/echo':
        response.writeHead(200, { 'content-type': 'application/json', 'x-seen': 'yes' });
        response.end(
          JSON.stringify({ method, own: headers['x-own'], body: Buffer.concat(chunks).toString() }),
        );
        return;
      case '/teapot':
        response.writeHead(418).end('short');
        return;
      case '/number':
        response.end('{"n":7}');
        return;
      case '/nonsense':
        response.end('nonsense');
        return;
      default:
        request.socket.destroy();
    }
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, stream, head) => {
    if (request.url !== '/live' || request.headers['x-own'] !== 'mine') {
      stream.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.send('welcome');
      socket.on('message', (data, binary) => {
        // Proof of the type: what `ws` gives unless told otherwise.
        if ((data as Buffer).toString() === 'bye') socket.close();
        else socket.send(data, { binary });
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    name: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
