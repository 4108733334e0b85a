import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { httpResponse, httpServerAction } from '../../wit/http-server-api.ts';
import type { Capability } from '../../wit/types.ts';
import { FakeVfs } from '../lib/testing/fake-vfs.ts';
import type { Peer, Sent } from '../lib/testing/memory-host.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import { APPS_MAX, PICTURE_CHARS_MAX } from './homepage/apps.ts';
import process from './homepage/index.ts';
import { PAGE_POLICY } from './homepage/pages.ts';
import { REQUEST_BYTES_MAX } from './homepage/routes.ts';

const OUR = 'alice.os@homepage:homepage:sys';
const SERVER = address('alice.os@http-server:distro:sys');
const utf8 = new TextEncoder();
const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

interface Bound {
  readonly authenticated: boolean;
  readonly content: string | undefined;
  readonly mime: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly body?: unknown;
}

/** Headers of a page of this node. */
const PAGE = {
  host: 'alice.example:8080',
  origin: 'http://alice.example:8080',
  'sec-fetch-site': 'same-origin',
  'content-type': 'application/json',
};

class World {
  readonly vfs = new FakeVfs();
  readonly bound = new Map<string, Bound>();
  /** Bodies sent to the kernel. */
  readonly commands: string[] = [];
  /** What it answers; undefined for silence. */
  kernel: (command: string) => string | undefined = () => undefined;
  notifications: Peer = () => undefined;
  homepage!: TestProcess<never, never>;

  constructor() {
    const put = (path: string, text: string): void => {
      this.vfs.files.set(`homepage:sys/pkg/${path}`, utf8.encode(text));
    };
    for (const folder of ['', '/ui', '/ui/chunks']) {
      this.vfs.folders.add(`homepage:sys/pkg${folder}`);
    }
    put('hyperware.css', ':root{}');
    put('ui/index.html', '<title>Home</title>');
    put('ui/main.js', 'main()');
    put('ui/chunks/a b-1.js', 'chunk()');
    put('ui/manifest.json', '{}');
    put('ui/icon.svg', '<svg/>');
  }

  async start(state?: Uint8Array): Promise<this> {
    this.bound.clear();
    this.homepage = (await TestProcess.start(process, {
      our: OUR,
      state,
      peers: {
        'vfs:distro:sys': this.vfs.peer,
        'http-server:distro:sys': (sent) => this.#serve(sent),
        'kernel:distro:sys': ({ request }) => {
          this.commands.push(textOf(request.body));
          return this.kernel(textOf(request.body));
        },
        'notifications:distro:sys': (sent, host) => this.notifications(sent, host),
      },
    })) as never;
    return this;
  }

  #serve({ request, blob }: Sent): string {
    const action = httpServerAction.decode(request.body);
    if (!action.ok || action.value.kind !== 'Bind') return '{"Err":"MalformedRequest"}';
    const { path, authenticated, cache, local_only } = action.value.value;
    expect([cache, local_only]).toEqual([blob !== undefined, false]);
    const content = blob && textOf(blob.bytes);
    this.bound.set(path, { authenticated, content, mime: blob?.mime });
    return '{"Ok":null}';
  }

  /** A message of a process. */
  say(from: string, body: unknown, capabilities: readonly Capability[] = []): Promise<unknown> {
    const source = address(from.includes('@') ? from : `alice.os@${from}`);
    return this.homepage.ask(JSON.stringify(body), { source, capabilities });
  }

  /** A request as the HTTP server hands it on. */
  async http(path: string, ask: Ask = {}, source = SERVER): Promise<Answer> {
    const { method = 'GET', headers = {}, query = {}, body } = ask;
    const url = `http://alice.example${path}`;
    const rest = { source_socket_addr: null, bound_path: path, url_params: {} };
    const http = { Http: { method, url, headers, query_params: query, ...rest } };
    const bytes = body === undefined ? new Uint8Array() : utf8.encode(JSON.stringify(body));
    const said = await this.homepage.ask(JSON.stringify(http), {
      source,
      blob: { mime: undefined, bytes },
    });
    const answered = httpResponse.decode(said ?? '');
    if (!answered.ok) throw new Error(`no answer: ${said}`);
    return { ...answered.value, body: textOf(this.homepage.host.responses.at(-1)?.blob?.bytes) };
  }

  post(path: string, body: unknown, headers: Record<string, string> = PAGE): Promise<Answer> {
    return this.http(path, { method: 'POST', headers, body });
  }

  async apps(): Promise<Record<string, unknown>[]> {
    return JSON.parse((await this.http('/apps')).body) as Record<string, unknown>[];
  }
}

