import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { folder } from './http-folder.ts';
import { type HttpReply, HttpServer, reply, strictHeaders } from './http-server.ts';
import { defineProcess, sleep, stateOf, t } from './index.ts';
import { type Binding, FakeHttpServer, type FakeSocket } from './testing/fake-http-server.ts';
import { fakeTimer } from './testing/fake-timer.ts';
import { FakeVfs } from './testing/fake-vfs.ts';
import { TestProcess } from './testing/test-process.ts';
import { webConformance, type WebSocketEnd, type WebWorld } from './testing/web-conformance.ts';
import webGuest from './testing/web-guest.ts';

const OUR = 'web:lib:me.os';

webConformance(async (): Promise<WebWorld> => {
  const server = new FakeHttpServer();
  const process = await TestProcess.start(webGuest, {
    our: `alice.os@${OUR}`,
    peers: {
      'http-server:distro:sys': server.peer,
      'vfs:distro:sys': new FakeVfs().peer,
      'timer:distro:sys': fakeTimer(),
    },
  });
  return {
    request: (path, options) => server.request(process, `/${OUR}${path}`, options),
    connect: async (path) => {
      const socket = await server.connect(process, `/${OUR}${path}`);
      return socket && endOf(socket);
    },
    prints: () => process.host.prints.map(({ text }) => text),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

function endOf(socket: FakeSocket): WebSocketEnd {
  return {
    send: (frame) => socket.send(frame),
    next: async () => socket.next() ?? '(nothing)',
    close: () => socket.close(),
    closed: async () => expect(socket.isOpen).toBe(false),
  };
}

// ---- what only the library decides

/** Starts a process with that server. */
async function serve(
  http: HttpServer,
  { server = new FakeHttpServer(), our = 'alice.os@web:lib:me.os' } = {},
): Promise<{ process: TestProcess<never, never>; server: FakeHttpServer }> {
  const module = defineProcess({ http, onMessage: () => 'not the web' });
  const process = await TestProcess.start(module, {
    our,
    peers: { 'http-server:distro:sys': server.peer },
  });
  return { process: process as never, server };
}

test('M118 M120 each path is bound once, with its options, when setup is done', async () => {
  const http = new HttpServer({ localOnly: true });
  http.get('/both', () => reply.empty());
  http.post('both/', () => reply.empty());
  http.get('/open', () => reply.empty(), { authenticated: false, localOnly: false });
  http.get('/own', () => reply.empty(), { secure: true });
  http.static('/', '<p>', { type: 'text/html' });
  http.sockets('/', {}, { authenticated: false });
  http.sockets('/own', {}, { secure: true });
  const { server } = await serve(http);
  expect(Object.fromEntries(server.bindings)).toEqual({
    '/web:lib:me.os/both': bound({ localOnly: true }),
    '/web:lib:me.os/open': bound({ authenticated: false }),
    '/web:lib:me.os/own': bound({ secure: true }),
    '/web:lib:me.os': bound({
      localOnly: true,
      content: { type: 'text/html', bytes: new TextEncoder().encode('<p>') },
    }),
  });
  expect(Object.fromEntries(server.sockets)).toEqual({
    '/web:lib:me.os': { authenticated: false, secure: false },
    '/web:lib:me.os/own': { authenticated: true, secure: true },
  });
});

function bound(options: Partial<Binding>): Binding {
  return { authenticated: true, localOnly: false, secure: false, content: undefined, ...options };
}

test('M120 the homepage serves the root of the site', async () => {
  const http = new HttpServer();
  http.get('/', ({ path }) => reply.text(path));
  http.get('/apps', ({ path }) => reply.text(path));
  const { process, server } = await serve(http, { our: 'alice.os@homepage:homepage:sys' });
  expect((await server.request(process, '/')).text).toBe('/');
  expect((await server.request(process, '/apps/')).text).toBe('/apps');
});

test('a mistake in the table of paths is found at once', () => {
  const http = new HttpServer();
  http.get('/x', () => reply.empty());
  expect(() => http.get('/x/', () => reply.empty())).toThrow('has a handler already');
  expect(() => http.post('/x', () => reply.empty(), { authenticated: false })).toThrow('options');
  http.sockets('/s', {});
  expect(() => http.sockets('s', {})).toThrow('bound already');
});

test('the same name on another node is not our http-server', async () => {
  const http = new HttpServer();
  http.get('/x', () => reply.text('private'));
  const { process } = await serve(http);
  const body = JSON.stringify({ Http: { method: 'GET', bound_path: '/web:lib:me.os/x' } });
  for (const source of ['evil.os@http-server:distro:sys', 'alice.os@http-server:other:sys']) {
    expect(await process.ask(body, { source: address(source) })).toBe('not the web');
  }
});

test('M142 a manifest that forgets a capability is told which', async () => {
  const http = new HttpServer();
  http.get('/x', () => reply.empty());
  const start = async (holds: boolean): Promise<void> => {
    const process = await TestProcess.start(defineProcess({ http }));
    const issuer = address('alice.os@http-server:distro:sys');
    if (holds) process.host.saveCapabilities([{ issuer, params: '"messaging"' }]);
    process.host.advance(5);
    await process.run();
  };
  await expect(start(false)).rejects.toThrow('request_capabilities lack "http-server:distro:sys"');
  await expect(start(true)).rejects.toThrow('grant_capabilities must name');
});

test('M129 what the module refuses ends the process, by its name', async () => {
  const http = new HttpServer();
  http.get('/x', () => reply.empty());
  const refuse = (): string => '{"Err":"InvalidSourceProcess"}';
  const start = TestProcess.start(defineProcess({ http }), {
    peers: { 'http-server:distro:sys': refuse },
  });
  await expect(start).rejects.toMatchObject({
    name: 'HttpServerError',
    code: 'InvalidSourceProcess',
  });
});

test('M123 a fallback answers for what is bound to nothing', async () => {
  const http = new HttpServer();
  http.get('/', () => reply.text('root'));
  http.fallback(({ path }) => reply.text(`no ${path}`, { status: 404 }));
  const { process, server } = await serve(http);
  expect((await server.request(process, '/web:lib:me.os/')).text).toBe('root');
  expect(await server.request(process, '/web:lib:me.os/a/b')).toMatchObject({
    status: 404,
    text: 'no /a/b',
  });
});

test('headers of the server are on every answer, those of the answer win', async () => {
  const http = new HttpServer({ headers: strictHeaders });
  http.get('/', () => reply.html('<p>'));
  http.get('/own', () => reply.text('', { headers: { 'Referrer-Policy': 'origin' } }));
  const { process, server } = await serve(http);
  const page = await server.request(process, '/web:lib:me.os');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
  expect(page.headers.get('x-content-type-options')).toBe('nosniff');
  const own = await server.request(process, '/web:lib:me.os/own');
  expect(own.headers.get('referrer-policy')).toBe('origin');
  expect(
    (await server.request(process, '/web:lib:me.os/none')).headers.get('referrer-policy'),
  ).toBe('same-origin');
});

test('a handler that returns no reply is a fault of ours', async () => {
  const http = new HttpServer();
  http.get('/', (() => 'text') as never);
  const { process, server } = await serve(http);
  expect((await server.request(process, '/web:lib:me.os')).status).toBe(500);
  expect(process.host.prints.at(-1)?.text).toContain('not a reply');
});

test('M141 a request that is never answered is given up by the module', async () => {
  const http = new HttpServer();
  let aborted: unknown;
  http.get('/', ({ signal }) => {
    signal.addEventListener('abort', () => (aborted = signal.reason));
    return new Promise(() => undefined);
  });
  const { process, server } = await serve(http);
  expect((await server.request(process, '/web:lib:me.os')).status).toBe(408);
  expect(aborted).toMatchObject({ name: 'RequesterGone' });
});

test('answers that wait go to their own requests', async () => {
  const waiting = new Map<string, (answer: HttpReply) => void>();
  const http = new HttpServer();
  http.get('/wait/:id', ({ params }) => new Promise((resolve) => waiting.set(params.id, resolve)));
  http.post('/wait/:id', ({ params }) => {
    waiting.get(params.id)?.(reply.text(`woken ${params.id}`));
    return reply.empty();
  });
  const { process, server } = await serve(http);
  const one = server.request(process, '/web:lib:me.os/wait/1');
  const two = server.request(process, '/web:lib:me.os/wait/2');
  await server.request(process, '/web:lib:me.os/wait/2', { method: 'POST' });
  await server.request(process, '/web:lib:me.os/wait/1', { method: 'POST' });
  expect((await one).text).toBe('woken 1');
  expect((await two).text).toBe('woken 2');
});

// ---- sockets

test('M180 a channel that is gone is forgotten when something is sent to it', async () => {
  const closed: number[] = [];
  const http = new HttpServer();
  const live = http.sockets('/', { onClose: ({ id }) => void closed.push(id) });
  const results: unknown[] = [];
  http.post('/', async () => {
    results.push(await Promise.all([...live.channels].map((channel) => channel.send('hello'))));
    return reply.json(live.channels.size);
  });
  const { process, server } = await serve(http);
  const one = await server.connect(process, '/web:lib:me.os');
  const two = await server.connect(process, '/web:lib:me.os');
  one?.vanish();
  const answer = await server.request(process, '/web:lib:me.os', { method: 'POST' });
  expect(answer.text).toBe('1');
  expect(results).toEqual([[false, true]]);
  expect(closed).toEqual([one?.channelId]);
  expect(two?.next()).toBe('hello');
});

test('a module that does not keep up is an error of send, and named by broadcast', async () => {
  const http = new HttpServer();
  const live = http.sockets('/', {});
  const seen: unknown[] = [];
  http.post('/', async () => {
    const [channel] = live.channels;
    await channel?.send('x').catch((error: unknown) => seen.push(error));
    seen.push((await live.broadcast('y')).length, live.channels.size);
    return reply.empty();
  });
  const server = new FakeHttpServer();
  let slow = false;
  const module = defineProcess({ http });
  const process = await TestProcess.start(module, {
    our: 'alice.os@web:lib:me.os',
    peers: {
      'http-server:distro:sys': (sent, host) => {
        const push = new TextDecoder().decode(sent.request.body).includes('WebSocketPush');
        return slow && push ? undefined : server.peer(sent, host);
      },
    },
  });
  const issuer = address('alice.os@http-server:distro:sys');
  process.host.saveCapabilities([{ issuer, params: '"messaging"' }]);
  await server.connect(process, '/web:lib:me.os');
  slow = true;
  await server.request(process, '/web:lib:me.os', { method: 'POST' });
  expect(seen).toEqual([expect.objectContaining({ code: 'NoAnswer' }), 1, 1]);
});

test('a channel of an earlier run is closed, so that the browser opens it anew', async () => {
  const http = new HttpServer();
  const opened: string[] = [];
  const live = http.sockets('/:room', {
    onOpen: ({ params }) => void opened.push(params['room']!),
  });
  const module = defineProcess({ http });
  const server = new FakeHttpServer();
  const options = {
    our: 'alice.os@web:lib:me.os',
    peers: { 'http-server:distro:sys': server.peer },
  };
  const before = await TestProcess.start(module, options);
  const socket = await server.connect(before, '/web:lib:me.os/blue');
  expect(live.channels.size).toBe(1);
  const after = await TestProcess.start(module, options);
  expect(live.channels.size).toBe(0);
  // The module sends it to the process that now has that id.
  const source = address('alice.os@http-server:distro:sys');
  const push = { WebSocketPush: { channel_id: socket?.channelId, message_type: 'Text' } };
  after.host.arrive({ source, body: new TextEncoder().encode(JSON.stringify(push)) });
  await after.run();
  expect(socket?.isOpen).toBe(false);
  await server.connect(after, '/web:lib:me.os/blue');
  expect(opened).toEqual(['blue', 'blue']);
});

test('M186 sockets that are unbound refuse new ones and keep those that are open', async () => {
  const http = new HttpServer();
  const live = http.sockets('/', { onMessage: (channel) => void channel.send('still') });
  http.post('/', async () => {
    await live.unbind();
    return reply.empty();
  });
  const { process, server } = await serve(http);
  const one = await server.connect(process, '/web:lib:me.os');
  await server.request(process, '/web:lib:me.os', { method: 'POST' });
  expect(await server.connect(process, '/web:lib:me.os')).toBeUndefined();
  await one?.send('x');
  expect(one?.next()).toBe('still');
});

test('M178 the reason of a browser is known when its channel closes; pings are nobody’s business', async () => {
  const reasons: string[] = [];
  const messages: unknown[] = [];
  const http = new HttpServer();
  http.sockets('/', {
    onMessage: (_channel, message) => void messages.push(message),
    onClose: ({ reason, isOpen }) => void reasons.push(`${reason} ${isOpen}`),
  });
  const { process, server } = await serve(http);
  const one = await server.connect(process, '/web:lib:me.os');
  await one?.ping();
  await one?.close('enough');
  const two = await server.connect(process, '/web:lib:me.os');
  await two?.drop();
  expect(reasons).toEqual(['enough false', ' false']);
  expect(messages).toEqual([]);
});

test('state that a socket changes is stored', async () => {
  const http = new HttpServer<{ readonly seen: number }>();
  http.sockets('/', {
    onMessage: (_channel, _message, process) => {
      process.state = { seen: process.state.seen + 1 };
    },
  });
  const server = new FakeHttpServer();
  const module = defineProcess({
    state: stateOf(t.record({ seen: t.u32 }), () => ({ seen: 0 })),
    http,
  });
  const process = await TestProcess.start(module, {
    our: 'alice.os@web:lib:me.os',
    peers: { 'http-server:distro:sys': server.peer },
  });
  await (await server.connect(process, '/web:lib:me.os'))?.send('x');
  expect(new TextDecoder().decode(process.host.state)).toBe('{"seen":1}');
});

// ---- within a process

test('the type of the parameters is that of the pattern', () => {
  const http = new HttpServer();
  http.get('/lists/:list/items/:item.json', ({ params }) => {
    const { list, item }: { list: string; item: string } = params;
    // @ts-expect-error -- there is no such parameter
    return reply.json([list, item, params.itme]);
  });
  http.get('/files/*rest', ({ params }) => reply.text(params.rest));
  expect(http).toBeInstanceOf(HttpServer);
});

test('requests that come before setup is done are answered when it is', async () => {
  const server = new FakeHttpServer();
  const http = new HttpServer();
  let ready = false;
  http.get('/', (request) => reply.text(`${ready} ${request.text()}`));
  const module = defineProcess({
    setup: async (process) => {
      await sleep(process, 500);
      ready = true;
    },
    http,
  });
  const process = await TestProcess.start(module, {
    our: 'alice.os@web:lib:me.os',
    peers: { 'http-server:distro:sys': server.peer, 'timer:distro:sys': fakeTimer() },
  });
  // Bound by an earlier run of the process.
  const before = { authenticated: true, localOnly: false, secure: false, content: undefined };
  server.bindings.set('/web:lib:me.os', before);
  const answer = await server.request(process, '/web:lib:me.os', { body: 'early' });
  expect(answer).toMatchObject({ status: 200, text: 'true early' });
});

test('a serial process serves too, one request after another', async () => {
  const server = new FakeHttpServer();
  const http = new HttpServer();
  const live = http.sockets('/', {});
  http.get('/', async (_request, process) => {
    await sleep(process, 5);
    await live.broadcast('asked');
    return reply.empty();
  });
  const module = defineProcess({ concurrency: 'serial', http });
  const process = await TestProcess.start(module, {
    our: 'alice.os@web:lib:me.os',
    peers: { 'http-server:distro:sys': server.peer, 'timer:distro:sys': fakeTimer() },
  });
  const socket = await server.connect(process, '/web:lib:me.os');
  const both = [0, 1].map(() => server.request(process, '/web:lib:me.os'));
  expect((await Promise.all(both)).map(({ status }) => status)).toEqual([204, 204]);
  expect([socket?.next(), socket?.next()]).toEqual(['asked', 'asked']);
});

test('the state is stored before an answer leaves', async () => {
  const http = new HttpServer<{ readonly seen: number }>();
  http.post('/', (_request, process) => {
    process.state = { seen: process.state.seen + 1 };
    return reply.empty();
  });
  const module = defineProcess({
    state: stateOf(t.record({ seen: t.u32 }), () => ({ seen: 0 })),
    http,
  });
  const server = new FakeHttpServer();
  const process = await TestProcess.start(module, {
    our: 'alice.os@web:lib:me.os',
    peers: { 'http-server:distro:sys': server.peer },
  });
  const stored: unknown[] = [];
  const respond = process.host.sendResponse.bind(process.host);
  process.host.sendResponse = (response, blob) => {
    stored.push(new TextDecoder().decode(process.host.state));
    respond(response, blob);
  };
  await server.request(process, '/web:lib:me.os', { method: 'POST' });
  expect(stored).toEqual(['{"seen":1}']);
});

test('a folder may be of another drive, elsewhere, and for everybody', async () => {
  const vfs = new FakeVfs();
  vfs.put('lib:me.os/site/help/start.htm', '<html><head><base href="/x/"></head>help');
  vfs.put('lib:me.os/site/help/#1 100%.txt', 'odd');
  vfs.put('lib:me.os/site/secret', 'not served');
  const http = new HttpServer();
  const options = { drive: 'site', at: '/docs/', index: 'start.htm', authenticated: false };
  http.files(folder('help', options));
  const server = new FakeHttpServer();
  const process = await TestProcess.start(defineProcess({ http }), {
    our: 'alice.os@web:lib:me.os',
    peers: { 'http-server:distro:sys': server.peer, 'vfs:distro:sys': vfs.peer },
  });
  const stranger = { loggedIn: false };
  const get = async (path: string): Promise<string> =>
    (await server.request(process, `/web:lib:me.os/docs${path}`, stranger)).text;
  // A base of its own is left alone.
  expect(await get('/')).toBe('<html><head><base href="/x/"></head>help');
  expect(await get('/start.htm')).toContain('help');
  expect(await get('/%231%20100%25.txt')).toBe('odd');
  expect([...server.bindings.keys()].some((path) => path.includes('secret'))).toBe(false);
});

test('a folder that is not there ends the process, by its name', async () => {
  const http = new HttpServer();
  http.files(folder('ui'));
  const started = TestProcess.start(defineProcess({ http }), {
    our: 'alice.os@web:lib:me.os',
    peers: {
      'http-server:distro:sys': new FakeHttpServer().peer,
      'vfs:distro:sys': new FakeVfs().peer,
    },
  });
  await expect(started).rejects.toThrow('/lib:me.os/pkg/ui');
});
