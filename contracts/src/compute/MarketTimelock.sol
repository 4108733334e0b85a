// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title Owner of the market where there is money at stake
/// @notice What a proposer asks for happens two days later, so that whoever dislikes it can leave first. It is its own administrator: also
/// its delay and its roles change after two days only. Who stops funding in a hurry is the escrow's pauser, another role.
/// Source: compute-market, section 6.2.
contract MarketTimelock is TimelockController {
    /// @notice Seconds between asking and doing.
    uint256 public constant DELAY_S = 48 hours;

    /// @param proposers  ask for changes, and call them off
    /// @param executors  carry out what has waited; the zero address: anybody
    constructor(address[] memory proposers, address[] memory executors)
        TimelockController(DELAY_S, proposers, executors, address(0))
    {}
}
