/** Puts an engine together: preparing off-thread, the cache on disk, WASI with clocks and randomness. */
import { join } from 'node:path';
import { ImageCache } from '../image/cache.ts';
import { ImageStore } from '../image/image-store.ts';
import { Preparer } from '../image/preparer.ts';
import { WasmEngine } from './engine.ts';
import { guestSystem } from './guest-system.ts';

export interface EngineOptions {
  /** Where prepared components are kept; without it nothing is written. */
  readonly cache?: { readonly home: string; readonly key: Uint8Array };
  readonly guestsMax?: number;
}

/** The engine and what it must give back at the end. */
export interface OwnedEngine extends Disposable {
  readonly engine: WasmEngine;
}

export function createEngine(options: EngineOptions = {}): OwnedEngine {
  const preparer = new Preparer();
  const cache =
    options.cache === undefined
      ? undefined
      : new ImageCache(join(options.cache.home, 'cache'), options.cache.key);
  const images = new ImageStore(async (component, hash) => {
    const kept = await cache?.read(hash);
    if (kept !== undefined) return kept;
    const made = await preparer.prepare(component);
    await cache?.write(hash, made);
    return made;
  });
  const engine = new WasmEngine({
    images,
    system: guestSystem,
    ...(options.guestsMax === undefined ? {} : { guestsMax: options.guestsMax }),
  });
  return { engine, [Symbol.dispose]: () => preparer[Symbol.dispose]() };
}
