// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title What locked tokens count for
/// @notice `pow = (v - v*v / 2e27) * (d / 24192 - d*d / 6086629785600)`, unsigned 128-bit, saturating, as the reference ranks packages
/// (hypermap, section 15). v in wei, d in seconds.
library VotingPower {
    /// @notice The shortest lock, and what any live one counts for at least: four weeks.
    uint256 internal constant DURATION_S_MIN = 2_419_200;
    /// @notice The longest lock: four times 52 weeks.
    uint256 internal constant DURATION_S_MAX = 125_798_400;

    /// @notice The factor of a lock that lasts `duration` seconds longer.
    function multiplier(uint256 duration) internal pure returns (uint256) {
        uint256 d = Math.min(Math.max(duration, DURATION_S_MIN), DURATION_S_MAX);
        return d / 24_192 - (d * d) / 6_086_629_785_600;
    }

    /// @notice What `value` wei count for.
    function power(uint256 value, uint256 duration) internal pure returns (uint256) {
        uint256 v = Math.min(value, type(uint128).max);
        uint256 square = Math.min(v * v, type(uint128).max);
        return Math.min((v - square / (2 * 10 ** 27)) * multiplier(duration), type(uint128).max);
    }
}
