/** `wasi:clocks`: the host's clocks. */
import { Pollable } from './poll.ts';
import type { WasiInterface } from './interface.ts';

export interface Clock {
  /** Milliseconds since 1970, fractions allowed. */
  wallNowMs(): number;
  /** Nanoseconds since some fixed instant; never goes back. */
  monotonicNowNs(): bigint;
}

export function wallClockInterface(clock: Clock): WasiInterface {
  return {
    resources: {},
    functions: {
      now: () => {
        const ms = Math.max(0, clock.wallNowMs());
        const seconds = Math.floor(ms / 1000);
        const nanoseconds = Math.floor((ms - seconds * 1000) * 1_000_000);
        return { seconds: BigInt(seconds), nanoseconds };
      },
      resolution: () => ({ seconds: 0n, nanoseconds: 1_000_000 }),
    },
  };
}

export function monotonicClockInterface(clock: Clock): WasiInterface {
  return {
    resources: {},
    functions: {
      now: () => clock.monotonicNowNs(),
      resolution: () => 1n,
      'subscribe-instant': (instantNs: bigint) => new Pollable(instantNs),
      'subscribe-duration': (durationNs: bigint) =>
        new Pollable(clock.monotonicNowNs() + durationNs),
    },
  };
}

export const timezoneInterface: WasiInterface = {
  resources: {},
  functions: {
    display: () => ({ utcOffset: 0, name: 'UTC', inDaylightSavingTime: false }),
    'utc-offset': () => 0,
  },
};
