// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What accounts ask an ERC-4337 entry point
interface IEntryPoint {
    /// @notice The next nonce of `sender` in the series `key`.
    function getNonce(address sender, uint192 key) external view returns (uint256);
}
