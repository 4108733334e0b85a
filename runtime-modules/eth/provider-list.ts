/**
 * Which providers a chain has, in order of preference (eth.md §5, §6): URLs before nodes, the last added first. The list is what the
 * file says; the objects behind it connect when they are first needed.
 */
import { providerConfig, type HnsUpdate, type ProviderConfig } from '../../wit/eth-api.ts';
import type { U64 } from '../../wit/types.ts';
import type { NodeProvider } from './node-provider.ts';
import type { UrlProvider } from './url-provider.ts';

export type Provider = UrlProvider | NodeProvider;

export interface ProviderMaker {
  url(config: ProviderConfig & { readonly provider: { readonly kind: 'RpcUrl' } }): UrlProvider;
  node(config: ProviderConfig & { readonly provider: { readonly kind: 'Node' } }): NodeProvider;
}

interface Entry {
  readonly config: ProviderConfig;
  readonly provider: Provider;
}

/** Providers one node may have; `AddProvider` past it is refused. */
export const PROVIDERS_MAX = 256;

export class ProviderList {
  readonly #make: ProviderMaker;
  /** In order of preference, URLs of a chain before its nodes. */
  #entries: Entry[] = [];
  /** Of chains that have any, until the next change. */
  readonly #ofChain = new Map<U64, readonly Provider[]>();

  constructor(make: ProviderMaker) {
    this.#make = make;
  }

  get size(): number {
    return this.#entries.length;
  }

  of(chainId: U64): readonly Provider[] {
    const known = this.#ofChain.get(chainId);
    if (known !== undefined) return known;
    const found = this.#entries
      .filter(({ config }) => config.chain_id === chainId)
      .map(({ provider }) => provider);
    if (found.length > 0) this.#ofChain.set(chainId, found);
    return found;
  }

  /** The node of that name among the providers of any chain. */
  *nodes(name: string): IterableIterator<NodeProvider> {
    for (const { provider } of this.#entries)
      if (provider.kind === 'node' && provider.name === name) yield provider;
  }

  /** As it is saved: within a chain URLs first; `use_as_provider` says whether the node is usable now. */
  configs(): readonly ProviderConfig[] {
    return this.#entries.map(({ config, provider }) =>
      provider.kind === 'node' && config.provider.kind === 'Node'
        ? {
            ...config,
            provider: {
              kind: 'Node',
              value: { ...config.provider.value, use_as_provider: provider.usable },
            },
          }
        : config,
    );
  }

  /** What net should know to reach the nodes (networking.md §12). */
  hnsUpdates(): readonly HnsUpdate[] {
    return this.#entries.flatMap(({ config }) =>
      config.provider.kind === 'Node' ? [config.provider.value.hns_update] : [],
    );
  }

  /** Puts one first of its kind; an entry of the same chain with the same URL or node is replaced (E17). */
  add(config: ProviderConfig): void {
    this.remove(config.chain_id, nameOf(config));
    const entry = { config, provider: this.#made(config) };
    const isUrl = config.provider.kind === 'RpcUrl';
    const at = isUrl
      ? 0
      : this.#entries.findIndex(
          ({ config: other }) =>
            other.chain_id === config.chain_id && other.provider.kind === 'Node',
        );
    this.#ofChain.clear();
    if (at < 0) this.#entries.push(entry);
    else this.#entries.splice(at, 0, entry);
  }

  /** @param name a URL or a node; false: there is no such provider */
  remove(chainId: U64, name: string): boolean {
    const at = this.#entries.findIndex(
      ({ config }) => config.chain_id === chainId && nameOf(config) === name,
    );
    if (at < 0) return false;
    this.#ofChain.clear();
    for (const { provider } of this.#entries.splice(at, 1)) provider.close();
    return true;
  }

  /** Replaces everything; connections of providers that stay are kept. */
  set(configs: readonly ProviderConfig[]): void {
    const before = new Map(
      this.#entries.map((entry) => [providerConfig.stringify(entry.config), entry]),
    );
    const after: Entry[] = [];
    for (const config of configs) {
      if (after.some(({ config: other }) => same(other, config))) continue;
      const key = providerConfig.stringify(config);
      const kept = before.get(key);
      before.delete(key);
      after.push(kept ?? { config, provider: this.#made(config) });
    }
    for (const { provider } of before.values()) provider.close();
    const rank = ({ config }: Entry): number => (config.provider.kind === 'RpcUrl' ? 0 : 1);
    this.#ofChain.clear();
    this.#entries = after.toSorted((a, b) => rank(a) - rank(b));
  }

  close(): void {
    for (const { provider } of this.#entries) provider.close();
    this.#ofChain.clear();
    this.#entries = [];
  }

  #made(config: ProviderConfig): Provider {
    const { provider } = config;
    // The kinds are those of the union, which a property of a property does not narrow.
    return provider.kind === 'RpcUrl'
      ? this.#make.url({ ...config, provider })
      : this.#make.node({ ...config, provider });
  }
}

function nameOf({ provider }: ProviderConfig): string {
  return provider.kind === 'RpcUrl' ? provider.value.url : provider.value.hns_update.name;
}

function same(a: ProviderConfig, b: ProviderConfig): boolean {
  return a.chain_id === b.chain_id && nameOf(a) === nameOf(b);
}
