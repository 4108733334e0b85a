// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Minter} from "./Minter.sol";

/// @title The minter with allowances
/// @notice The zone's owner says who may mint how many names. The owner too mints by allowance here, or by `execute` without one.
contract HyperAccountPermissionedMinter is Minter {
    /// @custom:storage-location erc7201:hyperloom.permissioned-minter
    struct Allowances {
        mapping(address minter => uint256) left;
    }

    /// @notice The caller's allowance is used up, or there never was one.
    error InsufficientAllowance(address minter);

    /// @dev keccak256(abi.encode(uint256(keccak256("hyperloom.permissioned-minter")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant ALLOWANCES = 0xc3f00e6b90ffb06853a6c34cd546c98e217ab987d03b042944cccead07ac5d00;

    /// @notice Sets what `minter` may still mint to `count`.
    function auth(address minter, uint256 count) external {
        if (msg.sender != _owner()) _refuse();
        _allowances().left[minter] = count;
    }

    /// @notice Takes back what is left of `minter`'s allowance.
    function deauth(address minter) external {
        if (msg.sender != _owner()) _refuse();
        delete _allowances().left[minter];
    }

    /// @notice How many names `minter` may still mint.
    function allowance(address minter) external view returns (uint256) {
        return _allowances().left[minter];
    }

    /// @dev One of the caller's allowance.
    function _useRight(bytes calldata) internal override {
        Allowances storage allowances = _allowances();
        uint256 left = allowances.left[msg.sender];
        require(left != 0, InsufficientAllowance(msg.sender));
        allowances.left[msg.sender] = left - 1;
    }

    /// @dev Where allowances are kept, whatever the account's code.
    function _allowances() private pure returns (Allowances storage allowances) {
        assembly ("memory-safe") {
            allowances.slot := ALLOWANCES
        }
    }
}
