/**
 * `<home>/.eth_providers` and `<home>/.eth_access_settings` (eth.md §6). A file that cannot be read is left as it is, and its owner is
 * told; writing replaces a file in one step.
 */
import { open, readFile, rename } from 'node:fs/promises';
import {
  accessSettings,
  type AccessSettings,
  providerConfig,
  type ProviderConfig,
  rpcAuth,
} from '../../wit/eth-api.ts';
import { type Codec, list, option, record, text } from '../../wit/codec.ts';
import { formatJson, isJsonObject, type JsonValue, parseJson } from '../../wit/json.ts';
import type { U64 } from '../../wit/types.ts';

/** Of either file. */
export const CONFIG_BYTES_MAX = 1024 * 1024;

const providers = list(providerConfig);
const rpcUrls = list(record({ url: text, auth: option(rpcAuth) }));

export type Loaded<T> =
  | { readonly kind: 'read'; readonly value: T }
  | { readonly kind: 'absent' }
  /** `reason` is a sentence. */
  | { readonly kind: 'unreadable'; readonly reason: string };

export function loadProviders(path: string): Promise<Loaded<readonly ProviderConfig[]>> {
  return load(path, providers, withObjects);
}

export function loadAccess(path: string): Promise<Loaded<AccessSettings>> {
  return load(path, accessSettings);
}

/** What `--rpc-config` names, as trusted providers of one chain, the most preferred first. */
export async function loadRpcConfig(
  path: string,
  chainId: U64,
): Promise<Loaded<readonly ProviderConfig[]>> {
  const loaded = await load(path, rpcUrls);
  if (loaded.kind !== 'read') return loaded;
  return { kind: 'read', value: loaded.value.map((value) => urlProvider(chainId, value)) };
}

/** A trusted provider as `--rpc` names it (E21). */
export function urlProvider(
  chainId: U64,
  value: Extract<ProviderConfig['provider'], { kind: 'RpcUrl' }>['value'],
): ProviderConfig {
  return { chain_id: chainId, trusted: true, provider: { kind: 'RpcUrl', value } };
}

/** Resolves when it is on disk. */
export function saveProviders(path: string, configs: readonly ProviderConfig[]): Promise<void> {
  return replace(path, formatJson(withoutNulls(parseJson(providers.stringify(configs)) ?? null)));
}

/** Resolves when it is on disk. */
export function saveAccess(path: string, settings: AccessSettings): Promise<void> {
  return replace(path, accessSettings.stringify(settings));
}

async function load<T>(
  path: string,
  schema: Codec<T>,
  prepare: (tree: JsonValue) => JsonValue = (tree) => tree,
): Promise<Loaded<T>> {
  let content: Uint8Array;
  try {
    content = await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { kind: 'absent' };
    return { kind: 'unreadable', reason: `${path} cannot be read: ${message}` };
  }
  if (content.length > CONFIG_BYTES_MAX)
    return { kind: 'unreadable', reason: `${path} has over ${CONFIG_BYTES_MAX} bytes` };
  const tree = parseJson(content);
  if (tree === undefined) return { kind: 'unreadable', reason: `${path} is not JSON` };
  const decoded = schema.decode(formatJson(prepare(tree)));
  if (decoded.ok) return { kind: 'read', value: decoded.value };
  const { path: where, expected } = decoded.error;
  return { kind: 'unreadable', reason: `${path}: ${where}: expected ${expected}` };
}

/** The older spelling of a URL provider, `{"RpcUrl":"wss://…"}`, as the present one (E19). */
function withObjects(tree: JsonValue): JsonValue {
  if (!Array.isArray(tree)) return tree;
  return (tree as readonly JsonValue[]).map((entry) => {
    const provider = isJsonObject(entry) ? entry['provider'] : undefined;
    const url = isJsonObject(provider) ? provider['RpcUrl'] : undefined;
    if (!isJsonObject(entry) || typeof url !== 'string') return entry;
    return { ...entry, provider: { RpcUrl: { url, auth: null } } };
  });
}

/** `auth` is left out where there is none. */
function withoutNulls(tree: JsonValue): JsonValue {
  if (Array.isArray(tree)) return (tree as readonly JsonValue[]).map(withoutNulls);
  if (!isJsonObject(tree)) return tree;
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, withoutNulls(value)]),
  );
}

/** Whole or not at all, readable by its owner only: URLs and auth values are keys. */
async function replace(path: string, content: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}
