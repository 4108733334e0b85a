// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {HostileToken} from "./ComputeHostile.t.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev Jobs in all routes, modes and states, two nodes, an honest token and one that changes its ways, time that passes, and people who try
/// what they may not. Most steps lead a job on, so that many come to an end. What a step may do to credits is checked after each.
contract ComputeHandler is ComputeFixture {
    uint256 internal constant OTHER_KEY = 302;

    enum Reached {
        Settled,
        Disputed,
        Refunded,
        Resolved,
        Convicted,
        Requeued,
        Claimed,
        FromVault,
        Signed,
        Withdrawn,
        ReplaysRefused,
        TrespassesRefused,
        WindowsHeld,
        HostileRefused,
        PausedRefused,
        Equivocations,
        FullNodes,
        VerdictsSlashed
    }

    uint256[18] public reached;
    bytes32[] public jobs;
    /// @dev What a job ended as, and how many units of its token it then gave to credits.
    mapping(bytes32 => uint256) public endOf;
    address[] public people;
    HostileToken public hostile;
    bytes32 public otherNode;

    /// @dev What verifiers last said of a job.
    mapping(bytes32 => IComputeEscrow.Verdict) private verdicts;
    bytes private last;
    address private lastBy;
    uint256 private salts;

    constructor() {
        setUp();
        hostile = new HostileToken(client, 100_000_000 * HYPER);
        vm.startPrank(owner);
        escrow.setTokenRule(address(hostile), 1_000_000, uint128(HYPER));
        token.transfer(vm.addr(verifierKeys[0]), 100_000 * HYPER);
        vm.stopPrank();
        vm.startPrank(client);
        hostile.approve(address(escrow), type(uint256).max);
        hostile.transfer(vm.addr(verifierKeys[0]), 100_000 * HYPER);
        vm.stopPrank();
        mintUnderOs(alice, "other");
        otherNode = hash("other.os");
        pay(alice, 1_000_000 * HYPER);
        seat(otherNode, alice, OTHER_KEY, 1_000 * HYPER);
        vm.startPrank(owner);
        escrow.setBurn(2_500);
        verifiers.setBondMin(1);
        token.approve(address(verifiers), type(uint256).max);
        vm.stopPrank();
        topUp();
        people = [
            client, payTo, treasury, platform, vm.addr(verifierKeys[0]), operator, alice, address(this), escrow.BURNED()
        ];
    }

    modifier creditsNeverFall() {
        uint256[] memory before = credits();
        _;
        uint256[] memory after__ = credits();
        // I7: only their owner's withdrawal lowers credits.
        for (uint256 i = 0; i < before.length; ++i) {
            require(after__[i] >= before[i], "a credit fell");
        }
    }

    function start(uint256 seed) external {
        begin(uint256(keccak256(abi.encode(seed, salts))));
    }

    function begin(uint256 seed) private creditsNeverFall {
        IComputeEscrow.Terms memory terms = randomTerms(seed);
        uint256 route = seed % 4;
        bytes32 jobId = digestOf(terms);
        if (route == 1 && terms.mode != 2) {
            if (terms.token == address(hostile)) hostile.set(HostileToken.Way.Honest, address(0), "");
            address vault = escrow.vaultOf(jobId);
            vm.prank(client);
            HostileToken(terms.token).transfer(vault, terms.amount + seed % 3);
            if (!call(client, abi.encodeCall(escrow.fundFromVault, (terms)))) {
                // I16: what the job could not take is the client's, who need not wait.
                vm.prank(client);
                escrow.recoverVault(terms, terms.token);
                return;
            }
            hit(Reached.FromVault);
        } else if (route == 2) {
            if (!call(bob, abi.encodeCall(escrow.fundFor, (terms, sign(CLIENT_KEY, jobId))))) return;
            hit(Reached.Signed);
        } else if (!call(client, abi.encodeCall(escrow.fund, (terms)))) {
            return;
        }
        jobs.push(jobId);
    }

    /// @dev The next two steps of a job that is open.
    function advance(uint256 which, uint256 seed) external {
        // The fuzzer likes small numbers, and dice do not.
        step(which, uint256(keccak256(abi.encode(seed, which, salts))));
        step(which, uint256(keccak256(abi.encode(which, seed, salts))));
    }

    function step(uint256 which, uint256 seed) private {
        (bool found, bytes32 jobId) = open(which);
        if (!found) {
            begin(seed);
            return;
        }
        IComputeEscrow.Job memory job = escrow.getJob(jobId);
        uint256 dice = seed % 100;
        lead(jobId, job, dice, seed);
        uint256 state = stateOf(jobId);
        if (state >= uint256(IComputeEscrow.State.Settled)) endOf[jobId] = state;
    }

    function lead(bytes32 jobId, IComputeEscrow.Job memory job, uint256 dice, uint256 seed) private creditsNeverFall {
        if (job.state == IComputeEscrow.State.Funded) leadFunded(jobId, job, dice);
        else if (job.state == IComputeEscrow.State.Assigned && job.mode == 2) leadSession(jobId, job, dice, seed);
        else if (job.state == IComputeEscrow.State.Assigned) leadAssigned(jobId, job, dice, seed);
        else if (job.state == IComputeEscrow.State.Proposed) leadProposed(jobId, job, dice);
        else leadDisputed(jobId, job, dice, seed);
    }

    function withdraw(uint256 who, bool hostileOne) external {
        address account_ = people[who % people.length];
        address which = hostileOne ? address(hostile) : address(token);
        if (escrow.creditOf(account_, which) == 0) return;
        if (hostileOne) hostile.set(HostileToken.Way.Honest, address(0), "");
        uint256[] memory before = credits();
        escrow.withdrawFor(account_, which);
        uint256[] memory after__ = credits();
        for (uint256 i = 0; i < before.length; ++i) {
            bool mine = i == 2 * (who % people.length) + (hostileOne ? 1 : 0);
            require(mine ? after__[i] == 0 : after__[i] == before[i], "another credit changed");
        }
        hit(Reached.Withdrawn);
    }

    /// @dev I12: what was accepted is not accepted again.
    function replay() external creditsNeverFall {
        if (last.length == 0) return;
        (bool done,) = raw(lastBy, last);
        require(!done, "a replay was accepted");
        hit(Reached.ReplaysRefused);
    }

    /// @dev I11: a stranger moves nothing, whatever job it names.
    function trespass(uint256 which, uint256 seed) external creditsNeverFall {
        (bool found, bytes32 jobId) = open(which);
        if (!found) return;
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 0);
        verdict.outcome = seed % 2 == 0 ? 1 : 3;
        bytes32 what = digestOf(verdict);
        bytes[7] memory tries = [
            abi.encodeCall(escrow.cancel, (jobId, "")),
            abi.encodeCall(escrow.requestClose, (jobId)),
            abi.encodeCall(escrow.closeSession, (jobId)),
            abi.encodeCall(escrow.dispute, (jobId, EVIDENCE)),
            abi.encodeCall(escrow.reject, (verdict, quorum(what, 1))),
            abi.encodeCall(escrow.propose, (receipt, sign(999, digestOf(receipt)), verdict, quorum(what, 2))),
            abi.encodeCall(escrow.fundFor, (randomTerms(seed), sign(999, what)))
        ];
        (bool done,) = raw(bob, tries[seed % 7]);
        require(!done, "a stranger was let in");
        hit(Reached.TrespassesRefused);
    }

    function wait_(uint256 seed) external {
        vm.warp(block.timestamp + (seed % 16 == 0 ? seed % 20 days : seed % 900));
    }

    function setWay(uint256 seed) external {
        bytes memory again = jobs.length == 0 ? bytes("") : abi.encodeCall(escrow.finalize, (jobs[seed % jobs.length]));
        hostile.set(HostileToken.Way(seed % 3 == 0 ? seed % 5 : 0), address(escrow), again);
    }

    function setPaused(uint256 seed) external {
        bool stop = seed % 8 == 0 && !escrow.paused();
        vm.prank(pauser);
        escrow.setPaused(stop);
    }

    function restake(uint256 seed) external {
        for (uint256 i = 0; i < 2; ++i) {
            (bytes32 id, address by, uint256 full) =
                i == 0 ? (node, operator, 10_000 * HYPER) : (otherNode, alice, 1_000 * HYPER);
            uint256 staked = registry.nodes(id).stake;
            vm.startPrank(by);
            if (staked < full) registry.stake(id, full - staked);
            try registry.requestUnstake(id, seed % 200 * HYPER) {} catch {}
            try registry.withdrawStake(id) {} catch {}
            vm.stopPrank();
        }
        uint256 count = registry.slashCount();
        if (count != 0) try registry.executeSlash(1 + seed % count) {} catch {}
    }

    function jobCount() external view returns (uint256) {
        return jobs.length;
    }

    /// @dev Of everybody, in both tokens.
    function credits() public view returns (uint256[] memory all) {
        all = new uint256[](2 * people.length);
        for (uint256 i = 0; i < people.length; ++i) {
            all[2 * i] = escrow.creditOf(people[i], address(token));
            all[2 * i + 1] = escrow.creditOf(people[i], address(hostile));
        }
    }

    function parts() external view returns (address, address, address) {
        return (address(escrow), address(registry), address(token));
    }

    function leadFunded(bytes32 jobId, IComputeEscrow.Job memory job, uint256 dice) private {
        if (block.timestamp > job.deadline) {
            close(jobId, job, bob, abi.encodeCall(escrow.refundExpired, (jobId)));
        } else if (dice < 7) {
            close(jobId, job, client, abi.encodeCall(escrow.cancel, (jobId, "")));
        } else {
            IComputeEscrow.Acceptance memory acceptance = acceptanceOf(jobId);
            bool other = dice % 5 == 0;
            if (other) acceptance.nodeId = otherNode;
            bytes memory signature = sign(other ? OTHER_KEY : EXECUTOR_KEY, digestOf(acceptance));
            address by = job.platform == address(0) ? client : platform;
            if (call(by, abi.encodeCall(escrow.assign, (acceptance, signature, "")))) return;
            if (!escrow.paused()) hit(Reached.FullNodes);
        }
    }

    function leadAssigned(bytes32 jobId, IComputeEscrow.Job memory job, uint256 dice, uint256 seed) private {
        if (block.timestamp > job.deadline) {
            close(jobId, job, bob, abi.encodeCall(escrow.refundExpired, (jobId)));
        } else if (dice < 80) {
            IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
            IComputeEscrow.Verdict memory verdict =
                verdictOf(receipt, seed % 3 == 0 ? job.price : seed % (job.price + 1));
            bytes memory signature = sign(keyOf(job), digestOf(receipt));
            must(bob, abi.encodeCall(escrow.propose, (receipt, signature, verdict, quorum(digestOf(verdict), 2))));
            verdicts[jobId] = verdict;
        } else if (dice < 92) {
            IComputeEscrow.Verdict memory verdict;
            (verdict.jobId, verdict.attempt, verdict.outcome) = (jobId, job.attempt, dice < 86 ? 2 : 3);
            bytes memory data = abi.encodeCall(escrow.reject, (verdict, quorum(digestOf(verdict), 2)));
            if (verdict.outcome == 3) {
                close(jobId, job, bob, data);
            } else {
                must(bob, data);
                hit(Reached.Requeued);
            }
        } else if (dice < 97) {
            convictJob(jobId, job);
        } else {
            equivocate(jobId, job);
        }
    }

    function convictJob(bytes32 jobId, IComputeEscrow.Job memory job) private {
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Resolution memory resolution = resolutionOf(jobId, true, 0, 1);
        resolution.receiptHash = digestOf(receipt);
        bytes memory signature = sign(keyOf(job), digestOf(receipt));
        uint256 staked = registry.nodes(job.nodeId).stake;
        uint256 reserved = registry.leaseOf(jobId, job.attempt, job.nodeId).reserved;
        bytes memory data =
            abi.encodeCall(escrow.convict, (receipt, signature, resolution, quorum(digestOf(resolution), 3)));
        close(jobId, job, bob, data);
        require(staked - registry.nodes(job.nodeId).stake == reserved, "not the job's reservation");
        hit(Reached.Convicted);
    }

    function equivocate(bytes32 jobId, IComputeEscrow.Job memory job) private {
        IComputeEscrow.Receipt memory a = receiptOf(jobId);
        IComputeEscrow.Receipt memory b = receiptOf(jobId);
        b.logsRoot = EVIDENCE;
        (bytes memory signatureA, bytes memory signatureB) =
            (sign(keyOf(job), digestOf(a)), sign(keyOf(job), digestOf(b)));
        registry.slashEquivocation(escrow, a, signatureA, b, signatureB);
        hit(Reached.Equivocations);
        IComputeEscrow.Verdict memory verdict;
        (verdict.jobId, verdict.attempt, verdict.outcome) = (jobId, job.attempt, 3);
        close(jobId, job, bob, abi.encodeCall(escrow.reject, (verdict, quorum(digestOf(verdict), 2))));
    }

    function leadSession(bytes32 jobId, IComputeEscrow.Job memory job, uint256 dice, uint256 seed) private {
        if (block.timestamp > uint256(job.deadline) + 86_400) {
            close(jobId, job, bob, abi.encodeCall(escrow.refundExpired, (jobId)));
        } else if (dice < 50 && job.payout + 2 <= job.price) {
            uint256 owed = job.payout + 2 + seed % (job.price - job.payout - 1);
            IComputeEscrow.Voucher memory voucher = IComputeEscrow.Voucher(jobId, job.attempt, owed, 1, 1);
            uint256 before = total(job.token);
            must(bob, abi.encodeCall(escrow.claimSession, (voucher, sign(CLIENT_KEY, digestOf(voucher)))));
            require(total(job.token) - before == paidOf(job, owed) - paidOf(job, job.payout), "not the increase");
            hit(Reached.Claimed);
        } else if (dice < 60) {
            must(client, abi.encodeCall(escrow.requestClose, (jobId)));
            last = "";
        } else {
            close(jobId, job, payTo, abi.encodeCall(escrow.closeSession, (jobId)));
        }
    }

    function leadProposed(bytes32 jobId, IComputeEscrow.Job memory job, uint256 dice) private {
        bytes memory dispute = abi.encodeCall(escrow.dispute, (jobId, EVIDENCE));
        bytes memory finalize = abi.encodeCall(escrow.finalize, (jobId));
        address by = dice % 2 == 0 ? client : vm.addr(verifierKeys[0]);
        if (block.timestamp <= job.timer) {
            // I13: the window is open.
            refuse(bob, finalize);
            if (dice < 40) {
                vm.prank(by);
                HostileToken(job.token).approve(address(escrow), type(uint256).max);
                if (call(by, dispute)) hit(Reached.Disputed);
                return;
            }
            vm.warp(job.timer + 1);
        }
        refuse(by, dispute);
        refuse(bob, abi.encodeCall(escrow.refundExpired, (jobId)));
        close(jobId, job, bob, finalize);
    }

    function leadDisputed(bytes32 jobId, IComputeEscrow.Job memory job, uint256 dice, uint256 seed) private {
        bytes memory finalize = abi.encodeCall(escrow.finalize, (jobId));
        if (dice < 25) {
            if (block.timestamp <= job.timer) {
                refuse(bob, finalize);
                vm.warp(job.timer + 1);
            }
            close(jobId, job, bob, finalize);
            return;
        }
        bool upheld = dice < 75;
        uint256 payout = upheld ? seed % (uint256(job.payout) + 1) : job.payout;
        IComputeEscrow.Resolution memory resolution = resolutionOf(jobId, upheld, payout, upheld && dice < 50 ? 1 : 0);
        bytes32 what = digestOf(resolution);
        refuse(bob, abi.encodeCall(escrow.resolve, (resolution, quorum(what, 2))));
        close(jobId, job, bob, abi.encodeCall(escrow.resolve, (resolution, quorum(what, 3))));
        hit(Reached.Resolved);
        answerFor(jobId, payout != job.payout);
    }

    /// @dev Verifiers answer for a verdict if and only if it was overruled, and once.
    function answerFor(bytes32 jobId, bool wrong) private {
        IComputeEscrow.Verdict memory verdict = verdicts[jobId];
        bytes memory data = abi.encodeCall(verifiers.slashVerdict, (escrow, verdict, quorum(digestOf(verdict), 2)));
        (bool done,) = address(verifiers).call(data);
        require(done == wrong, "verifiers answer for what was overruled, and for nothing else");
        if (!done) return;
        hit(Reached.VerdictsSlashed);
        (done,) = address(verifiers).call(data);
        require(!done, "twice for one verdict");
        topUp();
    }

    function topUp() private {
        for (uint256 i = 0; i < 3; ++i) {
            (uint256 bond,,) = verifiers.bondOf(vm.addr(verifierKeys[i]));
            if (bond >= 1_000 * HYPER) continue;
            vm.prank(owner);
            verifiers.postBond(vm.addr(verifierKeys[i]), 1_000 * HYPER);
        }
    }

    function bonds() external view returns (address where, uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) {
            (uint256 bond, uint256 unbonding,) = verifiers.bondOf(vm.addr(verifierKeys[i]));
            sum += bond + unbonding;
        }
        return (address(verifiers), sum);
    }

    /// @dev I4, I5: a call that ends a job turns all that is locked for it into credits, of a refund all of it the client's.
    function close(bytes32 jobId, IComputeEscrow.Job memory job, address by, bytes memory data) private {
        uint256 before = total(job.token);
        uint256 clients = escrow.creditOf(job.client, job.token);
        must(by, data);
        uint256 paid = job.mode == 2 ? paidOf(job, job.payout) : 0;
        require(total(job.token) - before == job.amount - paid + job.bond, "not what was locked");
        IComputeEscrow.Job memory ended = escrow.getJob(jobId);
        if (ended.state == IComputeEscrow.State.Settled) {
            require(ended.payout <= ended.price && ended.price <= ended.amount, "paid too much");
            hit(Reached.Settled);
        } else {
            require(ended.state == IComputeEscrow.State.Refunded, "not ended");
            require(escrow.creditOf(job.client, job.token) - clients == job.amount, "not refunded in full");
            hit(Reached.Refunded);
        }
    }

    function must(address by, bytes memory data) private {
        (bool done, bytes memory answer) = raw(by, data);
        if (!done) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        (last, lastBy) = (data, by);
    }

    /// @dev A call that the state of the world may refuse: paused, a token in its ways, a node without room.
    function call(address by, bytes memory data) private returns (bool done) {
        (done,) = raw(by, data);
        if (done) (last, lastBy) = (data, by);
        else hit(escrow.paused() ? Reached.PausedRefused : Reached.HostileRefused);
    }

    function refuse(address by, bytes memory data) private {
        (bool done,) = raw(by, data);
        require(!done, "should be refused");
        hit(Reached.WindowsHeld);
    }

    function raw(address by, bytes memory data) private returns (bool, bytes memory) {
        vm.prank(by);
        return address(escrow).call(data);
    }

    function hit(Reached what) private {
        ++reached[uint256(what)];
    }

    function total(address which) private view returns (uint256 sum) {
        for (uint256 i = 0; i < people.length; ++i) {
            sum += escrow.creditOf(people[i], which);
        }
    }

    /// @dev What the provider has of a payout.
    function paidOf(IComputeEscrow.Job memory job, uint256 payout) public view returns (uint256 provider) {
        uint16 platformShare = job.platform == address(0) ? 0 : job.platformBps;
        (provider,,) = escrow.splitOf(payout, job.protocolBps, platformShare);
    }

    function keyOf(IComputeEscrow.Job memory job) private view returns (uint256) {
        return job.nodeId == node ? EXECUTOR_KEY : OTHER_KEY;
    }

    function randomTerms(uint256 seed) private returns (IComputeEscrow.Terms memory terms) {
        terms = termsOf(++salts);
        terms.amount = 1 + (seed >> 8) % (seed % 3 == 0 ? 30 : 300 * HYPER);
        terms.mode = uint8((seed >> 40) % 8 == 0 ? 2 : (seed >> 40) % 2);
        if ((seed >> 48) % 4 == 0) terms.token = address(hostile);
        if ((seed >> 56) % 8 == 0) terms.platform = address(0);
        terms.deadline = terms.fundBy + uint64((seed >> 64) % 8 == 0 ? 3600 : 25 days);
    }

    function open(uint256 which) private view returns (bool, bytes32) {
        for (uint256 i = 0; i < jobs.length; ++i) {
            bytes32 jobId = jobs[(which % jobs.length + i) % jobs.length];
            if (endOf[jobId] == 0) return (true, jobId);
        }
        return (false, 0);
    }
}
