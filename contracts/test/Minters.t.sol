// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HyperAccount} from "../src/namespace/HyperAccount.sol";
import {HyperAccount9CharCommitMinter} from "../src/namespace/HyperAccount9CharCommitMinter.sol";
import {HyperAccountMinter} from "../src/namespace/HyperAccountMinter.sol";
import {HyperAccountPermissionedMinter} from "../src/namespace/HyperAccountPermissionedMinter.sol";
import {IHypermap} from "../src/namespace/IHypermap.sol";
import {Label} from "../src/namespace/Label.sol";
import {Fixture} from "./Fixture.sol";

contract MintersTest is Fixture {
    HyperAccountMinter private os;
    HyperAccount9CharCommitMinter private nine;
    HyperAccountPermissionedMinter private permissioned;

    function setUp() public override {
        super.setUp();
        os = HyperAccountMinter(osTba());
        nine = HyperAccount9CharCommitMinter(zone("nine", address(commitMinter)));
        permissioned = HyperAccountPermissionedMinter(zone("permissioned", address(permissionedMinter)));
    }

    function test_HM15_anybody_mints_any_free_label_for_anybody() external {
        eq(address(os.hypermap()), HYPERMAP);
        vm.prank(bob);
        os.mint(alice, "x", "", address(account));
        eq(hypermap.ownerOf(uint256(hash("x.os"))), alice);
        vm.prank(alice);
        vm.expectRevert(IHypermap.NameAlreadyExists.selector);
        os.mint(alice, "x", "", address(account));
    }

    function test_HM16_the_commitment_is_that_of_the_vector() external view {
        address committer = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;
        bytes32 expected = 0x2254401887cf2912d20b03e17b6bce91a7039783f199c712268c0f338472ff03;
        eq(nine.getCommitHash("longname9", committer), expected);
        eq(nine.minCommitAge(), 15);
        eq(nine.maxCommitAge(), 1800);
    }

    function test_HM16_a_reveal_is_neither_too_early_nor_too_late() external {
        commitTo("longname9", alice);
        vm.warp(block.timestamp + 14);
        refuses("longname9", HyperAccount9CharCommitMinter.CommitTooNew.selector);
        vm.warp(block.timestamp + 1);
        uint256 first = block.timestamp;
        vm.warp(first + 1800 - 15 + 1);
        refuses("longname9", HyperAccount9CharCommitMinter.CommitTooOld.selector);
        vm.warp(first + 1800 - 15);
        vm.prank(alice);
        nine.mint(alice, "longname9", "", address(account));
        eq(hypermap.ownerOf(uint256(hash("longname9.nine"))), alice);
    }

    function test_HM16_a_reveal_at_the_first_second() external {
        commitTo("longname9", alice);
        vm.warp(block.timestamp + 15);
        vm.prank(alice);
        nine.mint(bob, "longname9", threeNotes(), address(account));
        eq(hypermap.ownerOf(uint256(hash("longname9.nine"))), bob);
        eq(dataOf(hash("~ip.longname9.nine")), hex"7f000001");
    }

    function test_HM16_without_a_commitment_or_with_another_callers() external {
        refuses("longname9", HyperAccount9CharCommitMinter.CommitNotFound.selector);
        commitTo("longname9", bob);
        vm.warp(block.timestamp + 20);
        refuses("longname9", HyperAccount9CharCommitMinter.CommitNotFound.selector);
        refuses("longname8", HyperAccount9CharCommitMinter.CommitNotFound.selector);
    }

    function test_HM16_who_sees_the_reveal_comes_too_late() external {
        commitTo("longname9", alice);
        vm.warp(block.timestamp + 15);
        // Bob reads the name in alice's transaction and pays more for his. He has to commit first, and then to wait.
        vm.prank(bob);
        vm.expectRevert(HyperAccount9CharCommitMinter.CommitNotFound.selector);
        nine.mint(bob, "longname9", "", address(account));
        commitTo("longname9", bob);
        vm.prank(bob);
        vm.expectRevert(HyperAccount9CharCommitMinter.CommitTooNew.selector);
        nine.mint(bob, "longname9", "", address(account));
        vm.prank(alice);
        nine.mint(alice, "longname9", "", address(account));
    }

    function test_HM16_who_copies_a_commitment_helps_its_owner_only() external {
        bytes32 commitment = nine.getCommitHash("longname9", alice);
        vm.prank(bob);
        nine.commit(commitment);
        vm.prank(alice);
        vm.expectRevert(HyperAccount9CharCommitMinter.UnexpiredCommitExists.selector);
        nine.commit(commitment);
        vm.warp(block.timestamp + 15);
        vm.prank(alice);
        nine.mint(alice, "longname9", "", address(account));
    }

    function test_HM16_short_labels_are_refused_before_anything_else() external {
        commitTo("12345678", alice);
        vm.warp(block.timestamp + 15);
        vm.prank(alice);
        vm.expectRevert("Label too short");
        nine.mint(alice, "12345678", "", address(account));
        vm.expectRevert("Label too short");
        nine.mint(alice, "", "", address(account));
        commitTo("123456789", alice);
        vm.warp(block.timestamp + 15);
        vm.prank(alice);
        nine.mint(alice, "123456789", "", address(account));
    }

    function test_HM16_a_commitment_can_be_made_again_when_it_is_too_old() external {
        bytes32 commitment = commitTo("longname9", alice);
        eq(nine.getCommit(commitment), block.timestamp);
        vm.warp(block.timestamp + 1800);
        vm.expectRevert(HyperAccount9CharCommitMinter.UnexpiredCommitExists.selector);
        nine.commit(commitment);
        vm.warp(block.timestamp + 1);
        nine.commit(commitment);
        eq(nine.getCommit(commitment), block.timestamp);
    }

    function test_HM16_a_commitment_outlives_its_mint_and_mints_nothing_more() external {
        bytes32 commitment = commitTo("longname9", alice);
        uint256 madeAt = block.timestamp;
        vm.warp(block.timestamp + 15);
        vm.startPrank(alice);
        nine.mint(alice, "longname9", "", address(account));
        eq(nine.getCommit(commitment), madeAt);
        vm.expectRevert(IHypermap.NameAlreadyExists.selector);
        nine.mint(alice, "longname9", "", address(account));
    }

    function test_HM16_invalid_labels_are_refused_by_the_namespace() external {
        commitTo("Longname9", alice);
        vm.warp(block.timestamp + 15);
        refuses("Longname9", Label.InvalidLabelCharacter.selector);
    }

    function test_HM16_the_owner_of_the_zone_can_pass_by() external {
        bytes memory data = mintCall(alice, "short", "", address(account));
        vm.prank(owner);
        nine.execute(HYPERMAP, 0, data, 0);
        eq(hypermap.ownerOf(uint256(hash("short.nine"))), alice);
    }

    function test_HM16_the_form_with_five_arguments_obeys_the_same_rules() external {
        vm.expectRevert(HyperAccount9CharCommitMinter.CommitNotFound.selector);
        nine.mint(alice, "longname9", "", "", address(account));
        vm.expectRevert(abi.encodeWithSelector(insufficient(), address(this)));
        permissioned.mint(alice, "x", "", "", address(account));
    }

    function test_HM17_an_allowance_is_set_used_up_and_taken_back() external {
        vm.startPrank(owner);
        permissioned.auth(alice, 5);
        permissioned.auth(alice, 2);
        vm.stopPrank();
        eq(permissioned.allowance(alice), 2);

        vm.startPrank(alice);
        permissioned.mint(bob, "one", "", address(account));
        eq(permissioned.allowance(alice), 1);
        vm.expectRevert(IHypermap.NameAlreadyExists.selector);
        permissioned.mint(bob, "one", "", address(account));
        eq(permissioned.allowance(alice), 1);
        permissioned.mint(bob, "two", "", address(account));
        vm.expectRevert(abi.encodeWithSelector(insufficient(), alice));
        permissioned.mint(bob, "three", "", address(account));
        vm.stopPrank();

        vm.startPrank(owner);
        permissioned.auth(alice, 3);
        permissioned.deauth(alice);
        eq(permissioned.allowance(alice), 0);
        vm.expectRevert(abi.encodeWithSelector(insufficient(), owner));
        permissioned.mint(owner, "mine", "", address(account));
    }

    function test_HM17_only_the_owner_of_the_zone_says_who_may() external {
        vm.startPrank(alice);
        vm.expectRevert(UNAUTHORIZED);
        permissioned.auth(alice, 1);
        vm.expectRevert(UNAUTHORIZED);
        permissioned.deauth(alice);
        vm.stopPrank();
        vm.prank(owner);
        hypermap.transferFrom(owner, alice, uint256(hash("permissioned")));
        vm.prank(owner);
        vm.expectRevert(UNAUTHORIZED);
        permissioned.auth(owner, 1);
        vm.prank(alice);
        permissioned.auth(alice, 1);
    }

    function test_HM17_an_allowance_is_used_before_the_new_account_runs() external {
        vm.prank(owner);
        permissioned.auth(address(this), 1);
        // The initialisation of the first name tries to mint a second by the same allowance.
        MintAgain again = new MintAgain(permissioned, address(account));
        vm.prank(owner);
        permissioned.auth(address(again), 1);
        vm.expectRevert();
        again.attack();
        eq(permissioned.allowance(address(again)), 1);
        again.once();
        eq(permissioned.allowance(address(again)), 0);
    }

    function test_HM15_an_implementation_cannot_be_initialised_by_itself() external {
        vm.expectRevert(bytes4(0xf92ee8a9));
        freeMinter.initialize();
        vm.expectRevert(bytes4(0xf92ee8a9));
        os.initialize();
        vm.expectRevert();
        freeMinter.mint(alice, "x", "", address(account));
    }

    function test_HM15_the_owner_of_a_zone_replaces_its_minter_and_keeps_its_names() external {
        os.mint(alice, "kept", "", address(account));
        vm.prank(alice);
        vm.expectRevert(UNAUTHORIZED);
        os.upgradeToAndCall(address(commitMinter), "");
        vm.prank(owner);
        os.upgradeToAndCall(address(commitMinter), "");
        vm.expectRevert("Label too short");
        os.mint(alice, "new", "", address(account));
        eq(hypermap.ownerOf(uint256(hash("kept.os"))), alice);
        vm.prank(owner);
        vm.expectRevert();
        os.upgradeToAndCall(address(multicall), "");
    }

    function test_HM15_an_account_that_nobody_initialised_waits_for_its_owner() external {
        HyperAccountMinter sub = HyperAccountMinter(os.mint(alice, "sub", "", address(freeMinter)));
        vm.prank(bob);
        vm.expectRevert(UNAUTHORIZED);
        sub.initialize();
        vm.prank(alice);
        sub.initialize();
        sub.mint(bob, "child", "", address(account));
        eq(hypermap.ownerOf(uint256(hash("child.sub.os"))), bob);
    }

    function commitTo(string memory label, address by) private returns (bytes32 commitment) {
        commitment = nine.getCommitHash(bytes(label), by);
        vm.prank(by);
        nine.commit(commitment);
    }

    function refuses(string memory label, bytes4 selector) private {
        vm.prank(alice);
        vm.expectRevert(selector);
        nine.mint(alice, bytes(label), "", address(account));
    }

    function insufficient() private pure returns (bytes4) {
        return HyperAccountPermissionedMinter.InsufficientAllowance.selector;
    }
}

/// @dev Mints a name whose initialisation calls back here and mints another.
contract MintAgain {
    HyperAccountPermissionedMinter private immutable minter;
    address private immutable implementation;

    constructor(HyperAccountPermissionedMinter minter_, address implementation_) {
        minter = minter_;
        implementation = implementation_;
    }

    function once() external {
        minter.mint(address(this), "first", "", implementation);
    }

    function attack() external {
        bytes memory back = abi.encodeCall(this.second, ());
        bytes memory init =
            abi.encodeWithSignature("execute(address,uint256,bytes,uint8)", address(this), 0, back, uint8(0));
        minter.mint(address(this), "first", init, implementation);
    }

    function second() external {
        minter.mint(address(this), "second", "", implementation);
    }

    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC721Received.selector;
    }
}
