/** Requests and responses: K5 - K16. */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../wit/address.ts';
import type { Delivery } from './process-host.ts';
import { bytesOf, settle, TestNode, textOf } from './testing.ts';
import { A, B, at, idle } from './processes.testing.ts';
import { blob, bodyOf, shout } from './messages.testing.ts';

test('K5 init is called with the address that our() renders to', async () => {
  const node = new TestNode();
  let seen: string[] = [];
  await node.start(A, async (guest) => {
    seen = [guest.argument, formatAddress(guest.host.our())];
  });
  expect(seen).toEqual([at(A), at(A)]);
});

test('K6 the node names our and the real one reach the same process, which sees the real one', async () => {
  const node = new TestNode();
  const sources: string[] = [];
  await node.start(
    B,
    async (guest) => {
      for (;;) sources.push(formatAddress((await guest.request()).source));
    },
    { public: true },
  );
  await node.start(A, async (guest) => {
    await guest.send(`our@${B}`, {});
    await guest.send(at(B), {});
  });
  expect(sources).toEqual([at(A), at(A)]);
});

describe('contexts', () => {
  test('K7 a response carries the context of its request, or none', async () => {
    const node = new TestNode();
    const contexts: (string | undefined)[] = [];
    await node.start(B, shout, { public: true, holds: [A] });
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 5 }, { context: bytesOf('ctx') });
      await guest.send(at(B), { expectsResponse: 5 });
      for (let n = 0; n < 2; n++) {
        const delivery = await guest.receive();
        if (delivery.kind !== 'message' || delivery.message.kind !== 'response') throw new Error();
        const { context } = delivery.message;
        contexts.push(context === undefined ? undefined : textOf(context));
      }
    });
    expect(contexts).toEqual(['ctx', undefined]);
  });

  test('K8 the context of a request that expects no response is discarded', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, shout, { public: true, holds: [A] });
    await node.start(A, async (guest) => {
      await guest.send(at(B), { body: bytesOf('x') }, { context: bytesOf('ctx') });
      for (;;) seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(10_000);
    expect(seen).toEqual([]);
  });

  test('K9 a response for an unknown id never reaches the guest', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, shout, { public: true, holds: [A] });
    await node.start(
      A,
      async (guest) => {
        for (;;) seen.push(bodyOf(await guest.receive()));
      },
      { holds: [node.network()] },
    );
    void node.kernel.inject({
      id: 77,
      source: { node: 'bob.os', process: node.address(B).process },
      target: node.address(A),
      rsvp: undefined,
      message: {
        kind: 'response',
        response: {
          inherit: false,
          body: bytesOf('surprise'),
          metadata: undefined,
          capabilities: [],
        },
        context: undefined,
      },
      blob: undefined,
    });
    await settle();
    expect(seen).toEqual([]);
  });
});

describe('timeouts', () => {
  test('K10 after the timeout error the late response is dropped', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    let answer: () => Promise<void> = () => Promise.resolve();
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await new Promise<void>((resolve) => {
          answer = async () => {
            await guest.respond('late');
            resolve();
          };
        });
        for (;;) await guest.receive();
      },
      { public: true, holds: [A] },
    );
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 2 });
      for (;;) seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(2_100);
    await answer();
    await node.clock.advance(10_000);
    expect(seen).toEqual(['error timeout']);
  });

  test('K10 a response that is in the mailbox already cannot be overtaken by its timer (H16)', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    let go: () => void = () => undefined;
    await node.start(B, shout, { public: true, holds: [A] });
    await node.start(A, async (guest) => {
      await guest.send(at(B), { body: bytesOf('x'), expectsResponse: 1 });
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      for (;;) seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(5_000);
    go();
    await settle();
    expect(seen).toEqual(['X']);
  });

  test('K11 K15 no answer: timeout after N seconds, with body, metadata, blob, context and the target as passed', async () => {
    const node = new TestNode();
    let delivery: Delivery | undefined;
    await node.start(B, idle, { public: true });
    await node.start(A, async (guest) => {
      await guest.send(
        `our@${B}`,
        { body: bytesOf('question'), metadata: 'meta', expectsResponse: 3 },
        { context: bytesOf('ctx'), blob: blob('blob', 'text/plain') },
      );
      delivery = await guest.receive();
    });
    await node.clock.advance(2_999);
    expect(delivery).toBeUndefined();
    await node.clock.advance(20);
    if (delivery?.kind !== 'send-error') throw new Error('no error');
    expect(textOf(delivery.context ?? new Uint8Array())).toBe('ctx');
    expect(delivery.error.kind).toBe('timeout');
    expect(formatAddress(delivery.error.target)).toBe(`our@${B}`);
    expect(delivery.error.blob?.mime).toBe('text/plain');
    const { message } = delivery.error;
    if (message.kind !== 'request') throw new Error('not a request');
    expect(textOf(message.request.body)).toBe('question');
    expect(message.request.metadata).toBe('meta');
    expect(message.request.expectsResponse).toBe(3);
  });

  test('K12 a target that does not exist: timeout at once, with the resolved node', async () => {
    const node = new TestNode();
    let delivery: Delivery | undefined;
    await node.start(A, async (guest) => {
      await guest.send(`our@${B}`, { body: bytesOf('x'), expectsResponse: 5 }, { blob: blob('y') });
      delivery = await guest.receive();
    });
    await settle();
    if (delivery?.kind !== 'send-error') throw new Error('no error');
    expect(delivery.error.kind).toBe('timeout');
    expect(formatAddress(delivery.error.target)).toBe(at(B));
    expect(textOf(delivery.error.blob?.bytes ?? new Uint8Array())).toBe('y');
  });

  test('K13 a fire-and-forget request to nobody: nothing happens', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(A, async (guest) => {
      await guest.send(at(B), { body: bytesOf('x') });
      for (;;) seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(60_000);
    expect(seen).toEqual([]);
  });

  test('K14 a private target without its capability: timeout at once and a level-0 line', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, shout);
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 5 });
      seen.push(bodyOf(await guest.receive()));
    });
    await settle();
    expect(seen).toEqual(['error timeout']);
    expect(node.sink.at(0).join()).toMatch(/no messaging capability/);
  });

  test('K16 expects-response 0 times out in the next turn', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, idle, { public: true });
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 0 });
      seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(0);
    expect(seen).toEqual(['error timeout']);
  });
});
