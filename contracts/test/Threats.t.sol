// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {IERC3009} from "../src/compute/IERC3009.sol";
import {IVerifierSet} from "../src/compute/IVerifierSet.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev The threat table of section 15, rows 10 to 12 and 16; 13 and 14 are in ComputeHostile.t.sol, 15 in VerifierBonds.t.sol.
contract ThreatsTest is ComputeFixture {
    address private stranger = vm.addr(301);

    function test_T10_whichever_of_propose_and_refund_comes_first_at_the_deadline_the_other_fails() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        bytes32 first = fund(terms);
        bytes32 second = fund(termsOf(2));
        assign(first);
        assign(second);
        vm.warp(terms.deadline);
        IComputeEscrow.Receipt memory receipt = receiptOf(second);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 1);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(receipt));
        IVerifierSet.Signed[] memory signatures = quorum(digestOf(verdict), 2);
        propose(first, 1);
        after_(1);
        refused(abi.encodeCall(escrow.refundExpired, (first)));
        escrow.refundExpired(second);
        refused(abi.encodeCall(escrow.propose, (receipt, signature, verdict, signatures)));
        after_(600);
        escrow.finalize(first);
        refused(abi.encodeCall(escrow.finalize, (first)));
        refused(abi.encodeCall(escrow.refundExpired, (first)));
        refused(abi.encodeCall(escrow.finalize, (second)));
        eq(creditOf(client), 199_999_999);
        eq(creditOf(payTo), 1);
    }

    function test_T11_a_standing_allowance_is_no_job_of_a_strangers() external {
        // The client has approved everything; the stranger writes the terms and signs for the client as well as it can.
        uint256 before = token.balanceOf(client);
        IComputeEscrow.Terms memory terms = termsOf(1);
        (terms.platform, terms.voucherSigner, terms.mode) = (stranger, stranger, 2);
        bytes memory mine = sign(301, digestOf(terms));
        vm.startPrank(stranger);
        refused(abi.encodeCall(escrow.fundFor, (terms, mine)));
        refused(abi.encodeCall(escrow.fundFor, (terms, "")));
        refused(abi.encodeCall(escrow.fundForWithPermit, (terms, mine, block.timestamp, 27, bytes32(0), bytes32(0))));
        refused(abi.encodeCall(escrow.fundWithPermit2, (terms, 1, block.timestamp, mine)));
        terms.voucherSigner = address(0);
        terms.mode = 0;
        refused(abi.encodeCall(escrow.fundWithAuthorization, (terms, 0, block.timestamp + 1, mine)));
        refused(abi.encodeCall(escrow.fundFromVault, (terms)));
        // Its own money it may spend on anybody.
        refused(abi.encodeCall(escrow.fund, (terms)));
        vm.stopPrank();
        eq(token.balanceOf(client), before);
        eq(token.allowance(client, address(escrow)), type(uint256).max);
    }

    function test_T12_who_sends_the_authorisation_first_pays_the_same_job() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        bytes32 jobId = digestOf(terms);
        // To the vault: anybody may send it on, and it can only become this job.
        address vault = escrow.vaultOf(jobId);
        bytes memory toVault = authorisation("TransferWithAuthorization", vault, terms.amount, "nonce");
        vm.startPrank(stranger);
        token.transferWithAuthorization(client, vault, terms.amount, 0, block.timestamp + 60, "nonce", toVault);
        escrow.fundFromVault(terms);
        vm.stopPrank();
        eq(stateOf(jobId), 1);
        eq(creditOf(client), 0);

        // To the escrow: nobody but the escrow can use it.
        terms = termsOf(2);
        jobId = digestOf(terms);
        bytes memory toEscrow = authorisation("ReceiveWithAuthorization", address(escrow), terms.amount, jobId);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IERC3009.NotThePayee.selector, address(escrow)));
        token.receiveWithAuthorization(client, address(escrow), terms.amount, 0, block.timestamp + 60, jobId, toEscrow);
        vm.expectRevert();
        token.transferWithAuthorization(client, address(escrow), terms.amount, 0, block.timestamp + 60, jobId, toEscrow);
        // Other terms have another id, and so another nonce.
        IComputeEscrow.Terms memory others = termsOf(2);
        others.platform = stranger;
        refused(abi.encodeCall(escrow.fundWithAuthorization, (others, 0, block.timestamp + 60, toEscrow)));
        escrow.fundWithAuthorization(terms, 0, block.timestamp + 60, toEscrow);
        vm.stopPrank();
        eq(stateOf(jobId), 1);
    }

    function test_T16_a_verdict_is_for_one_attempt_one_receipt_and_one_escrow() external {
        bytes32 jobId = fund(termsOf(1));
        assign(jobId);
        IComputeEscrow.Receipt memory receipt = receiptOf(jobId);
        IComputeEscrow.Verdict memory verdict = verdictOf(receipt, 100 * HYPER);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(receipt));
        IVerifierSet.Signed[] memory signatures = quorum(digestOf(verdict), 2);
        bytes memory old = abi.encodeCall(escrow.propose, (receipt, signature, verdict, signatures));
        reject(jobId, 2);
        assign(jobId);
        refused(old);
        // The old verdict with the new attempt's receipt, and the other way round.
        IComputeEscrow.Receipt memory next = receiptOf(jobId);
        bytes memory nextSignature = sign(EXECUTOR_KEY, digestOf(next));
        refused(abi.encodeCall(escrow.propose, (next, nextSignature, verdict, signatures)));
        IComputeEscrow.Verdict memory nextVerdict = verdictOf(next, 100 * HYPER);
        refused(abi.encodeCall(escrow.propose, (next, nextSignature, nextVerdict, signatures)));
        // Another chain has another domain.
        IVerifierSet.Signed[] memory right = quorum(digestOf(nextVerdict), 2);
        bytes memory good = abi.encodeCall(escrow.propose, (next, nextSignature, nextVerdict, right));
        vm.chainId(1);
        refused(good);
        vm.chainId(31337);
        (bool done,) = address(escrow).call(good);
        isTrue(done);
    }

    /// @dev By whoever is pranked.
    function refused(bytes memory data) private {
        (bool done,) = address(escrow).call(data);
        isTrue(!done);
    }

    function authorisation(string memory kind, address to, uint256 value, bytes32 nonce)
        private
        view
        returns (bytes memory)
    {
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                kind, "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
            )
        );
        bytes32 structHash = keccak256(abi.encode(typeHash, client, to, value, 0, block.timestamp + 60, nonce));
        return sign(CLIENT_KEY, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
    }
}
