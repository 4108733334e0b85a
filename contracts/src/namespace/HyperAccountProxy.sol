// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What stands between the account of one name and its implementation
/// @notice The namespace makes one for each name with CREATE2 and the name's hash as salt, so that the address of the account depends
/// on nothing but the namespace, the name and the chain. The account is an ERC-6551 clone that delegates here; the implementation is
/// kept in the account's own storage.
contract HyperAccountProxy {
    /// @notice The account's implementation was chosen.
    event Upgraded(address indexed implementation);

    /// @notice Not the namespace, or not the first time.
    error InitializationRefused();
    /// @notice The address has no code.
    error ImplementationWithoutCode(address implementation);

    address private immutable HYPERMAP;
    /// @dev ERC-1967: keccak256("eip1967.proxy.implementation") - 1
    bytes32 private constant IMPLEMENTATION = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;

    /// @param hypermap  the namespace
    constructor(address hypermap) {
        HYPERMAP = hypermap;
    }

    /// @notice Plain ether is accepted, before and after initialisation.
    receive() external payable {}

    /// @notice Everything else is the implementation's.
    fallback() external payable {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let done := delegatecall(gas(), sload(IMPLEMENTATION), free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(done) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }

    /// @notice Chooses the implementation, and makes the account's first call with `data` unless that is empty.
    function initialize(address implementation, bytes calldata data) external {
        address current;
        assembly ("memory-safe") {
            current := sload(IMPLEMENTATION)
        }
        require(msg.sender == HYPERMAP && current == address(0), InitializationRefused());
        require(implementation.code.length != 0, ImplementationWithoutCode(implementation));
        assembly ("memory-safe") {
            sstore(IMPLEMENTATION, implementation)
        }
        emit Upgraded(implementation);
        if (data.length == 0) return;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, data.offset, data.length)
            if iszero(delegatecall(gas(), implementation, free, data.length, 0, 0)) {
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
        }
    }
}
