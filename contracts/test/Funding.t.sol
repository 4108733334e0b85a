// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {IERC3009} from "../src/compute/IERC3009.sol";
import {IntentVault} from "../src/compute/IntentVault.sol";
import {Permit2} from "../src/compute/Permit2.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev Every way to pay, and what a coordinator could write into terms that it does not sign.
contract FundingTest is ComputeFixture {
    address private stranger = vm.addr(301);

    function test_CM4_funding_takes_the_amount_and_stores_the_terms() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        vm.expectEmit(address(escrow));
        emit IComputeEscrow.JobFunded(digestOf(terms), client, address(token), terms.amount, SPEC, terms.deadline);
        bytes32 jobId = fund(terms);
        eq(jobId, digestOf(terms));
        eq(token.balanceOf(address(escrow)), terms.amount);
        IComputeEscrow.Job memory job = escrow.getJob(jobId);
        eq(job.client, client);
        eq(job.amount, terms.amount);
        eq(job.deadline, terms.deadline);
        eq(job.protocolBps, 1_000);
        eq(job.platformBps, 500);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(IComputeEscrow.BadState.selector, 1));
        escrow.fund(terms);
    }

    function test_CM28_fundBy_is_the_last_moment() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        vm.warp(terms.fundBy + 1);
        refused(terms, IComputeEscrow.Expired.selector);
        vm.warp(terms.fundBy);
        fund(terms);
    }

    function test_CM31_bad_terms_are_refused() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.amount = 0;
        refused(terms, IComputeEscrow.BadTerms.selector);
        terms.amount = uint256(type(uint128).max) + 1;
        refused(terms, IComputeEscrow.BadTerms.selector);
        terms = termsOf(1);
        terms.deadline = terms.fundBy;
        refused(terms, IComputeEscrow.BadTerms.selector);
        terms = termsOf(1);
        terms.mode = 3;
        refused(terms, IComputeEscrow.BadTerms.selector);
        terms = termsOf(1);
        terms.challengeWindow = 7 days + 1;
        refused(terms, IComputeEscrow.BadTerms.selector);
        terms = termsOf(1);
        terms.token = address(multicall);
        refused(terms, IComputeEscrow.TokenNotAllowed.selector);
    }

    function test_F37_terms_that_the_client_did_not_sign_are_bounded() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.fundBy = uint64(block.timestamp) + 1 days + 1;
        terms.deadline = terms.fundBy + 1;
        refused(terms, IComputeEscrow.BadTerms.selector);
        terms = termsOf(1);
        terms.deadline = terms.fundBy + 30 days + 1;
        refused(terms, IComputeEscrow.BadTerms.selector);
        terms = termsOf(1);
        terms.challengeWindow = 599;
        refused(terms, IComputeEscrow.BadTerms.selector);
        // At the bounds they are taken.
        terms.fundBy = uint64(block.timestamp) + 1 days;
        terms.deadline = terms.fundBy + 30 days;
        terms.challengeWindow = 600;
        fund(terms);
    }

    function test_F37_terms_that_the_client_signed_may_say_anything_for_a_year() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.fundBy = uint64(block.timestamp) + 2 days;
        terms.deadline = terms.fundBy + 40 days;
        terms.challengeWindow = 0;
        (terms.mode, terms.voucherSigner) = (2, vm.addr(SESSION_KEY));
        vm.prank(stranger);
        eq(escrow.fundFor(terms, sign(CLIENT_KEY, digestOf(terms))), digestOf(terms));
        terms.deadline = uint64(block.timestamp) + 366 days + 1;
        bytes memory signature = sign(CLIENT_KEY, digestOf(terms));
        vm.expectRevert(IComputeEscrow.BadTerms.selector);
        escrow.fundFor(terms, signature);
    }

    function test_F37_a_coordinator_cannot_name_itself_the_signer_of_vouchers() external {
        // The wallet signs or pays what the server's terms hash to, blindly: by authorisation, or to the vault.
        IComputeEscrow.Terms memory terms = termsOf(1);
        (terms.mode, terms.voucherSigner) = (2, stranger);
        bytes memory authorization = authorize(terms);
        vm.expectRevert(IComputeEscrow.BadTerms.selector);
        escrow.fundWithAuthorization(terms, 0, type(uint256).max, authorization);
        address vault = escrow.vaultOf(digestOf(terms));
        vm.prank(client);
        token.transfer(vault, terms.amount);
        vm.expectRevert(IComputeEscrow.BadTerms.selector);
        escrow.fundFromVault(terms);
        // Nor by paying itself in the client's name.
        pay(stranger, terms.amount);
        vm.startPrank(stranger);
        token.approve(address(escrow), terms.amount);
        vm.expectRevert(IComputeEscrow.BadTerms.selector);
        escrow.fund(terms);
        vm.stopPrank();
        // What went to the vault is the client's again, at once, by anybody.
        escrow.recoverVault(terms, address(token));
        eq(creditOf(client), terms.amount);
    }

    function test_F37_a_vault_pays_for_no_session_and_no_voucher_signer() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.mode = 2;
        hostileVault(terms);
        terms = termsOf(2);
        terms.voucherSigner = client;
        hostileVault(terms);
        terms = termsOf(3);
        terms.challengeWindow = 0;
        hostileVault(terms);
        terms = termsOf(4);
        // A time for funding that never ends would keep the money in the vault as well.
        (terms.fundBy, terms.deadline) = (type(uint64).max - 1, type(uint64).max);
        hostileVault(terms);
        terms = termsOf(5);
        terms.deadline = terms.fundBy + 31 days;
        hostileVault(terms);
    }

    function test_F37_a_stranger_cannot_use_an_allowance() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        terms.platform = stranger;
        bytes memory mine = sign(301, digestOf(terms));
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.fundFor(terms, mine);
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.fundForWithPermit(terms, mine, block.timestamp, 27, 0, 0);
        // Nor the client's signature of other terms.
        bytes memory other = sign(CLIENT_KEY, digestOf(termsOf(1)));
        vm.expectRevert(IComputeEscrow.BadSignature.selector);
        escrow.fundFor(terms, other);
    }

    function test_CM31_a_permit_funds_also_when_somebody_used_it_first() external {
        vm.prank(client);
        token.approve(address(escrow), 0);
        IComputeEscrow.Terms memory terms = termsOf(1);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                client,
                address(escrow),
                terms.amount,
                0,
                block.timestamp
            )
        );
        bytes32 what = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(CLIENT_KEY, what);
        bytes memory signature = sign(CLIENT_KEY, digestOf(terms));
        token.permit(client, address(escrow), terms.amount, block.timestamp, v, r, s);
        escrow.fundForWithPermit(terms, signature, block.timestamp, v, r, s);
        eq(token.balanceOf(address(escrow)), terms.amount);
    }

    function test_CM4_one_authorisation_pays_and_fixes_all_terms() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        bytes memory authorization = authorize(terms);
        // Only the escrow may carry it out, and only for these terms.
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IERC3009.NotThePayee.selector, address(escrow)));
        token.receiveWithAuthorization(
            client, address(escrow), terms.amount, 0, type(uint256).max, digestOf(terms), authorization
        );
        IComputeEscrow.Terms memory other = termsOf(1);
        other.platform = stranger;
        vm.expectRevert(abi.encodeWithSelector(IERC3009.AuthorizationNotSigned.selector, client));
        escrow.fundWithAuthorization(other, 0, type(uint256).max, authorization);
        vm.prank(stranger);
        eq(escrow.fundWithAuthorization(terms, 0, type(uint256).max, authorization), digestOf(terms));
    }

    function test_F37_Permit2_signs_the_terms_themselves() external {
        vm.prank(client);
        token.approve(PERMIT2, type(uint256).max);
        IComputeEscrow.Terms memory terms = termsOf(1);
        (terms.mode, terms.voucherSigner, terms.challengeWindow) = (2, vm.addr(SESSION_KEY), 0);
        bytes memory signature = permit2Signature(terms, 7);
        IComputeEscrow.Terms memory other = terms;
        other = abi.decode(abi.encode(terms), (IComputeEscrow.Terms));
        other.voucherSigner = stranger;
        vm.expectRevert(Permit2.InvalidSigner.selector);
        escrow.fundWithPermit2(other, 7, block.timestamp, signature);
        eq(escrow.fundWithPermit2(terms, 7, block.timestamp, signature), digestOf(terms));
        other = termsOf(2);
        vm.expectRevert(Permit2.InvalidNonce.selector);
        escrow.fundWithPermit2(other, 7, block.timestamp, signature);
    }

    function test_CM4_a_plain_transfer_to_the_vault_funds_the_job_by_anybody() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        bytes32 jobId = digestOf(terms);
        address vault = escrow.vaultOf(jobId);
        bytes32 initHash = keccak256(creationOf("IntentVault"));
        eq(vault, address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(escrow), jobId, initHash))))));
        vm.prank(client);
        token.transfer(vault, terms.amount - 1);
        vm.expectRevert(IComputeEscrow.UnderFunded.selector);
        escrow.fundFromVault(terms);
        vm.prank(client);
        token.transfer(vault, 11);
        vm.prank(stranger);
        escrow.fundFromVault(terms);
        eq(stateOf(jobId), 1);
        eq(creditOf(client), 10);
        vm.expectRevert(IntentVault.NotTheEscrow.selector);
        IntentVault(vault).sweep(token);
    }

    function test_CM6_late_and_surplus_deposits_are_the_clients() external {
        IComputeEscrow.Terms memory terms = termsOf(1);
        address vault = escrow.vaultOf(digestOf(terms));
        vm.prank(client);
        token.transfer(vault, 5);
        vm.prank(stranger);
        vm.expectRevert(IComputeEscrow.NotExpired.selector);
        escrow.recoverVault(terms, address(token));
        vm.warp(terms.fundBy + 1);
        vm.prank(stranger);
        escrow.recoverVault(terms, address(token));
        eq(creditOf(client), 5);
        // And once more, after a job that was paid otherwise.
        terms = termsOf(2);
        vault = escrow.vaultOf(fund(terms));
        pay(vault, 7);
        escrow.recoverVault(terms, address(token));
        eq(creditOf(client), 12);
    }

    function test_CM32_pause_stops_funding_and_assigning_only() external {
        bytes32 running = fund(termsOf(1));
        bytes32 waiting = fund(termsOf(2));
        assign(running);
        vm.prank(stranger);
        vm.expectRevert(IComputeEscrow.Unauthorized.selector);
        escrow.setPaused(true);
        vm.prank(pauser);
        escrow.setPaused(true);
        refused(termsOf(3), IComputeEscrow.EnforcedPause.selector);
        IComputeEscrow.Acceptance memory acceptance = acceptanceOf(waiting);
        bytes memory signature = sign(EXECUTOR_KEY, digestOf(acceptance));
        vm.prank(platform);
        vm.expectRevert(IComputeEscrow.EnforcedPause.selector);
        escrow.assign(acceptance, signature, "");
        propose(running, 100 * HYPER);
        vm.prank(client);
        escrow.cancel(waiting, "");
        after_(601);
        escrow.finalize(running);
        escrow.withdrawFor(payTo, address(token));
        eq(token.balanceOf(payTo), 85 * HYPER);
        eq(creditOf(client), 100 * HYPER);
    }

    function refused(IComputeEscrow.Terms memory terms, bytes4 reason) private {
        vm.prank(client);
        vm.expectRevert(reason);
        escrow.fund(terms);
    }

    /// @dev Paid to its vault, such a job never starts, and the client gets the money back without waiting.
    function hostileVault(IComputeEscrow.Terms memory terms) private {
        uint256 before = creditOf(client);
        address vault = escrow.vaultOf(digestOf(terms));
        vm.prank(client);
        token.transfer(vault, terms.amount);
        vm.expectRevert(IComputeEscrow.BadTerms.selector);
        escrow.fundFromVault(terms);
        vm.prank(stranger);
        escrow.recoverVault(terms, address(token));
        eq(creditOf(client) - before, terms.amount);
    }

    function authorize(IComputeEscrow.Terms memory terms) private view returns (bytes memory) {
        bytes32 structHash = keccak256(
            abi.encode(
                0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8,
                client,
                address(escrow),
                terms.amount,
                0,
                type(uint256).max,
                digestOf(terms)
            )
        );
        return sign(CLIENT_KEY, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function permit2Signature(IComputeEscrow.Terms memory terms, uint256 nonce) private view returns (bytes memory) {
        bytes32 permissions = keccak256(
            abi.encode(keccak256("TokenPermissions(address token,uint256 amount)"), address(token), terms.amount)
        );
        bytes memory termsType =
            "ComputeTerms(address client,address token,uint256 amount,bytes32 specHash,bytes32 nodeId,address platform,address voucherSigner,uint64 fundBy,uint64 deadline,uint32 challengeWindow,uint8 mode,bytes32 salt)";
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,ComputeTerms witness)",
                termsType,
                "TokenPermissions(address token,uint256 amount)"
            )
        );
        bytes32 witness = keccak256(abi.encode(keccak256(termsType), terms));
        bytes32 structHash =
            keccak256(abi.encode(typeHash, permissions, address(escrow), nonce, block.timestamp, witness));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
                keccak256("Permit2"),
                block.chainid,
                PERMIT2
            )
        );
        return sign(CLIENT_KEY, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
    }
}
