/** Both ends of `hn-ext/1` against each other, on a clock of the test's and sockets in memory (compute-market.md §10.3, §10.5; F40). */
import { expect, test } from 'vitest';
import { type ExtChannel, Pairing, type Paired } from '../../processes/compute/gpu/pairing.ts';
import { Session } from '../../processes/compute/gpu/session.ts';
import { encodeFrame, decodeFrame } from '../../wit/hn-ext/frames.ts';
import { proofOf } from '../../wit/hn-ext/handshake.ts';
import { LOCKOUT_MS, SILENCE_MS_MAX } from '../../wit/hn-ext/limits.ts';
import type { Frame } from '../../wit/hn-ext/schema.ts';
import { backoffMs } from './backoff.ts';
import type { Clock } from './clock.ts';
import { Link } from './link.ts';
import type { Dial, SocketEvents } from './socket.ts';

const TOKEN = new Uint8Array(32).fill(0x42);
const leased = { jobId: `0x${'ab'.repeat(32)}`, lease: 'cd'.repeat(16) };

class TestClock implements Clock {
  #now = 1_000;
  #timers: { at: number; work: () => void }[] = [];
  nowMs(): number {
    return this.#now;
  }
  after(ms: number, work: () => void): () => void {
    const timer = { at: this.#now + ms, work };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((each) => each !== timer));
  }
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const [next] = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#now = next.at;
      this.#timers = this.#timers.filter((each) => each !== next);
      next.work();
    }
    this.#now = end;
    await settled();
  }
}

/** Until nothing is under way. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

/** The process's end, as gpu:compute:sys puts it together. */
class Process {
  readonly frames: Frame[] = [];
  readonly channels = new Map<number, { channel: ExtChannel; events: SocketEvents }>();
  readonly session: Session;
  readonly pairing: Pairing;
  readonly resumed: boolean[] = [];
  /** No socket is let in. */
  down = false;
  #next = 1;

  constructor(clock: Clock, token = TOKEN) {
    const nowMs = (): number => clock.nowMs();
    const print = (): void => undefined;
    this.session = new Session(
      { nowMs, print },
      { frame: (frame) => void this.frames.push(frame), down: () => undefined },
    );
    const paired = (one: Paired): void =>
      void this.resumed.push(this.session.welcome(one, 300_000));
    this.pairing = new Pairing({ token, nowMs, print, paired });
  }

  /** `seenAs`: what the process sees as the other end; a relay has an end of its own. */
  dial(seenAs?: string): Dial {
    return (_url, events) => {
      const id = this.#next;
      this.#next += 1;
      const socket = `127.0.0.1:${40_000 + id}`;
      const end = (): void => {
        const known = this.channels.get(id);
        if (!this.channels.delete(id)) return;
        this.pairing.closed(known!.channel);
        this.session.closed(known!.channel);
        queueMicrotask(() => events.closed('ended'));
      };
      const channel: ExtChannel = {
        id,
        sourceAddress: seenAs ?? socket,
        tell: (frame) => queueMicrotask(() => this.channels.has(id) && events.frame(frame)),
        close: async () => queueMicrotask(end),
      };
      queueMicrotask(() => {
        if (this.down) return events.closed('refused');
        this.channels.set(id, { channel, events });
        events.opened(socket);
        return this.pairing.opened(channel);
      });
      return {
        send: (frame) =>
          queueMicrotask(() => this.channels.has(id) && this.receive(channel, frame)),
        sendBulk: () => undefined,
        bufferedBytes: 0,
        close: end,
        terminate: end,
      };
    };
  }

  receive(channel: ExtChannel, frame: Uint8Array): void {
    if (!this.pairing.received(channel, frame)) this.session.received(channel, frame);
  }

  /** Every socket breaks. */
  cut(): void {
    for (const [id, { channel, events }] of this.channels) {
      this.channels.delete(id);
      this.pairing.closed(channel);
      this.session.closed(channel);
      events.closed('cut');
    }
  }
}

/** The extension's end. */
class Extension {
  readonly frames: Frame[] = [];
  readonly said: string[] = [];
  readonly link: Link;
  over = false;

  constructor(clock: Clock, dial: Dial, token = TOKEN) {
    const options = { url: 'ws://localhost/', token, version: '1' };
    this.link = new Link(
      options,
      { clock, dial, print: (text) => void this.said.push(text) },
      {
        describe: () => ({ executor: `0x${'11'.repeat(20)}`, device: '{}', slots: 1, jobs: '[]' }),
        up: () => undefined,
        down: () => undefined,
        frame: (frame) => void this.frames.push(frame),
        bulk: () => undefined,
        room: () => undefined,
        superseded: () => (this.over = true),
      },
    );
    this.link.start();
  }
}

