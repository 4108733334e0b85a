import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { fetch } from './http-client.ts';
import { defineProcess, NoResponse, type Process, t } from './index.ts';
import { FakeHttpClient, type FakeServer } from './testing/fake-http-client.ts';
import { TestProcess } from './testing/test-process.ts';
import { type ClientWorld, webClientConformance } from './testing/web-client-conformance.ts';
import webClientGuest from './testing/web-client-guest.ts';
import { connect, type WebSocket } from './web-socket.ts';

const HOST = 'server.example';

webClientConformance(async (): Promise<ClientWorld> => {
  const client = new FakeHttpClient(({ method, url, headers, text }) => {
    switch (url.split('?')[0]) {
      case `http://${HOST}/echo`:
        return {
          headers: { 'content-type': 'application/json', 'x-seen': 'yes' },
          body: JSON.stringify({ method, own: headers.get('x-own'), body: text }),
        };
      case `http://${HOST}/teapot`:
        return { status: 418, body: 'short' };
      case `http://${HOST}/number`:
        return { body: '{"n":7}' };
      case `http://${HOST}/nonsense`:
        return { body: 'nonsense' };
      default:
        return { kind: 'ExecuteRequestFailed', value: 'the connection broke' };
    }
  });
  client.accepts = (url, headers) => url === `ws://${HOST}/live` && headers.get('X-Own') === 'mine';
  client.opened = (socket) => {
    socket.send('welcome');
    socket.onFrame = (frame) => (frame === 'bye' ? socket.close() : socket.send(frame));
  };
  const process = await TestProcess.start(webClientGuest, {
    peers: { 'http-client:distro:sys': client.peer },
  });
  return {
    host: HOST,
    ask: async (name, args) => {
      const answer = await process.ask(JSON.stringify({ [name]: args }));
      const value = JSON.parse(answer ?? 'null') as string | Record<string, unknown>;
      return typeof value === 'string' ? undefined : value[name];
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
});

/** A process that does `work` with that client. */
async function start(
  client: FakeHttpClient,
  work: (process: Process<undefined>) => Promise<unknown>,
): Promise<{ process: TestProcess<never, never>; results: unknown[] }> {
  const results: unknown[] = [];
  const module = defineProcess<Readonly<Record<string, never>>, undefined>({
    // Not awaited: a process that waits in its setup takes no requests.
    setup: (process) => {
      work(process).then(
        (result) => results.push(result),
        (error: unknown) => results.push(error),
      );
    },
    onMessage: (context) => `not of the module: ${context.text}`,
  });
  const process = await TestProcess.start(module, {
    peers: { 'http-client:distro:sys': client.peer },
  });
  await process.run();
  return { process: process as never, results };
}

async function once(
  server: FakeServer,
  work: (process: Process<undefined>) => Promise<unknown>,
): Promise<{ client: FakeHttpClient; result: unknown }> {
  const client = new FakeHttpClient(server);
  const { results } = await start(client, work);
  return { client, result: results[0] };
}

test('M204 M205 a request goes out as given, its answer comes back whole', async () => {
  const server: FakeServer = () => ({
    status: 201,
    headers: { 'content-type': 'application/json', etag: '"1"' },
    body: '{"name":"ü"}',
  });
  const { client, result } = await once(server, async (process) => {
    const response = await fetch(process, 'https://example.org/a?key=1', {
      method: 'PUT',
      headers: { 'X-Key': 'v' },
      body: 'content',
    });
    return [
      response.status,
      response.ok,
      response.headers.get('ETag'),
      response.headers.get('nothing'),
      response.json(t.record({ name: t.text })),
      response.bytes().length,
    ];
  });
  expect(result).toEqual([201, true, '"1"', undefined, { name: 'ü' }, 13]);
  expect(client.requests).toMatchObject([
    { method: 'PUT', url: 'https://example.org/a?key=1', text: 'content' },
  ]);
  expect(Object.fromEntries(client.requests[0]!.headers)).toEqual({ 'x-key': 'v' });
});

test('JSON is sent with its type, unless another is given', async () => {
  const { client } = await once(
    () => ({}),
    async (process) => {
      await fetch(process, 'https://a.org/', { method: 'POST', json: { a: [1] } });
      const headers = { 'Content-Type': 'application/ld+json' };
      await fetch(process, 'https://a.org/', { method: 'POST', json: null, headers });
    },
  );
  expect(client.requests.map(({ text, headers }) => [text, headers.get('content-type')])).toEqual([
    ['{"a":[1]}', 'application/json'],
    ['null', 'application/ld+json'],
  ]);
});

test('M206 refusals have the name that the module gives them', async () => {
  const errors: unknown[] = [];
  const servers: [string, FakeServer][] = [
    ['nonsense', () => ({})],
    ['https://a.org/?secret=1', () => ({ kind: 'ExecuteRequestFailed', value: 'refused' })],
    ['https://a.org/', () => ({ kind: 'BadMethod', value: { method: 'G T' } })],
  ];
  for (const [url, server] of servers) {
    errors.push((await once(server, (process) => fetch(process, url))).result);
  }
  expect(errors).toMatchObject([
    { name: 'HttpClientError', code: 'BadUrl', detail: '{"url":"nonsense"}' },
    { code: 'ExecuteRequestFailed', message: 'GET https://a.org/: ExecuteRequestFailed: refused' },
    { code: 'BadMethod' },
  ]);
});

test('a body of another shape is told apart from what the network did', async () => {
  const { result } = await once(
    () => ({ body: '{"name":1}' }),
    async (process) => (await fetch(process, 'https://a.org/')).json(t.record({ name: t.text })),
  );
  expect(result).toMatchObject({
    code: 'BadData',
    message: 'GET https://a.org/: BadData: body name: expected text',
  });
});

test('a server that never answers costs the time that was given', async () => {
  const client = new FakeHttpClient(() => undefined);
  const { process, results } = await start(client, (own) =>
    fetch(own, 'https://a.org/', { timeoutS: 3 }),
  );
  process.host.saveCapabilities([
    { issuer: address('alice.os@http-client:distro:sys'), params: '"messaging"' },
  ]);
  process.host.advance(2);
  await process.run();
  expect(results).toEqual([]);
  process.host.advance(1);
  await process.run();
  expect(results[0]).toBeInstanceOf(NoResponse);
});

test('whoever is told to stop waits no more', async () => {
  const client = new FakeHttpClient(() => undefined);
  const stop = new AbortController();
  const { process, results } = await start(client, (own) =>
    fetch(own, 'https://a.org/', { signal: stop.signal }),
  );
  stop.abort(new Error('enough'));
  await process.run();
  expect(results).toMatchObject([{ message: 'enough' }]);
});

// ---- WebSockets

const said = t.record({ text: t.text });

test('a socket carries messages both ways until it is closed', async () => {
  const client = new FakeHttpClient();
  const seen: unknown[] = [];
  let socket: WebSocket<{ readonly text: string }, { readonly text: string }> | undefined;
  const { process } = await start(client, async (own) => {
    socket = await connect(own, 'wss://example.org/live', {
      headers: { Authorization: 'key' },
      receives: said,
      sends: said,
      onMessage: ({ text }) => void seen.push(text),
      onClose: ({ isOpen }) => void seen.push(`closed ${isOpen}`),
    });
    await socket.send({ text: 'hello' });
  });
  const [remote] = client.sockets.values();
  expect(remote?.received).toEqual(['{"text":"hello"}']);
  remote?.ping();
  remote?.send('{"text":"and to you"}');
  remote?.close();
  await process.run();
  expect(seen).toEqual(['and to you', 'closed false']);
  expect(socket?.isOpen).toBe(false);
});

test('M181 events of sockets from elsewhere are not believed', async () => {
  const client = new FakeHttpClient();
  const seen: unknown[] = [];
  const { process } = await start(client, (own) =>
    connect(own, 'wss://a.org/', { onMessage: (frame) => void seen.push(frame) }),
  );
  const [remote] = client.sockets.values();
  const body = JSON.stringify({
    WebSocketPush: { channel_id: remote?.channelId, message_type: 'Text' },
  });
  const source = address('evil.os@http-client:distro:sys');
  expect(await process.ask(body, { source })).toContain('not of the module');
  remote?.send(Uint8Array.of(1, 2));
  await process.run();
  expect(seen).toEqual([Uint8Array.of(1, 2)]);
});

test('what is refused is no socket', async () => {
  const client = new FakeHttpClient();
  client.accepts = (_url, headers) => headers.has('Authorization');
  const { results } = await start(client, (own) =>
    connect(own, 'wss://a.org/', { onMessage: () => undefined }),
  );
  expect(results).toMatchObject([{ code: 'WsOpenFailed', detail: '{"url":"wss://a.org/"}' }]);
  expect(client.sockets.size).toBe(0);
});

test('a message of another shape closes the socket, and the owner is told', async () => {
  const client = new FakeHttpClient();
  const seen: unknown[] = [];
  const { process } = await start(client, (own) =>
    connect(own, 'wss://a.org/', {
      receives: said,
      onMessage: () => undefined,
      onClose: () => void seen.push('closed'),
    }),
  );
  client.sockets.values().next().value?.send('{"text":1}');
  await process.run();
  expect(seen).toEqual(['closed']);
  expect(client.sockets.size).toBe(0);
  expect(process.host.prints.at(-1)?.text).toContain('message text: expected text');
});

test('a socket of an earlier run is closed when it speaks', async () => {
  const client = new FakeHttpClient();
  const work = (own: Process<undefined>): Promise<unknown> =>
    connect(own, 'wss://a.org/', { onMessage: () => undefined });
  await start(client, work);
  const [old] = client.sockets.values();
  const { process } = await start(client, work);
  const push = { WebSocketPush: { channel_id: old?.channelId, message_type: 'Text' } };
  process.host.arrive({
    source: address('alice.os@http-client:distro:sys'),
    body: new TextEncoder().encode(JSON.stringify(push)),
  });
  await process.run();
  expect([...client.sockets.keys()]).not.toContain(old?.channelId);
  expect(client.sockets.size).toBe(1);
});

test('closing twice, and after the other side has, is fine', async () => {
  const client = new FakeHttpClient();
  let closed = 0;
  const { results } = await start(client, async (own) => {
    const socket = await connect(own, 'wss://a.org/', {
      onMessage: () => undefined,
      onClose: () => void (closed += 1),
    });
    await socket.close();
    await socket.close();
    const other = await connect(own, 'wss://b.org/', { onMessage: () => undefined });
    client.sockets.get(other.channelId)?.close();
    await other.close();
    return socket.send('x');
  });
  expect(results).toMatchObject([{ name: 'HttpClientError', code: 'WsPushUnknownChannel' }]);
  expect(closed).toBe(1);
});
