// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ComputeHash} from "./ComputeHash.sol";
import {EscrowFunding} from "./EscrowFunding.sol";
import {EscrowLedger} from "./EscrowLedger.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IPermit2} from "./IPermit2.sol";
import {IVerifierSet} from "./IVerifierSet.sol";

/// @title Holds what a client pays until verifiers say what the work is worth
/// @notice A job is funded, assigned to a node, proposed with a receipt and a verdict, and settled after a window in which it may be disputed;
/// or it is refunded. Money goes to the client, the provider, the treasury, the platform and disputers, and to nobody else. There is no
/// upgrade: a new version is a new address, and signatures for one are none for the other. Source: compute-market, sections 6.4 and 6.5.
contract ComputeEscrow is EscrowFunding {
    /// @notice Seconds in which a dispute must be resolved; after them the proposal stands.
    uint64 public constant RESOLVE_S = 72 hours;
    /// @notice Seconds that a session runs on after its client asked to close it.
    uint64 public constant CLOSE_NOTICE_S = 1 hours;
    /// @notice Seconds after its deadline in which a session's vouchers are still paid: a node that was down does not lose what it earned.
    uint64 public constant CLAIM_GRACE_S = 86_400;
    /// @notice The score that a verdict to pay has at least.
    uint16 public constant SCORE_BPS_MIN = 8_000;
    /// @notice What a dispute costs, of the payout.
    uint256 public constant BOND_BPS = 500;

    uint8 private constant PAY = 1;
    uint8 private constant RETRY = 2;
    uint8 private constant REFUND = 3;
    uint8 private constant REASON_EXPIRED = 1;
    uint8 private constant REASON_REJECTED = 2;
    uint8 private constant REASON_CANCELLED = 3;
    uint8 private constant REASON_CONVICTED = 4;

    /// @notice Who says what work is worth.
    IVerifierSet public immutable verifiers;

    /// @param admin     a timelock where there is money at stake
    /// @param treasury_ gets the protocol's share
    /// @param pauser_   may stop new jobs
    constructor(
        INodeRegistry registry_,
        IVerifierSet verifiers_,
        IPermit2 permit2_,
        address admin,
        address treasury_,
        address pauser_
    ) EscrowLedger(registry_, admin, treasury_, pauser_) EscrowFunding(permit2_) {
        verifiers = verifiers_;
    }

    /// @notice Gives an attempt to the node that accepted it. Called by the platform or the client, or by anybody with the platform's
    /// signature of the acceptance; where the terms name the node, by anybody.
    /// @param executorSignature  of the acceptance
    /// @param pickSignature      of the acceptance by the platform; empty where the caller needs none
    function assign(Acceptance calldata acceptance, bytes calldata executorSignature, bytes calldata pickSignature)
        external
        nonReentrant
        whenNotPaused
    {
        Job storage job = _jobs[acceptance.jobId];
        _requireState(job, State.Funded);
        require(!_passed(job.deadline) && !_passed(acceptance.expiresAt), Expired());
        require(acceptance.attempt == job.attempt, WrongAttempt(job.attempt));
        require(acceptance.price <= job.amount, AmountTooHigh());
        bytes32 structHash = ComputeHash.hash(acceptance);
        if (job.pinned) {
            require(acceptance.nodeId == job.nodeId, WrongNode());
        } else if (msg.sender != job.client && msg.sender != job.platform) {
            _requireSigned(job.platform, structHash, pickSignature);
        }
        job.state = State.Assigned;
        job.nodeId = acceptance.nodeId;
        job.price = uint128(acceptance.price);
        job.payTo = acceptance.payTo;
        emit JobAssigned(acceptance.jobId, acceptance.nodeId, acceptance.attempt, acceptance.price);

        require(tokenRules[job.token].exposurePpm != 0, TokenNotAllowed());
        uint256 exposure = _exposure(job.token, acceptance.price);
        (address executor, address payTo) =
            registry.onAssign(acceptance.jobId, acceptance.attempt, acceptance.nodeId, exposure);
        require(payTo == acceptance.payTo, WrongNode());
        _requireSigned(executor, structHash, executorSignature);
    }

    /// @notice Shows a node's receipt with the verdict to pay for it. Without a window it is settled at once.
    function propose(
        Receipt calldata receipt,
        bytes calldata executorSignature,
        Verdict calldata verdict,
        IVerifierSet.Signed[] calldata signatures
    ) external nonReentrant {
        Job storage job = _jobs[receipt.jobId];
        require(!_passed(job.deadline), Expired());
        require(job.mode != SESSION, BadTerms());
        bytes32 receiptHash = _checkReceipt(job, receipt, executorSignature);
        require(
            verdict.jobId == receipt.jobId && verdict.attempt == receipt.attempt && verdict.receiptHash == receiptHash
                && verdict.outcome == PAY && verdict.scoreBps >= SCORE_BPS_MIN && verdict.scoreBps <= BPS,
            BadVerdict()
        );
        require(verdict.payout <= job.price && verdict.payout <= receipt.claimed, AmountTooHigh());
        verifiers.check(_digest(ComputeHash.hash(verdict)), signatures, false);

        uint64 end = uint64(block.timestamp) + job.challengeWindow;
        job.state = State.Proposed;
        job.payout = uint128(verdict.payout);
        job.timer = end;
        job.receiptHash = receiptHash;
        emit ResultProposed(receipt.jobId, receiptHash, verdict.payout, end + 1);
        if (job.challengeWindow == 0) _settle(receipt.jobId, job, 0, verdict.payout);
    }

    /// @notice Carries out a verdict that does not pay: another attempt, or the refund. After the deadline there is no other attempt.
    function reject(Verdict calldata verdict, IVerifierSet.Signed[] calldata signatures) external nonReentrant {
        Job storage job = _jobs[verdict.jobId];
        _requireState(job, State.Assigned);
        require(verdict.attempt == job.attempt, WrongAttempt(job.attempt));
        // What vouchers paid was paid for this attempt: there is no other one.
        bool retry = verdict.outcome == RETRY;
        require((retry && job.payout == 0) || verdict.outcome == REFUND, BadVerdict());
        verifiers.check(_digest(ComputeHash.hash(verdict)), signatures, false);
        if (!retry || _passed(job.deadline)) {
            _refund(verdict.jobId, job, REASON_REJECTED);
            return;
        }
        (bytes32 nodeId, uint32 attempt) = (job.nodeId, job.attempt);
        job.state = State.Funded;
        job.attempt = attempt + 1;
        job.price = 0;
        job.payTo = address(0);
        if (!job.pinned) job.nodeId = 0;
        emit Requeued(verdict.jobId, attempt + 1);
        registry.onClose(verdict.jobId, attempt, nodeId);
    }

    /// @notice Refunds a job whose audited receipt the quorum for disputes calls false, before anybody proposed it, and takes what the node
    /// has reserved for it.
    function convict(
        Receipt calldata receipt,
        bytes calldata executorSignature,
        Resolution calldata resolution,
        IVerifierSet.Signed[] calldata signatures
    ) external nonReentrant {
        Job storage job = _jobs[receipt.jobId];
        bytes32 receiptHash = _checkReceipt(job, receipt, executorSignature);
        require(
            resolution.jobId == receipt.jobId && resolution.receiptHash == receiptHash && resolution.upheld
                && resolution.payout == 0 && resolution.slash != 0,
            BadVerdict()
        );
        verifiers.check(_digest(ComputeHash.hash(resolution)), signatures, true);
        job.receiptHash = receiptHash;
        overruled[receiptHash] = type(uint256).max;
        _convict(job, resolution, job.payout, address(0));
        _refund(receipt.jobId, job, REASON_CONVICTED);
    }

    /// @notice Stops a proposal until it is resolved, for a bond that the caller approved. For the client and for verifiers.
    function dispute(bytes32 jobId, bytes32 evidenceHash) external nonReentrant {
        require(msg.sender == _jobs[jobId].client || verifiers.isVerifier(msg.sender), Unauthorized());
        _dispute(jobId, evidenceHash);
    }

    /// @notice The same for the operator of a node that has the stake of a tier.
    function disputeAs(bytes32 jobId, bytes32 evidenceHash, bytes32 nodeId) external nonReentrant {
        require(registry.isStakedOperator(nodeId, msg.sender), Unauthorized());
        _dispute(jobId, evidenceHash);
    }

    /// @notice Ends a dispute as the quorum for disputes says.
    function resolve(Resolution calldata resolution, IVerifierSet.Signed[] calldata signatures) external nonReentrant {
        bytes32 jobId = resolution.jobId;
        Job storage job = _jobs[jobId];
        _requireState(job, State.Disputed);
        require(resolution.receiptHash == job.receiptHash, BadVerdict());
        require(resolution.payout <= job.payout, AmountTooHigh());
        require(resolution.upheld || (resolution.payout == job.payout && resolution.slash == 0), BadVerdict());
        verifiers.check(_digest(ComputeHash.hash(resolution)), signatures, true);

        (uint256 bond, address disputer) = (job.bond, job.disputer);
        job.bond = 0;
        if (resolution.upheld) {
            if (resolution.payout != job.payout) overruled[job.receiptHash] = job.payout;
            _credit(disputer, job.token, bond);
        } else {
            _credit(treasury, job.token, bond / 2);
            _credit(job.payTo, job.token, bond - bond / 2);
        }
        uint256 taken = resolution.slash == 0 ? 0 : _convict(job, resolution, resolution.payout, disputer);
        emit Resolved(jobId, resolution.upheld, resolution.payout, taken);
        _settle(jobId, job, 0, resolution.payout);
    }

    /// @notice Settles what was proposed, once nobody may dispute it, or nobody resolved the dispute in time: then half the bond is the
    /// provider's, who had to wait.
    function finalize(bytes32 jobId) external nonReentrant {
        Job storage job = _jobs[jobId];
        bool disputed = job.state == State.Disputed;
        require(disputed || job.state == State.Proposed, BadState(uint8(job.state)));
        require(_passed(job.timer), WindowOpen());
        if (disputed) {
            uint256 bond = job.bond;
            job.bond = 0;
            _credit(job.payTo, job.token, bond / 2);
            _credit(job.disputer, job.token, bond - bond / 2);
        }
        _settle(jobId, job, 0, job.payout);
    }

    /// @notice Pays the provider its share of what a session's voucher says more than was paid already. The session goes on; its fees are
    /// credited when it ends, and many small payments round no other way than one.
    function claimSession(Voucher calldata voucher, bytes calldata signature) external nonReentrant {
        bytes32 jobId = voucher.jobId;
        Job storage job = _jobs[jobId];
        _requireState(job, State.Assigned);
        require(job.mode == SESSION, BadTerms());
        require(voucher.attempt == job.attempt, WrongAttempt(job.attempt));
        require(!_passed(uint256(job.deadline) + CLAIM_GRACE_S), Expired());
        require(voucher.cumulative <= job.price, AmountTooHigh());
        uint256 paid = job.payout;
        require(voucher.cumulative > paid, NothingToClaim());
        address signer = job.voucherSigner;
        _requireSigned(signer == address(0) ? job.client : signer, ComputeHash.hash(voucher), signature);

        job.payout = uint128(voucher.cumulative);
        uint256 increase = voucher.cumulative - paid;
        emit SessionClaimed(jobId, voucher.attempt, voucher.cumulative, increase, voucher.tokensIn, voucher.tokensOut);
        (uint256 owed,,) = _split(job, voucher.cumulative);
        (uint256 had,,) = _split(job, paid);
        // A single unit may not cover what both fees grow by: it waits for the next.
        require(owed >= had, NothingToClaim());
        _credit(job.payTo, job.token, owed - had);
    }

    /// @notice The client wants its session to end: the deadline is in an hour at the latest. Vouchers are paid for a day after it.
    function requestClose(bytes32 jobId) external nonReentrant {
        Job storage job = _jobs[jobId];
        _requireState(job, State.Assigned);
        require(job.mode == SESSION, BadTerms());
        require(msg.sender == job.client, Unauthorized());
        uint64 end = uint64(block.timestamp) + CLOSE_NOTICE_S;
        if (end < job.deadline) job.deadline = end;
        emit CloseRequested(jobId, job.deadline);
    }

    /// @notice The provider ends a session: what vouchers did not pay goes back to the client at once.
    function closeSession(bytes32 jobId) external nonReentrant {
        Job storage job = _jobs[jobId];
        _requireState(job, State.Assigned);
        require(job.mode == SESSION, BadTerms());
        address executor = registry.executorFor(jobId, job.attempt, job.nodeId);
        require(msg.sender == job.payTo || msg.sender == executor, Unauthorized());
        _refund(jobId, job, REASON_CANCELLED);
    }

    /// @notice The client takes a job back: one that no node has, or with the executor's signature of `Release`.
    /// @param releaseSignature  empty where no node has it
    function cancel(bytes32 jobId, bytes calldata releaseSignature) external nonReentrant {
        Job storage job = _jobs[jobId];
        require(job.state == State.Funded || job.state == State.Assigned, BadState(uint8(job.state)));
        require(msg.sender == job.client, Unauthorized());
        if (job.state == State.Assigned) {
            address executor = registry.executorFor(jobId, job.attempt, job.nodeId);
            _requireSigned(executor, ComputeHash.release(jobId, job.attempt), releaseSignature);
        }
        _refund(jobId, job, REASON_CANCELLED);
    }

    /// @notice Refunds a job whose deadline has passed and that nobody proposed. A session has its time to claim first.
    function refundExpired(bytes32 jobId) external nonReentrant {
        Job storage job = _jobs[jobId];
        bool assigned = job.state == State.Assigned;
        require(assigned || job.state == State.Funded, BadState(uint8(job.state)));
        uint256 end = job.deadline;
        if (assigned && job.mode == SESSION) end += CLAIM_GRACE_S;
        require(_passed(end), NotExpired());
        _refund(jobId, job, REASON_EXPIRED);
    }

    /// @notice The digest of a receipt: what the executor signs, and what verdicts name.
    function receiptHashOf(Receipt calldata receipt) external view returns (bytes32) {
        return _digest(ComputeHash.hash(receipt));
    }

    /// @dev That a receipt is of this attempt at this job, by its executor.
    function _checkReceipt(Job storage job, Receipt calldata receipt, bytes calldata signature)
        private
        view
        returns (bytes32)
    {
        _requireState(job, State.Assigned);
        require(receipt.nodeId == job.nodeId, WrongNode());
        require(receipt.attempt == job.attempt, WrongAttempt(job.attempt));
        require(receipt.specHash == job.specHash, BadTerms());
        bytes32 structHash = ComputeHash.hash(receipt);
        address executor = registry.executorFor(receipt.jobId, receipt.attempt, receipt.nodeId);
        _requireSigned(executor, structHash, signature);
        return _digest(structHash);
    }

    function _dispute(bytes32 jobId, bytes32 evidenceHash) private {
        Job storage job = _jobs[jobId];
        _requireState(job, State.Proposed);
        require(!_passed(job.timer), WindowClosed());
        uint256 bond = job.payout * BOND_BPS / BPS;
        uint128 least = tokenRules[job.token].minBond;
        if (bond < least) bond = least;
        job.state = State.Disputed;
        job.timer = uint64(block.timestamp) + RESOLVE_S;
        job.disputer = msg.sender;
        job.bond = uint128(bond);
        emit Disputed(jobId, msg.sender, evidenceHash, bond);
        registry.onDispute(jobId, job.attempt, job.nodeId);
        if (bond != 0) _pull(job.token, msg.sender, bond);
    }

    /// @dev Takes what the node has reserved for the job. The caller ends the job.
    /// @param paid  what the client has paid and does not get back
    function _convict(Job storage job, Resolution calldata resolution, uint256 paid, address challenger)
        private
        returns (uint256 taken)
    {
        bytes32 nodeId = job.nodeId;
        taken = registry.convict(
            resolution.jobId,
            job.attempt,
            nodeId,
            job.client,
            _exposure(job.token, paid),
            challenger,
            resolution.evidenceHash
        );
        emit Convicted(resolution.jobId, nodeId, resolution.receiptHash, resolution.evidenceHash, taken);
    }

    /// @dev The stake that stands for an amount of a token, rounded up.
    function _exposure(address token, uint256 amount) private view returns (uint256) {
        return (amount * tokenRules[token].exposurePpm + 999_999) / 1_000_000;
    }
}
