// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ComputeEscrow} from "../src/compute/ComputeEscrow.sol";
import {Guard} from "../src/compute/Guard.sol";
import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev I14: tokens and receivers that do what they can. Every test ends with a job in an honest token that closes, and all money out.
contract ComputeHostileTest is ComputeFixture {
    HostileToken private hostile;

    function setUp() public override {
        super.setUp();
        hostile = new HostileToken(client, 10_000 * HYPER);
        vm.prank(owner);
        escrow.setTokenRule(address(hostile), 1_000_000, 0);
        vm.prank(client);
        hostile.approve(address(escrow), type(uint256).max);
    }

    function test_I14_a_token_that_takes_a_fee_is_refused_and_leaves_nothing() external {
        hostile.set(HostileToken.Way.Fee, address(0), "");
        refused(abi.encodeWithSelector(IComputeEscrow.TransferMismatch.selector));
        honest();
    }

    function test_I14_a_token_that_moves_nothing_and_says_true_is_refused() external {
        hostile.set(HostileToken.Way.Nothing, address(0), "");
        refused(abi.encodeWithSelector(IComputeEscrow.TransferMismatch.selector));
        honest();
    }

    function test_T13_I14_a_token_that_answers_false_is_refused() external {
        hostile.set(HostileToken.Way.False, address(0), "");
        refused("");
        honest();
    }

    function test_I14_a_vault_of_a_token_with_a_fee_starts_nothing() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.token = address(hostile);
        address vault = escrow.vaultOf(digestOf(terms));
        vm.prank(client);
        hostile.transfer(vault, terms.amount);
        hostile.set(HostileToken.Way.Fee, address(0), "");
        vm.expectRevert(IComputeEscrow.TransferMismatch.selector);
        escrow.fundFromVault(terms);
        // The fee gone, the money is where it was.
        hostile.set(HostileToken.Way.Honest, address(0), "");
        escrow.fundFromVault(terms);
        honest();
    }

    function test_T13_I14_a_token_that_calls_back_while_it_is_taken_finds_every_door_shut() external {
        bytes32 jobId = proposed(77, 100 * HYPER);
        after_(601);
        bytes[9] memory doors = [
            abi.encodeCall(escrow.finalize, (jobId)),
            abi.encodeCall(escrow.fund, (termsOf(78))),
            abi.encodeCall(escrow.withdrawFor, (client, address(token))),
            abi.encodeCall(escrow.withdraw, (address(token), client)),
            abi.encodeCall(escrow.refundExpired, (jobId)),
            abi.encodeCall(escrow.cancel, (jobId, "")),
            abi.encodeCall(escrow.requestClose, (jobId)),
            abi.encodeCall(escrow.recoverVault, (termsOf(79), address(token))),
            abi.encodeCall(escrow.fundFromVault, (termsOf(80)))
        ];
        for (uint256 i = 0; i < doors.length; ++i) {
            hostile.set(HostileToken.Way.CallBack, address(escrow), doors[i]);
            IComputeEscrow.Terms memory terms = termsOf(100 + i);
            terms.token = address(hostile);
            fund(terms);
            eq(hostile.answer(), abi.encodeWithSelector(Guard.ReentrantCall.selector));
        }
        // Nor by way of a batch.
        bytes[] memory calls = new bytes[](1);
        calls[0] = doors[0];
        hostile.set(HostileToken.Way.CallBack, address(escrow), abi.encodeCall(escrow.batch, (calls, true)));
        IComputeEscrow.Terms memory last = termsOf(200);
        last.token = address(hostile);
        fund(last);
        eq(hostile.answer(), abi.encodeWithSelector(Guard.ReentrantCall.selector));
        eq(stateOf(jobId), 3);
        escrow.finalize(jobId);
        honest();
    }

    function test_T13_I14_a_token_that_calls_back_while_it_is_paid_out_gets_nothing_twice() external {
        bytes32 jobId = hostileJob();
        vm.prank(client);
        escrow.cancel(jobId, "");
        bytes memory again = abi.encodeCall(escrow.withdrawFor, (client, address(hostile)));
        hostile.set(HostileToken.Way.CallBack, address(escrow), again);
        escrow.withdrawFor(client, address(hostile));
        eq(hostile.answer(), abi.encodeWithSelector(Guard.ReentrantCall.selector));
        eq(hostile.balanceOf(client), 10_000 * HYPER);
        eq(hostile.balanceOf(address(escrow)), 0);
        honest();
    }

    function test_T14_a_blocked_provider_stops_nobody_else() external {
        bytes32 jobId = hostileJob();
        assign(jobId);
        propose(jobId, 50 * HYPER);
        after_(601);
        hostile.set(HostileToken.Way.Blocks, payTo, "");
        escrow.finalize(jobId);
        escrow.withdrawFor(client, address(hostile));
        escrow.withdrawFor(treasury, address(hostile));
        vm.expectRevert(bytes("blocked"));
        escrow.withdrawFor(payTo, address(hostile));
        // It takes its money elsewhere.
        vm.prank(payTo);
        escrow.withdraw(address(hostile), bob);
        eq(hostile.balanceOf(bob), 425 * HYPER / 10);
        honest();
    }

    function test_T14_a_blocked_client_stops_nobody_else_and_keeps_its_credit() external {
        bytes32 jobId = hostileJob();
        hostile.set(HostileToken.Way.Blocks, client, "");
        after_(7201);
        escrow.refundExpired(jobId);
        vm.expectRevert(bytes("blocked"));
        escrow.withdrawFor(client, address(hostile));
        eq(escrow.creditOf(client, address(hostile)), 100 * HYPER);
        honest();
    }

    function test_I14_a_token_that_stops_working_stops_only_itself() external {
        bytes32 jobId = hostileJob();
        assign(jobId);
        hostile.set(HostileToken.Way.Reverts, address(0), "");
        propose(jobId, 100 * HYPER);
        after_(601);
        escrow.finalize(jobId);
        eq(stateOf(jobId), 5);
        honest();
    }

    function test_I14_a_client_that_is_a_contract_signs_by_its_code_and_cannot_call_back() external {
        Wallet wallet = new Wallet(escrow, token);
        pay(address(wallet), 100 * HYPER);
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.client = address(wallet);
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.fundFor(terms, "no");
        bytes32 jobId = escrow.fundFor(terms, "yes");
        after_(7201);
        escrow.refundExpired(jobId);
        escrow.withdrawFor(address(wallet), address(token));
        eq(token.balanceOf(address(wallet)), 100 * HYPER);
        honest();
    }

    function test_I14_no_ether_is_taken() external {
        vm.deal(address(this), 1 ether);
        (bool done,) = address(escrow).call{value: 1}("");
        isTrue(!done);
        (done,) = address(escrow).call{value: 1}(abi.encodeCall(escrow.finalize, (0)));
        isTrue(!done);
    }

    function hostileJob() private returns (bytes32) {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.token = address(hostile);
        return fund(terms);
    }

    function refused(bytes memory reason) private {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.token = address(hostile);
        vm.prank(client);
        if (reason.length == 0) vm.expectRevert();
        else vm.expectRevert(reason);
        escrow.fund(terms);
        eq(stateOf(digestOf(terms)), 0);
        eq(hostile.balanceOf(client), 10_000 * HYPER);
    }

    /// @dev A job in the honest token goes through beside all that, and leaves nothing of it in the escrow.
    function honest() private {
        bytes32 jobId = proposed(1_000, 100 * HYPER);
        after_(601);
        escrow.finalize(jobId);
        address[4] memory all = [payTo, treasury, platform, client];
        for (uint256 i = 0; i < all.length; ++i) {
            if (creditOf(all[i]) != 0) escrow.withdrawFor(all[i], address(token));
        }
        eq(token.balanceOf(address(escrow)), 0);
    }
}

