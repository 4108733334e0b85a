/** Component bytes to images: each content prepared once, however many ask at the same time, then kept compiled. */
import { createHash } from 'node:crypto';
import { ImageError } from '../engine.ts';
import type { WasmImage } from '../hart/engine.ts';
import { trampolineSignatures } from '../hart/link.ts';
import { trampolineModule } from '../hart/trampoline.ts';
import { planComponent } from './plan.ts';
import { compile } from './program.ts';
import { readComponent } from './read-component.ts';

/** The part of preparing that costs CPU: instrumented core modules, in the order of the link plan. */
export type Prepare = (component: Uint8Array, hash: string) => Promise<readonly Uint8Array[]>;

/** Images kept although no process of theirs lives: a script that starts the same program again and again must not prepare it anew. */
const IDLE_IMAGES_MAX = 32;
/** Refusals remembered; each is a hash and a message. */
const REFUSALS_MAX = 1_000;

export class ImageStore {
  readonly #prepare: Prepare;
  readonly #making = new Map<string, Promise<WasmImage>>();
  /** Whoever runs a process of an image holds it; the store alone does not. */
  readonly #made = new Map<string, WeakRef<WasmImage>>();
  readonly #collected = new FinalizationRegistry<string>((hash) => {
    if (this.#made.get(hash)?.deref() === undefined) this.#made.delete(hash);
  });
  /** The last ones asked for, oldest first. */
  readonly #recent = new Map<string, WasmImage>();
  readonly #refused = new Map<string, ImageError>();

  constructor(prepare: Prepare) {
    this.#prepare = prepare;
  }

  /** @throws ImageError when the bytes cannot become an image; asking again gives the same answer without the work. */
  async load(component: Uint8Array): Promise<WasmImage> {
    const hash = createHash('sha256').update(component).digest('hex');
    const refused = this.#refused.get(hash);
    if (refused !== undefined) throw refused;
    const known = this.#made.get(hash)?.deref();
    if (known !== undefined) return this.#keep(known);
    const making = this.#making.get(hash) ?? this.#makeOnce(component, hash);
    return this.#keep(await making);
  }

  #makeOnce(component: Uint8Array, hash: string): Promise<WasmImage> {
    const making = this.#make(component, hash).then(
      (image) => {
        this.#making.delete(hash);
        this.#made.set(hash, new WeakRef(image));
        this.#collected.register(image, hash);
        return image;
      },
      (error: unknown) => {
        this.#making.delete(hash);
        // What failed for want of time or memory may work later; what is wrong with the bytes stays wrong.
        if (error instanceof ImageError && error.code !== 'limit') {
          this.#refused.set(hash, error);
          trim(this.#refused, REFUSALS_MAX);
        }
        throw error;
      },
    );
    this.#making.set(hash, making);
    return making;
  }

  #keep(image: WasmImage): WasmImage {
    this.#recent.delete(image.hash);
    this.#recent.set(image.hash, image);
    trim(this.#recent, IDLE_IMAGES_MAX);
    return image;
  }

  async #make(component: Uint8Array, hash: string): Promise<WasmImage> {
    const prepared = await this.#prepare(component, hash);
    const plan = planComponent(readComponent(component));
    const signatures = trampolineSignatures(plan);
    const [trampoline, ...modules] = await Promise.all(
      [trampolineModule(signatures), ...prepared].map(compile),
    );
    return { hash, component, plan, modules, trampoline: trampoline!, signatures };
  }
}

/** Drops the oldest entries. */
function trim(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
