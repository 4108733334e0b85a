/** Requests, responses, prompting and blobs: K5 - K37. */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../wit/address.ts';
import type { Delivery } from './process-host.ts';
import { bytesOf, settle, TestNode, textOf, type GuestApi, type GuestCode } from './testing.ts';

const A = 'a:pkg:sys';
const B = 'b:pkg:sys';
const C = 'c:pkg:sys';
const at = (id: string): string => `fake.os@${id}`;

/** Answers every request with its body in capitals. */
const shout: GuestCode = async (guest) => {
  for (;;) {
    const { body } = await guest.request();
    await guest.respond(body.toUpperCase());
  }
};
const silent: GuestCode = async (guest) => {
  for (;;) await guest.receive();
};
const blob = (text: string, mime?: string): { mime: string | undefined; bytes: Uint8Array } => ({
  mime,
  bytes: bytesOf(text),
});
const bodyOf = (delivery: Delivery): string => {
  if (delivery.kind !== 'message') return `error ${delivery.error.kind}`;
  const { message } = delivery;
  return textOf(message.kind === 'request' ? message.request.body : message.response.body);
};
const blobText = (guest: GuestApi): string | undefined => {
  const got = guest.host.getBlob();
  return got === undefined ? undefined : textOf(got.bytes);
};
const lastText = (guest: GuestApi): string | undefined => {
  const got = guest.host.lastBlob();
  return got === undefined ? undefined : textOf(got.bytes);
};

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
    await node.start(B, silent, { public: true });
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
    await node.start(B, silent, { public: true });
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 0 });
      seen.push(bodyOf(await guest.receive()));
    });
    await node.clock.advance(0);
    expect(seen).toEqual(['error timeout']);
  });
});

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

