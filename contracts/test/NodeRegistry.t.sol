// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {INodeRegistry} from "../src/compute/INodeRegistry.sol";
import {IVerifierSet} from "../src/compute/IVerifierSet.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev Names, keys, stake, reservations, and how stake is lost.
contract NodeRegistryTest is ComputeFixture {
    uint256 private constant OTHER_KEY = 302;
    address private stranger = vm.addr(301);
    address private other = vm.addr(OTHER_KEY);

    function test_F39_a_node_id_is_the_owners_of_its_name_and_an_executor_signs() external {
        mintUnderOs(alice, "fresh");
        bytes32 id = hash("fresh.os");
        bytes memory signature = sign(OTHER_KEY, registry.registrationHashOf(id, stranger, other));
        vm.prank(stranger);
        vm.expectRevert(INodeRegistry.NotNameOwner.selector);
        registry.register(id, other, payTo, 0, signature);
        vm.startPrank(alice);
        // The executor agreed to somebody else.
        vm.expectRevert(INodeRegistry.BadSignature.selector);
        registry.register(id, other, payTo, 0, signature);
        signature = sign(EXECUTOR_KEY, registry.registrationHashOf(id, alice, executor));
        vm.expectRevert(INodeRegistry.BadExecutor.selector);
        registry.register(id, executor, payTo, 0, signature);
        signature = sign(OTHER_KEY, registry.registrationHashOf(id, alice, other));
        registry.register(id, other, payTo, 0, signature);
        vm.expectRevert(INodeRegistry.AlreadyRegistered.selector);
        registry.register(id, other, payTo, 0, signature);
        vm.stopPrank();
        eq(registry.operatorOf(id), alice);
        eq(registry.nodeOfExecutor(other), id);
    }

    function test_F39_the_owner_of_the_name_claims_the_id_and_the_stake_stays_with_whose_it_is() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        bytes memory signature = sign(OTHER_KEY, registry.registrationHashOf(node, alice, other));
        vm.prank(alice);
        vm.expectRevert(INodeRegistry.NotNameOwner.selector);
        registry.claim(node, other, payTo, 0, signature);
        vm.prank(operator);
        hypermap.transferFrom(operator, alice, uint256(node));
        vm.prank(alice);
        registry.claim(node, other, payTo, 0, signature);
        eq(registry.operatorOf(node), alice);
        eq(registry.nodes(node).stake, 0);
        // The one before has no say any more, ends its job, and gets its stake back.
        vm.startPrank(operator);
        vm.expectRevert(INodeRegistry.NotOperator.selector);
        registry.requestUnstake(node, 1);
        vm.expectRevert(INodeRegistry.NodeBusy.selector);
        registry.requestUnstakeAt(node, 1, 10_000 * HYPER);
        vm.stopPrank();
        propose(jobId, 100 * HYPER);
        after_(601);
        escrow.finalize(jobId);
        uint256 before = token.balanceOf(operator);
        vm.startPrank(operator);
        registry.requestUnstakeAt(node, 1, 10_000 * HYPER);
        after_(7 days);
        registry.withdrawStakeAt(node, 1);
        vm.stopPrank();
        eq(token.balanceOf(operator) - before, 10_000 * HYPER);
    }

    function test_F38_a_job_reserves_its_share_of_the_stake_and_is_worth_no_more() external {
        uint64[4] memory stakes = [uint64(100), 1_000, 10_000, 100_000];
        uint64[4] memory slots = [uint64(1), 3, 10, 100];
        for (uint256 i = 0; i < 4; ++i) {
            setStake(stakes[i] * HYPER);
            eq(registry.capacityOf(stakes[i] * HYPER), slots[i]);
            eq(registry.capacityOf(stakes[i] * HYPER - 1), i == 0 ? 0 : slots[i - 1]);
            eq(registry.tierOf(node), i + 1);
            uint256 share = stakes[i] * HYPER / slots[i];
            IComputeEscrow.Terms memory terms = termsOf(i);
            terms.amount = share + 1;
            bytes32 jobId = fund(terms);
            refusedAssignment(jobId, INodeRegistry.InsufficientStake.selector);
            IComputeEscrow.Acceptance memory acceptance = acceptanceOf(jobId);
            acceptance.price = share;
            assign(acceptance, EXECUTOR_KEY);
            eq(registry.nodes(node).reserved, share);
            reject(jobId, 3);
            eq(registry.nodes(node).reserved, 0);
        }
    }

    function test_F38_F43_what_a_disputed_job_holds_is_not_reserved_twice() external {
        setStake(100 * HYPER);
        bytes32 jobId = proposed(1, 100 * HYPER);
        disputeBy(client, jobId);
        // The slot is free, the stake is not.
        eq(registry.nodes(node).active, 0);
        bytes32 second = fund(termsOf(2));
        refusedAssignment(second, INodeRegistry.CapacityExceeded.selector);
        vm.prank(operator);
        registry.stake(node, 100 * HYPER - 1);
        refusedAssignment(second, INodeRegistry.CapacityExceeded.selector);
        vm.prank(operator);
        vm.expectRevert(INodeRegistry.NodeBusy.selector);
        registry.requestUnstake(node, 100 * HYPER);
        resolve(resolutionOf(jobId, true, 0, 1));
        eq(registry.nodes(node).stake, 100 * HYPER - 1);
        eq(registry.nodes(node).reserved, 0);
    }

    function test_F38_a_token_of_more_worth_needs_more_stake() external {
        vm.prank(owner);
        escrow.setTokenRule(address(token), 20_000_000, 0);
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.amount = 50 * HYPER + 1;
        refusedAssignment(fund(terms), INodeRegistry.InsufficientStake.selector);
        terms.amount = 50 * HYPER;
        assign(fund(terms));
        vm.prank(owner);
        escrow.setTokenRule(address(token), 0, 0);
        terms.salt = bytes32(uint256(2));
        vm.prank(client);
        vm.expectRevert(IComputeEscrow.TokenNotAllowed.selector);
        escrow.fund(terms);
    }

    function test_CM33_capacity_busy_and_cooldown() external {
        setStake(1_000 * HYPER);
        bytes32[3] memory jobs;
        for (uint256 i = 0; i < 3; ++i) {
            jobs[i] = fund(termsOf(i));
            assign(jobs[i]);
        }
        bytes32 fourth = fund(termsOf(4));
        refusedAssignment(fourth, INodeRegistry.CapacityExceeded.selector);
        vm.startPrank(operator);
        vm.expectRevert(INodeRegistry.NodeBusy.selector);
        registry.requestUnstake(node, 2);
        registry.stake(node, 500 * HYPER);
        registry.requestUnstake(node, 500 * HYPER);
        vm.expectRevert(INodeRegistry.CooldownActive.selector);
        registry.withdrawStake(node);
        after_(7 days - 1);
        vm.expectRevert(INodeRegistry.CooldownActive.selector);
        registry.withdrawStake(node);
        after_(1);
        uint256 before = token.balanceOf(operator);
        registry.withdrawStake(node);
        eq(token.balanceOf(operator) - before, 9_500 * HYPER);
        vm.stopPrank();
    }

    function test_F38_convictions_for_different_jobs_do_not_wait_for_each_other() external {
        bytes32[4] memory jobs;
        for (uint256 i = 0; i < 4; ++i) {
            jobs[i] = fund(termsOf(i));
            assign(jobs[i]);
        }
        for (uint256 i = 0; i < 4; ++i) {
            convict(jobs[i]);
        }
        eq(registry.nodes(node).stake, 6_000 * HYPER);
        eq(registry.slashCount(), 4);
        eq(registry.nodes(node).reserved, 0);
    }

    function test_F39_challengers_get_a_tenth_up_to_100_and_the_rest_burns() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        disputeBy(client, jobId);
        // The client keeps paying 40: that is the most the stake makes good.
        resolve(resolutionOf(jobId, true, 40 * HYPER, 1));
        INodeRegistry.Slash memory slash = registry.slashOf(1);
        eq(slash.toVictim, 40 * HYPER);
        eq(slash.toChallenger, 96 * HYPER);
        vm.expectRevert(INodeRegistry.CooldownActive.selector);
        registry.executeSlash(1);
        after_(7 days);
        uint256 supply = token.totalSupply();
        registry.executeSlash(1);
        eq(supply - token.totalSupply(), (1_000 - 136) * HYPER);
        eq(registry.creditOf(client), 136 * HYPER);
        vm.expectRevert(INodeRegistry.SlashDone.selector);
        registry.executeSlash(1);
        vm.prank(client);
        registry.withdraw(client);
        // A larger reservation is worth no more to a challenger.
        setStake(100_000 * HYPER - 1);
        jobId = proposed(2, 100 * HYPER);
        disputeBy(client, jobId);
        resolve(resolutionOf(jobId, true, 0, 1));
        eq(registry.slashOf(2).toChallenger, 100 * HYPER);
        eq(registry.slashOf(2).toVictim, 0);
    }

    function test_CM20_F39_two_receipts_for_one_attempt_lose_the_reservation_and_pay_the_client_nothing() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        IComputeEscrow.Receipt memory a = receiptOf(jobId);
        IComputeEscrow.Receipt memory b = receiptOf(jobId);
        b.outputsRoot = keccak256("other outputs");
        bytes memory signatureA = sign(EXECUTOR_KEY, digestOf(a));
        bytes memory signatureB = sign(EXECUTOR_KEY, digestOf(b));
        vm.expectRevert(INodeRegistry.NotEquivocation.selector);
        registry.slashEquivocation(escrow, a, signatureA, a, signatureA);
        vm.expectRevert(INodeRegistry.BadSignature.selector);
        registry.slashEquivocation(escrow, a, signatureA, b, signatureA);
        vm.prank(stranger);
        registry.slashEquivocation(escrow, a, signatureA, b, signatureB);
        INodeRegistry.Slash memory slash = registry.slashOf(1);
        eq(slash.amount, 1_000 * HYPER);
        eq(slash.toVictim, 0);
        eq(slash.challenger, stranger);
        vm.expectRevert(INodeRegistry.SlashDone.selector);
        registry.slashEquivocation(escrow, a, signatureA, b, signatureB);
        // The job cannot be proposed any more, and the client gets everything back.
        IComputeEscrow.Verdict memory verdict = verdictOf(a, 1);
        bytes32 what = digestOf(verdict);
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.propose(a, signatureA, verdict, quorum(what, 2));
        reject(jobId, 3);
        eq(creditOf(client), 100 * HYPER);
        eq(registry.nodes(node).active, 0);
    }

    function test_F39_receipts_of_jobs_that_are_over_cost_nothing() external {
        bytes32 jobId = proposed(1, 1);
        IComputeEscrow.Receipt memory a = receiptOf(jobId);
        IComputeEscrow.Receipt memory b = receiptOf(jobId);
        b.exitCode = 1;
        after_(601);
        escrow.finalize(jobId);
        bytes memory signatureA = sign(EXECUTOR_KEY, digestOf(a));
        bytes memory signatureB = sign(EXECUTOR_KEY, digestOf(b));
        vm.expectRevert(INodeRegistry.SlashDone.selector);
        registry.slashEquivocation(escrow, a, signatureA, b, signatureB);
    }

    function test_F43_an_old_executor_signs_for_its_attempts_until_it_is_revoked() external {
        bytes32 jobId = fund(termsOf(1));
        bytes32 second = fund(termsOf(2));
        assign(jobId);
        assign(second);
        vm.startPrank(operator);
        bytes memory signature = sign(OTHER_KEY, registry.registrationHashOf(node, operator, other));
        registry.update(node, other, payTo, 0, signature);
        vm.stopPrank();
        propose(jobId, 1);
        vm.prank(operator);
        registry.revoke(node, executor);
        IComputeEscrow.Receipt memory receipt = receiptOf(second);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 1);
        signature = sign(EXECUTOR_KEY, digestOf(receipt));
        bytes32 what = digestOf(verdict);
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.propose(receipt, signature, verdict, quorum(what, 2));
        proposeAs(receipt, OTHER_KEY, verdict);
        // For good.
        vm.startPrank(operator);
        signature = sign(EXECUTOR_KEY, registry.registrationHashOf(node, operator, executor));
        vm.expectRevert(INodeRegistry.BadExecutor.selector);
        registry.update(node, executor, payTo, 0, signature);
        vm.stopPrank();
    }

    function test_CM34_downtime_costs_only_after_two_days_and_a_day_to_answer() external {
        after_(48 hours);
        vm.expectRevert(INodeRegistry.TooSoon.selector);
        registry.reportOffline(node);
        after_(1);
        registry.reportOffline(node);
        vm.expectRevert(INodeRegistry.TooSoon.selector);
        registry.slashOffline(node);
        after_(24 hours);
        vm.prank(executor);
        registry.heartbeat(node);
        after_(1);
        vm.expectRevert(INodeRegistry.TooSoon.selector);
        registry.slashOffline(node);
        vm.prank(executor);
        vm.expectRevert(INodeRegistry.TooSoon.selector);
        registry.heartbeat(node);
        after_(48 hours);
        registry.reportOffline(node);
        after_(24 hours + 1);
        registry.slashOffline(node);
        // One day and a second late: two days began.
        eq(registry.slashOf(1).amount, 200 * HYPER);
        after_(30 days);
        registry.reportOffline(node);
        after_(1 days + 1);
        registry.slashOffline(node);
        eq(registry.slashOf(2).amount, 9_800 * HYPER * 5 / 100);
    }

    function test_F38_other_slashes_take_nothing_that_is_reserved() external {
        setStake(100 * HYPER);
        assign(fund(termsOf(1)));
        vm.prank(owner);
        registry.slashByOwner(node, 5_000, EVIDENCE);
        eq(registry.nodes(node).stake, 100 * HYPER);
        // What is being withdrawn is within reach: half of all there is.
        eq(registry.nodes(node).unbonding, 4_900 * HYPER);
        after_(7 days);
        vm.prank(operator);
        registry.withdrawStake(node);
        setStake(10_000 * HYPER);
        vm.startPrank(owner);
        vm.expectRevert(INodeRegistry.BadAmount.selector);
        registry.slashByOwner(node, 5_001, EVIDENCE);
        registry.slashByOwner(node, 5_000, EVIDENCE);
        vm.expectRevert(INodeRegistry.TooSoon.selector);
        registry.slashByOwner(node, 1, EVIDENCE);
        vm.stopPrank();
        eq(registry.nodes(node).stake, 5_000 * HYPER);
    }

    function test_CM34_a_quorum_slashes_for_abandonment_once_and_cancels_what_was_wrong() external {
        bytes32 what = registry.abandonmentHashOf(node, 1, EVIDENCE, 7);
        IVerifierSet.Signed[] memory two = quorum(what, 2);
        IVerifierSet.Signed[] memory three = quorum(what, 3);
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        registry.slashAbandonment(node, EVIDENCE, 7, two);
        registry.slashAbandonment(node, EVIDENCE, 7, three);
        eq(registry.slashOf(1).amount, 200 * HYPER);
        after_(1 days);
        vm.expectRevert(INodeRegistry.SlashDone.selector);
        registry.slashAbandonment(node, EVIDENCE, 7, three);
        what = registry.slashCancelHashOf(1);
        registry.cancelSlash(1, quorum(what, 3));
        eq(registry.creditOf(operator), 200 * HYPER);
        after_(7 days);
        vm.expectRevert(INodeRegistry.SlashDone.selector);
        registry.executeSlash(1);
    }

    function test_CM33_an_operator_hands_its_seat_over_in_two_steps() external {
        vm.prank(operator);
        registry.transferOperator(node, alice);
        vm.expectRevert(INodeRegistry.NotOperator.selector);
        registry.acceptOperator(node);
        vm.prank(alice);
        registry.acceptOperator(node);
        eq(registry.operatorOf(node), alice);
        vm.prank(operator);
        vm.expectRevert(INodeRegistry.NotOperator.selector);
        registry.setStatus(node, false);
        vm.prank(executor);
        registry.setStatus(node, false);
        refusedAssignment(fund(termsOf(1)), INodeRegistry.NodeNotActive.selector);
    }

    function test_CM33_stake_by_authorisation_is_for_one_node_and_once() external {
        bytes32 nonce = registry.stakeAuthorizationOf(node);
        eq(nonce, keccak256(abi.encode("stake", node, uint256(0))));
        bytes32 structHash = keccak256(
            abi.encode(
                0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8,
                client,
                address(registry),
                5 * HYPER,
                0,
                type(uint256).max,
                nonce
            )
        );
        bytes memory signature =
            sign(CLIENT_KEY, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
        registry.stakeWithAuthorization(node, client, 5 * HYPER, 0, type(uint256).max, signature);
        eq(registry.nodes(node).stake, 10_005 * HYPER);
        vm.expectRevert();
        registry.stakeWithAuthorization(node, client, 5 * HYPER, 0, type(uint256).max, signature);
    }

    function test_CM19_nobody_but_an_admitted_escrow_touches_reservations() external {
        vm.startPrank(stranger);
        vm.expectRevert(INodeRegistry.Unauthorized.selector);
        registry.onAssign(0, 0, node, 0);
        vm.expectRevert(INodeRegistry.Unauthorized.selector);
        registry.onClose(0, 0, node);
        vm.expectRevert(INodeRegistry.Unauthorized.selector);
        registry.onDispute(0, 0, node);
        vm.expectRevert(INodeRegistry.Unauthorized.selector);
        registry.convict(0, 0, node, stranger, 1, stranger, 0);
        vm.expectRevert();
        registry.setEscrow(stranger, true);
        vm.stopPrank();
    }

    function test_T15_below_the_threshold_duplicates_and_strangers_do_not_count() external {
        bytes32 what = keccak256("digest");
        refusedQuorum(what, quorum(what, 1), false);
        IVerifierSet.Signed[] memory signatures = quorum(what, 2);
        verifiers.check(what, signatures, false);
        refusedQuorum(what, signatures, true);
        refusedQuorum(keccak256("another"), signatures, false);
        signatures[1] = signatures[0];
        refusedQuorum(what, signatures, false);
        signatures = quorum(what, 2);
        (signatures[0], signatures[1]) = (signatures[1], signatures[0]);
        refusedQuorum(what, signatures, false);
        signatures = quorum(what, 2);
        signatures[1] = IVerifierSet.Signed(address(type(uint160).max), signatures[1].signature);
        refusedQuorum(what, signatures, false);
        vm.startPrank(owner);
        address last = vm.addr(verifierKeys[2]);
        vm.expectRevert(IVerifierSet.BadThresholds.selector);
        verifiers.removeVerifier(last);
        vm.expectRevert(IVerifierSet.BadThresholds.selector);
        verifiers.setThresholds(3, 2);
        vm.expectRevert(IVerifierSet.BadThresholds.selector);
        verifiers.setThresholds(0, 2);
        verifiers.setThresholds(1, 2);
        verifiers.removeVerifier(last);
        vm.expectRevert(abi.encodeWithSelector(IVerifierSet.BadVerifier.selector, vm.addr(verifierKeys[0])));
        address there = vm.addr(verifierKeys[0]);
        verifiers.addVerifier(there);
        vm.stopPrank();
    }

    function refusedQuorum(bytes32 what, IVerifierSet.Signed[] memory signatures, bool dispute) private {
        vm.expectRevert(IVerifierSet.BadSignature.selector);
        verifiers.check(what, signatures, dispute);
    }

    function refusedAssignment(bytes32 jobId, bytes4 reason) private {
        IComputeEscrow.Acceptance memory acceptance = acceptanceOf(jobId);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(acceptance));
        vm.prank(platform);
        vm.expectRevert(reason);
        escrow.assign(acceptance, signature, "");
    }

    function setStake(uint256 amount) private {
        uint256 now_ = registry.nodes(node).stake;
        vm.startPrank(operator);
        if (amount > now_) registry.stake(node, amount - now_);
        if (amount < now_) registry.requestUnstake(node, now_ - amount);
        vm.stopPrank();
    }
}
