// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {HyperAccount} from "../src/namespace/HyperAccount.sol";
import {HyperAccountProxy} from "../src/namespace/HyperAccountProxy.sol";
import {HyperAccountUpgradable} from "../src/namespace/HyperAccountUpgradable.sol";
import {Multicall3} from "../src/namespace/Multicall3.sol";
import {Fixture} from "./Fixture.sol";

contract HyperAccountTest is Fixture {
    address private constant ENTRY_POINT = 0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789;
    HyperAccount private tba;
    Target private target;

    function setUp() public override {
        super.setUp();
        tba = mintUnderOs(alice, "alice");
        target = new Target();
    }

    function test_HM11_control_of_the_account_goes_with_the_token() external {
        vm.prank(alice);
        hypermap.transferFrom(alice, bob, uint256(hash("alice.os")));
        vm.prank(alice);
        vm.expectRevert(UNAUTHORIZED);
        tba.execute(address(target), 0, "", 0);
        note(tba, bob, "~x", "bob was here");
        eq(dataOf(hash("~x.alice.os")), "bob was here");
        isTrue(tba.isOperator(bob) && !tba.isOperator(alice));
    }

    function test_HM11_approvals_for_the_token_give_no_power_over_the_account() external {
        vm.startPrank(alice);
        hypermap.approve(bob, uint256(hash("alice.os")));
        hypermap.setApprovalForAll(bob, true);
        vm.stopPrank();
        vm.startPrank(bob);
        vm.expectRevert(UNAUTHORIZED);
        tba.execute(address(target), 0, "", 0);
        vm.expectRevert(UNAUTHORIZED);
        tba.executeBatch(new HyperAccount.Operation[](1));
        hypermap.transferFrom(alice, bob, uint256(hash("alice.os")));
        tba.execute(address(target), 0, abi.encodeCall(target.set, (7)), 0);
        eq(target.value(), 7);
    }

    function test_HM11_neither_the_namespace_nor_the_zone_nor_the_account_itself_may() external {
        address[4] memory callers = [HYPERMAP, osTba(), address(tba), owner];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(UNAUTHORIZED);
            tba.execute(address(target), 0, "", 0);
        }
    }

    function test_HM12_operations_but_call_and_delegatecall_are_refused() external {
        for (uint8 operation = 2; operation < 5; ++operation) {
            vm.prank(alice);
            vm.expectRevert("Invalid operation");
            tba.execute(address(target), 0, "", operation);
        }
        vm.prank(alice);
        vm.expectRevert("Invalid operation");
        tba.execute(address(target), 0, "", 255, 100_000);
    }

    function test_HM12_execute_calls_as_the_account_and_passes_on_what_comes_back() external {
        vm.deal(alice, 2 ether);
        vm.prank(alice);
        bytes memory result = tba.execute{value: 1 ether}(address(target), 1 ether, abi.encodeCall(target.who, ()), 0);
        (address sender, address self, uint256 value) = abi.decode(result, (address, address, uint256));
        eq(sender, address(tba));
        eq(self, address(target));
        eq(value, 1 ether);
        vm.prank(alice);
        result = tba.execute(address(target), 0, abi.encodeCall(target.who, ()), 1);
        (sender, self,) = abi.decode(result, (address, address, uint256));
        eq(sender, alice);
        eq(self, address(tba));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(Target.Refused.selector, 42));
        tba.execute(address(target), 0, abi.encodeCall(target.refuse, (42)), 0);
    }

    function test_HM12_execute_with_a_gas_limit() external {
        bytes memory data = abi.encodeCall(target.set, (7));
        vm.prank(alice);
        vm.expectRevert();
        tba.execute(address(target), 0, data, 0, 1_000);
        vm.prank(alice);
        tba.execute(address(target), 0, data, 0, 100_000);
        eq(target.value(), 7);
    }

    function test_HM12_a_batch_happens_wholly_or_not_at_all() external {
        HyperAccount.Operation[] memory operations = new HyperAccount.Operation[](2);
        operations[0] = HyperAccount.Operation(address(target), 0, abi.encodeCall(target.set, (7)), 0);
        operations[1] = HyperAccount.Operation(address(target), 0, abi.encodeCall(target.who, ()), 0);
        vm.prank(alice);
        bytes[] memory results = tba.executeBatch(operations);
        eq(results.length, 2);
        eq(target.value(), 7);
        operations[0].data = abi.encodeCall(target.set, (8));
        operations[1].data = abi.encodeCall(target.refuse, (1));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(Target.Refused.selector, 1));
        tba.executeBatch(operations);
        eq(target.value(), 7);
    }

    function test_HM6_several_notes_in_one_call_through_multicall() external {
        Multicall3.Call[] memory calls = new Multicall3.Call[](2);
        calls[0] = Multicall3.Call(HYPERMAP, abi.encodeCall(hypermap.note, ("~a", "1")));
        calls[1] = Multicall3.Call(HYPERMAP, abi.encodeCall(hypermap.fact, ("!b", "2")));
        bytes memory data = abi.encodeCall(multicall.aggregate, (calls));
        vm.prank(alice);
        tba.execute(address(multicall), 0, data, 1);
        eq(dataOf(hash("~a.alice.os")), "1");
        eq(dataOf(hash("!b.alice.os")), "2");
        // The same called, not delegate-called, comes from nobody.
        vm.prank(alice);
        vm.expectRevert("Multicall3: call failed");
        tba.execute(address(multicall), 0, data, 0);
    }

    function test_HM11_what_the_account_says_of_itself() external view {
        (uint256 chainId, address tokenContract, uint256 tokenId) = tba.token();
        eq(chainId, block.chainid);
        eq(tokenContract, HYPERMAP);
        eq(bytes32(tokenId), hash("alice.os"));
        eq(bytes32(tba.isValidSigner(alice, "")), bytes32(bytes4(0x523e3260)));
        eq(bytes32(tba.isValidSigner(bob, "")), 0);
        eq(address(tba.entryPoint()), ENTRY_POINT);
        bytes4[5] memory known = [bytes4(0x01ffc9a7), 0x6faff5f1, 0x51945447, 0x1626ba7e, 0x4e2312e0];
        for (uint256 i = 0; i < known.length; ++i) {
            isTrue(tba.supportsInterface(known[i]));
        }
        isTrue(!tba.supportsInterface(0x150b7a02));
        isTrue(!tba.supportsInterface(0xffffffff));
    }

    function test_HM11_the_code_outside_an_account_belongs_to_nobody() external {
        isTrue(!account.isOperator(address(0)));
        eq(bytes32(account.isValidSigner(address(0), "")), 0);
        vm.expectRevert(UNAUTHORIZED);
        account.execute(address(target), 0, "", 0);
    }

    function test_HM11_on_another_chain_the_account_belongs_to_nobody() external {
        vm.chainId(1);
        isTrue(!tba.isOperator(alice));
        vm.prank(alice);
        vm.expectRevert(UNAUTHORIZED);
        tba.execute(address(target), 0, "", 0);
    }

    function test_HM11_signatures_of_the_owner_over_the_raw_digest_are_the_accounts() external view {
        bytes32 digest = keccak256("message");
        eq(bytes32(tba.isValidSignature(digest, signature(101, digest))), bytes32(bytes4(0x1626ba7e)));
        eq(bytes32(tba.isValidSignature(digest, signature(102, digest))), bytes32(bytes4(0xffffffff)));
        bytes32 prefixed = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", digest));
        eq(bytes32(tba.isValidSignature(digest, signature(101, prefixed))), bytes32(bytes4(0xffffffff)));
        eq(bytes32(tba.isValidSignature(digest, "")), bytes32(bytes4(0xffffffff)));
    }

    function test_HM11_the_entry_point_may_act_and_is_paid() external {
        PackedUserOperation memory operation;
        bytes32 digest = keccak256("operation");
        operation.signature = signature(101, digest);
        vm.deal(address(tba), 1 ether);
        vm.expectRevert(UNAUTHORIZED);
        tba.validateUserOp(operation, digest, 0);
        vm.prank(ENTRY_POINT);
        eq(tba.validateUserOp(operation, digest, 0.25 ether), 0);
        eq(ENTRY_POINT.balance, 0.25 ether);
        operation.signature = signature(102, digest);
        vm.prank(ENTRY_POINT);
        eq(tba.validateUserOp(operation, digest, 0), 1);
        vm.prank(ENTRY_POINT);
        tba.execute(address(target), 0, abi.encodeCall(target.set, (9)), 0);
        eq(target.value(), 9);
    }

    function test_HM11_the_nonce_is_the_entry_points() external {
        vm.expectRevert();
        tba.getNonce();
        vm.expectRevert();
        tba.state();
        vm.mockCall(
            ENTRY_POINT,
            abi.encodeWithSignature("getNonce(address,uint192)", address(tba), uint192(0)),
            abi.encode(uint256(3))
        );
        eq(tba.getNonce(), 3);
        eq(tba.state(), 3);
    }

    function test_HM11_the_account_holds_ether_and_tokens_but_not_its_own() external {
        vm.deal(address(this), 1 ether);
        (bool sent,) = address(tba).call{value: 1 ether}("");
        isTrue(sent);
        HyperAccount other = mintUnderOs(alice, "other");
        vm.startPrank(alice);
        hypermap.safeTransferFrom(alice, address(tba), uint256(hash("other.os")));
        isTrue(other.isOperator(address(tba)));
        vm.expectRevert();
        hypermap.safeTransferFrom(alice, address(tba), uint256(hash("alice.os")));
        eq(bytes32(tba.onERC1155Received(bob, bob, 1, 1, "")), bytes32(bytes4(0xf23a6e61)));
        eq(
            bytes32(tba.onERC1155BatchReceived(bob, bob, new uint256[](0), new uint256[](0), "")),
            bytes32(bytes4(0xbc197c81))
        );
        tba.tokensReceived(bob, bob, address(tba), 1, "", "");
    }

    function test_HM11_only_the_namespace_initialises_and_only_once() external {
        HyperAccountProxy proxy = HyperAccountProxy(payable(address(tba)));
        vm.expectRevert(HyperAccountProxy.InitializationRefused.selector);
        proxy.initialize(address(account), "");
        vm.prank(HYPERMAP);
        vm.expectRevert(HyperAccountProxy.InitializationRefused.selector);
        proxy.initialize(address(account), "");
        // An account as such cannot be upgraded.
        vm.prank(alice);
        vm.expectRevert();
        HyperAccountUpgradable(address(tba)).upgradeToAndCall(address(upgradable), "");
    }

    function test_HM11_an_upgradable_account_is_set_up_through_multicall_and_upgraded_by_its_owner() external {
        bytes32 id = hash("app.os");
        bytes32 initHash = keccak256(abi.encodePacked(creationOf("HyperAccountProxy"), abi.encode(HYPERMAP)));
        address predictedProxy = address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", HYPERMAP, id, initHash)))));
        (bool done, bytes memory answer) = REGISTRY.staticcall(
            abi.encodeWithSignature(
                "account(address,bytes32,uint256,address,uint256)", predictedProxy, id, block.chainid, HYPERMAP, id
            )
        );
        isTrue(done);
        Multicall3.Call[] memory calls = new Multicall3.Call[](2);
        calls[0] = Multicall3.Call(abi.decode(answer, (address)), abi.encodeCall(upgradable.initialize, ()));
        calls[1] = Multicall3.Call(HYPERMAP, abi.encodeCall(hypermap.note, ("~metadata-uri", "http://x")));
        bytes memory init = abi.encodeWithSignature(
            "execute(address,uint256,bytes,uint8)", multicall, 0, abi.encodeCall(multicall.aggregate, (calls)), 1
        );
        (done, answer) = osTba().call(mintCall(alice, "app", init, address(upgradable)));
        isTrue(done);
        HyperAccountUpgradable app = HyperAccountUpgradable(abi.decode(answer, (address)));
        eq(dataOf(hash("~metadata-uri.app.os")), "http://x");
        vm.prank(bob);
        vm.expectRevert(UNAUTHORIZED);
        app.upgradeToAndCall(address(freeMinter), "");
        vm.prank(alice);
        app.upgradeToAndCall(address(freeMinter), "");
        vm.prank(bob);
        (done,) = address(app).call(mintCall(bob, "child", "", address(account)));
        isTrue(done);
        eq(hypermap.ownerOf(uint256(hash("child.app.os"))), bob);
    }

    function signature(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }
}

contract Target {
    error Refused(uint256 code);

    uint256 public value;

    function set(uint256 to) external {
        value = to;
    }

    function who() external payable returns (address, address, uint256) {
        return (msg.sender, address(this), msg.value);
    }

    function refuse(uint256 code) external pure {
        revert Refused(code);
    }
}
