/**
 * What kit puts in front of every QuickJS guest: the globals that the engine lacks or gets wrong, and the wrapper around `init`.
 * Installed at build time, before the snapshot; nothing here calls the host until `init` runs.
 */
import { printToTerminal } from 'hyperware:process/standard@1.0.0';
import * as native from 'hyperloom:guest/native@1.0.0';
import { getRandomBytes } from 'wasi:random/random@0.2.12';
import { useNativeSha256 } from '../../../wit/jobs/native-sha256.ts';
import { useNativeKeccak256 } from '../../../wit/native-keccak.ts';
import { installHost } from '../host.ts';
import { witHost } from '../wit-host.ts';
import { GuestAbortController, GuestAbortSignal } from './abort.ts';
import { guestConsole } from './console.ts';
import { initFunction, type GuestModule } from './init.ts';
import { enqueueJob } from './jobs.ts';
import { GuestPromise } from './promise.ts';
import { cryptoObject, randomFunction } from './random.ts';
import { GuestTextDecoder, GuestTextEncoder, useNative } from './text.ts';
import { guestClearTimeout, guestSetInterval, guestSetTimeout } from './timeouts.ts';

const source = (length: number): Uint8Array => getRandomBytes(length);

Object.assign(globalThis, {
  Promise: GuestPromise,
  queueMicrotask: enqueueJob,
  TextEncoder: GuestTextEncoder,
  TextDecoder: GuestTextDecoder,
  crypto: cryptoObject(source),
  console: guestConsole(printToTerminal),
  AbortController: GuestAbortController,
  AbortSignal: GuestAbortSignal,
  setTimeout: guestSetTimeout,
  setInterval: guestSetInterval,
  clearTimeout: guestClearTimeout,
  clearInterval: guestClearTimeout,
});
Math.random = randomFunction(source);

/** The component's `init` for a guest module (see init.ts). */
export function boot(guest: GuestModule): (our: string) => void {
  const init = initFunction(guest, printToTerminal);
  return (our) => {
    installHost(witHost);
    useNative(native);
    useNativeSha256(native.sha256);
    useNativeKeccak256(native.keccak256);
    init(our);
  };
}
