// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ITokenRegistry} from "../src/token/ITokenRegistry.sol";
import {TokenRegistry} from "../src/token/TokenRegistry.sol";
import {Fixture} from "./Fixture.sol";

abstract contract TokenFixture is Fixture {
    uint256 internal constant WEEK4 = 2_419_200;
    uint256 internal constant YEARS4 = 125_798_400;
    IERC20 internal hypr;
    TokenRegistry internal registry;
    bytes32 internal aliceOs;
    bytes32 internal bobOs;

    function setUp() public virtual override {
        super.setUp();
        hypr = IERC20(deploy(abi.encodePacked(creationOf("Hypr"), abi.encode(owner))));
        registry = newRegistry(address(hypr));
        for (uint256 key = 101; key <= 102; ++key) {
            fund(vm.addr(key));
        }
        mintUnderOs(alice, "alice");
        mintUnderOs(bob, "bob");
        (aliceOs, bobOs) = (hash("alice.os"), hash("bob.os"));
    }

    function newRegistry(address token) internal returns (TokenRegistry) {
        return TokenRegistry(deploy(abi.encodePacked(creationOf("TokenRegistry"), abi.encode(token, HYPERMAP))));
    }

    function fund(address who) internal {
        vm.prank(owner);
        hypr.transfer(who, 1_000_000 ether);
        vm.prank(who);
        hypr.approve(address(registry), type(uint256).max);
    }

    function lock(address who, uint256 amount, uint256 duration) internal {
        vm.prank(who);
        registry.manageLock(amount, duration);
    }

    function bind(address who, bytes32 name, uint256 amount, uint256 duration) internal {
        vm.prank(who);
        registry.transferRegistration(0, name, amount, duration);
    }

    function boundOn(bytes32 name, address who) internal view returns (uint256 amount) {
        (amount,,) = registry.getRegistrationDetails(name, who);
    }
}

