/** Processes and their extensions, over real sockets (runtime-modules.md §8). */
import { encode } from '@msgpack/msgpack';
import { afterEach, expect, test } from 'vitest';
import { MAILBOX_MESSAGES_MAX } from '../../../kernel/limits.ts';
import { bytesOf, remoteRequest, textOf, type GuestApi } from '../../../kernel/testing.ts';
import type { KernelMessage, U64 } from '../../../wit/types.ts';
import { ExtensionAnswers } from './extension-answers.ts';
import {
  decodeExtensionFrame,
  encodeExtensionFrame,
  type ExtensionFrame,
} from '../../../wit/extension-frame.ts';
import { Scene, SERVER, until, type Client, type Owner } from '../testing/scene.ts';
import { EXTENSION_ANSWERS_MAX, EXTENSION_WAITING_FRAMES_MAX } from './limits.ts';

const GPU = 'gpu:pkg:sys';
const err = (name: string): string => `{"Err":"${name}"}`;

let scene: Scene;
afterEach(() => scene[Symbol.asyncDispose]());

async function paired(): Promise<{ owner: Owner; client: Client; id: number }> {
  scene = await Scene.open();
  const owner = await scene.owner(GPU, { extension: true });
  return { owner, ...(await scene.channel(owner)) };
}

const outgoing = (id: number, reply = 'Response', type = 'Binary'): unknown => ({
  WebSocketExtPushOutgoing: { channel_id: id, message_type: type, desired_reply_type: reply },
});
const pushed = (id: number, blob: string, type = 'Binary'): string =>
  `{"WebSocketPush":{"channel_id":${id},"message_type":"${type}"}} ${blob}`;

/** The next frame that came to the extension. */
async function frameOf(client: Client): Promise<ExtensionFrame> {
  await client.lines(1);
  const frame = decodeExtensionFrame(client.frames.at(-1) ?? Buffer.alloc(0));
  if (typeof frame !== 'object') throw new Error('no frame');
  return frame;
}
const reply = (id: U64, blob: string, type: 'Request' | 'Response' = 'Response'): Uint8Array =>
  encodeExtensionFrame({ id, type, blob: bytesOf(blob) });

/** What the kernel carries from and to a process from now on. */
function traced(process: Owner): () => KernelMessage[] {
  const { kernel, sink } = scene.node;
  kernel.debug.setProcess(process.guest.our.process, true);
  const from = sink.printouts.length;
  return () => sink.printouts.slice(from).flatMap((each) => ('event' in each ? [each.event] : []));
}

test('M190 M194 M193 a request goes out as a frame under its id; the answer completes it, with its context, and is the only one', async () => {
  const { owner, client, id } = await paired();
  const messages = traced(owner);
  await owner.act(outgoing(id), 'render this', { context: 'job 1' });
  const frame = await frameOf(client);
  const sent = messages().find(({ source }) => source.process === owner.guest.our.process);
  expect(frame).toEqual({ id: sent?.id, type: 'Response', blob: bytesOf('render this') });
  expect(client.frames.at(-1)?.toString('hex')).toBe(encodeExtensionFrame(frame).toHex());
  expect(owner.log).toEqual([]);
  client.ws.send(reply(frame.id, 'rendered'));
  expect(await owner.lines(1)).toEqual([`response to job 1 ${pushed(id, 'rendered')}`]);
});

test('M191 ids above 2^53 are exact in both directions', async () => {
  const { owner, client, id } = await paired();
  await scene.node.kernel.grant(owner.guest.our.process, [scene.node.network()]);
  const big = 2n ** 64n - 1n;
  void scene.node.kernel.inject(
    remoteRequest(
      `bob.os@a:b:c`,
      `fake.os@${GPU}`,
      { body: bytesOf('go'), expectsResponse: 9 },
      { id: big },
    ),
  );
  await owner.lines(1);
  await owner.act(outgoing(id), 'x', { inherit: true });
  expect((await frameOf(client)).id).toBe(big);
  client.ws.send(reply(big, 'y'));
  expect(await owner.lines(1)).toEqual([`response ${pushed(id, 'y')}`]);
});

test('M192 another type, no blob, and a channel that is not its own are refused', async () => {
  const { owner, client, id } = await paired();
  for (const type of ['Text', 'Ping', 'Pong', 'Close'])
    expect(await owner.ask(outgoing(id, 'Response', type), 'x')).toBe(err('NoBlob'));
  expect(await owner.ask(outgoing(id))).toBe(err('NoBlob'));
  expect(await owner.ask(outgoing((id ^ 1) >>> 0), 'x')).toBe(err('WsChannelNotFound'));
  const other = await scene.owner('other:pkg:sys');
  expect(await other.ask(outgoing(id), 'x')).toBe(err('WsChannelNotFound'));
  expect(client.log).toEqual([]);
});

