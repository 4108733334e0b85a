/**
 * The lean canonical-ABI bindings of `hyperware:process/standard` and its older generations: core functions that read and write
 * guest memory directly (findings.md F12: 0.74 us a round trip against 20 us through generated lowering). Chosen per `canon lower`
 * entry (F9): UTF-8 with a memory; anything else takes the generic lowering over values.ts.
 */
import { Trap, type Delivery, type MaybePromise, type ProcessHost } from '../../process-host.ts';
import { processIdParts, AddressCache } from './address-cache.ts';
import type { GuestMemory } from './guest-memory.ts';
import {
  ADDRESS_SIZE,
  ON_EXIT,
  RECEIVED,
  RESULT_PAYLOAD,
  SEND_ERROR,
  SEND_ERROR_V07,
  SPAWN_RESULT,
} from './layout.ts';
import { Lifter } from './lift.ts';
import { Lowerer } from './lower.ts';

/** What bindings need of the running guest. */
export interface GuestCalls {
  /** Charges fuel. */
  charge(units: number): void;
  /** Makes the guest's stack wait for `resume`; its value is what the import must return. @throws Trap where it cannot wait */
  suspend(): symbol;
  /** Queues the guest; when its turn comes `finish` runs (it may lower results), then the stack continues. */
  resume(finish: () => void): void;
  /** Ends the guest with this fault at the import's return; for use in a catch. */
  fail(fault: unknown): void;
}

/** What differs between generations (kernel.md §9). */
export interface GenerationTraits {
  /** `send-error` has a target. */
  readonly sendErrorTarget: boolean;
  /** spawn's grants carry params. */
  readonly grantParams: boolean;
}

/** A core function: i32 as number, i64 as bigint; undefined for none, a symbol when the guest is to wait. */
export type CoreFunction = (...args: never[]) => number | symbol | undefined;

/** Fuel of any host call, before bytes: about what it costs beside guest instructions. */
const HOST_CALL_FUEL = 300;
/** On top of that for a print, which goes through the console and the log. */
const PRINT_FUEL = 2_000;
/** Bytes copied in or out for one unit of fuel. */
const BYTES_PER_FUEL = 8;

export class StandardBindings {
  readonly #host: ProcessHost;
  readonly #memory: GuestMemory;
  readonly #calls: GuestCalls;
  readonly #traits: GenerationTraits;
  readonly #lift: Lifter;
  readonly #lower: Lowerer;
  /** The result area of the pending receive or await; only one can be pending. */
  #pending = 0;
  #delivery: Delivery | undefined;
  #awaited: Delivery | Trap | undefined;

  constructor(
    host: ProcessHost,
    memory: GuestMemory,
    calls: GuestCalls,
    traits: GenerationTraits,
    addresses: AddressCache,
  ) {
    this.#host = host;
    this.#memory = memory;
    this.#calls = calls;
    this.#traits = traits;
    this.#lift = new Lifter(memory, addresses);
    this.#lower = new Lowerer(memory, addresses);
  }

  /** The core function for a WIT function name, or undefined if `standard` has none of that name. */
  function(name: string): CoreFunction | undefined {
    return Object.hasOwn(this.#functions, name) ? this.#functions[name] : undefined;
  }

  readonly #wakeReceive = (delivery: Delivery): void => {
    this.#delivery = delivery;
    this.#calls.resume(this.#finishReceive);
  };

