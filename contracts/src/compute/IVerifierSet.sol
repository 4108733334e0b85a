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

    /// @notice How much a verifier must have posted for its signature to count.
    event BondMinSet(uint256 bondMin);
    /// @notice Whose disputes say that a verdict was wrong.
    event EscrowSet(address indexed escrow, bool admitted);
    /// @notice A verifier's bond grew.
    event BondPosted(address indexed verifier, address indexed by, uint256 amount, uint256 bond);
    /// @notice A verifier asked for bond back.
    event BondRequested(address indexed verifier, uint256 amount, uint256 availableAt);
    /// @notice A verifier has it back.
    event BondWithdrawn(address indexed verifier, uint256 amount);
    /// @notice A verifier signed to pay for what the quorum for disputes called wrong.
    event VerdictSlashed(address indexed verifier, bytes32 indexed jobId, bytes32 verdictHash, uint256 amount);

    /// @notice Too few, a stranger, somebody twice, or not their signature.
    error BadSignature();
    /// @notice The thresholds would not be 1 <= verdict <= dispute <= verifiers.
    error BadThresholds();
    /// @notice A verifier is there already, or is not there.
    error BadVerifier(address verifier);
    /// @notice Nothing, more than there is, or more than fits.
    error BadAmount();
    /// @notice The bond stays for a while after it was asked for.
    error CooldownActive();
    /// @notice The quorum for disputes did not call this verdict wrong, or its signers have paid for it.
    error NotOverruled();
    /// @notice The token did not move what it was told to.
    error TransferMismatch();

    /// @notice Reverts with `BadSignature` unless enough verifiers signed.
    /// @param signatures  by signer, ascending
    /// @param dispute     whether the quorum for disputes is needed
    function check(bytes32 digest, Signed[] calldata signatures, bool dispute) external view;

    /// @notice Whether the account's signature counts: a verifier with the bond that is asked for.
    function isVerifier(address account) external view returns (bool);
}