const seqOf = (frame: Frame): number | undefined =>
  frame.t === 'log.chunk' ? frame.body.seq : undefined;
const chunk = (seq: number) => ({ ...leased, seq, records: Uint8Array.of(seq) });

test('CM13 a socket that is away for 20 s loses no reliable frame and doubles none, in both directions', async () => {
  const clock = new TestClock();
  const process = new Process(clock);
  const extension = new Extension(clock, process.dial());
  await clock.pass(10);
  expect(extension.link.open).toBe(true);
  let seq = 0;
  const both = (count: number): void => {
    for (let at = 0; at < count; at += 1) {
      extension.link.send('log.chunk', chunk(seq));
      process.session.send('drain', { on: seq % 2 === 0 });
      seq += 1;
    }
  };
  both(5);
  await clock.pass(10);
  both(5);
  // Cut while frames are under way.
  process.down = true;
  process.cut();
  both(50);
  await clock.pass(20_000);
  expect(extension.link.open).toBe(false);
  process.down = false;
  await clock.pass(30_000);
  both(5);
  await clock.pass(10);
  expect(process.resumed).toEqual([false, true]);
  expect(process.frames.map(seqOf)).toEqual(Array.from({ length: 65 }, (_, at) => at));
  expect(extension.frames).toHaveLength(65);
  extension.link.close('test');
});

test('CM15 who does not know the token is denied, and three of them lock the door for a minute, but not for who is inside', async () => {
  const clock = new TestClock();
  const process = new Process(clock);
  const inside = new Extension(clock, process.dial());
  await clock.pass(10);
  // It checks nothing, as a thief would.
  const thief = async (): Promise<string[]> => {
    const heard: string[] = [];
    let send: (frame: Uint8Array) => void = () => undefined;
    const socket = process.dial()('', {
      opened: () => undefined,
      frame: (bytes) => {
        const read = decodeFrame(bytes);
        if (!read.ok) return;
        const { t, body } = read.value;
        heard.push(t === 'denied' ? `denied ${body.reason}` : t);
        const session = new Uint8Array(16);
        if (t === 'challenge')
          send(
            encodeFrame('hello', {
              proto: 'hn-ext/1',
              session,
              nonceE: new Uint8Array(32),
              version: '',
            }),
          );
        if (t === 'proof')
          send(
            encodeFrame('auth', {
              mac: body.mac,
              executor: '',
              device: '',
              slots: 1,
              jobs: '[]',
              epoch: '',
              lastSeq: 0,
            }),
          );
      },
      bulk: () => undefined,
      stray: () => undefined,
      closed: () => heard.push('closed'),
    });
    send = (frame) => socket.send(frame);
    await clock.pass(10);
    return heard;
  };
  for (let tries = 0; tries < 3; tries += 1)
    expect(await thief()).toEqual(['challenge', 'proof', 'denied wrong token', 'closed']);
  expect(await thief()).toEqual(['challenge', 'denied locked', 'closed']);
  expect(inside.link.open).toBe(true);
  await clock.pass(LOCKOUT_MS);
  expect(await thief()).toEqual(['challenge', 'proof', 'denied wrong token', 'closed']);
  inside.link.close('test');
});

test('CM15 T18 a handshake that was overheard opens nothing a second time', async () => {
  const clock = new TestClock();
  const process = new Process(clock);
  const overheard: Uint8Array[] = [];
  const dial = process.dial();
  const extension = new Extension(clock, (url, events) => {
    const socket = dial(url, events);
    return {
      ...socket,
      bufferedBytes: 0,
      send: (frame) => (overheard.push(frame), socket.send(frame)),
    };
  });
  await clock.pass(10);
  expect(process.resumed).toHaveLength(1);
  const heard: string[] = [];
  const replayed = process.dial('127.0.0.1:40001')('', {
    opened: () => undefined,
    frame: (bytes) => {
      const read = decodeFrame(bytes);
      heard.push(read.ok && read.value.t === 'denied' ? read.value.body.reason : 'frame');
    },
    bulk: () => undefined,
    stray: () => undefined,
    closed: () => undefined,
  });
  await clock.pass(10);
  for (const frame of overheard.slice(0, 2)) replayed.send(frame);
  await clock.pass(10);
  expect(process.resumed).toHaveLength(1);
  expect(heard).toContain('wrong token');
  extension.link.close('test');
});

