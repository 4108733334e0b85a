// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HyperAccountUpgradable} from "./HyperAccountUpgradable.sol";
import {IHypermap} from "./IHypermap.sol";
import {TokenFooter} from "./TokenFooter.sol";

/// @title An account under which others may mint
/// @notice The account of a zone: anybody calls `mint` on it as on the namespace, and what `_useRight` lets pass is minted. The
/// zone's owner can pass by all rules with `execute`.
abstract contract Minter is HyperAccountUpgradable {
    /// @notice Mints `label` in this zone. See `IHypermap.mint`.
    function mint(address who, bytes calldata label, bytes calldata initialization, address implementation)
        external
        returns (address tba)
    {
        _useRight(label);
        return hypermap().mint(who, label, initialization, implementation);
    }

    /// @notice The same with bytes for the receiver's hook.
    function mint(
        address who,
        bytes calldata label,
        bytes calldata initialization,
        bytes calldata erc721Data,
        address implementation
    ) external returns (address tba) {
        _useRight(label);
        return hypermap().mint(who, label, initialization, erc721Data, implementation);
    }

    /// @notice The namespace that this zone is in.
    function hypermap() public view returns (IHypermap) {
        (, address tokenContract,) = TokenFooter.tokenOf(address(this));
        return IHypermap(tokenContract);
    }

    /// @dev Reverts unless the caller may mint `label` now, and uses up what is used by it. Runs before anything is minted.
    function _useRight(bytes calldata label) internal virtual;
}
