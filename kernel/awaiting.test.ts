/** Awaiting, ordering, mailboxes and their limits: K38 - K44, findings section 5. */
import { describe, expect, test } from 'vitest';
import {
  MAILBOX_BYTES_MAX,
  MAILBOX_MESSAGES_MAX,
  OUTSTANDING_BYTES_MAX,
  OUTSTANDING_REQUESTS_MAX,
  WAITING_RESPONSE_BYTES_MAX,
} from './limits.ts';
import type { Delivery } from './process-host.ts';
import { bytesOf, settle, TestNode, textOf, type GuestCode } from './testing.ts';

const A = 'a:pkg:sys';
const B = 'b:pkg:sys';
const C = 'c:pkg:sys';
const at = (id: string): string => `fake.os@${id}`;
const bodyOf = (delivery: Delivery): string => {
  if (delivery.kind !== 'message') return `error ${delivery.error.kind}`;
  const { message } = delivery;
  return textOf(message.kind === 'request' ? message.request.body : message.response.body);
};
const echo: GuestCode = async (guest) => {
  for (;;) {
    const { body } = await guest.request();
    await guest.respond(`re:${body}`);
  }
};
const asleep: GuestCode = () => new Promise(() => undefined);
const listener =
  (seen: string[]): GuestCode =>
  async (guest) => {
    for (;;) seen.push(bodyOf(await guest.receive()));
  };

test('K38 what arrives during an await is received afterwards, in arrival order', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  let answer: () => void = () => undefined;
  await node.start(
    B,
    async (guest) => {
      await guest.request();
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      await guest.respond('awaited');
      await guest.receive();
    },
    { public: true, holds: [A] },
  );
  await node.start(
    A,
    async (guest) => {
      await guest.send('fake.os@nobody:pkg:sys', { expectsResponse: 9 });
      const awaited = await guest.sendAndAwait(at(B), {});
      seen.push(awaited.ok ? 'got it' : 'error');
      for (;;) seen.push(bodyOf(await guest.receive()));
    },
    { public: true },
  );
  await node.start(C, async (guest) => {
    for (const body of ['1', '2', '3']) await guest.send(at(A), { body: bytesOf(body) });
  });
  expect(seen).toEqual([]);
  answer();
  await settle();
  expect(seen).toEqual(['got it', 'error timeout', '1', '2', '3']);
});

describe('K39 what an await refuses', () => {
  const trapped = async (code: GuestCode): Promise<string> => {
    const node = new TestNode();
    await node.start(A, code);
    return node.sink.at(0).join();
  };

  test('K39 no expects-response', async () => {
    const line = await trapped(async (guest) => {
      await guest.sendAndAwait(at(B), { expectsResponse: undefined });
    });
    expect(line).toMatch(/ended with an error:\n.*needs expects-response/);
  });

  test('K39 its own address', async () => {
    const line = await trapped(async (guest) => {
      await guest.sendAndAwait(at(A), {});
    });
    expect(line).toMatch(/cannot await a response from itself/);
  });

  test('K39 itself under the name our: the request arrives under the awaited id', async () => {
    const line = await trapped(async (guest) => {
      await guest.sendAndAwait(`our@${A}`, {});
    });
    expect(line).toMatch(/arrived under the id/);
  });
});

test('K40 an await ends with the send error, at once or after its time', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, asleep, { public: true });
  await node.start(
    A,
    async (guest) => {
      for (const target of [at(C), 'bob.os@b:pkg:sys', at(B)]) {
        const awaited = await guest.sendAndAwait(target, { expectsResponse: 2 });
        seen.push(awaited.ok ? 'ok' : awaited.error.kind);
      }
    },
    { holds: [node.network()] },
  );
  expect(seen).toEqual(['timeout', 'offline']);
  await node.clock.advance(2_100);
  expect(seen).toEqual(['timeout', 'offline', 'timeout']);
});

test('K41 a thousand messages arrive in order', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, listener(seen), { public: true });
  const sent = Array.from({ length: 1_000 }, (_, n) => String(n));
  await node.start(A, async (guest) => {
    for (const body of sent) await guest.send(at(B), { body: bytesOf(body) });
  });
  await settle();
  expect(seen).toEqual(sent);
});

test('K41 five thousand in one send-requests, past the mailbox limit, arrive in order', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, listener(seen), { public: true, run: false });
  const sent = Array.from({ length: 5 * MAILBOX_MESSAGES_MAX }, (_, n) => String(n));
  let done = false;
  await node.start(A, async (guest) => {
    await guest.host.sendRequests(
      sent.map((body) => ({
        target: node.address(B),
        request: {
          inherit: false,
          expectsResponse: undefined,
          body: bytesOf(body),
          metadata: undefined,
          capabilities: [],
        },
        context: undefined,
        blob: undefined,
      })),
    );
    done = true;
  });
  expect(done).toBe(false);
  node.kernel.run(node.address(B).process);
  await node.clock.advance(0);
  expect(seen).toEqual(sent);
  expect(done).toBe(true);
});

