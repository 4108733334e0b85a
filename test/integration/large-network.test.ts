/** A blob of 64 MiB from a process of one node to one of another, over real sockets, in both encodings; small messages pass meanwhile (findings F24). */
import { expect, test } from 'vitest';
import { defineProcess } from '../../processes/lib/index.ts';
import { LARGE_BYTES_MAX, LargeReceiver, sendLarge } from '../../processes/lib/large.ts';
import { acquainted } from '../../runtime-modules/net/testing/nodes.ts';
import { processId } from '../../wit/address.ts';
import { libraryGuest } from '../support/library-guest.ts';

const FILMS = processId('films:films:sys');
const TEST_MS_MAX = 120_000;

test.each([
  ['hl/1', LARGE_BYTES_MAX],
  ['reference', 12 * 1024 * 1024],
] as const)(
  'F24 a large blob reaches another node whole over %s, and a small message does not wait for it',
  async (wire, length) => {
    const [alice, bob] = await acquainted({ name: 'alice.os', wire }, { name: 'bob.os', wire });
    await using _alice = alice!;
    await using _bob = bob!;
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 4_099) bytes[at] = at & 255;
    const log: string[] = [];
    const films = new LargeReceiver();
    const module = defineProcess({
      onMessage: async (context, process) => {
        const received = await films.receive(context, (blob) => {
          const whole = Buffer.compare(blob.bytes, bytes) === 0;
          log.push(`${blob.source.node}: ${blob.about}: ${whole ? 'whole' : 'damaged'}`);
        });
        if (received) return undefined;
        if (context.text !== 'send') return 'small';
        await sendLarge(process, `bob.os@${FILMS}`, bytes, { about: 'a film' });
        log.push('sent');
        return 'sent';
      },
    });
    for (const node of [alice!, bob!])
      await node.node.start(
        FILMS,
        libraryGuest(module, { state: undefined }, () => true),
        { holds: [node.node.network()], public: true },
      );
    let over = false;
    const sending = alice!.ask('alice.os', 'send', FILMS).finally(() => (over = true));
    while (films.open === 0 && !over) await new Promise((resolve) => setImmediate(resolve));
    expect(await alice!.ask('bob.os', 'how are you?', FILMS)).toBe('small');
    expect(log).toEqual([]);
    expect(await sending).toBe('sent');
    expect(log).toEqual(['alice.os: a film: whole', 'sent']);
    expect(films.open).toBe(0);
  },
  TEST_MS_MAX,
);
