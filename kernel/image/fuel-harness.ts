/** For tests and benchmarks of fuel: text to module, and an instance beside a host that refills. */
import { parse } from '@bytecodealliance/jco';
import { instrument } from './fuel.ts';

/** The binary of a module in text form. */
export async function assemble(wat: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await parse(wat));
}

/** Thrown into the guest by `Metered` when it has yielded `yieldsMax` times. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

export interface MeteredOptions {
  /** Fuel units between two yields. Default 2^30. */
  readonly quantum?: number;
  /** The yield after which the guest is stopped. Default: none. */
  readonly yieldsMax?: number;
  /** What the host answers when the guest grows a memory (pages) or table (entries). Default: 1. */
  readonly mayGrow?: (delta: number) => number;
  /** Imports of the guest's own. */
  readonly imports?: WebAssembly.Imports;
  /** A counter shared with another instance. */
  readonly share?: Metered;
}

type Call = (...args: unknown[]) => unknown;

/** An instance of the instrumented `module`. */
export class Metered {
  readonly exports: Readonly<Record<string, WebAssembly.ExportValue>>;
  readonly global: WebAssembly.Global;
  yields = 0;
  readonly grown: number[] = [];
  #granted: number;

  constructor(module: Uint8Array, options: MeteredOptions = {}) {
    const quantum = options.quantum ?? 2 ** 30;
    this.#granted = quantum;
    this.global =
      options.share?.global ?? new WebAssembly.Global({ value: 'i32', mutable: true }, quantum);
    const grow = (delta: number): number => {
      this.grown.push(delta);
      return options.mayGrow?.(delta) ?? 1;
    };
    const refill = (): void => {
      if (++this.yields === options.yieldsMax) throw new Stopped();
      this.#granted += quantum;
      this.global.value += quantum;
    };
    this.exports = new WebAssembly.Instance(new WebAssembly.Module(instrument(module).slice()), {
      ...options.imports,
      hl: { fuel: this.global, yield: refill, memory_grow: grow, table_grow: grow },
    }).exports;
  }

  /** Fuel units charged since the start. */
  get charged(): number {
    return this.#granted - Number(this.global.value);
  }

  call(name: string, ...args: unknown[]): unknown {
    return callExport(this.exports, name, ...args);
  }
}

/** Calls an exported function. */
export function callExport(
  exports: Readonly<Record<string, WebAssembly.ExportValue>>,
  name: string,
  ...args: unknown[]
): unknown {
  const found = exports[name];
  if (typeof found !== 'function') throw new TypeError(`no exported function ${name}`);
  // An exported function is callable with any arguments; they are converted.
  return (found as Call)(...args);
}

/** An instance of the module as it is. */
export function plain(
  module: Uint8Array,
  imports: WebAssembly.Imports = {},
): Readonly<Record<string, WebAssembly.ExportValue>> {
  return new WebAssembly.Instance(new WebAssembly.Module(module.slice()), imports).exports;
}
