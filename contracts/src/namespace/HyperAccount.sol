// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccount, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC777Recipient} from "@openzeppelin/contracts/interfaces/IERC777Recipient.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IEntryPoint} from "./IEntryPoint.sol";
import {TokenFooter} from "./TokenFooter.sol";

/// @title The account of a name
/// @notice Runs what the owner of the name's token asks for, as the account: calls, delegate calls, batches of both (ERC-6551,
/// reference hypermap section 6). Ownership is read at every call, so transferring the token hands over the account at once;
/// approvals for the token give no power over it. While a name is minted the namespace holds its token, and with that the account.
/// @dev Runs by delegation in the account's own address; keeps nothing in storage.
contract HyperAccount is IAccount, IERC1271, IERC721Receiver, IERC1155Receiver, IERC777Recipient {
    /// @notice One step of `executeBatch`.
    struct Operation {
        address to;
        uint256 value;
        bytes data;
        uint8 operation;
    }

    /// @notice The account was to own the token that it belongs to.
    error SelfOwnership();

    /// @notice The ERC-4337 entry point that accounts obey.
    IEntryPoint public constant entryPoint = IEntryPoint(0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789);

    /// @dev Raised by selector: the name of the reference's error is not public. The caller may not make the account act.
    bytes4 private constant UNAUTHORIZED = 0x8f0052a6;

    bytes4 private constant IERC6551_ACCOUNT = 0x6faff5f1;
    bytes4 private constant IERC6551_EXECUTABLE = 0x51945447;
    /// @dev `isValidSigner(address,bytes)`: what it returns for a valid signer.
    bytes4 private constant VALID_SIGNER = 0x523e3260;
    /// @dev `validateUserOp`: the signature does not count.
    uint256 private constant SIGNATURE_INVALID = 1;

    /// @notice Only the owner of the name, or the entry point.
    modifier onlyAuthorized() {
        if (msg.sender != address(entryPoint) && msg.sender != _owner()) _refuse();
        _;
    }

    /// @notice Calls `to` as this account.
    /// @param operation  0 call, 1 delegate call
    /// @return           what was returned; a revert is passed on
    function execute(address to, uint256 value, bytes calldata data, uint8 operation)
        external
        payable
        onlyAuthorized
        returns (bytes memory)
    {
        return _execute(to, value, data, operation, gasleft());
    }

    /// @notice The same with at most `txGas` for the call.
    function execute(address to, uint256 value, bytes calldata data, uint8 operation, uint256 txGas)
        external
        payable
        onlyAuthorized
        returns (bytes memory)
    {
        return _execute(to, value, data, operation, txGas);
    }

    /// @notice Several calls in order; all happen or none.
    function executeBatch(Operation[] calldata operations)
        external
        payable
        onlyAuthorized
        returns (bytes[] memory results)
    {
        results = new bytes[](operations.length);
        for (uint256 i = 0; i < operations.length; ++i) {
            Operation calldata one = operations[i];
            results[i] = _execute(one.to, one.value, one.data, one.operation, gasleft());
        }
    }

    /// @notice ERC-4337: whether the owner signed the operation, and payment of what the entry point misses.
    function validateUserOp(PackedUserOperation calldata operation, bytes32 hash, uint256 missingFunds)
        external
        returns (uint256 validationData)
    {
        if (msg.sender != address(entryPoint)) _refuse();
        if (!SignatureChecker.isValidSignatureNow(_owner(), hash, operation.signature)) {
            validationData = SIGNATURE_INVALID;
        }
        if (missingFunds != 0) {
            // The entry point checks what it got.
            (bool sent,) = msg.sender.call{value: missingFunds}("");
            (sent);
        }
    }

    /// @notice The token that this account belongs to.
    function token() external view returns (uint256 chainId, address tokenContract, uint256 tokenId) {
        return TokenFooter.tokenOf(address(this));
    }

    /// @notice ERC-6551: `0x523e3260` for the owner of the name.
    function isValidSigner(address signer, bytes calldata) external view returns (bytes4) {
        return signer == _owner() && signer != address(0) ? VALID_SIGNER : bytes4(0);
    }

    /// @notice ERC-1271 for the raw digest.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return SignatureChecker.isValidSignatureNow(_owner(), hash, signature)
            ? IERC1271.isValidSignature.selector
            : bytes4(0xffffffff);
    }

    /// @notice Whether `who` owns the name.
    function isOperator(address who) external view returns (bool) {
        return who == _owner() && who != address(0);
    }

    /// @notice The account's nonce at the entry point; reverts where that is not deployed.
    function getNonce() external view returns (uint256) {
        return entryPoint.getNonce(address(this), 0);
    }

    /// @notice ERC-6551: changes with every operation through the entry point.
    function state() external view returns (uint256) {
        return entryPoint.getNonce(address(this), 0);
    }

    /// @notice Accepts any ERC-721 token but the account's own, which would leave it without an owner.
    function onERC721Received(address, address, uint256 id, bytes calldata) external view returns (bytes4) {
        (, address tokenContract, uint256 tokenId) = TokenFooter.tokenOf(address(this));
        require(msg.sender != tokenContract || id != tokenId, SelfOwnership());
        return IERC721Receiver.onERC721Received.selector;
    }

    /// @notice Accepts ERC-1155 tokens.
    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external pure returns (bytes4) {
        return IERC1155Receiver.onERC1155Received.selector;
    }

    /// @notice Accepts batches of ERC-1155 tokens.
    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        pure
        returns (bytes4)
    {
        return IERC1155Receiver.onERC1155BatchReceived.selector;
    }

    /// @notice Accepts ERC-777 tokens.
    function tokensReceived(address, address, address, uint256, bytes calldata, bytes calldata) external pure {}

    /// @notice ERC-165, both of ERC-6551, ERC-1271, the receiver of ERC-1155.
    function supportsInterface(bytes4 id) public view virtual returns (bool) {
        return id == type(IERC165).interfaceId || id == IERC6551_ACCOUNT || id == IERC6551_EXECUTABLE
            || id == type(IERC1271).interfaceId || id == type(IERC1155Receiver).interfaceId;
    }

    /// @dev Zero for an account of another chain, and for this code outside an account.
    function _owner() internal view returns (address) {
        (uint256 chainId, address tokenContract, uint256 tokenId) = TokenFooter.tokenOf(address(this));
        if (chainId != block.chainid) return address(0);
        return IERC721(tokenContract).ownerOf(tokenId);
    }

    /// @dev Reverts with the reference's error for callers without authority.
    function _refuse() internal pure {
        assembly ("memory-safe") {
            mstore(0, UNAUTHORIZED)
            revert(0, 4)
        }
    }

    /// @dev Acts as the account; a revert comes back as it is.
    function _execute(address to, uint256 value, bytes calldata data, uint8 operation, uint256 txGas)
        private
        returns (bytes memory result)
    {
        bool done;
        if (operation == 0) {
            (done, result) = to.call{value: value, gas: txGas}(data);
        } else if (operation == 1) {
            (done, result) = to.delegatecall{gas: txGas}(data);
        } else {
            revert("Invalid operation");
        }
        if (!done) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }
}
