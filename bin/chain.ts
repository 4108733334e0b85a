/**
 * The chain side of a node, put together: the chain that a development node brings along, the providers of `eth`, and what the packages
 * that read the namespace are told about it. Part of the composition root; node.ts calls it.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHAIN_ID, HYPERMAP } from '../contracts/addresses.ts';
import type { Chain } from '../contracts/chain/chain.ts';
import { ChainError } from '../contracts/chain/chain-error.ts';
import { chainAnswersAt } from '../contracts/chain/find.ts';
import { chainIdOf, type ChainConfig as ReadsConfig, publicProviders } from './chain-reads.ts';
import type { Clock } from '../kernel/clock.ts';
import type { KernelPort } from '../kernel/module.ts';
import { loadRpcConfig, urlProvider } from '../runtime-modules/eth/config-file.ts';
import { DEFAULT_PROVIDERS } from '../runtime-modules/eth/default-providers.ts';
import { eth, type EthModule } from '../runtime-modules/eth/index.ts';
import type { ProviderConfig } from '../wit/eth-api.ts';

/** The block before the first one of the namespace on Base (hypermap.md §9). */
const MAIN_FIRST_BLOCK = 27_270_411;
const MAIN_CACHE_SOURCES = ['us-cacher-1.hypr', 'eu-cacher-1.hypr', 'nick.hypr', 'nick1udwig.os'];
/** Where a development node's chain is when nothing is said, if the port is free: where wallets and tools look for one. */
const USUAL_PORT = 8_545;
/** In the home, when the development chain is to be kept. */
export const CHAIN_FILE = '.fakechain';

/**
 * From the command line. With a `fakechainPort` a development node uses the chain that answers there, or else starts it there; without one it
 * starts its own, at the usual port or any other.
 */
export interface ChainConfig extends ReadsConfig {
  /** Whether the development chain is as it was left at the next start. */
  readonly keepChain?: boolean;
}

/** `--rpc-config` cannot be read. */
export class ChainConfigError extends Error {
  override readonly name = 'ChainConfigError';
}

export interface ChainParts {
  readonly home: string;
  readonly development: boolean;
  /** Undefined: nobody said anything about chains, so there is none. */
  readonly config: ChainConfig | undefined;
  /** Prints a line for the owner. */
  readonly tell: (text: string) => void;
}

/** The chain of a development node, which may still be starting. */
export interface EmbeddedChain extends AsyncDisposable {
  /** Its WebSocket, once it is up; undefined: there is none. Never rejects. */
  readonly url: Promise<string | undefined>;
}

/** Starts the development chain beside everything else; a real node has none. */
export function beginChain({ home, development, config, tell }: ChainParts): EmbeddedChain {
  if (!development || config === undefined) {
    return { url: Promise.resolve(undefined), [Symbol.asyncDispose]: async () => undefined };
  }
  let closing = false;
  const starting = startOrFind(config, home, tell).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    tell(`there is no chain on this node: ${reason}`);
    return undefined;
  });
  void starting.then((chain) =>
    chain?.ended?.then((reason) => {
      if (!closing) tell(`the development chain has ended: ${reason}`);
    }),
  );
  return {
    url: starting.then((chain) => chain?.url),
    async [Symbol.asyncDispose]() {
      closing = true;
      const chain = await starting;
      await chain
        ?.close?.()
        .catch((error: unknown) => tell(`the chain was not saved: ${String(error)}`));
    },
  };
}

interface Found {
  readonly url: string;
  /** Undefined: it is somebody else's. */
  readonly ended?: Promise<string>;
  readonly close?: () => Promise<void>;
}

