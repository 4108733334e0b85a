/** Keys that are known beforehand, such as those of a development chain, put into a wallet before its signer opens it. */
import type { KeyObject } from 'node:crypto';
import type { Secret } from '../identity/secret.ts';
import { Curve } from './curve.ts';
import { Sealer } from './sealed-key.ts';
import { Wallet } from './wallet.ts';

export interface SeedNeeds {
  /** `<home>/.wallets`; nobody else has it open. */
  readonly folder: string;
  readonly fileKey: Secret<KeyObject>;
  /** A line for the owner. */
  readonly tell: (text: string) => void;
}

/**
 * A key of that name that is there already stays, whatever it is. Secrets are overwritten.
 * @returns addresses by name, `0x` hex; those that could not be added are told of, and missing
 * @throws as the file system does
 */
export async function seedWallet(
  { folder, fileKey, tell }: SeedNeeds,
  keys: readonly { readonly name: string; readonly secret: Uint8Array }[],
): Promise<ReadonlyMap<string, string>> {
  const curve = new Curve();
  try {
    const wallet = await Wallet.open({ folder, sealer: new Sealer(fileKey), curve, tell });
    const addresses = new Map<string, string>();
    for (const { name, secret } of keys) {
      const known = wallet.find(name);
      const added = known === undefined ? await wallet.add(name, secret) : undefined;
      if (added?.ok === false) tell(`signer: the key ${name} is not made: ${added.error}`);
      else addresses.set(name, known?.address ?? added!.value.address);
    }
    return addresses;
  } finally {
    await curve.close();
  }
}
