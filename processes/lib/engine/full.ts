/** What kit puts in front of every StarlingMonkey guest: our Promise (see jobs.ts) a console that prints to the terminal, and timers. */
import { printToTerminal } from 'hyperware:process/standard@1.0.0';
import { installHost } from '../host.ts';
import { witHost } from '../wit-host.ts';
import { GuestAbortController, GuestAbortSignal } from './abort.ts';
import { guestConsole } from './console.ts';
import { initFunction, type GuestModule } from './init.ts';
import { enqueueJob } from './jobs.ts';
import { GuestPromise } from './promise.ts';
import { guestClearTimeout, guestSetInterval, guestSetTimeout } from './timeouts.ts';

Object.assign(globalThis, {
  Promise: GuestPromise,
  queueMicrotask: enqueueJob,
  console: guestConsole(printToTerminal),
  AbortController: GuestAbortController,
  AbortSignal: GuestAbortSignal,
  setTimeout: guestSetTimeout,
  setInterval: guestSetInterval,
  clearTimeout: guestClearTimeout,
  clearInterval: guestClearTimeout,
});

/** The component's `init` for a guest module (see init.ts). */
export function boot(guest: GuestModule): (our: string) => void {
  const init = initFunction(guest, printToTerminal);
  return (our) => {
    installHost(witHost);
    init(our);
  };
}
