// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Who may say what a job is worth
interface IVerifierSet {
    /// @notice A signature and whose it is: an account without code, or a contract that answers ERC-1271.
    struct Signed {
        address signer;
        bytes signature;
    }

    /// @notice A verifier joined.
    event VerifierAdded(address indexed verifier);
    /// @notice A verifier left.
    event VerifierRemoved(address indexed verifier);
    /// @notice How many must sign a verdict, and how many what a dispute ends with.
    event ThresholdsSet(uint256 verdict, uint256 dispute);

    /// @notice Too few, a stranger, somebody twice, or not their signature.
    error BadSignature();
    /// @notice The thresholds would not be 1 <= verdict <= dispute <= verifiers.
    error BadThresholds();
    /// @notice A verifier is there already, or is not there.
    error BadVerifier(address verifier);

    /// @notice Reverts with `BadSignature` unless enough verifiers signed.
    /// @param signatures  by signer, ascending
    /// @param dispute     whether the quorum for disputes is needed
    function check(bytes32 digest, Signed[] calldata signatures, bool dispute) external view;

    /// @notice Whether the account is a verifier.
    function isVerifier(address account) external view returns (bool);
}
