// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IVerifierSet} from "./IVerifierSet.sol";
import {VerifierBonds} from "./VerifierBonds.sol";

/// @title Verifiers, so many of whom must agree
/// @notice A verdict needs `verdictThreshold` signatures, what ends a dispute `disputeThreshold`. The owner, a timelock where there is money
/// at stake, says who they are and what they must have posted. Source: compute-market, section 6.7.
contract VerifierSet is VerifierBonds, Ownable2Step {
    /// @notice Signatures that are looked at.
    uint256 public constant SIGNATURES_MAX = 32;

    /// @notice How many verifiers there are, bonded or not.
    uint64 public count;
    /// @notice How many must sign a verdict.
    uint64 public verdictThreshold;
    /// @notice How many must sign what a dispute ends with, or a slash.
    uint64 public disputeThreshold;
    /// @notice How much a verifier must have posted for its signature to count; zero at first.
    uint64 public bondMin;

    /// @param token_     what bonds are posted in: no fees, does not rebase, fewer than 2^64 units
    /// @param admin      who changes the set
    /// @param verifiers  the first ones
    constructor(IERC20 token_, address admin, address[] memory verifiers, uint64 verdict, uint64 dispute)
        VerifierBonds(token_)
        Ownable(admin)
    {
        for (uint256 i = 0; i < verifiers.length; ++i) {
            _add(verifiers[i]);
        }
        _setThresholds(verdict, dispute);
    }

    /// @notice Lets `verifier` sign, once it has posted the bond.
    function addVerifier(address verifier) external onlyOwner {
        _add(verifier);
    }

    /// @notice `verifier` signs no more. Its bond stays its own, and answers for what it signed. Lower the thresholds first where they would
    /// not be reached.
    function removeVerifier(address verifier) external onlyOwner {
        require(_members[verifier].on, BadVerifier(verifier));
        _members[verifier].on = false;
        --count;
        require(disputeThreshold <= count, BadThresholds());
        emit VerifierRemoved(verifier);
    }

    /// @notice Sets how many must sign.
    function setThresholds(uint64 verdict, uint64 dispute) external onlyOwner {
        _setThresholds(verdict, dispute);
    }

    /// @notice Sets what a verifier must have posted. Who has less signs nothing until it has.
    function setBondMin(uint64 bond) external onlyOwner {
        bondMin = bond;
        emit BondMinSet(bond);
    }

    /// @notice Says whose disputes tell that a verdict was wrong.
    function setEscrow(address escrow, bool admitted) external onlyOwner {
        _setEscrow(escrow, admitted);
    }

    /// @inheritdoc IVerifierSet
    function check(bytes32 digest, Signed[] calldata signatures, bool dispute) external view {
        uint256 needed = dispute ? disputeThreshold : verdictThreshold;
        require(signatures.length >= needed && signatures.length <= SIGNATURES_MAX, BadSignature());
        address last = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            address signer = signatures[i].signer;
            require(signer > last && isVerifier(signer), BadSignature());
            last = signer;
            bool signed = SignatureChecker.isValidSignatureNowCalldata(signer, digest, signatures[i].signature);
            require(signed, BadSignature());
        }
    }

    /// @inheritdoc IVerifierSet
    function isVerifier(address account) public view returns (bool) {
        Member storage member = _members[account];
        return member.on && member.bond >= bondMin;
    }

    function _add(address verifier) private {
        require(verifier != address(0) && !_members[verifier].on, BadVerifier(verifier));
        _members[verifier].on = true;
        ++count;
        emit VerifierAdded(verifier);
    }

    function _setThresholds(uint64 verdict, uint64 dispute) private {
        require(verdict >= 1 && verdict <= dispute && dispute <= count, BadThresholds());
        verdictThreshold = verdict;
        disputeThreshold = dispute;
        emit ThresholdsSet(verdict, dispute);
    }
}
