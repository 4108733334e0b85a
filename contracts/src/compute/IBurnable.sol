// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A token whose holders can destroy what they hold
interface IBurnable {
    /// @notice Destroys `amount` of the caller's.
    function burn(uint256 amount) external;
}
