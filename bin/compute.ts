/**
 * The compute market of a development node, on its embedded chain: what the facilitator and the oracle are told of it, keys for them in the
 * node's wallet, and what they may sign with them. On any other chain the owner does this (docs/compute-money.md). Part of the composition
 * root; node.ts calls it.
 */
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  COMPUTE_ESCROW,
  HYPER,
  NODE_REGISTRY,
  VAULT_INIT_HASH,
  VERIFIER_SET,
} from '../contracts/abi/constants.ts';
import { CHAIN_ID, MULTICALL3 } from '../contracts/addresses.ts';
import { SELECTORS } from '../contracts/calls.ts';
import { personas } from '../contracts/chain/personas.ts';
import { rpcAt } from '../contracts/chain/rpc.ts';
import { ESCROW_SELECTORS, REGISTRY_SELECTORS } from '../contracts/compute-calls.ts';
import { STRUCTS, typeOf } from '../contracts/compute.ts';
import type { Identity } from '../runtime-modules/identity/development.ts';
import { seedWallet } from '../runtime-modules/signer/seed-wallet.ts';
import { moduleId, processId } from '../wit/address.ts';
import type { JsonValue } from '../wit/json.ts';
import type { Capability, NodeId, ProcessId } from '../wit/types.ts';
import type { ChainParts, EmbeddedChain } from './chain.ts';

const FACILITATOR = processId('facilitator:compute:sys');
const ORACLE = processId('oracle:compute:sys');
/** Wei that the platform's key has at every start: 100 ether, in which gas is paid. */
const PLATFORM_WEI = `0x${(100n * 10n ** 18n).toString(16)}`;
/** Wei a day that its transactions may cost: less than it has. */
const WEI_PER_DAY = String(50n * 10n ** 18n);
/** EIP-3009, of the token. */
const TRANSFER_WITH_AUTHORIZATION = 'e3ee160e';
/** As many as the market settles: the chain is nobody else's. */
const VERDICTS_PER_MINUTE = 6_000;

export interface ComputeParts extends ChainParts {
  readonly identity: Pick<Identity, 'name' | 'fileKey'>;
  readonly chain: EmbeddedChain;
}

/** Before the signer and the processes start. @returns what processes are granted beside what their manifest says */
export async function prepareMarket({
  home,
  development,
  config,
  identity,
  chain,
  tell,
}: ComputeParts): Promise<ReadonlyMap<ProcessId, readonly Capability[]>> {
  if (!development || config === undefined) return new Map();
  const { name: our, fileKey } = identity;
  await tellSettings(home);
  const keys = await seedWallet({ folder: join(home, '.wallets'), fileKey, tell }, [
    { name: 'platform', secret: platformSecret(our) },
    { name: 'verifier', secret: Buffer.from(personas.carol.privateKey.slice(2), 'hex') },
  ]);
  void chain.url
    .then((url) => {
      const platform = keys.get('platform');
      return url === undefined || platform === undefined ? undefined : giveEther(url, platform);
    })
    .catch((error: unknown) => tell(`the market's key has no ether: ${String(error)}`));
  const issuer = { node: our, process: moduleId('signer') };
  const grants = (all: readonly JsonValue[]): Capability[] =>
    all.map((params) => ({ issuer, params: JSON.stringify(params) }));
  return new Map([
    [FACILITATOR, grants(facilitatorMay())],
    [ORACLE, grants(oracleMay())],
  ]);
}

/** What the facilitator may send: batches to the escrow, transfers that clients authorised, one or several, proof of two receipts. */
export function facilitatorMay(key = 'platform'): readonly JsonValue[] {
  const calls = (contract: string, selectors: readonly string[]): JsonValue => ({
    key,
    chainId: CHAIN_ID,
    contract,
    calls: selectors.map((selector) => ({ selector: `0x${selector}` })),
    weiPerDay: WEI_PER_DAY,
  });
  return [
    calls(COMPUTE_ESCROW, [ESCROW_SELECTORS.batch]),
    calls(HYPER, [TRANSFER_WITH_AUTHORIZATION]),
    calls(MULTICALL3, [SELECTORS.tryAggregate]),
    calls(NODE_REGISTRY, [REGISTRY_SELECTORS.slashEquivocation]),
  ];
}

/** What the oracle may sign: verdicts and resolutions of the escrow. */
export function oracleMay(key = 'verifier'): readonly JsonValue[] {
  const domain = {
    name: 'HypernodeEscrow',
    version: '1',
    chainId: CHAIN_ID,
    verifyingContract: COMPUTE_ESCROW,
  };
  const names = ['Verdict', 'Resolution'] as const satisfies readonly (keyof typeof STRUCTS)[];
  return [{ key, domain, types: names.map((name) => ({ type: typeOf(name) })) }];
}

/** As `processes/compute/shared/settings.ts` reads it. */
export function settingsOf(): Readonly<Record<string, JsonValue>> {
  return {
    chain_id: CHAIN_ID,
    escrow: COMPUTE_ESCROW,
    registry: NODE_REGISTRY,
    verifiers: VERIFIER_SET,
    token: HYPER,
    token_name: 'Hypernode',
    token_version: '1',
    vault_init_hash: VAULT_INIT_HASH,
    first_block: 0,
    confirmations: 1,
    auditors: 1,
    verdicts_per_minute: VERDICTS_PER_MINUTE,
  };
}

async function tellSettings(home: string): Promise<void> {
  const folder = join(home, 'vfs', 'compute:sys', 'initfiles');
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'compute.json');
  await writeFile(`${path}.new`, JSON.stringify(settingsOf()));
  await rename(`${path}.new`, path);
}

/** One for each node, so that several on one chain do not use each other's nonces. Public, as all keys of that chain. */
function platformSecret(our: NodeId): Uint8Array {
  return createHash('sha256').update(`hyperloom development platform ${our}`).digest();
}

async function giveEther(webSocketUrl: string, account: string): Promise<void> {
  const rpc = rpcAt(webSocketUrl.replace(/^ws/, 'http'));
  await rpc.request('anvil_setBalance', account, PLATFORM_WEI);
}
