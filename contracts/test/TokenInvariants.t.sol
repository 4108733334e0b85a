// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ITokenRegistry} from "../src/token/ITokenRegistry.sol";
import {TokenRegistry} from "../src/token/TokenRegistry.sol";
import {TokenFixture} from "./TokenRegistry.t.sol";
import {Vm} from "./Vm.sol";

/// @dev Locks, binds, moves, waits and withdraws as three accounts and their delegates do.
contract TokenHandler {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant WEEK4 = 2_419_200;

    TokenRegistry private immutable registry;
    address[3] public people;
    bytes32[4] public names;
    mapping(address => uint256) public paidIn;
    mapping(address => uint256) public paidOut;
    uint256[9] public reached;

    constructor(TokenRegistry registry_, address[3] memory people_, bytes32[4] memory names_) {
        (registry, people, names) = (registry_, people_, names_);
    }

    function lock(uint256 whoSeed, uint96 amount, uint32 duration) external {
        address who = people[whoSeed % 3];
        uint256 value = amount % 3 == 0 ? 0 : amount % 10_000 ether;
        uint256 time = duration % 4 == 0 ? 0 : WEEK4 + (duration % (8 * WEEK4));
        vm.prank(who);
        try registry.manageLock(value, time) {
            paidIn[who] += value;
            reached[value == 0 ? 1 : 0]++;
        } catch {
            reached[8]++;
        }
    }

    function move(uint256 whoSeed, uint256 srcSeed, uint256 dstSeed, uint96 amount, uint32 duration, bool byDelegate)
        external
    {
        address who = people[whoSeed % 3];
        (bytes32 src, bytes32 dst) = (names[srcSeed % 2 == 0 ? 0 : srcSeed % 4], names[dstSeed % 4]);
        uint256 time = duration % 8 == 0 ? 0 : WEEK4 + (duration % 3 == 0 ? duration % (2 * WEEK4) : 0);
        (uint256 before,,) = registry.getRegistrationDetails(src, who);
        uint256 value = amount % 2 == 0 ? before / 2 : amount % 10_000 ether;
        vm.prank(byDelegate ? registry.delegateOf(who) : who);
        // Asked for nobody: the delegate of an account without one is zero, who may do nothing.
        bytes memory call = byDelegate
            ? abi.encodeCall(registry.transferRegistrationFor, (who, src, dst, value, time))
            : abi.encodeCall(registry.transferRegistration, (src, dst, value, time));
        (bool done,) = address(registry).call(call);
        if (!done) reached[8]++;
        else if (byDelegate) reached[4]++;
        else reached[src == 0 ? 2 : 3]++;
    }

    function delegate(uint256 whoSeed, uint256 toSeed) external {
        vm.prank(people[whoSeed % 3]);
        registry.setDelegate(toSeed % 4 == 3 ? address(0) : people[toSeed % 4]);
    }

    function wait_(uint32 time) external {
        vm.warp(block.timestamp + (time % WEEK4));
        reached[6]++;
    }

    function withdraw(uint256 whoSeed) external {
        address who = people[whoSeed % 3];
        (uint256 amount, uint256 endTime,) = registry.getLockDetails(who);
        vm.prank(who);
        if (endTime > block.timestamp) {
            vm.expectRevert(abi.encodeWithSelector(ITokenRegistry.LockNotExpired.selector, endTime));
            registry.withdraw();
            reached[7]++;
            return;
        }
        // No lock that has ended is ever stuck.
        require(registry.withdraw() == (amount != 0), "withdraw said otherwise");
        paidOut[who] += amount;
        if (amount != 0) reached[5]++;
    }
}

/// @dev The invariants are numbered in contracts/README.md.
contract TokenInvariantsTest is TokenFixture {
    TokenHandler private handler;
    address[3] private people;
    bytes32[4] private names;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public override {
        super.setUp();
        mintUnderOs(bob, "carol");
        people = [alice, bob, vm.addr(103)];
        fund(people[2]);
        names = [bytes32(0), aliceOs, bobOs, hash("carol.os")];
        handler = new TokenHandler(registry, people, names);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(handler);
        targets[0].selectors = new bytes4[](6);
        targets[0].selectors[0] = handler.lock.selector;
        targets[0].selectors[1] = handler.move.selector;
        targets[0].selectors[2] = handler.wait_.selector;
        targets[0].selectors[3] = handler.withdraw.selector;
        targets[0].selectors[4] = handler.move.selector;
        targets[0].selectors[5] = handler.delegate.selector;
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_T1_to_T6_locks_and_binds_add_up() external view {
        uint256 locked = 0;
        uint256[4] memory weights;
        uint256[4] memory binders;
        for (uint256 i = 0; i < people.length; ++i) {
            (uint256 amount, uint256 lockEnd,) = registry.getLockDetails(people[i]);
            locked += amount;
            // T1: what an account has locked is what it paid in and has not been paid out.
            eq(amount, handler.paidIn(people[i]) - handler.paidOut(people[i]));
            eq(hypr.balanceOf(people[i]), 1_000_000 ether - amount);
            uint256 bound = 0;
            uint256 listed = 0;
            for (uint256 j = 0; j < names.length; ++j) {
                (uint256 part, uint256 end,) = registry.getRegistrationDetails(names[j], people[i]);
                bound += part;
                // T3: no bind outlives its lock.
                isTrue(end <= lockEnd);
                if (j == 0 || part == 0) continue;
                ++listed;
                ++binders[j];
                uint256 left = end > block.timestamp ? end - block.timestamp : 0;
                if (left != 0) weights[j] += registry.calculateVotingPower(part, left);
            }
            // T2: all of a lock is somewhere, and nothing is in two places. T4: the lists have what there is.
            eq(bound, amount);
            eq(registry.getUserBinds(people[i]).length, listed);
        }
        // T5: the registry has the tokens.
        eq(hypr.balanceOf(address(registry)), locked);
        // T6: a name's weight is the sum over its live binds.
        for (uint256 j = 1; j < names.length; ++j) {
            (uint256 weight, uint256 total) = registry.weightOf(names[j], 0, type(uint256).max);
            eq(weight, weights[j]);
            eq(total, binders[j]);
        }
    }

    function afterInvariant() external {
        string[9] memory labels = [
            "locked",
            "extended",
            "bound",
            "moved on",
            "by delegates",
            "withdrawn",
            "waited",
            "withdrawals refused",
            "other refusals"
        ];
        for (uint256 i = 0; i < labels.length; ++i) {
            string memory line = string.concat(labels[i], "=", vm.toString(handler.reached(i)));
            vm.writeLine("contracts/target/reached-token", line);
        }
        // T7: whoever waits long enough gets everything back.
        vm.warp(block.timestamp + 125_798_400);
        for (uint256 i = 0; i < people.length; ++i) {
            vm.prank(people[i]);
            registry.withdraw();
            eq(hypr.balanceOf(people[i]), 1_000_000 ether);
        }
        eq(hypr.balanceOf(address(registry)), 0);
    }
}
