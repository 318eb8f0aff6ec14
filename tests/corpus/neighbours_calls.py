"""Forbidden neighbours among the calls: one call more, to another function or contract, with money or broken bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.abi import TRANSFER
from domain.transaction import UnsignedCall
from domain.units import UINT256_MAX
from tests.builders_evidence import USDC
from tests.corpus.foreign import NOBODY, STRANGER, call
from tests.corpus.samples import REDEEM, SUPPLY, SWAP, WITHDRAW
from tests.corpus.scene import CATALOG, WETH
from tests.corpus.specimen import Specimen, forbidden, with_call, with_calls

ACCOUNT, OPERATOR = CATALOG.account, CATALOG.operator
CONTRACTS = CATALOG.contracts
POOL, ROUTER = CONTRACTS.aave_pool, CONTRACTS.swap_router
TOKEN, WETH_TOKEN = CATALOG.token("usdc").address, CATALOG.token("weth").address
VAULT: Final = CATALOG.strategy("vault-limited-dai").contract
RECEIPT: Final = CATALOG.strategy("aave-usdx").receipt
UNREAD: Final = ("selector", "undecoded")
UNKNOWN: Final = ("contract", "selector", "undecoded")

TOKEN_CALLS: Final = {
    "transfer": ("sends a stranger USDC", UnsignedCall(target=TOKEN, data=TRANSFER.encode(STRANGER, USDC))),
    "transfer-to-itself": (
        "sends USDC to the account",
        UnsignedCall(target=TOKEN, data=TRANSFER.encode(ACCOUNT, USDC)),
    ),
}
"""Read, and refused by name."""
FUNCTIONS: Final[dict[str, tuple[str, str, str, tuple[object, ...]]]] = {
    "transfer-from": (
        "pulls USDC to a stranger",
        TOKEN,
        "transferFrom(address,address,uint256)",
        (ACCOUNT, STRANGER, 1),
    ),
    "increase-allowance": ("raises an allowance", TOKEN, "increaseAllowance(address,uint256)", (POOL, 1)),
    "decrease-allowance": ("lowers an allowance", TOKEN, "decreaseAllowance(address,uint256)", (POOL, 1)),
    "permit": (
        "gives a permit",
        TOKEN,
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        (ACCOUNT, STRANGER, UINT256_MAX, UINT256_MAX, 27, bytes(32), bytes(32)),
    ),
    "burn": ("burns USDC", TOKEN, "burn(uint256)", (USDC,)),
    "unwrap": ("unwraps WETH", WETH_TOKEN, "withdraw(uint256)", (WETH,)),
    "wrap": ("wraps native money", WETH_TOKEN, "deposit()", ()),
    "borrow": (
        "borrows WETH",
        POOL,
        "borrow(address,uint256,uint256,uint16,address)",
        (WETH_TOKEN, WETH, 2, 0, ACCOUNT),
    ),
    "repay": ("repays a debt", POOL, "repay(address,uint256,uint256,address)", (TOKEN, 1, 2, ACCOUNT)),
    "collateral": ("switches collateral off", POOL, "setUserUseReserveAsCollateral(address,bool)", (TOKEN, False)),
    "e-mode": ("enters an efficiency mode", POOL, "setUserEMode(uint8)", (1,)),
    "flash-loan": (
        "takes a flash loan",
        POOL,
        "flashLoanSimple(address,address,uint256,bytes,uint16)",
        (STRANGER, TOKEN, USDC, b"", 0),
    ),
    "liquidation": (
        "liquidates somebody",
        POOL,
        "liquidationCall(address,address,address,uint256,bool)",
        (WETH_TOKEN, TOKEN, STRANGER, 1, False),
    ),
    "supply-with-permit": (
        "supplies with a permit",
        POOL,
        "supplyWithPermit(address,uint256,address,uint16,uint256,uint8,bytes32,bytes32)",
        (TOKEN, 1, ACCOUNT, 0, UINT256_MAX, 27, bytes(32), bytes(32)),
    ),
    "old-deposit": (
        "uses the pool's old deposit",
        POOL,
        "deposit(address,uint256,address,uint16)",
        (TOKEN, 1, ACCOUNT, 0),
    ),
    "vault-withdraw": ("asks the vault for assets", VAULT, "withdraw(uint256,address,address)", (1, ACCOUNT, ACCOUNT)),
    "vault-mint": ("mints shares", VAULT, "mint(uint256,address)", (1, ACCOUNT)),
    "vault-transfer": ("sends a stranger shares", VAULT, "transfer(address,uint256)", (STRANGER, 1)),
    "vault-approve": ("lets a stranger spend shares", VAULT, "approve(address,uint256)", (STRANGER, 1)),
    "multi-hop": (
        "swaps over many pools",
        ROUTER,
        "exactInput(bytes,address,uint256,uint256)",
        (b"\x00" * 43, ACCOUNT, 1, 1),
    ),
    "router-multicall": ("calls the router's multicall", ROUTER, "multicall(bytes[])", ([],)),
    "router-sweep": ("sweeps the router", ROUTER, "sweepToken(address,uint256,address)", (TOKEN, 0, STRANGER)),
    "router-self-permit": (
        "lets the router permit",
        ROUTER,
        "selfPermit(address,uint256,uint256,uint8,bytes32,bytes32)",
        (TOKEN, 1, 1, 27, bytes(32), bytes(32)),
    ),
}
"""Functions of listed contracts that are not in the registry."""
STRANGERS: Final[dict[str, tuple[str, str, str, tuple[object, ...]]]] = {
    "unlisted-contract": ("calls a contract that is not listed", STRANGER, "claim()", ()),
    "aave-token": ("sends a stranger aTokens", RECEIPT, "transfer(address,uint256)", (STRANGER, 1)),
    "aave-token-approval": ("lets a stranger spend aTokens", RECEIPT, "approve(address,uint256)", (STRANGER, 1)),
    "permit2": (
        "gives a Permit2 allowance",
        CONTRACTS.permit2,
        "approve(address,address,uint160,uint48)",
        (TOKEN, STRANGER, 1, 1),
    ),
    "multicall": ("calls Multicall3", CONTRACTS.multicall, "getBlockNumber()", ()),
    "quoter": ("calls the quoter", CONTRACTS.quoter, "factory()", ()),
    "feed": ("calls a price feed", CATALOG.token("usdc").feed, "latestRoundData()", ()),
    "pool-of-the-router": (
        "calls a Uniswap pool",
        CATALOG.venues[0].pool,
        "increaseObservationCardinalityNext(uint16)",
        (9,),
    ),
    "precompile": ("calls a precompile", "0x" + "0" * 39 + "1", "claim()", ()),
    "operator": ("calls the operator", OPERATOR, "claim()", ()),
    "add-owner": ("adds an owner", ACCOUNT, "addOwnerWithThreshold(address,uint256)", (STRANGER, 1)),
    "swap-owner": ("replaces the owner", ACCOUNT, "swapOwner(address,address,address)", (NOBODY, OPERATOR, STRANGER)),
    "threshold": ("changes the threshold", ACCOUNT, "changeThreshold(uint256)", (1,)),
    "module": ("enables a module", ACCOUNT, "enableModule(address)", (STRANGER,)),
    "guard": ("removes the guard", ACCOUNT, "setGuard(address)", (NOBODY,)),
    "fallback": ("sets a fallback handler", ACCOUNT, "setFallbackHandler(address)", (STRANGER,)),
    "approve-hash": ("approves a hash", ACCOUNT, "approveHash(bytes32)", (bytes(32),)),
    "from-module": (
        "executes as a module",
        ACCOUNT,
        "execTransactionFromModule(address,uint256,bytes,uint8)",
        (STRANGER, 1, b"", 0),
    ),
}
"""Contracts that the account may not call at all, itself included."""


def _additions() -> Iterator[Specimen]:
    """The sample's calls, and one more behind them."""
    calls = SUPPLY.evidence.plan.calls
    for name, (words, extra) in TOKEN_CALLS.items():
        yield forbidden(
            SUPPLY, name, f"it also {words}", "selector", evidence=with_calls(SUPPLY.evidence, (*calls, extra))
        )
    for codes, table in ((UNREAD, FUNCTIONS), (UNKNOWN, STRANGERS)):
        for name, (words, target, signature, arguments) in table.items():
            changed = with_calls(SUPPLY.evidence, (*calls, call(target, signature, *arguments)))
            yield forbidden(SUPPLY, name, f"it also {words}", *codes, evidence=changed)


