// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Minter} from "./Minter.sol";

/// @title The minter of `os`: names of nine characters or more, by commit and reveal
/// @notice Who wants a name commits to it unnamed, waits, and mints it. Whoever sees the mint and wants the name too would have to have
/// committed before. A commitment is bound to the caller of `mint`; the name may go to anybody.
contract HyperAccount9CharCommitMinter is Minter {
    /// @custom:storage-location erc7201:hyperloom.commit-minter
    struct Commits {
        mapping(bytes32 commitment => uint256) madeAt;
    }

    /// @notice There is no commitment to this label by this caller.
    error CommitNotFound();
    /// @notice Younger than `minCommitAge`.
    error CommitTooNew();
    /// @notice Older than `maxCommitAge`.
    error CommitTooOld();
    /// @notice The same commitment can be made again once it is older than `maxCommitAge`.
    error UnexpiredCommitExists();

    /// @notice Bytes of the shortest label.
    uint256 public constant LABEL_BYTES_MIN = 9;

    /// @notice Seconds between a commitment and the earliest mint by it.
    uint256 public immutable minCommitAge;
    /// @notice Seconds between a commitment and the latest mint by it.
    uint256 public immutable maxCommitAge;

    /// @dev keccak256(abi.encode(uint256(keccak256("hyperloom.commit-minter")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant COMMITS = 0x08aa9d461eafb432a074907ed9804bfbcad84c934961062c6370b944c09e8900;

    /// @param minAge  seconds
    /// @param maxAge  seconds
    constructor(uint256 minAge, uint256 maxAge) {
        minCommitAge = minAge;
        maxCommitAge = maxAge;
    }

    /// @notice Commits to a name. Anybody may make anybody's commitment: it helps nobody but the committer in it.
    function commit(bytes32 commitment) external {
        Commits storage commits = _commits();
        uint256 madeAt = commits.madeAt[commitment];
        // forge-lint: disable-next-line(block-timestamp)
        require(madeAt == 0 || madeAt + maxCommitAge < block.timestamp, UnexpiredCommitExists());
        commits.madeAt[commitment] = block.timestamp;
    }

    /// @notice When the commitment was made, in seconds; zero for never.
    function getCommit(bytes32 commitment) external view returns (uint256) {
        return _commits().madeAt[commitment];
    }

    /// @notice What `committer` has to commit in order to mint `label`.
    function getCommitHash(bytes calldata label, address committer) public pure returns (bytes32) {
        return keccak256(abi.encode(label, committer));
    }

    /// @dev A long enough label to which the caller committed, neither just now nor long ago. The commitment stays: it is for a name
    /// that now exists.
    function _useRight(bytes calldata label) internal view override {
        require(label.length >= LABEL_BYTES_MIN, "Label too short");
        bytes32 commitment = getCommitHash(label, msg.sender);
        uint256 madeAt = _commits().madeAt[commitment];
        require(madeAt != 0, CommitNotFound());
        // forge-lint: disable-next-line(block-timestamp)
        require(block.timestamp >= madeAt + minCommitAge, CommitTooNew());
        // forge-lint: disable-next-line(block-timestamp)
        require(block.timestamp <= madeAt + maxCommitAge, CommitTooOld());
    }

    /// @dev Where commitments are kept, whatever the account's code.
    function _commits() private pure returns (Commits storage commits) {
        assembly ("memory-safe") {
            commits.slot := COMMITS
        }
    }
}
