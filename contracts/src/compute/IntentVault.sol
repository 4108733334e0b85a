// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Where a plain transfer pays for a job
/// @notice One per job id, at an address known before it exists: the escrow makes it with CREATE2, the job id as salt. Because the payer
/// signs this address, the payer signs the job. It can do nothing but give what it has to the escrow.
contract IntentVault {
    using SafeERC20 for IERC20;

    address private immutable ESCROW = msg.sender;

    /// @notice Somebody else than the escrow asked.
    error NotTheEscrow();

    /// @notice Sends all of `token` to the escrow.
    /// @return amount  what the vault had of it
    function sweep(IERC20 token) external returns (uint256 amount) {
        require(msg.sender == ESCROW, NotTheEscrow());
        amount = token.balanceOf(address(this));
        if (amount != 0) token.safeTransfer(ESCROW, amount);
    }
}
