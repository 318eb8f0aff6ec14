// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {StreamingVault} from "./StreamingVault.sol";

/// Lets at most `dailyLimit` assets leave per UTC day, all depositors together.
contract LimitedVault is StreamingVault {
    uint256 public immutable dailyLimit;
    mapping(uint256 day => uint256 assets) public withdrawnOn;

    constructor(IERC20 asset_, string memory symbol_, uint256 dailyLimit_) StreamingVault(asset_, symbol_) {
        dailyLimit = dailyLimit_;
    }

    function availableLiquidity() public view override returns (uint256) {
        return Math.min(totalAssets(), dailyLimit - withdrawnOn[block.timestamp / 1 days]);
    }

    function maxWithdraw(address account) public view override returns (uint256) {
        return Math.min(previewRedeem(balanceOf(account)), availableLiquidity());
    }

    function maxRedeem(address account) public view override returns (uint256) {
        uint256 allowed = _convertToShares(availableLiquidity(), Math.Rounding.Floor);
        return Math.min(super.maxRedeem(account), allowed);
    }

    function _withdraw(address caller, address receiver, address account, uint256 assets, uint256 shares)
        internal
        override
    {
        withdrawnOn[block.timestamp / 1 days] += assets;
        super._withdraw(caller, receiver, account, assets, shares);
    }
}
