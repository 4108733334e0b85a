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

    event JobFunded(
        bytes32 indexed jobId,
        address indexed client,
        address indexed token,
        uint256 amount,
        bytes32 specHash,
        uint64 deadline
    );
    event JobAssigned(bytes32 indexed jobId, bytes32 indexed nodeId, uint32 attempt, uint256 price);
    event ResultProposed(bytes32 indexed jobId, bytes32 receiptHash, uint256 payout, uint64 finalizableAt);
    event Disputed(bytes32 indexed jobId, address indexed by, bytes32 evidenceHash, uint256 bond);
    event Resolved(bytes32 indexed jobId, bool upheld, uint256 payout, uint256 slash);
    event Convicted(
        bytes32 indexed jobId, bytes32 indexed nodeId, bytes32 receiptHash, bytes32 evidenceHash, uint256 slash
    );
    event Requeued(bytes32 indexed jobId, uint32 attempt);
    event SessionClaimed(
        bytes32 indexed jobId, uint32 attempt, uint256 cumulative, uint256 increase, uint64 tokensIn, uint64 tokensOut
    );
    event CloseRequested(bytes32 indexed jobId, uint64 deadline);
    event Settled(
        bytes32 indexed jobId, uint256 providerAmount, uint256 protocolFee, uint256 platformFee, uint256 clientRefund
    );
    /// @notice `reason`: 1 expired, 2 rejected, 3 cancelled, 4 convicted.
    event Refunded(bytes32 indexed jobId, uint256 amount, uint8 reason);
    event VaultRecovered(bytes32 indexed jobId, address indexed token, uint256 amount);
    event Credited(address indexed account, address indexed token, uint256 amount);
    event Withdrawn(address indexed account, address indexed token, address to, uint256 amount);
    event FeesSet(uint16 protocolBps, uint16 platformBps);
    event TreasurySet(address treasury);
    event PauserSet(address pauser);
    event TokenRuleSet(address indexed token, uint64 exposurePpm, uint128 minBond);
    event PausedSet(bool paused);
    event BatchCallFailed(uint256 index, bytes answer);

    error BadState(uint8 state);
    error BadSignature();
    error Expired();
    error NotExpired();
    error WrongNode();
    error WrongAttempt(uint32 attempt);
    error Unauthorized();
    error AmountTooHigh();
    error TokenNotAllowed();
    error TransferMismatch();
    error EnforcedPause();
    error BadTerms();
    error BadVerdict();
    error UnderFunded();
    error WindowOpen();
    error WindowClosed();
    error NothingToClaim();
    error NothingToWithdraw();
    error BadSetting();

    /// @notice From the registry, by way of `assign`.
    error NodeNotActive();
    /// @notice From the registry, by way of `assign`.
    error CapacityExceeded();
    /// @notice From the registry, by way of `assign`: the price is more than what the node has reserved for one job.
    error InsufficientStake();
}
