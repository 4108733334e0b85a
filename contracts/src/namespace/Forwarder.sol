// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A second address of an account on the fake chain
/// @notice Clients of the reference have the addresses of the fake chain's root and `os` accounts compiled in. Those follow from creation
/// code that is not ours, so the accounts stand elsewhere, and this stands there and passes calls on: a free `mint`, and all reads. The
/// account sees this contract as the caller, so what only an owner may do is refused here.
contract Forwarder {
    /// @notice Where calls go.
    address public immutable FORWARDS_TO;

    /// @param to  the account
    constructor(address to) {
        FORWARDS_TO = to;
    }

    /// @notice Passed on with its value; the answer, or the revert, comes back.
    receive() external payable {
        _forward();
    }

    /// @notice Passed on with its value; the answer, or the revert, comes back.
    fallback() external payable {
        _forward();
    }

    /// @dev Ends the call with what the account answers.
    function _forward() private {
        address to = FORWARDS_TO;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let done := call(gas(), to, callvalue(), free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(done) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }
}
