/** The WASI of one guest: this host's clocks and randomness, and nothing else. */
import { randomFillSync } from 'node:crypto';
import type { GuestSystem } from './engine.ts';
import { OutputRing } from './wasi/ring.ts';
import { createWasi } from './wasi/wasi.ts';

/** What is kept of a guest's stdout and stderr together; allocated at the first byte. */
const LOG_RING_BYTES = 16_384;

const clock = {
  wallNowMs: () => Date.now(),
  monotonicNowNs: () => process.hrtime.bigint(),
};

/** `signal` aborts when the guest has ended. */
export function guestSystem(signal: AbortSignal): GuestSystem {
  const ring = new OutputRing(LOG_RING_BYTES);
  const log = (bytes: Uint8Array): void => ring.write(bytes);
  const wasi = createWasi({
    process: { stdout: log, stderr: log },
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
    output: () => ring.text(),
  };
}
