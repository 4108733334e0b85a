/**
 * What stands on a new embedded chain. Contracts are placed by `anvil_setCode` where the reference's clients expect them (section 9), so
 * addresses never change; the namespace is then used as anybody would use it. `test/chain.test.ts` holds the result (HM31, F36).
 */
import {
  ERC6551_REGISTRY,
  HYPERMAP,
  HYPERMAP_IMPLEMENTATION,
  HYPER_ACCOUNT,
  HYPER_ACCOUNT_UPGRADABLE,
  CHAIN_ID,
  CREATE2_DEPLOYER,
  MINTER,
  MULTICALL3,
  NINE_CHAR_COMMIT_MINTER,
  OWNER,
  PERMISSIONED_MINTER,
  REFERENCE_OS_TBA,
  REFERENCE_ROOT_TBA,
  TOKEN_REGISTRY,
} from '../addresses.ts';
import { HYPR, PROXY_INIT_HASH } from '../abi/constants.ts';
import { erc6551RegistryCode } from '../abi/erc6551-registry.ts';
import { forwarderCode } from '../abi/forwarder.ts';
import { hyperAccountCode } from '../abi/hyper-account.ts';
import { hyperAccount9CharCommitMinterCode } from '../abi/hyper-account9-char-commit-minter.ts';
import { hyperAccountMinterCode } from '../abi/hyper-account-minter.ts';
import { hyperAccountPermissionedMinterCode } from '../abi/hyper-account-permissioned-minter.ts';
import { hyperAccountUpgradableCode } from '../abi/hyper-account-upgradable.ts';
import { hypermapCode } from '../abi/hypermap.ts';
import { hypermapProxyCode } from '../abi/hypermap-proxy.ts';
import { hyprCode } from '../abi/hypr.ts';
import { multicall3Code } from '../abi/multicall3.ts';
import { tokenRegistryCode } from '../abi/token-registry.ts';
import { encodeCall, encodeExecute, encodeInitialize, encodeMint } from '../calls.ts';
import type { Code } from '../contract.ts';
import type { Hex } from '../hex.ts';
import { namehash, predictAccount } from '../hypermap.ts';
import { deployCompute } from './compute-genesis.ts';
import { personas } from './personas.ts';
import type { Rpc } from './rpc.ts';

/**
 * `fake`: only `os`, where anybody mints any label, as on the reference's fake chain. `main`: `os` with names of nine characters by commit
 * and reveal, `hypr` by permission, `dev` for everybody, as on the main chain.
 */
export type Profile = 'fake' | 'main';

/** Seconds between a commitment and the earliest mint by it. */
export const COMMIT_AGE_S_MIN = 15;
/** Seconds between a commitment and the latest mint by it. */
export const COMMIT_AGE_S_MAX = 1_800;
/** HYPR that each persona but the owner starts with, in wei. */
export const PERSONA_HYPR_WEI = 1_000_000n * 10n ** 18n;

/** Zones of a profile, and the implementation of their accounts. */
const ZONES: Readonly<Record<Profile, readonly (readonly [label: string, minter: string])[]>> = {
  fake: [['os', MINTER]],
  main: [
    ['os', NINE_CHAR_COMMIT_MINTER],
    ['hypr', PERMISSIONED_MINTER],
    ['dev', MINTER],
  ],
};

/** ERC-1967: keccak256("eip1967.proxy.implementation") - 1. */
const IMPLEMENTATION_SLOT = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc';
/** OpenZeppelin's Initializable, ERC-7201. */
const INITIALIZABLE_SLOT = '0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00';
/** What `_disableInitializers` writes there; code that is placed had no constructor to do so. */
const INITIALIZERS_DISABLED = word((1n << 64n) - 1n);

/** Where the account of a name is on the embedded chain. */
export function accountOf(name: string): Hex {
  return predictAccount(
    {
      hypermap: HYPERMAP,
      registry: ERC6551_REGISTRY,
      chainId: CHAIN_ID,
      proxyInitHash: PROXY_INIT_HASH,
    },
    namehash(name),
  ).tba;
}

