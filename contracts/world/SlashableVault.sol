// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {StreamingVault} from "./StreamingVault.sol";

/// Its owner can take a part of everybody's assets, as a slashing or a bad debt does: the share price falls.
contract SlashableVault is StreamingVault {
    using SafeERC20 for IERC20;

    event Slashed(uint256 assets);

    constructor(IERC20 asset_, string memory symbol_) StreamingVault(asset_, symbol_) {}

    function slash(uint256 bps) external onlyOwner {
        uint256 assets = (totalAssets() * bps) / 10_000;
        emit Slashed(assets);
        IERC20(asset()).safeTransfer(owner, assets);
    }
}
