"""The functions we encode and decode, once: signatures with argument names, in the ABI's own spelling.

Builders, guards and readers share this table, so a selector means the same everywhere; each decodes for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from domain.units import Value

SELECTOR_BYTES: Final = 4


class AbiFunction(Value):
    """One contract function: `name` and (type, argument name) pairs; outputs as types."""

    name: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...] = ()

    @cached_property
    def types(self) -> tuple[str, ...]:
        return tuple(kind for kind, _ in self.inputs)

    @cached_property
    def signature(self) -> str:
        return f"{self.name}({','.join(self.types)})"

    @cached_property
    def selector(self) -> bytes:
        return keccak(text=self.signature)[:SELECTOR_BYTES]

    @property
    def selector_hex(self) -> str:
        return "0x" + self.selector.hex()

    def encode(self, *arguments: object) -> str:
        """Calldata as 0x-hex. Raises eth_abi.exceptions.EncodingError on a wrong type or range."""
        return "0x" + (self.selector + encode(self.types, arguments)).hex()

    def decode_input(self, data: bytes) -> tuple[object, ...]:
        """Arguments of calldata that encodes back to exactly these bytes. Raises DecodingError otherwise."""
        if data[:SELECTOR_BYTES] != self.selector:
            raise DecodingError(f"selector 0x{data[:4].hex()} is not {self.signature}")
        arguments = decode(self.types, data[SELECTOR_BYTES:])
        if encode(self.types, arguments) != data[SELECTOR_BYTES:]:
            raise DecodingError(f"calldata of {self.signature} has bytes that its arguments do not explain")
        return arguments

    def decode_output(self, data: str) -> tuple[object, ...]:
        return decode(self.outputs, bytes.fromhex(data.removeprefix("0x")))


def _function(name: str, inputs: Sequence[str], outputs: Sequence[str] = ()) -> AbiFunction:
    pairs = tuple((kind, argument) for kind, argument in (text.rsplit(" ", 1) for text in inputs))
    return AbiFunction(name=name, inputs=pairs, outputs=tuple(outputs))


# ERC-20, EIP-20
APPROVE: Final = _function("approve", ["address spender", "uint256 amount"], ["bool"])
TRANSFER: Final = _function("transfer", ["address to", "uint256 amount"], ["bool"])
BALANCE_OF: Final = _function("balanceOf", ["address account"], ["uint256"])
ALLOWANCE: Final = _function("allowance", ["address owner", "address spender"], ["uint256"])
TOTAL_SUPPLY: Final = _function("totalSupply", [], ["uint256"])
DECIMALS: Final = _function("decimals", [], ["uint8"])

# Aave v3 IPool, IPoolDataProvider, IDefaultInterestRateStrategy (@aave/core-v3 1.19.3)
AAVE_SUPPLY: Final = _function(
    "supply", ["address asset", "uint256 amount", "address onBehalfOf", "uint16 referralCode"]
)
AAVE_WITHDRAW: Final = _function("withdraw", ["address asset", "uint256 amount", "address to"], ["uint256"])
AAVE_RESERVE_DATA: Final = _function("getReserveData", ["address asset"], ["uint256"] * 11 + ["uint40"])
AAVE_RESERVE_CONFIGURATION: Final = _function(
    "getReserveConfigurationData", ["address asset"], ["uint256"] * 5 + ["bool"] * 5
)
AAVE_PAUSED: Final = _function("getPaused", ["address asset"], ["bool"])
AAVE_RATE_STRATEGY: Final = _function("getInterestRateStrategyAddress", ["address asset"], ["address"])
AAVE_OPTIMAL_USAGE: Final = _function("OPTIMAL_USAGE_RATIO", [], ["uint256"])
AAVE_BASE_RATE: Final = _function("getBaseVariableBorrowRate", [], ["uint256"])
AAVE_SLOPE_1: Final = _function("getVariableRateSlope1", [], ["uint256"])
AAVE_SLOPE_2: Final = _function("getVariableRateSlope2", [], ["uint256"])

# ERC-4626, EIP-4626
VAULT_DEPOSIT: Final = _function("deposit", ["uint256 assets", "address receiver"], ["uint256"])
VAULT_REDEEM: Final = _function("redeem", ["uint256 shares", "address receiver", "address owner"], ["uint256"])
VAULT_CONVERT_TO_ASSETS: Final = _function("convertToAssets", ["uint256 shares"], ["uint256"])
VAULT_PREVIEW_REDEEM: Final = _function("previewRedeem", ["uint256 shares"], ["uint256"])
VAULT_MAX_WITHDRAW: Final = _function("maxWithdraw", ["address owner"], ["uint256"])
VAULT_TOTAL_ASSETS: Final = _function("totalAssets", [], ["uint256"])
# Not in EIP-4626: vaults that publish what depositors together may withdraw now name it so
VAULT_AVAILABLE_LIQUIDITY: Final = _function("availableLiquidity", [], ["uint256"])

# Uniswap v3 SwapRouter02 and QuoterV2 (@uniswap/swap-router-contracts 1.3.1)
SWAP_EXACT_INPUT_SINGLE: Final = _function(
    "exactInputSingle", ["(address,address,uint24,address,uint256,uint256,uint160) params"], ["uint256"]
)
QUOTE_EXACT_INPUT_SINGLE: Final = _function(
    "quoteExactInputSingle",
    ["(address,address,uint256,uint24,uint160) params"],
    ["uint256", "uint160", "uint32", "uint256"],
)

# IUniswapV3PoolState, IUniswapV3PoolImmutables (@uniswap/v3-core 1.0.1)
SLOT_0: Final = _function("slot0", [], ["uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool"])
LIQUIDITY: Final = _function("liquidity", [], ["uint128"])
POOL_FEE: Final = _function("fee", [], ["uint24"])
TICK_SPACING: Final = _function("tickSpacing", [], ["int24"])
TICK_BITMAP: Final = _function("tickBitmap", ["int16 word"], ["uint256"])
TICKS: Final = _function(
    "ticks", ["int24 tick"], ["uint128", "int128", "uint256", "uint256", "int56", "uint160", "uint32", "bool"]
)

# Chainlink AggregatorV3Interface
LATEST_ROUND_DATA: Final = _function("latestRoundData", [], ["uint80", "int256", "uint256", "uint256", "uint80"])

SWAP_EXACT_INPUT_SINGLE_FIELDS: Final = (
    ("address", "tokenIn"),
    ("address", "tokenOut"),
    ("uint24", "fee"),
    ("address", "recipient"),
    ("uint256", "amountIn"),
    ("uint256", "amountOutMinimum"),
    ("uint160", "sqrtPriceLimitX96"),
)
"""IV3SwapRouter.ExactInputSingleParams, in order."""

# Safe 1.4.1 and MultiSendCallOnly
SAFE_EXEC_TRANSACTION: Final = _function(
    "execTransaction",
    [
        "address to",
        "uint256 value",
        "bytes data",
        "uint8 operation",
        "uint256 safeTxGas",
        "uint256 baseGas",
        "uint256 gasPrice",
        "address gasToken",
        "address refundReceiver",
        "bytes signatures",
    ],
    ["bool"],
)
MULTISEND: Final = _function("multiSend", ["bytes transactions"])

# Multicall3
AGGREGATE_3: Final = _function("aggregate3", ["(address,bool,bytes)[] calls"], ["(bool,bytes)[]"])
GET_ETH_BALANCE: Final = _function("getEthBalance", ["address account"], ["uint256"])


def prevalidated_signature(owner: str) -> bytes:
    """Safe's signature of an owner who sends the transaction himself: r = owner, s = 0, v = 1 (Safe.sol, GS025)."""
    return bytes.fromhex(owner.removeprefix("0x")).rjust(32, b"\0") + bytes(32) + b"\x01"
