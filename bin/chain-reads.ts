/**
 * How a node that is not up yet asks its chain: through the providers that its eth module would use, under the same rule for reads that
 * decide money or identity (F35). A provider of another chain than the configured one is not asked.
 */
import { join } from 'node:path';
import { CHAIN_ID, HYPER_ACCOUNT, HYPERMAP, MULTICALL3 } from '../contracts/addresses.ts';
import { agree, type Witness } from '../runtime-modules/eth/agreement.ts';
import {
  loadProviders,
  loadRpcConfig,
  saveProviders,
  urlProvider,
} from '../runtime-modules/eth/config-file.ts';
import { PROVIDERS_FILE } from '../runtime-modules/eth/configuration.ts';
import { faultOf } from '../runtime-modules/eth/rpc-error.ts';
import { UrlProvider } from '../runtime-modules/eth/url-provider.ts';
import { IdentityError } from '../runtime-modules/identity/development.ts';
import type {
  ChainPlace,
  ChainReads,
  ReadCall,
  ReadError,
} from '../runtime-modules/identity/registration/namespace.ts';
import type { Extras } from '../runtime-modules/identity/registration/registration.ts';
import type { Clock } from '../runtime-modules/shared/clock.ts';
import type { ProviderConfig } from '../wit/eth-api.ts';
import { formatJson, type JsonValue } from '../wit/json.ts';
import type { Result } from '../wit/types.ts';

/** Base, where real names are. */
export const BASE_CHAIN_ID = 8_453;
/** Longest time one question to one provider may take, in milliseconds. */
export const CHAIN_CALL_MS_MAX = 10_000;

/** Whom a new home asks, until its owner says otherwise: two that agree are believed (F35). */
const BASE_PROVIDERS = [
  'wss://base.llamarpc.com',
  'wss://base-rpc.publicnode.com',
  'wss://base.drpc.org',
  'wss://base.gateway.tenderly.co',
];

/** Which chain, and through whom. */
export interface ChainConfig {
  /** One provider to trust. */
  readonly rpc?: string | undefined;
  /** A file with such. */
  readonly rpcConfig?: string | undefined;
  /** A development chain at this port of this machine, instead of Base. */
  readonly fakechainPort?: number | undefined;
}

export function chainIdOf({ fakechainPort }: ChainConfig): number {
  return fakechainPort === undefined ? BASE_CHAIN_ID : CHAIN_ID;
}

/** The namespace stands at one address on every chain. */
export function placeOf(config: ChainConfig): ChainPlace {
  return {
    chainId: chainIdOf(config),
    hypermap: HYPERMAP,
    multicall: MULTICALL3,
    account: HYPER_ACCOUNT,
  };
}

type UrlConfig = ProviderConfig & { readonly provider: { readonly kind: 'RpcUrl' } };

/** Those of the flags first, then those of the home, then those that everybody has. @throws IdentityError */
export async function providersOf(
  home: string,
  config: ChainConfig,
): Promise<readonly ProviderConfig[]> {
  const chainId = chainIdOf(config);
  if (config.fakechainPort !== undefined)
    return [
      urlProvider(chainId, { url: `ws://127.0.0.1:${config.fakechainPort}`, auth: undefined }),
    ];
  const first: ProviderConfig[] = [];
  if (config.rpc !== undefined)
    first.push(urlProvider(chainId, { url: config.rpc, auth: undefined }));
  if (config.rpcConfig !== undefined) {
    const loaded = await loadRpcConfig(config.rpcConfig, chainId);
    if (loaded.kind !== 'read') {
      const reason =
        loaded.kind === 'absent' ? `${config.rpcConfig} does not exist` : loaded.reason;
      throw new IdentityError('chain', `--rpc-config: ${reason}.`);
    }
    first.push(...loaded.value);
  }
  const others = await savedProviders(home, chainId);
  return [...first, ...others.filter((each) => each.chain_id === chainId)];
}

/**
 * Puts providers in front of those that are saved; they are trusted, for the owner named them.
 * @throws IdentityError when the file is there and cannot be read
 */
export async function keepProviders(
  home: string,
  config: ChainConfig,
  providers: Extras['providers'],
): Promise<void> {
  if (providers.length === 0) return;
  const chainId = chainIdOf(config);
  const added = providers.map((value) => urlProvider(chainId, value));
  const urls = new Set(providers.map(({ url }) => url));
  const kept = (await savedProviders(home, chainId)).filter(
    ({ chain_id, provider }) =>
      chain_id !== chainId || provider.kind !== 'RpcUrl' || !urls.has(provider.value.url),
  );
  await saveProviders(join(home, PROVIDERS_FILE), [...added, ...kept]);
}

