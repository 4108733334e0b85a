// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ComputeEscrow} from "../src/compute/ComputeEscrow.sol";
import {HyperToken} from "../src/compute/HyperToken.sol";
import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {INodeRegistry} from "../src/compute/INodeRegistry.sol";
import {IVerifierSet} from "../src/compute/IVerifierSet.sol";
import {NodeRegistry} from "../src/compute/NodeRegistry.sol";
import {VerifierSet} from "../src/compute/VerifierSet.sol";
import {Fixture} from "./Fixture.sol";

/// @title A market with one provider of the Professional tier, 2-of-3 verifiers and 3-of-3 for disputes
abstract contract ComputeFixture is Fixture {
    uint256 internal constant HYPER = 1e6;
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    bytes32 internal constant SPEC = keccak256("spec");
    bytes32 internal constant EVIDENCE = keccak256("evidence");

    uint256 internal constant CLIENT_KEY = 201;
    uint256 internal constant EXECUTOR_KEY = 202;
    uint256 internal constant PLATFORM_KEY = 203;
    uint256 internal constant SESSION_KEY = 204;
    address internal client = vm.addr(CLIENT_KEY);
    address internal executor = vm.addr(EXECUTOR_KEY);
    address internal platform = vm.addr(PLATFORM_KEY);
    address internal treasury = address(0x7EA5);
    address internal payTo = address(0x9A1D);
    address internal operator = vm.addr(205);
    address internal pauser = vm.addr(206);
    /// @dev Of the verifiers, by ascending address.
    uint256[3] internal verifierKeys = [uint256(211), 212, 213];

    HyperToken internal token;
    VerifierSet internal verifiers;
    NodeRegistry internal registry;
    ComputeEscrow internal escrow;
    bytes32 internal node;

    function setUp() public virtual override {
        super.setUp();
        sortVerifiers();
        place(PERMIT2, creationOf("Permit2"));
        token = HyperToken(deploy(abi.encodePacked(creationOf("HyperToken"), abi.encode(owner))));
        address[] memory first = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            first[i] = vm.addr(verifierKeys[i]);
        }
        bytes memory set = abi.encode(token, owner, first, uint64(2), uint64(3));
        verifiers = VerifierSet(deploy(abi.encodePacked(creationOf("VerifierSet"), set)));
        bytes memory parts = abi.encode(token, HYPERMAP, verifiers, owner);
        registry = NodeRegistry(deploy(abi.encodePacked(creationOf("NodeRegistry"), parts)));
        escrow = ComputeEscrow(deploy(abi.encodePacked(creationOf("ComputeEscrow"), escrowParts())));
        vm.startPrank(owner);
        registry.setEscrow(address(escrow), true);
        verifiers.setEscrow(address(escrow), true);
        escrow.setTokenRule(address(token), 1_000_000, uint128(HYPER));
        vm.stopPrank();
        pay(client, 1_000_000 * HYPER);
        pay(operator, 10_000_000 * HYPER);
        mintUnderOs(operator, "node");
        node = hash("node.os");
        seat(node, operator, EXECUTOR_KEY, 10_000 * HYPER);
        vm.prank(client);
        token.approve(address(escrow), type(uint256).max);
    }

    function escrowParts() internal view returns (bytes memory) {
        return abi.encode(registry, verifiers, PERMIT2, owner, treasury, pauser);
    }

    function pay(address to, uint256 amount) internal {
        vm.prank(owner);
        token.transfer(to, amount);
    }

    /// @dev A registered node with stake.
    function seat(bytes32 nodeId, address by, uint256 executorKey, uint256 stake) internal {
        vm.startPrank(by);
        bytes memory signature = sign(executorKey, registry.registrationHashOf(nodeId, by, vm.addr(executorKey)));
        registry.register(nodeId, vm.addr(executorKey), payTo, keccak256("meta"), signature);
        token.approve(address(registry), type(uint256).max);
        if (stake != 0) registry.stake(nodeId, stake);
        vm.stopPrank();
    }

    function termsOf(uint256 salt) internal view returns (IComputeEscrow.Terms memory terms) {
        terms.client = client;
        terms.token = address(token);
        terms.amount = 100 * HYPER;
        terms.specHash = SPEC;
        terms.platform = platform;
        terms.fundBy = uint64(block.timestamp) + 3600;
        terms.deadline = uint64(block.timestamp) + 7200;
        terms.challengeWindow = 600;
        terms.salt = bytes32(salt);
    }

    function fund(IComputeEscrow.Terms memory terms) internal returns (bytes32) {
        vm.prank(terms.client);
        return escrow.fund(terms);
    }

    function acceptanceOf(bytes32 jobId) internal view returns (IComputeEscrow.Acceptance memory acceptance) {
        IComputeEscrow.Job memory job = escrow.getJob(jobId);
        acceptance.jobId = jobId;
        acceptance.nodeId = node;
        acceptance.attempt = job.attempt;
        acceptance.payTo = payTo;
        acceptance.price = job.amount;
        acceptance.expiresAt = uint64(block.timestamp) + 60;
    }

    function assign(bytes32 jobId) internal {
        assign(acceptanceOf(jobId), EXECUTOR_KEY);
    }

    function assign(IComputeEscrow.Acceptance memory acceptance, uint256 executorKey) internal {
        bytes memory signature = sign(executorKey, digestOf(acceptance));
        vm.prank(platform);
        escrow.assign(acceptance, signature, "");
    }

    function receiptOf(bytes32 jobId) internal view returns (IComputeEscrow.Receipt memory receipt) {
        IComputeEscrow.Job memory job = escrow.getJob(jobId);
        receipt.jobId = jobId;
        receipt.nodeId = job.nodeId;
        receipt.attempt = job.attempt;
        receipt.specHash = job.specHash;
        receipt.outputsRoot = keccak256("outputs");
        receipt.exitCode = -9;
        receipt.claimed = job.price;
    }

    function verdictOf(IComputeEscrow.Receipt memory receipt, uint256 payout)
        internal
        view
        returns (IComputeEscrow.Verdict memory verdict)
    {
        verdict.jobId = receipt.jobId;
        verdict.attempt = receipt.attempt;
        verdict.receiptHash = digestOf(receipt);
        verdict.outcome = 1;
        verdict.scoreBps = 10_000;
        verdict.checks = 63;
        verdict.payout = payout;
    }

    function propose(bytes32 jobId, uint256 payout) internal {
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        proposeAs(receipt, EXECUTOR_KEY, verdictOf(receipt, payout));
    }

    function proposeAs(
        IComputeEscrow.Receipt memory receipt,
        uint256 executorKey,
        IComputeEscrow.Verdict memory verdict
    ) internal {
        bytes memory signature = sign(executorKey, digestOf(receipt));
        escrow.propose(receipt, signature, verdict, quorum(digestOf(verdict), 2));
    }

    function reject(bytes32 jobId, uint8 outcome) internal {
        IComputeEscrow.Verdict memory verdict;
        (verdict.jobId, verdict.attempt, verdict.outcome) = (jobId, escrow.getJob(jobId).attempt, outcome);
        escrow.reject(verdict, quorum(digestOf(verdict), 2));
    }

    function resolutionOf(bytes32 jobId, bool upheld, uint256 payout, uint256 slash)
        internal
        view
        returns (IComputeEscrow.Resolution memory resolution)
    {
        resolution.jobId = jobId;
        resolution.receiptHash = escrow.getJob(jobId).receiptHash;
        (resolution.upheld, resolution.payout, resolution.slash) = (upheld, payout, slash);
        resolution.evidenceHash = EVIDENCE;
    }

    function resolve(IComputeEscrow.Resolution memory resolution) internal {
        escrow.resolve(resolution, quorum(digestOf(resolution), 3));
    }

    function convict(bytes32 jobId) internal {
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Resolution memory resolution = resolutionOf(jobId, true, 0, 1);
        resolution.receiptHash = digestOf(receipt);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(receipt));
        escrow.convict(receipt, signature, resolution, quorum(digestOf(resolution), 3));
    }

    function disputeBy(address who, bytes32 jobId) internal {
        vm.startPrank(who);
        token.approve(address(escrow), type(uint256).max);
        escrow.dispute(jobId, EVIDENCE);
        vm.stopPrank();
    }

    /// @dev A job that was proposed for `payout`.
    function proposed(uint256 salt, uint256 payout) internal returns (bytes32 jobId) {
        jobId = fund(termsOf(salt));
        assign(jobId);
        propose(jobId, payout);
    }

    /// @dev Signatures of the first `count` verifiers.
    function quorum(bytes32 what, uint256 count) internal view returns (IVerifierSet.Signed[] memory signatures) {
        signatures = new IVerifierSet.Signed[](count);
        for (uint256 i = 0; i < count; ++i) {
            signatures[i] = IVerifierSet.Signed(vm.addr(verifierKeys[i]), sign(verifierKeys[i], what));
        }
    }

    function sign(uint256 key, bytes32 what) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, what);
        return abi.encodePacked(r, s, v);
    }

    function after_(uint256 time) internal {
        vm.warp(block.timestamp + time);
    }

    function stateOf(bytes32 jobId) internal view returns (uint256) {
        return uint256(escrow.getJob(jobId).state);
    }

    function creditOf(address account_) internal view returns (uint256) {
        return escrow.creditOf(account_, address(token));
    }

    // Types written again from the text: not the contract's own.

    function digestOf(IComputeEscrow.Terms memory terms) internal view returns (bytes32) {
        return digest(
            keccak256(
                abi.encode(
                    keccak256(
                        "ComputeTerms(address client,address token,uint256 amount,bytes32 specHash,bytes32 nodeId,address platform,address voucherSigner,uint64 fundBy,uint64 deadline,uint32 challengeWindow,uint8 mode,bytes32 salt)"
                    ),
                    terms
                )
            )
        );
    }

    function digestOf(IComputeEscrow.Acceptance memory acceptance) internal view returns (bytes32) {
        return digest(
            keccak256(
                abi.encode(
                    keccak256(
                        "Acceptance(bytes32 jobId,bytes32 nodeId,uint32 attempt,address payTo,uint256 price,uint64 expiresAt)"
                    ),
                    acceptance
                )
            )
        );
    }

    function digestOf(IComputeEscrow.Receipt memory receipt) internal view returns (bytes32) {
        return digest(
            keccak256(
                abi.encode(
                    keccak256(
                        "JobReceipt(bytes32 jobId,bytes32 nodeId,uint32 attempt,bytes32 specHash,bytes32 inputsRoot,bytes32 outputsRoot,bytes32 logsRoot,bytes32 stdoutHash,bytes32 runtimeHash,bytes32 usageHash,int32 exitCode,uint8 status,uint64 startedAt,uint64 finishedAt,uint256 claimed)"
                    ),
                    receipt
                )
            )
        );
    }

    function digestOf(IComputeEscrow.Verdict memory verdict) internal view returns (bytes32) {
        return digest(
            keccak256(
                abi.encode(
                    keccak256(
                        "Verdict(bytes32 jobId,uint32 attempt,bytes32 receiptHash,uint8 outcome,uint16 scoreBps,uint16 checks,uint256 payout,uint64 issuedAt)"
                    ),
                    verdict
                )
            )
        );
    }

    function digestOf(IComputeEscrow.Resolution memory resolution) internal view returns (bytes32) {
        return digest(
            keccak256(
                abi.encode(
                    keccak256(
                        "Resolution(bytes32 jobId,bytes32 receiptHash,bool upheld,uint256 payout,uint256 slash,bytes32 evidenceHash,uint64 issuedAt)"
                    ),
                    resolution
                )
            )
        );
    }

    function digestOf(IComputeEscrow.Voucher memory voucher) internal view returns (bytes32) {
        return digest(
            keccak256(
                abi.encode(
                    keccak256(
                        "Voucher(bytes32 jobId,uint32 attempt,uint256 cumulative,uint64 tokensIn,uint64 tokensOut)"
                    ),
                    voucher
                )
            )
        );
    }

    function digest(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("HypernodeEscrow"),
                keccak256("1"),
                block.chainid,
                address(escrow)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function sortVerifiers() private {
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                if (vm.addr(verifierKeys[j]) < vm.addr(verifierKeys[i])) {
                    (verifierKeys[i], verifierKeys[j]) = (verifierKeys[j], verifierKeys[i]);
                }
            }
        }
    }
}
