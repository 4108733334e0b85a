// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Types, events and errors of the compute escrow
/// @notice Amounts are in the token's smallest unit, times in seconds since 1970, windows in seconds, shares in basis points. A job's id,
/// a receipt's hash and so on are whole EIP-712 digests: they hold the chain and the escrow. Source: compute-market, sections 6.3 to 6.5.
interface IComputeEscrow {
    /// @notice Where a job is. `Settled` and `Refunded` are final.
    enum State {
        None,
        Funded,
        Assigned,
        Proposed,
        Disputed,
        Settled,
        Refunded
    }

    /// @notice What a client pays for.
    struct Terms {
        address client;
        address token;
        uint256 amount;
        bytes32 specHash;
        bytes32 nodeId;
        address platform;
        address voucherSigner;
        uint64 fundBy;
        uint64 deadline;
        uint32 challengeWindow;
        uint8 mode;
        bytes32 salt;
    }

    /// @notice A node takes one attempt at a job; signed by its executor.
    struct Acceptance {
        bytes32 jobId;
        bytes32 nodeId;
        uint32 attempt;
        address payTo;
        uint256 price;
        uint64 expiresAt;
    }

    /// @notice What came out of an attempt; signed by the executor.
    struct Receipt {
        bytes32 jobId;
        bytes32 nodeId;
        uint32 attempt;
        bytes32 specHash;
        bytes32 inputsRoot;
        bytes32 outputsRoot;
        bytes32 logsRoot;
        bytes32 stdoutHash;
        bytes32 runtimeHash;
        bytes32 usageHash;
        int32 exitCode;
        uint8 status;
        uint64 startedAt;
        uint64 finishedAt;
        uint256 claimed;
    }

    /// @notice What verifiers say of an attempt. `outcome`: 1 pay, 2 retry, 3 refund.
    struct Verdict {
        bytes32 jobId;
        uint32 attempt;
        bytes32 receiptHash;
        uint8 outcome;
        uint16 scoreBps;
        uint16 checks;
        uint256 payout;
        uint64 issuedAt;
    }

    /// @notice How a dispute ends. Any `slash` but zero says that the node cheated; what is taken is the job's reservation.
    struct Resolution {
        bytes32 jobId;
        bytes32 receiptHash;
        bool upheld;
        uint256 payout;
        uint256 slash;
        bytes32 evidenceHash;
        uint64 issuedAt;
    }

    /// @notice What a session owes in all so far; signed by the client or the session key of the terms.
    struct Voucher {
        bytes32 jobId;
        uint32 attempt;
        uint256 cumulative;
        uint64 tokensIn;
        uint64 tokensOut;
    }

    /// @notice A job, in the order in which it is stored. `nodeId` is that of the terms while `pinned`; `timer` is the end of the window or
    /// of the dispute; `payout` is what is proposed, was settled, or was paid by vouchers so far.
    struct Job {
        address client;
        uint64 deadline;
        uint32 attempt;
        address token;
        State state;
        uint8 mode;
        bool pinned;
        uint16 protocolBps;
        uint16 platformBps;
        uint32 challengeWindow;
        uint128 amount;
        uint128 price;
        uint128 payout;
        uint64 timer;
        uint64 fundedAt;
        bytes32 specHash;
        bytes32 nodeId;
        address payTo;
        address platform;
        address voucherSigner;
        bytes32 receiptHash;
        address disputer;
        uint128 bond;
    }

    /// @notice Which tokens are taken. `exposurePpm`: stake that stands for a million of the token's smallest units; zero: not taken.
    struct TokenRule {
        uint64 exposurePpm;
        uint128 minBond;
    }

