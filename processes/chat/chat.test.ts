import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { TestProcess } from '../lib/testing/test-process.ts';
import chat from './chat/index.ts';
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
  expect(new TextDecoder().decode(sent?.request.body)).toBe(
    '{"Send":{"target":"bob.os","message":"hello"}}',
  );
  expect(await alice.ask('{"History":"bob.os"}', user)).toBe(
    '{"History":[{"author":"alice.os","content":"hello"}]}',
  );
});

test('a message from outside is stored before it is acknowledged, and survives a restart', async () => {
  const alice = await start();
  expect(await alice.ask('{"Send":{"target":"alice.os","message":"hi"}}', bob)).toBe('"Send"');
  const again = await start(alice.host.state);
  expect(await again.ask('{"History":"bob.os"}', user)).toBe(
    '{"History":[{"author":"bob.os","content":"hi"}]}',
  );
});

test('a message that could not be delivered is not in the history, and the sender learns of it', async () => {
  const alice = await TestProcess.start(chat, { our: ALICE });
  const id = alice.host.arrive({
    ...user,
    expectsResponse: 60,
    body: new TextEncoder().encode('{"Send":{"target":"bob.os","message":"lost"}}'),
  });
  await alice.run();
  alice.host.advance(10);
  await alice.run();
  expect(() => alice.answerTo(id)).toThrow('bob.os could not be reached (timeout)');
  expect(await alice.ask('{"History":"bob.os"}', user)).toBe('{"History":[]}');
});

test('two chat processes of one node are told apart by address', async () => {
  const alice = await start();
  const other = 'alice.os@chat:chat-two:sys';
  await alice.ask(`{"Send":{"target":"${ALICE}","message":"psst"}}`, { source: address(other) });
  expect(await alice.ask(`{"History":"${other}"}`, user)).toBe(
    `{"History":[{"author":"${other}","content":"psst"}]}`,
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
    '{"Send":{"target":"bob.os","message":"how are you?"}}',
  );
  const wrong = await TestProcess.start(send, options);
  expect(await wrong.ask('bob.os', user)).toBe('usage: send <node> <message>');
});
