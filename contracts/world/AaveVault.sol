// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

interface IAavePool {
    function supply(address asset, uint256 amount, address onBehalfOf, uint16 referralCode) external;
    function withdraw(address asset, uint256 amount, address to) external returns (uint256);
}

/// An ERC-4626 vault that supplies all it holds to Aave: it earns Aave's rate and can be stuck with Aave.
contract AaveVault is ERC4626 {
    using SafeERC20 for IERC20;

    IAavePool public immutable pool;
    IERC20 public immutable aToken;
    uint8 private immutable _offset;

    constructor(IERC20 asset_, string memory symbol_, IAavePool pool_, IERC20 aToken_)
        ERC20(symbol_, symbol_)
        ERC4626(asset_)
    {
        _offset = 18 - IERC20Metadata(address(asset_)).decimals();
        pool = pool_;
        aToken = aToken_;
        asset_.forceApprove(address(pool_), type(uint256).max);
    }

    function totalAssets() public view override returns (uint256) {
        return aToken.balanceOf(address(this));
    }

    /// What depositors together could withdraw in this block: never more than Aave has not lent out.
    function availableLiquidity() public view returns (uint256) {
        return Math.min(totalAssets(), IERC20(asset()).balanceOf(address(aToken)));
    }

    function maxWithdraw(address account) public view override returns (uint256) {
        return Math.min(previewRedeem(balanceOf(account)), availableLiquidity());
    }

    function maxRedeem(address account) public view override returns (uint256) {
        uint256 allowed = _convertToShares(availableLiquidity(), Math.Rounding.Floor);
        return Math.min(super.maxRedeem(account), allowed);
    }

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override {
        super._deposit(caller, receiver, assets, shares);
        pool.supply(asset(), assets, address(this), 0);
    }

    function _withdraw(address caller, address receiver, address account, uint256 assets, uint256 shares)
        internal
        override
    {
        pool.withdraw(asset(), assets, address(this));
        super._withdraw(caller, receiver, account, assets, shares);
    }

    function _decimalsOffset() internal view override returns (uint8) {
        return _offset;
    }
}
