// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AddressBook} from "../src/compute/AddressBook.sol";
import {MarketTimelock} from "../src/compute/MarketTimelock.sol";
import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {ComputeFixture} from "./ComputeFixture.sol";
import {HostileToken} from "./ComputeHostile.t.sol";

/// @dev Section 6.2: who may change what, and when; where the versions are; what of the fees is burned.
contract MarketAdminTest is ComputeFixture {
    MarketTimelock private timelock;
    address private stranger = vm.addr(301);
    address private proposer = address(0x9809);
    address private nobody = 0x000000000000000000000000000000000000dEaD;

    function setUp() public override {
        super.setUp();
        address[] memory proposers = new address[](1);
        address[] memory anybody = new address[](1);
        proposers[0] = proposer;
        bytes memory parts = abi.encode(proposers, anybody);
        timelock = MarketTimelock(payable(deploy(abi.encodePacked(creationOf("MarketTimelock"), parts))));
        vm.prank(owner);
        escrow.transferOwnership(address(timelock));
        run(abi.encodeCall(escrow.acceptOwnership, ()));
    }

    function test_CM32_a_change_waits_two_days_and_leaves_funded_jobs_alone() external {
        bytes32 jobId = proposed(1, 100 * HYPER);
        bytes memory change = abi.encodeCall(escrow.setFees, (1_500, 1_000));
        vm.prank(owner);
        vm.expectRevert();
        escrow.setFees(1_500, 1_000);
        vm.prank(proposer);
        vm.expectRevert();
        timelock.schedule(address(escrow), 0, change, 0, 0, 48 hours - 1);
        vm.prank(stranger);
        vm.expectRevert();
        timelock.schedule(address(escrow), 0, change, 0, 0, 48 hours);
        vm.prank(proposer);
        timelock.schedule(address(escrow), 0, change, 0, 0, 48 hours);
        after_(48 hours - 1);
        vm.expectRevert();
        timelock.execute(address(escrow), 0, change, 0, 0);
        eq(escrow.protocolBps(), 1_000);
        after_(1);
        timelock.execute(address(escrow), 0, change, 0, 0);
        eq(escrow.protocolBps(), 1_500);
        // Funded under the fees before: they are its own.
        escrow.finalize(jobId);
        eq(creditOf(payTo), 85 * HYPER);
    }

    function test_CM32_a_proposal_is_called_off_and_the_delay_is_its_own_to_change() external {
        bytes memory change = abi.encodeCall(escrow.setTreasury, (stranger));
        vm.startPrank(proposer);
        timelock.schedule(address(escrow), 0, change, 0, 0, 48 hours);
        timelock.cancel(timelock.hashOperation(address(escrow), 0, change, 0, 0));
        vm.expectRevert();
        timelock.updateDelay(0);
        vm.stopPrank();
        after_(48 hours);
        vm.expectRevert();
        timelock.execute(address(escrow), 0, change, 0, 0);
        eq(uint256(uint160(escrow.treasury())), uint256(uint160(treasury)));
        eq(timelock.getMinDelay(), 48 hours);
    }

    function test_CM32_the_pauser_stops_at_once_and_changes_nothing_else() external {
        vm.startPrank(pauser);
        escrow.setPaused(true);
        vm.expectRevert();
        escrow.setFees(0, 0);
        vm.stopPrank();
        vm.prank(client);
        vm.expectRevert(IComputeEscrow.EnforcedPause.selector);
        escrow.fund(termsOf(1));
        vm.prank(pauser);
        escrow.setPaused(false);
        fund(termsOf(1));
    }

    function test_CM30_a_share_of_the_protocols_fee_is_burned() external {
        run(abi.encodeCall(escrow.setBurn, (2_500)));
        bytes32 jobId = proposed(1, 99);
        after_(601);
        escrow.finalize(jobId);
        // 9 of 99 are the protocol's; of a burn that does not divide the treasury has the rest.
        eq(creditOf(treasury), 7);
        eq(creditOf(nobody), 2);
        uint256 supply = token.totalSupply();
        escrow.withdrawFor(nobody, address(token));
        eq(supply - token.totalSupply(), 2);
        eq(token.balanceOf(nobody), 0);
        vm.prank(address(timelock));
        vm.expectRevert(IComputeEscrow.BadSetting.selector);
        escrow.setBurn(10_001);
        vm.expectRevert();
        escrow.setBurn(0);
    }

    function test_CM30_a_token_that_cannot_be_burned_goes_where_nobody_has_the_key() external {
        HostileToken plain = new HostileToken(client, 1_000 * HYPER);
        run(abi.encodeCall(escrow.setTokenRule, (address(plain), 1_000_000, 0)));
        run(abi.encodeCall(escrow.setBurn, (10_000)));
        vm.prank(client);
        plain.approve(address(escrow), type(uint256).max);
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.token = address(plain);
        bytes32 jobId = fund(terms);
        assign(jobId);
        propose(jobId, 100 * HYPER);
        after_(601);
        escrow.finalize(jobId);
        eq(escrow.creditOf(treasury, address(plain)), 0);
        escrow.withdrawFor(nobody, address(plain));
        eq(plain.balanceOf(nobody), 10 * HYPER);
    }

    function test_CM8_versions_are_listed_and_retired_and_never_changed() external {
        AddressBook book =
            AddressBook(deploy(abi.encodePacked(creationOf("AddressBook"), abi.encode(address(timelock)))));
        (uint256 version, AddressBook.Version memory where) = book.current();
        eq(version, 0);
        vm.expectRevert();
        book.list(address(escrow), address(registry), address(verifiers), address(escrow), address(token));
        vm.startPrank(address(timelock));
        vm.expectRevert(AddressBook.BadVersion.selector);
        book.list(stranger, address(registry), address(verifiers), address(escrow), address(token));
        book.list(address(escrow), address(registry), address(verifiers), address(escrow), address(token));
        book.list(address(token), address(registry), address(verifiers), address(escrow), address(token));
        (version, where) = book.current();
        eq(version, 2);
        book.retire(2);
        vm.expectRevert(AddressBook.BadVersion.selector);
        book.retire(2);
        (version, where) = book.current();
        eq(version, 1);
        isTrue(where.escrow == address(escrow));
        book.retire(1);
        (version, where) = book.current();
        eq(version, 0);
        isTrue(where.escrow == address(0));
        isTrue(book.versionAt(1).retired && book.versionAt(2).escrow == address(token));
        vm.expectRevert(AddressBook.BadVersion.selector);
        book.versionAt(3);
        vm.expectRevert(AddressBook.BadVersion.selector);
        book.retire(0);
        eq(book.count(), 2);
        vm.stopPrank();
    }

    /// @dev Through the timelock.
    function run(bytes memory change) private {
        vm.prank(proposer);
        timelock.schedule(address(escrow), 0, change, 0, 0, 48 hours);
        after_(48 hours);
        timelock.execute(address(escrow), 0, change, 0, 0);
    }
}
