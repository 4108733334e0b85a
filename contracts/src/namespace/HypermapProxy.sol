// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

/// @title Where the namespace stands
/// @notice An ERC-1967 proxy; `Hypermap` behind it decides about upgrades (UUPS).
contract HypermapProxy is ERC1967Proxy {
    /// @param implementation  a `Hypermap`
    /// @param initialization  its first call; may not be empty, or anybody could make it
    constructor(address implementation, bytes memory initialization) ERC1967Proxy(implementation, initialization) {}
}
