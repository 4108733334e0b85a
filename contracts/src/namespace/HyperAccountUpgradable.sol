// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {HyperAccount} from "./HyperAccount.sol";

/// @title An account whose owner may replace its code
/// @notice `initialize()` is the first call of its initialisation: made by the namespace, or by the account itself through Multicall.
contract HyperAccountUpgradable is HyperAccount, Initializable, UUPSUpgradeable {
    /// @dev The implementation itself is nobody's.
    constructor() {
        _disableInitializers();
    }

    /// @notice Once, by whoever may make the account act, or the account itself.
    function initialize() external initializer {
        if (msg.sender != address(this) && msg.sender != _owner()) _refuse();
    }

    /// @dev The owner of the name decides, by a call of their own.
    function _authorizeUpgrade(address) internal view override {
        if (msg.sender != _owner()) _refuse();
    }
}
