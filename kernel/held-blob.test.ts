/** Memory of blobs is given back while others hold on to theirs: nobody ever sees the difference but in memory (findings.md F15). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LazyLoadBlob } from '../wit/types.ts';
import { HeldBlob, hold, keep, letGo } from './held-blob.ts';
import type { RuntimeModule } from './module.ts';
import { Trap, type Delivery } from './process-host.ts';
import { bytesOf, requestOf, settle, TestNode, textOf, type GuestApi } from './testing.ts';

const IDS = ['a:pkg:sys', 'b:pkg:sys', 'c:pkg:sys'];
const KEEPER = 'keeper:distro:sys';
const utf8 = (text: string): Uint8Array => Uint8Array.from(bytesOf(text));
const plain = (text: string): LazyLoadBlob => ({ mime: undefined, bytes: utf8(text) });
const held = (text: string): HeldBlob => new HeldBlob(undefined, utf8(text));
const textIn = (blob: LazyLoadBlob | undefined): string =>
  blob === undefined ? '-' : textOf(blob.bytes);

test('F15 the memory of a blob is given back when its last holder lets it go, and not before', () => {
  const blob = held('twice');
  hold(blob);
  hold(blob);
  letGo(blob);
  expect(textOf(blob.bytes)).toBe('twice');
  letGo(blob);
  expect(blob.bytes.length).toBe(0);
});

test('F15 a blob that somebody keeps, or that shares its memory, is left to the collector', () => {
  const kept = held('kept');
  hold(kept);
  keep(kept);
  letGo(kept);
  expect(textOf(kept.bytes)).toBe('kept');
  const part = new HeldBlob(undefined, new Uint8Array(16).subarray(4, 8));
  hold(part);
  letGo(part);
  expect(part.bytes.length).toBe(4);
});

const who = fc.nat(IDS.length - 1);
const step = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      who,
      to: fc.constantFrom(...IDS, ...IDS, ...IDS, KEEPER, 'no:such:process'),
      inherit: fc.boolean(),
      blob: fc.boolean(),
      expects: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('await' as const),
      who,
      to: fc.constantFrom(...IDS, KEEPER, 'no:such:process'),
      blob: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('receive' as const), who }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('respond' as const),
      who,
      inherit: fc.boolean(),
      blob: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('late' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stepping' as const), on: fc.boolean() }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What everybody sees of blobs while the steps are done. */
