"""Forbidden neighbours in the arguments: recipients, owners, spenders, assets, amounts, and the order of calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.abi import (
    AAVE_SUPPLY,
    AAVE_WITHDRAW,
    APPROVE,
    SWAP_EXACT_INPUT_SINGLE,
    VAULT_DEPOSIT,
    VAULT_REDEEM,
)
from domain.transaction import UnsignedCall
from domain.units import UINT256_MAX
from tests.builders_evidence import DAI, USDC
from tests.corpus.foreign import NOBODY, STRANGER
from tests.corpus.samples import DEPOSIT, EXIT, REDEEM, REVOKE, SUPPLY, SWAP, WITHDRAW
from tests.corpus.scene import CATALOG
from tests.corpus.specimen import Specimen, forbidden, with_call, with_calls

ACCOUNT, OPERATOR = CATALOG.account, CATALOG.operator
POOL, ROUTER = CATALOG.contracts.aave_pool, CATALOG.contracts.swap_router
USDC_TOKEN, DAI_TOKEN, USDX_TOKEN = (CATALOG.token(token).address for token in ("usdc", "dai", "usdx"))
VAULT: Final = CATALOG.strategy("vault-limited-dai").contract
RECIPIENTS: Final = {
    "stranger": ("a stranger", STRANGER),
    "operator": ("the operator's own address", OPERATOR),
    "nobody": ("the zero address", NOBODY),
    "token": ("the token contract", USDC_TOKEN),
    "multisend": ("the MultiSend contract", CATALOG.contracts.multisend_call_only),
}


def _supply(
    *, asset: str = USDC_TOKEN, amount: int = 50_000 * USDC, owner: str = ACCOUNT, code: int = 0
) -> UnsignedCall:
    return UnsignedCall(target=POOL, data=AAVE_SUPPLY.encode(asset, amount, owner, code))


def _withdraw(*, asset: str = USDX_TOKEN, amount: int = 40_000 * DAI, to: str = ACCOUNT) -> UnsignedCall:
    return UnsignedCall(target=POOL, data=AAVE_WITHDRAW.encode(asset, amount, to))


def _deposit(*, vault: str = VAULT, amount: int = 30_000 * DAI, receiver: str = ACCOUNT) -> UnsignedCall:
    return UnsignedCall(target=vault, data=VAULT_DEPOSIT.encode(amount, receiver))


def _redeem(*, shares: int = 20_000 * DAI, receiver: str = ACCOUNT, owner: str = ACCOUNT) -> UnsignedCall:
    return UnsignedCall(target=VAULT, data=VAULT_REDEEM.encode(shares, receiver, owner))


def _swap(**changes: object) -> UnsignedCall:
    order = {
        "token_in": USDC_TOKEN,
        "token_out": DAI_TOKEN,
        "fee": 100,
        "recipient": ACCOUNT,
        "amount_in": 10_000 * USDC,
        "minimum_out": 9_950 * DAI,
        "limit": 0,
    }
    return UnsignedCall(target=ROUTER, data=SWAP_EXACT_INPUT_SINGLE.encode(tuple({**order, **changes}.values())))


def _approve(spender: str, amount: int, *, token: str = USDC_TOKEN) -> UnsignedCall:
    return UnsignedCall(target=token, data=APPROVE.encode(spender, amount))


def _recipients() -> Iterator[Specimen]:
    for name, (words, who) in RECIPIENTS.items():
        for sample, position, call, part in (
            (SUPPLY, 1, _supply(owner=who), "onBehalfOf"),
            (WITHDRAW, 0, _withdraw(to=who), "to"),
            (DEPOSIT, 1, _deposit(receiver=who), "receiver"),
            (REDEEM, 0, _redeem(receiver=who), "receiver"),
            (REDEEM, 0, _redeem(owner=who), "owner"),
            (SWAP, 1, _swap(recipient=who), "recipient"),
        ):
            changed = with_call(sample.evidence, position, call)
            slug = f"{part.lower()}-is-{name}"
            yield forbidden(sample, slug, f"{part} is {words}", "recipient", evidence=changed)


def _spenders() -> Iterator[Specimen]:
    contracts = CATALOG.contracts
    for name, words, spender in (
        ("stranger", "a stranger", STRANGER),
        ("permit2", "Permit2", contracts.permit2),
        ("multisend", "the MultiSend contract", contracts.multisend_call_only),
        ("data-provider", "Aave's data provider", contracts.aave_data_provider),
        ("quoter", "the quoter, not the router", contracts.quoter),
        ("other-vault", "a vault of another token", VAULT),
        ("receipt", "the aToken instead of the pool", CATALOG.strategy("aave-usdc").receipt),
        ("account", "the account itself", ACCOUNT),
        ("operator", "the operator", OPERATOR),
        ("nobody", "the zero address", NOBODY),
    ):
        changed = with_call(SUPPLY.evidence, 0, _approve(spender, 50_000 * USDC))
        difference = f"the approval is for {words}"
        yield forbidden(SUPPLY, f"approves-{name}", difference, "spender", "approval_amount", evidence=changed)


def _approvals() -> Iterator[Specimen]:
    for sample, token, spender, amount in (
        (SUPPLY, USDC_TOKEN, POOL, 50_000 * USDC),
        (DEPOSIT, DAI_TOKEN, VAULT, 30_000 * DAI),
        (SWAP, USDC_TOKEN, ROUTER, 10_000 * USDC),
    ):
        for name, difference, approved in (
            ("approves-one-more", "one base unit too much is approved", amount + 1),
            ("approves-one-less", "one base unit too little is approved", amount - 1),
            ("approves-double", "twice the amount is approved", 2 * amount),
            ("approves-everything", "an unlimited amount is approved", UINT256_MAX),
            ("approves-nothing", "nothing is approved", 0),
        ):
            changed = with_call(sample.evidence, 0, _approve(spender, approved, token=token))
            yield forbidden(sample, name, difference, "approval_amount", evidence=changed)
    one = with_calls(REVOKE.evidence, [_approve(POOL, 1)])
    yield forbidden(REVOKE, "keeps-one-unit", "one base unit stays approved", "approval_amount", evidence=one)
    rest = with_calls(REVOKE.evidence, [_approve(POOL, UINT256_MAX)])
    yield forbidden(
        REVOKE, "approves-everything", "an unlimited amount stays approved", "approval_amount", evidence=rest
    )


def _order() -> Iterator[Specimen]:
    approval, action = SUPPLY.evidence.plan.calls
    for name, difference, calls in (
        ("approval-behind", "the approval comes after the supply", (action, approval)),
        ("approval-missing", "the approval is missing", (action,)),
        ("supplied-twice", "one approval is for two supplies", (approval, action, action)),
        ("approved-again-behind", "it is approved once more at the end", (approval, action, approval)),
        ("other-token-approved", "DAI is approved", (_approve(POOL, 50_000 * USDC, token=DAI_TOKEN), action)),
    ):
        changed = with_calls(SUPPLY.evidence, calls)
        more = ("unplanned_outflow", "delta_mismatch") if name == "supplied-twice" else ()
        yield forbidden(SUPPLY, name, difference, "approval_amount", *more, evidence=changed)
    only = with_calls(SUPPLY.evidence, (approval,))
    difference = "the approval is never used"
    yield forbidden(SUPPLY, "never-supplied", difference, "approval_amount", "unplanned_outflow", evidence=only)


def _subjects() -> Iterator[Specimen]:
    """Another asset, venue or fixed argument than the catalog lists."""
    unread = ("argument", "approval_amount", "unplanned_outflow")
    unlisted = (*unread, "batch_mismatch")  # no swap is read, so that the plan's minimum out is nobody's
    moved = ("approval_amount", "delta_mismatch", "unplanned_outflow")
    for sample, position, call, name, difference, codes in (
        (SUPPLY, 1, _supply(code=1), "referral", "a referral code is given", ("argument",)),
        (SUPPLY, 1, _supply(asset=STRANGER), "asset-unlisted", "the asset is not listed", unread),
        (SUPPLY, 1, _supply(asset=DAI_TOKEN), "asset-other", "the asset is DAI", moved),
        (WITHDRAW, 0, _withdraw(asset=STRANGER), "asset-unlisted", "the asset is not listed", unread[::2]),
        (SWAP, 1, _swap(token_out=STRANGER), "bought-unlisted", "the token bought is not listed", unlisted),
        (SWAP, 1, _swap(token_in=STRANGER), "sold-unlisted", "the token sold is not listed", unlisted),
        (SWAP, 1, _swap(fee=3000), "fee-tier", "the pair has no pool of this fee", ("argument",)),
        (SWAP, 1, _swap(fee=0), "fee-zero", "the fee tier is zero", ("argument",)),
        (SWAP, 1, _swap(limit=1), "price-limit", "a price limit lets it stop half way", ("argument",)),
        (
            SWAP,
            1,
            _swap(token_out=USDC_TOKEN),
            "same-token",
            "USDC is swapped for USDC",
            ("argument", "unplanned_outflow"),
        ),
    ):
        yield forbidden(sample, name, difference, *codes, evidence=with_call(sample.evidence, position, call))


def _amounts() -> Iterator[Specimen]:
    """Amounts that the simulation did not show, each with its own approval mended where there is one."""
    both = ("unplanned_outflow", "delta_mismatch")
    more = [_approve(POOL, 60_000 * USDC), _supply(amount=60_000 * USDC)]
    less = [_approve(POOL, 40_000 * USDC), _supply(amount=40_000 * USDC)]
    yield forbidden(
        SUPPLY, "more", "10,000 USDC more than simulated", *both, evidence=with_calls(SUPPLY.evidence, more)
    )
    yield forbidden(
        SUPPLY, "less", "10,000 USDC less than simulated", both[0], evidence=with_calls(SUPPLY.evidence, less)
    )
    for sample, call, name, difference, codes in (
        (WITHDRAW, _withdraw(amount=UINT256_MAX), "whole", "the whole position is asked for", both[:1]),
        (WITHDRAW, _withdraw(amount=50_000 * DAI), "more", "10,000 USDX more than simulated", both[:1]),
        (WITHDRAW, _withdraw(amount=0), "nothing", "nothing is asked for", both),
        (REDEEM, _redeem(shares=40_000 * DAI), "more", "twice the shares of the simulation", both),
        (REDEEM, _redeem(shares=UINT256_MAX), "everything", "2^256-1 shares", both),
    ):
        yield forbidden(sample, name, difference, *codes, evidence=with_call(sample.evidence, 0, call))


def _minimums() -> Iterator[Specimen]:
    zero = with_call(SWAP.evidence, 1, _swap(minimum_out=0), minimum_outs=(0,))
    codes = ("min_out_zero", "trade_slippage", "day_slippage", "week_slippage")
    yield forbidden(SWAP, "minimum-zero", "any price is accepted", *codes, evidence=zero, family="slippage")
    one = with_call(SWAP.evidence, 1, _swap(minimum_out=1), minimum_outs=(1,))
    yield forbidden(SWAP, "minimum-one", "one base unit is enough", *codes[1:], evidence=one, family="slippage")
    venue = next(venue for venue in CATALOG.venues if venue.id == "usdc-usdx-100")
    order = (USDX_TOKEN, USDC_TOKEN, venue.fee_pips, ACCOUNT, 100_000 * DAI, 0, 0)
    sold = UnsignedCall(target=ROUTER, data=SWAP_EXACT_INPUT_SINGLE.encode(order))
    blind = with_call(EXIT.evidence, 2, sold, minimum_outs=(0,))
    difference = "any price is accepted, though it is a way out"
    yield forbidden(
        EXIT, "minimum-zero", difference, "min_out_zero", "emergency_floor", evidence=blind, family="slippage"
    )


def neighbours() -> tuple[Specimen, ...]:
    return (*_recipients(), *_spenders(), *_approvals(), *_order(), *_subjects(), *_amounts(), *_minimums())
