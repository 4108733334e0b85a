// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Guard} from "./Guard.sol";
import {IBurnable} from "./IBurnable.sol";
import {IComputeEscrow} from "./IComputeEscrow.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {TypedData} from "./TypedData.sol";

/// @title The escrow's jobs, credits, fees and settings
/// @notice Nothing is ever sent to anybody who did not ask: what a party has coming is a credit, and a credit is withdrawn. So a receiver
/// that cannot be paid keeps nobody else from their money. Source: compute-market, sections 6.2 and 6.6.
abstract contract EscrowLedger is IComputeEscrow, TypedData, Ownable2Step, Guard {
    using SafeERC20 for IERC20;

    /// @notice The whole, in basis points.
    uint256 internal constant BPS = 10_000;
    /// @notice The most that the treasury may be set to get.
    uint16 public constant PROTOCOL_BPS_MAX = 1_500;
    /// @notice The most that platforms may be set to get.
    uint16 public constant PLATFORM_BPS_MAX = 1_000;
    /// @notice Whose credits are burned.
    address public constant BURNED = 0x000000000000000000000000000000000000dEaD;
    /// @notice Calls in one batch.
    uint256 public constant BATCH_MAX = 64;

    /// @notice Where nodes and their stake are.
    INodeRegistry public immutable registry;

    /// @notice Gets the protocol's share.
    address public treasury;
    /// @notice The protocol's share of jobs that are funded from now on.
    uint16 public protocolBps = 1_000;
    /// @notice The platform's share of jobs that are funded from now on.
    uint16 public platformBps = 500;
    /// @notice Of the protocol's share, what is burned and not the treasury's; zero at first.
    uint16 public burnBps;
    /// @notice Whether funding and assigning is stopped. Everything that gives money back never is.
    bool public paused;
    /// @notice May stop and resume funding and assigning.
    address public pauser;
    /// @notice Which tokens are taken.
    mapping(address token => TokenRule) public tokenRules;
    /// @notice What an account may withdraw.
    mapping(address account => mapping(address token => uint256)) public creditOf;

    /// @notice Of a receipt that the quorum for disputes ruled on otherwise than a verdict: what that verdict paid; the highest number for any
    /// verdict to pay for it. What its verifiers answer for.
    mapping(bytes32 receiptHash => uint256) public overruled;

    mapping(bytes32 jobId => Job) internal _jobs;

    /// @notice Only while funding and assigning go on.
    modifier whenNotPaused() {
        require(!paused, EnforcedPause());
        _;
    }

    /// @param registry_  whose nodes do the jobs
    /// @param admin      owns the settings
    /// @param treasury_  protocol fees are credited to it
    /// @param pauser_    may stop funding and assigning, besides the owner; zero for nobody
    constructor(INodeRegistry registry_, address admin, address treasury_, address pauser_)
        TypedData("HypernodeEscrow")
        Ownable(admin)
    {
        registry = registry_;
        _setTreasury(treasury_);
        pauser = pauser_;
        emit PauserSet(pauser_);
        emit FeesSet(protocolBps, platformBps);
    }

    /// @notice Sends all that the caller has coming of `token` to `to`.
    function withdraw(address token, address to) external nonReentrant {
        _withdraw(msg.sender, token, to);
    }

    /// @notice Sends all that `account` has coming of `token` to it. Of `BURNED` it is burned, or goes where nobody has the key.
    function withdrawFor(address account, address token) external nonReentrant {
        _withdraw(account, token, account);
    }

    /// @notice Several calls of this escrow in one transaction, as the caller's own: assign, propose and finalize of many jobs.
    /// @param calls  calldata of each; at most `BATCH_MAX`
    /// @param all    whether one that fails undoes the others; if not, an event tells which failed
    /// @return done  which did not fail
    function batch(bytes[] calldata calls, bool all) external returns (bool[] memory done) {
        require(calls.length <= BATCH_MAX, BadSetting());
        done = new bool[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes memory answer;
            (done[i], answer) = address(this).delegatecall(calls[i]);
            if (done[i]) continue;
            if (all) {
                assembly ("memory-safe") {
                    revert(add(answer, 0x20), mload(answer))
                }
            }
            emit BatchCallFailed(i, answer);
        }
    }

    /// @notice A job; all zeros where there is none.
    function getJob(bytes32 jobId) external view returns (Job memory) {
        return _jobs[jobId];
    }

    /// @notice How a payout is shared: the fees are rounded down, so that what does not divide is the provider's.
    function splitOf(uint256 payout, uint16 protocolShare, uint16 platformShare)
        public
        pure
        returns (uint256 provider, uint256 protocolFee, uint256 platformFee)
    {
        protocolFee = payout * protocolShare / BPS;
        platformFee = payout * platformShare / BPS;
        provider = payout - protocolFee - platformFee;
    }

    /// @notice Sets the shares of jobs that are funded from now on.
    function setFees(uint16 protocol, uint16 platform) external onlyOwner {
        require(protocol <= PROTOCOL_BPS_MAX && platform <= PLATFORM_BPS_MAX, BadSetting());
        (protocolBps, platformBps) = (protocol, platform);
        emit FeesSet(protocol, platform);
    }

    /// @notice Sets what of the protocol's share is burned.
    function setBurn(uint16 bps) external onlyOwner {
        require(bps <= BPS, BadSetting());
        burnBps = bps;
        emit BurnSet(bps);
    }

    /// @notice Sets who gets the protocol's share.
    function setTreasury(address to) external onlyOwner {
        _setTreasury(to);
    }

    /// @notice Sets who may stop funding and assigning; zero for the owner alone.
    function setPauser(address who) external onlyOwner {
        pauser = who;
        emit PauserSet(who);
    }

    /// @notice Takes a token, or takes it no more for new jobs. It must not change balances by itself.
    /// @param exposurePpm  stake that stands for a million of its smallest units; zero: not taken
    /// @param minBond      the least that a dispute costs
    function setTokenRule(address token, uint64 exposurePpm, uint128 minBond) external onlyOwner {
        tokenRules[token] = TokenRule(exposurePpm, minBond);
        emit TokenRuleSet(token, exposurePpm, minBond);
    }

    /// @notice Stops or resumes funding and assigning.
    function setPaused(bool stop) external {
        require(msg.sender == pauser || msg.sender == owner(), Unauthorized());
        paused = stop;
        emit PausedSet(stop);
    }

    function _setTreasury(address to) private {
        require(to != address(0), BadSetting());
        treasury = to;
        emit TreasurySet(to);
    }

    function _withdraw(address account, address token, address to) private {
        uint256 amount = creditOf[account][token];
        require(amount != 0 && to != address(0), NothingToWithdraw());
        creditOf[account][token] = 0;
        emit Withdrawn(account, token, to, amount);
        if (account == BURNED) {
            try IBurnable(token).burn(amount) {
                return;
            } catch {}
        }
        IERC20(token).safeTransfer(to, amount);
    }

    function _credit(address account, address token, uint256 amount) internal {
        if (amount == 0) return;
        creditOf[account][token] += amount;
        emit Credited(account, token, amount);
    }

    function _creditProtocol(address token, uint256 fee) private {
        uint256 burned = fee * burnBps / BPS;
        _credit(treasury, token, fee - burned);
        _credit(BURNED, token, burned);
    }

    /// @dev Takes exactly `amount` from `from`, who approved it.
    function _pull(address token, address from, uint256 amount) internal {
        uint256 before = _balance(token);
        IERC20(token).safeTransferFrom(from, address(this), amount);
        _received(token, before, amount);
    }

    function _received(address token, uint256 before, uint256 amount) internal view {
        require(_balance(token) - before == amount, TransferMismatch());
    }

    function _balance(address token) internal view returns (uint256) {
        return IERC20(token).balanceOf(address(this));
    }

    /// @dev How a job's payout is shared.
    function _split(Job storage job, uint256 payout)
        internal
        view
        returns (uint256 provider, uint256 protocolFee, uint256 platformFee)
    {
        return splitOf(payout, job.protocolBps, job.platform == address(0) ? 0 : job.platformBps);
    }

    /// @dev The end of a job that pays `payout` in all, of which vouchers paid `paid`: nothing, or all of it.
    function _settle(bytes32 jobId, Job storage job, uint256 paid, uint256 payout) internal {
        job.state = State.Settled;
        job.payout = uint128(payout);
        (uint256 provider, uint256 protocolFee, uint256 platformFee) = _split(job, payout);
        uint256 rest = job.amount - payout;
        address token = job.token;
        // A session's provider was paid as it went, its fees were not.
        if (paid == 0) _credit(job.payTo, token, provider);
        _creditProtocol(token, protocolFee);
        _credit(job.platform, token, platformFee);
        _credit(job.client, token, rest);
        emit Settled(jobId, provider, protocolFee, platformFee, rest);
        registry.onClose(jobId, job.attempt, job.nodeId);
    }

    /// @dev The end of a job that pays nothing more. What vouchers paid stays paid, and the job then counts as settled.
    function _refund(bytes32 jobId, Job storage job, uint8 reason) internal {
        uint256 paid = job.payout;
        if (paid != 0) {
            _settle(jobId, job, paid, paid);
            return;
        }
        bool assigned = job.state == State.Assigned;
        job.state = State.Refunded;
        _credit(job.client, job.token, job.amount);
        emit Refunded(jobId, job.amount, reason);
        if (assigned) registry.onClose(jobId, job.attempt, job.nodeId);
    }

    function _requireState(Job storage job, State state) internal view {
        require(job.state == state, BadState(uint8(job.state)));
    }

    function _requireSigned(address signer, bytes32 structHash, bytes calldata signature) internal view {
        require(_signed(signer, _digest(structHash), signature), BadSignature());
    }

    // forge-lint: disable-next-item(block-timestamp)
    function _passed(uint256 time) internal view returns (bool) {
        return block.timestamp > time;
    }
}
