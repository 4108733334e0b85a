// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {HyperAccount} from "../src/namespace/HyperAccount.sol";
import {Hypermap} from "../src/namespace/Hypermap.sol";
import {Fixture} from "./Fixture.sol";

contract UpgradeTest is Fixture {
    function test_HM3_only_the_admin_replaces_the_namespaces_code_and_nothing_is_lost() external {
        HyperAccount aliceOs = mintUnderOs(alice, "alice");
        note(aliceOs, alice, "~x", "kept");
        address next = deploy(abi.encodePacked(creationOf("Hypermap"), abi.encode(REGISTRY, address(account))));
        vm.prank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, alice, bytes32(0))
        );
        hypermap.upgradeToAndCall(next, "");
        vm.prank(owner);
        hypermap.upgradeToAndCall(next, "");
        eq(hypermap.tbaOf(hash("alice.os")), address(aliceOs));
        eq(hypermap.ownerOf(uint256(hash("alice.os"))), alice);
        eq(dataOf(hash("~x.alice.os")), "kept");
        mintUnderOs(bob, "bob");
        vm.prank(owner);
        vm.expectRevert();
        hypermap.upgradeToAndCall(address(multicall), "");
    }

    function test_HM3_the_admin_role_can_be_handed_over() external {
        vm.startPrank(owner);
        hypermap.grantRole(0, bob);
        hypermap.renounceRole(0, owner);
        vm.stopPrank();
        isTrue(hypermap.hasRole(0, bob) && !hypermap.hasRole(0, owner));
        eq(hypermap.getRoleAdmin(0), 0);
        // The root's token is another thing.
        eq(hypermap.ownerOf(0), owner);
    }

    function test_HM3_it_is_initialised_once() external {
        vm.expectRevert(bytes4(0xf92ee8a9));
        hypermap.initialize(alice);
        vm.expectRevert(bytes4(0xf92ee8a9));
        hypermap.initialize(alice, hash("os"));
        vm.expectRevert(bytes4(0xf92ee8a9));
        Hypermap(HYPERMAP_IMPLEMENTATION).initialize(alice);
    }

    function test_HM3_the_root_is_told_of() external view {
        eq(hypermap.root(), 0);
        eq(hypermap.ERC6551_REGISTRY(), REGISTRY);
        eq(hypermap.ROOT_ACCOUNT(), address(account));
        eq(hypermap.UPGRADE_INTERFACE_VERSION(), "5.0.0");
    }
}

/// @dev Section 16: another instance, on another chain, whose names descend from an entry of the first.
contract NestedRootTest is Fixture {
    function test_HM1_names_of_a_nested_instance_are_those_that_the_first_would_have() external {
        HyperAccount games = mintUnderOs(alice, "games");
        fact(games, alice, "!chain-id", abi.encode(uint256(31338)));
        fact(games, alice, "!address", abi.encodePacked(address(0xbeef)));

        vm.chainId(31338);
        placeHypermap(address(0xbeef), abi.encodeWithSignature("initialize(address,bytes32)", bob, hash("games.os")));
        Hypermap nested = Hypermap(address(0xbeef));
        eq(nested.root(), hash("games.os"));
        (address tba, address who,) = nested.get(hash("games.os"));
        eq(who, bob);
        (address zero,,) = nested.get(0);
        eq(zero, address(0));
        vm.prank(bob);
        HyperAccount(tba).execute(address(nested), 0, mintCall(bob, "chess", "", address(account)), 0);
        eq(nested.ownerOf(uint256(hash("chess.games.os"))), bob);
        address child = nested.tbaOf(hash("chess.games.os"));
        vm.prank(bob);
        HyperAccount(child).execute(address(nested), 0, abi.encodeCall(nested.note, ("~x", "1")), 0);
        (,, bytes memory data) = nested.get(hash("~x.chess.games.os"));
        eq(data, "1");
        // Where it is, is written in the first for ever.
        eq(dataOf(hash("!address.games.os")), abi.encodePacked(address(nested)));
    }
}