const start = (): Promise<World> => new World().start();
const add = (label: string, more: object = {}): unknown => ({
  Add: { label, icon: null, path: '/', widget: null, ...more },
});
const right = (params: string, issuer = OUR): Capability => ({ issuer: address(issuer), params });

test('P43 an app is listed under the process that added it, and adding it again replaces it', async () => {
  const world = await start();
  expect(await world.say('todo:todo:bob.os', add('To do', { path: '/ui/x', icon: 'data:,' }))).toBe(
    undefined,
  );
  const entry = {
    id: 'todo:todo:bob.os',
    process: 'todo',
    package_name: 'todo',
    publisher: 'bob.os',
    path: '/todo:todo:bob.os/ui/x',
    label: 'To do',
    base64_icon: 'data:,',
    widget: null,
    order: 1,
    favorite: false,
  };
  expect((await world.apps()).at(-1)).toEqual(entry);
  await world.say('todo:todo:bob.os', { Add: { label: 'Done', path: 'p' } });
  const listed = await world.say('other:x:sys', 'GetApps');
  expect((JSON.parse(String(listed)) as { GetApps: unknown[] }).GetApps).toEqual([
    expect.objectContaining({ id: 'homepage:homepage:sys', label: 'Clock', path: null, order: 0 }),
    { ...entry, label: 'Done', path: '/todo:todo:bob.os/p', base64_icon: null },
  ]);
  await world.say('todo:todo:bob.os', 'Remove');
  expect(await world.apps()).toHaveLength(1);
  expect(await world.say('x:y:sys', 'GetPushSubscription')).toBe('{"PushSubscription":null}');
});

test('P43 an app without a path has none; only the app store and the settings begin as favourites', async () => {
  const world = await start();
  await world.say('main:app-store:sys', add('App Store'));
  await world.say('settings:settings:sys', add('Settings', { path: null }));
  expect(await world.apps()).toMatchObject([
    { id: 'homepage:homepage:sys', favorite: false },
    { id: 'main:app-store:sys', favorite: true },
    { id: 'settings:settings:sys', path: null, favorite: true },
  ]);
});

test('P20 P45 RemoveOther removes only with the capability of this process attached', async () => {
  const world = await start();
  await world.say('todo:todo:bob.os', add('To do'));
  const remove = { RemoveOther: 'todo:todo:bob.os' };
  await world.say('x:y:sys', remove);
  await world.say('x:y:sys', remove, [right('"SetStylesheet"')]);
  await world.say('x:y:sys', remove, [right('"RemoveOther"', 'alice.os@x:y:sys')]);
  await world.say('x:y:sys', remove, [right('"RemoveOther"', `bob.os@homepage:homepage:sys`)]);
  expect(await world.apps()).toHaveLength(2);
  await world.say('x:y:sys', { RemoveOther: 'no id' }, [right('"RemoveOther"')]);
  await world.say('x:y:sys', remove, [right(' "RemoveOther" ')]);
  expect(await world.apps()).toHaveLength(1);
});

