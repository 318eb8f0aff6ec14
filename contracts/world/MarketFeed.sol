// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// A USD price feed in Chainlink's shape: AggregatorV3Interface plus what AaveOracle reads (latestAnswer).
/// Its owner reports; a feed that nobody reports to keeps its old answer and its old time.
contract MarketFeed {
    error OnlyOwner();
    error UnknownRound(uint80 round);

    struct Round {
        int256 answer;
        uint256 updatedAt;
    }

    address public immutable owner = msg.sender;
    uint8 public constant decimals = 8;
    uint256 public constant version = 4;
    string public description;
    uint80 public latestRound;
    mapping(uint80 => Round) private _rounds;

    constructor(string memory description_, int256 answer) {
        description = description_;
        _report(answer);
    }

    function report(int256 answer) external {
        if (msg.sender != owner) revert OnlyOwner();
        _report(answer);
    }

    function latestAnswer() external view returns (int256) {
        return _rounds[latestRound].answer;
    }

    function latestTimestamp() external view returns (uint256) {
        return _rounds[latestRound].updatedAt;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(latestRound);
    }

    function getRoundData(uint80 round) public view returns (uint80, int256, uint256, uint256, uint80) {
        Round memory found = _rounds[round];
        if (found.updatedAt == 0) revert UnknownRound(round);
        return (round, found.answer, found.updatedAt, found.updatedAt, round);
    }

    function _report(int256 answer) private {
        latestRound += 1;
        _rounds[latestRound] = Round(answer, block.timestamp);
    }
}