/** Of every chain; where none were saved, those that everybody has for this one. */
async function savedProviders(home: string, chainId: number): Promise<readonly ProviderConfig[]> {
  const saved = await loadProviders(join(home, PROVIDERS_FILE));
  if (saved.kind === 'unreadable') throw new IdentityError('chain', `${saved.reason}.`);
  if (saved.kind === 'read') return saved.value;
  if (chainId !== BASE_CHAIN_ID) return [];
  return publicProviders();
}

/** Of Base, trusted by nobody yet. */
export function publicProviders(): readonly ProviderConfig[] {
  return BASE_PROVIDERS.map((url) => ({
    ...urlProvider(BASE_CHAIN_ID, { url, auth: undefined }),
    trusted: false,
  }));
}

/** Connections are made when they are first needed. */
export class NodeReads implements ChainReads, Disposable {
  readonly #chainId: number;
  readonly #providers: readonly UrlProvider[];
  readonly #answering = new Set<UrlProvider>();

  constructor(
    chainId: number,
    configs: readonly ProviderConfig[],
    { clock, tell }: { readonly clock: Clock; readonly tell: (line: string) => void },
  ) {
    this.#chainId = chainId;
    const print = (verbosity: number, text: string): void => {
      if (verbosity === 0) tell(text);
    };
    this.#providers = configs
      .filter((each): each is UrlConfig => each.provider.kind === 'RpcUrl')
      .map((each) => new UrlProvider(each, { clock, print }));
  }

  call({ to, data, from }: ReadCall): Promise<Result<string, ReadError>> {
    return this.#agreed('eth_call', [
      { to, data, ...(from === undefined ? {} : { from }) },
      'latest',
    ]);
  }

  /** What the first provider that answers says: for what is no decision, and for sending. */
  async ask(method: string, params: JsonValue): Promise<Result<string, string>> {
    let reason = 'no provider answers';
    for (const witness of await this.#witnesses()) {
      const outcome = await witness.call(method, formatJson(params));
      if (outcome.kind === 'result') return { ok: true, value: outcome.result };
      if (outcome.kind === 'error') return { ok: false, error: outcome.error.message };
      if (outcome.kind === 'lost') ({ reason } = outcome);
    }
    return { ok: false, error: reason };
  }

  [Symbol.dispose](): void {
    for (const provider of this.#providers) provider.close();
  }

  async #agreed(method: string, params: JsonValue): Promise<Result<string, ReadError>> {
    const witnesses = await this.#witnesses();
    const agreed = await agree(witnesses, method, params);
    if (agreed.ok) {
      const value: unknown = JSON.parse(agreed.result);
      if (typeof value === 'string') return { ok: true, value };
      return unreachable('a provider answers what is no answer');
    }
    const { error } = agreed;
    switch (error.kind) {
      case 'RpcError':
        return faultOf(method, error.value) === 'request'
          ? { ok: false, error: { kind: 'reverted' } }
          : unreachable(`a provider refuses (${shown(error.value.message)})`);
      case 'ProvidersDisagree':
        return { ok: false, error: { kind: 'disagree', providers: error.value } };
      default:
        return unreachable(
          witnesses.length === 0
            ? `none of its providers answers for chain ${this.#chainId}; name one with --rpc`
            : 'neither a trusted provider nor two others answer; name one that you trust with --rpc',
        );
    }
  }

  /** Those that answer at all; one that is on another chain does not, see `UrlProvider`. */
  async #witnesses(): Promise<readonly Witness[]> {
    const answering = await Promise.all(this.#providers.map((provider) => this.#answers(provider)));
    return this.#providers
      .filter((_, index) => answering[index])
      .map((provider) => ({
        label: provider.label,
        trusted: provider.trusted,
        call: (method, params) => provider.call(method, params, CHAIN_CALL_MS_MAX),
      }));
  }

  /** Who has answered is not asked that again. */
  async #answers(provider: UrlProvider): Promise<boolean> {
    if (this.#answering.has(provider)) return true;
    const { kind } = await provider.call('eth_chainId', '[]', CHAIN_CALL_MS_MAX);
    if (kind === 'result') this.#answering.add(provider);
    return kind === 'result';
  }
}

/** As `/info` shows them: without what may be a key. */
export function shownProviders(configs: readonly ProviderConfig[]): readonly string[] {
  return configs.flatMap(({ provider }) => {
    if (provider.kind !== 'RpcUrl') return [];
    const { url, auth } = provider.value;
    return auth === undefined && isPlain(url) ? [JSON.stringify({ url, auth: null })] : [];
  });
}

function isPlain(url: string): boolean {
  return URL.canParse(url) && /^\/?$/.test(new URL(url).pathname + new URL(url).search);
}

function unreachable(reason: string): { ok: false; error: ReadError } {
  return { ok: false, error: { kind: 'unreachable', reason } };
}

/** Text of a provider, fit for one line. */
function shown(text: string): string {
  return text.replace(/\p{C}/gu, '').slice(0, 120);
}
