/** Which model servers there are on this machine now (compute-market.md §12.3): those that the operator named, and those that answer where such servers usually listen. */
import type { Backend } from './backend.ts';
import { builtinModels } from './builtin-models.ts';
import { httpBackend, PROBE_MS } from './http-backend.ts';

/** As `DeviceInfo` has it. */
export interface Listed {
  readonly id: string;
  readonly base: string;
  readonly models: readonly string[];
}

/** Where servers listen unless they are told otherwise. */
const USUAL: readonly { readonly id: string; readonly port: number }[] = [
  { id: 'ollama', port: 11_434 },
  { id: 'vllm', port: 8_000 },
  { id: 'lm-studio', port: 1_234 },
];

/** Models of all servers together: the list must fit a frame. */
const MODELS_MAX = 1_000;

export interface BackendsOptions {
  readonly configured: readonly Backend[];
  /** Looks at the usual ports too. */
  readonly probe: boolean;
  /** Of the node: nothing to be asked for models. */
  readonly nodePort: number;
}

export class Backends {
  readonly #options: BackendsOptions;
  readonly #probed: readonly Backend[];
  /** With the models that each had when it answered last. */
  #known = new Map<string, { readonly backend: Backend; readonly models: readonly string[] }>();

  constructor(options: BackendsOptions) {
    this.#options = options;
    const taken = new Set(options.configured.map(({ id }) => id));
    const bases = new Set(options.configured.map(({ base }) => base));
    this.#probed = options.probe
      ? USUAL.filter(({ port }) => port !== options.nodePort)
          .map(({ id, port }) => httpBackend(id, `http://127.0.0.1:${port}/v1`, PROBE_MS))
          .filter(({ id, base }) => !taken.has(id) && !bases.has(base))
      : [];
  }

  get(id: string): Backend | undefined {
    return this.#known.get(id)?.backend;
  }

  get listed(): readonly Listed[] {
    let left = MODELS_MAX;
    return [...this.#known.values()].map(({ backend: { id, base }, models: all }) => {
      const models = all.slice(0, left);
      left -= models.length;
      return { id, base, models };
    });
  }

  /** Asks all of them. A server that the operator named stays with the models that it had when it does not answer; a found one goes. */
  async look(): Promise<void> {
    const all = [builtinModels, ...this.#options.configured, ...this.#probed];
    const found = await Promise.all(
      all.map(async (backend) => {
        const models = await backend.models(new AbortController().signal).catch(() => undefined);
        const stays = !this.#probed.includes(backend);
        const before = stays ? this.#known.get(backend.id)?.models : undefined;
        const now = models ?? before;
        return now === undefined ? [] : [[backend.id, { backend, models: now }] as const];
      }),
    );
    this.#known = new Map(found.flat());
  }
}
