// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Events and errors of the token registry
interface ITokenRegistry {
    /// @notice One account's part in the weight of a name.
    struct Binding {
        address account;
        uint256 amount;
        uint256 endTime;
        uint256 lockEndTime;
    }

    /// @notice `amount` came into the lock; it holds `balance`, `duration` seconds long, until `endTime`.
    event TokensLocked(address indexed account, uint256 amount, uint256 duration, uint256 balance, uint256 endTime);
    /// @notice The lock lasts `duration` seconds from now, until `endTime`.
    event LockExtended(address indexed account, uint256 duration, uint256 balance, uint256 endTime);
    /// @notice The lock ended and was paid out.
    event TokensWithdrawn(address indexed user, uint256 amountWithdrawn, uint256 remainingAmount, uint256 endTime);
    /// @notice The first weight of `user` on `namehash`. Amounts are totals of this bind.
    event BindCreated(address indexed user, bytes32 indexed namehash, uint256 amount, uint256 endTime);
    /// @notice More weight.
    event BindAmountIncreased(address indexed user, bytes32 indexed namehash, uint256 amount, uint256 endTime);
    /// @notice Weight for longer.
    event BindDurationExtended(address indexed user, bytes32 indexed namehash, uint256 amount, uint256 endTime);
    /// @notice Weight moved. Zero is what is assigned to no name.
    event TokensBound(address indexed user, bytes32 srcNamehash, bytes32 dstNamehash, uint256 amount);
    /// @notice Weight left a name whose bind had ended.
    event ExpiredBindReclaimed(address indexed user, bytes32 indexed namehash, uint256 amount);
    /// @notice `delegate` may assign `user`'s weight from now on; zero for nobody.
    event DelegateSet(address indexed user, address indexed delegate);

    /// @notice The call would change nothing.
    error NothingToDo();
    /// @notice A lock lasts `DURATION_S_MIN` to `DURATION_S_MAX` from now.
    error InvalidDuration(uint256 duration);
    /// @notice Neither locks nor binds get shorter.
    error CannotShorten();
    /// @notice More than 128 bits of tokens.
    error AmountTooLarge();
    /// @notice There is no live lock to assign from.
    error LockExpired();
    /// @notice The lock cannot be paid out before `endTime`.
    error LockNotExpired(uint256 endTime);
    /// @notice The bind holds its weight until `endTime`.
    error BindNotExpired(uint256 endTime);
    /// @notice Weight goes to names, not to notes, facts, or what is not there.
    error NotAName(bytes32 namehash);
    /// @notice An account has at most `BINDS_MAX` binds.
    error TooManyBinds();
    /// @notice Only the account's delegate.
    error NotDelegate(address caller);
    /// @notice The token moved something else than was asked for.
    error TokenMisbehaved();
}