test('M195 a frame of type Request arrives as a request with its id', async () => {
  const { owner, client, id } = await paired();
  const messages = traced(owner);
  client.ws.send(reply(4711, 'unasked', 'Request'));
  expect(await owner.lines(1)).toEqual([pushed(id, 'unasked')]);
  expect(messages().at(-1)).toMatchObject({
    id: 4711,
    rsvp: undefined,
    message: { kind: 'request' },
  });
  await owner.act(outgoing(id, 'Request'), 'x', { expectsResponse: undefined });
  const asked = await frameOf(client);
  expect(asked.type).toBe('Request');
  client.ws.send(reply(asked.id, 'mirrored', 'Request'));
  await owner.lines(1);
  expect(messages().at(-1)?.id).toBe(asked.id);
});

test('M195 a request of an extension under an id that its process awaits does not end the process', async () => {
  const { owner, client, id } = await paired();
  owner.read(false);
  // One receive is pending; it takes this.
  await owner.guest.send(`fake.os@${GPU}`, { body: bytesOf('wake') });
  await owner.lines(1);
  const answer = owner.guest.sendAndAwait(
    SERVER,
    { body: bytesOf(JSON.stringify(outgoing(id))), expectsResponse: 5 },
    { mime: undefined, bytes: bytesOf('x') },
  );
  const { id: awaited } = await frameOf(client);
  client.ws.send(reply(awaited, 'wrong type', 'Request'));
  client.ws.send(reply(awaited, 'right type'));
  const outcome = await answer;
  expect(outcome.ok && outcome.value.message.kind).toBe('response');
  owner.read(true);
  expect(await owner.lines(1)).toEqual([pushed(id, 'wrong type')]);
});

test('M196 M202 other encodings of an answer complete it too', async () => {
  const { owner, client, id } = await paired();
  const forms: ((id: U64) => Uint8Array)[] = [
    (awaited) =>
      encode(
        { WebSocketExtPushData: [BigInt(awaited), 'Response', bytesOf('a')] },
        { useBigInt64: true },
      ),
    (awaited) =>
      encode(
        {
          WebSocketExtPushData: {
            blob: [0x62],
            id: BigInt(awaited),
            hyperware_message_type: 'Response',
          },
        },
        { useBigInt64: true },
      ),
  ];
  for (const [index, form] of forms.entries()) {
    await owner.act(outgoing(id), 'x');
    client.ws.send(form((await frameOf(client)).id));
    expect(await owner.lines(1)).toEqual([`response ${pushed(id, 'ab'[index]!)}`]);
  }
});

test('M197 M198 what is no frame arrives as it is; another action does not arrive', async () => {
  const { owner, client, id } = await paired();
  client.ws.send('plain text');
  client.ws.send(Buffer.from([0x81, 0xa1, 0x61, 0x01]));
  client.ws.ping('ping');
  client.ws.send(encode({ Unbind: { path: '/' } }));
  client.ws.send('');
  expect(await owner.lines(4)).toEqual([
    pushed(id, 'plain text', 'Text'),
    pushed(id, '\ufffd\ufffda\u0001'),
    pushed(id, 'ping', 'Ping'),
    pushed(id, '', 'Text'),
  ]);
  expect(scene.node.sink.at(1)).toEqual([
    `dropped an action that an extension of ${GPU} sent: only data may be`,
  ]);
});

test('M199 an answer after the timeout is dropped, and forgotten', async () => {
  const { owner, client } = await paired();
  const { client: patient, id } = await scene.channel(owner);
  await owner.act(outgoing(id), 'x', { expectsResponse: 1 });
  const { id: awaited } = await frameOf(patient);
  await scene.node.clock.advance(1_500);
  expect(await owner.lines(1)).toEqual(['error timeout']);
  patient.ws.send(reply(awaited, 'late'));
  await scene.node.clock.advance(5_000);
  patient.ws.send(reply(awaited, 'later'));
  patient.ws.send('still open');
  expect(await owner.lines(1)).toEqual([pushed(id, 'still open', 'Text')]);
  expect(client.ws.readyState).toBe(client.ws.OPEN);
});

test('M200 frames go out on other channels too, where what comes back stays raw', async () => {
  scene = await Scene.open();
  const owner = await scene.owner(GPU);
  const { client, id } = await scene.channel(owner);
  await owner.act(outgoing(id), 'x', { expectsResponse: 1 });
  const { id: awaited } = await frameOf(client);
  client.ws.send(encode({ WebSocketExtPushData: [awaited, 'Response', 'not a blob'] }));
  client.ws.send(reply(awaited, 'y'));
  const [first, second] = await owner.lines(2);
  expect([first?.startsWith(pushed(id, '')), second?.startsWith(pushed(id, ''))]).toEqual([
    true,
    true,
  ]);
  expect(owner.blobs.at(-1)).toEqual(reply(awaited, 'y'));
  await scene.node.clock.advance(2_000);
  expect(await owner.lines(1)).toEqual(['error timeout']);
});

