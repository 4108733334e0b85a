// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ComputeEscrow} from "./ComputeEscrow.sol";
import {IBurnable} from "./IBurnable.sol";
import {IComputeEscrow} from "./IComputeEscrow.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IVerifierSet} from "./IVerifierSet.sol";
import {RegistrySeats} from "./RegistrySeats.sol";

/// @title Reservations, and how stake is lost
/// @notice A job that ends in a conviction loses its own reservation and no other job's; convictions for different jobs do not wait for each
/// other. Of what is taken the client gets at most what it paid and did not get back, the challenger a tenth of the rest up to 100 HYPER,
/// and the remainder is burned: nobody profits from a stolen executor key (findings F38, F39). Slashes may be appealed for a week.
/// Source: compute-market, section 4.5.
abstract contract RegistrySlashing is RegistrySeats {
    using SafeERC20 for IERC20;

    /// @notice The stake of the lowest tier: 100 HYPER.
    uint256 public constant STAKE_MIN = 100e6;
    /// @notice Slots of the highest tier: more would make a reservation worth nothing.
    uint256 public constant SLOTS_MAX = 100;
    /// @notice What a challenger gets at most: 100 HYPER.
    uint256 public constant CHALLENGER_MAX = 100e6;
    /// @notice Seconds in which a slash may be cancelled.
    uint64 public constant APPEAL_S = 7 days;
    /// @notice Seconds without a heartbeat after which a node may be reported.
    uint64 public constant SILENCE_S_MAX = 48 hours;
    /// @notice Seconds that a reported node has to answer.
    uint64 public constant ANSWER_S = 24 hours;
    /// @notice Seconds between two slashes of a node that are not for a job.
    uint64 public constant SLASH_EVERY_S_MIN = 24 hours;

    uint8 private constant HOLDS_SLOT = 1;
    uint8 private constant HOLDS_STAKE = 2;
    uint8 private constant CLOSED = 3;
    uint8 private constant REASON_FALSE_RESULT = 1;
    uint8 private constant REASON_DOWNTIME = 2;
    uint8 private constant REASON_EQUIVOCATION = 3;
    uint8 private constant REASON_ABANDONMENT = 4;
    uint8 private constant REASON_GOVERNANCE = 5;
    uint256 private constant DOWNTIME_BPS_PER_DAY = 100;
    uint256 private constant DOWNTIME_BPS_MAX = 500;
    uint256 private constant ABANDONMENT_BPS = 200;
    uint256 private constant GOVERNANCE_BPS_MAX = 5_000;
    address private constant NOBODY = 0x000000000000000000000000000000000000dEaD;

    bytes32 private constant CANCEL_TYPEHASH = keccak256("SlashCancel(uint256 slashId)");
    bytes32 private constant ABANDONMENT_TYPEHASH =
        keccak256("Abandonment(bytes32 nodeId,uint16 generation,bytes32 evidenceHash,uint64 issuedAt)");

    /// @notice Who signs that a node abandons its jobs, and that a slash was wrong.
    IVerifierSet public immutable verifiers;

    /// @notice Contracts that assign and close jobs.
    mapping(address escrow => bool) public isEscrow;
    /// @notice How many slashes there were.
    uint256 public slashCount;

    mapping(bytes32 key => Lease) private _leases;
    mapping(uint256 slashId => Slash) private _slashes;
    mapping(bytes32 digest => bool) private _used;

    /// @notice Only for a contract that assigns and closes jobs.
    modifier onlyEscrow() {
        require(isEscrow[msg.sender], Unauthorized());
        _;
    }

    /// @param verifiers_  whose signatures slash, and give back what was
    constructor(IVerifierSet verifiers_) {
        verifiers = verifiers_;
    }

    /// @inheritdoc INodeRegistry
    function onAssign(bytes32 jobId, uint32 attempt, bytes32 nodeId, uint256 exposure)
        external
        onlyEscrow
        nonReentrant
        returns (address executor, address payTo)
    {
        uint16 generation = generationOf[nodeId];
        Seat storage seat = _seats[nodeId][generation];
        require(seat.on, NodeNotActive());
        (uint256 staked, uint256 active, uint256 reserved) = (seat.stake, seat.active, seat.reserved);
        uint256 slots = capacityOf(staked);
        require(active < slots, CapacityExceeded());
        uint256 share = staked / slots;
        require(exposure <= share, InsufficientStake());
        require(reserved + share <= staked, CapacityExceeded());
        Lease storage lease = _lease(jobId, attempt, nodeId);
        require(lease.state == 0, NodeBusy());
        (executor, payTo) = (seat.executor, seat.payTo);
        seat.active = uint32(active + 1);
        seat.reserved = uint64(reserved + share);
        (lease.executor, lease.reserved, lease.generation, lease.state) =
        (executor, uint64(share), generation, HOLDS_SLOT);
        emit Reserved(nodeId, jobId, attempt, share);
    }

    /// @inheritdoc INodeRegistry
    function onDispute(bytes32 jobId, uint32 attempt, bytes32 nodeId) external onlyEscrow nonReentrant {
        Lease storage lease = _lease(jobId, attempt, nodeId);
        if (lease.state != HOLDS_SLOT) return;
        lease.state = HOLDS_STAKE;
        --_seats[nodeId][lease.generation].active;
        emit SlotFreed(nodeId, jobId, attempt);
    }

    /// @inheritdoc INodeRegistry
    function onClose(bytes32 jobId, uint32 attempt, bytes32 nodeId) external onlyEscrow nonReentrant {
        _close(jobId, attempt, nodeId);
    }

    /// @inheritdoc INodeRegistry
    function convict(
        bytes32 jobId,
        uint32 attempt,
        bytes32 nodeId,
        address client,
        uint256 exposure,
        address challenger,
        bytes32 evidence
    ) external onlyEscrow nonReentrant returns (uint256 taken) {
        uint16 generation = _lease(jobId, attempt, nodeId).generation;
        taken = _takeReservation(jobId, attempt, nodeId);
        if (taken == 0) return 0;
        Slash memory slash = _slashOf(nodeId, generation, taken);
        (slash.victim, slash.toVictim) = (client, uint64(Math.min(taken, exposure)));
        slash.challenger = challenger;
        _reward(slash);
        _queue(slash, REASON_FALSE_RESULT, evidence);
    }

    /// @notice Takes the reservation of a job for which the executor signed two different receipts. The caller gets the challenger's share.
    /// Only while the job runs: so a stolen key is worth what its open jobs have reserved and no more. Revoking it does not undo what it
    /// signed.
    function slashEquivocation(
        ComputeEscrow escrow,
        IComputeEscrow.Receipt calldata receiptA,
        bytes calldata signatureA,
        IComputeEscrow.Receipt calldata receiptB,
        bytes calldata signatureB
    ) external nonReentrant {
        require(isEscrow[address(escrow)], Unauthorized());
        (bytes32 jobId, uint32 attempt, bytes32 nodeId) = (receiptA.jobId, receiptA.attempt, receiptA.nodeId);
        bytes32 a = escrow.receiptHashOf(receiptA);
        bytes32 b = escrow.receiptHashOf(receiptB);
        require(
            a != b && receiptB.jobId == jobId && receiptB.attempt == attempt && receiptB.nodeId == nodeId,
            NotEquivocation()
        );
        Lease memory lease = _lease(jobId, attempt, nodeId);
        require(_signed(lease.executor, a, signatureA) && _signed(lease.executor, b, signatureB), BadSignature());
        uint256 taken = _takeReservation(jobId, attempt, nodeId);
        require(taken != 0, SlashDone());
        Slash memory slash = _slashOf(nodeId, lease.generation, taken);
        slash.challenger = msg.sender;
        _reward(slash);
        _queue(slash, REASON_EQUIVOCATION, keccak256(abi.encode(a, b)));
    }

    /// @notice Says that a node has been silent for too long.
    function reportOffline(bytes32 nodeId) external nonReentrant {
        Seat storage seat = seatOfNode(nodeId);
        require(seat.operator != address(0), NodeNotActive());
        require(seat.reportedAt == 0 && block.timestamp > seat.lastBeat + SILENCE_S_MAX, TooSoon());
        seat.reportedAt = uint64(block.timestamp);
        emit OfflineReported(nodeId, msg.sender);
    }

    /// @notice Takes stake of a node that was reported and did not answer: 1 % for each day that began since it may be, 5 % at most.
    function slashOffline(bytes32 nodeId) external nonReentrant {
        Seat storage seat = seatOfNode(nodeId);
        require(seat.reportedAt != 0 && block.timestamp > seat.reportedAt + ANSWER_S, TooSoon());
        uint256 late = block.timestamp - seat.lastBeat - SILENCE_S_MAX;
        uint256 bps = Math.min(DOWNTIME_BPS_MAX, DOWNTIME_BPS_PER_DAY * ((late + 1 days - 1) / 1 days));
        // Another silence is another report.
        seat.reportedAt = 0;
        seat.lastBeat = uint64(block.timestamp);
        _slashShare(nodeId, bps, REASON_DOWNTIME, 0);
    }

    /// @notice Takes 2 % of the stake of a node that the quorum for disputes says abandons its jobs.
    function slashAbandonment(
        bytes32 nodeId,
        bytes32 evidenceHash,
        uint64 issuedAt,
        IVerifierSet.Signed[] calldata signatures
    ) external nonReentrant {
        bytes32 digest = abandonmentHashOf(nodeId, generationOf[nodeId], evidenceHash, issuedAt);
        require(!_used[digest], SlashDone());
        _used[digest] = true;
        verifiers.check(digest, signatures, true);
        _slashShare(nodeId, ABANDONMENT_BPS, REASON_ABANDONMENT, evidenceHash);
    }

    /// @notice The owner takes stake of a node, at most half.
    function slashByOwner(bytes32 nodeId, uint256 bps, bytes32 evidence) external onlyOwner nonReentrant {
        require(bps <= GOVERNANCE_BPS_MAX, BadAmount());
        _slashShare(nodeId, bps, REASON_GOVERNANCE, evidence);
    }

    /// @notice Shares out a slash that nobody cancelled in time.
    function executeSlash(uint256 slashId) external nonReentrant {
        Slash storage slash = _slashes[slashId];
        require(slash.amount != 0 && !slash.done, SlashDone());
        require(block.timestamp >= slash.executableAt, CooldownActive());
        slash.done = true;
        _credit(slash.victim, slash.toVictim);
        _credit(slash.challenger, slash.toChallenger);
        uint256 rest = uint256(slash.amount) - slash.toVictim - slash.toChallenger;
        emit SlashExecuted(slashId, slash.toVictim, slash.toChallenger, rest);
        if (rest == 0) return;
        try IBurnable(address(token)).burn(rest) {}
        catch {
            token.safeTransfer(NOBODY, rest);
        }
    }

    /// @notice Gives a slash back that the quorum for disputes calls wrong.
    function cancelSlash(uint256 slashId, IVerifierSet.Signed[] calldata signatures) external nonReentrant {
        Slash storage slash = _slashes[slashId];
        require(slash.amount != 0 && !slash.done, SlashDone());
        verifiers.check(slashCancelHashOf(slashId), signatures, true);
        slash.done = true;
        // Not into the stake, whose sum with more of it might not fit: the operator stakes it again.
        _credit(_seats[slash.nodeId][slash.generation].operator, slash.amount);
        emit SlashCancelled(slashId);
    }

    /// @notice How many jobs at a time a stake allows.
    function capacityOf(uint256 staked) public pure returns (uint256) {
        if (staked < STAKE_MIN) return 0;
        if (staked < 10 * STAKE_MIN) return 1;
        if (staked < 100 * STAKE_MIN) return 3;
        return staked < 1_000 * STAKE_MIN ? 10 : SLOTS_MAX;
    }

    /// @notice What stands for an attempt.
    function leaseOf(bytes32 jobId, uint32 attempt, bytes32 nodeId) external view returns (Lease memory) {
        return _lease(jobId, attempt, nodeId);
    }

    /// @notice A slash, by its number from 1.
    function slashOf(uint256 slashId) external view returns (Slash memory) {
        return _slashes[slashId];
    }

    /// @inheritdoc INodeRegistry
    function executorFor(bytes32 jobId, uint32 attempt, bytes32 nodeId) external view returns (address) {
        Lease storage lease = _lease(jobId, attempt, nodeId);
        if (lease.state == 0 || lease.state == CLOSED) return address(0);
        address executor = lease.executor;
        return revoked[executor] ? _seats[nodeId][lease.generation].executor : executor;
    }

    /// @inheritdoc INodeRegistry
    function isStakedOperator(bytes32 nodeId, address who) external view returns (bool) {
        Seat storage seat = seatOfNode(nodeId);
        return who == seat.operator && seat.stake >= STAKE_MIN;
    }

    /// @notice What verifiers sign to give a slash back.
    function slashCancelHashOf(uint256 slashId) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(CANCEL_TYPEHASH, slashId)));
    }

    /// @notice What verifiers sign to say that a node abandons its jobs.
    function abandonmentHashOf(bytes32 nodeId, uint16 generation, bytes32 evidenceHash, uint64 issuedAt)
        public
        view
        returns (bytes32)
    {
        return _digest(keccak256(abi.encode(ABANDONMENT_TYPEHASH, nodeId, generation, evidenceHash, issuedAt)));
    }

    function _close(bytes32 jobId, uint32 attempt, bytes32 nodeId) private returns (uint64 reserved) {
        Lease storage lease = _lease(jobId, attempt, nodeId);
        uint8 state = lease.state;
        if (state != HOLDS_SLOT && state != HOLDS_STAKE) return 0;
        reserved = lease.reserved;
        lease.state = CLOSED;
        Seat storage seat = _seats[nodeId][lease.generation];
        seat.reserved -= reserved;
        if (state == HOLDS_SLOT) --seat.active;
        emit Released(nodeId, jobId, attempt);
    }

    function _takeReservation(bytes32 jobId, uint32 attempt, bytes32 nodeId) private returns (uint64 taken) {
        taken = _close(jobId, attempt, nodeId);
        if (taken != 0) _seats[nodeId][_lease(jobId, attempt, nodeId).generation].stake -= taken;
    }

    /// @dev Of what is not reserved for jobs, what is being withdrawn included. What is reserved is only ever lost with its job.
    function _slashShare(bytes32 nodeId, uint256 bps, uint8 reason, bytes32 evidence) private {
        uint16 generation = generationOf[nodeId];
        Seat storage seat = _seats[nodeId][generation];
        require(block.timestamp >= seat.lastSlashAt + SLASH_EVERY_S_MIN, TooSoon());
        seat.lastSlashAt = uint64(block.timestamp);
        uint256 free = uint256(seat.stake) - seat.reserved;
        uint256 amount = Math.min((uint256(seat.stake) + seat.unbonding) * bps / 10_000, free + seat.unbonding);
        if (amount == 0) return;
        uint256 first = Math.min(amount, free);
        seat.stake -= uint64(first);
        seat.unbonding -= uint64(amount - first);
        _queue(_slashOf(nodeId, generation, amount), reason, evidence);
    }

    function _slashOf(bytes32 nodeId, uint16 generation, uint256 amount) private view returns (Slash memory slash) {
        slash.nodeId = nodeId;
        slash.generation = generation;
        slash.amount = uint64(amount);
        slash.executableAt = uint64(block.timestamp) + APPEAL_S;
    }

    function _reward(Slash memory slash) private pure {
        if (slash.challenger == address(0)) return;
        slash.toChallenger = uint64(Math.min((slash.amount - slash.toVictim) / 10, CHALLENGER_MAX));
    }

    function _queue(Slash memory slash, uint8 reason, bytes32 evidence) private {
        uint256 slashId = ++slashCount;
        _slashes[slashId] = slash;
        emit SlashProposed(slashId, slash.nodeId, slash.amount, reason, evidence, slash.executableAt);
    }

    function _lease(bytes32 jobId, uint32 attempt, bytes32 nodeId) private view returns (Lease storage) {
        return _leases[keccak256(abi.encode(jobId, attempt, nodeId))];
    }
}
