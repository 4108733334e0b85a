/**
 * What web-guest.ts serves, seen from a browser. The same tests run with the fake of http-server and with the real module, so that what is
 * learnt with the fake holds on a node.
 */
import { expect, test } from 'vitest';

export interface WebAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}

export interface WebRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Default true. */
  readonly loggedIn?: boolean;
}

export interface WebSocketEnd {
  send(frame: string | Uint8Array): Promise<void>;
  /** The next frame as text; waits for it. */
  next(): Promise<string>;
  close(): Promise<void>;
  /** Resolves when the process has closed it. */
  closed(): Promise<void>;
}

export interface WebWorld extends AsyncDisposable {
  /** `path`: from the process's root on, with its query. */
  request(path: string, options?: WebRequest): Promise<WebAnswer>;
  /** Undefined when the upgrade is refused. */
  connect(path: string): Promise<WebSocketEnd | undefined>;
  /** What the process has printed for its owner. */
  prints(): readonly string[];
}

/** @param open a world in which web-guest.ts runs, afresh */
export function webConformance(open: () => Promise<WebWorld>): void {
  const page = (name: string, work: (world: WebWorld) => Promise<void>): void => {
    test(name, async () => {
      await using world = await open();
      await work(world);
    });
  };

  page('M132 M133 a handler sees method, path, parameters, query and headers', async (world) => {
    const { status, text, headers } = await world.request('/echo/x%20y/z.json?q=1&q=a+b', {
      headers: { 'X-Own': 'mine' },
    });
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(text)).toEqual({
      verb: 'GET',
      path: '/echo/x%20y/z.json',
      a: 'x y',
      b: 'z',
      q: 'a b',
      x: 'mine',
    });
    expect((await world.request('/files/a/b.c')).text).toBe('a/b.c');
  });

  page('an answer in pieces arrives whole, or not as if it were', async (world) => {
    const whole = await world.request('/pieces');
    expect([whole.status, whole.text]).toEqual([200, 'one,two,three']);
    expect(whole.headers.get('x-made')).toBe('in pieces');
    expect(whole.headers.has('x-hyperware-stream')).toBe(false);
    await expect(world.request('/given-up')).rejects.toThrow();
    expect(world.prints().join('\n')).toContain('no two');
  });

  page('M121 M127 a parameter that is no UTF-8 is the fault of who asks', async (world) => {
    expect(await world.request('/echo/%ff/z.json')).toMatchObject({ status: 400 });
  });

  page('M135 methods of a path have handlers of their own; state is theirs', async (world) => {
    const made = await world.request('/count', { method: 'POST' });
    expect(made).toMatchObject({ status: 201, text: '{"count":1}' });
    expect(made.headers.get('x-made')).toBe('yes');
    expect((await world.request('/count')).text).toBe('{"count":1}');
    expect(await world.request('/count', { method: 'DELETE' })).toMatchObject({
      status: 204,
      text: '',
    });
    expect((await world.request('/count')).text).toBe('{"count":0}');
  });

  page('other methods are refused by name, OPTIONS says which there are', async (world) => {
    const refused = await world.request('/count', { method: 'PATCH' });
    expect(refused.status).toBe(405);
    expect(refused.headers.get('allow')).toBe('GET, POST, DELETE, HEAD, OPTIONS');
    const options = await world.request('/count', { method: 'OPTIONS' });
    expect(options.status).toBe(204);
    expect(options.headers.get('allow')).toBe('GET, POST, DELETE, HEAD, OPTIONS');
  });

  page('M131 HEAD is answered as GET, without the body, static content too', async (world) => {
    const head = await world.request('/count', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers.get('content-type')).toBe('application/json');
    const fixed = await world.request('/plain.txt', { method: 'HEAD' });
    expect(fixed).toMatchObject({ status: 200, text: '' });
    expect(fixed.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect((await world.request('/plain.txt', { method: 'POST' })).status).toBe(405);
  });

  page('M130 M118 static content has the type of its ending', async (world) => {
    const plain = await world.request('/plain.txt');
    expect(plain).toMatchObject({ status: 200, text: 'as it is' });
    expect(plain.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  });

  page('M148 a path needs a session unless it says otherwise', async (world) => {
    const stranger = { loggedIn: false };
    expect((await world.request('/open.txt', stranger)).text).toBe('for everybody');
    expect((await world.request('/plain.txt', stranger)).text).not.toBe('as it is');
    expect((await world.request('/count', stranger)).text).not.toContain('count"');
  });

  page('bodies are decoded by codecs, and refused with the place that is wrong', async (world) => {
    const put = (body: string): Promise<WebAnswer> =>
      world.request('/items', { method: 'PUT', body });
    expect(await put('{"text":"ü","done":true}')).toMatchObject({
      status: 200,
      text: '{"text":"ü","done":true}',
    });
    expect(await put('{"text":"x","done":1}')).toMatchObject({
      status: 400,
      text: '{"error":{"kind":"BadRequest","message":"body done: expected bool"}}',
    });
    expect((await put('{')).status).toBe(400);
    expect((await world.request('/page?page=7')).text).toBe('7');
    expect(await world.request('/page?page=-1')).toMatchObject({ status: 400 });
    expect(
      await world.request('/form', { method: 'POST', body: 'name=a%2Bb+c&other=1' }),
    ).toMatchObject({ status: 200, text: '{"name":"a+b c"}' });
  });

  page('M132 bytes come and go unchanged', async (world) => {
    const body = Uint8Array.from({ length: 256 }, (_, index) => index);
    const answer = await world.request('/bytes', { method: 'POST', body });
    expect(answer.headers.get('content-type')).toBe('application/x-bytes');
    expect(answer.text).toBe(new TextDecoder().decode(body));
  });

  page('what a handler throws is a status; a fault is told to the owner alone', async (world) => {
    expect(await world.request('/teapot')).toMatchObject({
      status: 418,
      text: '{"error":{"kind":"Teapot","message":"short and stout"}}',
    });
    expect((await world.request('/forbidden')).status).toBe(403);
    const broken = await world.request('/broken');
    expect(broken.status).toBe(500);
    expect(broken.text).not.toContain('secret');
    expect(world.prints().join('\n')).toContain('GET /web:lib:me.os/broken: TypeError: a secret');
    expect((await world.request('/moved')).headers.get('location')).toBe('/elsewhere');
  });

  page('an answer may come later, while others are answered', async (world) => {
    const slow = world.request('/slow');
    expect((await slow).text).toBe('at last');
  });

  page('a contract is served by POST', async (world) => {
    const post = (body: string): Promise<WebAnswer> =>
      world.request('/call', { method: 'POST', body });
    expect(await post('{"Add":[2,3]}')).toMatchObject({ status: 200, text: '{"Add":5}' });
    expect(await post('{"Add":[2]}')).toMatchObject({ status: 400 });
    expect(await post('{"Nothing":1}')).toMatchObject({ status: 400 });
    expect(await post('{"Refuse":"NotFound"}')).toMatchObject({
      status: 404,
      text: '{"error":{"kind":"NotFound","message":"as you wish"}}',
    });
    expect((await post('{"Refuse":"Whatever"}')).status).toBe(400);
  });

  page('M124 paths come and go while the process runs', async (world) => {
    expect((await world.request('/unbinds')).status).toBe(204);
    expect((await world.request('/plain.txt')).text).not.toBe('as it is');
    expect((await world.request('/binds')).status).toBe(204);
    expect((await world.request('/late.css')).headers.get('content-type')).toBe(
      'text/css; charset=utf-8',
    );
  });

  page('M127 a folder is served with its index, names as browsers write them', async (world) => {
    const root = await world.request('/');
    expect(root).toMatchObject({
      status: 200,
      text: '<head><base href="/web:lib:me.os/"></head>here',
    });
    expect(root.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await world.request('/index.html')).toMatchObject({ text: root.text });
    expect((await world.request('/page.html')).text).toBe('<head></head>a page');
    expect((await world.request('/a%20b.css')).text).toBe('b {}');
    expect((await world.request('/deep/@x.js')).text).toBe('x()');
    expect((await world.request('/deep/%40x.js')).text).toBe('x()');
  });

  page('pages of a folder have the headers that are asked for', async (world) => {
    const guarded = await world.request('/guarded');
    expect(guarded.text).toBe('<head><base href="/web:lib:me.os/guarded/"></head>here');
    expect(guarded.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect((await world.request('/guarded/deep/@x.js')).text).toBe('x()');
  });

  page('M123 what is bound to nothing is the root to the module, and 404 here', async (world) => {
    const lost = await world.request('/nowhere', { method: 'POST' });
    expect(lost.status).toBe(404);
  });

  page('M174 M179 sockets: told who is there, broadcast, answered alone', async (world) => {
    const one = await world.connect('/rooms/blue');
    expect(await one?.next()).toBe('{"There":1}');
    const two = await world.connect('/rooms/red');
    expect(await two?.next()).toBe('{"There":2}');
    await one?.send('{"Say":"hällo"}');
    expect(JSON.parse((await one?.next()) ?? '')).toMatchObject({ Said: { text: 'hällo' } });
    expect(JSON.parse((await two?.next()) ?? '')).toMatchObject({ Said: { text: 'hällo' } });
    await two?.send('{"Whisper":"psst"}');
    expect(JSON.parse((await two?.next()) ?? '')).toMatchObject({ Said: { text: 'red psst' } });
    await one?.close();
    expect(await two?.next()).toBe('{"There":1}');
    expect((await world.request('/count')).text).toBe('{"count":1000}');
  });

  page('M183 a process closes a socket, and one that sends nonsense', async (world) => {
    const one = await world.connect('/rooms/blue');
    await one?.next();
    await one?.send('"Leave"');
    await one?.closed();
    const two = await world.connect('/rooms/blue');
    expect(await two?.next()).toBe('{"There":1}');
    await two?.send('{"Say":1}');
    await two?.closed();
    await expect.poll(() => world.request('/count').then(({ text }) => text)).toContain('2000');
  });

  page('a fault in a socket is told to the owner, and the socket goes on', async (world) => {
    const one = await world.connect('/rooms/blue');
    await one?.next();
    await one?.send('"Fail"');
    await one?.send('{"Whisper":"still here"}');
    expect(await one?.next()).toContain('still here');
    expect(world.prints().join('\n')).toContain('onMessage of a socket: Error: deliberate');
  });

  page('M177 sockets without codecs carry texts and bytes', async (world) => {
    const raw = await world.connect('/raw');
    await raw?.send('text');
    expect(await raw?.next()).toBe('text');
    await raw?.send(new TextEncoder().encode('bytes'));
    expect(await raw?.next()).toBe('bytes');
    expect(await world.connect('/nowhere')).toBeUndefined();
  });
}