async function startOrFind(
  { fakechainPort, keepChain = false }: ChainConfig,
  home: string,
  tell: (text: string) => void,
): Promise<Found> {
  if (fakechainPort !== undefined && fakechainPort !== 0 && (await chainAnswersAt(fakechainPort)))
    return { url: `ws://127.0.0.1:${fakechainPort}` };
  // Loaded here: a node on a real chain carries no contracts.
  const { startChain } = await import('../contracts/chain/chain.ts');
  const startAt = (port: number): Promise<Chain> =>
    startChain({
      port,
      ...(keepChain ? { stateFile: join(home, CHAIN_FILE) } : {}),
      onSaveError: (error) => tell(`the development chain cannot be saved: ${String(error)}`),
    });
  const chain = await startAt(fakechainPort ?? USUAL_PORT).catch((error: unknown) => {
    const taken = error instanceof ChainError && error.code === 'port-taken';
    if (!taken || fakechainPort !== undefined) throw error;
    return startAt(0);
  });
  const kept = keepChain ? '' : ', a new one: --keep-chain keeps it from start to start';
  tell(`its development chain is at ${chain.url}${kept}`);
  return { url: chain.webSocketUrl, ended: chain.ended, close: () => chain.close() };
}

/**
 * `eth`, with the providers of this node. The development chain is one of them when it is up; until then requests wait.
 * @throws ChainConfigError
 */
export async function ethOf(
  { home, development, config }: ChainParts,
  chain: EmbeddedChain,
  needs: { readonly port: KernelPort; readonly clock: Clock },
): Promise<EthModule> {
  const chainId = idOf(development, config);
  return eth({
    home,
    defaults:
      chainId === CHAIN_ID || config === undefined
        ? []
        : [...publicProviders(), ...DEFAULT_PROVIDERS],
    prepend: await named(config ?? {}, chainId),
    temporary: chainUrl(development, config, chain).then((url) =>
      url === undefined ? [] : [urlProvider(CHAIN_ID, { url, auth: undefined })],
    ),
  })(needs);
}

function idOf(development: boolean, config: ChainConfig | undefined): number {
  return development ? CHAIN_ID : chainIdOf(config ?? {});
}

/** Of the development chain: a development node's own, or the one that a real node was pointed at. */
async function chainUrl(
  development: boolean,
  config: ChainConfig | undefined,
  chain: EmbeddedChain,
): Promise<string | undefined> {
  if (development) return chain.url;
  return config?.fakechainPort === undefined ? undefined : `ws://127.0.0.1:${config.fakechainPort}`;
}

async function named(
  { rpc, rpcConfig }: ChainConfig,
  chainId: number,
): Promise<readonly ProviderConfig[]> {
  if (rpc !== undefined) return [urlProvider(chainId, { url: rpc, auth: undefined })];
  if (rpcConfig === undefined) return [];
  const loaded = await loadRpcConfig(rpcConfig, chainId);
  if (loaded.kind === 'read') return loaded.value;
  const reason = loaded.kind === 'absent' ? 'there is no such file' : loaded.reason;
  throw new ChainConfigError(`--rpc-config ${rpcConfig}: ${reason}`);
}

/** Packages that read the namespace, and find in their drive `initfiles` which one. */
const READERS = ['hns-indexer:sys', 'hypermap-cacher:sys', 'names:sys'];

/** Tells them; before they start. A node that nobody said anything about chains to leaves the files alone. */
export async function tellReaders({ home, development, config }: ChainParts): Promise<void> {
  if (config === undefined) return;
  const chainId = idOf(development, config);
  const settings = {
    chain_id: chainId,
    hypermap: HYPERMAP,
    first_block: chainId === CHAIN_ID ? 0 : MAIN_FIRST_BLOCK,
    cache_sources: chainId === CHAIN_ID ? [] : MAIN_CACHE_SOURCES,
  };
  for (const reader of READERS) {
    const folder = join(home, 'vfs', reader, 'initfiles');
    await mkdir(folder, { recursive: true });
    const path = join(folder, 'chain.json');
    await writeFile(`${path}.new`, JSON.stringify(settings));
    await rename(`${path}.new`, path);
  }
}
