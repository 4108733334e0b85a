/**
 * How often logins may be tried, decided before anything is hashed (runtime-modules.md H9, findings.md F33).
 *
 * Two things are counted. Each address has some failures free and then waits, longer after each one. All addresses together have a
 * number of attempts per second; those without failures of their own draw on a stock of their own, and those that have logged in
 * before on none, so that a crowd of guessers does not keep the owner out. Every wait ends, and being refused does not lengthen it.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Result } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';

/** Failures of one address before it has to wait. */
export const FAILURES_FREE = 5;
/** Longest wait of one address between two attempts, in seconds; it doubles from 1. */
export const WAIT_S_MAX = 60;
/** Time after which the failures of an address are forgotten, in seconds. */
export const FORGET_S = 900;
/** Attempts at once of all addresses that have failed before, and of all that have not; one more each second. */
export const STOCK_MAX = 20;
/** Addresses that are remembered; the one unused longest is forgotten first. */
export const PEERS_MAX = 4_096;

/** An attempt that may be made. It counts as a failure until it is said to have succeeded, so that attempts at once add up. */
export interface Attempt {
  succeeded(): void;
}

interface Peer {
  failures: number;
  lastAtMs: number;
  /** Has logged in since the node started. */
  known: boolean;
}

/** Fills by one each second. */
class Stock {
  #count = STOCK_MAX;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** 0: taken; else seconds until there is one. */
  take(nowMs: number): number {
    this.#count = Math.min(STOCK_MAX, this.#count + (nowMs - this.#atMs) / 1_000);
    this.#atMs = nowMs;
    if (this.#count < 1) return Math.ceil(1 - this.#count);
    this.#count -= 1;
    return 0;
  }

  giveBack(): void {
    this.#count = Math.min(STOCK_MAX, this.#count + 1);
  }
}

export class LoginAttempts {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #peers = new Map<string, Peer>();
  readonly #unfailed: Stock;
  readonly #failed: Stock;

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock;
    this.#unfailed = new Stock(clock.nowMs());
    this.#failed = new Stock(clock.nowMs());
  }

  /** @returns the attempt, or whole seconds until it is worth asking again, at least 1 */
  begin(address: string): Result<Attempt, number> {
    const nowMs = this.#clock.nowMs();
    const key = peerKey(address);
    const peer = this.#peers.get(key) ?? { failures: 0, lastAtMs: nowMs, known: false };
    if (nowMs - peer.lastAtMs >= FORGET_S * 1_000) peer.failures = 0;
    const waitMs = peer.lastAtMs + waitS(peer.failures) * 1_000 - nowMs;
    if (waitMs > 0) return { ok: false, error: Math.ceil(waitMs / 1_000) };
    const stock = this.#stockOf(peer);
    const stockWaitS = stock?.take(nowMs) ?? 0;
    if (stockWaitS > 0) return { ok: false, error: stockWaitS };
    peer.failures += 1;
    peer.lastAtMs = nowMs;
    this.#keep(key, peer);
    return {
      ok: true,
      value: {
        succeeded: () => {
          peer.failures = 0;
          peer.known = true;
          stock?.giveBack();
        },
      },
    };
  }

  #stockOf(peer: Peer): Stock | undefined {
    if (peer.known) return undefined;
    return peer.failures === 0 ? this.#unfailed : this.#failed;
  }

  #keep(key: string, peer: Peer): void {
    this.#peers.delete(key);
    this.#peers.set(key, peer);
    const [oldest] = this.#peers.keys();
    if (this.#peers.size > PEERS_MAX && oldest !== undefined) this.#peers.delete(oldest);
  }
}

function waitS(failures: number): number {
  return failures < FAILURES_FREE ? 0 : Math.min(WAIT_S_MAX, 2 ** (failures - FAILURES_FREE));
}

/** An IPv4 address, or the first half of an IPv6 one: who has one of those has them all. */
function peerKey(address: string): string {
  const [plain = ''] = address.toLowerCase().split('%');
  const mapped = plain.replace(/^::ffff:(?=\d+\.)/, '');
  if (isIPv4(mapped)) return mapped;
  if (!isIPv6(mapped)) return 'unknown';
  const [head = '', tail] = mapped.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
    groups.push(...after);
  }
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