    /// @notice A job has its money: `amount` of `token`, to be done by `deadline`.
    event JobFunded(
        bytes32 indexed jobId,
        address indexed client,
        address indexed token,
        uint256 amount,
        bytes32 specHash,
        uint64 deadline
    );
    /// @notice A node has the job, for `price` at most.
    event JobAssigned(bytes32 indexed jobId, bytes32 indexed nodeId, uint32 attempt, uint256 price);
    /// @notice Verifiers would pay `payout`. From `finalizableAt` on anybody may settle the job.
    event ResultProposed(bytes32 indexed jobId, bytes32 receiptHash, uint256 payout, uint64 finalizableAt);
    /// @notice `by` stakes `bond` on the proposed result being wrong.
    event Disputed(bytes32 indexed jobId, address indexed by, bytes32 evidenceHash, uint256 bond);
    /// @notice The dispute has ended. `slash`: what was taken of the node's stake.
    event Resolved(bytes32 indexed jobId, bool upheld, uint256 payout, uint256 slash);
    /// @notice The node cheated, and lost `slash` of its stake.
    event Convicted(
        bytes32 indexed jobId, bytes32 indexed nodeId, bytes32 receiptHash, bytes32 evidenceHash, uint256 slash
    );
    /// @notice The attempt failed, and the job waits for a node again, as attempt `attempt`.
    event Requeued(bytes32 indexed jobId, uint32 attempt);
    /// @notice A voucher paid `increase`; with it `cumulative` is paid in all.
    event SessionClaimed(
        bytes32 indexed jobId, uint32 attempt, uint256 cumulative, uint256 increase, uint64 tokensIn, uint64 tokensOut
    );
    /// @notice The client ends the session: it lasts until `deadline`, and vouchers are paid for a while after it.
    event CloseRequested(bytes32 indexed jobId, uint64 deadline);
    /// @notice The job's money is credited: what the node has, the two fees, and what goes back.
    event Settled(
        bytes32 indexed jobId, uint256 providerAmount, uint256 protocolFee, uint256 platformFee, uint256 clientRefund
    );
    /// @notice `reason`: 1 expired, 2 rejected, 3 cancelled, 4 convicted.
    event Refunded(bytes32 indexed jobId, uint256 amount, uint8 reason);
    /// @notice What a vault held that funds no job is the client's credit.
    event VaultRecovered(bytes32 indexed jobId, address indexed token, uint256 amount);
    /// @notice `account` has that much more to withdraw.
    event Credited(address indexed account, address indexed token, uint256 amount);
    /// @notice `account` took what it had coming, to `to`.
    event Withdrawn(address indexed account, address indexed token, address to, uint256 amount);
    /// @notice Fees of jobs that are funded from now on.
    event FeesSet(uint16 protocolBps, uint16 platformBps);
    /// @notice What of the protocol's fees is burned from now on.
    event BurnSet(uint16 burnBps);
    /// @notice Protocol fees are credited to it from now on.
    event TreasurySet(address treasury);
    /// @notice Besides the owner, it may stop funding and assigning from now on; zero for nobody.
    event PauserSet(address pauser);
    /// @notice How the token is taken from now on; see `TokenRule`.
    event TokenRuleSet(address indexed token, uint64 exposurePpm, uint128 minBond);
    /// @notice Funding and assigning have stopped, or go on.
    event PausedSet(bool paused);
    /// @notice A call of a batch that goes on without it has failed. `answer`: how it reverted.
    event BatchCallFailed(uint256 index, bytes answer);

    /// @notice The job is in another state, in which this cannot be done.
    error BadState(uint8 state);
    /// @notice Not signed by whom it has to be.
    error BadSignature();
    /// @notice Its time is over.
    error Expired();
    /// @notice Its time is not over yet.
    error NotExpired();
    /// @notice The job is for another node, or its pay goes elsewhere.
    error WrongNode();
    /// @notice The job is at another attempt.
    error WrongAttempt(uint32 attempt);
    /// @notice The caller may not do this.
    error Unauthorized();
    /// @notice More than the job, its price or its receipt allows.
    error AmountTooHigh();
    /// @notice The escrow does not take this token.
    error TokenNotAllowed();
    /// @notice The token moved something else than was asked for.
    error TransferMismatch();
    /// @notice Funding and assigning are stopped.
    error EnforcedPause();
    /// @notice The terms contradict themselves, or do not allow this.
    error BadTerms();
    /// @notice The verdict or resolution does not fit the job.
    error BadVerdict();
    /// @notice The vault holds less than the terms say.
    error UnderFunded();
    /// @notice It may still be disputed or resolved.
    error WindowOpen();
    /// @notice It may not be disputed any more.
    error WindowClosed();
    /// @notice The voucher pays no more than was paid.
    error NothingToClaim();
    /// @notice There is no credit, or nobody to send it to.
    error NothingToWithdraw();
    /// @notice Out of the bounds of the setting.
    error BadSetting();

    /// @notice From the registry, by way of `assign`.
    error NodeNotActive();
    /// @notice From the registry, by way of `assign`.
    error CapacityExceeded();
    /// @notice From the registry, by way of `assign`: the price is more than what the node has reserved for one job.
    error InsufficientStake();
}
