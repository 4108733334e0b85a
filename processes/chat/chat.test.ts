import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import { fakeTimer } from '../lib/testing/fake-timer.ts';
import { type Conversations, HISTORY_MAX, remember } from './chat/conversations.ts';
import chat from './chat/index.ts';
import { WAITING_MAX } from './chat/outgoing.ts';
import history from './history/index.ts';
import retry from './retry/index.ts';
import send from './send/index.ts';

const ALICE = 'alice.os@chat:chat:sys';
const user = { source: address('alice.os@terminal:terminal:sys') };
const bob = { source: address('bob.os@chat:chat:sys') };

/** Alice's chat, and Bob's, which stores what it gets. */
async function start(
  state?: Uint8Array,
): Promise<Awaited<ReturnType<typeof TestProcess.start<never, never>>>> {
  return (await TestProcess.start(chat, {
    our: ALICE,
    state,
    peers: { 'chat:chat:sys': () => '"Send"' },
  })) as never;
}

test('a message reaches the other node and is kept when it has', async () => {
  const alice = await start();
  expect(await alice.ask('{"Send":{"target":"bob.os","message":"hello"}}', user)).toBe('"Send"');
  const [sent] = alice.host.sent;
  expect(sent?.target).toEqual(address('bob.os@chat:chat:sys'));
  expect(new TextDecoder().decode(sent?.request.body)).toMatch(
    /^\{"Send":\{"target":"bob.os","message":"hello","id":"[0-9a-f-]{36}"\}\}$/,
  );
  expect(await alice.ask('{"History":"bob.os"}', user)).toBe(
    '{"History":[{"author":"alice.os","content":"hello","delivery":"Delivered"}]}',
  );
});

test('a message from outside is stored before it is acknowledged, and survives a restart', async () => {
  const alice = await start();
  expect(await alice.ask('{"Send":{"target":"alice.os","message":"hi"}}', bob)).toBe('"Send"');
  const again = await start(alice.host.state);
  expect(await again.ask('{"History":"bob.os"}', user)).toBe(
    '{"History":[{"author":"bob.os","content":"hi","delivery":"Received"}]}',
  );
});

/** Alice's chat, where Bob answers when he is up, and the time that passes. */
async function withBob(state?: Uint8Array): Promise<{
  readonly alice: Awaited<ReturnType<typeof start>>;
  readonly bob: { up: boolean; answer: string; readonly heard: string[] };
  readonly send: (message: string) => Promise<number>;
  readonly pass: (seconds: number) => Promise<void>;
  readonly states: () => Promise<string[]>;
}> {
  const line = { up: false, answer: '"Send"', heard: [] as string[] };
  const alice = (await TestProcess.start(chat, {
    our: ALICE,
    state,
    peers: {
      'timer:distro:sys': fakeTimer(),
      'chat:chat:sys': (sent) => {
        line.heard.push(new TextDecoder().decode(sent.request.body));
        return line.up ? line.answer : undefined;
      },
    },
  })) as unknown as Awaited<ReturnType<typeof start>>;
  const pass = async (seconds: number): Promise<void> => {
    alice.host.advance(seconds);
    await alice.run();
  };
  const send = async (message: string): Promise<number> => {
    const body = new TextEncoder().encode(JSON.stringify({ Send: { target: 'bob.os', message } }));
    const id = alice.host.arrive({ ...user, expectsResponse: 60, body });
    await alice.run();
    return id;
  };
  const states = async (): Promise<string[]> => {
    const text = (await alice.ask('{"History":"bob.os"}', user)) ?? '';
    const { History } = JSON.parse(text) as {
      History: { content: string; delivery: string }[];
    };
    return History.map(({ content, delivery }) => `${content} ${delivery}`);
  };
  return { alice, bob: line, send, pass, states };
}

/** Ids of messages, in the order in which they came. */
const idsIn = (heard: readonly string[]): (string | undefined)[] =>
  heard.map((body) => /"id":"(.*?)"/.exec(body)?.[1]);

