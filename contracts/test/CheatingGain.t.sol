// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {INodeRegistry} from "../src/compute/INodeRegistry.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev F38: what a provider that returns garbage can expect, in millionths of HYPER, from what the contracts really pay and take. It is
/// audited at the rate of section 8.3, with its job's reservation at stake. Everything is counted in its favour: that the work it spared
/// would have cost all that it was paid, and that whoever shows a fraud is its accomplice.
contract CheatingGainTest is ComputeFixture {
    uint256 private constant AUDIT_BPS_MIN = 500;

    function test_F38_cheating_has_a_negative_expected_gain_at_every_price_and_stake() external {
        uint256[7] memory stakes = [uint256(100), 999, 1_000, 9_999, 10_000, 99_999, 1_000_000];
        uint256 salt = 0;
        for (uint256 i = 0; i < stakes.length; ++i) {
            setStake(stakes[i] * HYPER);
            uint256 most = stakes[i] * HYPER / registry.capacityOf(stakes[i] * HYPER);
            uint256[8] memory prices =
                [uint256(1), 1_000, most / 1_000, most / 100, most / 10, most / 2, most * 9 / 10, most];
            for (uint256 j = 0; j < prices.length; ++j) {
                (uint256 gained, uint256 lost) = measure(++salt, prices[j]);
                uint256 audited = auditBps(prices[j], most);
                int256 expected = int256((10_000 - audited) * gained) - int256(audited * lost);
                require(expected < 0, string.concat("gains at price ", vm.toString(prices[j])));
                setStake(stakes[i] * HYPER);
            }
            // Above that there is no job to cheat at.
            IComputeEscrow.Terms memory terms = termsOf(++salt);
            terms.amount = most + 1;
            IComputeEscrow.Acceptance memory acceptance = acceptanceOf(fund(terms));
            bytes memory signature = sign(EXECUTOR_KEY, digestOf(acceptance));
            vm.prank(platform);
            vm.expectRevert(INodeRegistry.InsufficientStake.selector);
            escrow.assign(acceptance, signature, "");
        }
    }

    /// @dev With all slots full of garbage at once: every conviction takes its own reservation, on the same day.
    function test_F38_cheating_in_every_slot_at_once_gains_nothing() external {
        bytes32[10] memory jobs;
        for (uint256 i = 0; i < 10; ++i) {
            IComputeEscrow.Terms memory terms = termsOf(i);
            terms.amount = 1_000 * HYPER;
            jobs[i] = fund(terms);
            assign(jobs[i]);
        }
        for (uint256 i = 0; i < 10; ++i) {
            convict(jobs[i]);
        }
        eq(registry.nodes(node).stake, 0);
        eq(registry.slashCount(), 10);
    }

    /// forge-config: default.fuzz.runs = 12
    function testFuzz_F38_a_simulated_cheat_loses(uint256 seed) external {
        // 120 jobs of one cheat; each is audited or not as the hash says.
        uint256 won = 0;
        uint256 lost = 0;
        for (uint256 i = 0; i < 120; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            uint256 price = 1 + (dice >> 128) % (1_000 * HYPER);
            IComputeEscrow.Terms memory terms = termsOf(i);
            terms.amount = price;
            bytes32 jobId = fund(terms);
            assign(jobId);
            if (dice % 10_000 < auditBps(price, 1_000 * HYPER)) {
                uint256 before = registry.nodes(node).stake;
                convict(jobId);
                lost += before - registry.nodes(node).stake;
                setStake(10_000 * HYPER);
            } else {
                propose(jobId, price);
                after_(601);
                escrow.finalize(jobId);
                won += price;
            }
        }
        require(won < lost, "the cheat won");
    }

    /// @dev One fraud that passes, and one that an accomplice disputes.
    function measure(uint256 salt, uint256 price) private returns (uint256 gained, uint256 lost) {
        IComputeEscrow.Terms memory terms = termsOf(salt);
        terms.amount = price;
        bytes32 jobId = fund(terms);
        assign(jobId);
        propose(jobId, price);
        after_(601);
        escrow.finalize(jobId);
        eq(escrow.getJob(jobId).payout, price);
        gained = price;

        terms = termsOf(salt | (1 << 200));
        terms.amount = price;
        jobId = fund(terms);
        assign(jobId);
        propose(jobId, price);
        disputeBy(client, jobId);
        uint256 before = registry.nodes(node).stake;
        uint256 earned = creditOf(payTo);
        resolve(resolutionOf(jobId, true, 0, 1));
        eq(creditOf(payTo), earned);
        INodeRegistry.Slash memory slash = registry.slashOf(registry.slashCount());
        eq(slash.toVictim, 0);
        lost = before - registry.nodes(node).stake - slash.toChallenger;
    }

    /// @dev Section 8.3, with the reservation as what can be lost: `clamp(500, 10000, ceil(20000 g / (g + S)))`.
    function auditBps(uint256 price, uint256 reservation) private pure returns (uint256 bps) {
        bps = (20_000 * price + price + reservation - 1) / (price + reservation);
        if (bps < AUDIT_BPS_MIN) bps = AUDIT_BPS_MIN;
        if (bps > 10_000) bps = 10_000;
    }

    function setStake(uint256 amount) private {
        uint256 now_ = registry.nodes(node).stake;
        vm.startPrank(operator);
        if (amount > now_) registry.stake(node, amount - now_);
        if (amount < now_) registry.requestUnstake(node, now_ - amount);
        vm.stopPrank();
    }
}
