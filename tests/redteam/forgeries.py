"""Batches that must never leave, each forged to break one promise of the product.

Broadcast directly they prove that the auditor sees it; put into a run's checkpoint, that the guards refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from eth_abi.abi import encode

from domain import abi
from domain.market import Catalog, Strategy, Token
from domain.transaction import UnsignedCall
from tests.redteam.audit_chain import selector
from tests.redteam.findings import Rule
from tools.transactions.safe import wrap_calls

THIEF = "0x00000000000000000000000000000000badc0de5"
CALLS = tuple[UnsignedCall, ...]
DELEGATECALL = 1
SMALL = 1_000
"""Whole tokens: far below every limit on amounts, so that only the forged part is wrong."""


class Forgery(NamedTuple):
    """`rule` is what it breaks; `envelope` is what the operator would send to the account."""

    name: str
    rule: Rule
    calls: Callable[[Catalog], CALLS]
    envelope: Callable[[Catalog, Sequence[UnsignedCall]], UnsignedCall] = lambda catalog, calls: wrap_calls(
        calls, catalog
    )


def units(token: Token, whole: int) -> int:
    return whole * int(10**token.decimals)


def approve(token: Token, spender: str, amount: int) -> UnsignedCall:
    return UnsignedCall(target=token.address, data=abi.APPROVE.encode(spender, amount))


def supply(
    catalog: Catalog, token_id: str, whole: int, *, owner: str = "", approved: int | None = None, referral: int = 0
) -> CALLS:
    token, pool, amount = catalog.token(token_id), catalog.contracts.aave_pool, 0
    amount = units(token, whole)
    data = abi.AAVE_SUPPLY.encode(token.address, amount, owner or catalog.account, referral)
    return approve(token, pool, amount if approved is None else approved), UnsignedCall(target=pool, data=data)


def withdraw(catalog: Catalog, token_id: str, *, recipient: str = "") -> CALLS:
    """The whole position."""
    asset = catalog.token(token_id).address
    data = abi.AAVE_WITHDRAW.encode(asset, 2**256 - 1, recipient or catalog.account)
    return (UnsignedCall(target=catalog.contracts.aave_pool, data=data),)


def deposit(catalog: Catalog, strategy_id: str, whole: int, *, receiver: str = "") -> CALLS:
    vault = catalog.strategy(strategy_id)
    token = catalog.token(vault.token)
    amount = units(token, whole)
    data = abi.VAULT_DEPOSIT.encode(amount, receiver or catalog.account)
    return approve(token, vault.contract, amount), UnsignedCall(target=vault.contract, data=data)


def swap(
    catalog: Catalog,
    pair: tuple[str, str],
    whole: int,
    *,
    minimum: int | None = None,
    recipient: str = "",
    fee: int = 100,
    limit: int = 0,
) -> CALLS:
    """Minimum out at ten basis points below one to one, if none is given."""
    first, second = (catalog.token(token) for token in pair)
    amount, router = units(first, whole), catalog.contracts.swap_router
    fair = units(second, whole) * 9_990 // 10_000
    terms = (fee, recipient or catalog.account, amount, fair if minimum is None else minimum, limit)
    data = abi.SWAP_EXACT_INPUT_SINGLE.encode((first.address, second.address, *terms))
    return approve(first, router, amount), UnsignedCall(target=router, data=data)


def raw(target: str, signature: str, types: Sequence[str], *arguments: object, value: int = 0) -> UnsignedCall:
    data = "0x" + (selector(signature) + encode(types, arguments)).hex()
    return UnsignedCall(target=target, data=data, value_wei=value)


def _reserve(catalog: Catalog) -> Token:
    return catalog.token(catalog.reserve_token)


def _vault(catalog: Catalog) -> Strategy:
    return catalog.strategy("vault-slashable-usdc")


def _own_delegatecall(catalog: Catalog, calls: Sequence[UnsignedCall]) -> UnsignedCall:
    """The Safe runs somebody else's code as its own."""
    (call,) = calls
    data = abi.SAFE_EXEC_TRANSACTION.encode(
        *(call.target, 0, bytes.fromhex(call.data[2:]), DELEGATECALL, 0, 0, 0, "0x" + "0" * 40, "0x" + "0" * 40),
        abi.prevalidated_signature(catalog.operator),
    )
    return UnsignedCall(target=catalog.account, data=data)


def _refunded(catalog: Catalog, calls: Sequence[UnsignedCall]) -> UnsignedCall:
    """The Safe's own gas refund pays whoever the bytes name, in tokens."""
    multisend = bytes.fromhex(abi.MULTISEND.encode(_packed(calls))[2:])
    terms = (catalog.contracts.multisend_call_only, 0, multisend, DELEGATECALL, 0, 50_000, 10**3)
    refund = (_reserve(catalog).address, THIEF, abi.prevalidated_signature(catalog.operator))
    return UnsignedCall(target=catalog.account, data=abi.SAFE_EXEC_TRANSACTION.encode(*terms, *refund))


def _packed(calls: Sequence[UnsignedCall]) -> bytes:
    from tools.transactions.safe import pack_calls

    return pack_calls(calls)


