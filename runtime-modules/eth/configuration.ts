/** Providers and access as their owner sets them (eth.md §5, §6): on disk before a change is answered. */
import { join } from 'node:path';
import type {
  AccessSettings,
  EthConfigAction,
  EthConfigResponse,
  ProviderConfig,
} from '../../wit/eth-api.ts';
import { loadAccess, loadProviders, saveAccess, saveProviders } from './config-file.ts';
import { type ProviderList, PROVIDERS_MAX } from './provider-list.ts';
import { changed } from './remote.ts';

export const PROVIDERS_FILE = '.eth_providers';
export const ACCESS_FILE = '.eth_access_settings';

export interface ConfigurationOptions {
  /** The home folder. */
  readonly home: string;
  /** Used, and written, when there is no file. */
  readonly defaults: readonly ProviderConfig[];
  /** Put in front and saved: `--rpc`, `--rpc-config`; the first is the most preferred. */
  readonly prepend?: readonly ProviderConfig[];
  /** Put in front and not saved: the embedded chain of a development node, which may still be starting. Must not reject. */
  readonly temporary?: readonly ProviderConfig[] | Promise<readonly ProviderConfig[]>;
}

const PRIVATE: AccessSettings = { public: false, allow: [], deny: [] };

export class Configuration {
  readonly #options: ConfigurationOptions;
  readonly #providers: ProviderList;
  readonly #print: (verbosity: number, text: string) => void;
  #access = PRIVATE;
  #temporary: readonly ProviderConfig[] = [];
  /** Resolves when the temporary providers are known; undefined: they are. Nothing is asked before. */
  #settling: Promise<void> | undefined;

  constructor(
    options: ConfigurationOptions,
    providers: ProviderList,
    print: (verbosity: number, text: string) => void,
  ) {
    this.#options = options;
    this.#providers = providers;
    this.#print = print;
  }

  get access(): AccessSettings {
    return this.#access;
  }

  get settling(): Promise<void> | undefined {
    return this.#settling;
  }

  async load(): Promise<void> {
    const { defaults, prepend = [], temporary } = this.#options;
    const loaded = await loadProviders(this.#providersPath);
    this.#providers.set(loaded.kind === 'read' ? loaded.value : defaults);
    if (loaded.kind === 'unreadable')
      this.#print(
        0,
        `error loading saved eth providers, using default providers: ${loaded.reason}`,
      );
    for (const config of prepend.toReversed()) this.#providers.add(config);
    if (loaded.kind !== 'unreadable' && (loaded.kind === 'absent' || prepend.length > 0))
      await this.#save();
    if (temporary instanceof Promise)
      this.#settling = temporary
        .then((each) => this.#addTemporary(each))
        .finally(() => (this.#settling = undefined));
    else this.#addTemporary(temporary ?? []);
    const access = await loadAccess(join(this.#options.home, ACCESS_FILE));
    if (access.kind === 'read') this.#access = access.value;
    if (access.kind === 'unreadable')
      this.#print(0, `error loading eth access settings, nobody else may ask: ${access.reason}`);
  }

  /** Everything but GetState. Rejects when it could not be written. */
  async apply(action: Exclude<EthConfigAction, { kind: 'GetState' }>): Promise<EthConfigResponse> {
    switch (action.kind) {
      case 'AddProvider':
        if (this.#providers.size >= PROVIDERS_MAX) return { kind: 'PermissionDenied' };
        this.#warn(action.value);
        this.#providers.add(action.value);
        await this.#save();
        return { kind: 'Ok' };
      case 'RemoveProvider': {
        const [chainId, name] = action.value;
        if (!this.#providers.remove(chainId, name)) return { kind: 'ProviderNotFound' };
        await this.#save();
        return { kind: 'Ok' };
      }
      case 'SetProviders':
        if (action.value.length > PROVIDERS_MAX) return { kind: 'PermissionDenied' };
        for (const config of action.value) this.#warn(config);
        this.#providers.set(action.value);
        await this.#save();
        return { kind: 'Ok' };
      case 'GetProviders':
        return { kind: 'Providers', value: this.#providers.configs() };
      case 'GetAccessSettings':
        return { kind: 'AccessSettings', value: this.#access };
      case 'SetPublic':
        return this.#setAccess({ ...this.#access, public: true });
      case 'SetPrivate':
        return this.#setAccess({ ...this.#access, public: false });
      case 'AllowNode':
        return this.#setAccess(changed(this.#access, 'allow', 'add', action.value));
      case 'UnallowNode':
        return this.#setAccess(changed(this.#access, 'allow', 'remove', action.value));
      case 'DenyNode':
        return this.#setAccess(changed(this.#access, 'deny', 'add', action.value));
      case 'UndenyNode':
        return this.#setAccess(changed(this.#access, 'deny', 'remove', action.value));
    }
  }

  #addTemporary(configs: readonly ProviderConfig[]): void {
    this.#temporary = configs;
    for (const config of configs.toReversed()) this.#providers.add(config);
  }

  async #setAccess(settings: AccessSettings | undefined): Promise<EthConfigResponse> {
    if (settings === undefined) return { kind: 'PermissionDenied' };
    this.#access = settings;
    await saveAccess(join(this.#options.home, ACCESS_FILE), settings);
    return { kind: 'Ok' };
  }

  /** What is only for this run stays out of the file. */
  async #save(): Promise<void> {
    const temporary = new Set(this.#temporary.map(nameOf));
    const kept = this.#providers.configs().filter((config) => !temporary.has(nameOf(config)));
    await saveProviders(this.#providersPath, kept);
  }

  #warn({ provider }: ProviderConfig): void {
    if (provider.kind === 'RpcUrl' && !/^wss?:\/\//i.test(provider.value.url))
      this.#print(
        0,
        'eth: a provider whose URL does not start with ws:// or wss:// never connects',
      );
  }

  get #providersPath(): string {
    return join(this.#options.home, PROVIDERS_FILE);
  }
}

function nameOf({ chain_id, provider }: ProviderConfig): string {
  const name = provider.kind === 'RpcUrl' ? provider.value.url : provider.value.hns_update.name;
  return `${chain_id} ${name}`;
}
