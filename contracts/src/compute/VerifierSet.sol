// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IVerifierSet} from "./IVerifierSet.sol";

/// @title Verifiers, so many of whom must agree
/// @notice A verdict needs `verdictThreshold` signatures, what ends a dispute `disputeThreshold`. The owner, a timelock where there is money
/// at stake, says who they are. Source: compute-market, section 6.7.
contract VerifierSet is IVerifierSet, Ownable2Step {
    /// @notice Signatures that are looked at.
    uint256 public constant SIGNATURES_MAX = 32;

    /// @inheritdoc IVerifierSet
    mapping(address account => bool) public isVerifier;
    /// @notice How many verifiers there are.
    uint64 public count;
    /// @notice How many must sign a verdict.
    uint64 public verdictThreshold;
    /// @notice How many must sign what a dispute ends with, or a slash.
    uint64 public disputeThreshold;

    /// @param admin      who changes the set
    /// @param verifiers  the first ones
    constructor(address admin, address[] memory verifiers, uint64 verdict, uint64 dispute) Ownable(admin) {
        for (uint256 i = 0; i < verifiers.length; ++i) {
            _add(verifiers[i]);
        }
        _setThresholds(verdict, dispute);
    }

    /// @notice Lets `verifier` sign.
    function addVerifier(address verifier) external onlyOwner {
        _add(verifier);
    }

    /// @notice `verifier` signs no more. Lower the thresholds first where they would not be reached.
    function removeVerifier(address verifier) external onlyOwner {
        require(isVerifier[verifier], BadVerifier(verifier));
        isVerifier[verifier] = false;
        --count;
        require(disputeThreshold <= count, BadThresholds());
        emit VerifierRemoved(verifier);
    }

    /// @notice Sets how many must sign.
    function setThresholds(uint64 verdict, uint64 dispute) external onlyOwner {
        _setThresholds(verdict, dispute);
    }

    /// @inheritdoc IVerifierSet
    function check(bytes32 digest, Signed[] calldata signatures, bool dispute) external view {
        uint256 needed = dispute ? disputeThreshold : verdictThreshold;
        require(signatures.length >= needed && signatures.length <= SIGNATURES_MAX, BadSignature());
        address last = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            address signer = signatures[i].signer;
            require(signer > last && isVerifier[signer], BadSignature());
            last = signer;
            bool signed = SignatureChecker.isValidSignatureNowCalldata(signer, digest, signatures[i].signature);
            require(signed, BadSignature());
        }
    }

    function _add(address verifier) private {
        require(verifier != address(0) && !isVerifier[verifier], BadVerifier(verifier));
        isVerifier[verifier] = true;
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
