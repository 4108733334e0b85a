// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HyperAccount} from "../src/namespace/HyperAccount.sol";
import {HyperAccount9CharCommitMinter} from "../src/namespace/HyperAccount9CharCommitMinter.sol";
import {HyperAccountMinter} from "../src/namespace/HyperAccountMinter.sol";
import {HyperAccountPermissionedMinter} from "../src/namespace/HyperAccountPermissionedMinter.sol";
import {HyperAccountUpgradable} from "../src/namespace/HyperAccountUpgradable.sol";
import {Hypermap} from "../src/namespace/Hypermap.sol";
import {Multicall3} from "../src/namespace/Multicall3.sol";
import {Vm} from "./Vm.sol";

/// @title A namespace at the reference's addresses, with `os` minted by anybody
abstract contract Fixture {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal constant HYPERMAP = 0x000000000044C6B8Cb4d8f0F889a3E47664EAeda;
    address internal constant HYPERMAP_IMPLEMENTATION = 0x000000000013a0486EBDc2DB1D7B4d1f7fCA92eD;
    address internal constant REGISTRY = 0x000000006551c19487814612e58FE06813775758;

    bytes4 internal constant NOTE_PREFIX_MISSING = 0xa3b9ac95;
    bytes4 internal constant FACT_PREFIX_MISSING = 0x6ae27d4f;
    bytes4 internal constant ACCOUNT_NOT_INITIALIZED = 0x5a714b1c;
    bytes4 internal constant UNAUTHORIZED = 0x8f0052a6;

    address internal owner = vm.addr(100);
    address internal alice = vm.addr(101);
    address internal bob = vm.addr(102);

    Hypermap internal hypermap = Hypermap(HYPERMAP);
    Multicall3 internal multicall = Multicall3(0xcA11bde05977b3631167028862bE2a173976CA11);
    HyperAccount internal account = HyperAccount(0x0000000000EDAd72076CBe7b9Cfa3751D5a85C97);
    HyperAccountUpgradable internal upgradable = HyperAccountUpgradable(0x0000000000691b70A051CFAF82F9622E150369f3);
    HyperAccountMinter internal freeMinter = HyperAccountMinter(0xE01dCbD3Ed5f709874A1eA7a25677de18C8661c9);
    HyperAccountPermissionedMinter internal permissionedMinter =
        HyperAccountPermissionedMinter(0x00000000006B1fc0feC2272661FC27490525BCcc);
    HyperAccount9CharCommitMinter internal commitMinter =
        HyperAccount9CharCommitMinter(0x0000000000676c29D858EFE19e61284C35942934);

    function setUp() public virtual {
        vm.chainId(31337);
        vm.warp(1_700_000_000);
        place(REGISTRY, creationOf("ERC6551Registry"));
        place(address(multicall), creationOf("Multicall3"));
        place(address(account), creationOf("HyperAccount"));
        place(address(upgradable), creationOf("HyperAccountUpgradable"));
        place(address(freeMinter), creationOf("HyperAccountMinter"));
        place(address(permissionedMinter), creationOf("HyperAccountPermissionedMinter"));
        bytes memory ages = abi.encode(uint256(15), uint256(1800));
        place(address(commitMinter), abi.encodePacked(creationOf("HyperAccount9CharCommitMinter"), ages));
        placeHypermap(HYPERMAP, abi.encodeWithSignature("initialize(address)", owner));
        zone("os", address(freeMinter));
    }

    /// @dev A namespace at `where`, its implementation beside it.
    function placeHypermap(address where, bytes memory initialization) internal {
        bytes memory parts = abi.encode(REGISTRY, address(account));
        place(HYPERMAP_IMPLEMENTATION, abi.encodePacked(creationOf("Hypermap"), parts));
        bytes memory proxied = abi.encode(HYPERMAP_IMPLEMENTATION, initialization);
        place(where, abi.encodePacked(creationOf("HypermapProxy"), proxied));
    }

    /// @dev The code that is deployed, not what these tests were compiled with.
    function creationOf(string memory contractName) internal view returns (bytes memory) {
        return vm.parseBytes(vm.readFile(string.concat("contracts/target/code/", contractName)));
    }

    /// @dev Deployed where this test would deploy it.
    function deploy(bytes memory creation) internal returns (address made) {
        assembly {
            made := create(0, add(creation, 0x20), mload(creation))
        }
        require(made != address(0), "constructor failed");
    }

    /// @dev Runs a constructor where its contract is to stand.
    function place(address where, bytes memory creation) internal {
        vm.etch(where, creation);
        (bool done, bytes memory runtime) = where.call("");
        require(done, "constructor failed");
        vm.etch(where, runtime);
    }

    /// @dev A top-level zone of the owner.
    function zone(string memory label, address implementation) internal returns (address tba) {
        bytes memory initialization = abi.encodeWithSignature("initialize()");
        bytes memory data = mintCall(owner, label, initialization, implementation);
        HyperAccount root = HyperAccount(rootTba());
        vm.prank(owner);
        tba = abi.decode(root.execute(HYPERMAP, 0, data, 0), (address));
    }

    /// @dev `label`.os of `who`, as an ordinary account.
    function mintUnderOs(address who, string memory label) internal returns (HyperAccount tba) {
        return HyperAccount(HyperAccountMinter(osTba()).mint(who, bytes(label), "", address(account)));
    }

    /// @dev A child minted by the owner of the parent through the parent's account.
    function mintChild(HyperAccount parent, address by, string memory label) internal returns (HyperAccount tba) {
        bytes memory data = mintCall(by, label, "", address(account));
        vm.prank(by);
        return HyperAccount(abi.decode(parent.execute(HYPERMAP, 0, data, 0), (address)));
    }

    function note(HyperAccount tba, address by, string memory label, bytes memory data) internal {
        vm.prank(by);
        tba.execute(HYPERMAP, 0, abi.encodeCall(hypermap.note, (bytes(label), data)), 0);
    }

    function fact(HyperAccount tba, address by, string memory label, bytes memory data) internal {
        vm.prank(by);
        tba.execute(HYPERMAP, 0, abi.encodeCall(hypermap.fact, (bytes(label), data)), 0);
    }

    function mintCall(address who, string memory label, bytes memory initialization, address implementation)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSignature(
            "mint(address,bytes,bytes,address)", who, bytes(label), initialization, implementation
        );
    }

    /// @dev The notes of a node, written by one call of its account.
    function threeNotes() internal view returns (bytes memory) {
        Multicall3.Call[] memory calls = new Multicall3.Call[](3);
        calls[0] = Multicall3.Call(HYPERMAP, abi.encodeCall(hypermap.note, ("~ip", hex"7f000001")));
        calls[1] = Multicall3.Call(HYPERMAP, abi.encodeCall(hypermap.note, ("~ws-port", hex"2328")));
        calls[2] = Multicall3.Call(HYPERMAP, abi.encodeCall(hypermap.note, ("~net-key", bytes.concat(keccak256("k")))));
        return abi.encodeWithSignature(
            "execute(address,uint256,bytes,uint8)", multicall, 0, abi.encodeCall(multicall.aggregate, (calls)), 1
        );
    }

    function rootTba() internal view returns (address tba) {
        (tba,,) = hypermap.get(0);
    }

    function osTba() internal view returns (address tba) {
        (tba,,) = hypermap.get(hash("os"));
    }

    function dataOf(bytes32 namehash) internal view returns (bytes memory data) {
        (,, data) = hypermap.get(namehash);
    }

    /// @dev The hash of a name, child first, written again from the text: not the contract's own.
    function hash(string memory name) internal pure returns (bytes32 node) {
        bytes memory text = bytes(name);
        uint256 end = text.length;
        for (uint256 i = text.length; i > 0;) {
            --i;
            if (i != 0 && text[i - 1] != ".") continue;
            bytes memory label = new bytes(end - i);
            for (uint256 j = i; j < end; ++j) {
                label[j - i] = text[j];
            }
            node = keccak256(abi.encode(node, keccak256(label)));
            end = i == 0 ? 0 : i - 1;
        }
    }

    function eq(bytes32 a, bytes32 b) internal pure {
        require(a == b, "bytes32 differ");
    }

    function eq(uint256 a, uint256 b) internal pure {
        require(a == b, string.concat(vm.toString(a), " is not ", vm.toString(b)));
    }

    function eq(address a, address b) internal pure {
        require(a == b, "addresses differ");
    }

    function eq(bytes memory a, bytes memory b) internal pure {
        require(keccak256(a) == keccak256(b), "bytes differ");
    }

    function eq(string memory a, string memory b) internal pure {
        require(keccak256(bytes(a)) == keccak256(bytes(b)), "strings differ");
    }

    function isTrue(bool condition) internal pure {
        require(condition, "not true");
    }

    function repeat(bytes1 character, uint256 count) internal pure returns (string memory) {
        bytes memory text = new bytes(count);
        for (uint256 i = 0; i < count; ++i) {
            text[i] = character;
        }
        return string(text);
    }
}
