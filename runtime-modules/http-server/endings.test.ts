/** Processes that end, are full or late, and clients that leave: what becomes of requests and of what they held (runtime-modules.md H15). */
import { afterEach, describe, expect, test } from 'vitest';
import { bytesOf } from '../../kernel/testing.ts';
import { MAILBOX_MESSAGES_MAX } from '../../kernel/limits.ts';
import { answer, bind, bindStatic, echo, WebNode } from './testing.ts';

const APP = 'app:pkg:me.os';
const AT = `/${APP}`;

let web: WebNode;
afterEach(async () => {
  await web[Symbol.asyncDispose]();
});

describe('processes that end, are full, or are late', () => {
  test('H15 bindings go with a process that ends or is killed', async () => {
    web = await WebNode.start();
    await web.app(
      APP,
      [bind('/'), bindStatic('/s', 'x'), bind('/:p'), { Unbind: { path: '/u' } }],
      echo,
    );
    await web.app('other:pkg:me.os', [bindStatic('/', 'stays')]);
    expect((await web.get(AT)).status).toBe(200);
    await web.kill(APP);
    for (const path of ['', '/s', '/p', '/u'])
      expect((await web.get(`${AT}${path}`)).status).toBe(404);
    expect((await web.get('/other:pkg:me.os')).text).toBe('stays');
    await web.node.start(
      'short:pkg:me.os',
      async (guest) => {
        await guest.sendAndAwait('our@http-server:distro:sys', {
          body: bytesOf(JSON.stringify(bind('/'))),
        });
      },
      { public: true, holds: ['http-server:distro:sys'] },
    );
    await expect.poll(async () => (await web.get('/short:pkg:me.os')).status).toBe(404);
  });

  test('H15 they outlive a restart; while the process is down the answer is 503', async () => {
    web = await WebNode.start();
    let starts = 0;
    const fall = Promise.withResolvers<void>();
    await web.node.start(
      APP,
      async (guest) => {
        if (starts++ > 0) {
          await guest.request();
          return guest.respond(
            JSON.stringify({ status: 200, headers: {} }),
            {},
            { mime: undefined, bytes: bytesOf('again') },
          );
        }
        await guest.sendAndAwait('our@http-server:distro:sys', {
          body: bytesOf(JSON.stringify(bind('/'))),
        });
        await fall.promise;
        throw new Error('fell');
      },
      { public: true, holds: ['http-server:distro:sys'], onExit: { kind: 'restart' } },
    );
    await expect.poll(async () => starts).toBe(1);
    const caught = web.get(AT);
    await web.forwarded(1);
    fall.resolve();
    const dead = await caught;
    expect([dead.status, dead.text]).toEqual([503, `${APP} is not running`]);
    await web.node.clock.advance(60_000);
    expect((await web.get(AT)).text).toBe('again');
  });

  test('a process that is killed in the middle of an answer: 503 at once', async () => {
    web = await WebNode.start();
    await web.app(APP, [bind('/')], () => undefined);
    const got = web.get(AT);
    await web.forwarded(1);
    await web.kill(APP);
    expect([(await got).status, (await got).text]).toEqual([503, `${APP} is not running`]);
  });

  test('a full mailbox is 503 at once, and says when to try again', async () => {
    web = await WebNode.start();
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bind('/')], async () => {
      await release.promise;
      return answer(200);
    });
    const first = web.get(AT);
    await web.forwarded(1);
    const port = web.node.kernel.port('http-server');
    for (let sent = 0; sent < MAILBOX_MESSAGES_MAX; sent++)
      port.send({
        target: web.node.address(APP),
        rsvp: undefined,
        message: {
          kind: 'request',
          request: {
            inherit: false,
            expectsResponse: undefined,
            body: bytesOf('{"WebSocketClose":1}'),
            metadata: undefined,
            capabilities: [],
          },
        },
        blob: undefined,
      });
    const full = await web.get(AT);
    expect([full.status, full.headers['retry-after'], full.text]).toEqual([
      503,
      '1',
      `${APP} has too many requests waiting`,
    ]);
    release.resolve();
    expect((await first).status).toBe(200);
  });

  test('a client that leaves while its request waits takes everything with it', async () => {
    web = await WebNode.start();
    const answered: string[] = [];
    const release = Promise.withResolvers<void>();
    await web.app(APP, [bind('/')], async ({ query_params: query }) => {
      answered.push(query['n'] ?? '');
      await release.promise;
      return answer(200, {}, 'late');
    });
    const socket = await web.connect();
    // The second waits behind the first: Node tells only the first that its client has gone.
    socket.write(
      `POST ${AT}?n=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET ${AT}?n=2 HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    await web.forwarded(2);
    socket.destroy();
    await expect.poll(() => web.web.waiting).toBe(0);
    release.resolve();
    expect((await web.get(`${AT}?n=3`)).text).toBe('late');
    expect(answered.toSorted()).toEqual(['1', '2', '3']);
  });

  test('a client that leaves in the middle of its body leaves nothing', async () => {
    web = await WebNode.start({ bodiesBytesMax: 1000 });
    await web.app(APP, [bind('/')], echo);
    for (let round = 0; round < 3; round++) {
      const socket = await web.connect();
      socket.write(
        `POST ${AT} HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n${'x'.repeat(800)}`,
      );
      await expect.poll(() => web.web.heldBytes).toBe(800);
      socket.destroy();
      await expect.poll(() => web.web.heldBytes).toBe(0);
    }
    expect((await web.get(AT, { method: 'POST', body: 'x'.repeat(900) })).status).toBe(200);
  });
});