async function seen(
  steps: readonly Step[],
  make: (text: string) => LazyLoadBlob,
): Promise<string[]> {
  const node = new TestNode();
  const log: string[] = [];
  const keeps: LazyLoadBlob[] = [];
  const keeper: RuntimeModule = {
    name: 'keeper',
    public: true,
    decode: ({ blob }) => {
      if (blob !== undefined) keeps.push(blob);
      return { ok: false, error: { body: utf8('kept'), blob: plain('an answer') } };
    },
    handle: () => Promise.resolve(undefined),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  node.kernel.registerModule(keeper);
  const guests: GuestApi[] = [];
  const pending = IDS.map(() => false);
  for (const id of IDS)
    await node.start(
      id,
      (guest) => {
        guests.push(guest);
        return new Promise(() => undefined);
      },
      { public: true },
    );
  let made = 0;
  const blob = (wanted: boolean): LazyLoadBlob | undefined =>
    wanted ? make(`blob ${made++}`) : undefined;
  const took = (who: number, got: Delivery | Trap): void => {
    const error = got instanceof Trap || got.kind === 'message' ? '' : textIn(got.error.blob);
    log.push(`${who} got ${got instanceof Trap ? 'a trap' : got.kind} ${error}`);
  };
  const waits = (who: number, wait: (wake: (got: Delivery | Trap) => void) => unknown): void => {
    const now = wait((got) => {
      pending[who] = false;
      took(who, got);
    }) as Delivery | undefined;
    if (now === undefined) pending[who] = true;
    else took(who, now);
  };
  const act = (one: Step): void => {
    if (one.do === 'stepping') {
      node.kernel.debug.setStepping(one.on);
      return;
    }
    if (one.do === 'late' || pending[one.who] === true) return;
    const { host } = guests[one.who]!;
    switch (one.do) {
      case 'send': {
        const request = requestOf({
          inherit: one.inherit,
          expectsResponse: one.expects ? 5 : undefined,
        });
        void host.sendRequest({
          target: node.address(one.to),
          request,
          context: undefined,
          blob: blob(one.blob),
        });
        break;
      }
      case 'await':
        if (one.to !== IDS[one.who])
          waits(one.who, (wake) =>
            host.sendAndAwaitResponse(
              node.address(one.to),
              requestOf({ expectsResponse: 5 }),
              blob(one.blob),
              wake,
            ),
          );
        break;
      case 'receive':
        waits(one.who, (wake) => host.receive(wake));
        break;
      case 'respond':
        void host.sendResponse(
          {
            inherit: one.inherit,
            body: new Uint8Array(),
            metadata: undefined,
            capabilities: [],
          },
          blob(one.blob),
        );
    }
  };
  for (const one of steps) {
    act(one);
    await (one.do === 'late' ? node.clock.advance(6_000) : settle());
    for (const { host } of guests) log.push(`${textIn(host.getBlob())} ${textIn(host.lastBlob())}`);
  }
  node.kernel.debug.setStepping(false);
  await settle();
  log.push(`kept ${keeps.map(textIn).join()}`);
  await node.kernel.shutdown();
  return log;
}

test('F15 processes and modules see of blobs that are given back what they see of others', async () => {
  let freed = 0;
  let whole = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 80 }), async (steps) => {
      const all: HeldBlob[] = [];
      const counted = await seen(steps, (text) => {
        const made = held(text);
        all.push(made);
        return made;
      });
      expect(counted).toEqual(await seen(steps, plain));
      freed += all.filter(({ bytes }) => bytes.length === 0).length;
      whole += all.filter(({ bytes }) => bytes.length > 0).length;
    }),
    { numRuns: 60 },
  );
  // Else nothing was tried.
  expect(freed).toBeGreaterThan(20);
  expect(whole).toBeGreaterThan(20);
});

test('F15 of blobs exchanged one after another, only those that can still be asked for take memory', async () => {
  const node = new TestNode();
  const [A = '', B = ''] = IDS;
  const sent: HeldBlob[] = [];
  const make = (text: string): HeldBlob => {
    const made = held(text);
    sent.push(made);
    return made;
  };
  await node.start(
    B,
    async (guest) => {
      for (;;) {
        const { body } = await guest.request();
        await guest.respond(body, {}, make(`to A ${body}`));
      }
    },
    { public: true },
  );
  const got: string[] = [];
  await node.start(
    A,
    async (guest) => {
      for (let n = 0; n < 5; n++) {
        await guest.sendAndAwait(node.address(B), { body: utf8(String(n)) }, make(`to B ${n}`));
        got.push(textIn(guest.host.getBlob()));
      }
      await new Promise(() => undefined);
    },
    { public: true },
  );
  expect(got).toEqual([0, 1, 2, 3, 4].map((n) => `to A ${n}`));
  expect(sent.map(textIn).filter((text) => text !== '')).toEqual(['to B 4', 'to A 4']);
});

test('F15 a message that waits for a step keeps its blob', async () => {
  const node = new TestNode();
  const [A = '', B = ''] = IDS;
  const got: string[] = [];
  await node.start(
    B,
    async (guest) => {
      for (;;) {
        await guest.request();
        got.push(textIn(guest.host.getBlob()));
      }
    },
    { public: true },
  );
  // Passes on what it gets.
  await node.start(
    A,
    async (guest) => {
      for (;;) {
        await guest.request();
        await guest.send(node.address(B), { inherit: true });
      }
    },
    { public: true },
  );
  let sender: GuestApi | undefined;
  await node.start('sender:pkg:sys', (guest) => {
    sender = guest;
    return new Promise(() => undefined);
  });
  const { host } = sender!;
  const send = (blob: LazyLoadBlob): unknown =>
    host.sendRequest({ target: node.address(A), request: requestOf({}), context: undefined, blob });
  node.kernel.debug.setStepping(true);
  send(held('first'));
  send(held('second'));
  await settle();
  // "second" goes to A, whose register then lets "first" go, before the message with "first" goes to B.
  while (node.kernel.debug.held > 0) {
    node.kernel.debug.step();
    await settle();
  }
  expect(got).toEqual(['first', 'second']);
});
