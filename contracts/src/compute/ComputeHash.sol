// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "./IComputeEscrow.sol";

/// @title EIP-712 struct hashes of the compute market
/// @notice Source: compute-market, section 6.3; `Voucher` is that of findings F42, and `Release` is ours.
library ComputeHash {
    /// @notice The type of terms, as Permit2's witness needs it too.
    string internal constant TERMS_TYPE =
        "ComputeTerms(address client,address token,uint256 amount,bytes32 specHash,bytes32 nodeId,address platform,address voucherSigner,uint64 fundBy,uint64 deadline,uint32 challengeWindow,uint8 mode,bytes32 salt)";
    bytes32 internal constant TERMS_TYPEHASH = keccak256(bytes(TERMS_TYPE));
    bytes32 internal constant ACCEPTANCE_TYPEHASH = keccak256(
        "Acceptance(bytes32 jobId,bytes32 nodeId,uint32 attempt,address payTo,uint256 price,uint64 expiresAt)"
    );
    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "JobReceipt(bytes32 jobId,bytes32 nodeId,uint32 attempt,bytes32 specHash,bytes32 inputsRoot,bytes32 outputsRoot,bytes32 logsRoot,bytes32 stdoutHash,bytes32 runtimeHash,bytes32 usageHash,int32 exitCode,uint8 status,uint64 startedAt,uint64 finishedAt,uint256 claimed)"
    );
    bytes32 internal constant VERDICT_TYPEHASH = keccak256(
        "Verdict(bytes32 jobId,uint32 attempt,bytes32 receiptHash,uint8 outcome,uint16 scoreBps,uint16 checks,uint256 payout,uint64 issuedAt)"
    );
    bytes32 internal constant RESOLUTION_TYPEHASH = keccak256(
        "Resolution(bytes32 jobId,bytes32 receiptHash,bool upheld,uint256 payout,uint256 slash,bytes32 evidenceHash,uint64 issuedAt)"
    );
    bytes32 internal constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 jobId,uint32 attempt,uint256 cumulative,uint64 tokensIn,uint64 tokensOut)");
    bytes32 internal constant RELEASE_TYPEHASH = keccak256("Release(bytes32 jobId,uint32 attempt)");

    function hash(IComputeEscrow.Terms calldata terms) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := terms
        }
        return _hash(TERMS_TYPEHASH, at, 12);
    }

    function hash(IComputeEscrow.Acceptance calldata acceptance) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := acceptance
        }
        return _hash(ACCEPTANCE_TYPEHASH, at, 6);
    }

    function hash(IComputeEscrow.Receipt calldata receipt) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := receipt
        }
        return _hash(RECEIPT_TYPEHASH, at, 15);
    }

    function hash(IComputeEscrow.Verdict calldata verdict) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := verdict
        }
        return _hash(VERDICT_TYPEHASH, at, 8);
    }

    function hash(IComputeEscrow.Resolution calldata resolution) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := resolution
        }
        return _hash(RESOLUTION_TYPEHASH, at, 7);
    }

    function hash(IComputeEscrow.Voucher calldata voucher) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := voucher
        }
        return _hash(VOUCHER_TYPEHASH, at, 5);
    }

    function release(bytes32 jobId, uint32 attempt) internal pure returns (bytes32) {
        return keccak256(abi.encode(RELEASE_TYPEHASH, jobId, attempt));
    }

    /// @dev All members are words, and in calldata they stand as EIP-712 encodes them. Where one has bits that its type has not, it is not
    /// what anybody signed, and reading it reverts.
    function _hash(bytes32 typeHash, uint256 at, uint256 words) private pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            calldatacopy(add(free, 0x20), at, mul(words, 0x20))
            digest := keccak256(free, mul(add(words, 1), 0x20))
        }
    }
}
