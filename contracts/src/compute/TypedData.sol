// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title EIP-712 with a name and version 1
/// @notice A signature counts if it is 65 bytes with the lower s and v 27 or 28, by an account without code, or if the account's code says
/// so (ERC-1271).
abstract contract TypedData {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    bytes32 private immutable NAME_HASH;
    uint256 private immutable CHAIN_ID = block.chainid;
    bytes32 private immutable SEPARATOR;

    /// @param name  of the EIP-712 domain
    constructor(string memory name) {
        NAME_HASH = keccak256(bytes(name));
        SEPARATOR = _separator();
    }

    /// @notice The separator of the domain; another one where the chain split and took another id.
    // forge-lint: disable-next-line(mixed-case-function)
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return block.chainid == CHAIN_ID ? SEPARATOR : _separator();
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR(), structHash));
    }

    function _signed(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return signer != address(0) && SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature);
    }

    function _separator() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, keccak256("1"), block.chainid, address(this)));
    }
}
