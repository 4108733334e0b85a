/**
 * A process that serves everything an `HttpServer` can, for the tests of web-conformance.ts: with the fake module in memory, and as a
 * component on a node with the real one.
 */
import { contract, defineProcess, method, Refusal, sleep, stateOf, t } from '../index.ts';
import { folder } from '../http-folder.ts';
import { HttpError, HttpServer, reply, strictHeaders, wholeNumber } from '../http-server.ts';
import { drive } from '../vfs.ts';

const counter = t.record({ count: t.u32 });
type Counter = t.Decoded<typeof counter>;
const item = t.record({ text: t.text, done: t.bool });
const calls = contract({
  Add: method(t.tuple(t.u32, t.u32), t.u32),
  Refuse: method(t.text, t.unit),
});
const said = t.union({ Say: t.text, Whisper: t.text, Leave: t.unit, Fail: t.unit });
const heard = t.union({ Said: t.record({ by: t.u32, text: t.text }), There: t.u32 });

const http = new HttpServer<Counter>();

http.static('/plain.txt', 'as it is');
http.static('/open.txt', 'for everybody', { authenticated: false });
http.get('/echo/:a/:b.json', ({ method: verb, path, params, query, headers }) =>
  reply.json({ verb, path, a: params.a, b: params.b, q: query.get('q'), x: headers.get('X-Own') }),
);
http.get('/files/*rest', ({ params }) => reply.text(params.rest));
http.get('/count', (_request, process) => reply.json(process.state));
http.post('/count', (_request, process) => {
  process.state = { count: process.state.count + 1 };
  return reply.json(process.state, { status: 201, headers: { 'X-Made': 'yes' } });
});
http.delete('/count', (_request, process) => {
  process.state = { count: 0 };
  return reply.empty();
});
http.put('/items', (request) => reply.coded(item, request.json(item)));
http.post('/bytes', (request) => reply.bytes(request.bytes(), { type: 'application/x-bytes' }));
http.post('/form', (request) => reply.json(request.form().as(t.record({ name: t.text }))));
http.get('/page', ({ query }) =>
  reply.json(query.as(t.record({ page: wholeNumber, q: t.option(t.text) })).page),
);
http.get('/slow', async (_request, process) => {
  await sleep(process, 20);
  return reply.text('at last');
});
http.get('/pieces', () =>
  reply.stream(
    async (stream) => {
      await stream.write('one,');
      await stream.write(new TextEncoder().encode('two,'));
      await stream.write('three');
    },
    { type: 'text/plain', headers: { 'X-Made': 'in pieces' } },
  ),
);
http.get('/given-up', () =>
  reply.stream(async (stream) => {
    await stream.write('one,');
    throw new TypeError('no two');
  }),
);
http.get('/moved', () => reply.redirect('/elsewhere'));
http.get('/teapot', () => {
  throw new HttpError(418, 'short and stout', 'Teapot');
});
http.get('/forbidden', () => {
  throw new Refusal('Forbidden', 'not for you');
});
http.get('/broken', async () => {
  await Promise.resolve();
  throw new TypeError('a secret of the inside');
});
http.get('/unbinds', async () => {
  await http.unbind('/plain.txt');
  return reply.empty();
});
http.get('/binds', async () => {
  http.static('/late.css', 'body {}');
  await http.bind();
  return reply.empty();
});
http.contract('/call', calls, {
  Add: ([a, b]) => a + b,
  Refuse: (kind) => {
    throw new Refusal(kind, 'as you wish');
  },
});
http.files(folder('ui'));
http.files(folder('ui', { at: '/guarded', headers: strictHeaders }));

const room = http.sockets('/rooms/:room', {
  receives: said,
  sends: heard,
  onOpen: async (channel) => {
    await channel.send({ kind: 'There', value: room.channels.size });
  },
  onMessage: async (channel, message) => {
    switch (message.kind) {
      case 'Say':
        await room.broadcast({ kind: 'Said', value: { by: channel.id, text: message.value } });
        return;
      case 'Whisper': {
        const text = `${channel.params['room'] ?? ''} ${message.value}`;
        await channel.send({ kind: 'Said', value: { by: channel.id, text } });
        return;
      }
      case 'Leave':
        await channel.close();
        return;
      case 'Fail':
        throw new Error('deliberate');
    }
  },
  onClose: async (_channel, process) => {
    process.state = { count: process.state.count + 1_000 };
    await room.broadcast({ kind: 'There', value: room.channels.size });
  },
});
http.sockets('/raw', {
  onMessage: async (channel, message) => {
    await channel.send(message);
  },
});

export default defineProcess({
  state: stateOf(counter, (): Counter => ({ count: 0 })),
  setup: async (process) => {
    const files = await drive(process, 'pkg');
    await files.write('ui/index.html', '<head></head>here', { mkdirs: true });
    await files.write('ui/page.html', '<head></head>a page');
    await files.write('ui/a b.css', 'b {}');
    await files.write('ui/deep/@x.js', 'x()', { mkdirs: true });
  },
  http,
  onMessage: (context) => `not the web: ${context.text}`,
});