contract TokenRegistryTest is TokenFixture {
    function test_HM30_voting_power_is_that_of_the_vectors() external view {
        eq(registry.calculateVotingPower(1 ether, WEEK4), 99_999_999_950_000_000_000);
        eq(registry.calculateVotingPower(1 ether, YEARS4), 2_599_999_998_700_000_000_000);
        eq(registry.calculateVotingPower(1000 ether, 365 days), 1_139_999_999_806_039_050_855_600);
        // Less than four weeks counts as four, nothing counts nothing, and more than 128 bits does not overflow.
        eq(registry.calculateVotingPower(1 ether, 1), 99_999_999_950_000_000_000);
        eq(registry.calculateVotingPower(0, YEARS4), 0);
        eq(registry.calculateVotingPower(type(uint256).max, type(uint256).max), type(uint128).max);
    }

    function testFuzz_HM30_more_or_longer_never_counts_less(uint96 value, uint96 more, uint32 time, uint32 longer)
        external
        view
    {
        uint256 power = registry.calculateVotingPower(value, time);
        isTrue(registry.calculateVotingPower(uint256(value) + more, time) >= power || value < 20 ether);
        isTrue(registry.calculateVotingPower(value, uint256(time) + longer) + value >= power);
    }

    function test_HM30_a_lock_takes_tokens_and_says_so() external {
        vm.expectEmit(address(registry));
        emit ITokenRegistry.TokensLocked(alice, 100, WEEK4, 100, block.timestamp + WEEK4);
        lock(alice, 100, WEEK4);
        (uint256 amount, uint256 endTime, uint256 left) = registry.getLockDetails(alice);
        eq(amount, 100);
        eq(endTime, block.timestamp + WEEK4);
        eq(left, WEEK4);
        eq(registry.getUserUnlockStamp(alice), endTime);
        eq(boundOn(0, alice), 100);
        eq(hypr.balanceOf(address(registry)), 100);
        isTrue(!registry.isLockExpired(alice) && registry.isLockExpired(bob));
    }

    function test_HM30_a_lock_lasts_four_weeks_to_four_years() external {
        refusesLock(100, WEEK4 - 1, abi.encodeWithSelector(ITokenRegistry.InvalidDuration.selector, WEEK4 - 1));
        refusesLock(100, YEARS4 + 1, abi.encodeWithSelector(ITokenRegistry.InvalidDuration.selector, YEARS4 + 1));
        refusesLock(100, 0, abi.encodeWithSelector(ITokenRegistry.InvalidDuration.selector, 0));
        refusesLock(0, WEEK4, abi.encodeWithSelector(ITokenRegistry.NothingToDo.selector));
        refusesLock(0, 0, abi.encodeWithSelector(ITokenRegistry.NothingToDo.selector));
        uint256 tooMuch = uint256(type(uint128).max) + 1;
        refusesLock(tooMuch, WEEK4, abi.encodeWithSelector(ITokenRegistry.AmountTooLarge.selector));
        lock(alice, 100, YEARS4);
    }

    function refusesLock(uint256 amount, uint256 duration, bytes memory reason) private {
        vm.prank(alice);
        vm.expectRevert(reason);
        registry.manageLock(amount, duration);
    }

    function test_HM30_a_lock_grows_and_lengthens_and_never_shortens() external {
        lock(alice, 100, 2 * WEEK4);
        uint256 end = block.timestamp + 2 * WEEK4;
        lock(alice, 50, 0);
        (uint256 amount, uint256 endTime,) = registry.getLockDetails(alice);
        eq(amount, 150);
        eq(endTime, end);
        refusesLock(0, WEEK4, abi.encodeWithSelector(ITokenRegistry.CannotShorten.selector));
        vm.expectEmit(address(registry));
        emit ITokenRegistry.LockExtended(alice, 3 * WEEK4, 150, block.timestamp + 3 * WEEK4);
        lock(alice, 0, 3 * WEEK4);
        // Tokens that come late stay four weeks too.
        vm.warp(block.timestamp + 2 * WEEK4 + 1);
        refusesLock(50, 0, abi.encodeWithSelector(ITokenRegistry.InvalidDuration.selector, WEEK4 - 1));
        lock(alice, 50, WEEK4);
    }

    function test_HM30_weight_goes_to_names_one_owns_or_not() external {
        lock(alice, 100, 2 * WEEK4);
        vm.expectEmit(address(registry));
        emit ITokenRegistry.BindCreated(alice, bobOs, 60, block.timestamp + WEEK4);
        vm.expectEmit(address(registry));
        emit ITokenRegistry.TokensBound(alice, 0, bobOs, 60);
        bind(alice, bobOs, 60, WEEK4);
        vm.expectEmit(address(registry));
        emit ITokenRegistry.BindAmountIncreased(alice, bobOs, 100, block.timestamp + WEEK4);
        // More than there is: what there is.
        bind(alice, bobOs, 1000, 0);
        eq(boundOn(bobOs, alice), 100);
        eq(boundOn(0, alice), 0);
        vm.expectEmit(address(registry));
        emit ITokenRegistry.BindDurationExtended(alice, bobOs, 100, block.timestamp + 2 * WEEK4);
        // As long as the lock, not as long as asked for.
        bind(alice, bobOs, 0, 50 * WEEK4);
        bytes32[] memory names = registry.getUserBinds(alice);
        eq(names.length, 1);
        eq(names[0], bobOs);
    }

    function test_HM30_what_cannot_be_bound() external {
        refusesBind(0, aliceOs, 1, WEEK4, abi.encodeWithSelector(ITokenRegistry.LockExpired.selector));
        lock(alice, 100, 3 * WEEK4);
        bytes32 noteHash = hash("~x.alice.os");
        refusesBind(0, noteHash, 1, WEEK4, abi.encodeWithSelector(ITokenRegistry.NotAName.selector, noteHash));
        refusesBind(
            0, aliceOs, 1, WEEK4 - 1, abi.encodeWithSelector(ITokenRegistry.InvalidDuration.selector, WEEK4 - 1)
        );
        refusesBind(0, aliceOs, 1, 0, abi.encodeWithSelector(ITokenRegistry.InvalidDuration.selector, 0));
        refusesBind(0, aliceOs, 0, WEEK4, abi.encodeWithSelector(ITokenRegistry.NothingToDo.selector));
        refusesBind(0, 0, 1, WEEK4, abi.encodeWithSelector(ITokenRegistry.NothingToDo.selector));
        refusesBind(aliceOs, 0, 1, 0, abi.encodeWithSelector(ITokenRegistry.NothingToDo.selector));
        bind(alice, aliceOs, 40, 2 * WEEK4);
        refusesBind(0, aliceOs, 1, WEEK4, abi.encodeWithSelector(ITokenRegistry.CannotShorten.selector));
        uint256 end = block.timestamp + 2 * WEEK4;
        refusesBind(aliceOs, 0, 1, 0, abi.encodeWithSelector(ITokenRegistry.BindNotExpired.selector, end));
        refusesBind(aliceOs, bobOs, 1, WEEK4, abi.encodeWithSelector(ITokenRegistry.BindNotExpired.selector, end));
    }

    function refusesBind(bytes32 src, bytes32 dst, uint256 amount, uint256 duration, bytes memory reason) private {
        vm.prank(alice);
        vm.expectRevert(reason);
        registry.transferRegistration(src, dst, amount, duration);
    }

    function test_HM30_a_bind_that_has_ended_gives_its_weight_back_or_on() external {
        lock(alice, 100, 4 * WEEK4);
        bind(alice, aliceOs, 100, WEEK4);
        vm.warp(block.timestamp + WEEK4);
        eq(registry.weightOf(aliceOs), 0);
        vm.expectEmit(address(registry));
        emit ITokenRegistry.ExpiredBindReclaimed(alice, aliceOs, 30);
        vm.prank(alice);
        registry.transferRegistration(aliceOs, bobOs, 30, WEEK4);
        vm.prank(alice);
        registry.transferRegistration(aliceOs, 0, type(uint256).max, 0);
        eq(boundOn(0, alice), 70);
        eq(boundOn(aliceOs, alice), 0);
        eq(boundOn(bobOs, alice), 30);
        eq(registry.getUserBinds(alice).length, 1);
        (, uint256 total) = registry.weightOf(aliceOs, 0, 10);
        eq(total, 0);
    }

    function test_HM30_a_lock_that_has_ended_is_paid_out_whatever_is_bound() external {
        vm.prank(alice);
        isTrue(!registry.withdraw());
        lock(alice, 100, WEEK4);
        bind(alice, aliceOs, 60, WEEK4);
        bind(alice, bobOs, 40, WEEK4);
        uint256 end = block.timestamp + WEEK4;
        vm.warp(end - 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(ITokenRegistry.LockNotExpired.selector, end));
        registry.withdraw();
        vm.warp(end);
        vm.expectEmit(address(registry));
        emit ITokenRegistry.TokensWithdrawn(alice, 100, 0, end);
        vm.prank(alice);
        isTrue(registry.withdraw());
        eq(hypr.balanceOf(alice), 1_000_000 ether);
        eq(registry.getUserBinds(alice).length, 0);
        eq(boundOn(aliceOs, alice) + boundOn(bobOs, alice) + boundOn(0, alice), 0);
        lock(alice, 5, WEEK4);
        eq(boundOn(0, alice), 5);
    }

    function test_HM30_an_ended_lock_can_be_renewed_with_its_binds() external {
        lock(alice, 100, WEEK4);
        bind(alice, aliceOs, 100, WEEK4);
        vm.warp(block.timestamp + 2 * WEEK4);
        lock(alice, 0, 2 * WEEK4);
        eq(registry.weightOf(aliceOs), 0);
        bind(alice, aliceOs, 0, WEEK4);
        isTrue(registry.weightOf(aliceOs) > 0);
    }

    function test_HM30_sixty_four_binds_can_be_ended_in_one_withdrawal() external {
        uint256 most = registry.BINDS_MAX();
        lock(alice, 1000, WEEK4);
        for (uint256 i = 0; i <= most; ++i) {
            string memory label = string.concat("n", vm.toString(i));
            mintUnderOs(bob, label);
            bytes32 name = hash(string.concat(label, ".os"));
            if (i == most) {
                refusesBind(0, name, 1, WEEK4, abi.encodeWithSelector(ITokenRegistry.TooManyBinds.selector));
            } else {
                bind(alice, name, 1, WEEK4);
            }
        }
        vm.warp(block.timestamp + WEEK4);
        uint256 before = gasleft();
        vm.prank(alice);
        registry.withdraw();
        isTrue(before - gasleft() < 5_000_000);
        eq(hypr.balanceOf(alice), 1_000_000 ether);
    }

    function test_HM30_weights_for_ranking_add_up_over_accounts_and_pages() external {
        lock(alice, 1000 ether, 365 days);
        lock(bob, 1 ether, YEARS4);
        bind(alice, aliceOs, 1000 ether, 365 days);
        bind(bob, aliceOs, 1 ether, WEEK4);
        uint256 alices = 1_139_999_999_806_039_050_855_600;
        uint256 bobs = 99_999_999_950_000_000_000;
        eq(registry.weightOf(aliceOs), alices + bobs);
        (uint256 part, uint256 total) = registry.weightOf(aliceOs, 0, 1);
        eq(part, alices);
        eq(total, 2);
        (part,) = registry.weightOf(aliceOs, 1, type(uint256).max);
        eq(part, bobs);
        (part,) = registry.weightOf(aliceOs, type(uint256).max, type(uint256).max);
        eq(part, 0);
        bytes32[] memory names = new bytes32[](2);
        (names[0], names[1]) = (bobOs, aliceOs);
        uint256[] memory weights = registry.weightsOf(names);
        eq(weights[0], 0);
        eq(weights[1], alices + bobs);
        (ITokenRegistry.Binding[] memory bindings, uint256 count) = registry.bindingsOf(aliceOs, 1, 5);
        eq(count, 2);
        eq(bindings.length, 1);
        eq(bindings[0].account, bob);
        eq(bindings[0].amount, 1 ether);
        eq(bindings[0].endTime, block.timestamp + WEEK4);
        eq(bindings[0].lockEndTime, block.timestamp + YEARS4);
        eq(registry.getMultiplier(bob, block.timestamp), 2600);
        eq(registry.getMultiplier(bob, block.timestamp + YEARS4), 0);
        vm.warp(block.timestamp + WEEK4);
        (part,) = registry.weightOf(aliceOs, 1, 1);
        eq(part, 0);
    }

    function test_HM30_a_delegate_assigns_and_cannot_take() external {
        lock(alice, 100, 2 * WEEK4);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(ITokenRegistry.NotDelegate.selector, bob));
        registry.transferRegistrationFor(alice, 0, bobOs, 10, WEEK4);
        vm.expectEmit(address(registry));
        emit ITokenRegistry.DelegateSet(alice, bob);
        vm.prank(alice);
        registry.setDelegate(bob);
        vm.prank(bob);
        registry.transferRegistrationFor(alice, 0, bobOs, 10, WEEK4);
        eq(boundOn(bobOs, alice), 10);
        eq(boundOn(bobOs, bob), 0);
        vm.prank(alice);
        registry.setDelegate(address(0));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(ITokenRegistry.NotDelegate.selector, bob));
        registry.transferRegistrationFor(alice, 0, bobOs, 10, WEEK4);
        vm.prank(address(0));
        vm.expectRevert(abi.encodeWithSelector(ITokenRegistry.NotDelegate.selector, address(0)));
        registry.transferRegistrationFor(alice, 0, bobOs, 10, WEEK4);
        vm.warp(block.timestamp + 2 * WEEK4);
        vm.prank(bob);
        isTrue(!registry.withdraw());
        vm.prank(alice);
        registry.withdraw();
        eq(hypr.balanceOf(alice), 1_000_000 ether);
    }

    function test_HM30_a_token_that_takes_fees_is_refused() external {
        HostileToken token = new HostileToken();
        TokenRegistry other = newRegistry(address(token));
        token.setFee(1);
        vm.expectRevert(ITokenRegistry.TokenMisbehaved.selector);
        other.manageLock(100, WEEK4);
        token.setFee(0);
        other.manageLock(100, WEEK4);
    }

    function test_HM30_a_token_that_calls_back_gains_nothing() external {
        HostileToken token = new HostileToken();
        TokenRegistry other = newRegistry(address(token));
        other.manageLock(100, WEEK4);
        vm.warp(block.timestamp + WEEK4);
        token.callBackOnce(address(this), abi.encodeCall(this.withdrawAgain, (other)));
        other.withdraw();
        eq(token.balanceOf(address(this)), 100);
        eq(token.balanceOf(address(other)), 0);
    }

    function withdrawAgain(TokenRegistry other) external {
        isTrue(!other.withdraw());
    }
}

/// @dev Gives everybody what it is asked for, less a fee, and calls back when it pays out.
contract HostileToken {
    mapping(address => uint256) public balanceOf;
    uint256 private fee;
    address private backTo;
    bytes private backData;

    function setFee(uint256 fee_) external {
        fee = fee_;
    }

    function callBackOnce(address to, bytes calldata data) external {
        (backTo, backData) = (to, data);
    }

    function transferFrom(address, address to, uint256 amount) external returns (bool) {
        balanceOf[to] += amount - fee;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        address back = backTo;
        backTo = address(0);
        if (back != address(0)) {
            (bool done,) = back.call(backData);
            require(done, "callback failed");
        }
        return true;
    }
}
