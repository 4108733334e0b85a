/** How long the event loop is kept awake for an answer, with a clock and a loop that the test turns. */
import { expect, test } from 'vitest';
import { AWAKE_MS_MAX } from './limits.ts';
import { Wakeful } from './wakeful.ts';

/** A turn of a loop that does nothing else, in ms. */
const TURN_MS = 0.002;

/** One connection, and the loop of its host. */
class Host {
  nowMs = 1_000;
  /** Turns that the loop did not sleep before. */
  turned = 0;
  #soon: (() => void)[] = [];
  readonly wakeful = new Wakeful({
    nowMs: () => this.nowMs,
    soon: (turn) => this.#soon.push(turn),
  });

  get sleeps(): boolean {
    return this.#soon.length === 0;
  }

  turn(): void {
    this.turned++;
    this.nowMs += TURN_MS;
    for (const turn of this.#soon.splice(0)) turn();
  }

  /** A message that is answered after so long; the loop sleeps as soon as it may. */
  trip(answerMs: number): void {
    const answeredMs = this.nowMs + answerMs;
    this.wakeful.sent();
    while (!this.sleeps && this.nowMs + TURN_MS < answeredMs) this.turn();
    this.nowMs = answeredMs;
    this.wakeful.heard();
    while (!this.sleeps) this.turn();
  }

  /** Turns of so many trips. */
  turns(trips: number, answerMs: number): number {
    const before = this.turned;
    for (let trip = 0; trip < trips; trip++) this.trip(answerMs);
    return this.turned - before;
  }
}

test('a loop stays awake for an answer that comes within the moment, and not longer', () => {
  const host = new Host();
  for (let trip = 0; trip < 1_000; trip++) {
    const before = host.turned;
    host.trip(0.03);
    // All of the way to the answer, and one that finds that nothing is waited for any more.
    expect(host.turned - before).toBeGreaterThan(0.03 / TURN_MS - 3);
    expect(host.turned - before).toBeLessThan(0.03 / TURN_MS + 3);
  }
  host.wakeful.sent();
  const sentMs = host.nowMs;
  while (!host.sleeps) host.turn();
  expect(host.nowMs - sentMs).toBeLessThan(AWAKE_MS_MAX + 2 * TURN_MS);
});

test('a peer that answers later is waited for ever more seldom', () => {
  const host = new Host();
  const whole = AWAKE_MS_MAX / TURN_MS;
  expect(host.turns(10_000, 5)).toBeLessThan(12 * (whole + 2));
  expect(host.turns(10_000, 5)).toBeLessThan(4 * (whole + 2));
});

test('a peer that has come nearer is waited for again', () => {
  const host = new Host();
  host.turns(10_000, 5);
  host.turns(5_000, 0.03);
  const before = host.turned;
  host.trip(0.03);
  expect(host.turned - before).toBeGreaterThan(10);
});

test('an answer that is there at once keeps nobody awake: on one processor it is the other end that ran', () => {
  const host = new Host();
  // Sent, and the other end ran before anything else here; every tenth time it needed us to sleep.
  for (let trip = 0; trip < 10_000; trip++) {
    if (trip % 10 === 0) host.trip(5);
    else host.trip(0);
  }
  expect(host.turned).toBeLessThan(20 * (AWAKE_MS_MAX / TURN_MS));
});

test('messages that follow each other share one wait', () => {
  const host = new Host();
  for (let sent = 0; sent < 100; sent++) host.wakeful.sent();
  host.turn();
  host.wakeful.sent();
  while (!host.sleeps) host.turn();
  expect(host.turned).toBeLessThan(AWAKE_MS_MAX / TURN_MS + 4);
});
