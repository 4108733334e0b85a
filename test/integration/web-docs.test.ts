/** docs/web.md: every snippet is a file of docs/tour/web, which is type-checked like everything else and run here. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import access from '../../docs/tour/web/access.ts';
import calls from '../../docs/tour/web/calls.ts';
import { join as joinRoom } from '../../docs/tour/web/chat-page.ts';
import chatRoom from '../../docs/tour/web/chat-room.ts';
import doorbell from '../../docs/tour/web/doorbell.ts';
import notes from '../../docs/tour/web/notes.ts';
import ticker from '../../docs/tour/web/ticker.ts';
import tile from '../../docs/tour/web/tile.ts';
import weather from '../../docs/tour/web/weather.ts';
import { buildComponent } from '../../kit/build/component.ts';
import type { ProcessModule } from '../../processes/lib/process.ts';
import { FakeHttpClient } from '../../processes/lib/testing/fake-http-client.ts';
import { FakeHttpServer, type FakeRequest } from '../../processes/lib/testing/fake-http-server.ts';
import { fakeTimer } from '../../processes/lib/testing/fake-timer.ts';
import { FakeVfs } from '../../processes/lib/testing/fake-vfs.ts';
import { TestProcess } from '../../processes/lib/testing/test-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tour = join(root, 'docs', 'tour', 'web');
const text = await readFile(join(root, 'docs', 'web.md'), 'utf8');

function blocks(language: string): string[] {
  return Array.from(
    text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms')),
    (match) => match[1] ?? '',
  );
}

test('every snippet is a file of the tour, and every file is shown', async () => {
  const files = await Promise.all(
    (await readdir(tour)).map((name) => readFile(join(tour, name), 'utf8')),
  );
  expect(blocks('ts').toSorted()).toEqual(files.toSorted());
});

test('a process that is shown becomes a component', async () => {
  const component = await buildComponent(join(tour, 'chat-room.ts'));
  expect(component.length).toBeGreaterThan(100_000);
});

test('the manifest is one', () => {
  const [entry] = JSON.parse(blocks('json').join()) as Record<string, unknown>[];
  expect(entry).toMatchObject({
    request_capabilities: ['http-server:distro:sys'],
    grant_capabilities: ['http-server:distro:sys'],
  });
});

test('the commands work as printed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hyperloom-web-'));
  try {
    const lines = blocks('console').join('').trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    for (let at = 0; at < lines.length; at += 2) {
      const args = lines[at]!.replace('$ npm run kit -- ', '').split(' ');
      const kit = [join(root, 'bin', 'kit.mjs'), ...args];
      const { stdout } = await promisify(execFile)(process.execPath, kit, { cwd: folder });
      expect(stdout).toContain(lines[at + 1]!.replaceAll('...', '').trim());
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('every file that the page names is there', async () => {
  const named = Array.from(
    text.matchAll(/`((?:processes|docs|test)\/[\w./-]+)`/g),
    (match) => match[1] ?? '',
  );
  expect(named.length).toBeGreaterThan(3);
  const found = await Promise.all(
    named.map((path) =>
      promisify(execFile)('ls', ['-d', path], { cwd: root }).then(
        () => '',
        () => path,
      ),
    ),
  );
  expect(found.filter((path) => path !== '')).toEqual([]);
});

// ---- what they do

// A test by itself.
await import('../../docs/tour/web/hello-test.ts');

const OUR = '/web:tour:me.os';

class World {
  readonly server = new FakeHttpServer();
  readonly client: FakeHttpClient;
  readonly vfs = new FakeVfs();
  /** What the homepage was told. */
  readonly tiles: string[] = [];
  process!: TestProcess<never, never>;

  constructor(client = new FakeHttpClient()) {
    this.client = client;
    this.vfs.put('tour:me.os/pkg/ui/index.html', '<head></head>');
  }

  async start(module: unknown): Promise<this> {
    // Proof of the type: each of them is what `defineProcess` returned.
    this.process = await TestProcess.start(module as ProcessModule<never, never>, {
      our: `alice.os@${OUR.slice(1)}`,
      peers: {
        'http-server:distro:sys': this.server.peer,
        'http-client:distro:sys': this.client.peer,
        'vfs:distro:sys': this.vfs.peer,
        'timer:distro:sys': fakeTimer(),
        'homepage:homepage:sys': ({ request }) =>
          void this.tiles.push(new TextDecoder().decode(request.body)),
      },
    });
    return this;
  }

  async get(path: string, options?: FakeRequest): Promise<string> {
    const { status, text: body } = await this.server.request(this.process, OUR + path, options);
    return `${status} ${body}`;
  }
}