test('F28 a message that could not be delivered is kept, tried again later and later, and then shown as delivered', async () => {
  const { alice, bob: line, send, pass, states } = await withBob();
  const id = await send('hello');
  expect(await states()).toEqual(['hello Sent']);
  await pass(10);
  expect(() => alice.answerTo(id)).toThrow('bob.os could not be reached (timeout)');
  const attempts: number[] = [];
  for (let second = 0; second < 100; second++) {
    await pass(1);
    attempts.push(line.heard.length);
  }
  // After about 2, 4, 8, 16 and 32 s, each with 10 s of waiting.
  const tried = attempts.at(-1) ?? 0;
  expect(tried).toBeGreaterThanOrEqual(4);
  expect(tried).toBeLessThanOrEqual(7);
  line.up = true;
  // An attempt may be under way, which nobody answers any more.
  await pass(10);
  await pass(100);
  expect(await states()).toEqual(['hello Delivered']);
  expect(new Set(idsIn(line.heard)).size).toBe(1);
  await pass(1_000);
  expect(line.heard.length).toBe(tried + 1);
  expect(alice.host.prints.map(({ text }) => text).at(-1)).toBe('to bob.os: hello: delivered');
});

test('F28 what waits is delivered in order after a restart, under the same ids', async () => {
  const first = await withBob();
  await first.send('one');
  await first.send('two');
  const second = await withBob(first.alice.host.state);
  expect(await second.states()).toEqual(['one Sent', 'two Sent']);
  second.bob.up = true;
  await second.pass(10);
  await second.pass(3);
  expect(await second.states()).toEqual(['one Delivered', 'two Delivered']);
  const [lost, again, next] = idsIn([...first.bob.heard, ...second.bob.heard.slice(-2)]);
  expect(again).toBe(lost);
  expect(next).not.toBe(lost);
});

test('F28 a message that comes again is the same message, also after a restart', async () => {
  const again = '{"Send":{"target":"alice.os","message":"hi","id":"x-1"}}';
  let alice = await start();
  for (let times = 0; times < 2; times++) {
    expect(await alice.ask(again, bob)).toBe('"Send"');
    expect(await alice.ask(again, bob)).toBe('"Send"');
    expect(alice.host.prints.length).toBe(times === 0 ? 1 : 0);
    alice = await start(alice.host.state);
  }
  // Of another author, or without a name, it is another one.
  const carol = { source: address('carol.os@chat:chat:sys') };
  expect(await alice.ask(again, carol)).toBe('"Send"');
  await alice.ask('{"Send":{"target":"alice.os","message":"hi"}}', bob);
  for (const [of, count] of [
    ['bob.os', 2],
    ['carol.os', 1],
  ] as const) {
    const text = (await alice.ask(`{"History":"${of}"}`, user)) ?? '';
    expect(text.split('"content":"hi"').length - 1).toBe(count);
  }
});

test('a message that comes in wakes what waits for that node', async () => {
  const { alice, bob: line, send, pass, states } = await withBob();
  await send('hello');
  await pass(10);
  line.up = true;
  await alice.ask('{"Send":{"target":"alice.os","message":"back"}}', bob);
  expect(await states()).toEqual(['hello Delivered', 'back Received']);
  // Also when the attempt that fails has not ended yet.
  line.up = false;
  await send('more');
  await alice.ask('{"Send":{"target":"alice.os","message":"and again"}}', bob);
  line.up = true;
  await pass(10);
  expect((await states()).filter((each) => each.startsWith('more'))).toEqual(['more Delivered']);
});

test('what is refused has failed, and is sent again when the user says so', async () => {
  const { alice, bob: line, send, states } = await withBob();
  line.up = true;
  line.answer = 'nonsense';
  const id = await send('hello');
  expect(() => alice.answerTo(id)).toThrow('bob.os refused it: BadResponse');
  expect(await states()).toEqual(['hello Failed']);
  line.answer = '"Send"';
  expect(await alice.ask('{"Retry":"bob.os"}', user)).toBe('{"Retry":1}');
  expect(await states()).toEqual(['hello Delivered']);
  await expect(alice.ask('{"Retry":"bob.os"}', bob)).rejects.toMatchObject({ kind: 'Forbidden' });
});

test('so many messages may wait for one node; what is received pushes none of them out', async () => {
  const { alice, send } = await withBob();
  for (let count = 0; count < WAITING_MAX; count++) await send(`m${count}`);
  const over = await send('one too many');
  expect(() => alice.answerTo(over)).toThrow(`${WAITING_MAX} messages to bob.os wait`);
  let state: Conversations = new Map();
  const message = { author: 'bob.os', content: 'x', sentMs: 0 };
  const waits = { ...message, id: 'w', delivery: { kind: 'Sent' } } as const;
  state = remember(state, 'bob.os', waits);
  for (let count = 0; count < HISTORY_MAX + 10; count++) {
    const received = { ...message, id: `${count}`, delivery: { kind: 'Received' } } as const;
    state = remember(state, 'bob.os', received);
  }
  expect(state.get('bob.os')?.length).toBe(HISTORY_MAX);
  expect(state.get('bob.os')?.[0]).toBe(waits);
});