test('M201 a chain of two processes and an extension hands the blob through unchanged', async () => {
  scene = await Scene.open();
  let channel = 0;
  await scene.node.start(
    GPU,
    async (guest: GuestApi) => {
      const bind = { WebSocketBind: { path: '/', authenticated: false, extension: true } };
      await guest.sendAndAwait(SERVER, { body: bytesOf(JSON.stringify(bind)) });
      channel = Number(/"channel_id":(\d+)/.exec((await guest.request()).body)?.[1]);
      await guest.request();
      const body = bytesOf(JSON.stringify(outgoing(channel)));
      // The blob is inherited on the way out, and again on the way back.
      await guest.sendAndAwait(SERVER, { body, inherit: true });
      await guest.respond('done', { inherit: true });
      await guest.receive();
    },
    { public: true },
  );
  const client = await scene.client(`/${GPU}`);
  await until('the channel is known', () => channel > 0);
  let answer: string | undefined;
  await scene.node.start(
    'asker:pkg:sys',
    async (guest) => {
      const blob = { mime: undefined, bytes: bytesOf('pixels') };
      await guest.sendAndAwait(`fake.os@${GPU}`, { body: bytesOf('render') }, blob);
      answer = textOf(guest.host.getBlob()?.bytes ?? new Uint8Array());
    },
    { public: true },
  );
  const frame = await frameOf(client);
  expect(textOf(frame.blob)).toBe('pixels');
  client.ws.send(reply(frame.id, 'more pixels'));
  await until('the first process has the answer', () => answer !== undefined);
  expect(answer).toBe('more pixels');
});

test('M203 H14 an id completes a request once, on the channel it was sent on, and no other way', async () => {
  const { owner, client: mine, id } = await paired();
  const { client: other, id: otherId } = await scene.channel(owner);
  await owner.act(outgoing(id), 'x');
  const { id: awaited } = await frameOf(mine);
  other.ws.send(reply(awaited, 'stolen'));
  mine.ws.send(reply(4711, 'guessed'));
  other.ws.send('done');
  expect(await owner.lines(1)).toEqual([pushed(otherId, 'done', 'Text')]);
  mine.ws.send(reply(awaited, 'mine'));
  mine.ws.send(reply(awaited, 'again'));
  mine.ws.send('done');
  expect(await owner.lines(2)).toEqual([
    `response ${pushed(id, 'mine')}`,
    pushed(id, 'done', 'Text'),
  ]);
  expect(
    scene.node.sink
      .at(2)
      .filter((line) => line.includes(`an extension of ${GPU} to no open request`)),
  ).toHaveLength(3);
});

test('H14 after a reconnect the old connection is nothing to the new one', async () => {
  const { owner, client: old, id } = await paired();
  await owner.act(outgoing(id), 'first', { context: 'first' });
  const { id: asked } = await frameOf(old);
  const { client: fresh, id: freshId } = await scene.channel(owner);
  expect(freshId).not.toBe(id);
  expect(await owner.ask({ WebSocketClose: id })).toBe('{"Ok":null}');
  old.ws.send(reply(asked, 'late'));
  fresh.ws.send(reply(asked, 'of the other'));
  await owner.act(outgoing(freshId), 'second', { context: 'second' });
  fresh.ws.send(reply((await frameOf(fresh)).id, 'answer'));
  await until('it is answered', () => owner.log.some((line) => line.includes('answer')));
  expect(owner.log.filter((line) => line.startsWith('response'))).toEqual([
    `response to second ${pushed(freshId, 'answer')}`,
  ]);
});

test('an answer comes through while the process has no room for anything else', async () => {
  const { owner, client, id } = await paired();
  owner.read(false);
  await owner.guest.send(`fake.os@${GPU}`, { body: bytesOf('wake') });
  await owner.lines(1);
  const answer = owner.guest.sendAndAwait(
    SERVER,
    { body: bytesOf(JSON.stringify(outgoing(id))), expectsResponse: 5 },
    { mime: undefined, bytes: bytesOf('x') },
  );
  const { id: awaited } = await frameOf(client);
  // Far more than one read of the socket behind the first that has no room.
  const total = 1_900;
  const filling = 'x'.repeat(200);
  for (let sent = 0; sent < total; sent++)
    client.ws.send(reply(1_000_000 + sent, filling, 'Request'));
  client.ws.send(reply(awaited, 'y'));
  expect((await answer).ok).toBe(true);
  expect(total).toBeLessThan(MAILBOX_MESSAGES_MAX + EXTENSION_WAITING_FRAMES_MAX);
  owner.read(true);
  expect(await owner.lines(total)).toHaveLength(total);
});

test('M203 what may be answered is bounded, oldest first, and forgotten when it has timed out', () => {
  const answers = new ExtensionAnswers();
  for (let id = 0; id <= EXTENSION_ANSWERS_MAX; id++) answers.expect(id, 'Response', 0, 10);
  expect(answers.size).toBe(EXTENSION_ANSWERS_MAX);
  expect([answers.take(0, 0), answers.take(1, 0), answers.take(1, 0)]).toEqual([
    undefined,
    'Response',
    undefined,
  ]);
  expect(answers.take(2, 11_001)).toBeUndefined();
  answers.expect(2n ** 60n, 'Request', 0, undefined);
  answers.prune(11_001);
  expect(answers.size).toBe(1);
  expect(answers.awaitsResponse(2n ** 60n)).toBe(false);
  expect(answers.take(2n ** 60n, 1e15)).toBe('Request');
});
