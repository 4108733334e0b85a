// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC6551Registry} from "../src/namespace/IERC6551Registry.sol";
import {IHypermap} from "../src/namespace/IHypermap.sol";
import {HyperAccount} from "../src/namespace/HyperAccount.sol";
import {HyperAccountMinter} from "../src/namespace/HyperAccountMinter.sol";
import {HyperAccountProxy} from "../src/namespace/HyperAccountProxy.sol";
import {Label} from "../src/namespace/Label.sol";
import {Fixture} from "./Fixture.sol";
import {Vm} from "./Vm.sol";

contract HypermapTest is Fixture {
    HyperAccount private aliceOs;

    function setUp() public override {
        super.setUp();
        aliceOs = mintUnderOs(alice, "alice");
    }

    function test_HM1_hashes_of_names_and_notes_are_those_of_the_vectors() external view {
        bytes32 os = 0xdeeac81ae11b64e7cab86d089c306e5d223552a630f02633ce170d2786ff1bbd;
        bytes32 aliceHash = 0xfc921cbdfda30a7b21ad8f5c9ad542cbb5f6f3d0f8c2831fcd0325d1dbbdce8b;
        eq(hypermap.leaf(0, "os"), os);
        eq(hypermap.leaf(os, "alice"), aliceHash);
        eq(
            hypermap.leaf(aliceHash, "~net-key"),
            bytes32(0x2612e9785e426e0a457eef342ca955b5000c4bd37d24c42f23f8cc4316a7614f)
        );
        eq(
            hypermap.leaf(aliceHash, "!fact"),
            bytes32(0xbbd366de7895a90b982a78a38b06b23d211d3bfd0426559f688288ca0bc30152)
        );
        eq(hash("~net-key.alice.os"), hypermap.leaf(aliceHash, "~net-key"));
    }

    function test_HM2_labels_of_names() external {
        string[5] memory good = ["a", "-a", "a-", "0", "xn--nxasmq6b"];
        for (uint256 i = 0; i < good.length; ++i) {
            mintUnderOs(alice, good[i]);
        }
        refusesName("", Label.LabelTooShort.selector);
        refusesName("A", Label.InvalidLabelCharacter.selector);
        refusesName("a_b", Label.InvalidLabelCharacter.selector);
        refusesName("a.b", Label.InvalidLabelCharacter.selector);
        refusesName(unicode"ä", Label.InvalidLabelCharacter.selector);
        refusesName("~a", Label.InvalidLabelCharacter.selector);
        refusesName("!a", Label.InvalidLabelCharacter.selector);
        refusesName("a b", Label.InvalidLabelCharacter.selector);
    }

    function testFuzz_HM2_a_character_is_allowed_in_a_name_or_it_is_not(bytes1 character) external {
        bool allowed =
            character == "-" || (character >= "0" && character <= "9") || (character >= "a" && character <= "z");
        bytes memory label = bytes.concat("x", character, "y");
        HyperAccountMinter os = HyperAccountMinter(osTba());
        if (!allowed) vm.expectRevert(Label.InvalidLabelCharacter.selector);
        os.mint(alice, label, "", address(account));
    }

    function refusesName(string memory label, bytes4 selector) private {
        HyperAccountMinter os = HyperAccountMinter(osTba());
        vm.expectRevert(selector);
        os.mint(alice, bytes(label), "", address(account));
    }

    function test_HM3_get_of_a_name_a_note_a_fact_the_root_and_nothing() external {
        note(aliceOs, alice, "~ip", hex"7f000001");
        fact(aliceOs, alice, "!born", "1");
        (address tba, address who, bytes memory data) = hypermap.get(hash("alice.os"));
        eq(tba, address(aliceOs));
        eq(who, alice);
        eq(data, "");
        (tba, who, data) = hypermap.get(hash("~ip.alice.os"));
        eq(tba, address(0));
        eq(who, address(0));
        eq(data, hex"7f000001");
        (tba, who, data) = hypermap.get(hash("!born.alice.os"));
        eq(tba, address(0));
        eq(data, "1");
        (tba, who, data) = hypermap.get(0);
        eq(tba, hypermap.tbaOf(bytes32(0)));
        eq(who, owner);
        (tba, who, data) = hypermap.get(hash("nobody.os"));
        eq(tba, address(0));
        eq(who, address(0));
        eq(data, "");
    }

    function test_HM3_map_and_tbaOf_by_hash_and_by_id() external view {
        (address tba, address gene, bytes memory data) = hypermap.map(hash("alice.os"));
        eq(tba, address(aliceOs));
        eq(gene, address(0));
        eq(data, "");
        eq(hypermap.tbaOf(hash("alice.os")), address(aliceOs));
        eq(hypermap.tbaOf(uint256(hash("alice.os"))), address(aliceOs));
        eq(hypermap.tbaOf(hash("~ip.alice.os")), address(0));
    }

    function test_HM4_only_accounts_of_entries_mint_and_write() external {
        vm.startPrank(alice);
        vm.expectRevert(IHypermap.NotParent.selector);
        hypermap.mint(alice, "x", "", address(account));
        vm.expectRevert(IHypermap.NotParent.selector);
        hypermap.note("~x", "1");
        vm.expectRevert(IHypermap.NotParent.selector);
        hypermap.fact("!x", "1");
        vm.expectRevert(IHypermap.NotParent.selector);
        hypermap.gene(address(account));
    }

    function test_HM4_an_account_of_the_same_token_by_other_code_is_nobody() external {
        // Anybody may make more accounts of a token at the registry; only the one that the namespace made counts.
        Writer writer = new Writer();
        address other = IERC6551Registry(REGISTRY)
            .createAccount(address(writer), 0, block.chainid, HYPERMAP, uint256(hash("alice.os")));
        vm.expectRevert(IHypermap.NotParent.selector);
        Writer(other).write(hypermap);
    }

    function test_HM5_a_mint_tells_what_it_did_in_order() external {
        HyperAccountMinter os = HyperAccountMinter(osTba());
        vm.recordLogs();
        vm.prank(bob);
        address tba = os.mint(alice, "bobs", threeNotes(), address(account));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes32 child = hash("bobs.os");
        eq(logs.length, 8);
        eq(logs[0].topics[0], IHypermap.Mint.selector);
        eq(logs[0].topics[1], hash("os"));
        eq(logs[0].topics[2], child);
        eq(logs[0].topics[3], keccak256("bobs"));
        eq(logs[0].data, abi.encode(bytes("bobs")));
        eq(logs[1].topics[0], IERC6551Registry.ERC6551AccountCreated.selector);
        eq(logs[1].emitter, REGISTRY);
        isTransfer(logs[2], address(0), HYPERMAP, child);
        eq(logs[3].topics[0], HyperAccountProxy.Upgraded.selector);
        eq(logs[3].emitter, tba);
        eq(logs[4].topics[0], IHypermap.Note.selector);
        eq(logs[4].topics[3], keccak256("~ip"));
        eq(logs[4].data, abi.encode(bytes("~ip"), hex"7f000001"));
        isTransfer(logs[7], HYPERMAP, alice, child);
        eq(hypermap.ownerOf(uint256(child)), alice);
    }

    function isTransfer(Vm.Log memory log, address from, address to, bytes32 id) private pure {
        eq(log.topics[0], keccak256("Transfer(address,address,uint256)"));
        eq(log.topics[1], bytes32(uint256(uint160(from))));
        eq(log.topics[2], bytes32(uint256(uint160(to))));
        eq(log.topics[3], id);
    }

    function test_HM5_the_form_with_five_arguments_does_the_same() external {
        HyperAccountMinter os = HyperAccountMinter(osTba());
        address tba = os.mint(alice, "five", "", "for the receiver", address(account));
        eq(hypermap.tbaOf(hash("five.os")), tba);
        eq(hypermap.ownerOf(uint256(hash("five.os"))), alice);
    }

    function test_HM6_an_initialisation_writes_three_notes() external {
        HyperAccountMinter os = HyperAccountMinter(osTba());
        os.mint(alice, "node", threeNotes(), address(account));
        eq(dataOf(hash("~ip.node.os")), hex"7f000001");
        eq(dataOf(hash("~ws-port.node.os")), hex"2328");
        eq(dataOf(hash("~net-key.node.os")), bytes.concat(keccak256("k")));
    }

    function test_HM6_an_initialisation_that_fails_mints_nothing() external {
        HyperAccountMinter os = HyperAccountMinter(osTba());
        vm.expectRevert(ACCOUNT_NOT_INITIALIZED);
        os.mint(alice, "node", abi.encodeWithSignature("nothing()"), address(account));
        vm.expectRevert(ACCOUNT_NOT_INITIALIZED);
        os.mint(alice, "node", "", address(0x1234));
        eq(hypermap.tbaOf(hash("node.os")), address(0));
    }

    function test_HM7_a_name_is_minted_once() external {
        HyperAccountMinter os = HyperAccountMinter(osTba());
        vm.expectRevert(IHypermap.NameAlreadyExists.selector);
        os.mint(bob, "alice", "", address(account));
        eq(hypermap.ownerOf(uint256(hash("alice.os"))), alice);
    }

    function test_HM8_notes_are_overwritten_and_cleared() external {
        bytes32 noteHash = hash("~x.alice.os");
        bytes[3] memory values = [bytes("short"), bytes(repeat("l", 100)), bytes("")];
        for (uint256 i = 0; i < values.length; ++i) {
            vm.expectEmit(HYPERMAP);
            emit IHypermap.Note(hash("alice.os"), noteHash, "~x", "~x", values[i]);
            note(aliceOs, alice, "~x", values[i]);
            eq(dataOf(noteHash), values[i]);
        }
    }

    function test_HM8_labels_of_notes() external {
        vm.startPrank(address(aliceOs));
        vm.expectRevert(NOTE_PREFIX_MISSING);
        hypermap.note("x", "1");
        vm.expectRevert(NOTE_PREFIX_MISSING);
        hypermap.note("!x", "1");
        vm.expectRevert(Label.LabelTooShort.selector);
        hypermap.note("~", "1");
        vm.expectRevert(Label.InvalidLabelCharacter.selector);
        hypermap.note("~X", "1");
        vm.expectRevert(Label.InvalidLabelCharacter.selector);
        hypermap.note("~~", "1");
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x32));
        hypermap.note("", "1");
    }

    function test_HM8_the_root_writes_notes_at_top_level() external {
        note(HyperAccount(rootTba()), owner, "~motd", "hello");
        eq(dataOf(hash("~motd")), "hello");
    }

    function test_HM9_facts_are_written_once() external {
        vm.expectEmit(HYPERMAP);
        emit IHypermap.Fact(hash("alice.os"), hash("!f.alice.os"), "!f", "!f", "1");
        fact(aliceOs, alice, "!f", "1");
        vm.startPrank(address(aliceOs));
        vm.expectRevert(IHypermap.FactAlreadyExists.selector);
        hypermap.fact("!f", "1");
        vm.expectRevert(IHypermap.FactAlreadyExists.selector);
        hypermap.fact("!f", "2");
        vm.expectRevert(IHypermap.EmptyFact.selector);
        hypermap.fact("!g", "");
        vm.expectRevert(FACT_PREFIX_MISSING);
        hypermap.fact("~g", "1");
        vm.expectRevert(Label.LabelTooShort.selector);
        hypermap.fact("!", "1");
        eq(dataOf(hash("!f.alice.os")), "1");
    }

    function test_HM9_notes_and_facts_of_one_word_are_two_things() external {
        note(aliceOs, alice, "~same", "note");
        fact(aliceOs, alice, "!same", "fact");
        eq(dataOf(hash("~same.alice.os")), "note");
        eq(dataOf(hash("!same.alice.os")), "fact");
    }

    function test_HM10_a_gene_is_set_once_and_inherited_for_ever() external {
        HyperAccount older = mintChild(aliceOs, alice, "older");
        vm.expectEmit(HYPERMAP);
        emit IHypermap.Gene(hash("alice.os"), address(freeMinter));
        setGene(aliceOs, alice, address(freeMinter));
        vm.prank(address(aliceOs));
        vm.expectRevert(IHypermap.GeneAlreadySet.selector);
        hypermap.gene(address(account));

        // The argument says `account`; the gene is a minter.
        HyperAccount child = mintChild(aliceOs, alice, "child");
        eq(implementationOf(child), address(freeMinter));
        address grandchild = HyperAccountMinter(address(child)).mint(bob, "grandchild", "", address(account));
        eq(implementationOf(HyperAccount(grandchild)), address(freeMinter));
        (, address inherited,) = hypermap.map(hash("grandchild.child.alice.os"));
        eq(inherited, address(freeMinter));
        vm.prank(address(child));
        vm.expectRevert(IHypermap.GeneAlreadySet.selector);
        hypermap.gene(address(account));

        eq(implementationOf(older), address(account));
        setGene(older, alice, address(account));
    }

    function test_HM10_a_gene_of_zero_leaves_it_unset() external {
        setGene(aliceOs, alice, address(0));
        setGene(aliceOs, alice, address(freeMinter));
        (, address set,) = hypermap.map(hash("alice.os"));
        eq(set, address(freeMinter));
    }

    function setGene(HyperAccount tba, address by, address implementation) private {
        vm.prank(by);
        tba.execute(HYPERMAP, 0, abi.encodeCall(hypermap.gene, (implementation)), 0);
    }

    /// @dev The account's ERC-1967 slot, read by code run in its place.
    function implementationOf(HyperAccount tba) private returns (address) {
        SlotReader reader = new SlotReader();
        (, address who,) = hypermap.get(bytes32(idOf(tba)));
        vm.prank(who);
        return abi.decode(tba.execute(address(reader), 0, abi.encodeCall(reader.read, ()), 1), (address));
    }

    function idOf(HyperAccount tba) private view returns (uint256 id) {
        (,, id) = tba.token();
    }

    function test_HM14_labels_of_63_bytes_are_the_longest() external {
        mintUnderOs(alice, repeat("a", 63));
        refusesName(repeat("a", 64), Label.LabelTooLong.selector);
        vm.startPrank(address(aliceOs));
        hypermap.note(bytes(string.concat("~", repeat("a", 62))), "1");
        hypermap.fact(bytes(string.concat("!", repeat("a", 62))), "1");
        vm.expectRevert(Label.LabelTooLong.selector);
        hypermap.note(bytes(string.concat("~", repeat("a", 63))), "1");
        vm.expectRevert(Label.LabelTooLong.selector);
        hypermap.fact(bytes(string.concat("!", repeat("a", 63))), "1");
    }

    function test_HM13_F36_accounts_are_where_the_formula_says() external {
        string[4] memory names = ["", "os", "alice.os", "sub.alice.os"];
        mintChild(aliceOs, alice, "sub");
        bytes32 initHash = keccak256(abi.encodePacked(creationOf("HyperAccountProxy"), abi.encode(HYPERMAP)));
        for (uint256 i = 0; i < names.length; ++i) {
            bytes32 id = hash(names[i]);
            address proxy = address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", HYPERMAP, id, initHash)))));
            address tba = IERC6551Registry(REGISTRY).account(proxy, id, block.chainid, HYPERMAP, uint256(id));
            eq(hypermap.tbaOf(id), tba);
            eq(tba.code.length, 173);
        }
    }

    function test_HM13_ether_sent_to_a_name_before_it_is_minted_is_its_own() external {
        bytes32 id = hash("later.os");
        bytes32 initHash = keccak256(abi.encodePacked(creationOf("HyperAccountProxy"), abi.encode(HYPERMAP)));
        address proxy = address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", HYPERMAP, id, initHash)))));
        address early = IERC6551Registry(REGISTRY).account(proxy, id, block.chainid, HYPERMAP, uint256(id));
        vm.deal(early, 1 ether);
        // Somebody may also have made the account: it belongs to the name all the same.
        IERC6551Registry(REGISTRY).createAccount(proxy, id, block.chainid, HYPERMAP, uint256(id));
        HyperAccount tba = mintUnderOs(alice, "later");
        eq(address(tba), early);
        vm.prank(alice);
        tba.execute(bob, 1 ether, "", 0);
        eq(bob.balance, 1 ether);
    }

    function test_HM5_names_go_to_those_who_can_hold_them() external {
        HyperAccountMinter os = HyperAccountMinter(osTba());
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0)));
        os.mint(address(0), "x", "", address(account));
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(multicall)));
        os.mint(address(multicall), "x", "", address(account));
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, HYPERMAP));
        os.mint(HYPERMAP, "x", "", address(account));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, HYPERMAP));
        hypermap.transferFrom(alice, HYPERMAP, uint256(hash("alice.os")));
        // An account holds names too: that of alice.os gets one.
        os.mint(address(aliceOs), "x", "", address(account));
        eq(hypermap.ownerOf(uint256(hash("x.os"))), address(aliceOs));
    }

    function test_HM3_it_is_an_ERC721_of_that_name() external {
        eq(hypermap.name(), "Hypermap");
        eq(hypermap.symbol(), "HYPERMAP");
        eq(hypermap.tokenURI(uint256(hash("os"))), "");
        eq(hypermap.balanceOf(alice), 1);
        bytes4[4] memory known = [bytes4(0x01ffc9a7), 0x80ac58cd, 0x5b5e139f, 0x7965db0b];
        for (uint256 i = 0; i < known.length; ++i) {
            isTrue(hypermap.supportsInterface(known[i]));
        }
        isTrue(!hypermap.supportsInterface(0x780e9d63));
        uint256 id = uint256(hash("~ip.alice.os"));
        note(aliceOs, alice, "~ip", hex"7f000001");
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, id));
        hypermap.ownerOf(id);
    }
}

/// @dev Code of an account that is not the namespace's.
contract Writer {
    function write(IHypermap hypermap) external {
        hypermap.note("~x", "1");
    }
}

/// @dev Reads the ERC-1967 slot of whoever delegates to it.
contract SlotReader {
    function read() external view returns (address implementation) {
        assembly {
            implementation := sload(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc)
        }
    }
}