test('P44 entries vanish with a restart, their order and favourites are remembered', async () => {
  const world = await start();
  await world.say('a:a:sys', add('A'));
  await world.say('b:b:sys', add('B'));
  const order = [
    ['b:b:sys', 0],
    ['a:a:sys', 1],
    ['homepage:homepage:sys', 2],
  ];
  expect(await world.post('/order', order)).toMatchObject({ status: 200 });
  expect(await world.post('/favorite', ['a:a:sys', true])).toMatchObject({ status: 200 });
  const labels = async (): Promise<unknown[]> => (await world.apps()).map(({ label }) => label);
  expect(await labels()).toEqual(['B', 'A', 'Clock']);
  await world.start(world.homepage.host.state);
  expect(await labels()).toEqual(['Clock']);
  await world.say('a:a:sys', add('A'));
  await world.say('b:b:sys', add('B'));
  expect(await labels()).toEqual(['B', 'A', 'Clock']);
  expect((await world.apps())[1]).toMatchObject({ label: 'A', order: 1, favorite: true });
});

test('P46 /version is 425 until four apps and three widgets have registered', async () => {
  const world = await start();
  const version = async (): Promise<number> => (await world.http('/version')).status;
  await world.say('a:a:sys', add('A', { widget: '<b>' }));
  await world.say('b:b:sys', add('B', { widget: '/b' }));
  expect(await version()).toBe(425);
  await world.say('c:c:sys', add('C'));
  expect(await world.http('/version')).toMatchObject({ status: 200, body: '1.0.0' });
  await world.say('b:b:sys', add('B'));
  expect(await version()).toBe(425);
});

test('P47 what tells who we are is open, what shows and does things is not', async () => {
  const { bound } = await start();
  const open = (path: string, content: string, mime: string): void =>
    expect(bound.get(path), path).toEqual({ authenticated: false, content, mime });
  open('/our', 'alice.os', 'text/plain');
  open('/our.js', "window.our = {}; window.our.node = 'alice.os';", 'text/javascript');
  open('/amionline', 'yes', 'text/plain');
  open('/hyperware.css', ':root{}', 'text/css; charset=utf-8');
  open('/manifest.json', '{}', 'application/manifest+json');
  for (const path of ['/icon.svg', '/hyperware.svg', '/Logo%20Iris.svg', '/Logomark%20Iris.svg']) {
    open(path, '<svg/>', 'image/svg+xml');
  }
  for (const path of ['/', '/processes', '/logs', '/apps', '/order', '/favorite', '/version']) {
    expect(bound.get(path), path).toMatchObject({ authenticated: true, content: undefined });
  }
  const scripts = [...bound].filter(([path]) => path.endsWith('.js') && path !== '/our.js');
  expect(scripts).toEqual([
    ['/chunks/a%20b-1.js', expect.objectContaining({ authenticated: true, content: 'chunk()' })],
    ['/main.js', expect.objectContaining({ authenticated: true, content: 'main()' })],
  ]);
  const dynamic = [...bound].filter(([, { content }]) => content === undefined);
  expect(dynamic.every(([, { authenticated }]) => authenticated)).toBe(true);
  expect([...bound.keys()].filter((path) => /woff/.test(path))).toEqual([]);
});

