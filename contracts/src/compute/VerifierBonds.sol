// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ComputeEscrow} from "./ComputeEscrow.sol";
import {ComputeHash} from "./ComputeHash.sol";
import {Guard} from "./Guard.sol";
import {IBurnable} from "./IBurnable.sol";
import {IComputeEscrow} from "./IComputeEscrow.sol";
import {IVerifierSet} from "./IVerifierSet.sol";

/// @title What verifiers answer with
/// @notice A verdict to pay that the quorum for disputes later overruled costs each of its signers: a fifth of its bond, half where it is not
/// the first time in 180 days, and never less than twice what the verdict paid (or all there is). Who shows it gets a tenth up to 100
/// HYPER, the rest is burned; the client has its money back by the dispute itself. The verdict with its signatures is the evidence, so that
/// honest verdicts cost nothing to keep. A verifier that is a contract must not be able to disown a signature; the owner of the set sees to
/// that when it adds one. Source: compute-market, sections 4.5 and 6.7.
abstract contract VerifierBonds is IVerifierSet, Guard {
    using SafeERC20 for IERC20;

    /// @dev One slot: what a signature needs to know comes with one read. `bond` and `unbonding` do not overlap.
    struct Member {
        bool on;
        uint64 bond;
        uint64 unbonding;
        uint40 unbondAt;
        uint40 slashedAt;
    }

    /// @notice Seconds between asking for bond back and having it: longer than the longest window and its dispute.
    uint40 public constant BOND_COOLDOWN_S = 14 days;
    /// @notice Seconds in which another slash is a repetition.
    uint40 public constant REPETITION_S = 180 days;
    /// @notice Of the bond, for a first wrong verdict.
    uint256 public constant FIRST_BPS = 2_000;
    /// @notice Of the bond, for a repeated one.
    uint256 public constant REPEATED_BPS = 5_000;
    /// @notice What who shows a wrong verdict gets at most: 100 HYPER.
    uint256 public constant REPORTER_MAX = 100e6;

    uint8 private constant PAY = 1;
    address private constant NOBODY = 0x000000000000000000000000000000000000dEaD;

    /// @notice What bonds are posted in.
    IERC20 public immutable token;
    /// @notice Escrows whose disputes count.
    mapping(address escrow => bool) public isEscrow;

    mapping(address verifier => Member) internal _members;
    /// @dev By verdict and signer.
    mapping(bytes32 key => bool) private _paidFor;

    constructor(IERC20 token_) {
        token = token_;
    }

    /// @notice Adds to a verifier's bond. It is the verifier's then, whoever paid.
    function postBond(address verifier, uint256 amount) external nonReentrant {
        Member storage member = _members[verifier];
        // All amounts of a bond fit where their sum does.
        uint256 whole = uint256(member.bond) + member.unbonding + amount;
        require(amount != 0 && verifier != address(0) && whole <= type(uint64).max, BadAmount());
        member.bond += uint64(amount);
        emit BondPosted(verifier, msg.sender, amount, member.bond);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        require(token.balanceOf(address(this)) - before == amount, TransferMismatch());
    }

    /// @notice Asks for bond back. It no longer lets the caller sign, and still answers for what the caller signed. All that was asked for
    /// comes `BOND_COOLDOWN_S` after the last time.
    function requestBond(uint256 amount) external nonReentrant {
        Member storage member = _members[msg.sender];
        require(amount != 0 && amount <= member.bond, BadAmount());
        member.bond -= uint64(amount);
        member.unbonding += uint64(amount);
        member.unbondAt = uint40(block.timestamp) + BOND_COOLDOWN_S;
        emit BondRequested(msg.sender, amount, member.unbondAt);
    }

    /// @notice Sends the caller what it asked for, when the time has come.
    function withdrawBond() external nonReentrant {
        Member storage member = _members[msg.sender];
        uint256 amount = member.unbonding;
        require(amount != 0, BadAmount());
        // forge-lint: disable-next-line(block-timestamp)
        require(block.timestamp >= member.unbondAt, CooldownActive());
        member.unbonding = 0;
        emit BondWithdrawn(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @notice Takes bond of those who signed a verdict to pay that the quorum for disputes overruled. By anybody, who gets a share.
    /// @param signatures  of the verdict, any of its signers
    function slashVerdict(ComputeEscrow escrow, IComputeEscrow.Verdict calldata verdict, Signed[] calldata signatures)
        external
        nonReentrant
    {
        require(isEscrow[address(escrow)], NotOverruled());
        uint256 overruled = escrow.overruled(verdict.receiptHash);
        bool wrong = verdict.payout == overruled || overruled == type(uint256).max;
        require(verdict.outcome == PAY && overruled != 0 && wrong, NotOverruled());
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", escrow.DOMAIN_SEPARATOR(), ComputeHash.hash(verdict)));
        (uint64 exposurePpm,) = escrow.tokenRules(escrow.getJob(verdict.jobId).token);
        uint256 twice = Math.mulDiv(2 * verdict.payout, exposurePpm, 1_000_000);
        (uint256 taken, uint256 reward) = (0, 0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            uint256 amount = _slash(verdict.jobId, digest, signatures[i], twice);
            taken += amount;
            reward += Math.min(amount / 10, REPORTER_MAX);
        }
        require(taken != 0, NotOverruled());
        token.safeTransfer(msg.sender, reward);
        try IBurnable(address(token)).burn(taken - reward) {}
        catch {
            token.safeTransfer(NOBODY, taken - reward);
        }
    }

    /// @notice What a verifier has posted, what of it it asked back, and when it has that.
    function bondOf(address verifier) external view returns (uint256 bond, uint256 unbonding, uint256 unbondAt) {
        Member storage member = _members[verifier];
        return (member.bond, member.unbonding, member.unbondAt);
    }

    function _setEscrow(address escrow, bool admitted) internal {
        isEscrow[escrow] = admitted;
        emit EscrowSet(escrow, admitted);
    }

    /// @dev Nothing of who has paid for this verdict, or has nothing.
    function _slash(bytes32 jobId, bytes32 digest, Signed calldata signed, uint256 least) private returns (uint256) {
        address who = signed.signer;
        require(SignatureChecker.isValidSignatureNowCalldata(who, digest, signed.signature), BadSignature());
        bytes32 key = keccak256(abi.encode(digest, who));
        Member storage member = _members[who];
        uint256 whole = uint256(member.bond) + member.unbonding;
        if (_paidFor[key] || whole == 0) return 0;
        _paidFor[key] = true;
        // forge-lint: disable-next-line(block-timestamp)
        bool repeated = member.slashedAt != 0 && block.timestamp <= uint256(member.slashedAt) + REPETITION_S;
        uint256 share = Math.mulDiv(whole, repeated ? REPEATED_BPS : FIRST_BPS, 10_000, Math.Rounding.Ceil);
        uint256 amount = Math.max(share, Math.min(whole, least));
        uint256 ofBond = Math.min(amount, member.bond);
        member.bond -= uint64(ofBond);
        member.unbonding -= uint64(amount - ofBond);
        member.slashedAt = uint40(block.timestamp);
        emit VerdictSlashed(who, jobId, digest, amount);
        return amount;
    }
}
