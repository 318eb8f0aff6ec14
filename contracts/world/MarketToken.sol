// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// An ERC-20 with chosen decimals whose issuer mints at will, as a stablecoin's does.
contract MarketToken is ERC20 {
    error OnlyIssuer();

    address public immutable issuer = msg.sender;
    uint8 private immutable _decimals;

    constructor(string memory symbol_, uint8 decimals_) ERC20(symbol_, symbol_) {
        _decimals = decimals_;
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    function mint(address account, uint256 amount) external {
        if (msg.sender != issuer) revert OnlyIssuer();
        _mint(account, amount);
    }
}