test('K42 messages to an initialized process are delivered when it runs, before later ones', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, listener(seen), { public: true, run: false });
  await node.start(A, async (guest) => {
    await guest.send(at(B), { body: bytesOf('early') });
    node.kernel.run(node.address(B).process);
    await guest.send(at(B), { body: bytesOf('late') });
  });
  await settle();
  expect(seen).toEqual(['early', 'late']);
});

test('K43 what is sent just before init returns is delivered', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(B, listener(seen), { public: true });
  await node.start(A, (guest) => guest.send(at(B), { body: bytesOf('bye') }));
  await settle();
  expect(seen).toEqual(['bye']);
});

test('K44 a request that comes back under the awaited id traps the awaiting process', async () => {
  const node = new TestNode();
  await node.start(
    B,
    async (guest) => {
      await guest.request();
      await guest.send(at(A), { inherit: true, body: bytesOf('back') });
      await guest.receive();
    },
    { public: true, holds: [A] },
  );
  await node.start(A, async (guest) => {
    await guest.sendAndAwait(at(B), {});
  });
  await settle();
  expect(node.sink.at(0).join()).toMatch(
    /a:pkg:sys ended with an error:\na request arrived under the id/,
  );
  expect(node.kernel.processMap().has(node.address(A).process)).toBe(false);
});

describe('H3 a full mailbox suspends its senders, never the node', () => {
  async function filled(node: TestNode): Promise<void> {
    await node.start(B, asleep, { public: true, run: false });
    await node.start(C, async (guest) => {
      for (let n = 0; n < MAILBOX_MESSAGES_MAX; n++) await guest.send(at(B), {});
    });
  }

  test('H3 the message over the limit waits 5 s; with expects-response its sender then gets timeout', async () => {
    const node = new TestNode();
    await filled(node);
    const seen: string[] = [];
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 60 });
      seen.push('awake');
      seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(4_999);
    expect(seen).toEqual([]);
    await node.clock.advance(20);
    expect(seen).toEqual(['awake', 'error timeout']);
    expect(node.sink.at(0)).toEqual([]);
  });

  test('H3 a fire-and-forget one is dropped with a level-0 line', async () => {
    const node = new TestNode();
    await filled(node);
    let awake = false;
    await node.start(A, async (guest) => {
      await guest.send(at(B), {});
      awake = true;
      await guest.receive();
    });
    await node.clock.advance(5_100);
    expect(awake).toBe(true);
    expect(node.sink.at(0).join()).toMatch(/dropped a request from fake\.os@a:pkg:sys/);
  });

  test('H3 room lets the sender go on, in order', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, listener(seen), { public: true, run: false });
    let sent = 0;
    await node.start(A, async (guest) => {
      for (; sent < MAILBOX_MESSAGES_MAX + 5; sent++)
        await guest.send(at(B), { body: bytesOf(String(sent)) });
    });
    expect(sent).toBe(MAILBOX_MESSAGES_MAX);
    node.kernel.run(node.address(B).process);
    await settle();
    expect(seen.length).toBe(MAILBOX_MESSAGES_MAX + 5);
    expect(seen.at(-1)).toBe(String(MAILBOX_MESSAGES_MAX + 4));
  });

  test('H3 bytes count too, and one message larger than the limit enters an empty mailbox', async () => {
    const node = new TestNode();
    await node.start(B, asleep, { public: true, run: false });
    const huge = { mime: undefined, bytes: new Uint8Array(MAILBOX_BYTES_MAX + 1) };
    let sent = 0;
    await node.start(A, async (guest) => {
      await guest.send(at(B), {}, { blob: huge });
      sent++;
      await guest.send(at(B), {}, { blob: huge });
      sent++;
    });
    expect(sent).toBe(1);
  });

  test('H3 a response is never refused: its room was reserved', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    let go: () => void = () => undefined;
    await node.start(B, echo, { public: true, holds: [A] });
    await node.start(
      A,
      async (guest) => {
        await guest.send(at(B), { body: bytesOf('q'), expectsResponse: 60 });
        await new Promise<void>((resolve) => {
          go = resolve;
        });
        for (;;) seen.push(bodyOf(await guest.receive()));
      },
      { public: true, run: false },
    );
    await node.start(C, async (guest) => {
      for (let n = 0; n < MAILBOX_MESSAGES_MAX; n++)
        await guest.send(at(A), { body: bytesOf('noise') });
    });
    node.kernel.run(node.address(A).process);
    await settle();
    go();
    await settle();
    expect(seen.length).toBe(MAILBOX_MESSAGES_MAX + 1);
    expect(seen.at(-1)).toBe('re:q');
  });

  test('H3 the receiver is killed: its suspended senders go on at once', async () => {
    const node = new TestNode();
    await filled(node);
    const seen: string[] = [];
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 60 });
      seen.push(bodyOf(await guest.receive()));
    });
    await node.kernel.kill(node.address(B).process);
    await settle();
    expect(seen).toEqual(['error timeout']);
  });

  test('H3 messages from other nodes are dropped, and nobody waits', async () => {
    const node = new TestNode();
    await node.start(B, asleep, { public: true, holds: [node.network()], run: false });
    for (let n = 0; n <= MAILBOX_MESSAGES_MAX; n++) {
      void node.kernel.inject({
        id: n + 1,
        source: { node: 'bob.os', process: node.address(A).process },
        target: node.address(B),
        rsvp: undefined,
        message: {
          kind: 'request',
          request: {
            inherit: false,
            expectsResponse: 5,
            body: bytesOf(''),
            metadata: undefined,
            capabilities: [],
          },
        },
        blob: undefined,
      });
    }
    expect(node.kernel.usage().get(node.address(B).process)?.mailbox).toBe(MAILBOX_MESSAGES_MAX);
  });
});

