/** Which request a response answers, and what is passed on: K17 - K23, K28 - K30. */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../wit/address.ts';
import { bytesOf, settle, TestNode, textOf, type GuestCode } from './testing.ts';
import { A, B, C, at } from './processes.testing.ts';
import { bodyOf, shout } from './messages.testing.ts';

describe('prompting', () => {
  test('K17 of two responses to one request the requester sees the first', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await guest.respond('first');
        await guest.respond('second');
        for (;;) await guest.receive();
      },
      { public: true, holds: [A] },
    );
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 5 });
      await settle();
      for (;;) seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(10_000);
    expect(seen).toEqual(['first']);
  });

  test('K18 send-response with nothing to answer: no trap, a level-0 line, nothing sent', async () => {
    const node = new TestNode();
    let survived = false;
    await node.start(A, async (guest) => {
      await guest.respond('hello?');
      survived = true;
      await guest.receive();
    });
    expect(survived).toBe(true);
    expect(node.sink.at(0).join()).toMatch(/pkg:sys: dropped a response/);
    expect(node.kernel.usage().get(node.address(A).process)?.messagesSent).toBe(0);
  });

  test('K19 while handling a no-reply request, send-response answers the one prompted before', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        const { body } = await guest.request();
        await guest.respond(`after ${body}`);
        for (;;) await guest.receive();
      },
      { public: true, holds: [A] },
    );
    await node.start(A, async (guest) => {
      await guest.send(
        at(B),
        { body: bytesOf('one'), expectsResponse: 5 },
        { context: bytesOf('1') },
      );
      await guest.send(at(B), { body: bytesOf('two') });
      seen.push(bodyOf(await guest.receive()));
    });
    await settle();
    expect(seen).toEqual(['after two']);
  });

  test('K20 after the response to R2, send-response answers R1 even if R3 arrived in between', async () => {
    const node = new TestNode();
    const answers: string[] = [];
    await node.start(C, shout, { public: true, holds: [B] });
    await node.start(
      B,
      async (guest) => {
        const first = await guest.request();
        await guest.send(at(C), { body: bytesOf('sub'), expectsResponse: 5 });
        const next = await guest.receive();
        const other = await guest.receive();
        // One of the two is R3, the other the response to R2; whichever came last decides.
        const order = [bodyOf(next), bodyOf(other)];
        await guest.respond(`${first.body} ${order.join('+')}`);
        for (;;) await guest.receive();
      },
      { public: true, holds: [A, C, 'd:pkg:sys'], run: false },
    );
    const ask =
      (name: string): GuestCode =>
      async (guest) => {
        await guest.send(at(B), { body: bytesOf(name), expectsResponse: 5 });
        answers.push(`${name}: ${bodyOf(await guest.receive())}`);
      };
    await node.start(A, ask('r1'));
    // R3 waits in the mailbox before B even sends R2, so it is delivered first, the response last.
    await node.start('d:pkg:sys', ask('r3'));
    node.kernel.run(node.address(B).process);
    await node.clock.advance(6_000);
    expect(answers).toEqual(['r1: r1 r3+SUB', 'r3: error timeout']);
  });

  test('K21 inherited without expecting: the answer goes straight to the first requester, with its context', async () => {
    const node = new TestNode();
    const seenByA: string[] = [];
    const seenByB: string[] = [];
    await node.start(C, shout, { public: true, holds: [A] });
    await node.start(
      B,
      async (guest) => {
        const { body } = await guest.request();
        await guest.send(at(C), { inherit: true, body: bytesOf(`via b: ${body}`) });
        for (;;) seenByB.push(bodyOf(await guest.receive()));
      },
      { public: true },
    );
    await node.start(A, async (guest) => {
      await guest.send(
        at(B),
        { body: bytesOf('q'), expectsResponse: 5 },
        { context: bytesOf('ctx') },
      );
      const delivery = await guest.receive();
      if (delivery.kind !== 'message' || delivery.message.kind !== 'response') throw new Error();
      seenByA.push(
        formatAddress(delivery.source),
        bodyOf(delivery),
        textOf(delivery.message.context ?? new Uint8Array()),
      );
    });
    await settle();
    expect(seenByA).toEqual([at(C), 'VIA B: Q', 'ctx']);
    expect(seenByB).toEqual([]);
  });

  test('K22 inherited with expecting: the answer comes back to the middle, which can then answer', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(C, shout, { public: true, holds: [B] });
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await guest.send(at(C), { inherit: true, body: bytesOf('deep'), expectsResponse: 5 });
        await guest.respond(`b got ${bodyOf(await guest.receive())}`);
        for (;;) await guest.receive();
      },
      { public: true, holds: [A] },
    );
    await node.start(A, async (guest) => {
      await guest.send(at(B), { body: bytesOf('q'), expectsResponse: 5 });
      seen.push(bodyOf(await guest.receive()));
    });
    await settle();
    expect(seen).toEqual(['b got DEEP']);
  });

  test('K23 a request without rsvp, inherited without expecting, cannot be answered by the grandchild', async () => {
    const node = new TestNode();
    const lines: string[] = [];
    await node.start(C, shout, { public: true });
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await guest.send(at(C), { inherit: true, body: bytesOf('x') });
        for (;;) await guest.receive();
      },
      { public: true },
    );
    let asked: unknown;
    const port = node.kernel.registerModule({
      name: 'http-server',
      public: false,
      decode: () => ({ ok: false, error: undefined }),
      handle: () => Promise.resolve(undefined),
      onResponse: (message) => lines.push(String(message.id)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    await port.grant(node.address('http-server:distro:sys').process, [node.messaging(B)]);
    asked = port.send({
      target: node.address(B),
      rsvp: undefined,
      message: {
        kind: 'request',
        request: {
          inherit: false,
          expectsResponse: 5,
          body: bytesOf('q'),
          metadata: undefined,
          capabilities: [],
        },
      },
      blob: undefined,
    });
    await settle();
    expect(asked).toBeDefined();
    expect(lines).toEqual([]);
    expect(node.sink.at(0).join()).toMatch(/dropped a response/);
  });

  test('K28 inherit without a prompt: a fresh id, works as plain', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, shout, { public: true, holds: [A] });
    await node.start(A, async (guest) => {
      await guest.send(at(B), { inherit: true, body: bytesOf('x'), expectsResponse: 5 });
      seen.push(bodyOf(await guest.receive()));
    });
    expect(seen).toEqual(['X']);
  });

  test('K29 K30 body, metadata, inherit and expects-response pass through untouched, the empty body too', async () => {
    const node = new TestNode();
    const seen: unknown[] = [];
    await node.start(
      B,
      async (guest) => {
        for (;;) {
          const { request } = await guest.request();
          seen.push([
            request.body.length,
            request.metadata,
            request.inherit,
            request.expectsResponse,
          ]);
        }
      },
      { public: true },
    );
    await node.start(A, async (guest) => {
      await guest.send(at(B), {});
      await guest.send(at(B), { metadata: '', inherit: true, expectsResponse: 2n ** 63n });
      await guest.send(at(B), { body: Uint8Array.of(0, 255), metadata: '{"a":1}' });
      await guest.receive();
    });
    expect(seen).toEqual([
      [0, undefined, false, undefined],
      [0, '', true, 2n ** 63n],
      [2, '{"a":1}', false, undefined],
    ]);
  });
});
