/** Component bytes to images: each content prepared once, however many ask at the same time, then kept compiled. */
import { createHash } from 'node:crypto';
import { ImageError } from '../engine.ts';
import type { WasmImage } from '../hart/engine.ts';
import { trampolineSignatures } from '../hart/link.ts';
import { trampolineModule } from '../hart/trampoline.ts';
import { planComponent } from './plan.ts';
import { readComponent } from './read-component.ts';

/** The part of preparing that costs CPU: instrumented core modules, in the order of the link plan. */
export type Prepare = (component: Uint8Array, hash: string) => Promise<readonly Uint8Array[]>;

export class ImageStore {
  readonly #prepare: Prepare;
  readonly #images = new Map<string, Promise<WasmImage>>();

  constructor(prepare: Prepare) {
    this.#prepare = prepare;
  }

  /** @throws ImageError when the bytes cannot become an image; asking again gives the same answer without the work. */
  load(component: Uint8Array): Promise<WasmImage> {
    const hash = createHash('sha256').update(component).digest('hex');
    let image = this.#images.get(hash);
    if (image === undefined) {
      image = this.#make(component, hash);
      this.#images.set(hash, image);
      // What failed for want of time or memory may work later; what is wrong with the bytes stays wrong.
      image.catch((error: unknown) => {
        if (!(error instanceof ImageError) || error.code === 'limit') this.#images.delete(hash);
      });
    }
    return image;
  }

  async #make(component: Uint8Array, hash: string): Promise<WasmImage> {
    const prepared = await this.#prepare(component, hash);
    const plan = planComponent(readComponent(component));
    const signatures = trampolineSignatures(plan);
    const compile = (bytes: Uint8Array): Promise<WebAssembly.Module> =>
      WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>).catch((cause: unknown) => {
        throw new ImageError(
          'invalid',
          `a core module of the component is not valid: ${String(cause)}`,
          { cause },
        );
      });
    const [trampoline, ...modules] = await Promise.all(
      [trampolineModule(signatures), ...prepared].map(compile),
    );
    return { hash, component, plan, modules, trampoline: trampoline!, signatures };
  }
}
