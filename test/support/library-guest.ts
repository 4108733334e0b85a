/**
 * A process of the library on a kernel whose guests are functions: what a component's host functions do by blocking, done between two deliveries.
 * Its state is in a `Disk`, which outlives the kernel; once that is pulled, nothing that the process still does reaches it.
 */
import type { GuestApi, GuestCode } from '../../kernel/testing.ts';
import type { Host } from '../../processes/lib/host.ts';
import type { ProcessModule } from '../../processes/lib/process.ts';
import { ProcessLoop } from '../../processes/lib/process-loop.ts';
import type { Methods } from '../../processes/lib/contract.ts';

/** What is stored of one process. */
export interface Disk {
  state: Uint8Array | undefined;
}

/** The code of a guest that runs `module`, as long as `powered` says so. */
export function libraryGuest<M extends Methods, S>(
  module: ProcessModule<M, S>,
  disk: Disk,
  powered: () => boolean,
): GuestCode {
  return async (guest) => {
    const host = new LibraryHost(guest, disk, powered);
    const loop = new ProcessLoop(host, module.definition);
    loop.start();
    while (!loop.ended) {
      await promisesSettled();
      loop.rest();
      await host.done();
      const delivery = await guest.receive();
      if (!powered()) return;
      loop.deliver(delivery);
    }
    loop.finish();
  };
}

class LibraryHost implements Host {
  readonly #guest: GuestApi;
  readonly #disk: Disk;
  readonly #powered: () => boolean;
  /** What was called and returns nothing, in order. */
  #calls: Promise<void> = Promise.resolve();

  constructor(guest: GuestApi, disk: Disk, powered: () => boolean) {
    this.#guest = guest;
    this.#disk = disk;
    this.#powered = powered;
  }

  /** When everything called so far has been done. */
  done(): Promise<void> {
    return this.#calls;
  }

  our(): ReturnType<Host['our']> {
    return this.#guest.our;
  }
  print(verbosity: number, text: string): void {
    this.#later(() => this.#guest.host.printToTerminal(verbosity, text));
  }
  getOnExit(): ReturnType<Host['getOnExit']> {
    return this.#guest.host.getOnExit();
  }
  setOnExit(onExit: Parameters<Host['setOnExit']>[0]): void {
    this.#later(() => this.#guest.host.setOnExit(onExit));
  }
  getState(): Uint8Array | undefined {
    return this.#disk.state?.slice();
  }
  setState(bytes: Uint8Array): void {
    if (this.#powered()) this.#disk.state = bytes.slice();
  }
  clearState(): void {
    if (this.#powered()) this.#disk.state = undefined;
  }
  spawn(): never {
    throw new Error('a process on a test kernel has no children');
  }
  saveCapabilities(capabilities: Parameters<Host['saveCapabilities']>[0]): void {
    this.#later(() => this.#guest.host.saveCapabilities(capabilities));
  }
  dropCapabilities(capabilities: Parameters<Host['dropCapabilities']>[0]): void {
    this.#later(() => this.#guest.host.dropCapabilities(capabilities));
  }
  ourCapabilities(): ReturnType<Host['ourCapabilities']> {
    return [];
  }
  receive(): never {
    throw new Error('the loop is given its deliveries');
  }
  hasBlob(): boolean {
    return this.#guest.host.hasBlob();
  }
  getBlob(): ReturnType<Host['getBlob']> {
    return this.#guest.host.getBlob();
  }
  lastBlob(): ReturnType<Host['lastBlob']> {
    return this.#guest.host.lastBlob();
  }
  sendRequest(request: Parameters<Host['sendRequest']>[0]): void {
    this.#later(() => this.#guest.host.sendRequest(request));
  }
  sendRequests(requests: Parameters<Host['sendRequests']>[0]): void {
    this.#later(() => this.#guest.host.sendRequests(requests));
  }
  sendResponse(...[response, blob]: Parameters<Host['sendResponse']>): void {
    this.#later(() => this.#guest.host.sendResponse(response, blob));
  }
  sendAndAwaitResponse(): never {
    throw new Error('a process on a test kernel cannot block: it must not be serial');
  }

  #later(call: () => void | Promise<void>): void {
    this.#calls = this.#calls.then(() => (this.#powered() ? call() : undefined));
  }
}

/** Promise jobs run before it. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
