/** What wallets sign of the token, for tests. */
import { TypedDataEncoder } from 'ethers';
import { HYPER } from '../../contracts/abi/constants.ts';
import { CHAIN_ID } from '../../contracts/addresses.ts';

const MEMBERS = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
];

/** Of `TransferWithAuthorization` or `ReceiveWithAuthorization` of HYPER. */
export function digestTypedData(
  primaryType: 'TransferWithAuthorization' | 'ReceiveWithAuthorization',
  message: Readonly<Record<string, unknown>>,
): string {
  const domain = {
    name: 'Hypernode',
    version: '1',
    chainId: CHAIN_ID,
    verifyingContract: HYPER,
  };
  return TypedDataEncoder.hash(domain, { [primaryType]: MEMBERS }, message);
}
