// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RegistrySeats} from "./RegistrySeats.sol";

/// @title Hourly Merkle roots of a node's receipts
/// @notice Trees have the shape of RFC 6962 over SHA-256. A root is written once. Source: compute-market, section 7.1; pulse, section 9.
contract ReceiptAnchor {
    /// @notice What was anchored: a root, and of how many receipts.
    struct Anchor {
        bytes32 root;
        uint64 count;
    }

    /// @notice Where executors and operators are.
    RegistrySeats public immutable registry;
    /// @notice A node's anchor of an hour.
    mapping(bytes32 nodeId => mapping(uint64 epoch => Anchor)) public anchors;

    /// @notice A root was written.
    event Anchored(bytes32 indexed nodeId, uint64 indexed epoch, bytes32 root, uint64 count);

    /// @notice Neither the node's executor nor its operator.
    error Unauthorized();
    /// @notice There is one for this hour already.
    error AlreadyAnchored();
    /// @notice An hour without receipts is not anchored.
    error Empty();

    /// @param registry_  a `NodeRegistry`
    constructor(RegistrySeats registry_) {
        registry = registry_;
    }

    /// @notice Writes the root of an hour's receipts.
    function anchor(bytes32 nodeId, uint64 epoch, bytes32 root, uint64 count) external {
        bool mine = msg.sender == registry.executorOf(nodeId) || msg.sender == registry.operatorOf(nodeId);
        require(mine, Unauthorized());
        require(count != 0, Empty());
        require(anchors[nodeId][epoch].count == 0, AlreadyAnchored());
        anchors[nodeId][epoch] = Anchor(root, count);
        emit Anchored(nodeId, epoch, root, count);
    }

    /// @notice Whether a receipt is in the tree of an hour.
    /// @param leaf   the receipt's, hashed with its prefix
    /// @param index  of the leaf, from 0
    /// @param path   siblings, bottom up
    function verify(bytes32 nodeId, uint64 epoch, bytes32 leaf, uint64 index, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        Anchor memory there = anchors[nodeId][epoch];
        if (index >= there.count) return false;
        (uint64 at, uint64 last, bytes32 hash) = (index, there.count - 1, leaf);
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) return false;
            if (at & 1 == 1 || at == last) {
                hash = sha256(abi.encodePacked(hex"01", path[i], hash));
                // A last leaf without a sibling rises until it has one.
                while (at & 1 == 0 && at != 0) (at, last) = (at >> 1, last >> 1);
            } else {
                hash = sha256(abi.encodePacked(hex"01", hash, path[i]));
            }
            (at, last) = (at >> 1, last >> 1);
        }
        return last == 0 && hash == there.root;
    }
}