test('H15 a request that replaces an outstanding one under the same id is not ended by the old timer', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  await node.start(C, asleep, { public: true });
  await node.start(
    B,
    async (guest) => {
      await guest.request();
      await guest.send(at(C), { inherit: true, expectsResponse: 2 });
      await guest.send(at(C), { inherit: true, expectsResponse: 9 });
      for (;;) seen.push(bodyOf(await guest.receive()));
    },
    { public: true },
  );
  await node.start(A, async (guest) => {
    await guest.send(at(B), { expectsResponse: 60 });
    await guest.receive();
  });
  await node.clock.advance(8_000);
  expect(seen).toEqual([]);
  await node.clock.advance(2_000);
  expect(seen).toEqual(['error timeout']);
});

test('H3 send errors that nobody receives count as outstanding: failing fast is no way round the limit', async () => {
  const node = new TestNode();
  let sent = 0;
  await node.start(A, async (guest) => {
    const request = {
      target: node.address(B),
      request: {
        inherit: false,
        expectsResponse: 5,
        body: new Uint8Array(),
        metadata: undefined,
        capabilities: [],
      },
      context: undefined,
      blob: undefined,
    };
    for (;;) {
      await guest.host.sendRequest(request);
      sent++;
    }
  });
  await settle();
  expect(sent).toBe(OUTSTANDING_REQUESTS_MAX);
});

test('H3 bytes of outstanding requests are bounded, and room comes back with their outcome', async () => {
  const node = new TestNode();
  const half = { mime: undefined, bytes: new Uint8Array(OUTSTANDING_BYTES_MAX / 2) };
  let sent = 0;
  await node.start(A, async (guest) => {
    for (; sent < 5; sent++) {
      await guest.send(at(B), { expectsResponse: 5 }, { blob: half });
      await guest.receive();
    }
    for (;;) {
      await guest.send(at(B), { expectsResponse: 5 }, { blob: half });
      sent++;
    }
  });
  await settle();
  expect(sent).toBe(7);
  expect(node.sink.at(0).join()).toMatch(/bytes in requests without a response/);
});

test('H3 bytes of waiting responses are bounded: the one past it is dropped, its request ends with timeout', async () => {
  const node = new TestNode();
  const seen: string[] = [];
  const half = { mime: undefined, bytes: new Uint8Array(WAITING_RESPONSE_BYTES_MAX / 2) };
  let go: () => void = () => undefined;
  await node.start(
    B,
    async (guest) => {
      for (;;) {
        await guest.request();
        await guest.respond('ok', {}, half);
      }
    },
    { public: true, holds: [A] },
  );
  await node.start(A, async (guest) => {
    for (let n = 0; n < 3; n++) await guest.send(at(B), { expectsResponse: 60 });
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    for (;;) seen.push(bodyOf(await guest.receive()));
  });
  await settle();
  go();
  await settle();
  expect(seen).toEqual(['ok', 'error timeout', 'error timeout']);
});

test('H3 more outstanding requests than the limit trap the sender', async () => {
  const node = new TestNode();
  await node.start(B, asleep, { public: true, holds: [node.network()] });
  node.kernel.setNet({ send: () => undefined });
  let sent = 0;
  await node.start(
    A,
    async (guest) => {
      for (;;) {
        await guest.host.sendRequest({
          target: { node: 'bob.os', process: node.address(B).process },
          request: {
            inherit: false,
            expectsResponse: 600,
            body: new Uint8Array(),
            metadata: undefined,
            capabilities: [],
          },
          context: undefined,
          blob: undefined,
        });
        sent++;
      }
    },
    { holds: [node.network()] },
  );
  await settle();
  expect(sent).toBe(OUTSTANDING_REQUESTS_MAX);
  expect(node.sink.at(0).join()).toMatch(/requests without a response/);
});
