/** A blob of 64 MiB from a process of one node to one of another, over real sockets, in both encodings; small messages pass meanwhile (findings F24). */
import { expect, test } from 'vitest';
import { defineProcess, MessageTooLarge } from '../../processes/lib/index.ts';
import { LARGE_BYTES_MAX, LargeReceiver, sendLarge } from '../../processes/lib/large.ts';
import { acquainted, type NetNode } from '../../runtime-modules/net/testing/nodes.ts';
import { processId } from '../../wit/address.ts';
import { libraryGuest } from '../support/library-guest.ts';

const FILMS = processId('films:films:sys');
const MIB = 1024 * 1024;
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

test(
  'F24 what a reference node cannot take is refused to the process that sends it, with both sizes; between hyperloom nodes 64 MiB pass',
  async () => {
    const reference = await acquainted({ name: 'alice.os' }, { name: 'bob.os', wire: 'reference' });
    const hyperloom = await acquainted({ name: 'alice.os' }, { name: 'bob.os' });
    await using _nodes = new AsyncDisposableStack();
    for (const node of [...reference, ...hyperloom]) _nodes.use(node);
    const tried = async (
      [alice, bob]: NetNode[],
      bytes: number,
      fill: number,
    ): Promise<unknown> => {
      let outcome: unknown = 'nothing';
      const sender = defineProcess({
        onMessage: async (context, process) => {
          if (context.isLocal) {
            const blob = { mime: undefined, bytes: new Uint8Array(bytes).fill(fill) };
            outcome = await process.request(`bob.os@${FILMS}`, 'here', { timeoutS: 60, blob }).then(
              ({ body }) => Buffer.from(body).toString(),
              (error: unknown) => error,
            );
          }
          return `${context.blob()?.bytes.length ?? 0}`;
        },
      });
      for (const { node } of [alice!, bob!])
        await node.start(
          FILMS,
          libraryGuest(sender, { state: undefined }, () => true),
          {
            holds: [node.network()],
            public: true,
          },
        );
      await alice!.ask('alice.os', 'send', FILMS);
      for (const { node } of [alice!, bob!]) await node.kernel.kill(FILMS, { revoke: false });
      return outcome;
    };
    expect(await tried(reference, 10_400_000, 1)).toBe('10400000');
    // Bytes above 127 take two; 2 for each, and what stands around them.
    const refused = await tried(reference, 6_000_000, 0xff);
    expect(refused).toBeInstanceOf(MessageTooLarge);
    expect(refused).toMatchObject({ kind: 'timeout', bytesMax: 10_485_800 });
    expect((refused as MessageTooLarge).bytes).toBeGreaterThan(12_000_000);
    expect((refused as MessageTooLarge).bytes).toBeLessThan(12_001_000);
    expect(await tried(reference, 64 * MIB, 1)).toMatchObject({ bytesMax: 10_485_800 });
    expect(await tried(hyperloom, 64 * MIB, 0xff)).toBe(`${64 * MIB}`);
    const over = await tried(hyperloom, 66 * MIB, 1);
    expect(over).toMatchObject({ name: 'MessageTooLarge', bytesMax: 65 * MIB });
  },
  TEST_MS_MAX,
);
