// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ComputeHash} from "./ComputeHash.sol";
import {EscrowLedger} from "./EscrowLedger.sol";
import {IERC3009} from "./IERC3009.sol";
import {IntentVault} from "./IntentVault.sol";
import {IPermit2} from "./IPermit2.sol";

/// @title How jobs are paid
/// @notice A client's money moves only by what the client did or signed. Who signs the terms as terms may agree to anything; where they
/// may have been written by somebody else and signed or paid blindly, they are bounded, and name nobody who could sign vouchers for the
/// client (findings F37). Refunds go to the client, whoever paid. Source: compute-market, section 6.5.
abstract contract EscrowFunding is EscrowLedger {
    /// @notice Seconds from now that `fundBy` may be away in terms that the client did not sign.
    uint256 public constant FUND_WINDOW_S_MAX = 1 days;
    /// @notice Seconds from `fundBy` to the deadline in such terms.
    uint256 public constant JOB_S_MAX = 30 days;
    /// @notice Seconds of the challenge window in such terms, at least.
    uint256 public constant WINDOW_S_MIN = 600;
    /// @notice Seconds of any challenge window.
    uint256 public constant WINDOW_S_MAX = 7 days;
    /// @notice Seconds from now to any deadline: even a signature does not lock money for longer.
    uint256 public constant DEADLINE_S_MAX = 366 days;

    uint8 internal constant METERED = 1;
    uint8 internal constant SESSION = 2;

    /// @notice Permit2.
    IPermit2 public immutable permit2;

    /// @notice keccak256 of the creation code of vaults.
    // forge-lint: disable-next-line(screaming-snake-case-immutable)
    bytes32 public immutable VAULT_INIT_HASH = keccak256(type(IntentVault).creationCode);

    string private constant WITNESS_TYPE = string.concat(
        "ComputeTerms witness)",
        "ComputeTerms(address client,address token,uint256 amount,bytes32 specHash,bytes32 nodeId,address platform,address voucherSigner,uint64 fundBy,uint64 deadline,uint32 challengeWindow,uint8 mode,bytes32 salt)",
        "TokenPermissions(address token,uint256 amount)"
    );

    /// @param permit2_  moves tokens by signature
    constructor(IPermit2 permit2_) {
        permit2 = permit2_;
    }

    /// @notice The caller pays for a job of `terms.client`.
    function fund(Terms calldata terms) external nonReentrant whenNotPaused returns (bytes32 jobId) {
        _checkBounds(terms);
        _checkVoucherSigner(terms, msg.sender == terms.client);
        jobId = _open(terms);
        _pull(terms.token, msg.sender, terms.amount);
    }

    /// @notice Takes the client's allowance for terms that the client signed.
    function fundFor(Terms calldata terms, bytes calldata clientSignature)
        external
        nonReentrant
        whenNotPaused
        returns (bytes32 jobId)
    {
        jobId = _openSigned(terms, clientSignature);
        _pull(terms.token, terms.client, terms.amount);
    }

    /// @notice The same after a permit (EIP-2612). If the permit was used before by somebody else, the allowance is there.
    function fundForWithPermit(
        Terms calldata terms,
        bytes calldata clientSignature,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant whenNotPaused returns (bytes32 jobId) {
        jobId = _openSigned(terms, clientSignature);
        try IERC20Permit(terms.token).permit(terms.client, address(this), terms.amount, permitDeadline, v, r, s) {}
            catch {}
        _pull(terms.token, terms.client, terms.amount);
    }

    /// @notice Takes what the client authorised (EIP-3009) with the job's id as nonce: one signature pays, and fixes all terms. It may have
    /// been given blindly, so the terms are bounded.
    function fundWithAuthorization(
        Terms calldata terms,
        uint256 validAfter,
        uint256 validBefore,
        bytes calldata signature
    ) external nonReentrant whenNotPaused returns (bytes32 jobId) {
        _checkBounds(terms);
        _checkVoucherSigner(terms, false);
        jobId = _open(terms);
        uint256 before = _balance(terms.token);
        IERC3009(terms.token)
            .receiveWithAuthorization(
                terms.client, address(this), terms.amount, validAfter, validBefore, jobId, signature
            );
        _received(terms.token, before, terms.amount);
    }

    /// @notice Takes what the client permitted through Permit2, with the terms as witness: the client signed them as terms.
    function fundWithPermit2(Terms calldata terms, uint256 nonce, uint256 permitDeadline, bytes calldata signature)
        external
        nonReentrant
        whenNotPaused
        returns (bytes32 jobId)
    {
        jobId = _open(terms);
        uint256 before = _balance(terms.token);
        permit2.permitWitnessTransferFrom(
            IPermit2.PermitTransferFrom(IPermit2.TokenPermissions(terms.token, terms.amount), nonce, permitDeadline),
            IPermit2.SignatureTransferDetails(address(this), terms.amount),
            terms.client,
            ComputeHash.hash(terms),
            WITNESS_TYPE,
            signature
        );
        _received(terms.token, before, terms.amount);
    }

    /// @notice Starts the job that was paid by a plain transfer to its vault. What the vault has above the amount is the client's.
    function fundFromVault(Terms calldata terms) external nonReentrant whenNotPaused returns (bytes32 jobId) {
        _checkBounds(terms);
        require(terms.mode <= METERED && terms.voucherSigner == address(0), BadTerms());
        jobId = _open(terms);
        uint256 swept = _sweep(jobId, terms.token);
        require(swept >= terms.amount, UnderFunded());
        _credit(terms.client, terms.token, swept - terms.amount);
    }

    /// @notice Credits the client with what a job's vault has, where it can no longer start a job: the job exists, its time is over, or its
    /// terms are none that a vault may pay. The client itself may always; and of other tokens than the job's anybody may.
    function recoverVault(Terms calldata terms, address token) external nonReentrant returns (uint256 amount) {
        bytes32 jobId = jobIdOf(terms);
        require(terms.client != address(0), BadTerms());
        bool open = token == terms.token && msg.sender != terms.client && _jobs[jobId].state == State.None
            && _vaultMayPay(terms);
        require(!open, NotExpired());
        amount = _sweep(jobId, token);
        emit VaultRecovered(jobId, token, amount);
        _credit(terms.client, token, amount);
    }

    /// @notice The id of the job with these terms: their EIP-712 digest.
    function jobIdOf(Terms calldata terms) public view returns (bytes32) {
        return _digest(ComputeHash.hash(terms));
    }

    /// @notice Where a plain transfer pays for the job.
    function vaultOf(bytes32 jobId) public view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), jobId, VAULT_INIT_HASH)))));
    }

    function _openSigned(Terms calldata terms, bytes calldata clientSignature) private returns (bytes32) {
        _requireSigned(terms.client, ComputeHash.hash(terms), clientSignature);
        return _open(terms);
    }

    function _open(Terms calldata terms) private returns (bytes32 jobId) {
        require(!_passed(terms.fundBy), Expired());
        require(_sound(terms), BadTerms());
        require(tokenRules[terms.token].exposurePpm != 0, TokenNotAllowed());
        jobId = jobIdOf(terms);
        Job storage job = _jobs[jobId];
        _requireState(job, State.None);
        job.client = terms.client;
        job.deadline = terms.deadline;
        job.token = terms.token;
        job.state = State.Funded;
        job.mode = terms.mode;
        job.protocolBps = protocolBps;
        job.platformBps = platformBps;
        job.challengeWindow = terms.challengeWindow;
        job.amount = uint128(terms.amount);
        job.fundedAt = uint64(block.timestamp);
        job.specHash = terms.specHash;
        if (terms.nodeId != 0) (job.nodeId, job.pinned) = (terms.nodeId, true);
        if (terms.platform != address(0)) job.platform = terms.platform;
        if (terms.voucherSigner != address(0)) job.voucherSigner = terms.voucherSigner;
        emit JobFunded(jobId, terms.client, terms.token, terms.amount, terms.specHash, terms.deadline);
    }

    /// @dev What all terms must be.
    function _sound(Terms calldata terms) private view returns (bool) {
        return terms.client != address(0) && terms.amount != 0 && terms.amount <= type(uint128).max
            && terms.fundBy < terms.deadline && terms.deadline <= block.timestamp + DEADLINE_S_MAX
            && terms.challengeWindow <= WINDOW_S_MAX && terms.mode <= SESSION;
    }

    /// @dev What terms must be that the client may not have read.
    function _checkBounds(Terms calldata terms) private view {
        require(_bounded(terms), BadTerms());
    }

    function _bounded(Terms calldata terms) private view returns (bool) {
        return terms.fundBy <= block.timestamp + FUND_WINDOW_S_MAX
            && terms.deadline <= uint256(terms.fundBy) + JOB_S_MAX && terms.challengeWindow >= WINDOW_S_MIN;
    }

    function _checkVoucherSigner(Terms calldata terms, bool byClient) private pure {
        address signer = terms.voucherSigner;
        require(byClient || signer == address(0) || signer == terms.client, BadTerms());
    }

    /// @dev Whether `fundFromVault` would take these terms now.
    function _vaultMayPay(Terms calldata terms) private view returns (bool) {
        return !_passed(terms.fundBy) && _sound(terms) && _bounded(terms) && terms.mode <= METERED
            && terms.voucherSigner == address(0) && tokenRules[terms.token].exposurePpm != 0;
    }

    function _sweep(bytes32 jobId, address token) private returns (uint256 amount) {
        address vault = vaultOf(jobId);
        if (vault.code.length == 0) new IntentVault{salt: jobId}();
        uint256 before = _balance(token);
        amount = IntentVault(vault).sweep(IERC20(token));
        _received(token, before, amount);
    }
}
