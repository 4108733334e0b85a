/** Routers that read, drop, repeat, change, hold up and mix up what they carry (networking.md §8; issue of networking, "Bad input"). */
import { expect, test } from 'vitest';
import type { GuestCode } from '../../kernel/testing.ts';
import type { NetNode } from './testing/nodes.ts';
import { World } from './testing/world.ts';

const ECHO = 'echo:echo:sys';
const DEADLINE_S = 5;

interface Scene extends AsyncDisposable {
  readonly world: World;
  readonly alice: NetNode;
  readonly bob: NetNode;
  /** Bodies that bob's process got, in order. */
  readonly heard: string[];
  /** A process of alice asks bob's; the body of the answer, or the kind of the send error. */
  ask(body: string): Promise<string>;
}

/** Two nodes that reach each other through one router only. */
async function scene(wire: 'reference' | 'hl/1'): Promise<Scene> {
  const world = new World();
  const [, alice, bob] = await world.acquainted(
    { name: 'router.os', passthroughsMax: 8, wire },
    { name: 'alice.os', routers: ['router.os'], wire },
    { name: 'bob.os', routers: ['router.os'], wire },
  );
  await world.clock.advance(5_000);
  const heard: string[] = [];
  const echo: GuestCode = async (guest) => {
    for (;;) {
      const { request } = await guest.request();
      heard.push(Buffer.from(request.body).toString());
      await guest.respond(request.body);
    }
  };
  await bob!.node.start(ECHO, echo, { holds: [bob!.node.network()], public: true });
  let askers = 0;
  const ask = async (body: string): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const asker: GuestCode = async (guest) => {
      const request = { body: Buffer.from(body), expectsResponse: DEADLINE_S };
      const answer = await guest.sendAndAwait(`bob.os@${ECHO}`, request);
      if (!answer.ok) return resolve(answer.error.kind);
      const { message } = answer.value;
      resolve(message.kind === 'response' ? Buffer.from(message.response.body).toString() : '?');
    };
    await alice!.node.start(`asker-${askers++}:test:sys`, asker, {
      holds: [alice!.node.network()],
    });
    return promise;
  };
  return {
    world,
    alice: alice!,
    bob: bob!,
    heard,
    ask,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

const ROUTER = new World().ip(1);

test.each(['hl/1', 'reference'] as const)(
  'a router sees who talks to whom, and of what they say ciphertext only (%s)',
  async (wire) => {
    await using made = await scene(wire);
    const { world, heard } = made;
    const seen: Buffer[] = [];
    world.network.tamper = (frame, from, to) => {
      if (from === ROUTER || to === ROUTER) seen.push(Buffer.from(frame));
      return [frame];
    };
    expect(await world.until(made.ask('the secret'))).toBe('the secret');
    expect(heard).toEqual(['the secret']);
    const all = Buffer.concat(seen).toString('latin1');
    // The request to the router is for it to read; what follows on the same connection is not.
    expect(all).toContain('bob.os');
    for (const text of ['the secret', 'echo:echo:sys', 'asker-']) expect(all).not.toContain(text);
  },
);

type Tamper = NonNullable<World['network']['tamper']>;
/** What a router may do to every third of the frames that it carries. */
const SPOILED: Readonly<Record<string, () => (frame: Uint8Array) => readonly Uint8Array[]>> = {
  drops: () => () => [],
  duplicates: () => (frame) => [frame, frame],
  'changes a bit of': () => (frame) => {
    const changed = Buffer.from(frame);
    changed[changed.length >> 1] = changed[changed.length >> 1]! ^ 1;
    return [changed];
  },
  'cuts the end of': () => (frame) => [frame.subarray(0, frame.length - 1)],
  'adds to': () => (frame) => [Buffer.concat([frame, Buffer.of(0)])],
  'replaces by an earlier one': () => {
    let earlier: Uint8Array | undefined;
    return (frame) => {
      const passed = [earlier ?? frame];
      earlier ??= Buffer.from(frame);
      return passed;
    };
  },
  'holds back and swaps': () => {
    let held: Uint8Array | undefined;
    return (frame) => {
      if (held === undefined) {
        held = Buffer.from(frame);
        return [];
      }
      const passed = [frame, held];
      held = undefined;
      return passed;
    };
  },
};

test.each(
  Object.entries(SPOILED).flatMap(([what, make]) =>
    (['hl/1', 'reference'] as const).map((wire) => ({ what, make, wire })),
  ),
)(
  'F28 a router that $what frames ends links, and makes nobody hear what was not said ($wire)',
  async ({ make, wire }) => {
    await using made = await scene(wire);
    const { world, alice, bob, heard } = made;
    expect(await world.until(made.ask('before'))).toBe('before');
    const spoil = make();
    let carried = 0;
    const tamper: Tamper = (frame, from) =>
      from === ROUTER && ++carried % 3 === 0 ? spoil(frame) : [frame];
    world.network.tamper = tamper;
    const bodies = Array.from({ length: 20 }, (_, index) => `message ${index}`);
    const asked: Promise<string>[] = [];
    for (const body of bodies) {
      asked.push(made.ask(body));
      await world.clock.advance(200);
    }
    const ended = await world.until(Promise.all(asked));
    // Each ended: with its own answer, or with none.
    for (const [index, outcome] of ended.entries())
      expect([bodies[index], 'timeout', 'offline']).toContain(outcome);
    expect(ended.some((outcome) => outcome === 'timeout' || outcome === 'offline')).toBe(true);
    // What was heard was said, in that order, and once.
    const said = ['before', ...bodies].filter((body) => heard.includes(body));
    expect(heard).toEqual(said);
    const reasons = [alice, bob].flatMap(({ module }) => module.net.refusals.lines());
    expect(reasons.length).toBeGreaterThan(0);
    world.network.tamper = undefined;
    await world.clock.advance(10_000);
    expect(await world.until(made.ask('after'), 20_000)).toBe('after');
  },
);

test('F28 F29 what a router holds up for seconds arrives, or is known not to have', async () => {
  await using made = await scene('hl/1');
  const { world, heard } = made;
  expect(await world.until(made.ask('before'))).toBe('before');
  for (const index of [2, 3]) world.network.partition(ROUTER, world.ip(index));
  const held = made.ask('held');
  await world.clock.advance(2_500);
  for (const index of [2, 3]) world.network.heal(ROUTER, world.ip(index));
  expect(await world.until(held)).toBe('held');
  expect(heard).toEqual(['before', 'held']);
});
