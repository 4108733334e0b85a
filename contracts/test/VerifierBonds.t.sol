// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ComputeEscrow} from "../src/compute/ComputeEscrow.sol";
import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {IVerifierSet} from "../src/compute/IVerifierSet.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev Section 6.7: a verdict later contradicted by the quorum for disputes costs its signers. And threats 15 and 16: one verifier's key.
contract VerifierBondsTest is ComputeFixture {
    uint256 private constant BOND = 1_000 * HYPER;

    address private reporter = address(0x4E90);

    function setUp() public override {
        super.setUp();
        pay(address(this), 1_000_000 * HYPER);
        token.approve(address(verifiers), type(uint256).max);
        for (uint256 i = 0; i < 3; ++i) {
            verifiers.postBond(signer(i), BOND);
        }
    }

    function test_CM29_a_verdict_that_a_dispute_overruled_costs_its_signers_a_fifth() external {
        (bytes32 jobId, IComputeEscrow.Verdict memory verdict) = proposedBy(1, 90 * HYPER);
        refusedSlash(verdict, quorum(digestOf(verdict), 2));
        disputeBy(client, jobId);
        resolve(resolutionOf(jobId, true, 40 * HYPER, 0));
        uint256 supply = token.totalSupply();
        slash(verdict, quorum(digestOf(verdict), 2));
        eq(bondOf(0), 800 * HYPER);
        eq(bondOf(1), 800 * HYPER);
        // Who did not sign answers for nothing.
        eq(bondOf(2), BOND);
        eq(token.balanceOf(reporter), 40 * HYPER);
        eq(supply - token.totalSupply(), 360 * HYPER);
        eq(token.balanceOf(address(verifiers)), 2_600 * HYPER);
    }

    function test_CM29_it_costs_once_a_half_when_repeated_and_a_fifth_again_after_180_days() external {
        IComputeEscrow.Verdict memory verdict = overruled(1, 1);
        IVerifierSet.Signed[] memory signed = quorum(digestOf(verdict), 2);
        slash(verdict, signed);
        refusedSlash(verdict, signed);
        verdict = overruled(2, 1);
        slash(verdict, quorum(digestOf(verdict), 2));
        eq(bondOf(0), 400 * HYPER);
        after_(180 days + 1);
        verdict = overruled(3, 1);
        slash(verdict, quorum(digestOf(verdict), 2));
        eq(bondOf(0), 320 * HYPER);
    }

    function test_CM29_it_costs_at_least_twice_what_the_verdict_paid_or_all_there_is() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.amount = 1_000 * HYPER;
        bytes32 jobId = fund(terms);
        assign(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receiptOf(jobId), 300 * HYPER);
        propose(jobId, 300 * HYPER);
        disputeBy(client, jobId);
        resolve(resolutionOf(jobId, true, 0, 1));
        slash(verdict, quorum(digestOf(verdict), 1));
        eq(bondOf(0), 400 * HYPER);
        eq(token.balanceOf(reporter), 60 * HYPER);
        verifiers.postBond(signer(1), 9_000 * HYPER);
        slash(verdict, one(1, digestOf(verdict)));
        eq(bondOf(1), 8_000 * HYPER);
        // A tenth, 100 HYPER at most.
        eq(token.balanceOf(reporter), 160 * HYPER);
    }

    function test_CM29_a_verdict_over_a_receipt_that_was_convicted_costs_too() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receiptOf(jobId), 77 * HYPER);
        convict(jobId);
        slash(verdict, quorum(digestOf(verdict), 2));
        eq(bondOf(0), 800 * HYPER);
        verdict.outcome = 3;
        refusedSlash(verdict, quorum(digestOf(verdict), 2));
    }

    function test_CM29_verdicts_that_stood_cost_nothing() external {
        (bytes32 jobId, IComputeEscrow.Verdict memory verdict) = proposedBy(1, 90 * HYPER);
        disputeBy(client, jobId);
        resolve(resolutionOf(jobId, false, 90 * HYPER, 0));
        refusedSlash(verdict, quorum(digestOf(verdict), 2));
        (jobId, verdict) = proposedBy(2, 90 * HYPER);
        disputeBy(client, jobId);
        after_(73 hours);
        escrow.finalize(jobId);
        refusedSlash(verdict, quorum(digestOf(verdict), 2));
        // Upheld for another reason than the amount.
        (jobId, verdict) = proposedBy(3, 90 * HYPER);
        disputeBy(client, jobId);
        resolve(resolutionOf(jobId, true, 90 * HYPER, 0));
        refusedSlash(verdict, quorum(digestOf(verdict), 2));
        eq(token.balanceOf(address(verifiers)), 3 * BOND);
    }

    function test_CM19_made_up_evidence_costs_nobody_anything() external {
        IComputeEscrow.Verdict memory verdict = overruled(1, 90 * HYPER);
        IVerifierSet.Signed[] memory forged = one(0, digestOf(verdict));
        forged[0].signature = sign(999, digestOf(verdict));
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        verifiers.slashVerdict(escrow, verdict, forged);
        // Another verdict than the one that was carried out.
        verdict.payout = 89 * HYPER;
        refusedSlash(verdict, quorum(digestOf(verdict), 2));
        verdict.payout = 90 * HYPER;
        // The word of a contract that is no escrow.
        LyingEscrow liar = new LyingEscrow();
        vm.expectRevert(IVerifierSet.NotOverruled.selector);
        verifiers.slashVerdict(ComputeEscrow(address(liar)), verdict, forged);
        vm.expectRevert(IVerifierSet.NotOverruled.selector);
        verifiers.slashVerdict(escrow, verdict, new IVerifierSet.Signed[](0));
        vm.expectRevert();
        verifiers.setEscrow(address(liar), true);
    }

    function test_CM29_who_has_too_little_posted_does_not_count() external {
        bytes32 what = keccak256("digest");
        vm.prank(owner);
        verifiers.setBondMin(uint64(BOND));
        IVerifierSet.Signed[] memory two = quorum(what, 2);
        verifiers.check(what, two, false);
        vm.prank(signer(0));
        verifiers.requestBond(1);
        isTrue(!verifiers.isVerifier(signer(0)));
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        verifiers.check(what, two, false);
        // Nor does it dispute.
        (bytes32 jobId,) = proposedByOthers(1, 90 * HYPER);
        vm.prank(signer(0));
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.dispute(jobId, EVIDENCE);
        verifiers.postBond(signer(0), 1);
        verifiers.check(what, two, false);
        vm.expectRevert();
        verifiers.setBondMin(0);
    }

    function test_CM29_a_bond_that_was_asked_for_answers_until_it_is_gone() external {
        IComputeEscrow.Verdict memory verdict = overruled(1, 1);
        IComputeEscrow.Verdict memory second = overruled(2, 1);
        vm.startPrank(owner);
        verifiers.setThresholds(1, 2);
        verifiers.removeVerifier(signer(0));
        vm.stopPrank();
        vm.startPrank(signer(0));
        verifiers.requestBond(900 * HYPER);
        after_(14 days - 1);
        vm.expectRevert(IVerifierSet.CooldownActive.selector);
        verifiers.withdrawBond();
        vm.stopPrank();
        // A fifth of all: what is posted first, then what was asked for.
        slash(verdict, one(0, digestOf(verdict)));
        (uint256 bond, uint256 unbonding,) = verifiers.bondOf(signer(0));
        eq(bond, 0);
        eq(unbonding, 800 * HYPER);
        after_(1);
        vm.startPrank(signer(0));
        verifiers.withdrawBond();
        eq(token.balanceOf(signer(0)), 800 * HYPER);
        vm.expectRevert(IVerifierSet.BadAmount.selector);
        verifiers.withdrawBond();
        vm.expectRevert(IVerifierSet.BadAmount.selector);
        verifiers.requestBond(1);
        vm.stopPrank();
        // Who has nothing left pays nothing, and nobody is paid for showing it.
        refusedSlash(second, one(0, digestOf(second)));
    }

    function test_T15_one_stolen_key_of_three_changes_nothing() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 100 * HYPER);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(receipt));
        IVerifierSet.Signed[] memory twice = new IVerifierSet.Signed[](2);
        (twice[0], twice[1]) = (one(0, digestOf(verdict))[0], one(0, digestOf(verdict))[0]);
        IVerifierSet.Signed[] memory single = one(0, digestOf(verdict));
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        escrow.propose(receipt, signature, verdict, single);
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        escrow.propose(receipt, signature, verdict, twice);
        verdict.outcome = 3;
        single = one(0, digestOf(verdict));
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        escrow.reject(verdict, single);
        propose(jobId, 90 * HYPER);
        disputeBy(client, jobId);
        IComputeEscrow.Resolution memory resolution = resolutionOf(jobId, true, 0, 1);
        IVerifierSet.Signed[] memory two = quorum(digestOf(resolution), 2);
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        escrow.resolve(resolution, two);
        eq(stateOf(jobId), 4);
    }

    function signer(uint256 which) private view returns (address) {
        return vm.addr(verifierKeys[which]);
    }

    function bondOf(uint256 which) private view returns (uint256 bond) {
        (bond,,) = verifiers.bondOf(signer(which));
    }

    function one(uint256 which, bytes32 what) private view returns (IVerifierSet.Signed[] memory signatures) {
        signatures = new IVerifierSet.Signed[](1);
        signatures[0] = IVerifierSet.Signed(signer(which), sign(verifierKeys[which], what));
    }

    function proposedBy(uint256 salt, uint256 payout)
        private
        returns (bytes32 jobId, IComputeEscrow.Verdict memory verdict)
    {
        jobId = fund(termsOf(salt));
        assign(jobId);
        verdict = verdictOf(receiptOf(jobId), payout);
        propose(jobId, payout);
    }

    /// @dev The same, signed by the second and the third verifier.
    function proposedByOthers(uint256 salt, uint256 payout)
        private
        returns (bytes32 jobId, IComputeEscrow.Verdict memory verdict)
    {
        jobId = fund(termsOf(salt));
        assign(jobId);
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        verdict = verdictOf(receipt, payout);
        IVerifierSet.Signed[] memory signatures = new IVerifierSet.Signed[](2);
        (signatures[0], signatures[1]) = (one(1, digestOf(verdict))[0], one(2, digestOf(verdict))[0]);
        escrow.propose(receipt, sign(EXECUTOR_KEY, digestOf(receipt)), verdict, signatures);
    }

    function overruled(uint256 salt, uint256 payout) private returns (IComputeEscrow.Verdict memory verdict) {
        bytes32 jobId;
        (jobId, verdict) = proposedBy(salt, payout);
        disputeBy(client, jobId);
        resolve(resolutionOf(jobId, true, 0, 0));
    }

    function slash(IComputeEscrow.Verdict memory verdict, IVerifierSet.Signed[] memory signatures) private {
        vm.prank(reporter);
        verifiers.slashVerdict(escrow, verdict, signatures);
    }

    function refusedSlash(IComputeEscrow.Verdict memory verdict, IVerifierSet.Signed[] memory signatures) private {
        vm.expectRevert(IVerifierSet.NotOverruled.selector);
        verifiers.slashVerdict(escrow, verdict, signatures);
    }
}

/// @dev Says of every verdict that it was overruled.
contract LyingEscrow {
    function overruled(bytes32) external pure returns (uint256) {
        return type(uint256).max;
    }
}
