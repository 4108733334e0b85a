/** EIP-712 digests by the node's signer: a guest takes milliseconds for what it does in a fraction of one. */
import type { Signer, TypedData } from '../../lib/signer.ts';
import {
  type Domain,
  type Struct,
  type StructName,
  typedDataOf,
} from '../../../contracts/compute.ts';

/** The same as `digestOf`. */
export function typedDigest<N extends StructName>(
  signer: Signer,
  domain: Domain,
  name: N,
  value: Struct<N>,
): Promise<string> {
  // Proof of the type: as wallets take it, which is how it is written there.
  return signer.typedDataDigest(typedDataOf(domain, name, value) as TypedData);
}
