// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title The token that is locked to rank names
/// @notice For the embedded chain: a fixed billion with 18 decimals. Elsewhere the registry is given the token that is there.
contract Hypr is ERC20, ERC20Permit {
    /// @notice All there will ever be, in wei.
    uint256 public constant SUPPLY = 10 ** 27;

    /// @param holder  gets all of it
    constructor(address holder) ERC20("Hyperware", "HYPR") ERC20Permit("Hyperware") {
        _mint(holder, SUPPLY);
    }
}
