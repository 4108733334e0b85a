// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ERC-6551: where token-bound accounts are made
interface IERC6551Registry {
    /// @notice An account was made.
    event ERC6551AccountCreated(
        address account,
        address indexed implementation,
        bytes32 salt,
        uint256 chainId,
        address indexed tokenContract,
        uint256 indexed tokenId
    );

    /// @notice CREATE2 failed.
    error AccountCreationFailed();

    /// @notice Makes the account, or returns the one that is there.
    function createAccount(
        address implementation,
        bytes32 salt,
        uint256 chainId,
        address tokenContract,
        uint256 tokenId
    ) external returns (address);

    /// @notice Where the account is, or will be.
    function account(address implementation, bytes32 salt, uint256 chainId, address tokenContract, uint256 tokenId)
        external
        view
        returns (address);
}
