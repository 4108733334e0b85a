// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The end of a token-bound account's code
/// @notice ERC-6551: 45 bytes of an ERC-1167 clone, then salt, chain id, token contract and token id, 32 bytes each.
library TokenFooter {
    /// @dev Bytes of such code.
    uint256 private constant CODE_BYTES = 0xad;

    /// @notice The token that the code of `account` names; zeros where it is no such code.
    function tokenOf(address account) internal view returns (uint256 chainId, address tokenContract, uint256 tokenId) {
        if (account.code.length != CODE_BYTES) return (0, address(0), 0);
        bytes memory footer = new bytes(0x60);
        assembly ("memory-safe") {
            extcodecopy(account, add(footer, 0x20), 0x4d, 0x60)
        }
        return abi.decode(footer, (uint256, address, uint256));
    }

    /// @notice Only its id: cheaper, for those who check the account against their own records.
    function tokenIdOf(address account) internal view returns (uint256 tokenId) {
        assembly ("memory-safe") {
            mstore(0, 0)
            extcodecopy(account, 0, 0x8d, 0x20)
            tokenId := mload(0)
        }
    }
}
