// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title One call at a time
/// @notice Whatever a token, a wallet or a receiver calls back while a function runs, it finds every function that changes state shut.
abstract contract Guard {
    bool private transient _entered;

    /// @notice A call came back in while another was running.
    error ReentrantCall();

    /// @notice Not from within another such call.
    modifier nonReentrant() {
        require(!_entered, ReentrantCall());
        _entered = true;
        _;
        _entered = false;
    }
}
