/** What only shows with a real kernel around the modules: who may call, where answers go, who is quicker than a timeout. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bytesOf, TestNode, textOf, type GuestApi } from '../../kernel/testing.ts';
import { state } from '../state/index.ts';
import { timer } from '../timer/index.ts';
import { vfs } from '../vfs/index.ts';

let home: string;
let node: TestNode;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'modules-'));
  node = new TestNode();
  const { kernel, clock, store } = node;
  kernel.registerModule(timer()({ clock, port: kernel.port('timer') }));
  kernel.registerModule(state()({ store, port: kernel.port('state') }));
  kernel.registerModule(vfs({ root: join(home, 'vfs') })({ port: kernel.port('vfs') }));
  await kernel.boot([]);
});
afterEach(async () => {
  await node.kernel.shutdown();
  await rm(home, { recursive: true, force: true });
});

/** The body of the response, or the kind of the send error. */
async function ask(
  guest: GuestApi,
  target: string,
  body: string,
  seconds = 5,
  blob?: string,
): Promise<string> {
  const awaited = await guest.sendAndAwait(
    `our@${target}`,
    { body: bytesOf(body), expectsResponse: seconds },
    blob === undefined ? undefined : { mime: undefined, bytes: bytesOf(blob) },
  );
  if (!awaited.ok) return awaited.error.kind;
  const { message } = awaited.value;
  return message.kind === 'response' ? textOf(message.response.body) : 'a request';
}

/** Runs a guest to its end and returns what it returned. */
async function run<T>(
  options: { holds?: string[]; public?: boolean },
  code: (guest: GuestApi) => Promise<T>,
): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  await node.start('app:p:q', async (guest) => resolve(await code(guest)), options);
  return promise;
}

test('M111 a timer 1 ms below its timeout never times out, in 1000 tries', async () => {
  const results: string[] = [];
  const ended = run({ public: true }, async (guest) => {
    for (let n = 0; n < 1000; n += 1) {
      const ms = (n % 5) * 1000 + 999;
      const body = JSON.stringify({ SetTimer: ms });
      results.push(await ask(guest, 'timer:distro:sys', body, Math.floor(ms / 1000) + 1));
    }
  });
  for (let n = 0; n < 1000; n += 1) await node.clock.advance((n % 5) * 1000 + 999);
  await ended;
  expect(results.filter((each) => each !== '')).toEqual([]);
  expect(results).toHaveLength(1000);
});

test('M113 M4 anybody may call timer, but without granting it messaging gets no reply', async () => {
  const result = run({}, (guest) => ask(guest, 'timer:distro:sys', '{"SetTimer":0}', 2));
  await node.clock.advance(3000);
  expect(await result).toBe('timeout');
});

test('M112 timers with contexts come back with them, in order of time', async () => {
  const seen: string[] = [];
  const ended = run({ public: true }, async (guest) => {
    const request = (ms: number) => ({ body: bytesOf(`{"SetTimer":${ms}}`), expectsResponse: 60 });
    for (const ms of [300, 100, 100])
      await guest.send('our@timer:distro:sys', request(ms), { context: bytesOf(String(ms)) });
    for (let n = 0; n < 3; n += 1) {
      const delivery = await guest.receive();
      if (delivery.kind === 'message' && delivery.message.kind === 'response')
        seen.push(textOf(delivery.message.context ?? new Uint8Array()));
    }
  });
  await node.clock.advance(400);
  await ended;
  expect(seen).toEqual(['100', '100', '300']);
});

test('M117 a killed requester hears nothing and leaves nothing behind', async () => {
  const ended = node.start(
    'app:p:q',
    async (guest) => {
      await guest.send('our@timer:distro:sys', {
        body: bytesOf('{"SetTimer":1000}'),
        expectsResponse: 5,
      });
    },
    { public: true },
  );
  await ended;
  await node.clock.advance(5000);
  expect(node.sink.at(0)).toEqual([]);
});

test('M5 M19 vfs answers whom it was granted nothing by, and CreateDrive grants are held at once', async () => {
  const result = await run({ holds: ['vfs:distro:sys'] }, async (guest) => {
    const drive = await ask(guest, 'vfs:distro:sys', '{"path":"/p:q/d","action":"CreateDrive"}');
    const held = (await guest.host.ourCapabilities()).map(({ params }) => params);
    const write = await ask(
      guest,
      'vfs:distro:sys',
      '{"path":"/p:q/d/f","action":"Write"}',
      5,
      'x',
    );
    const blob = guest.host.getBlob();
    const read = await ask(guest, 'vfs:distro:sys', '{"path":"/p:q/d/f","action":"Read"}');
    const content = guest.host.getBlob();
    return [
      drive,
      held,
      write,
      blob,
      read,
      textOf(content?.bytes ?? new Uint8Array()),
      content?.mime,
    ];
  });
  expect(result).toEqual([
    '"Ok"',
    expect.arrayContaining([
      '{"kind": "read", "drive": "/p:q/d"}',
      '{"kind": "write", "drive": "/p:q/d"}',
    ]),
    '"Ok"',
    undefined,
    '"Read"',
    'x',
    'application/octet-stream',
  ]);
});

test('M4 without messaging for vfs nothing arrives there', async () => {
  const result = run({}, (guest) =>
    ask(guest, 'vfs:distro:sys', '{"path":"/p:q/d","action":"CreateDrive"}', 1),
  );
  await node.clock.advance(2000);
  expect(['timeout', 'offline']).toContain(await result);
});

test('K82 a process of an ordinary package gets no answer from state, even with messaging', async () => {
  const result = run({ holds: ['state:distro:sys'] }, (guest) =>
    ask(guest, 'state:distro:sys', '{"GetState":"app:p:q"}', 1),
  );
  await node.clock.advance(2000);
  expect(await result).toBe('timeout');
});
