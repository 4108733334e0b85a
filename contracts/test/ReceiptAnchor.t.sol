// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReceiptAnchor} from "../src/compute/ReceiptAnchor.sol";
import {IERC3009} from "../src/compute/IERC3009.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev Anchors, with the reference's tree of log records (section 17); and the token's own rules.
contract ReceiptAnchorTest is ComputeFixture {
    bytes32 private constant ROOT = 0xef9ddba9b1f8732ad52ccf13d10a140878a3fa21f04890e88bba563b654df3cd;
    bytes32 private constant LEAF = 0x053be13eee19b62edd309b32f1312273fc576988e61792b9de93192041b11546;

    ReceiptAnchor private anchor;

    function setUp() public override {
        super.setUp();
        anchor = ReceiptAnchor(deploy(abi.encodePacked(creationOf("ReceiptAnchor"), abi.encode(registry))));
    }

    function test_PU21_a_root_is_anchored_once_by_the_nodes_own_keys() external {
        vm.expectRevert(ReceiptAnchor.Unauthorized.selector);
        anchor.anchor(node, 7, ROOT, 5);
        vm.startPrank(executor);
        vm.expectRevert(ReceiptAnchor.Empty.selector);
        anchor.anchor(node, 7, ROOT, 0);
        vm.expectEmit(address(anchor));
        emit ReceiptAnchor.Anchored(node, 7, ROOT, 5);
        anchor.anchor(node, 7, ROOT, 5);
        vm.expectRevert(ReceiptAnchor.AlreadyAnchored.selector);
        anchor.anchor(node, 7, ROOT, 5);
        vm.stopPrank();
        vm.prank(operator);
        anchor.anchor(node, 8, ROOT, 5);
    }

    function test_PU21_the_references_inclusion_proof_holds_and_no_other() external {
        vm.prank(executor);
        anchor.anchor(node, 7, ROOT, 5);
        bytes32[] memory path = new bytes32[](3);
        path[0] = 0x67e0a903f94f2f73317e5a7a4836a75a9f90dbcb06ef018971a5e5801bf63879;
        path[1] = 0x0e641f85693cbd31657a55412df607747c9ded145fec3b3db01130e4c0427d72;
        path[2] = 0x55cbaff8aa9329fa6f8009f4f026b5163df206fb9e5d6cd7fbf98a76219ff782;
        isTrue(anchor.verify(node, 7, LEAF, 2, path));
        isTrue(!anchor.verify(node, 7, LEAF, 3, path));
        isTrue(!anchor.verify(node, 7, LEAF, 5, path));
        isTrue(!anchor.verify(node, 8, LEAF, 2, path));
        isTrue(!anchor.verify(node, 7, keccak256("altered"), 2, path));
        path[1] = 0;
        isTrue(!anchor.verify(node, 7, LEAF, 2, path));
    }

    function testFuzz_PU21_every_leaf_of_every_tree_is_proved(uint8 size, uint8 which) external {
        uint64 count = uint64(size % 33) + 1;
        uint64 index = which % count;
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = keccak256(abi.encode(i));
        }
        bytes32 root = rootOf(leaves, 0, count);
        vm.prank(executor);
        anchor.anchor(node, 1, root, count);
        bytes32[] memory path = pathOf(leaves, index);
        isTrue(anchor.verify(node, 1, leaves[index], index, path));
        if (count > 1) isTrue(!anchor.verify(node, 1, leaves[index], (index + 1) % count, path));
    }

    function test_CM31_an_authorisation_works_strictly_between_its_times_and_once() external {
        bytes32 nonce = keccak256("nonce");
        uint256 now_ = block.timestamp;
        refusedTransfer(now_, now_ + 1, nonce);
        refusedTransfer(now_ - 1, now_, nonce);
        bytes memory signature = transferSignature(now_ - 1, now_ + 1, nonce);
        vm.expectRevert(abi.encodeWithSelector(IERC3009.AuthorizationNotSigned.selector, client));
        token.transferWithAuthorization(client, bob, 6, now_ - 1, now_ + 1, nonce, signature);
        token.transferWithAuthorization(client, bob, 5, now_ - 1, now_ + 1, nonce, signature);
        eq(token.balanceOf(bob), 5);
        isTrue(token.authorizationState(client, nonce));
        vm.expectRevert(abi.encodeWithSelector(IERC3009.AuthorizationNonceSpent.selector, client, nonce));
        token.transferWithAuthorization(client, bob, 5, now_ - 1, now_ + 1, nonce, signature);
    }

    function test_CM31_a_cancelled_authorisation_is_spent() external {
        bytes32 nonce = keccak256("nonce");
        bytes32 structHash =
            keccak256(abi.encode(0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429, client, nonce));
        bytes memory signature = sign(CLIENT_KEY, tokenDigest(structHash));
        token.cancelAuthorization(client, nonce, signature);
        uint256 now_ = block.timestamp;
        bytes memory transfer = transferSignature(now_ - 1, now_ + 1, nonce);
        vm.expectRevert(abi.encodeWithSelector(IERC3009.AuthorizationNonceSpent.selector, client, nonce));
        token.transferWithAuthorization(client, bob, 5, now_ - 1, now_ + 1, nonce, transfer);
    }

    function refusedTransfer(uint256 validAfter, uint256 validBefore, bytes32 nonce) private {
        bytes memory signature = transferSignature(validAfter, validBefore, nonce);
        vm.expectRevert(abi.encodeWithSelector(IERC3009.AuthorizationOutOfTime.selector, validAfter, validBefore));
        token.transferWithAuthorization(client, bob, 5, validAfter, validBefore, nonce, signature);
    }

    function transferSignature(uint256 validAfter, uint256 validBefore, bytes32 nonce)
        private
        view
        returns (bytes memory)
    {
        bytes32 typeHash = 0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267;
        bytes32 structHash = keccak256(abi.encode(typeHash, client, bob, 5, validAfter, validBefore, nonce));
        return sign(CLIENT_KEY, tokenDigest(structHash));
    }

    function tokenDigest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
    }

    /// @dev As RFC 6962 defines it, by recursion: not the contract's own way.
    function rootOf(bytes32[] memory leaves, uint256 from, uint256 to) private pure returns (bytes32) {
        if (to - from == 1) return leaves[from];
        uint256 split = from + halfOf(to - from);
        return sha256(abi.encodePacked(hex"01", rootOf(leaves, from, split), rootOf(leaves, split, to)));
    }

    function pathOf(bytes32[] memory leaves, uint256 index) private pure returns (bytes32[] memory path) {
        bytes32[8] memory down;
        uint256 depth = 0;
        (uint256 from, uint256 to) = (0, leaves.length);
        while (to - from > 1) {
            uint256 split = from + halfOf(to - from);
            bool left = index < split;
            down[depth++] = left ? rootOf(leaves, split, to) : rootOf(leaves, from, split);
            (from, to) = left ? (from, split) : (split, to);
        }
        path = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            path[i] = down[depth - 1 - i];
        }
    }

    /// @dev The largest power of two below `count`.
    function halfOf(uint256 count) private pure returns (uint256 half) {
        half = 1;
        while (half * 2 < count) half *= 2;
    }
}
