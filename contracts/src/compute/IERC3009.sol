// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Transfers by signed authorisation (EIP-3009)
/// @notice Works strictly between `validAfter` and `validBefore`, in seconds since 1970; a nonce is any 32 bytes and used once.
interface IERC3009 {
    /// @notice An authorisation was used up by a transfer.
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    /// @notice An authorisation was withdrawn before it was used.
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    /// @notice The authorisation is not valid yet, or not any more.
    error AuthorizationOutOfTime(uint256 validAfter, uint256 validBefore);
    /// @notice The nonce was used or cancelled.
    error AuthorizationNonceSpent(address authorizer, bytes32 nonce);
    /// @notice The authoriser did not sign this.
    error AuthorizationNotSigned(address authorizer);
    /// @notice Only the payee may call this.
    error NotThePayee(address payee);

    /// @notice Whether a nonce is used or cancelled.
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);

    /// @notice Anybody carries out what `from` signed.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;

    /// @notice The payee, and nobody else, carries out what `from` signed.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;

    /// @notice Withdraws an authorisation that was not used.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) external;
}
