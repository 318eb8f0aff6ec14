// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// An ERC-4626 vault whose yield streams in per second out of a fund that its owner pays in beforehand.
/// What has not streamed yet belongs to nobody: the share price rises steadily and cannot be sniped.
contract StreamingVault is ERC4626 {
    using SafeERC20 for IERC20;

    error OnlyOwner();

    address public immutable owner = msg.sender;
    uint8 private immutable _offset;
    uint256 public rewardPerSecond;
    uint256 private _fund;
    uint256 private _accruedAt = block.timestamp;

    modifier onlyOwner() {
        if (msg.sender != owner) revert OnlyOwner();
        _;
    }

    constructor(IERC20 asset_, string memory symbol_) ERC20(symbol_, symbol_) ERC4626(asset_) {
        _offset = 18 - IERC20Metadata(address(asset_)).decimals();
    }

    function fund(uint256 amount) external onlyOwner {
        _accrue();
        _fund += amount;
        IERC20(asset()).safeTransferFrom(msg.sender, address(this), amount);
    }

    function setRewardPerSecond(uint256 rate) external onlyOwner {
        _accrue();
        rewardPerSecond = rate;
    }

    function totalAssets() public view virtual override returns (uint256) {
        return IERC20(asset()).balanceOf(address(this)) - unstreamed();
    }

    /// What depositors together could withdraw in this block.
    function availableLiquidity() public view virtual returns (uint256) {
        return totalAssets();
    }

    function unstreamed() public view returns (uint256) {
        uint256 streamed = rewardPerSecond * (block.timestamp - _accruedAt);
        return _fund - Math.min(_fund, streamed);
    }

    /// Shares always have 18 decimals, as MetaMorpho's do.
    function _decimalsOffset() internal view override returns (uint8) {
        return _offset;
    }

    function _accrue() private {
        _fund = unstreamed();
        _accruedAt = block.timestamp;
    }
}