test('the history of the first version is read', async () => {
  const old = '{"bob.os":[{"author":"alice.os","content":"a"},{"author":"bob.os","content":"b"}]}';
  const { states } = await withBob(new TextEncoder().encode(old));
  expect(await states()).toEqual(['a Delivered', 'b Received']);
});

test('the history script shows what became of each message, the retry script says how many', async () => {
  const chatPeer = (answer: string) => ({ 'chat:chat:sys': () => answer });
  const entries =
    '{"History":[{"author":"alice.os","content":"a","delivery":"Failed"},{"author":"bob.os","content":"b\\u001b","delivery":"Received"}]}';
  const our = 'alice.os@123:chat:sys';
  const shown = await TestProcess.start(history, { our, peers: chatPeer(entries) });
  expect(await shown.ask('bob.os', user)).toBe('alice.os: a (failed)\nbob.os: b\u{FFFD}');
  const tried = await TestProcess.start(retry, { our, peers: chatPeer('{"Retry":2}') });
  expect(await tried.ask('bob.os', user)).toBe('2 messages to bob.os are tried again');
});

test('two chat processes of one node are told apart by address', async () => {
  const alice = await start();
  const other = 'alice.os@chat:chat-two:sys';
  await alice.ask(`{"Send":{"target":"${ALICE}","message":"psst"}}`, { source: address(other) });
  expect(await alice.ask(`{"History":"${other}"}`, user)).toBe(
    `{"History":[{"author":"${other}","content":"psst","delivery":"Received"}]}`,
  );
});

test('`our` is this node, and goes out under its name', async () => {
  const alice = await TestProcess.start(chat, {
    our: ALICE,
    peers: { 'chat:two:sys': () => '"Send"' },
  });
  expect(await alice.ask('{"Send":{"target":"our@chat:two:sys","message":"x"}}', user)).toBe(
    '"Send"',
  );
  expect(new TextDecoder().decode(alice.host.sent[0]?.request.body)).toContain(
    '"alice.os@chat:two:sys"',
  );
  await expect(alice.ask('{"Send":{"target":"a@b","message":"x"}}', user)).rejects.toMatchObject({
    kind: 'BadTarget',
  });
  expect(await alice.ask('{"History":"our@chat:two:sys"}', user)).toContain('"content":"x"');
});

test('nobody else sends in our name or reads our history', async () => {
  const alice = await start();
  const strangers = [bob, { source: address('alice.os@spy:spy:evil.os') }];
  for (const stranger of strangers) {
    const forged = alice.ask('{"Send":{"target":"carol.os","message":"x"}}', stranger);
    await expect(forged).rejects.toMatchObject({ kind: 'Forbidden' });
    await expect(alice.ask('{"History":"bob.os"}', stranger)).rejects.toMatchObject({
      kind: 'Forbidden',
    });
  }
  expect(alice.host.sent).toEqual([]);
});

test('control characters do not reach the terminal', async () => {
  const alice = await start();
  await alice.ask('{"Send":{"target":"alice.os","message":"a\\u001b[2Jb"}}', bob);
  expect(alice.host.prints.map((print) => print.text)).toEqual(['bob.os: a\u{FFFD}[2Jb']);
});

test('a message may be so long and no longer', async () => {
  const alice = await start();
  const of = (length: number): string =>
    `{"Send":{"target":"bob.os","message":"${'x'.repeat(length)}"}}`;
  expect(await alice.ask(of(8_192), user)).toBe('"Send"');
  await expect(alice.ask(of(8_193), user)).rejects.toMatchObject({ kind: 'TooLong' });
});

test('the send script talks to its own package, explains itself, and ends', async () => {
  const options = { our: 'alice.os@123:chat:sys', peers: { 'chat:chat:sys': () => '"Send"' } };
  const script = await TestProcess.start(send, options);
  expect(await script.ask('bob.os  how are you? ', user)).toBe('sent to bob.os');
  expect(script.ended).toBe(true);
  expect(new TextDecoder().decode(script.host.sent[0]?.request.body)).toBe(
    '{"Send":{"target":"bob.os","message":"how are you?","id":null}}',
  );
  const wrong = await TestProcess.start(send, options);
  expect(await wrong.ask('bob.os', user)).toBe('usage: send <node> <message>');
});