test('F40 whoever sits on the port and passes frames on to the real process gets nothing', async () => {
  const clock = new TestClock();
  const process = new Process(clock);
  // Its own connection to the node ends elsewhere than the extension's to it.
  const extension = new Extension(clock, process.dial('127.0.0.1:50000'));
  await clock.pass(1_000);
  expect(process.resumed).toEqual([]);
  expect(extension.said.join()).toContain('does not know the token');
  extension.link.close('test');
});

test('F40 an extension proves nothing to a process that has not proven itself, and obeys it in nothing', async () => {
  const clock = new TestClock();
  const sent: string[] = [];
  const impostor: Dial = (_url, events) => {
    const tell = (frame: Uint8Array): void => queueMicrotask(() => events.frame(frame));
    queueMicrotask(() => {
      events.opened('127.0.0.1:1');
      tell(encodeFrame('welcome', { resume: false, epoch: 'e', lastSeq: 0, orphanMs: 1 }));
      tell(encodeFrame('job.start', leased, { n: 1, a: 0 }));
      tell(encodeFrame('challenge', { proto: ['hn-ext/1'], nonceP: new Uint8Array(32) }));
    });
    return {
      send: (frame) => {
        const read = decodeFrame(frame);
        if (!read.ok) return;
        sent.push(read.value.t);
        if (read.value.t !== 'hello') return;
        // The extension's own kind of proof, made without the token, and everything that comes after one.
        const { nonceE, session } = read.value.body;
        const transcript = { nonceP: new Uint8Array(32), nonceE, session, socket: '127.0.0.1:1' };
        tell(encodeFrame('proof', { mac: proofOf('process', new Uint8Array(32), transcript) }));
        tell(encodeFrame('welcome', { resume: false, epoch: 'e', lastSeq: 0, orphanMs: 1 }));
        tell(encodeFrame('job.start', leased, { n: 1, a: 0 }));
      },
      sendBulk: () => undefined,
      bufferedBytes: 0,
      close: () => undefined,
      terminate: () => undefined,
    };
  };
  const extension = new Extension(clock, impostor);
  await clock.pass(100);
  expect(sent).toEqual(['hello']);
  expect(extension.frames).toEqual([]);
  expect(extension.link.open).toBe(false);
  extension.link.close('test');
});

test('CM15 a newer extension takes the place of the older one, which does not come back', async () => {
  const clock = new TestClock();
  const process = new Process(clock);
  const first = new Extension(clock, process.dial());
  await clock.pass(10);
  const second = new Extension(clock, process.dial());
  await clock.pass(60_000);
  expect(first.over).toBe(true);
  expect(second.link.open).toBe(true);
  expect(process.resumed).toEqual([false, false]);
  first.link.send('log.chunk', chunk(0));
  second.link.send('log.chunk', chunk(1));
  await clock.pass(10);
  expect(process.frames.map(seqOf)).toEqual([1]);
  second.link.close('test');
});

test('a channel that is silent is given up by both ends; one that answers is not', async () => {
  const clock = new TestClock();
  const process = new Process(clock);
  const extension = new Extension(clock, process.dial());
  await clock.pass(10);
  for (let at = 0; at < 10; at += 1) {
    process.session.tick();
    await clock.pass(10_000);
  }
  expect(extension.link.open).toBe(true);
  // Nobody delivers anything any more, and nobody says so.
  process.channels.clear();
  process.down = true;
  await clock.pass(SILENCE_MS_MAX + 11_000);
  process.session.tick();
  expect(process.session.up).toBe(false);
  expect(extension.said.join()).toContain('the node is silent');
  extension.link.close('test');
});

test('a number that is missing ends the channel, and what was never taken comes on the next', async () => {
  const clock = new TestClock();
  const process = new Process(clock);
  const extension = new Extension(clock, process.dial());
  await clock.pass(10);
  const [{ channel } = { channel: undefined! }] = process.channels.values();
  process.receive(channel, encodeFrame('log.chunk', chunk(9), { n: 9, a: 0 }));
  await clock.pass(1_000);
  expect(process.frames).toEqual([]);
  extension.link.send('log.chunk', chunk(1));
  await clock.pass(1_000);
  expect(process.frames.map(seqOf)).toEqual([1]);
  extension.link.close('test');
});

test('waits between tries are doubled from a quarter of a second to half a minute, a fifth more or less', () => {
  expect([0, 1, 2, 3, 6, 7, 50].map((failures) => backoffMs(failures, 30_000, 0.5))).toEqual([
    250, 500, 1_000, 2_000, 16_000, 30_000, 30_000,
  ]);
  expect(backoffMs(0, 30_000, 0)).toBe(200);
  expect(backoffMs(0, 30_000, 1)).toBeCloseTo(300);
});
