// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Minter} from "./Minter.sol";

/// @title The free minter
/// @notice Anybody mints any valid label, first come, first served: `os` of the fake chain, `dev` of the main profile.
contract HyperAccountMinter is Minter {
    /// @dev Everybody may.
    function _useRight(bytes calldata) internal pure override {}
}
