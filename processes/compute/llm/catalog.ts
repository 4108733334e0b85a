/** Which models there are, which backends have them, and what they cost: asked of the gpu process every few seconds. */
import type { Client } from '../../lib/client.ts';
import type { ArgsOf } from '../../lib/contract.ts';
import type { modelMethods } from '../shared/model-contract.ts';
import type { Balancer } from './balancer.ts';
import type { Settings } from './settings.ts';

export interface Gpu {
  readonly ask: Client<typeof modelMethods>;
  /** Without an answer. */
  tell<K extends 'ModelTaken' | 'ModelCancel'>(
    kind: K,
    args: ArgsOf<(typeof modelMethods)[K]>,
  ): void;
}

export interface CatalogNeeds {
  readonly gpu: Gpu;
  readonly balancer: Balancer;
  readonly settings: () => Promise<Settings>;
}

export class Catalog {
  readonly #needs: CatalogNeeds;
  #models = new Map<string, Set<string>>();
  #settings: Settings;
  #paired = false;
  /** Backends that have no tokenizer to be asked. */
  readonly #tokenless = new Set<string>();

  constructor(needs: CatalogNeeds, settings: Settings) {
    this.#needs = needs;
    this.#settings = settings;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Whether there is an extension, and so an answer to which models there are. */
  get paired(): boolean {
    return this.#paired;
  }

  get models(): readonly string[] {
    return [...this.#models.keys()].toSorted();
  }

  /** Backends that have a model; none: nobody knows it. */
  backendsOf(model: string): ReadonlySet<string> {
    return this.#models.get(model) ?? new Set();
  }

  countsTokens(backend: string): boolean {
    return !this.#tokenless.has(backend);
  }

  countsNone(backend: string): void {
    this.#tokenless.add(backend);
  }

  /** While the gpu process does not answer, what was known is. */
  async look(): Promise<void> {
    const [found, settings] = await Promise.all([
      this.#needs.gpu.ask.Models().catch(() => undefined),
      this.#needs.settings().catch(() => this.#settings),
    ]);
    this.#settings = settings;
    if (found === undefined) return;
    this.#paired = found.paired;
    const models = new Map<string, Set<string>>();
    for (const { id, models: names } of found.backends)
      for (const name of names) models.set(name, (models.get(name) ?? new Set()).add(id));
    const before = new Set([...this.#models.values()].flatMap((ids) => [...ids]));
    // One that went and came back may be another.
    for (const { id } of found.backends) if (!before.has(id)) this.#tokenless.delete(id);
    this.#models = models;
    this.#needs.balancer.set(found.backends.map(({ id }) => ({ id, weight: 1 })));
  }
}
