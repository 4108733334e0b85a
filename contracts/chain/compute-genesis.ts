/** Puts the compute market onto the embedded chain: its contracts, HYPER for everybody, and what its owner sets. */
import {
  ADDRESS_BOOK,
  COMPUTE_ESCROW,
  HYPER,
  NODE_REGISTRY,
  RECEIPT_ANCHOR,
  VERIFIER_SET,
} from '../abi/constants.ts';
import { addressBookCode } from '../abi/address-book.ts';
import { computeEscrowCode } from '../abi/compute-escrow.ts';
import { hyperTokenCode } from '../abi/hyper-token.ts';
import { nodeRegistryCode } from '../abi/node-registry.ts';
import { permit2Code } from '../abi/permit2.ts';
import { receiptAnchorCode } from '../abi/receipt-anchor.ts';
import { verifierSetCode } from '../abi/verifier-set.ts';
import { CREATE2_DEPLOYER, OWNER, PERMIT2 } from '../addresses.ts';
import { encodeCall } from '../calls.ts';
import { COMPUTE_CONSTRUCTORS, initCodeOf } from './compute-constructors.ts';
import { personas } from './personas.ts';
import type { Rpc } from './rpc.ts';

/** HYPER that each persona but the owner starts with, in millionths. */
export const PERSONA_HYPER_UNITS = 1_000_000n * 10n ** 6n;
/** What a dispute over a job that is paid in HYPER costs at least, in millionths. */
export const DISPUTE_BOND_UNITS_MIN = 10n ** 6n;
/** A HYPER of stake stands for a HYPER of price. */
const EXPOSURE_PPM = 1_000_000n;

const CODES: Readonly<Record<string, { readonly address: string; readonly creation: string }>> = {
  HyperToken: { address: HYPER, ...hyperTokenCode },
  VerifierSet: { address: VERIFIER_SET, ...verifierSetCode },
  NodeRegistry: { address: NODE_REGISTRY, ...nodeRegistryCode },
  ComputeEscrow: { address: COMPUTE_ESCROW, ...computeEscrowCode },
  ReceiptAnchor: { address: RECEIPT_ANCHOR, ...receiptAnchorCode },
  AddressBook: { address: ADDRESS_BOOK, ...addressBookCode },
};

/**
 * After the namespace, which the registry asks who owns a name. On a chain that was saved by another version only what that version did not
 * have, or had otherwise: what people did with the market before stays where it was, at addresses that nobody asks any more.
 */
export async function deployCompute(rpc: Rpc): Promise<void> {
  if (await isThere(rpc, COMPUTE_ESCROW, ADDRESS_BOOK)) return;
  await rpc.request('anvil_setCode', PERMIT2, permit2Code.runtime);
  const byOwner = (to: string, data: string): Promise<void> => rpc.send({ from: OWNER, to, data });
  const hadToken = await isThere(rpc, HYPER);
  for (const [contract, words] of COMPUTE_CONSTRUCTORS) {
    const { address, creation } = CODES[contract]!;
    if (await isThere(rpc, address)) continue;
    const init = initCodeOf(
      creation,
      words((name) => CODES[name]!.address),
    );
    await byOwner(CREATE2_DEPLOYER, `0x${'00'.repeat(32)}${init.slice(2)}`);
  }
  // setEscrow(address,bool), setTokenRule(address,uint64,uint128), list(address,address,address,address,address)
  for (const asked of [NODE_REGISTRY, VERIFIER_SET])
    await byOwner(asked, encodeCall('229003ec', [BigInt(COMPUTE_ESCROW), 1n]));
  const rule = [BigInt(HYPER), EXPOSURE_PPM, DISPUTE_BOND_UNITS_MIN];
  await byOwner(COMPUTE_ESCROW, encodeCall('9bad7a9b', rule));
  const version = [COMPUTE_ESCROW, NODE_REGISTRY, VERIFIER_SET, RECEIPT_ANCHOR, HYPER].map(BigInt);
  await byOwner(ADDRESS_BOOK, encodeCall('0695cb02', version));
  if (hadToken) return;
  for (const { address } of Object.values(personas)) {
    if (address !== OWNER)
      await byOwner(HYPER, encodeCall('a9059cbb', [BigInt(address), PERSONA_HYPER_UNITS]));
  }
}

async function isThere(rpc: Rpc, ...addresses: readonly string[]): Promise<boolean> {
  const codes = await rpc.batch(
    addresses.map((address) => ['eth_getCode', address, 'latest'] as const),
  );
  return codes.every((code) => code !== '0x');
}
