/** The engine of one hart: images to running guests, one run queue for all of them. */
import { readFileSync } from 'node:fs';
import type { Engine, Guest } from '../engine.ts';
import type { Image } from '../engine.ts';
import type { ProcessHost } from '../process-host.ts';
import type { Address } from '../../wit/types.ts';
import type { ImageStore } from '../image/image-store.ts';
import { RunningGuest } from './guest.ts';
import { Linker, type HostInterfaces, type Linkable } from './link.ts';
import { RunQueue } from './run-queue.ts';

/** An image that this engine can start. */
export interface WasmImage extends Image, Linkable {
  /** The bytes it was made of, for harts on other threads. */
  readonly component: Uint8Array;
}

/** The host side of one guest's WASI. */
export interface GuestSystem {
  readonly interfaces: HostInterfaces;
  /** What the guest wrote to stderr last, as text. */
  stderr(): string;
  /** What it wrote to stdout and stderr last, as text: its log ring. */
  output(): string;
}

export interface WasmEngineOptions {
  /** Without them the engine only starts images that others loaded. */
  readonly images?: ImageStore;
  /** Makes a guest's WASI; `signal` aborts when the guest has ended. */
  readonly system: (signal: AbortSignal) => GuestSystem;
  /** Most live guests; default from the host's memory map limit. */
  readonly guestsMax?: number;
}

/** Memory maps of one native guest, measured (findings.md F6), and those left to the rest of the node. */
const MAPS_PER_GUEST = 5;
const MAPS_RESERVED = 5_000;
/** Where the limit can't be read: V8's address space ends before 14,000 guests. */
const GUESTS_MAX = 12_000;

export class WasmEngine implements Engine {
  readonly #images: ImageStore | undefined;
  readonly #system: WasmEngineOptions['system'];
  readonly #queue = new RunQueue();
  readonly #guestsMax: number;
  #live = 0;

  constructor(options: WasmEngineOptions) {
    this.#images = options.images;
    this.#system = options.system;
    this.#guestsMax = options.guestsMax ?? guestsMax();
  }

  load(component: Uint8Array): Promise<WasmImage> {
    if (this.#images === undefined) return Promise.reject(new Error('this engine loads no images'));
    return this.#images.load(component);
  }

  startRefusal(): string | undefined {
    if (this.#live < this.#guestsMax) return undefined;
    return `${this.#live} processes are live, the most this host's memory map limit (vm.max_map_count) has room for`;
  }

  start(image: Image, our: Address, host: ProcessHost): Guest {
    // The kernel passes back what `load` gave it; nothing else makes images.
    const linkable = image as WasmImage;
    let system: GuestSystem | undefined;
    const guest = new RunningGuest(
      this.#queue,
      (running) => {
        const refusal = this.startRefusal();
        if (refusal !== undefined) throw new Error(refusal);
        this.#live += 1;
        void running.ended.then(() => (this.#live -= 1));
        system = this.#system(running.aborted.signal);
        return new Linker(linkable, running, host, system.interfaces).run(
          `${our.node}@${our.process}`,
        );
      },
      { stderr: () => system?.stderr() ?? '', output: () => system?.output() ?? '' },
    );
    return guest;
  }
}

function guestsMax(): number {
  try {
    const maps = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'));
    return Math.min(GUESTS_MAX, Math.floor((maps - MAPS_RESERVED) / MAPS_PER_GUEST));
  } catch {
    return GUESTS_MAX;
  }
}
