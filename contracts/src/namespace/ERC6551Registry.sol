// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {IERC6551Registry} from "./IERC6551Registry.sol";

/// @title A registry of token-bound accounts
/// @notice Implements ERC-6551 for chains without the canonical registry, such as the embedded one, where it stands at the canonical
/// address: accounts have the same code and the same addresses as those of the canonical one.
contract ERC6551Registry is IERC6551Registry {
    /// @inheritdoc IERC6551Registry
    function createAccount(
        address implementation,
        bytes32 salt,
        uint256 chainId,
        address tokenContract,
        uint256 tokenId
    ) external returns (address made) {
        bytes memory code = _creationCode(implementation, salt, chainId, tokenContract, tokenId);
        made = Create2.computeAddress(salt, keccak256(code));
        if (made.code.length != 0) return made;
        assembly ("memory-safe") {
            made := create2(0, add(code, 0x20), mload(code), salt)
        }
        require(made != address(0), AccountCreationFailed());
        emit ERC6551AccountCreated(made, implementation, salt, chainId, tokenContract, tokenId);
    }

    /// @inheritdoc IERC6551Registry
    function account(address implementation, bytes32 salt, uint256 chainId, address tokenContract, uint256 tokenId)
        external
        view
        returns (address)
    {
        bytes memory code = _creationCode(implementation, salt, chainId, tokenContract, tokenId);
        return Create2.computeAddress(salt, keccak256(code));
    }

    /// @dev Ten bytes that return the rest: an ERC-1167 clone of `implementation`, then what the account belongs to.
    function _creationCode(
        address implementation,
        bytes32 salt,
        uint256 chainId,
        address tokenContract,
        uint256 tokenId
    ) private pure returns (bytes memory) {
        return abi.encodePacked(
            hex"3d60ad80600a3d3981f3",
            hex"363d3d373d3d3d363d73",
            implementation,
            hex"5af43d82803e903d91602b57fd5bf3",
            salt,
            chainId,
            uint256(uint160(tokenContract)),
            tokenId
        );
    }
}
