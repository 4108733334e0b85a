// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Rules of labels
/// @notice A name is 1 to 63 of `0-9 a-z -`; a note is `~`, a fact `!`, followed by 1 to 62 of them.
library Label {
    /// @notice Bytes of the longest label, its prefix included.
    uint256 internal constant BYTES_MAX = 63;

    /// @notice An empty name, or nothing but a prefix.
    error LabelTooShort();
    /// @notice More than `BYTES_MAX` bytes.
    error LabelTooLong();
    /// @notice A byte that no label may have in this place.
    error InvalidLabelCharacter();

    /// @dev The names of these two errors are not public. They are raised by selector, as clients of the reference know them.
    bytes4 internal constant NOTE_PREFIX_MISSING = 0xa3b9ac95;
    bytes4 internal constant FACT_PREFIX_MISSING = 0x6ae27d4f;

    /// @dev Bit n is set when byte n may be in a label: `-`, `0` to `9`, `a` to `z`.
    uint256 private constant ALLOWED = (1 << 0x2d) | (0x3ff << 0x30) | (0x3ffffff << 0x61);

    /// @notice Reverts unless `label` can name an entry.
    function requireName(bytes calldata label) internal pure {
        require(label.length != 0, LabelTooShort());
        _requireRest(label, 0);
    }

    /// @notice Reverts unless `label` can name a note. A label without bytes panics (0x32), as in the reference.
    function requireNote(bytes calldata label) internal pure {
        if (label[0] != "~") _revertWith(NOTE_PREFIX_MISSING);
        require(label.length != 1, LabelTooShort());
        _requireRest(label, 1);
    }

    /// @notice Reverts unless `label` can name a fact. A label without bytes panics (0x32), as in the reference.
    function requireFact(bytes calldata label) internal pure {
        if (label[0] != "!") _revertWith(FACT_PREFIX_MISSING);
        require(label.length != 1, LabelTooShort());
        _requireRest(label, 1);
    }

    /// @dev Checks the length, and the characters from `from` on.
    function _requireRest(bytes calldata label, uint256 from) private pure {
        require(label.length <= BYTES_MAX, LabelTooLong());
        for (uint256 i = from; i < label.length; ++i) {
            require((ALLOWED >> uint8(label[i])) & 1 == 1, InvalidLabelCharacter());
        }
    }

    /// @dev For an error whose name nobody knows (hypermap, section 4).
    function _revertWith(bytes4 selector) private pure {
        assembly ("memory-safe") {
            mstore(0, selector)
            revert(0, 4)
        }
    }
}
