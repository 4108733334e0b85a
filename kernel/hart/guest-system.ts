/** The WASI of one guest: this host's clocks and randomness, and nothing else. */
import { randomFillSync } from 'node:crypto';
import type { GuestSystem } from './engine.ts';
import { createWasi } from './wasi/wasi.ts';

const clock = {
  wallNowMs: () => Date.now(),
  monotonicNowNs: () => process.hrtime.bigint(),
};

/** `signal` aborts when the guest has ended. */
export function guestSystem(signal: AbortSignal): GuestSystem {
  const wasi = createWasi({
    clock,
    randomBytes: (count) => randomFillSync(new Uint8Array(count)),
    signal,
  });
  return {
    interfaces: (importName, functionName) => {
      const functions = wasi.lookup(importName)?.functions;
      if (functions === undefined || !Object.hasOwn(functions, functionName)) return undefined;
      const call = functions[functionName]!;
      return (args) => call(...args);
    },
    stderr: () => wasi.stderrText(),
  };
}