describe('blobs', () => {
  /** Sends B three requests; B passes the second on to C. What C gets is the result. */
  async function inherited(explicit: string | undefined): Promise<(string | undefined)[]> {
    const node = new TestNode();
    const seen: (string | undefined)[] = [];
    await node.start(
      C,
      async (guest) => {
        for (;;) {
          await guest.request();
          seen.push(blobText(guest));
        }
      },
      { public: true },
    );
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await guest.request();
        const more = explicit === undefined ? {} : { blob: blob(explicit) };
        await guest.send(at(C), { inherit: true }, more);
        await guest.receive();
      },
      { public: true },
    );
    await node.start(A, async (guest) => {
      await guest.send(at(B), {}, { blob: blob('older') });
      await guest.send(at(B), {});
      await guest.receive();
    });
    return seen;
  }

  test('K24 an inherited request takes the last blob, even if the current message had none', async () => {
    expect(await inherited(undefined)).toEqual(['older']);
  });

  test('K25 an explicit blob wins over the inherited one of a request', async () => {
    expect(await inherited('mine')).toEqual(['mine']);
  });

  async function answeredWith(
    given: string | undefined,
    explicit: string,
  ): Promise<string | undefined> {
    const node = new TestNode();
    let seen: string | undefined = 'nothing came';
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await guest.respond('ok', { inherit: true }, blob(explicit));
        await guest.receive();
      },
      { public: true, holds: [A] },
    );
    await node.start(A, async (guest) => {
      await guest.send(
        at(B),
        { expectsResponse: 5 },
        given === undefined ? {} : { blob: blob(given) },
      );
      await guest.receive();
      seen = blobText(guest);
    });
    return seen;
  }

  test('K26 an inheriting response sends the last blob and ignores the explicit one', async () => {
    expect(await answeredWith('given', 'explicit')).toBe('given');
  });

  test('K27 an inheriting response without any blob ever received sends none', async () => {
    expect(await answeredWith(undefined, 'explicit')).toBeUndefined();
  });

  test('K31 K32 K34 has-blob, get-blob and last-blob over messages with, without and with an empty blob', async () => {
    const node = new TestNode();
    const seen: unknown[] = [];
    await node.start(
      B,
      async (guest) => {
        for (;;) {
          await guest.request();
          const first = guest.host.getBlob();
          seen.push([
            guest.host.hasBlob(),
            first?.mime,
            blobText(guest),
            guest.host.getBlob() === first,
            lastText(guest),
          ]);
        }
      },
      { public: true },
    );
    await node.start(A, async (guest) => {
      await guest.send(at(B), {});
      await guest.send(at(B), {}, { blob: blob('one', 'text/plain') });
      await guest.send(at(B), {});
      await guest.send(at(B), {}, { blob: blob('') });
      await guest.receive();
    });
    expect(seen).toEqual([
      [false, undefined, undefined, true, undefined],
      [true, 'text/plain', 'one', true, 'one'],
      [false, undefined, undefined, true, 'one'],
      [true, undefined, '', true, ''],
    ]);
  });

  test('K33 a send error clears the flag; its blob is inside the record only', async () => {
    const node = new TestNode();
    const seen: unknown[] = [];
    await node.start(
      A,
      async (guest) => {
        await guest.send(at(A), {}, { blob: blob('mine') });
        await guest.receive();
        await guest.send(at(B), { expectsResponse: 1 }, { blob: blob('lost') });
        const delivery = await guest.receive();
        if (delivery.kind !== 'send-error') throw new Error();
        seen.push(
          guest.host.hasBlob(),
          lastText(guest),
          textOf(delivery.error.blob?.bytes ?? new Uint8Array()),
        );
      },
      {},
    );
    await settle();
    expect(seen).toEqual([false, 'mine', 'lost']);
  });

  test('K35 set-state and clear-state hide the blob; last-blob keeps it', async () => {
    const node = new TestNode();
    const seen: unknown[] = [];
    await node.start(A, async (guest) => {
      await guest.send(at(A), {}, { blob: blob('b') });
      await guest.receive();
      seen.push(blobText(guest));
      await guest.host.setState(bytesOf('s'));
      seen.push(guest.host.hasBlob(), blobText(guest), lastText(guest));
      await guest.send(at(A), {}, { blob: blob('c') });
      await guest.receive();
      await guest.host.clearState();
      seen.push(guest.host.hasBlob(), blobText(guest), lastText(guest));
    });
    await settle();
    expect(seen).toEqual(['b', false, undefined, 'b', false, undefined, 'c']);
  });

  test('K36 get-state with a value sets the flag, and get-blob then shows the previous blob', async () => {
    const node = new TestNode();
    const seen: unknown[] = [];
    await node.start(A, async (guest) => {
      await guest.host.setState(bytesOf('saved'));
      await guest.host.getState();
      seen.push(guest.host.hasBlob(), blobText(guest));
      await guest.send(at(A), {}, { blob: blob('b') });
      await guest.receive();
      await guest.send(at(A), {});
      await guest.receive();
      await guest.host.getState();
      seen.push(guest.host.hasBlob(), blobText(guest));
      await guest.host.clearState();
      await guest.host.getState();
      seen.push(guest.host.hasBlob(), blobText(guest));
    });
    await settle();
    expect(seen).toEqual([true, undefined, true, 'b', false, undefined]);
  });

  test("K37 after an await, get-blob is the awaited response's", async () => {
    const node = new TestNode();
    const seen: unknown[] = [];
    await node.start(
      B,
      async (guest) => {
        await guest.request();
        await guest.respond('r', {}, blob('theirs'));
        await guest.receive();
      },
      { public: true, holds: [A] },
    );
    await node.start(A, async (guest) => {
      await guest.send(at(A), {}, { blob: blob('mine') });
      await guest.receive();
      await guest.sendAndAwait(at(B), {});
      seen.push(guest.host.hasBlob(), blobText(guest));
    });
    await settle();
    expect(seen).toEqual([true, 'theirs']);
  });
});
