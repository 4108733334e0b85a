/** The scripts that say which providers of chains `eth` asks (eth.md §5, runtime-modules.md §10.4). */
import type { ProcessId } from '../../../../wit/types.ts';
import { tokens } from '../command-line.ts';
import { type Guest, isObject, jsonOf, shown } from '../guest.ts';
import { usage } from './usage.ts';

const TIMEOUT_S = 60;
const MAIN_CHAIN = '8453';
const AUTH: Readonly<Record<string, string>> = { basic: 'Basic', bearer: 'Bearer', raw: 'Raw' };
const DENIED = 'permission denied: this script lacks the root capability of eth';

/** Numbered, the most preferred first. What a URL has behind its host may be a key, and is not shown. */
export function getProviders(guest: Guest, args: string): string {
  if (args.trim() !== '') return usage('get-providers');
  const answer = ask(guest, '"GetProviders"');
  const list = isObject(answer) ? answer['Providers'] : undefined;
  if (!Array.isArray(list)) return refusal(answer);
  if (list.length === 0) return 'there are no providers';
  return list.map((one, index) => `${index + 1}. ${describe(one)}`).join('\n');
}

/** `<url> [--chain-id n] [--trusted b] [--auth-type basic|bearer|raw --auth-value v]`. */
export function addRpcUrlProvider(guest: Guest, args: string): string {
  const flags = parse(args, ['chain-id', 'trusted', 'auth-type', 'auth-value']);
  const [url, ...rest] = flags?.words ?? [];
  const chain = Number(flags?.values.get('chain-id') ?? MAIN_CHAIN);
  const trusted = flags?.values.get('trusted') ?? 'true';
  const type = flags?.values.get('auth-type');
  const value = flags?.values.get('auth-value');
  const kind = type === undefined ? undefined : AUTH[type];
  const auth = kind === undefined ? undefined : { [kind]: value };
  if (url === undefined || rest.length > 0 || !isChain(chain) || !isBool(trusted))
    return usage('add-rpcurl-provider');
  if ((type === undefined) !== (value === undefined) || (type !== undefined && kind === undefined))
    return usage('add-rpcurl-provider');
  const provider = { RpcUrl: auth === undefined ? { url } : { url, auth } };
  return added(guest, { chain_id: chain, provider, trusted: trusted === 'true' });
}

/** `<chain> <node> <key> <ip> <ws port> [--trusted b]`. */
export function addNodeProvider(guest: Guest, args: string): string {
  const flags = parse(args, ['trusted']);
  const [chain, name, key, ip, port, ...rest] = flags?.words ?? [];
  const trusted = flags?.values.get('trusted') ?? 'false';
  const ws = Number(port);
  if (name === undefined || key === undefined || ip === undefined || rest.length > 0)
    return usage('add-node-provider');
  if (!isChain(Number(chain)) || !isBool(trusted) || !Number.isInteger(ws) || ws < 1 || ws > 65_535)
    return usage('add-node-provider');
  const hns_update = { name, public_key: key, ips: [ip], ports: { ws }, routers: [] };
  const provider = { Node: { hns_update, use_as_provider: true } };
  return added(guest, { chain_id: Number(chain), provider, trusted: trusted === 'true' });
}

/** `<chain> <name or url>`. */
export function removeProvider(guest: Guest, args: string): string {
  const [chain, name, ...rest] = tokens(args);
  if (name === undefined || rest.length > 0 || !isChain(Number(chain)))
    return usage('remove-provider');
  const answer = ask(guest, JSON.stringify({ RemoveProvider: [Number(chain), name] }));
  if (answer === 'Ok') return `${name} is no provider of chain ${chain} any more`;
  if (answer === 'ProviderNotFound') return `${name} is no provider of chain ${chain}`;
  return refusal(answer);
}

interface AddedProvider {
  readonly chain_id: number;
  readonly provider: unknown;
  readonly trusted: boolean;
}

function added(guest: Guest, config: AddedProvider): string {
  const answer = ask(guest, JSON.stringify({ AddProvider: config }));
  return answer === 'Ok'
    ? `added as the first provider of chain ${config.chain_id}`
    : refusal(answer);
}

/** The answer's JSON; undefined: there was none. */
function ask(guest: Guest, body: string): unknown {
  const target = { node: guest.our.node, process: 'eth:distro:sys' as ProcessId };
  const reply = guest.ask(target, body, { timeoutS: TIMEOUT_S });
  return reply.kind === 'response' ? (jsonOf(reply.body) ?? shown(reply.body)) : undefined;
}

function refusal(answer: unknown): string {
  if (answer === undefined) return 'eth did not answer';
  return answer === 'PermissionDenied' ? DENIED : `eth answered ${JSON.stringify(answer)}`;
}

function describe(config: unknown): string {
  if (!isObject(config)) return JSON.stringify(config);
  const provider = isObject(config['provider']) ? config['provider'] : {};
  const { RpcUrl: url, Node: node } = provider;
  const update = isObject(node) ? node['hns_update'] : undefined;
  const where = isObject(url)
    ? `${hostOf(String(url['url']))}${url['auth'] == null ? '' : ' (with a key)'}`
    : `node ${isObject(update) ? String(update['name']) : '?'}`;
  return `chain ${String(config['chain_id'])}: ${where}${config['trusted'] === true ? ', trusted' : ''}`;
}

function hostOf(url: string): string {
  return /^[a-z]+:\/\/[^/?#]*/i.exec(url)?.[0] ?? 'a URL that cannot be read';
}

interface Parsed {
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, string>;
}

/** Words, and `--name value` of the given names; undefined for other flags. */
function parse(args: string, names: readonly string[]): Parsed | undefined {
  const words: string[] = [];
  const values = new Map<string, string>();
  const all = tokens(args);
  for (let at = 0; at < all.length; at++) {
    const word = all[at] ?? '';
    if (!word.startsWith('--')) {
      words.push(word);
      continue;
    }
    const value = all[(at += 1)];
    if (!names.includes(word.slice(2)) || value === undefined) return undefined;
    values.set(word.slice(2), value);
  }
  return { words, values };
}

function isChain(chain: number): boolean {
  return Number.isSafeInteger(chain) && chain > 0;
}

function isBool(text: string): boolean {
  return text === 'true' || text === 'false';
}
