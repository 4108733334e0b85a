// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {IVerifierSet} from "../src/compute/IVerifierSet.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev From assignment to the end of a job, with its windows to the second.
contract SettlementTest is ComputeFixture {
    address private stranger = vm.addr(301);

    function test_CM8_a_job_pays_85_10_5_and_everybody_withdraws() external {
        bytes32 jobId = proposed(1, 80 * HYPER);
        after_(601);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.Settled(jobId, 68 * HYPER, 8 * HYPER, 4 * HYPER, 20 * HYPER);
        escrow.finalize(jobId);
        eq(creditOf(payTo), 68 * HYPER);
        eq(creditOf(treasury), 8 * HYPER);
        eq(creditOf(platform), 4 * HYPER);
        eq(creditOf(client), 20 * HYPER);
        vm.prank(client);
        escrow.withdraw(address(token), stranger);
        eq(token.balanceOf(stranger), 20 * HYPER);
        escrow.withdrawFor(payTo, address(token));
        escrow.withdrawFor(treasury, address(token));
        escrow.withdrawFor(platform, address(token));
        eq(token.balanceOf(address(escrow)), 0);
        vm.expectRevert(IComputeEscrow.NothingToWithdraw.selector);
        escrow.withdrawFor(payTo, address(token));
        eq(registry.nodes(node).active, 0);
        eq(registry.nodes(node).reserved, 0);
    }

    function test_CM30_the_fee_table() external view {
        uint256[4][9] memory rows = [
            [uint256(0), 0, 0, 0],
            [uint256(1), 1, 0, 0],
            [uint256(10), 9, 1, 0],
            [uint256(19), 18, 1, 0],
            [uint256(20), 17, 2, 1],
            [uint256(99), 86, 9, 4],
            [uint256(101), 86, 10, 5],
            [uint256(273), 233, 27, 13],
            [uint256(123456789), 104938272, 12345678, 6172839]
        ];
        for (uint256 i = 0; i < rows.length; ++i) {
            (uint256 provider, uint256 protocolFee, uint256 platformFee) = escrow.splitOf(rows[i][0], 1_000, 500);
            eq(provider, rows[i][1]);
            eq(protocolFee, rows[i][2]);
            eq(platformFee, rows[i][3]);
        }
    }

    function testFuzz_CM30_I8_shares_add_up_and_the_provider_has_85_percent(uint128 payout) external view {
        (uint256 provider, uint256 protocolFee, uint256 platformFee) = escrow.splitOf(payout, 1_000, 500);
        eq(provider + protocolFee + platformFee, payout);
        isTrue(provider >= (uint256(payout) * 85 + 99) / 100);
    }

    function test_CM28_the_deadline_to_the_second() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        bytes32 jobId = fund(terms);
        bytes32 other = fund(termsOf(2));
        assign(jobId);
        vm.warp(terms.deadline);
        vm.expectRevert(IComputeEscrow.NotExpired.selector);
        escrow.refundExpired(other);
        propose(jobId, 1);
        vm.warp(terms.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IComputeEscrow.BadState.selector, 3));
        escrow.refundExpired(jobId);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.Refunded(other, 100 * HYPER, 1);
        vm.prank(stranger);
        escrow.refundExpired(other);
        vm.expectRevert(abi.encodeWithSelector(IComputeEscrow.BadState.selector, 6));
        escrow.refundExpired(other);
    }

    function test_CM28_after_the_deadline_nothing_is_assigned_or_proposed() external {
        bytes32 jobId = fund(termsOf(1));
        bytes32 other = fund(termsOf(2));
        assign(jobId);
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 1);
        after_(7201);
        refusedProposal(receipt, EXECUTOR_KEY, verdict, IComputeEscrow.Expired.selector);
        refusedAssignment(acceptanceOf(other), EXECUTOR_KEY, IComputeEscrow.Expired.selector);
        escrow.refundExpired(jobId);
        eq(registry.nodes(node).active, 0);
    }

    function test_CM27_the_window_to_the_second() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        bytes32 other = proposed(2, 100 * HYPER);
        after_(600);
        vm.expectRevert(IComputeEscrow.WindowOpen.selector);
        escrow.finalize(jobId);
        disputeBy(client, jobId);
        after_(1);
        vm.prank(client);
        vm.expectRevert(IComputeEscrow.WindowClosed.selector);
        escrow.dispute(other, EVIDENCE);
        escrow.finalize(other);
        vm.expectRevert(IComputeEscrow.WindowOpen.selector);
        escrow.finalize(jobId);
    }

    function test_CM27_an_upheld_dispute_returns_the_bond_refunds_and_slashes() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        uint256 before = token.balanceOf(client);
        disputeBy(client, jobId);
        eq(before - token.balanceOf(client), 5 * HYPER);
        resolve(resolutionOf(jobId, true, 0, 1));
        eq(stateOf(jobId), 5);
        eq(creditOf(client), 105 * HYPER);
        eq(creditOf(payTo), 0);
        // The whole reservation of this job: a tenth of the stake of ten slots.
        eq(registry.nodes(node).stake, 9_000 * HYPER);
        eq(registry.slashOf(1).amount, 1_000 * HYPER);
    }

    function test_CM27_a_rejected_dispute_shares_the_bond() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        disputeBy(client, jobId);
        resolve(resolutionOf(jobId, false, 100 * HYPER, 0));
        eq(creditOf(payTo), 85 * HYPER + 5 * HYPER / 2);
        eq(creditOf(treasury), 10 * HYPER + 5 * HYPER / 2);
        eq(registry.nodes(node).stake, 10_000 * HYPER);
    }

    function test_F43_an_unresolved_dispute_gives_the_provider_half_the_bond() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        disputeBy(client, jobId);
        after_(72 hours);
        vm.expectRevert(IComputeEscrow.WindowOpen.selector);
        escrow.finalize(jobId);
        after_(1);
        escrow.finalize(jobId);
        eq(creditOf(payTo), 85 * HYPER + 5 * HYPER / 2);
        eq(creditOf(client), 5 * HYPER / 2);
    }

    function test_F43_only_client_verifiers_and_staked_operators_dispute() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        pay(stranger, 1_000 * HYPER);
        vm.startPrank(stranger);
        token.approve(address(escrow), type(uint256).max);
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.dispute(jobId, EVIDENCE);
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.disputeAs(jobId, EVIDENCE, node);
        vm.stopPrank();
        // An operator below the lowest tier neither.
        mintUnderOs(stranger, "stranger");
        seat(hash("stranger.os"), stranger, 302, 100 * HYPER - 1);
        vm.startPrank(stranger);
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.disputeAs(jobId, EVIDENCE, hash("stranger.os"));
        registry.stake(hash("stranger.os"), 1);
        escrow.disputeAs(jobId, EVIDENCE, hash("stranger.os"));
        vm.stopPrank();
        address verifier = vm.addr(verifierKeys[0]);
        pay(verifier, 10 * HYPER);
        disputeBy(verifier, proposed(2, 100 * HYPER));
    }

    function test_F43_a_disputed_job_holds_its_reservation_and_no_slot() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        eq(registry.nodes(node).active, 1);
        disputeBy(client, jobId);
        eq(registry.nodes(node).active, 0);
        eq(registry.nodes(node).reserved, 1_000 * HYPER);
        after_(72 hours + 1);
        escrow.finalize(jobId);
        eq(registry.nodes(node).reserved, 0);
    }

    function test_CM27_a_resolution_cannot_say_everything() external {
        bytes32 jobId = proposed(1, 50 * HYPER);
        disputeBy(client, jobId);
        refusedResolution(resolutionOf(jobId, true, 50 * HYPER + 1, 0), IComputeEscrow.AmountTooHigh.selector);
        refusedResolution(resolutionOf(jobId, false, 49 * HYPER, 0), IComputeEscrow.BadVerdict.selector);
        refusedResolution(resolutionOf(jobId, false, 50 * HYPER, 1), IComputeEscrow.BadVerdict.selector);
        IComputeEscrow.Resolution memory other = resolutionOf(jobId, true, 0, 1);
        other.receiptHash = keccak256("other");
        refusedResolution(other, IComputeEscrow.BadVerdict.selector);
        // The quorum for verdicts is none for disputes.
        IComputeEscrow.Resolution memory resolution = resolutionOf(jobId, true, 0, 1);
        IVerifierSet.Signed[] memory two = quorum(digestOf(resolution), 2);
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        escrow.resolve(resolution, two);
        // Less was done than claimed, and nobody cheated.
        resolve(resolutionOf(jobId, true, 20 * HYPER, 0));
        eq(creditOf(payTo), 17 * HYPER);
        eq(registry.nodes(node).stake, 10_000 * HYPER);
    }

    function test_CM14_a_retry_goes_to_the_next_attempt_and_old_signatures_count_no_more() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        IComputeEscrow.Acceptance memory acceptance = acceptanceOf(jobId);
        IComputeEscrow.Receipt memory old = receiptOf(jobId);
        IComputeEscrow.Verdict memory oldVerdict = verdictOf(old, 1);
        reject(jobId, 2);
        eq(stateOf(jobId), 1);
        eq(escrow.getJob(jobId).attempt, 1);
        eq(registry.nodes(node).active, 0);
        bytes memory wrong = abi.encodeWithSelector(IComputeEscrow.WrongAttempt.selector, 1);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(acceptance));
        vm.prank(platform);
        vm.expectRevert(wrong);
        escrow.assign(acceptance, signature, "");
        assign(jobId);
        bytes memory receiptSignature = sign(EXECUTOR_KEY, digestOf(old));
        IVerifierSet.Signed[] memory signatures = quorum(digestOf(oldVerdict), 2);
        vm.expectRevert(wrong);
        escrow.propose(old, receiptSignature, oldVerdict, signatures);
        reject(jobId, 3);
        eq(stateOf(jobId), 6);
        eq(creditOf(client), 100 * HYPER);
    }

    function test_CM28_a_retry_after_the_deadline_is_the_refund() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        after_(7201);
        reject(jobId, 2);
        eq(stateOf(jobId), 6);
    }

    function test_CM19_forged_receipts_change_nothing() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 1);
        refusedProposal(receipt, PLATFORM_KEY, verdict, IComputeEscrow.BadSignature.selector);
        receipt.nodeId = hash("other.os");
        refusedProposal(receipt, EXECUTOR_KEY, verdictOf(receipt, 1), IComputeEscrow.WrongNode.selector);
        receipt = receiptOf(jobId);
        receipt.specHash = 0;
        refusedProposal(receipt, EXECUTOR_KEY, verdictOf(receipt, 1), IComputeEscrow.BadTerms.selector);
        receipt = receiptOf(jobId);
        receipt.claimed = 10;
        refusedProposal(receipt, EXECUTOR_KEY, verdictOf(receipt, 11), IComputeEscrow.AmountTooHigh.selector);
        receipt = receiptOf(jobId);
        receipt.claimed = type(uint256).max;
        refusedProposal(
            receipt, EXECUTOR_KEY, verdictOf(receipt, 100 * HYPER + 1), IComputeEscrow.AmountTooHigh.selector
        );
        verdict.outcome = 2;
        refusedProposal(receiptOf(jobId), EXECUTOR_KEY, verdict, IComputeEscrow.BadVerdict.selector);
        propose(jobId, 1);
    }

    function test_CM24_a_score_of_8000_passes_and_7999_does_not() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receiptOf(jobId), 1);
        verdict.scoreBps = 7_999;
        refusedProposal(receiptOf(jobId), EXECUTOR_KEY, verdict, IComputeEscrow.BadVerdict.selector);
        verdict.scoreBps = 8_000;
        proposeAs(receiptOf(jobId), EXECUTOR_KEY, verdict);
    }

    function test_CM10_only_who_may_pick_assigns() external {
        bytes32 jobId = fund(termsOf(1));
        IComputeEscrow.Acceptance memory acceptance = acceptanceOf(jobId);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(acceptance));
        bytes memory pick = sign(PLATFORM_KEY, digestOf(acceptance));
        vm.startPrank(stranger);
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.assign(acceptance, signature, "");
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.assign(acceptance, pick, pick);
        escrow.assign(acceptance, signature, pick);
        vm.stopPrank();
        // Terms that name the node let anybody bring its acceptance, and no other node's.
        IComputeEscrow.Terms memory terms = termsOf(2);
        terms.nodeId = node;
        jobId = fund(terms);
        acceptance = acceptanceOf(jobId);
        signature = sign(EXECUTOR_KEY, digestOf(acceptance));
        vm.prank(stranger);
        escrow.assign(acceptance, signature, "");
        terms.nodeId = hash("other.os");
        refusedAssignment(acceptanceOf(fund(terms)), EXECUTOR_KEY, IComputeEscrow.WrongNode.selector);
        acceptance = acceptanceOf(fund(termsOf(3)));
        acceptance.price = 100 * HYPER + 1;
        refusedAssignment(acceptance, EXECUTOR_KEY, IComputeEscrow.AmountTooHigh.selector);
        acceptance.price = 1;
        acceptance.payTo = stranger;
        refusedAssignment(acceptance, EXECUTOR_KEY, IComputeEscrow.WrongNode.selector);
    }

    function test_T10_the_client_cancels_alone_until_a_node_has_the_job() external {
        bytes32 jobId = fund(termsOf(1));
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.cancel(jobId, "");
        assign(jobId);
        vm.startPrank(client);
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.cancel(jobId, "");
        bytes32 release =
            digest(keccak256(abi.encode(keccak256("Release(bytes32 jobId,uint32 attempt)"), jobId, uint32(0))));
        escrow.cancel(jobId, sign(EXECUTOR_KEY, release));
        vm.stopPrank();
        eq(creditOf(client), 100 * HYPER);
    }

    function test_CM26_an_audited_false_receipt_is_refunded_and_slashed_before_it_is_proposed() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        convict(jobId);
        eq(stateOf(jobId), 6);
        eq(creditOf(client), 100 * HYPER);
        eq(registry.nodes(node).stake, 9_000 * HYPER);
        eq(registry.nodes(node).active, 0);
    }

    function test_CM8_without_a_window_a_proposal_settles_at_once() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.challengeWindow = 0;
        bytes32 jobId = escrow.fundFor(terms, sign(CLIENT_KEY, digestOf(terms)));
        assign(jobId);
        propose(jobId, 100 * HYPER);
        eq(stateOf(jobId), 5);
        eq(creditOf(payTo), 85 * HYPER);
    }

    function test_CM8_a_batch_does_many_jobs_and_says_which_it_did_not() external {
        bytes32 first = proposed(1, 1);
        bytes32 second = proposed(2, 1);
        after_(601);
        escrow.finalize(first);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(escrow.finalize, (first));
        calls[1] = abi.encodeCall(escrow.finalize, (second));
        vm.expectRevert(abi.encodeWithSelector(IComputeEscrow.BadState.selector, 5));
        escrow.batch(calls, true);
        bool[] memory done = escrow.batch(calls, false);
        isTrue(!done[0] && done[1]);
        eq(stateOf(second), 5);
        // It has no more rights than its caller.
        calls[0] = abi.encodeCall(escrow.setTreasury, (stranger));
        vm.prank(stranger);
        done = escrow.batch(calls, false);
        isTrue(!done[0]);
    }

    function test_CM30_settings_are_the_owners_and_bounded_and_leave_jobs_alone() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        vm.expectRevert();
        escrow.setFees(0, 0);
        vm.startPrank(owner);
        vm.expectRevert(IComputeEscrow.BadSetting.selector);
        escrow.setFees(1_501, 0);
        vm.expectRevert(IComputeEscrow.BadSetting.selector);
        escrow.setFees(0, 1_001);
        escrow.setFees(0, 0);
        vm.stopPrank();
        after_(601);
        escrow.finalize(jobId);
        eq(creditOf(payTo), 85 * HYPER);
    }

    function refusedAssignment(IComputeEscrow.Acceptance memory acceptance, uint256 key, bytes4 reason) private {
        bytes memory signature = sign(key, digestOf(acceptance));
        vm.prank(platform);
        vm.expectRevert(reason);
        escrow.assign(acceptance, signature, "");
    }

    function refusedProposal(
        IComputeEscrow.Receipt memory receipt,
        uint256 key,
        IComputeEscrow.Verdict memory verdict,
        bytes4 reason
    ) private {
        bytes memory signature = sign(key, digestOf(receipt));
        IVerifierSet.Signed[] memory signatures = quorum(digestOf(verdict), 2);
        vm.expectRevert(reason);
        escrow.propose(receipt, signature, verdict, signatures);
    }

    function refusedResolution(IComputeEscrow.Resolution memory resolution, bytes4 reason) private {
        IVerifierSet.Signed[] memory signatures = quorum(digestOf(resolution), 3);
        vm.expectRevert(reason);
        escrow.resolve(resolution, signatures);
    }
}
