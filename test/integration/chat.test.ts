/** Two users' chat processes on a real engine: talking while one of them is restarted and reinstalled; nothing acknowledged is lost. */
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { timer } from '../../runtime-modules/timer/index.ts';
import { id, testNode, type TestNode } from '../support/node.ts';

let component: Uint8Array;

beforeAll(async () => {
  component = await buildComponent(
    fileURLToPath(new URL('../../processes/chat/chat/index.ts', import.meta.url)),
  );
});

/** With time, as every node has it: answers that wait for something else need it. */
async function nodeWithTime(): Promise<TestNode> {
  const node = await testNode();
  node.kernel.registerModule(timer()({ clock: systemClock, port: node.kernel.port('timer') }));
  return node;
}

const ALICE = 'chat:chat:alice.os';
const BOB = 'chat:chat:bob.os';

interface Entry {
  readonly author: string;
  readonly content: string;
}

/** More than an attempt of the chat may take, in milliseconds. */
const ANSWER_MS_MAX = 40_000;

/** Sends as the user of `from`; true when the other side has it. @throws when there is no answer, with what the node printed */
async function send(node: TestNode, from: string, to: string, message: string): Promise<boolean> {
  const request = { Send: { target: `our@${to}`, message } };
  const over = new AbortController();
  const none = setTimeout(ANSWER_MS_MAX, undefined, { signal: over.signal }).then(() => {
    throw new Error(`no answer to ${message}; printed: ${JSON.stringify(node.prints)}`);
  });
  const { text } = await Promise.race([node.ask(from, JSON.stringify(request)), none]);
  over.abort();
  await none.catch(() => undefined);
  return !text.includes('"Err"');
}

async function history(node: TestNode, of: string, other: string): Promise<Entry[]> {
  const { text } = await node.ask(of, JSON.stringify({ History: `our@${other}` }));
  const answer = JSON.parse(text) as { History?: Entry[] | { Ok: Entry[] } };
  const entries = answer.History ?? [];
  return Array.isArray(entries) ? entries : entries.Ok;
}

/** What a package manager does: kill without taking capabilities away, initialize again, run. */
async function reinstall(node: TestNode, process: string): Promise<void> {
  await node.kernel.kill(id(process), { revoke: false });
  await node.start(process, component);
}

test('two users talk; histories agree and survive restarts of either side', async () => {
  await using node = await nodeWithTime();
  await node.start(ALICE, component);
  await node.start(BOB, component);
  expect(await send(node, ALICE, BOB, 'hello bob')).toBe(true);
  expect(await send(node, BOB, ALICE, 'hello alice')).toBe(true);
  const before = await history(node, ALICE, BOB);
  expect(before.map((entry) => entry.content)).toEqual(['hello bob', 'hello alice']);
  await reinstall(node, ALICE);
  await reinstall(node, BOB);
  expect(await history(node, ALICE, BOB)).toEqual(before);
  const bobs = await history(node, BOB, ALICE);
  expect(bobs.map((entry) => entry.content)).toEqual(['hello bob', 'hello alice']);
});

test('while one side is reinstalled again and again, every acknowledged message is in its history once', async () => {
  await using node = await nodeWithTime();
  await node.start(ALICE, component);
  await node.start(BOB, component);
  const acknowledged: string[] = [];
  let talking = true;
  const reinstalling = (async () => {
    for (let round = 0; round < 8; round++) {
      await setTimeout(40);
      await reinstall(node, BOB);
    }
  })().finally(() => (talking = false));
  for (let i = 0; talking || i < 50; i++) {
    const message = `message ${i}`;
    if (await send(node, ALICE, BOB, message)) acknowledged.push(message);
  }
  await reinstalling;
  expect(acknowledged.length).toBeGreaterThan(20);
  const received = (await history(node, BOB, ALICE)).map((entry) => entry.content);
  for (const message of acknowledged)
    expect(
      received.filter((one) => one === message),
      message,
    ).toHaveLength(1);
}, 180_000);
