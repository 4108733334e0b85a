// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Permit2's transfers by signature
/// @notice The part of Permit2 that the escrow uses. It stands at `0x000000000022D473030F116dDEE9F6B43aC78BA3` on most chains.
interface IPermit2 {
    /// @notice A token, and the most that may be taken of it.
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    /// @notice What the owner signs, with the spender and the witness. `deadline` in seconds since 1970.
    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice What the spender asks for.
    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    /// @notice Moves what the owner signed to whom the caller says.
    /// @param witness            EIP-712 hash of what else the owner signed
    /// @param witnessTypeString  the end of the signed type, from the witness on
    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external;
}