/// @dev A token that changes its ways.
contract HostileToken is ERC20 {
    enum Way {
        Honest,
        Fee,
        Nothing,
        False,
        CallBack,
        Blocks,
        Reverts
    }

    Way private way;
    address private target;
    bytes private call;
    bytes public answer;

    constructor(address holder, uint256 supply) ERC20("Hostile", "X") {
        _mint(holder, supply);
    }

    function set(Way way_, address target_, bytes memory call_) external {
        (way, target, call) = (way_, target_, call_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (way == Way.False) return false;
        if (way != Way.Nothing) super.transfer(to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (way == Way.False) return false;
        if (way != Way.Nothing) super.transferFrom(from, to, amount);
        return true;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(way != Way.Reverts, "gone");
        require(way != Way.Blocks || (to != target && from != target), "blocked");
        super._update(from, to, amount);
        if (way == Way.Fee) super._update(to, address(0), amount / 100);
        // As a hook of ERC-777 would.
        if (way == Way.CallBack) (, answer) = target.call(call);
    }
}

/// @dev A wallet whose code says what it signed.
contract Wallet {
    constructor(ComputeEscrow escrow, ERC20 token) {
        token.approve(address(escrow), type(uint256).max);
    }

    function isValidSignature(bytes32, bytes calldata signature) external pure returns (bytes4) {
        return keccak256(signature) == keccak256("yes") ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}
