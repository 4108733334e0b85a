// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Providers, their stake, and what of it stands for jobs
/// @notice Stake is in the smallest unit of the staking token, times are seconds since 1970.
interface INodeRegistry {
    /// @notice One operator's hold of a node id. It ends when the owner of the name claims the id.
    struct Seat {
        address operator;
        uint64 stake;
        uint32 active;
        address executor;
        uint64 reserved;
        bool on;
        address payTo;
        uint64 unbonding;
        uint64 unbondAt;
        uint64 lastBeat;
        uint64 reportedAt;
        uint64 lastSlashAt;
        bytes32 metaHash;
        address nextOperator;
    }

    /// @notice What stands for one attempt at a job. `state`: 0 none, 1 holds a slot and stake, 2 stake only, 3 closed.
    struct Lease {
        address executor;
        uint64 reserved;
        uint16 generation;
        uint8 state;
    }

    /// @notice Stake that was taken, until it may be appealed no more.
    struct Slash {
        bytes32 nodeId;
        uint16 generation;
        uint64 amount;
        uint64 executableAt;
        address victim;
        uint64 toVictim;
        address challenger;
        uint64 toChallenger;
        bool done;
    }

    /// @notice `operator` has the node id, as its `generation`th.
    event NodeRegistered(
        bytes32 indexed nodeId,
        uint16 generation,
        address indexed operator,
        address indexed executor,
        address payTo,
        bytes32 metaHash
    );
    /// @notice How the node is run from now on. `on`: it takes jobs.
    event NodeUpdated(bytes32 indexed nodeId, address indexed executor, address payTo, bytes32 metaHash, bool on);
    /// @notice The seat is offered to `to`, which has to accept it.
    event OperatorProposed(bytes32 indexed nodeId, address indexed to);
    /// @notice `operator` has the seat and its stake.
    event OperatorChanged(bytes32 indexed nodeId, address indexed operator);
    /// @notice That key signs for no node any more.
    event ExecutorRevoked(bytes32 indexed nodeId, address indexed executor);
    /// @notice `from` added `amount`; `stake` is there now.
    event Staked(bytes32 indexed nodeId, address indexed from, uint256 amount, uint256 stake);
    /// @notice `amount` stands for nothing any more, and is withdrawn from `availableAt` on.
    event UnstakeRequested(bytes32 indexed nodeId, uint16 generation, uint256 amount, uint64 availableAt);
    /// @notice Stake was paid out to its operator.
    event StakeWithdrawn(bytes32 indexed nodeId, uint16 generation, address indexed operator, uint256 amount);
    /// @notice An attempt holds a slot and `amount` of the stake.
    event Reserved(bytes32 indexed nodeId, bytes32 indexed jobId, uint32 attempt, uint256 amount);
    /// @notice The job is disputed: its slot is free, its reservation stands.
    event SlotFreed(bytes32 indexed nodeId, bytes32 indexed jobId, uint32 attempt);
    /// @notice The attempt holds nothing any more.
    event Released(bytes32 indexed nodeId, bytes32 indexed jobId, uint32 attempt);
    /// @notice The executor says that the node is alive.
    event Heartbeat(bytes32 indexed nodeId, uint64 at);
    /// @notice `by` says that the node is silent; it has a while to answer.
    event OfflineReported(bytes32 indexed nodeId, address indexed by);
    /// @notice `amount` was taken, and is given away from `executableAt` on unless that is cancelled.
    event SlashProposed(
        uint256 indexed slashId,
        bytes32 indexed nodeId,
        uint256 amount,
        uint8 reason,
        bytes32 evidence,
        uint64 executableAt
    );
    /// @notice Where what was taken went.
    event SlashExecuted(uint256 indexed slashId, uint256 toVictim, uint256 toChallenger, uint256 burned);
    /// @notice What was taken is its operator's credit.
    event SlashCancelled(uint256 indexed slashId);
    /// @notice Whether that contract may assign and close jobs.
    event EscrowSet(address indexed escrow, bool admitted);
    /// @notice `account` has that much more to withdraw.
    event Credited(address indexed account, uint256 amount);
    /// @notice `account` took what it had coming, to `to`.
    event Withdrawn(address indexed account, address to, uint256 amount);

    /// @notice The node id has an operator: somebody, or the caller.
    error AlreadyRegistered();
    /// @notice Only for the operator of the seat, or who is offered it.
    error NotOperator();
    /// @notice The caller does not own the name that the node id is of.
    error NotNameOwner();
    /// @notice There is no such node, or it takes no jobs.
    error NodeNotActive();
    /// @notice Jobs stand in the way.
    error NodeBusy();
    /// @notice The stake has no slot for another job.
    error CapacityExceeded();
    /// @notice The stake is less than that.
    error InsufficientStake();
    /// @notice The wait is not over.
    error CooldownActive();
    /// @notice It was done, or happened, too short a time ago.
    error TooSoon();
    /// @notice The caller may not do this.
    error Unauthorized();
    /// @notice The key is another node's, was revoked, or is nobody; or the pay would go to nobody.
    error BadExecutor();
    /// @notice Not signed by whom it has to be.
    error BadSignature();
    /// @notice Nothing, too much, or to nobody.
    error BadAmount();
    /// @notice The token moved something else than was asked for.
    error TransferMismatch();
    /// @notice The two receipts do not contradict each other.
    error NotEquivocation();
    /// @notice It was executed, cancelled or used already, or there is none.
    error SlashDone();

    /// @notice The escrow assigns an attempt: takes a slot and reserves stake that is worth at least `exposure`.
    function onAssign(bytes32 jobId, uint32 attempt, bytes32 nodeId, uint256 exposure)
        external
        returns (address executor, address payTo);

    /// @notice The job is disputed: its slot is free, its reservation stands.
    function onDispute(bytes32 jobId, uint32 attempt, bytes32 nodeId) external;

    /// @notice The attempt is over. Never reverts, so that it never keeps money in the escrow.
    function onClose(bytes32 jobId, uint32 attempt, bytes32 nodeId) external;

    /// @notice The node cheated: takes the reservation. Nothing where it is gone already.
    /// @param exposure    what the client paid and did not get back, as stake: the most it may get
    /// @param challenger  who showed it; zero for nobody
    /// @return taken  how much was
    function convict(
        bytes32 jobId,
        uint32 attempt,
        bytes32 nodeId,
        address client,
        uint256 exposure,
        address challenger,
        bytes32 evidence
    ) external returns (uint256 taken);

    /// @notice Whose signature counts for the attempt; zero once it is closed.
    function executorFor(bytes32 jobId, uint32 attempt, bytes32 nodeId) external view returns (address);

    /// @notice Whether `who` operates the node and has the stake of a tier.
    function isStakedOperator(bytes32 nodeId, address who) external view returns (bool);
}
