/** Where things stand on the embedded chain; most of them where the reference has them, on its fake chain or on Base (section 9). */

/** Chain id of the embedded chain, as of the reference's fake chain. */
export const CHAIN_ID = 31_337;

/** The namespace (its proxy). */
export const HYPERMAP = '0x000000000044C6B8Cb4d8f0F889a3E47664EAeda';
export const HYPERMAP_IMPLEMENTATION = '0x000000000013a0486EBDc2DB1D7B4d1f7fCA92eD';
export const HYPER_ACCOUNT = '0x0000000000EDAd72076CBe7b9Cfa3751D5a85C97';
export const HYPER_ACCOUNT_UPGRADABLE = '0x0000000000691b70A051CFAF82F9622E150369f3';
export const ERC6551_REGISTRY = '0x000000006551c19487814612e58FE06813775758';
export const MULTICALL3 = '0xcA11bde05977b3631167028862bE2a173976CA11';
export const CREATE2_DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C';
/** The free minter. */
export const MINTER = '0xE01dCbD3Ed5f709874A1eA7a25677de18C8661c9';
export const PERMISSIONED_MINTER = '0x00000000006B1fc0feC2272661FC27490525BCcc';
export const NINE_CHAR_COMMIT_MINTER = '0x0000000000676c29D858EFE19e61284C35942934';
export const TOKEN_REGISTRY = '0x0000000000e8d224B902632757d5dbc51a451456';

/** Account 0 of the embedded chain: owns the root and its zones. */
export const OWNER = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';

/** Where the reference's fake chain has the account of `os`; a forwarder stands there (F36). */
export const REFERENCE_OS_TBA = '0x9b3853358ede717fc7D4806cF75d7A4d4517A9C9';
/** Where the reference's fake chain has the account of the root; a forwarder stands there (F36). */
export const REFERENCE_ROOT_TBA = '0x809A598d9883f2Fb6B77382eBfC9473Fd6A857c9';

/** Permit2, as on every chain. */
export const PERMIT2 = '0x000000000022D473030F116dDEE9F6B43aC78BA3';
/** The one verifier that a new embedded chain has: account 3, as in the reference's vectors. */
export const VERIFIER = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
/** Gets the protocol's share of what jobs pay on the embedded chain: account 9. */
export const TREASURY = '0xa0Ee7A142d267C1f36714E4a8F75612F20a79720';
