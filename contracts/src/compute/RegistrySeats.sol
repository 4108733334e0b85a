// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IHypermap} from "../namespace/IHypermap.sol";
import {Guard} from "./Guard.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {TypedData} from "./TypedData.sol";

/// @title Who provides: names, keys and life signs of nodes
/// @notice A node id is the hash of a name, and whoever owns the name has the id: registers it, and claims it back from whoever had it
/// before. A claim begins a new seat; the old one keeps its stake and its jobs until they end. An executor signs that it wants to be one,
/// so nobody squats on another's key (findings F39). Source: compute-market, section 4.3.
abstract contract RegistrySeats is INodeRegistry, TypedData, Ownable2Step, Guard {
    using SafeERC20 for IERC20;

    /// @notice Seconds between two heartbeats on the chain, at least.
    uint64 public constant BEAT_EVERY_S_MIN = 1 hours;

    bytes32 private constant REGISTRATION_TYPEHASH =
        keccak256("Registration(bytes32 nodeId,address operator,address executor)");

    /// @notice What is staked.
    IERC20 public immutable token;
    /// @notice Whose names control node ids; zero on a chain without names, where an unused id is anybody's.
    IHypermap public immutable hypermap;

    /// @notice Which seat a node id is at; zero: nobody ever had it.
    mapping(bytes32 nodeId => uint16) public generationOf;
    /// @notice Which node an executor was registered for, also after it was replaced.
    mapping(address executor => bytes32) public nodeOfExecutor;
    /// @notice Executors whose signatures count for nothing any more.
    mapping(address executor => bool) public revoked;
    /// @notice What an account may withdraw.
    mapping(address account => uint256) public creditOf;

    mapping(bytes32 nodeId => mapping(uint16 generation => Seat)) internal _seats;

    /// @param token_     what is staked
    /// @param hypermap_  whose names are node ids; zero: anybody takes any id
    /// @param admin      owns the settings
    constructor(IERC20 token_, IHypermap hypermap_, address admin) TypedData("HypernodeRegistry") Ownable(admin) {
        token = token_;
        hypermap = hypermap_;
    }

    /// @notice Takes an unused node id, as the owner of its name.
    /// @param executor           signs acceptances and receipts
    /// @param payTo              gets what the node earns
    /// @param metaHash           of the description of the device
    /// @param executorSignature  of `Registration`
    function register(
        bytes32 nodeId,
        address executor,
        address payTo,
        bytes32 metaHash,
        bytes calldata executorSignature
    ) external nonReentrant {
        require(generationOf[nodeId] == 0, AlreadyRegistered());
        require(_controlsName(nodeId, msg.sender), NotNameOwner());
        _sit(nodeId, executor, payTo, metaHash, executorSignature);
    }

    /// @notice Takes a node id from whoever registered it, as the owner of its name. Stake and jobs stay with the one before.
    function claim(bytes32 nodeId, address executor, address payTo, bytes32 metaHash, bytes calldata executorSignature)
        external
        nonReentrant
    {
        uint16 generation = generationOf[nodeId];
        require(generation != 0, NodeNotActive());
        require(address(hypermap) != address(0) && _controlsName(nodeId, msg.sender), NotNameOwner());
        Seat storage old = _seats[nodeId][generation];
        require(old.operator != msg.sender, AlreadyRegistered());
        old.on = false;
        _sit(nodeId, executor, payTo, metaHash, executorSignature);
    }

    /// @notice Changes keys and description. The executor before stays good for attempts that it accepted, until they close.
    /// @param executorSignature  may be empty where the executor stays
    function update(bytes32 nodeId, address executor, address payTo, bytes32 metaHash, bytes calldata executorSignature)
        external
        nonReentrant
    {
        Seat storage seat = _operated(nodeId);
        if (executor != seat.executor) _enlist(nodeId, executor, executorSignature);
        _describe(nodeId, seat, executor, payTo, metaHash);
    }

    /// @notice Makes an executor's signatures worthless at once, also for attempts that run; the present one signs for those then.
    function revoke(bytes32 nodeId, address executor) external nonReentrant {
        Seat storage seat = _operated(nodeId);
        require(nodeOfExecutor[executor] == nodeId && seat.executor != executor, BadExecutor());
        revoked[executor] = true;
        emit ExecutorRevoked(nodeId, executor);
    }

    /// @notice Whether the node takes jobs; said by the operator or the executor.
    function setStatus(bytes32 nodeId, bool on) external nonReentrant {
        Seat storage seat = seatOfNode(nodeId);
        require(msg.sender == seat.operator || msg.sender == seat.executor, NotOperator());
        seat.on = on;
        emit NodeUpdated(nodeId, seat.executor, seat.payTo, seat.metaHash, on);
    }

    /// @notice Offers the seat, its stake included, to `to`.
    function transferOperator(bytes32 nodeId, address to) external nonReentrant {
        _operated(nodeId).nextOperator = to;
        emit OperatorProposed(nodeId, to);
    }

    /// @notice Takes what was offered.
    function acceptOperator(bytes32 nodeId) external nonReentrant {
        Seat storage seat = seatOfNode(nodeId);
        require(msg.sender == seat.nextOperator, NotOperator());
        (seat.operator, seat.nextOperator) = (msg.sender, address(0));
        emit OperatorChanged(nodeId, msg.sender);
    }

    /// @notice A sign of life, from the executor.
    function heartbeat(bytes32 nodeId) external nonReentrant {
        Seat storage seat = seatOfNode(nodeId);
        require(msg.sender == seat.executor, Unauthorized());
        require(block.timestamp >= seat.lastBeat + BEAT_EVERY_S_MIN, TooSoon());
        seat.lastBeat = uint64(block.timestamp);
        seat.reportedAt = 0;
        emit Heartbeat(nodeId, uint64(block.timestamp));
    }

    /// @notice Sends all that the caller has coming to `to`.
    function withdraw(address to) external nonReentrant {
        uint256 amount = creditOf[msg.sender];
        require(amount != 0 && to != address(0), BadAmount());
        creditOf[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @notice A node's present seat.
    function nodes(bytes32 nodeId) external view returns (Seat memory) {
        return _seats[nodeId][generationOf[nodeId]];
    }

    /// @notice One of a node's seats; the first is 1.
    function seatAt(bytes32 nodeId, uint16 generation) external view returns (Seat memory) {
        return _seats[nodeId][generation];
    }

    /// @notice Who operates the node.
    function operatorOf(bytes32 nodeId) external view returns (address) {
        return seatOfNode(nodeId).operator;
    }

    /// @notice Who signs for the node.
    function executorOf(bytes32 nodeId) external view returns (address) {
        return seatOfNode(nodeId).executor;
    }

    /// @notice Who gets what the node earns.
    function payToOf(bytes32 nodeId) external view returns (address) {
        return seatOfNode(nodeId).payTo;
    }

    /// @notice What an executor signs to be one.
    function registrationHashOf(bytes32 nodeId, address operator, address executor) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(REGISTRATION_TYPEHASH, nodeId, operator, executor)));
    }

    function seatOfNode(bytes32 nodeId) internal view returns (Seat storage) {
        return _seats[nodeId][generationOf[nodeId]];
    }

    function _operated(bytes32 nodeId) internal view returns (Seat storage seat) {
        seat = seatOfNode(nodeId);
        require(msg.sender == seat.operator, NotOperator());
    }

    function _credit(address account, uint256 amount) internal {
        if (amount == 0) return;
        creditOf[account] += amount;
        emit Credited(account, amount);
    }

    function _sit(bytes32 nodeId, address executor, address payTo, bytes32 metaHash, bytes calldata executorSignature)
        private
    {
        uint16 generation = generationOf[nodeId] + 1;
        generationOf[nodeId] = generation;
        Seat storage seat = _seats[nodeId][generation];
        seat.operator = msg.sender;
        seat.on = true;
        seat.lastBeat = uint64(block.timestamp);
        _enlist(nodeId, executor, executorSignature);
        emit NodeRegistered(nodeId, generation, msg.sender, executor, payTo, metaHash);
        _describe(nodeId, seat, executor, payTo, metaHash);
    }

    function _describe(bytes32 nodeId, Seat storage seat, address executor, address payTo, bytes32 metaHash) private {
        require(payTo != address(0), BadExecutor());
        (seat.executor, seat.payTo, seat.metaHash) = (executor, payTo, metaHash);
        emit NodeUpdated(nodeId, executor, payTo, metaHash, seat.on);
    }

    function _enlist(bytes32 nodeId, address executor, bytes calldata signature) private {
        bytes32 before = nodeOfExecutor[executor];
        require(executor != address(0) && (before == 0 || before == nodeId) && !revoked[executor], BadExecutor());
        nodeOfExecutor[executor] = nodeId;
        require(_signed(executor, registrationHashOf(nodeId, msg.sender, executor), signature), BadSignature());
    }

    function _controlsName(bytes32 nodeId, address who) private view returns (bool) {
        if (address(hypermap) == address(0)) return nodeId != 0;
        (address tba, address owner,) = hypermap.get(nodeId);
        return who == owner || (who == tba && tba != address(0));
    }
}