test('pages come with a policy that runs nothing but files of the node, and cannot be framed', async () => {
  const world = await start();
  for (const path of ['/', '/processes/', '/logs']) {
    const { status, headers, body } = await world.http(path);
    expect([status, body]).toEqual([200, '<title>Home</title>']);
    expect(headers.get('Content-Security-Policy')).toBe(PAGE_POLICY);
  }
  expect(PAGE_POLICY).toMatch(/^default-src 'self';/);
  expect(PAGE_POLICY).toContain("frame-ancestors 'none'");
  expect(PAGE_POLICY).not.toMatch(/unsafe/);
  expect(await world.http('/', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
  expect(await world.http('/main.js', { method: 'HEAD' })).toMatchObject({ status: 200 });
  expect(await world.http('/main.js', { method: 'PUT' })).toMatchObject({ status: 405 });
  expect(await world.http('/nowhere')).toMatchObject({ status: 404 });
  const refused = await world.http('/apps', { method: 'DELETE' });
  expect([refused.status, refused.headers.get('Allow')]).toEqual([405, 'GET']);
});

test('a widget that is HTML is served in a sandbox without a network; others are addresses', async () => {
  const world = await start();
  await world.say('a:a:sys', add('A', { widget: '<b>hi</b><script>1</script>' }));
  await world.say('b:b:sys', add('B', { widget: '/b:b:sys/widget' }));
  await world.say('c:c:sys', add('C', { widget: ' <!DOCTYPE html><p>whole' }));
  const widget = (id: string, theme?: string): Promise<Answer> =>
    world.http('/widget', { query: theme === undefined ? { id } : { id, theme } });
  const { body, headers } = await widget('a:a:sys', 'dark');
  expect(body).toMatch(/^<!doctype html><html data-theme="dark">.*<b>hi<\/b><script>1<\/script>/);
  const policy = headers.get('Content-Security-Policy') ?? '';
  expect(policy).toMatch(/sandbox allow-scripts .*default-src 'none'/);
  expect(policy).not.toMatch(/allow-same-origin|connect-src/);
  expect((await widget('a:a:sys', '"><script>')).body).toContain('<html><head>');
  expect((await widget('c:c:sys')).body).toBe(' <!DOCTYPE html><p>whole');
  expect((await widget('b:b:sys')).status).toBe(404);
  expect((await widget('nobody:x:sys')).status).toBe(404);
});

test('a stylesheet is set by who holds the right to, and outlives restarts', async () => {
  const world = await start();
  const css = (): string | undefined => world.bound.get('/hyperware.css')?.content;
  await world.say('x:y:sys', { SetStylesheet: 'b{}' });
  expect(css()).toBe(':root{}');
  await world.say('settings:settings:sys', { SetStylesheet: 'b{}' }, [right('"SetStylesheet"')]);
  expect(css()).toBe('b{}');
  await world.start();
  expect(css()).toBe('b{}');
  await world.say('settings:settings:sys', { SetStylesheet: '' }, [right('"SetStylesheet"')]);
  expect(css()).toBe(':root{}');
});

test('F21 changes are asked for by pages of this node, as JSON, and by the HTTP server alone', async () => {
  const world = await start();
  await world.say('a:a:sys', add('A'));
  const favorite = (headers: Record<string, string>): Promise<number> =>
    world.post('/favorite', ['a:a:sys', true], headers).then(({ status }) => status);
  expect(await favorite({ ...PAGE, 'sec-fetch-site': 'cross-site' })).toBe(403);
  expect(await favorite({ ...PAGE, 'sec-fetch-site': 'same-site' })).toBe(403);
  const { 'sec-fetch-site': _, ...older } = PAGE;
  expect(await favorite({ ...older, origin: 'http://evil.example' })).toBe(403);
  expect(await favorite({ ...older, origin: 'null' })).toBe(403);
  expect(await favorite({ ...PAGE, 'content-type': 'text/plain' })).toBe(415);
  expect((await world.apps())[1]).toMatchObject({ favorite: false });
  const http = { Http: { method: 'GET', url: 'http://h/apps', headers: {} } };
  await expect(world.say('a:a:sys', http)).rejects.toMatchObject({ kind: 'BadRequest' });
  await expect(world.say('evil.os@http-server:distro:sys', http)).rejects.toThrow('this node');
  expect(await favorite(older)).toBe(200);
  expect(await favorite({ 'content-type': 'application/json; charset=utf-8' })).toBe(200);
  expect((await world.apps())[1]).toMatchObject({ favorite: true });
});

test('what is too long, too much or no JSON of ours is refused', async () => {
  const world = await start();
  const most = 'x'.repeat(PICTURE_CHARS_MAX);
  await world.say('a:a:sys', add('A'.repeat(200), { icon: most }));
  expect((await world.apps())[1]).toMatchObject({ label: 'A'.repeat(100) });
  const refusal = { kind: 'TooLong' };
  await expect(world.say('a:a:sys', add('A', { icon: `${most}x` }))).rejects.toMatchObject(refusal);
  await expect(world.say('a:a:sys', add('A', { widget: `${most}x` }))).rejects.toThrow('widget');
  await expect(world.say('a:a:sys', { Add: { path: '/' } })).rejects.toThrow('Add.label');
  await expect(world.say('bob.os@a:a:sys', add('A'))).rejects.toThrow('processes of this node');
  expect(await world.post('/order', { a: 1 })).toMatchObject({ status: 400 });
  expect(await world.post('/order', [['a:a:sys', -1]])).toMatchObject({ status: 400 });
  expect(await world.post('/favorite', ['a:a:sys'])).toMatchObject({ status: 400 });
  const longest = 'x'.repeat(REQUEST_BYTES_MAX - 2);
  expect(await world.post('/favorite', longest)).toMatchObject({ status: 400 });
  expect(await world.post('/favorite', `${longest}x`)).toMatchObject({ status: 413 });
});

test('no more than a number of apps registers, and the order does not grow with names that are none', async () => {
  const world = await start();
  for (let n = 1; n < APPS_MAX; n++) await world.say(`a${n}:a:sys`, add('A'));
  await expect(world.say('late:a:sys', add('A'))).rejects.toMatchObject({ kind: 'TooMany' });
  await world.say('a1:a:sys', add('again'));
  const pairs = Array.from({ length: 3 * APPS_MAX }, (_, n) => [`n${n}:x:sys`, n]);
  await world.post('/order', pairs);
  const stored = JSON.parse(textOf(world.homepage.host.state)) as { order: object };
  expect(Object.keys(stored.order)).toHaveLength(2 * APPS_MAX);
});

test('usage, descriptions and logs are what the kernel says', async () => {
  const world = await start();
  world.kernel = (command) => `{"said":${command}}`;
  const body = async (path: string, query: Record<string, string> = {}): Promise<unknown> =>
    (JSON.parse((await world.http(path, { query })).body) as { said: unknown }).said;
  expect(await body('/api/processes')).toEqual({ Debug: 'Usage' });
  expect(await body('/api/process', { id: 'a:b:sys' })).toEqual({ Debug: { Process: 'a:b:sys' } });
  expect(await body('/api/logs')).toEqual({ Debug: { Logs: { after: 0, limit: 1000 } } });
  const some = await body('/api/logs', { after: '7', limit: '9999999' });
  expect(some).toEqual({ Debug: { Logs: { after: 7, limit: 1000 } } });
  for (const query of [{ after: '-1' }, { limit: '1.5' }, { after: 'x' }] as never[]) {
    expect(await world.http('/api/logs', { query })).toMatchObject({ status: 400 });
  }
  expect(await world.http('/api/process', { query: { id: 'nonsense' } })).toMatchObject({
    status: 400,
  });
});

test('processes are killed and restarted; the node itself, and who does not run, are not', async () => {
  const world = await start();
  world.kernel = (command) =>
    command === '{"Debug":{"Process":"gone:x:sys"}}'
      ? '{"Debug":{"Process":null}}'
      : command === '{"RestartProcess":"gone:x:sys"}'
        ? '{"RestartProcessError":"gone:x:sys is no process"}'
        : command.replace('KillProcess', 'KilledProcess');
  expect(await world.post('/api/kill', { id: 'a:b:sys' })).toMatchObject({
    status: 200,
    body: '{"killed":"a:b:sys"}',
  });
  expect(world.commands).toEqual(['{"Debug":{"Process":"a:b:sys"}}', '{"KillProcess":"a:b:sys"}']);
  expect(await world.post('/api/kill', { id: 'gone:x:sys' })).toMatchObject({ status: 404 });
  expect(await world.post('/api/kill', { id: 'vfs:distro:sys' })).toMatchObject({ status: 409 });
  expect(await world.post('/api/kill', { id: OUR.slice(9) })).toMatchObject({ status: 409 });
  expect(await world.post('/api/kill', { id: 'x' })).toMatchObject({ status: 400 });
  expect(await world.http('/api/kill')).toMatchObject({ status: 405 });
  expect(await world.post('/api/restart', { id: 'a:b:sys' })).toMatchObject({ status: 200 });
  expect(await world.post('/api/restart', { id: 'gone:x:sys' })).toMatchObject({
    status: 409,
    body: '{"error":"gone:x:sys is no process"}',
  });
  expect(await world.post('/api/restart', { id: OUR.slice(9) })).toMatchObject({ status: 202 });
  expect(world.commands.at(-1)).toBe('{"RestartProcess":"homepage:homepage:sys"}');
});

test('a silent kernel is said to be silent', async () => {
  const world = await start();
  const asked = world.homepage.host.arrive({
    source: SERVER,
    expectsResponse: 15,
    body: utf8.encode(
      JSON.stringify({
        Http: {
          source_socket_addr: null,
          method: 'GET',
          url: 'http://h/api/processes',
          bound_path: '/api/processes',
          headers: {},
          url_params: {},
          query_params: {},
        },
      }),
    ),
  });
  await world.homepage.run();
  expect(world.homepage.answerTo(asked)).toBeUndefined();
  world.homepage.host.advance(5);
  await world.homepage.run();
  expect(world.homepage.answerTo(asked)).toContain('"status":503');
  const { blob } = world.homepage.host.responses.at(-1) ?? {};
  expect(textOf(blob?.bytes)).toBe('{"error":"kernel:distro:sys does not answer"}');
});

test('notifications go through to their module, and a node without it says so', async () => {
  const world = await start();
  const asked: string[] = [];
  const subscription = { endpoint: 'https://p', keys: { p256dh: 'k', auth: 'a' }, created_at: 5 };
  world.notifications = ({ request }) => {
    const body = textOf(request.body);
    asked.push(body);
    if (body === '"GetPublicKey"') return '{"PublicKey":"BKey"}';
    if (body.startsWith('{"GetSubscription"')) return '{"SubscriptionInfo":null}';
    if (body === '"ClearSubscriptions"') return '{"Err":"KeysNotInitialized"}';
    return body.includes('Remove') ? '"SubscriptionRemoved"' : '"SubscriptionAdded"';
  };
  const at = (name: string): string => `/api/notifications/${name}`;
  expect(await world.http(at('vapid-key'))).toMatchObject({
    status: 200,
    body: '{"publicKey":"BKey"}',
  });
  expect(JSON.parse((await world.http(at('test-vapid'))).body)).toMatchObject({ keyLength: 4 });
  expect(await world.post(at('subscribe'), subscription)).toMatchObject({
    body: '{"success":true}',
  });
  expect(asked.at(-1)).toBe(JSON.stringify({ AddSubscription: { subscription } }));
  const { endpoint } = subscription;
  expect(await world.post(at('unsubscribe'), { endpoint })).toMatchObject({ status: 200 });
  expect(await world.post(at('subscription-info'), { endpoint })).toMatchObject({ body: 'null' });
  expect(await world.post(at('unsubscribe-all'), {})).toMatchObject({
    status: 500,
    body: '{"error":"\\"KeysNotInitialized\\""}',
  });
  expect(await world.post(at('subscribe'), {})).toMatchObject({ status: 500 });
  world.notifications = () => undefined;
  const silent = world.http(at('vapid-key'));
  await expect(silent).rejects.toThrow('no answer');
  world.homepage.host.advance(3);
  await world.homepage.run();
  const { blob } = world.homepage.host.responses.at(-1) ?? {};
  expect(textOf(blob?.bytes)).toBe('{"error":"this node does not send notifications"}');
});

test('a server that does not bind ends the process, which its on-exit rule starts again', async () => {
  const vfs = new World().vfs;
  const peers = { 'vfs:distro:sys': vfs.peer, 'http-server:distro:sys': () => '{"Err":"NoBlob"}' };
  await expect(TestProcess.start(process, { our: OUR, peers })).rejects.toThrow(/does not bind/);
});
