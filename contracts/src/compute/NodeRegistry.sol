// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IHypermap} from "../namespace/IHypermap.sol";
import {IERC3009} from "./IERC3009.sol";
import {IVerifierSet} from "./IVerifierSet.sol";
import {RegistrySeats} from "./RegistrySeats.sol";
import {RegistrySlashing} from "./RegistrySlashing.sol";

/// @title Providers and their stake
/// @notice Stake gives a node slots for jobs, and every job that runs has its share of the stake reserved: stake over slots, and no job is
/// worth more than that. So a node that cheats loses at least what it could have won, at every price (findings F38).
/// Source: compute-market, sections 4.3 and 6.5.
contract NodeRegistry is RegistrySlashing {
    using SafeERC20 for IERC20;

    /// @notice Seconds between asking for stake back and having it.
    uint64 public constant COOLDOWN_S = 7 days;

    /// @notice Signed stakes by authorisation of a node: the next nonce is made of it.
    mapping(bytes32 nodeId => uint256) public stakeNonceOf;

    /// @param token_  has no fees, does not rebase, and has fewer than 2^64 units
    /// @param admin   a timelock where there is money at stake
    constructor(IERC20 token_, IHypermap hypermap_, IVerifierSet verifiers_, address admin)
        RegistrySeats(token_, hypermap_, admin)
        RegistrySlashing(verifiers_)
    {}

    /// @notice Adds to a node's stake. It is its operator's then, whoever paid.
    function stake(bytes32 nodeId, uint256 amount) external nonReentrant {
        _stakeFrom(nodeId, msg.sender, amount);
    }

    /// @notice The same after a permit (EIP-2612) of the caller's.
    function stakeWithPermit(bytes32 nodeId, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
    {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _stakeFrom(nodeId, msg.sender, amount);
    }

    /// @notice The same by an authorisation (EIP-3009) with `stakeAuthorizationOf(nodeId)` as nonce.
    function stakeWithAuthorization(
        bytes32 nodeId,
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 nonce = stakeAuthorizationOf(nodeId);
        ++stakeNonceOf[nodeId];
        _addStake(nodeId, from, amount);
        uint256 before = token.balanceOf(address(this));
        IERC3009(address(token))
            .receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, nonce, signature);
        require(token.balanceOf(address(this)) - before == amount, TransferMismatch());
    }

    /// @notice Asks for stake back that nothing is reserved of. All that was asked for comes `COOLDOWN_S` after the last time.
    function requestUnstake(bytes32 nodeId, uint256 amount) external nonReentrant {
        _requestUnstake(nodeId, generationOf[nodeId], amount);
    }

    /// @notice The same for a seat that was lost to the owner of the name.
    function requestUnstakeAt(bytes32 nodeId, uint16 generation, uint256 amount) external nonReentrant {
        _requestUnstake(nodeId, generation, amount);
    }

    /// @notice Sends the operator what it asked for, when the time has come.
    function withdrawStake(bytes32 nodeId) external nonReentrant {
        _withdrawStake(nodeId, generationOf[nodeId]);
    }

    /// @notice The same for a seat that was lost to the owner of the name.
    function withdrawStakeAt(bytes32 nodeId, uint16 generation) external nonReentrant {
        _withdrawStake(nodeId, generation);
    }

    /// @notice Lets a contract assign and close jobs.
    function setEscrow(address escrow, bool admitted) external onlyOwner {
        isEscrow[escrow] = admitted;
        emit EscrowSet(escrow, admitted);
    }

    /// @notice Which nonce an authorisation for the node's next stake has.
    function stakeAuthorizationOf(bytes32 nodeId) public view returns (bytes32) {
        return keccak256(abi.encode("stake", nodeId, stakeNonceOf[nodeId]));
    }

    /// @notice 0 none, 1 Starter, 2 Standard, 3 Professional, 4 Enterprise.
    function tierOf(bytes32 nodeId) external view returns (uint256 tier) {
        uint256 slots = capacityOf(seatOfNode(nodeId).stake);
        return slots == 0 ? 0 : slots == 1 ? 1 : slots == 3 ? 2 : slots == 10 ? 3 : 4;
    }

    function _stakeFrom(bytes32 nodeId, address from, uint256 amount) private {
        _addStake(nodeId, from, amount);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        require(token.balanceOf(address(this)) - before == amount, TransferMismatch());
    }

    function _addStake(bytes32 nodeId, address from, uint256 amount) private {
        Seat storage seat = seatOfNode(nodeId);
        require(seat.operator != address(0), NodeNotActive());
        // All amounts of a seat fit where their sum does.
        uint256 whole = uint256(seat.stake) + seat.unbonding + amount;
        require(amount != 0 && whole <= type(uint64).max, BadAmount());
        seat.stake += uint64(amount);
        emit Staked(nodeId, from, amount, seat.stake);
    }

    function _requestUnstake(bytes32 nodeId, uint16 generation, uint256 amount) private {
        Seat storage seat = _seats[nodeId][generation];
        require(msg.sender == seat.operator, NotOperator());
        require(amount != 0 && amount <= seat.stake, InsufficientStake());
        uint256 left = seat.stake - amount;
        require(left >= seat.reserved && capacityOf(left) >= seat.active, NodeBusy());
        seat.stake = uint64(left);
        seat.unbonding += uint64(amount);
        seat.unbondAt = uint64(block.timestamp) + COOLDOWN_S;
        emit UnstakeRequested(nodeId, generation, amount, seat.unbondAt);
    }

    function _withdrawStake(bytes32 nodeId, uint16 generation) private {
        Seat storage seat = _seats[nodeId][generation];
        require(msg.sender == seat.operator, NotOperator());
        uint256 amount = seat.unbonding;
        require(amount != 0, BadAmount());
        require(block.timestamp >= seat.unbondAt, CooldownActive());
        seat.unbonding = 0;
        emit StakeWithdrawn(nodeId, generation, msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }
}
