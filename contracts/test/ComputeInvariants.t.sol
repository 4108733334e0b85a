// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ComputeEscrow} from "../src/compute/ComputeEscrow.sol";
import {HyperToken} from "../src/compute/HyperToken.sol";
import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {INodeRegistry} from "../src/compute/INodeRegistry.sol";
import {NodeRegistry} from "../src/compute/NodeRegistry.sol";
import {ComputeHandler} from "./ComputeHandler.sol";
import {HostileToken} from "./ComputeHostile.t.sol";
import {Fixture} from "./Fixture.sol";

/// @dev The invariants are numbered in contracts/README.md.
contract ComputeInvariantsTest is Fixture {
    ComputeHandler private handler;
    ComputeEscrow private escrow;
    NodeRegistry private registry;
    HyperToken private token;
    HostileToken private hostile;
    bytes32[2] private nodes;
    address[2] private operators;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public override {
        handler = new ComputeHandler();
        (address a, address b, address c) = handler.parts();
        (escrow, registry, token) = (ComputeEscrow(a), NodeRegistry(b), HyperToken(c));
        hostile = handler.hostile();
        nodes = [hash("node.os"), hash("other.os")];
        operators = [registry.operatorOf(nodes[0]), registry.operatorOf(nodes[1])];
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[16] memory all;
        for (uint256 i = 0; i < 9; ++i) {
            all[i] = handler.advance.selector;
        }
        all[9] = handler.start.selector;
        (all[10], all[11]) = (handler.wait_.selector, handler.withdraw.selector);
        (all[12], all[13]) = (handler.replay.selector, handler.trespass.selector);
        (all[14], all[15]) = (handler.restake.selector, handler.setWay.selector);
        targets = new FuzzSelector[](1);
        targets[0].addr = address(handler);
        targets[0].selectors = new bytes4[](17);
        for (uint256 i = 0; i < 16; ++i) {
            targets[0].selectors[i] = all[i];
        }
        targets[0].selectors[16] = handler.setPaused.selector;
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_C1_to_C8_money_and_reservations_add_up() external view {
        uint256[2] memory locked;
        uint256[2] memory active;
        uint256[2] memory reserved;
        for (uint256 i = 0; i < handler.jobCount(); ++i) {
            bytes32 jobId = handler.jobs(i);
            IComputeEscrow.Job memory job = escrow.getJob(jobId);
            // C3: what has ended stays as it ended.
            uint256 end = handler.endOf(jobId);
            isTrue(end == 0 || end == uint256(job.state));
            if (job.state >= IComputeEscrow.State.Settled) {
                eq(job.bond, 0);
                continue;
            }
            uint256 paid = job.mode == 2 ? handler.paidOf(job, job.payout) : 0;
            locked[job.token == address(token) ? 0 : 1] += job.amount - paid + job.bond;
            if (job.state == IComputeEscrow.State.Funded) continue;
            uint256 at = job.nodeId == nodes[0] ? 0 : 1;
            reserved[at] += registry.leaseOf(jobId, job.attempt, job.nodeId).reserved;
            if (job.state != IComputeEscrow.State.Disputed) ++active[at];
        }
        // C1: the escrow has what is locked and what is credited.
        uint256[] memory credits = handler.credits();
        for (uint256 i = 0; i < credits.length; ++i) {
            locked[i % 2] += credits[i];
        }
        eq(token.balanceOf(address(escrow)), locked[0]);
        eq(hostile.balanceOf(address(escrow)), locked[1]);
        uint256 held = 0;
        for (uint256 i = 0; i < 2; ++i) {
            INodeRegistry.Seat memory seat = registry.nodes(nodes[i]);
            // C4: slots and reservations are those of the jobs that run. C5: every reservation is there.
            eq(seat.active, active[i]);
            eq(seat.reserved, reserved[i]);
            isTrue(seat.reserved <= seat.stake);
            held += uint256(seat.stake) + seat.unbonding;
        }
        // C6: the registry has stakes, what is being withdrawn, slashes and credits.
        for (uint256 i = 1; i <= registry.slashCount(); ++i) {
            INodeRegistry.Slash memory slash = registry.slashOf(i);
            if (!slash.done) held += slash.amount;
        }
        for (uint256 i = 0; i < credits.length / 2; ++i) {
            held += registry.creditOf(handler.people(i));
        }
        eq(token.balanceOf(address(registry)), held);
        // C8: the set of verifiers has their bonds.
        (address set, uint256 bonds) = handler.bonds();
        eq(token.balanceOf(set), bonds);
    }

    function afterInvariant() external {
        report();
        // C7: whoever waits gets everything back, whatever happened.

        vm.warp(block.timestamp + 40 days);
        for (uint256 i = 0; i < handler.jobCount(); ++i) {
            bytes32 jobId = handler.jobs(i);
            IComputeEscrow.State state = escrow.getJob(jobId).state;
            if (state < IComputeEscrow.State.Proposed) escrow.refundExpired(jobId);
            else if (state < IComputeEscrow.State.Settled) escrow.finalize(jobId);
        }
        for (uint256 i = 0; i < 9; ++i) {
            handler.withdraw(i, false);
            handler.withdraw(i, true);
        }
        eq(token.balanceOf(address(escrow)), 0);
        eq(hostile.balanceOf(address(escrow)), 0);
        emptyRegistry();
    }

    function emptyRegistry() private {
        for (uint256 i = 1; i <= registry.slashCount(); ++i) {
            if (!registry.slashOf(i).done) registry.executeSlash(i);
        }
        for (uint256 i = 0; i < 2; ++i) {
            uint256 staked = registry.nodes(nodes[i]).stake;
            vm.startPrank(operators[i]);
            if (staked != 0) registry.requestUnstake(nodes[i], staked);
            vm.warp(block.timestamp + 7 days);
            if (registry.nodes(nodes[i]).unbonding != 0) registry.withdrawStake(nodes[i]);
            vm.stopPrank();
        }
        for (uint256 i = 0; i < 8; ++i) {
            address who = handler.people(i);
            if (registry.creditOf(who) == 0) continue;
            vm.prank(who);
            registry.withdraw(who);
        }
        eq(token.balanceOf(address(registry)), 0);
    }

    function report() private {
        string[18] memory labels = [
            "Settled",
            "Disputed",
            "Refunded",
            "resolved",
            "convicted",
            "requeued",
            "vouchers claimed",
            "paid from vaults",
            "paid by signature",
            "withdrawn",
            "replays refused",
            "trespasses refused",
            "windows held",
            "refused for the token or the node",
            "refused while paused",
            "equivocations",
            "nodes without room",
            "verdicts that cost their signers"
        ];
        for (uint256 i = 0; i < labels.length; ++i) {
            string memory line = string.concat(labels[i], "=", vm.toString(handler.reached(i)));
            vm.writeLine("contracts/target/reached-compute", line);
        }
    }
}
