// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev Jobs that are paid by vouchers as they go.
contract SessionsTest is ComputeFixture {
    address private stranger = vm.addr(301);
    bytes32 private jobId;

    function setUp() public override {
        super.setUp();
        jobId = session(1, address(0));
    }

    function test_F42_a_claim_pays_the_increase_to_the_provider_by_anybody_and_the_session_goes_on() external {
        vm.prank(stranger);
        claim(273, CLIENT_KEY);
        eq(creditOf(payTo), 233);
        eq(creditOf(treasury) + creditOf(platform), 0);
        eq(stateOf(jobId), 2);
        claim(1_000, CLIENT_KEY);
        eq(creditOf(payTo), 850);
        eq(registry.nodes(node).active, 1);
    }

    function testFuzz_F42_many_claims_pay_what_one_would(uint256 seed) external {
        uint256 total = 0;
        for (uint256 i = 0; i < 8; ++i) {
            total += 2 + (uint256(keccak256(abi.encode(seed, i))) % 50);
            claim(total, CLIENT_KEY);
        }
        vm.prank(payTo);
        escrow.closeSession(jobId);
        (uint256 provider, uint256 protocolFee, uint256 platformFee) = escrow.splitOf(total, 1_000, 500);
        eq(creditOf(payTo), provider);
        eq(creditOf(treasury), protocolFee);
        eq(creditOf(platform), platformFee);
    }

    function test_F42_a_unit_that_does_not_cover_its_fees_waits_for_the_next() external {
        // From 19 to 20 both fees grow by one.
        claim(19, CLIENT_KEY);
        refusedClaim(voucherOf(20), CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.NothingToClaim.selector));
        claim(21, CLIENT_KEY);
        claim(22, CLIENT_KEY);
        vm.prank(payTo);
        escrow.closeSession(jobId);
        eq(creditOf(payTo), 19);
        eq(creditOf(treasury), 2);
        eq(creditOf(platform), 1);
    }

    function test_CM43_an_old_or_equal_voucher_pays_nothing() external {
        claim(500, CLIENT_KEY);
        refusedClaim(voucherOf(500), CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.NothingToClaim.selector));
        refusedClaim(voucherOf(499), CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.NothingToClaim.selector));
        eq(creditOf(payTo), 425);
    }

    function test_CM43_no_voucher_above_the_price_or_by_a_stranger() external {
        bytes memory tooHigh = abi.encodeWithSelector(IComputeEscrow.AmountTooHigh.selector);
        refusedClaim(voucherOf(100 * HYPER + 1), CLIENT_KEY, tooHigh);
        refusedClaim(voucherOf(1), EXECUTOR_KEY, abi.encodeWithSelector(IComputeEscrow.BadSignature.selector));
        // Where the terms name a session key it alone signs.
        jobId = session(2, vm.addr(SESSION_KEY));
        refusedClaim(voucherOf(1), CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.BadSignature.selector));
        claim(1, SESSION_KEY);
        // A voucher for one session is none for another.
        IComputeEscrow.Voucher memory voucher = voucherOf(2);
        bytes memory signature = sign(SESSION_KEY, digestOf(voucher));
        voucher.jobId = session(3, vm.addr(SESSION_KEY));
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.claimSession(voucher, signature);
    }

    function test_F42_a_voucher_is_for_one_attempt() external {
        IComputeEscrow.Voucher memory voucher = voucherOf(10);
        reject(jobId, 2);
        assign(jobId);
        refusedClaim(voucher, CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.WrongAttempt.selector, 1));
        claim(10, CLIENT_KEY);
    }

    function test_F42_what_was_paid_is_for_the_attempt_that_goes_on() external {
        claim(10, CLIENT_KEY);
        IComputeEscrow.Verdict memory verdict;
        (verdict.jobId, verdict.outcome) = (jobId, 2);
        bytes32 what = digestOf(verdict);
        vm.expectRevert(IComputeEscrow.BadVerdict.selector);
        escrow.reject(verdict, quorum(what, 2));
        reject(jobId, 3);
        eq(stateOf(jobId), 5);
        eq(creditOf(client), 100 * HYPER - 10);
    }

    function test_F42_a_close_that_is_asked_for_leaves_a_day_to_claim() external {
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.requestClose(jobId);
        vm.prank(client);
        escrow.requestClose(jobId);
        uint256 end = escrow.getJob(jobId).deadline;
        eq(end, block.timestamp + 3600);
        vm.warp(end + 86_400);
        vm.expectRevert(IComputeEscrow.NotExpired.selector);
        escrow.refundExpired(jobId);
        claim(20, CLIENT_KEY);
        after_(1);
        refusedClaim(voucherOf(30), CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.Expired.selector));
        escrow.refundExpired(jobId);
        eq(stateOf(jobId), 5);
        eq(creditOf(client), 100 * HYPER - 20);
        eq(creditOf(payTo) + creditOf(treasury) + creditOf(platform), 20);
        eq(registry.nodes(node).reserved, 0);
    }

    function test_F42_asking_again_or_late_lengthens_nothing() external {
        uint256 before = escrow.getJob(jobId).deadline;
        vm.warp(before - 10);
        vm.prank(client);
        escrow.requestClose(jobId);
        eq(escrow.getJob(jobId).deadline, before);
    }

    function test_F42_the_provider_ends_a_session_at_once() external {
        claim(100, CLIENT_KEY);
        vm.prank(client);
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.closeSession(jobId);
        vm.prank(executor);
        escrow.closeSession(jobId);
        eq(stateOf(jobId), 5);
        eq(creditOf(client), 100 * HYPER - 100);
        refusedClaim(voucherOf(200), CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.BadState.selector, 5));
        // One that paid nothing is refunded.
        jobId = session(2, address(0));
        vm.prank(payTo);
        escrow.closeSession(jobId);
        eq(stateOf(jobId), 6);
    }

    function test_F39_a_convicted_session_gives_the_client_what_it_paid_at_most() external {
        claim(100 * HYPER, CLIENT_KEY);
        convict(jobId);
        eq(stateOf(jobId), 5);
        eq(registry.slashOf(1).toVictim, 100 * HYPER);
        eq(registry.slashOf(1).amount, 1_000 * HYPER);
    }

    function test_F42_a_session_is_not_proposed_and_a_job_takes_no_vouchers() external {
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 1);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(receipt));
        bytes32 what = digestOf(verdict);
        vm.expectRevert(IComputeEscrow.BadTerms.selector);
        escrow.propose(receipt, signature, verdict, quorum(what, 2));
        jobId = fund(termsOf(9));
        assign(jobId);
        refusedClaim(voucherOf(1), CLIENT_KEY, abi.encodeWithSelector(IComputeEscrow.BadTerms.selector));
        vm.prank(client);
        vm.expectRevert(IComputeEscrow.BadTerms.selector);
        escrow.requestClose(jobId);
    }

    function session(uint256 salt, address voucherSigner) private returns (bytes32 made) {
        IComputeEscrow.Terms memory terms = termsOf(salt);
        (terms.mode, terms.voucherSigner) = (2, voucherSigner);
        made = fund(terms);
        assign(made);
    }

    function voucherOf(uint256 cumulative) private view returns (IComputeEscrow.Voucher memory) {
        return IComputeEscrow.Voucher(jobId, escrow.getJob(jobId).attempt, cumulative, 12, 87);
    }

    function claim(uint256 cumulative, uint256 key) private {
        IComputeEscrow.Voucher memory voucher = voucherOf(cumulative);
        escrow.claimSession(voucher, sign(key, digestOf(voucher)));
    }

    function refusedClaim(IComputeEscrow.Voucher memory voucher, uint256 key, bytes memory reason) private {
        bytes memory signature = sign(key, digestOf(voucher));
        vm.expectRevert(reason);
        escrow.claimSession(voucher, signature);
    }
}
