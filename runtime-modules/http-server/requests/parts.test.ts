/** Pieces that are hard to reach over a socket on this machine: other peers, long waits, any header a process can think of. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { FakeClock } from '../../../kernel/testing.ts';
import { answerHead, headerLines } from './answer-head.ts';
import { Deadline, Deadlines } from './deadlines.ts';
import { ANSWER_HEAD_BYTES_MAX, ANSWER_TICK_MS } from '../limits.ts';
import { Peer, proxyList } from './peer.ts';
import {
  claimedProto,
  clientAddress,
  isLocal,
  knownProto,
  parseHost,
  type Visit,
} from './visit.ts';

function visitFrom(
  remoteAddress: string,
  headers: Visit['headers'] = {},
  trusted: string[] = [],
): Visit {
  // A socket that is not connected has no address of its own.
  const socket = Object.assign(Object.create(Socket.prototype) as Socket, {});
  Object.defineProperties(socket, {
    remoteAddress: { value: remoteAddress },
    remotePort: { value: 1234 },
  });
  const host = parseHost('localhost');
  if (host === undefined) throw new Error('localhost is a host');
  return {
    peer: new Peer(socket, proxyList(trusted)),
    host,
    method: 'GET',
    path: '/',
    slash: false,
    query: '',
    headers,
  };
}

describe('peers', () => {
  test.each([
    ['127.0.0.1', true, '127.0.0.1:1234'],
    ['127.9.9.9', true, '127.9.9.9:1234'],
    ['::1', true, '[::1]:1234'],
    ['::ffff:127.0.0.1', true, '127.0.0.1:1234'],
    ['::ffff:10.0.0.1', false, '10.0.0.1:1234'],
    ['10.0.0.1', false, '10.0.0.1:1234'],
    ['128.0.0.1', false, '128.0.0.1:1234'],
    ['fe80::1', false, '[fe80::1]:1234'],
    ['::ffff:7f00:1', false, '[::ffff:7f00:1]:1234'],
  ])('M143 F21 %s is this machine: %s', (address, local, text) => {
    const visit = visitFrom(address);
    expect([isLocal(visit), visit.peer.loopback, visit.peer.text]).toEqual([local, local, text]);
  });

  test('F22 what a proxy says counts when it is ours', () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '6.6.6.6, 203.0.113.9' };
    const known = (address: string, trusted: string[] = []): unknown[] => {
      const visit = visitFrom(address, headers, trusted);
      return [knownProto(visit), clientAddress(visit)];
    };
    expect(known('127.0.0.1')).toEqual(['https', '203.0.113.9']);
    expect(known('10.0.0.2')).toEqual(['http', '10.0.0.2']);
    expect(known('10.0.0.2', ['10.0.0.2'])).toEqual(['https', '203.0.113.9']);
    expect(known('10.1.2.3', ['10.1.0.0/16'])).toEqual(['https', '203.0.113.9']);
    expect(known('10.2.2.3', ['10.1.0.0/16'])).toEqual(['http', '10.2.2.3']);
    expect(known('fd00::5', ['fd00::/8'])).toEqual(['https', '203.0.113.9']);
  });

  test('M159 where a client is redirected to is its own affair', () => {
    expect([
      claimedProto({ 'x-forwarded-proto': 'https' }),
      claimedProto({ 'x-forwarded-proto': 'HTTPS, http' }),
    ]).toEqual(['https', 'https']);
    for (const other of ['http', '', 'javascript', 'http, https'])
      expect(claimedProto({ 'x-forwarded-proto': other })).toBe('http');
    expect(claimedProto({})).toBe('http');
  });
});

class Noted extends Deadline {
  readonly #note: () => void;
  constructor(note: () => void) {
    super();
    this.#note = note;
  }
  override expire(): void {
    this.#note();
  }
}

describe('deadlines', () => {
  test('never early, at most a tick late, and nothing ticks when nothing waits', async () => {
    const clock = new FakeClock();
    const deadlines = new Deadlines(clock);
    const fired: [string, number][] = [];
    const entries = [0, 0.05, 1, 1, 15, 86_400].map((seconds, index) => {
      const entry = new Noted(() => fired.push([`${index}`, clock.nowMs() - seconds * 1000]));
      deadlines.arm(entry, seconds);
      return entry;
    });
    deadlines.disarm(entries[3]!);
    deadlines.disarm(entries[3]!);
    expect(deadlines.size).toBe(5);
    await clock.advance(16_000);
    expect(fired.map(([name]) => name)).toEqual(['0', '1', '2', '4']);
    for (const [, late] of fired) expect(late >= 0 && late <= ANSWER_TICK_MS).toBe(true);
    deadlines.disarm(entries[5]!);
    expect(deadlines.size).toBe(0);
    await clock.advance(1000);
    // Armed anew after a pause, and from within an expiry.
    deadlines.arm(new Noted(() => deadlines.arm(new Noted(() => fired.push(['again', 0])), 0)), 1);
    await clock.advance(2000);
    expect(fired.at(-1)).toEqual(['again', 0]);
    expect(deadlines.size).toBe(0);
  });

  test('after a pause of the whole thread what is due comes in order, at once', () => {
    let nowMs = 0;
    let wake: () => void = () => undefined;
    const deadlines = new Deadlines({
      nowMs: () => nowMs,
      schedule: (action) => {
        wake = action;
        return {};
      },
      cancel: () => undefined,
    });
    const fired: number[] = [];
    for (const seconds of [300, 3, 30, 3000])
      deadlines.arm(new Noted(() => fired.push(seconds)), seconds);
    nowMs = 1_000_000;
    wake();
    expect(fired).toEqual([3, 30, 300]);
    deadlines.close();
    expect(deadlines.size).toBe(0);
  });
});

describe('heads of answers', () => {
  test('M137 whatever a process writes, Node takes what is left of it', () => {
    const seed = Date.now() % 1_000_000;
    let state = seed;
    const random = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((state / 2_147_483_648) * below);
    };
    const odd = [
      '\r',
      '\n',
      '\0',
      ':',
      ' ',
      '\t',
      'é',
      '€',
      '\u{1f600}',
      '\ud800',
      '\x7f',
      '(',
      'set-cookie',
      'Content-Length',
      'a',
      'b',
      '-',
      '_',
      '\x80',
      '\xff',
      '\u0100',
    ];
    const text = (count: number): string =>
      Array.from({ length: count }, () => odd[random(odd.length)]).join('');
    for (let round = 0; round < 3000; round++) {
      const entries = Array.from(
        { length: random(4) },
        () => [text(random(4)), text(random(6))] as const,
      );
      const { headers } = headerLines(entries);
      const response = new ServerResponse(new IncomingMessage(new Socket()));
      expect(
        () => response.writeHead(200, headers as string[]),
        `seed ${seed}: ${JSON.stringify(entries)}`,
      ).not.toThrow();
    }
  });

  test('of names that differ in case only the last counts', () => {
    expect(
      headerLines([
        ['X-A', '1'],
        ['content-type', 'a'],
        ['x-a', '2'],
        ['Content-Type', 'b'],
      ]).headers,
    ).toEqual(['x-a', '2', 'Content-Type', 'b']);
  });

  test('M139 a head over its limit, or not UTF-8, is none', () => {
    const head = (padding: number): Uint8Array =>
      new TextEncoder().encode(`{"status":200,"headers":{"a":"${'x'.repeat(padding)}"}}`);
    const empty = head(0).length;
    expect(answerHead(head(ANSWER_HEAD_BYTES_MAX - empty))?.status).toBe(200);
    expect(answerHead(head(ANSWER_HEAD_BYTES_MAX - empty + 1))).toBeUndefined();
    expect(
      answerHead(Uint8Array.of(...head(0).subarray(0, -3), 0xff, 0x22, 0x7d, 0x7d)),
    ).toBeUndefined();
  });
});
