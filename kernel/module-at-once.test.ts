/** Modules that answer without a promise: the answer is sent at once, in order, and counted like any other work. */
import { expect, test } from 'vitest';
import type { Answer, RuntimeModule } from './module.ts';
import type { MaybePromise } from './process-host.ts';
import { bytesOf, settle, TestNode, textOf, type GuestApi } from './testing.ts';
import { processId } from '../wit/address.ts';

const A = 'a:pkg:sys';
const MODULE = 'fake.os@quick:distro:sys';

/** Work is `<name>/<key>`: `wait…` is answered when the test says so, `throw…` throws, `none…` gives no answer, others echo. */
class QuickModule implements RuntimeModule<string> {
  readonly name = 'quick';
  readonly public = true;
  readonly started: string[] = [];
  readonly signals: AbortSignal[] = [];
  release: () => void = () => undefined;

  decode(request: Parameters<RuntimeModule['decode']>[0]): { ok: true; value: string } {
    return { ok: true, value: textOf(request.body) };
  }

  orderKey(work: string): string | undefined {
    return work.split('/')[1];
  }

  handle(work: string, signal: AbortSignal): MaybePromise<Answer | undefined> {
    this.started.push(work);
    this.signals.push(signal);
    const answer = { body: bytesOf(work) };
    if (work.startsWith('throw')) throw new Error('bug in handle');
    if (work.startsWith('none')) return undefined;
    if (!work.startsWith('wait')) return answer;
    return new Promise((resolve) => {
      this.release = () => resolve(answer);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

async function scene(
  act: (guest: GuestApi) => Promise<void>,
): Promise<{ node: TestNode; module: QuickModule }> {
  const node = new TestNode();
  const module = new QuickModule();
  node.kernel.registerModule(module);
  await node.kernel.grant(processId('quick:distro:sys'), [node.messaging(A)]);
  await node.start(A, act);
  return { node, module };
}

async function answerOf(guest: GuestApi, body: string, seconds = 5): Promise<string> {
  const answer = await guest.sendAndAwait(MODULE, {
    body: bytesOf(body),
    expectsResponse: seconds,
  });
  if (!answer.ok) return answer.error.kind;
  const { message } = answer.value;
  return message.kind === 'response' ? textOf(message.response.body) : 'a request';
}

test('an answer given at once reaches its requester, also while it awaits; none is none, a throw is a bug and none', async () => {
  const answers: string[] = [];
  const { node } = await scene(async (guest) => {
    answers.push(await answerOf(guest, 'one'), await answerOf(guest, 'two'));
    for (const body of ['throw', 'none']) await guest.send(MODULE, { body: bytesOf(body) });
    answers.push(await answerOf(guest, 'three'));
  });
  await settle();
  expect(answers).toEqual(['one', 'two', 'three']);
  expect(node.sink.at(0).join()).toMatch(/bug in quick:distro:sys while handling/);
});

test('equal keys keep their order behind work that waits, a thousand of them without piling up', async () => {
  const many = Array.from({ length: 900 }, (_, n) => `${n}/key`);
  const { module } = await scene(async (guest) => {
    await guest.send(MODULE, { body: bytesOf('wait/key') });
    for (const body of [...many, 'other/key2']) await guest.send(MODULE, { body: bytesOf(body) });
    for (;;) await guest.receive();
  });
  await settle();
  expect(module.started).toEqual(['wait/key', 'other/key2']);
  module.release();
  await settle();
  expect(module.started).toEqual(['wait/key', 'other/key2', ...many]);
});

test('a source that is done can be cancelled: its next instance works under a signal of its own', async () => {
  const { node, module } = await scene(async (guest) => {
    expect(await answerOf(guest, 'first')).toBe('first');
    for (;;) await guest.receive();
  });
  await settle();
  await node.kernel.kill(processId(A));
  expect(module.signals.map(({ aborted }) => aborted)).toEqual([true]);
  // The kill revoked what others held of it.
  await node.kernel.grant(processId('quick:distro:sys'), [node.messaging(A)]);
  let answer = '';
  await node.start(A, async (guest) => {
    answer = await answerOf(guest, 'second');
    for (;;) await guest.receive();
  });
  await settle();
  expect(answer).toBe('second');
  expect(module.signals[1]?.aborted).toBe(false);
  expect(module.signals[1]).not.toBe(module.signals[0]);
});