/** Puts everything onto an empty chain. */
export async function deploy(rpc: Rpc, profile: Profile): Promise<void> {
  await rpc.batch([
    ...placed().map(([address, code]) => ['anvil_setCode', address, code] as const),
    ['anvil_setStorageAt', HYPERMAP, IMPLEMENTATION_SLOT, word(BigInt(HYPERMAP_IMPLEMENTATION))],
    ...[
      HYPERMAP_IMPLEMENTATION,
      HYPER_ACCOUNT_UPGRADABLE,
      MINTER,
      PERMISSIONED_MINTER,
      NINE_CHAR_COMMIT_MINTER,
    ].map(
      (address) =>
        ['anvil_setStorageAt', address, INITIALIZABLE_SLOT, INITIALIZERS_DISABLED] as const,
    ),
  ]);
  const byOwner = (to: string, data: string): Promise<void> => rpc.send({ from: OWNER, to, data });
  await byOwner(HYPERMAP, encodeCall('c4d66de8', [BigInt(OWNER)]));
  for (const [label, implementation] of ZONES[profile]) {
    const mint = encodeMint({
      who: OWNER,
      label,
      initialization: encodeInitialize(),
      implementation,
    });
    await byOwner(accountOf(''), encodeExecute({ to: HYPERMAP, data: mint, operation: 0 }));
  }
  const salt = '00'.repeat(32);
  const supplyHolder = word(BigInt(OWNER)).slice(2);
  await byOwner(CREATE2_DEPLOYER, `0x${salt}${hyprCode.creation.slice(2)}${supplyHolder}`);
  for (const { address } of Object.values(personas)) {
    if (address !== OWNER)
      await byOwner(HYPR, encodeCall('a9059cbb', [BigInt(address), PERSONA_HYPR_WEI]));
  }
  await deployCompute(rpc);
}

/** Addresses, and the code that stands there. */
function placed(): (readonly [address: string, code: string])[] {
  const self = (address: string): Record<string, bigint> => ({ __self: BigInt(address) });
  return [
    [ERC6551_REGISTRY, erc6551RegistryCode.runtime],
    [MULTICALL3, multicall3Code.runtime],
    [HYPER_ACCOUNT, hyperAccountCode.runtime],
    [
      HYPER_ACCOUNT_UPGRADABLE,
      withImmutables(hyperAccountUpgradableCode, self(HYPER_ACCOUNT_UPGRADABLE)),
    ],
    [MINTER, withImmutables(hyperAccountMinterCode, self(MINTER))],
    [
      PERMISSIONED_MINTER,
      withImmutables(hyperAccountPermissionedMinterCode, self(PERMISSIONED_MINTER)),
    ],
    [
      NINE_CHAR_COMMIT_MINTER,
      withImmutables(hyperAccount9CharCommitMinterCode, {
        ...self(NINE_CHAR_COMMIT_MINTER),
        minCommitAge: BigInt(COMMIT_AGE_S_MIN),
        maxCommitAge: BigInt(COMMIT_AGE_S_MAX),
      }),
    ],
    [HYPERMAP, hypermapProxyCode.runtime],
    [
      HYPERMAP_IMPLEMENTATION,
      withImmutables(hypermapCode, {
        ...self(HYPERMAP_IMPLEMENTATION),
        ERC6551_REGISTRY: BigInt(ERC6551_REGISTRY),
        ROOT_ACCOUNT: BigInt(HYPER_ACCOUNT),
      }),
    ],
    [
      TOKEN_REGISTRY,
      withImmutables(tokenRegistryCode, { hypr: BigInt(HYPR), hypermap: BigInt(HYPERMAP) }),
    ],
    [REFERENCE_ROOT_TBA, withImmutables(forwarderCode, { FORWARDS_TO: BigInt(accountOf('')) })],
    [REFERENCE_OS_TBA, withImmutables(forwarderCode, { FORWARDS_TO: BigInt(accountOf('os')) })],
  ];
}

/**
 * Code as a constructor would have left it.
 * @param values  every immutable that the code has, and no other
 */
export function withImmutables(code: Code, values: Readonly<Record<string, bigint>>): string {
  const names = Object.keys(code.immutables).toSorted().join();
  if (names !== Object.keys(values).toSorted().join())
    throw new Error(`the code has the immutables ${names}`);
  let { runtime } = code;
  for (const [name, places] of Object.entries(code.immutables)) {
    for (const place of places) {
      const at = 2 + 2 * place;
      runtime = runtime.slice(0, at) + word(values[name]!).slice(2) + runtime.slice(at + 64);
    }
  }
  return runtime;
}

function word(value: bigint): string {
  return `0x${value.toString(16).padStart(64, '0')}`;
}
