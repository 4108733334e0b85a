// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HyperAccount} from "../src/namespace/HyperAccount.sol";
import {HyperAccountMinter} from "../src/namespace/HyperAccountMinter.sol";
import {Hypermap} from "../src/namespace/Hypermap.sol";
import {IHypermap} from "../src/namespace/IHypermap.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Receivers, implementations and initialisations that do what they can.
contract HostileTest is Fixture {
    function test_HM5_a_receiver_that_mints_again_finds_the_name_taken() external {
        Reminter receiver = new Reminter(HyperAccountMinter(osTba()), address(account), "same");
        HyperAccountMinter(osTba()).mint(address(receiver), "same", "", address(account));
        isTrue(receiver.refused());
        eq(hypermap.ownerOf(uint256(hash("same.os"))), address(receiver));
    }

    function test_HM5_a_receiver_that_gives_the_name_away_at_once_gave_it_away() external {
        GiveAway receiver = new GiveAway(bob);
        HyperAccountMinter(osTba()).mint(address(receiver), "gift", "", address(account));
        eq(hypermap.ownerOf(uint256(hash("gift.os"))), bob);
        eq(hypermap.balanceOf(bob), 1);
        eq(hypermap.balanceOf(address(receiver)), 0);
        eq(hypermap.balanceOf(HYPERMAP), 0);
    }

    function test_HM5_a_receiver_that_refuses_undoes_the_mint() external {
        Refuser receiver = new Refuser();
        HyperAccountMinter os = HyperAccountMinter(osTba());
        vm.expectRevert(bytes("no"));
        os.mint(address(receiver), "unwanted", "", address(account));
        eq(hypermap.tbaOf(hash("unwanted.os")), address(0));
        os.mint(alice, "unwanted", "", address(account));
    }

    function test_HM11_the_namespaces_authority_over_an_account_ends_with_the_mint() external {
        // During the initialisation the call comes from the namespace. Nothing that an initialisation can make the namespace do acts on
        // any other account: it calls nobody but the new account and the receiver.
        HyperAccount tba = mintUnderOs(alice, "alice");
        Hijack hijack = new Hijack(tba, bob);
        HyperAccountMinter os = HyperAccountMinter(osTba());
        bytes memory init = abi.encodeWithSignature(
            "execute(address,uint256,bytes,uint8)", address(hijack), 0, abi.encodeCall(hijack.run, ()), uint8(1)
        );
        vm.expectRevert(ACCOUNT_NOT_INITIALIZED);
        os.mint(bob, "evil", init, address(account));
        eq(hypermap.tbaOf(hash("evil.os")), address(0));
    }

    function test_HM11_an_initialisation_may_mint_children_and_write() external {
        Nester nester = new Nester(IHypermap(HYPERMAP), address(account), alice);
        bytes memory init = abi.encodeWithSignature(
            "execute(address,uint256,bytes,uint8)", address(nester), 0, abi.encodeCall(nester.run, ()), uint8(1)
        );
        HyperAccountMinter(osTba()).mint(alice, "parent", init, address(account));
        eq(hypermap.ownerOf(uint256(hash("parent.os"))), alice);
        eq(hypermap.ownerOf(uint256(hash("child.parent.os"))), alice);
        eq(dataOf(hash("~inside.parent.os")), "1");
    }

    function test_HM11_code_that_clears_its_own_slot_is_still_only_its_own() external {
        // The implementation of bob's own choice, run in bob's own account, makes itself initialisable again. Only the namespace may, and
        // it does so once per name, so nobody can.
        SlotClearer clearer = new SlotClearer();
        HyperAccountMinter os = HyperAccountMinter(osTba());
        address tba = os.mint(bob, "mine", abi.encodeCall(clearer.clear, ()), address(clearer));
        (bool done,) = tba.call(abi.encodeWithSignature("initialize(address,bytes)", address(account), ""));
        isTrue(!done);
        vm.expectRevert(IHypermap.NameAlreadyExists.selector);
        os.mint(bob, "mine", "", address(account));
    }
}

contract Reminter {
    HyperAccountMinter private immutable os;
    address private immutable implementation;
    bytes private label;
    bool public refused;

    constructor(HyperAccountMinter os_, address implementation_, bytes memory label_) {
        (os, implementation, label) = (os_, implementation_, label_);
    }

    function onERC721Received(address, address, uint256, bytes calldata) external returns (bytes4) {
        try os.mint(address(this), label, "", implementation) {}
        catch {
            refused = true;
        }
        return this.onERC721Received.selector;
    }
}

contract GiveAway {
    address private immutable to;

    constructor(address to_) {
        to = to_;
    }

    function onERC721Received(address, address, uint256 id, bytes calldata) external returns (bytes4) {
        Hypermap(msg.sender).transferFrom(address(this), to, id);
        return this.onERC721Received.selector;
    }
}

contract Refuser {
    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        revert("no");
    }
}

contract Hijack {
    HyperAccount private immutable victim;
    address private immutable to;

    constructor(HyperAccount victim_, address to_) {
        (victim, to) = (victim_, to_);
    }

    /// @dev Runs as the new account, with the namespace as its caller.
    function run() external {
        victim.execute(to, 0, "", 0);
    }
}

contract Nester {
    IHypermap private immutable hypermap;
    address private immutable implementation;
    address private immutable who;

    constructor(IHypermap hypermap_, address implementation_, address who_) {
        (hypermap, implementation, who) = (hypermap_, implementation_, who_);
    }

    function run() external {
        hypermap.note("~inside", "1");
        hypermap.mint(who, "child", "", implementation);
    }
}

contract SlotClearer {
    function clear() external {
        assembly {
            sstore(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc, 0)
        }
    }
}
