/** Which blob goes with a message, and which one a guest sees: K24 - K27, K31 - K37. */
import { describe, expect, test } from 'vitest';
import { bytesOf, settle, TestNode, textOf } from './testing.ts';
import { A, B, C, at } from './processes.testing.ts';
import { blob, blobText, lastText } from './messages.testing.ts';

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
