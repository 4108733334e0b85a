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

    event NodeRegistered(
        bytes32 indexed nodeId,
        uint16 generation,
        address indexed operator,
        address indexed executor,
        address payTo,
        bytes32 metaHash
    );
    event NodeUpdated(bytes32 indexed nodeId, address indexed executor, address payTo, bytes32 metaHash, bool on);
    event OperatorProposed(bytes32 indexed nodeId, address indexed to);
    event OperatorChanged(bytes32 indexed nodeId, address indexed operator);
    event ExecutorRevoked(bytes32 indexed nodeId, address indexed executor);
    event Staked(bytes32 indexed nodeId, address indexed from, uint256 amount, uint256 stake);
    event UnstakeRequested(bytes32 indexed nodeId, uint16 generation, uint256 amount, uint64 availableAt);
    event StakeWithdrawn(bytes32 indexed nodeId, uint16 generation, address indexed operator, uint256 amount);
    event Reserved(bytes32 indexed nodeId, bytes32 indexed jobId, uint32 attempt, uint256 amount);
    event SlotFreed(bytes32 indexed nodeId, bytes32 indexed jobId, uint32 attempt);
    event Released(bytes32 indexed nodeId, bytes32 indexed jobId, uint32 attempt);
    event Heartbeat(bytes32 indexed nodeId, uint64 at);
    event OfflineReported(bytes32 indexed nodeId, address indexed by);
    event SlashProposed(
        uint256 indexed slashId,
        bytes32 indexed nodeId,
        uint256 amount,
        uint8 reason,
        bytes32 evidence,
        uint64 executableAt
    );
    event SlashExecuted(uint256 indexed slashId, uint256 toVictim, uint256 toChallenger, uint256 burned);
    event SlashCancelled(uint256 indexed slashId);
    event EscrowSet(address indexed escrow, bool admitted);
    event Credited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, address to, uint256 amount);

    error AlreadyRegistered();
    error NotOperator();
    error NotNameOwner();
    error NodeNotActive();
    error NodeBusy();
    error CapacityExceeded();
    error InsufficientStake();
    error CooldownActive();
    error TooSoon();
    error Unauthorized();
    error BadExecutor();
    error BadSignature();
    error BadAmount();
    error TransferMismatch();
    error NotEquivocation();
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
