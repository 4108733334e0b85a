// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IHypermap} from "../namespace/IHypermap.sol";
import {ITokenRegistry} from "./ITokenRegistry.sol";
import {VotingPower} from "./VotingPower.sol";

/// @title Tokens locked to give names weight
/// @notice An account has one lock and distributes it over binds, one for each name it supports, its own or not. A bind holds its weight
/// until it ends, at most as long as the lock. When the lock has ended, `withdraw` pays all of it out, always. ABI and events are those
/// of the reference (hypermap, section 15); delegation and the reads for ranking are ours.
/// @dev No owner, no upgrade. The token is trusted to be an ERC-20, and no further: state is written before it is called, and what it
/// moved is compared with what it was asked to move.
contract TokenRegistry is ITokenRegistry {
    using SafeERC20 for IERC20;
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;

    /// @dev Of a lock, or of one bind. `endTime` in seconds since 1970.
    struct Holding {
        uint128 amount;
        uint64 endTime;
    }

    /// @notice Binds of one account: so that `withdraw` can always end them all.
    uint256 public constant BINDS_MAX = 64;
    /// @notice What no name has: the part of a lock that is assigned to none.
    bytes32 public constant UNASSIGNED = 0;

    /// @notice The token.
    IERC20 public immutable hypr;
    /// @notice Where names are looked up.
    IHypermap public immutable hypermap;

    mapping(address account => Holding) private _locks;
    mapping(address account => mapping(bytes32 namehash => Holding)) private _binds;
    mapping(address account => EnumerableSet.Bytes32Set) private _namesOf;
    mapping(bytes32 namehash => EnumerableSet.AddressSet) private _accountsOn;
    /// @notice Who else may assign an account's weight.
    mapping(address account => address) public delegateOf;

    /// @param token      an ERC-20 token that neither takes fees nor rebases
    /// @param namespace  a `Hypermap`
    constructor(IERC20 token, IHypermap namespace) {
        hypr = token;
        hypermap = namespace;
    }

    /// @notice Locks `amount` more, makes the lock last `duration` seconds from now, or both.
    /// @param amount    wei, approved to this contract before; zero changes only the end
    /// @param duration  seconds; zero keeps the end. The lock then lasts at least `DURATION_S_MIN` from now
    function manageLock(uint256 amount, uint256 duration) external {
        require(amount != 0 || duration != 0, NothingToDo());
        Holding memory lock = _locks[msg.sender];
        require(amount != 0 || lock.amount != 0, NothingToDo());
        require(amount <= type(uint128).max - lock.amount, AmountTooLarge());
        require(duration <= VotingPower.DURATION_S_MAX, InvalidDuration(duration));
        uint64 endTime = duration == 0 ? lock.endTime : uint64(block.timestamp + duration);
        require(endTime >= lock.endTime, CannotShorten());
        uint256 left = _left(endTime);
        require(left >= VotingPower.DURATION_S_MIN, InvalidDuration(left));

        uint128 balance = lock.amount + uint128(amount);
        _locks[msg.sender] = Holding(balance, endTime);
        _binds[msg.sender][UNASSIGNED].amount += uint128(amount);
        if (amount != 0) emit TokensLocked(msg.sender, amount, left, balance, endTime);
        if (lock.amount != 0 && endTime > lock.endTime) emit LockExtended(msg.sender, left, balance, endTime);

        if (amount != 0) _take(amount);
    }

    /// @notice Moves weight to a name, from what is unassigned or from a bind that has ended; or back from one.
    /// @param src        where from; zero: what is unassigned
    /// @param dst        where to; zero: back to unassigned
    /// @param maxAmount  wei, or all there is at `src` if that is less
    /// @param duration   seconds that the bind at `dst` is to last from now, at most as long as the lock; zero keeps its end
    function transferRegistration(bytes32 src, bytes32 dst, uint256 maxAmount, uint256 duration) external {
        _transfer(msg.sender, src, dst, maxAmount, duration);
    }

    /// @notice The same for an account that made the caller its delegate. Tokens never leave the lock by this.
    function transferRegistrationFor(address account, bytes32 src, bytes32 dst, uint256 maxAmount, uint256 duration)
        external
    {
        require(delegateOf[account] == msg.sender && msg.sender != address(0), NotDelegate(msg.sender));
        _transfer(account, src, dst, maxAmount, duration);
    }

    /// @notice Lets `to` assign the caller's weight; zero for nobody.
    function setDelegate(address to) external {
        delegateOf[msg.sender] = to;
        emit DelegateSet(msg.sender, to);
    }

    /// @notice Pays out a lock that has ended, and ends its binds.
    /// @return whether there was one
    function withdraw() external returns (bool) {
        Holding memory lock = _locks[msg.sender];
        if (lock.amount == 0) return false;
        require(_left(lock.endTime) == 0, LockNotExpired(lock.endTime));

        delete _locks[msg.sender];
        delete _binds[msg.sender][UNASSIGNED];
        EnumerableSet.Bytes32Set storage names = _namesOf[msg.sender];
        for (uint256 i = names.length(); i > 0; --i) {
            bytes32 namehash = names.at(i - 1);
            emit ExpiredBindReclaimed(msg.sender, namehash, _binds[msg.sender][namehash].amount);
            _endBind(msg.sender, namehash);
        }
        emit TokensWithdrawn(msg.sender, lock.amount, 0, lock.endTime);

        hypr.safeTransfer(msg.sender, lock.amount);
        return true;
    }

    /// @notice Whether the account has no lock that still lasts.
    function isLockExpired(address account) external view returns (bool) {
        return _left(_locks[account].endTime) == 0;
    }

    /// @notice The account's lock; times in seconds.
    function getLockDetails(address account)
        external
        view
        returns (uint256 amount, uint256 endTime, uint256 remainingTime)
    {
        Holding memory lock = _locks[account];
        return (lock.amount, lock.endTime, _left(lock.endTime));
    }

    /// @notice The account's bind on a name; for zero what is unassigned, with the end of the lock.
    function getRegistrationDetails(bytes32 namehash, address account)
        external
        view
        returns (uint256 amount, uint256 endTime, uint256 remainingTime)
    {
        Holding memory bind = _binds[account][namehash];
        if (namehash == UNASSIGNED) bind.endTime = _locks[account].endTime;
        return (bind.amount, bind.endTime, _left(bind.endTime));
    }

    /// @notice The names that the account has binds on, ended ones included.
    function getUserBinds(address account) external view returns (bytes32[] memory) {
        return _namesOf[account].values();
    }

    /// @notice When the account's lock ends; zero without one.
    function getUserUnlockStamp(address account) external view returns (uint256) {
        return _locks[account].endTime;
    }

    /// @notice What `value` wei count for that are locked for `lockDuration` seconds.
    function calculateVotingPower(uint256 value, uint256 lockDuration) external pure returns (uint256) {
        return VotingPower.power(value, lockDuration);
    }

    /// @notice The factor of the account's lock at `timestamp`; zero once it has ended.
    function getMultiplier(address account, uint256 timestamp) external view returns (uint256) {
        uint256 endTime = _locks[account].endTime;
        return endTime > timestamp ? VotingPower.multiplier(endTime - timestamp) : 0;
    }

    /// @notice The weight of a name now: the sum over its binds that live, with a lock that lives.
    function weightOf(bytes32 namehash) public view returns (uint256 weight) {
        (weight,) = weightOf(namehash, 0, type(uint256).max);
    }

    /// @notice The weights of several names.
    function weightsOf(bytes32[] calldata names) external view returns (uint256[] memory weights) {
        weights = new uint256[](names.length);
        for (uint256 i = 0; i < names.length; ++i) {
            weights[i] = weightOf(names[i]);
        }
    }

    /// @notice The part of a name's weight that `count` of its binds have, from the one at `from`; and how many there are.
    /// @dev Saturates like the reference: parts add up to the whole while that is below 2^128.
    function weightOf(bytes32 namehash, uint256 from, uint256 count)
        public
        view
        returns (uint256 weight, uint256 total)
    {
        EnumerableSet.AddressSet storage accounts = _accountsOn[namehash];
        total = accounts.length();
        uint256 end = Math.min(total, Math.saturatingAdd(from, count));
        for (uint256 i = from; i < end; ++i) {
            address account = accounts.at(i);
            Holding memory bind = _binds[account][namehash];
            uint256 left = _left(Math.min(bind.endTime, _locks[account].endTime));
            if (left != 0) weight += VotingPower.power(bind.amount, left);
        }
        weight = Math.min(weight, type(uint128).max);
    }

    /// @notice `count` of a name's binds, from the one at `from`, for ranking elsewhere; and how many there are.
    function bindingsOf(bytes32 namehash, uint256 from, uint256 count)
        external
        view
        returns (Binding[] memory bindings, uint256 total)
    {
        EnumerableSet.AddressSet storage accounts = _accountsOn[namehash];
        total = accounts.length();
        uint256 end = Math.min(total, Math.saturatingAdd(from, count));
        bindings = new Binding[](end > from ? end - from : 0);
        for (uint256 i = 0; i < bindings.length; ++i) {
            address account = accounts.at(from + i);
            Holding memory bind = _binds[account][namehash];
            bindings[i] = Binding(account, bind.amount, bind.endTime, _locks[account].endTime);
        }
    }

    /// @dev Moves up to `maxAmount` of an account's weight from `src` to `dst`.
    function _transfer(address account, bytes32 src, bytes32 dst, uint256 maxAmount, uint256 duration) private {
        require(src != dst, NothingToDo());
        uint128 amount = uint128(Math.min(maxAmount, _binds[account][src].amount));
        bool changed = amount != 0;
        if (changed) _leave(account, src, amount);
        if (dst != UNASSIGNED) {
            changed = _arrive(account, dst, amount, duration) || changed;
        } else if (changed) {
            _binds[account][UNASSIGNED].amount += amount;
        }
        require(changed, NothingToDo());
        if (amount != 0) emit TokensBound(account, src, dst, amount);
    }

    /// @dev Takes weight off `src`, whose bind has to have ended.
    function _leave(address account, bytes32 src, uint128 amount) private {
        Holding storage bind = _binds[account][src];
        if (src == UNASSIGNED) {
            bind.amount -= amount;
            return;
        }
        require(_left(bind.endTime) == 0, BindNotExpired(bind.endTime));
        if (bind.amount == amount) _endBind(account, src);
        else bind.amount -= amount;
        emit ExpiredBindReclaimed(account, src, amount);
    }

    /// @return extended  whether the bind lasts longer than before
    function _arrive(address account, bytes32 dst, uint128 amount, uint256 duration) private returns (bool extended) {
        uint256 lockEnd = _locks[account].endTime;
        require(_left(lockEnd) != 0, LockExpired());
        require(duration <= VotingPower.DURATION_S_MAX, InvalidDuration(duration));
        Holding memory bind = _binds[account][dst];
        uint256 endTime = duration == 0 ? bind.endTime : Math.min(block.timestamp + duration, lockEnd);
        require(endTime >= bind.endTime, CannotShorten());
        // A bind lasts four weeks, or as long as the lock: a lock of four weeks is a second older when it is assigned.
        uint256 left = _left(endTime);
        require(left >= VotingPower.DURATION_S_MIN || endTime == lockEnd, InvalidDuration(left));

        uint256 total = uint256(bind.amount) + amount;
        require(total != 0, NothingToDo());
        bool fresh = bind.amount == 0;
        if (fresh) {
            require(hypermap.tbaOf(dst) != address(0), NotAName(dst));
            require(_namesOf[account].length() < BINDS_MAX, TooManyBinds());
            _namesOf[account].add(dst);
            _accountsOn[dst].add(account);
        }
        _binds[account][dst] = Holding(uint128(total), uint64(endTime));
        extended = endTime > bind.endTime;
        if (fresh) {
            emit BindCreated(account, dst, total, endTime);
            return extended;
        }
        if (amount != 0) emit BindAmountIncreased(account, dst, total, endTime);
        if (extended) emit BindDurationExtended(account, dst, total, endTime);
    }

    /// @dev Forgets a bind that holds nothing any more.
    function _endBind(address account, bytes32 namehash) private {
        delete _binds[account][namehash];
        _namesOf[account].remove(namehash);
        _accountsOn[namehash].remove(account);
    }

    /// @dev Takes HYPR of the caller, and sees that it came.
    function _take(uint256 amount) private {
        uint256 before = hypr.balanceOf(address(this));
        hypr.safeTransferFrom(msg.sender, address(this), amount);
        require(hypr.balanceOf(address(this)) == before + amount, TokenMisbehaved());
    }

    /// @dev Seconds until then; zero when it is over.
    function _left(uint256 endTime) private view returns (uint256) {
        // forge-lint: disable-next-line(block-timestamp)
        return endTime > block.timestamp ? endTime - block.timestamp : 0;
    }
}