def _values() -> Iterator[Specimen]:
    for sample in (SUPPLY, WITHDRAW, REDEEM, SWAP):
        position = len(sample.evidence.plan.calls) - 1
        paying = sample.evidence.plan.calls[position].model_copy(update={"value_wei": 1})
        changed = with_call(sample.evidence, position, paying)
        yield forbidden(sample, "value", "one wei goes along", "native_value", evidence=changed)
    calls = SUPPLY.evidence.plan.calls
    for name, words, target in (("gift", "a stranger", STRANGER), ("gift-to-operator", "the operator", OPERATOR)):
        gift = UnsignedCall(target=target, value_wei=WETH, data="0x")
        changed = with_calls(SUPPLY.evidence, (*calls, gift))
        yield forbidden(SUPPLY, name, f"one ether goes to {words}", *UNKNOWN, "native_value", evidence=changed)


def _bytes() -> Iterator[Specimen]:
    """The withdrawal's own calldata, spoiled: what its arguments do not explain is not read."""
    action = WITHDRAW.evidence.plan.calls[0]
    words = [action.data[10 + 64 * index : 74 + 64 * index] for index in range(3)]
    head = action.data[:10]
    for name, difference, data in (
        ("extra-byte", "one byte follows the arguments", action.data + "00"),
        ("extra-word", "one word follows the arguments", action.data + "00" * 32),
        ("hidden-address", "a stranger's address follows the arguments", action.data + STRANGER[2:]),
        ("cut-byte", "the last byte is missing", action.data[:-2]),
        ("cut-word", "the last word is missing", action.data[:-64]),
        ("selector-only", "only the selector is left", head),
        (
            "dirty-recipient",
            "the recipient's word has a bit above the address",
            head + words[0] + words[1] + "01" + words[2][2:],
        ),
        (
            "dirty-asset",
            "the asset's word has a bit above the address",
            head + "80" + words[0][2:] + words[1] + words[2],
        ),
        ("selector-flipped", "one bit of the selector is flipped", "0x68" + action.data[4:]),
    ):
        changed = with_call(WITHDRAW.evidence, 0, action.model_copy(update={"data": data}))
        yield forbidden(WITHDRAW, name, difference, *UNREAD, "unplanned_outflow", evidence=changed)
    for name, difference, data in (
        ("no-data", "the calldata is empty", "0x"),
        ("three-bytes", "the calldata has three bytes", action.data[:8]),
    ):
        changed = with_call(WITHDRAW.evidence, 0, action.model_copy(update={"data": data}))
        yield forbidden(WITHDRAW, name, difference, *UNREAD, "unplanned_outflow", evidence=changed)


def neighbours() -> tuple[Specimen, ...]:
    return (*_additions(), *_values(), *_bytes())
