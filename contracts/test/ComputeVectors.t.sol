// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ComputeEscrow} from "../src/compute/ComputeEscrow.sol";
import {HyperToken} from "../src/compute/HyperToken.sol";
import {IComputeEscrow} from "../src/compute/IComputeEscrow.sol";
import {IVerifierSet} from "../src/compute/IVerifierSet.sol";
import {NodeRegistry} from "../src/compute/NodeRegistry.sol";
import {VerifierSet} from "../src/compute/VerifierSet.sol";
import {ComputeFixture} from "./ComputeFixture.sol";

/// @dev The reference's vectors (section 17), its signatures included, carried from funding to settlement at its addresses.
contract ComputeVectorsTest is ComputeFixture {
    uint256 private constant EXECUTOR = 0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a;
    bytes32 private constant JOB = 0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6;
    bytes32 private constant ALICE = 0xfc921cbdfda30a7b21ad8f5c9ad542cbb5f6f3d0f8c2831fcd0325d1dbbdce8b;
    bytes32 private constant RECEIPT_HASH = 0x56a2c8c19f8483d195a9c8fb9aa0b0488bd2e3f5e9e09daba9da049d7ef543ea;

    function setUp() public override {
        super.setUp();
        vm.warp(1_735_689_900);
        client = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;
        payTo = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;
        token = HyperToken(0x5FbDB2315678afecb367f032d93F642f64180aa3);
        place(address(token), abi.encodePacked(creationOf("HyperToken"), abi.encode(owner)));
        address[] memory one = new address[](1);
        one[0] = 0x90F79bf6EB2c4f870365E785982E1f101E93b906;
        bytes memory set = abi.encode(token, owner, one, uint64(1), uint64(1));
        verifiers = VerifierSet(deploy(abi.encodePacked(creationOf("VerifierSet"), set)));
        bytes memory parts = abi.encode(token, HYPERMAP, verifiers, owner);
        registry = NodeRegistry(deploy(abi.encodePacked(creationOf("NodeRegistry"), parts)));
        escrow = ComputeEscrow(0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512);
        place(address(escrow), abi.encodePacked(creationOf("ComputeEscrow"), escrowParts()));
        platform = 0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65;
        pay(client, 1_000 * HYPER);
        pay(operator, 10_000 * HYPER);
        mintUnderOs(operator, "alice");
        seat(ALICE, operator, EXECUTOR, 10_000 * HYPER);
        vm.startPrank(owner);
        registry.setEscrow(address(escrow), true);
        escrow.setTokenRule(address(token), 1_000_000, uint128(HYPER));
        vm.stopPrank();
        vm.prank(client);
        token.approve(address(escrow), type(uint256).max);
    }

    function test_CM3_the_references_signatures_carry_a_job_from_funding_to_settlement() external {
        eq(escrow.DOMAIN_SEPARATOR(), 0xe5a75d79bad6ac37de9be8391e7e20d7cbcadefa565ce1a9a4ab80e151db45db);
        escrow.fundFor(
            vectorTerms(),
            hex"ab19d502471edaad7d1f78ca6705ff24f8310c0a60e6437d1f280ecd7399f5c824cab47cb66df3587cfe646194995c6456eabfb03bffffc6f3f8096ce0940b461b"
        );
        eq(stateOf(JOB), uint256(IComputeEscrow.State.Funded));
        escrow.assign(
            IComputeEscrow.Acceptance(JOB, ALICE, 0, payTo, 100_000_000, 1_735_690_000),
            hex"b0a462b1608df9d86983947a51e4a4cfd85ca91c355afe101fe0cb525159ac3d582a4857ba227f97d6251385604ba0cded101b22248b7f6b3b866a8576b9c9ee1b",
            ""
        );
        vm.warp(1_735_690_400);
        eq(escrow.receiptHashOf(vectorReceipt(0, 0, 100_000_000)), RECEIPT_HASH);
        IVerifierSet.Signed[] memory signatures = new IVerifierSet.Signed[](1);
        signatures[0] = IVerifierSet.Signed(
            0x90F79bf6EB2c4f870365E785982E1f101E93b906,
            hex"0955d439068e81e0b0353c75e1615024bb7ea165471f3683dd7ee4ba29fc328a7c59a76c601b17cc3c32b172cb177bbae02dbbf8de5f5534950b6487a9955cab1b"
        );
        escrow.propose(
            vectorReceipt(0, 0, 100_000_000),
            hex"b24e6a08dfdff53c38481f5d6e1e84b7ce7c965f25052a18a122b7a086fb2ae14f27e13c73e01c3b4f43b717d5ad11ccde904cd143a989ccd038cc75ce3e85291b",
            IComputeEscrow.Verdict(JOB, 0, RECEIPT_HASH, 1, 10_000, 63, 100_000_000, 1_735_690_400),
            signatures
        );
        vm.warp(1_735_691_001);
        escrow.finalize(JOB);
        eq(creditOf(payTo), 85_000_000);
        eq(creditOf(treasury), 10_000_000);
        eq(creditOf(platform), 5_000_000);
    }

    function test_CM3_negative_exit_codes_are_extended() external view {
        eq(
            escrow.receiptHashOf(vectorReceipt(-9, 3, 0)),
            0x3fde9c6415d5fa23222115d18b3e8f0cd7f3deef2c973fce61255618b7e833c2
        );
    }

    function vectorTerms() private view returns (IComputeEscrow.Terms memory) {
        return IComputeEscrow.Terms({
            client: client,
            token: address(token),
            amount: 100_000_000,
            specHash: 0x393118dda24e63b29652d25b21e6f3594cf46ab39f87cc3756ae82860e76bb3e,
            nodeId: ALICE,
            platform: 0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65,
            voucherSigner: address(0),
            fundBy: 1_735_693_200,
            deadline: 1_735_700_400,
            challengeWindow: 600,
            mode: 0,
            salt: 0x2f779c94a35dceba72fe536ce28c5fea7566753044cdf9da29f6402ea964b7f9
        });
    }

    function vectorReceipt(int32 exitCode, uint8 status, uint256 claimed)
        private
        pure
        returns (IComputeEscrow.Receipt memory receipt)
    {
        receipt.jobId = JOB;
        receipt.nodeId = ALICE;
        receipt.specHash = 0x393118dda24e63b29652d25b21e6f3594cf46ab39f87cc3756ae82860e76bb3e;
        receipt.outputsRoot = bytes32(uint256(0x11) * (type(uint256).max / 255));
        receipt.logsRoot = bytes32(uint256(0x22) * (type(uint256).max / 255));
        receipt.stdoutHash = bytes32(uint256(0x33) * (type(uint256).max / 255));
        receipt.runtimeHash = bytes32(uint256(0x44) * (type(uint256).max / 255));
        receipt.usageHash = bytes32(uint256(0x55) * (type(uint256).max / 255));
        (receipt.exitCode, receipt.status, receipt.claimed) = (exitCode, status, claimed);
        (receipt.startedAt, receipt.finishedAt) = (1_735_689_700, 1_735_690_300);
    }
}