test('who may ask', async () => {
  const world = await new World().start(access);
  expect(await world.get('/greet?name=<b>')).toBe('200 <p>Hello, &lt;b&gt;!</p>');
  expect(await world.get('/robots.txt', { loggedIn: false })).toContain('Disallow');
  const { bindings } = world.server;
  expect(bindings.get(`${OUR}/backup`)).toMatchObject({ authenticated: true, localOnly: true });
  expect(bindings.get(`${OUR}/everything`)).toMatchObject({ secure: true });
});

test('bodies, queries, answers, errors', async () => {
  const world = await new World().start(notes);
  const post = { method: 'POST', body: '{"title":"tea","done":false}' };
  expect(await world.get('/notes', post)).toBe('201 {"id":0}');
  expect(await world.get('/notes/0.json')).toBe('200 {"title":"tea","done":false}');
  expect(await world.get('/notes/7.json')).toContain('404');
  expect(await world.get('/notes?first=0')).toBe('200 []');
  expect(await world.get('/notes?first=x')).toContain('400');
  expect(await world.get('/notes', { ...post, body: '{"title":"tea"}' })).toContain('body done');
});

test('a contract over HTTP, and between processes', async () => {
  const world = await new World().start(calls);
  const post = (body: string): Promise<string> => world.get('/sums', { method: 'POST', body });
  expect(await post('{"Add":[1,2]}')).toBe('200 {"Add":3.0}');
  expect(await post('{"Divide":[1,0]}')).toContain('400');
  expect(await world.process.ask('{"Add":[1,2]}')).toBe('{"Add":3.0}');
});

test('pages, and sockets they hold open', async () => {
  const world = await new World().start(chatRoom);
  const { server, process: room } = world;
  expect(await world.get('/')).toContain('<base href="/web:tour:me.os/">');
  const blue = await server.connect(room, `${OUR}/rooms/blue`);
  const red = await server.connect(room, `${OUR}/rooms/red`);
  expect([blue?.next(), blue?.next(), red?.next()]).toEqual([
    '{"Present":1}',
    '{"Present":2}',
    '{"Present":2}',
  ]);
  await blue?.send('{"text":"hello"}');
  expect(blue?.next()).toBe('{"Said":{"by":1,"text":"hello"}}');
  expect(red?.next()).toBeUndefined();
});

test("the page's end of a socket", () => {
  class FakeWebSocket extends EventTarget {
    static readonly made: FakeWebSocket[] = [];
    readonly sent: string[] = [];
    readonly url: string;
    constructor(url: URL) {
      super();
      this.url = url.href;
      FakeWebSocket.made.push(this);
    }
    send(frame: string): void {
      this.sent.push(frame);
    }
  }
  vi.stubGlobal('WebSocket', FakeWebSocket);
  vi.stubGlobal('document', { baseURI: 'https://node.example/web:tour:me.os/' });
  vi.useFakeTimers();
  const shown: string[] = [];
  const say = joinRoom('a b', (frame) => shown.push(frame));
  const [first] = FakeWebSocket.made;
  expect(first?.url).toBe('wss://node.example/web:tour:me.os/rooms/a%20b');
  first?.dispatchEvent(Object.assign(new Event('message'), { data: 'x' }));
  first?.dispatchEvent(new Event('close'));
  vi.advanceTimersByTime(1_000);
  say('hello');
  expect(shown).toEqual(['x']);
  expect(FakeWebSocket.made[1]?.sent).toEqual(['{"text":"hello"}']);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('answers that come later', async () => {
  const world = await new World().start(doorbell);
  const ring = world.get('/ring');
  expect(await world.get('/ring', { method: 'POST' })).toBe('204 ');
  expect(await ring).toBe('200 ding dong');
});

test('other servers', async () => {
  let body = '{"degrees":21.5}';
  const client = new FakeHttpClient(({ url }) =>
    url.endsWith('/a%20b') ? { body } : { kind: 'ExecuteRequestFailed', value: 'no route' },
  );
  const world = await new World(client).start(weather);
  expect(await world.get('/weather/a%20b')).toBe('200 {"degrees":21.5}');
  expect(await world.get('/weather/else')).toContain('no forecast: ExecuteRequestFailed');
  body = 'nonsense';
  expect(await world.get('/weather/a%20b')).toContain('502');
});

test('a socket to another server is opened again when it has closed', async () => {
  const world = await new World().start(ticker);
  const { client, process: follower } = world;
  const [remote] = client.sockets.values();
  remote?.send('{"symbol":"TEA","cents":250}');
  await follower.run();
  expect(follower.host.prints.at(-1)?.text).toBe('TEA: 250');
  remote?.close();
  await follower.run();
  expect(client.sockets.size).toBe(0);
  follower.host.advance(5);
  await follower.run();
  expect(client.sockets.size).toBe(1);
});

test('a tile on the homepage', async () => {
  const { tiles } = await new World().start(tile);
  expect(JSON.parse(tiles[0] ?? '')).toMatchObject({ Add: { label: 'Chat', path: '/' } });
});