  readonly #finishReceive = (): void => {
    const delivery = this.#delivery!;
    this.#delivery = undefined;
    this.#lowerDelivery(this.#pending, delivery);
  };

  readonly #wakeAwait = (awaited: Delivery | Trap): void => {
    this.#awaited = awaited;
    this.#calls.resume(this.#finishAwait);
  };

  readonly #finishAwait = (): void => {
    const awaited = this.#awaited!;
    this.#awaited = undefined;
    if (awaited instanceof Trap) throw awaited;
    this.#lowerAwaited(this.#pending, awaited);
  };

  readonly #functions: Readonly<Record<string, CoreFunction>> = {
    receive: (result: number) => {
      try {
        this.#memory.refresh();
        const delivery = this.#host.receive(this.#wakeReceive);
        if (delivery === undefined) {
          this.#pending = result;
          return this.#calls.suspend();
        }
        this.#lowerDelivery(result, delivery);
      } catch (fault) {
        this.#calls.fail(fault);
      }
      return undefined;
    },
    'send-and-await-response': (pointer: number, result: number) => {
      try {
        this.#memory.refresh();
        const { target, request, blob } = this.#lift.awaited(pointer);
        this.#charge();
        const awaited = this.#host.sendAndAwaitResponse(target, request, blob, this.#wakeAwait);
        if (awaited === undefined) {
          this.#pending = result;
          return this.#calls.suspend();
        }
        this.#lowerAwaited(result, awaited);
      } catch (fault) {
        this.#calls.fail(fault);
      }
      return undefined;
    },
    'send-request': (pointer: number) => {
      try {
        this.#memory.refresh();
        const request = this.#lift.outgoing(pointer);
        this.#charge();
        return this.#finish(this.#host.sendRequest(request));
      } catch (fault) {
        this.#calls.fail(fault);
      }
      return undefined;
    },
    'send-requests': (pointer: number, length: number) =>
      this.#call(() => this.#host.sendRequests(this.#lift.outgoingList(pointer, length))),
    'send-response': (
      inherit: number,
      bodyAt: number,
      bodyLength: number,
      hasMetadata: number,
      metadataAt: number,
      metadataLength: number,
      capabilitiesAt: number,
      capabilitiesLength: number,
      hasBlob: number,
      hasMime: number,
      mimeAt: number,
      mimeLength: number,
      blobAt: number,
      blobLength: number,
    ) => {
      try {
        const memory = this.#memory;
        memory.refresh();
        const response = {
          inherit: inherit !== 0,
          body: memory.copyOut(bodyAt >>> 0, bodyLength >>> 0),
          metadata: some(hasMetadata)
            ? memory.text(metadataAt >>> 0, metadataLength >>> 0)
            : undefined,
          capabilities: this.#lift.capabilities(capabilitiesAt, capabilitiesLength),
        };
        const blob = some(hasBlob)
          ? this.#lift.sent(
              some(hasMime) ? memory.text(mimeAt >>> 0, mimeLength >>> 0) : undefined,
              memory.copyOut(blobAt >>> 0, blobLength >>> 0),
            )
          : undefined;
        this.#charge();
        return this.#finish(this.#host.sendResponse(response, blob));
      } catch (fault) {
        this.#calls.fail(fault);
      }
      return undefined;
    },
    'print-to-terminal': (verbosity: number, at: number, length: number) =>
      this.#call(() => {
        this.#calls.charge(PRINT_FUEL);
        return this.#host.printToTerminal(
          verbosity & 0xff,
          this.#memory.text(at >>> 0, length >>> 0),
        );
      }),
    our: (result: number) =>
      this.#call(() =>
        this.#write(result, ADDRESS_SIZE, 4, (at) => this.#lower.address(at, this.#host.our())),
      ),
    'get-on-exit': (result: number) =>
      this.#call(() =>
        this.#write(result, ON_EXIT.size, 4, (at) =>
          this.#lower.onExit(at, this.#host.getOnExit()),
        ),
      ),
    'set-on-exit': (discriminant: number, at: number, length: number) =>
      this.#call(() => this.#host.setOnExit(this.#lift.onExit(discriminant, at, length))),
    'get-state': (result: number) =>
      this.#call(
        () => this.#host.getState(),
        (state) => this.#write(result, 12, 4, (at) => this.#lower.optionalBytes(at, state)),
      ),
    'set-state': (at: number, length: number) =>
      this.#call(() => this.#host.setState(this.#memory.copyOut(at >>> 0, length >>> 0))),
    'clear-state': () => this.#call(() => this.#host.clearState()),
    spawn: (
      hasName: number,
      nameAt: number,
      nameLength: number,
      pathAt: number,
      pathLength: number,
      onExit: number,
      onExitAt: number,
      onExitLength: number,
      requestsAt: number,
      requestsLength: number,
      grantsAt: number,
      grantsLength: number,
      isPublic: number,
      result: number,
    ) =>
      this.#call(
        () =>
          this.#host.spawn({
            name: some(hasName) ? this.#memory.text(nameAt >>> 0, nameLength >>> 0) : undefined,
            wasmPath: this.#memory.text(pathAt >>> 0, pathLength >>> 0),
            onExit: this.#lift.onExit(onExit, onExitAt, onExitLength),
            requestCapabilities: this.#lift.capabilities(requestsAt, requestsLength),
            grantCapabilities: this.#lift.grants(grantsAt, grantsLength, this.#traits.grantParams),
            public: isPublic !== 0,
          }),
        (spawned) =>
          this.#write(result, SPAWN_RESULT.size, 4, (at) => {
            this.#memory.bytes[at] = spawned.ok ? 0 : 1;
            const payload = at + SPAWN_RESULT.payload;
            if (spawned.ok)
              processIdParts(spawned.value).forEach((part, i) =>
                this.#memory.putText(payload + 8 * i, part),
              );
            else this.#memory.bytes[payload] = spawned.error === 'name-taken' ? 0 : 1;
          }),
      ),
    'save-capabilities': (at: number, length: number) =>
      this.#call(() => this.#host.saveCapabilities(this.#lift.capabilities(at, length))),
    'drop-capabilities': (at: number, length: number) =>
      this.#call(() => this.#host.dropCapabilities(this.#lift.capabilities(at, length))),
    'our-capabilities': (result: number) =>
      this.#call(
        () => this.#host.ourCapabilities(),
        (capabilities) =>
          this.#write(result, 8, 4, (at) => this.#lower.capabilities(at, capabilities)),
      ),
    'has-blob': () => {
      this.#calls.charge(HOST_CALL_FUEL);
      return this.#host.hasBlob() ? 1 : 0;
    },
    'get-blob': (result: number) =>
      this.#call(() =>
        this.#write(result, 24, 4, (at) => this.#lower.optionalBlob(at, this.#host.getBlob())),
      ),
    'last-blob': (result: number) =>
      this.#call(() =>
        this.#write(result, 24, 4, (at) => this.#lower.optionalBlob(at, this.#host.lastBlob())),
      ),
  };

  /** Runs a host function whose result may come later; `lower` writes it when the guest's turn comes. */
  #call<T>(start: () => MaybePromise<T>, lower?: (value: T) => void): symbol | undefined {
    try {
      this.#memory.refresh();
      const value = start();
      this.#charge();
      if (value instanceof Promise) return this.#later(value, lower);
      lower?.(value);
    } catch (fault) {
      this.#calls.fail(fault);
    }
    return undefined;
  }

  #finish(done: MaybePromise<void>): symbol | undefined {
    return done instanceof Promise ? this.#later(done, undefined) : undefined;
  }

  #later<T>(value: Promise<T>, lower: ((value: T) => void) | undefined): symbol {
    value.then(
      (settled) =>
        this.#calls.resume(() => {
          this.#memory.refresh();
          lower?.(settled);
        }),
      (fault: unknown) =>
        this.#calls.resume(() => {
          throw fault;
        }),
    );
    return this.#calls.suspend();
  }

  #lowerDelivery(result: number, delivery: Delivery): void {
    const at = this.#begin(result, RESULT_PAYLOAD + this.#errorSize() + 16, 8);
    try {
      this.#lowerResult(at, delivery);
      if (delivery.kind === 'send-error')
        this.#lower.optionalBytes(at + RESULT_PAYLOAD + this.#errorSize(), delivery.context);
    } finally {
      this.#end();
    }
  }

  #lowerAwaited(result: number, awaited: Delivery): void {
    const size = RESULT_PAYLOAD + Math.max(RECEIVED.size, this.#errorSize());
    const at = this.#begin(result, size, 8);
    try {
      this.#lowerResult(at, awaited);
    } finally {
      this.#end();
    }
  }

  /** result<tuple<address, message>, send-error>; of a receive, the error is the first part of a tuple. */
  #lowerResult(at: number, got: Delivery): void {
    const payload = at + RESULT_PAYLOAD;
    if (got.kind === 'message') {
      this.#memory.bytes[at] = 0;
      this.#lower.received(payload, got.source, got.message);
      return;
    }
    this.#memory.bytes[at] = 1;
    this.#lower.sendError(payload, got.error, this.#traits.sendErrorTarget);
  }

  #errorSize(): number {
    return this.#traits.sendErrorTarget ? SEND_ERROR.size : SEND_ERROR_V07.size;
  }

  /** Checks the result area, then lets `lower` fill it, allocating in the guest. */
  #write(pointer: number, size: number, align: number, lower: (at: number) => void): void {
    const at = this.#begin(pointer, size, align);
    try {
      lower(at);
    } finally {
      this.#end();
    }
  }

  /** `write` in two halves, for results so frequent that a function for each would be felt. */
  #begin(pointer: number, size: number, align: number): number {
    this.#memory.refresh();
    const at = this.#memory.record(pointer, size, align);
    this.#memory.begin();
    return at;
  }

  #end(): void {
    this.#memory.end();
    this.#charge();
  }

  #charge(): void {
    this.#calls.charge(HOST_CALL_FUEL + this.#memory.takeCopied() / BYTES_PER_FUEL);
  }
}

function some(discriminant: number): boolean {
  if (discriminant !== 0 && discriminant !== 1)
    throw new Trap(`option has no case ${discriminant}`);
  return discriminant === 1;
}