def _with_tail(calls: CALLS) -> CALLS:
    return tuple(call.model_copy(update={"data": call.data + "00" * 31 + "2a"}) for call in calls)


FORGERIES = (
    Forgery(
        "transfer-to-thief",
        Rule.SELECTOR,
        lambda c: (UnsignedCall(target=_reserve(c).address, data=abi.TRANSFER.encode(THIEF, 10**9)),),
    ),
    Forgery("approval-for-thief", Rule.SPENDER, lambda c: (approve(_reserve(c), THIEF, 10**9),)),
    Forgery("endless-approval", Rule.APPROVAL_LEFT, lambda c: supply(c, "usdc", SMALL, approved=2**256 - 1)),
    Forgery("approval-above-use", Rule.APPROVAL_AMOUNT, lambda c: supply(c, "usdc", SMALL, approved=10**10)),
    Forgery("withdrawal-to-thief", Rule.RECIPIENT, lambda c: withdraw(c, "weth", recipient=THIEF)),
    Forgery("supply-for-thief", Rule.RECIPIENT, lambda c: supply(c, "usdc", SMALL, owner=THIEF)),
    Forgery("deposit-for-thief", Rule.RECIPIENT, lambda c: deposit(c, "vault-slashable-usdc", SMALL, receiver=THIEF)),
    Forgery("swap-to-thief", Rule.RECIPIENT, lambda c: swap(c, ("usdc", "dai"), SMALL, recipient=THIEF)),
    Forgery(
        "foreign-contract",
        Rule.TARGET,
        lambda c: (raw(c.contracts.multicall, "getBlockNumber()", ()), *supply(c, "usdc", SMALL)),
    ),
    Forgery(
        "unknown-function",
        Rule.SELECTOR,
        lambda c: (
            raw(
                c.contracts.aave_pool,
                "setUserUseReserveAsCollateral(address,bool)",
                ("address", "bool"),
                *(c.token("weth").address, False),
            ),
        ),
    ),
    Forgery(
        "vault-share-transfer",
        Rule.SELECTOR,
        lambda c: (
            *deposit(c, "vault-slashable-usdc", SMALL),
            UnsignedCall(target=_vault(c).receipt, data=abi.TRANSFER.encode(THIEF, 1)),
        ),
    ),
    Forgery("native-value", Rule.NATIVE_VALUE, lambda c: (UnsignedCall(target=THIEF, data="0x", value_wei=10**15),)),
    Forgery(
        "second-owner",
        Rule.ACCOUNT_CHANGED,
        lambda c: (raw(c.account, "addOwnerWithThreshold(address,uint256)", ("address", "uint256"), THIEF, 1),),
    ),
    Forgery("module", Rule.TARGET, lambda c: (raw(c.account, "enableModule(address)", ("address",), THIEF),)),
    Forgery(
        "foreign-code",
        Rule.DELEGATECALL,
        lambda c: (raw(c.contracts.multicall, "getBlockNumber()", ()),),
        envelope=_own_delegatecall,
    ),
    Forgery("gas-refund", Rule.SELECTOR, lambda c: supply(c, "usdc", SMALL), envelope=_refunded),
    Forgery("trailing-bytes", Rule.UNDECODED, lambda c: _with_tail(supply(c, "usdc", SMALL))),
    Forgery("referral", Rule.ARGUMENT, lambda c: supply(c, "usdc", SMALL, referral=7)),
    Forgery("price-limit", Rule.ARGUMENT, lambda c: swap(c, ("usdc", "dai"), SMALL, limit=2**96 * 10**6 * 11 // 10)),
    Forgery("unlisted-venue", Rule.ARGUMENT, lambda c: swap(c, ("usdc", "dai"), SMALL, fee=3_000)),
    Forgery("no-minimum", Rule.MIN_OUT_ZERO, lambda c: swap(c, ("usdc", "dai"), SMALL, minimum=0)),
    Forgery("token-minimum", Rule.TRADE_SLIPPAGE, lambda c: swap(c, ("usdc", "dai"), SMALL, minimum=1)),
    Forgery("floorless-exit", Rule.EMERGENCY_FLOOR, lambda c: swap(c, ("dai", "usdc"), SMALL, minimum=1)),
    Forgery("all-in-one-strategy", Rule.STRATEGY_SHARE, lambda c: supply(c, "usdc", 390_000)),
    Forgery("over-the-turnover", Rule.RUN_TURNOVER, lambda c: _spread(c, 345_000)),
    Forgery("over-the-threshold", Rule.APPROVAL, lambda c: _spread(c, 450_000)),
    Forgery("over-the-transaction", Rule.TRANSACTION_VALUE, lambda c: _spread(c, 560_000)),
    Forgery("reserve-spent", Rule.RESERVE_SHARE, lambda c: _spread(c, 660_000)),
    Forgery(
        "salami-in-one-batch",
        Rule.STRATEGY_SHARE,
        lambda c: tuple(call for _ in range(8) for call in supply(c, "usdc", 48_000)),
    ),
    Forgery("nothing", Rule.UNDECODED, lambda c: ()),
)


def _spread(catalog: Catalog, whole: int) -> CALLS:
    half = whole // 2
    return supply(catalog, "usdc", half) + deposit(catalog, "vault-slashable-usdc", whole - half)
