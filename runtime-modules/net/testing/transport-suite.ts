/** What every transport must do (style R4): `tcp`, `ws` and the network in memory run it. */
import { expect, test } from 'vitest';
import type { Connection, ConnectionHandler, NetAddress, Transport } from '../transport.ts';

export interface SuiteWorld extends AsyncDisposable {
  readonly transport: Transport;
  readonly at: NetAddress;
  /** Lets time pass, where time has to be told to. */
  readonly turn: () => Promise<void>;
}

/** One end, with what it was handed. */
class End implements ConnectionHandler {
  readonly connection: Connection;
  readonly frames: string[] = [];
  readonly lengths: number[] = [];
  ended: string | undefined;
  /** Called after each frame. */
  after: () => void = () => undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }
  attach(): this {
    this.connection.attach(this);
    return this;
  }
  onFrame(frame: Uint8Array): void {
    this.frames.push(frame.length > 64 ? `${frame.length}` : Buffer.from(frame).toString());
    this.after();
  }
  onLength(length: number): void {
    this.lengths.push(length);
  }
  onDrain(): void {}
  onEnd(reason: string): void {
    expect(this.ended).toBeUndefined();
    this.ended = reason;
  }
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

export function transportSuite(name: string, open: () => Promise<SuiteWorld>): void {
  const within = async (
    body: (world: SuiteWorld, until: (done: () => boolean) => Promise<void>) => Promise<void>,
  ): Promise<void> => {
    await using world = await open();
    await body(world, async (done) => {
      while (!done()) await world.turn();
    });
  };
  const joined = async (
    { transport, at, turn }: SuiteWorld,
    until: (done: () => boolean) => Promise<void>,
  ): Promise<{ ours: End; theirs: End; close: () => Promise<void>; port: number }> => {
    const accepted: Connection[] = [];
    const listener = await transport.listen(at, (connection) => accepted.push(connection));
    const dialling = transport.dial({ ...at, port: listener.port }, new AbortController().signal);
    void turn();
    let result: Awaited<typeof dialling> | undefined;
    void dialling.then((dialled) => (result = dialled));
    await until(() => result !== undefined && accepted.length === 1);
    if (result?.ok !== true) throw new Error('cannot dial');
    const [theirs] = accepted;
    return {
      ours: new End(result.value),
      theirs: new End(theirs!),
      close: () => listener.close(),
      port: listener.port,
    };
  };

  test(`${name}: frames of every length arrive whole and in order, both ways`, () =>
    within(async (world, until) => {
      const { ours, theirs } = await joined(world, until);
      ours.attach();
      theirs.attach();
      const sizes = [1, 2, 65, 1_000, 16_384, 16_385, 65_535];
      for (const size of sizes) ours.connection.send([Buffer.alloc(size - 1), bytes('x')]);
      theirs.connection.send([bytes('back')]);
      await until(() => theirs.frames.length === sizes.length && ours.frames.length === 1);
      expect(theirs.frames.slice(2)).toEqual(sizes.slice(2).map(String));
      expect(ours.frames).toEqual(['back']);
    }));

  test(`${name}: what is sent before the other side looks is kept for it`, () =>
    within(async (world, until) => {
      const { ours, theirs } = await joined(world, until);
      ours.attach();
      for (const text of ['one', 'two', 'three']) ours.connection.send([bytes(text)]);
      for (let turns = 0; turns < 5; turns++) await world.turn();
      theirs.attach();
      await until(() => theirs.frames.length === 3);
      expect(theirs.frames).toEqual(['one', 'two', 'three']);
    }));

  test(`${name}: after pause nothing is handed over, not even what came in the same read; then all of it`, () =>
    within(async (world, until) => {
      const { ours, theirs } = await joined(world, until);
      ours.attach();
      theirs.after = () => theirs.connection.pause();
      theirs.attach();
      for (const text of ['one', 'two', 'three']) ours.connection.send([bytes(text)]);
      for (const count of [1, 2, 3]) {
        await until(() => theirs.frames.length >= count);
        for (let turns = 0; turns < 3; turns++) await world.turn();
        expect(theirs.frames).toEqual(['one', 'two', 'three'].slice(0, count));
        theirs.connection.resume();
      }
    }));

  test(`${name}: a handler may hand the connection on in the middle of what has come`, () =>
    within(async (world, until) => {
      const { ours, theirs } = await joined(world, until);
      ours.attach();
      const second = new End(theirs.connection);
      theirs.after = () => second.attach();
      theirs.attach();
      for (const text of ['one', 'two', 'three']) ours.connection.send([bytes(text)]);
      await until(() => second.frames.length === 2);
      expect([theirs.frames, second.frames]).toEqual([['one'], ['two', 'three']]);
      ours.connection.end();
      await until(() => second.ended !== undefined);
      expect(theirs.ended).toBeUndefined();
    }));

  test(`${name}: a length goes before its frame where lengths are clear`, () =>
    within(async (world, until) => {
      const { ours, theirs } = await joined(world, until);
      if (ours.connection.lengths === 'sealed') return;
      ours.attach();
      theirs.connection.lengthNext = true;
      theirs.attach();
      ours.connection.send([bytes('abc')], 5);
      ours.connection.send([bytes('de')]);
      await until(() => theirs.frames.length === 2);
      expect([theirs.lengths, theirs.frames]).toEqual([[5], ['abc', 'de']]);
    }));

  test(`${name}: an end is told to both sides, once, after what was sent`, () =>
    within(async (world, until) => {
      const { ours, theirs } = await joined(world, until);
      ours.attach();
      theirs.attach();
      ours.connection.send([bytes('last words')]);
      ours.connection.end();
      ours.connection.end();
      await until(() => ours.ended !== undefined && theirs.ended !== undefined);
      expect(theirs.frames).toEqual(['last words']);
      ours.connection.send([bytes('too late')]);
      ours.connection.destroy();
      await world.turn();
    }));

  test(`${name}: nobody there, and no answer in time, are values`, () =>
    within(async (world, until) => {
      const { close, ours, theirs, port } = await joined(world, until);
      ours.attach();
      theirs.attach();
      ours.connection.destroy();
      await until(() => theirs.ended !== undefined);
      await close();
      let refused: unknown;
      void world.transport
        .dial({ ...world.at, port }, new AbortController().signal)
        .then((result) => (refused = result));
      await until(() => refused !== undefined);
      expect(refused).toMatchObject({ ok: false, error: 'ECONNREFUSED' });
      const gaveUp = await world.transport.dial({ ...world.at, port }, AbortSignal.abort());
      expect(gaveUp.ok).toBe(false);
    }));

  test(`${name}: two connections spliced carry everything, what was read before too, until either ends`, () =>
    within(async (world, until) => {
      const first = await joined(world, until);
      const second = await joined({ ...world, at: { ...world.at, port: 0 } }, until);
      for (const end of [first.ours, second.ours]) end.attach();
      let carried = 0;
      let ended = 0;
      first.theirs.after = () => first.theirs.connection.pause();
      first.theirs.attach();
      for (const text of ['for the router', 'early']) first.ours.connection.send([bytes(text)]);
      await until(() => first.theirs.frames.length === 1);
      const spliced = first.theirs.connection.spliceWith(second.theirs.connection, {
        onBytes: (count) => (carried += count),
        onEnd: () => ended++,
      });
      expect(spliced).toBe(true);
      first.theirs.connection.resume();
      second.theirs.connection.resume();
      first.ours.connection.send([Buffer.alloc(60_000)]);
      second.ours.connection.send([bytes('answer')]);
      await until(() => second.ours.frames.length === 2 && first.ours.frames.length === 1);
      expect(second.ours.frames).toEqual(['early', '60000']);
      expect(first.ours.frames).toEqual(['answer']);
      expect(carried).toBeGreaterThanOrEqual(60_006);
      second.ours.connection.destroy();
      await until(() => first.ours.ended !== undefined);
      expect(ended).toBe(1);
    }));
}
