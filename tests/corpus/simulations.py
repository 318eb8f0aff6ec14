"""Simulations: reports that failed, are old, are of other bytes, or show another effect than the calls say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.portfolio import Balance, Portfolio, Position
from domain.transaction import NATIVE, BalanceDelta, LeftoverApproval
from domain.verdict import Evidence
from tests.builders_evidence import DAI, USDC
from tests.corpus.foreign import STRANGER
from tests.corpus.samples import DEPOSIT, EXIT, REDEEM, SUPPLY, SWAP, WITHDRAW
from tests.corpus.scene import CATALOG, report_on
from tests.corpus.specimen import Specimen, forbidden, simulated

ACCOUNT, OPERATOR = CATALOG.account, CATALOG.operator
USDC_TOKEN, DAI_TOKEN = CATALOG.token("usdc").address, CATALOG.token("dai").address
RECEIPT: Final = CATALOG.strategy("aave-usdc").receipt
VAULT: Final = CATALOG.strategy("vault-limited-dai").receipt
UNLISTED: Final = "0x" + "f00d" * 10
TOLERATED: Final = 50 * USDC
"""Ten basis points of the 50,000 USDC that the sample supplies."""


def _moved(evidence: Evidence, holder: str, token: str, amount: int) -> Evidence:
    """One more balance change, as if the chain had made it too."""
    extra = BalanceDelta(holder=holder, token=token, amount=amount)
    return simulated(evidence, deltas=(*evidence.simulation.deltas, extra))


def _holding(evidence: Evidence, token: str, change: int) -> Evidence:
    """Another cash balance of one token in the book after."""
    cash = tuple(
        Balance(token=balance.token, amount=balance.amount + (change if balance.token == token else 0))
        for balance in evidence.after.cash
    )
    return _after(evidence, cash=cash)


def _after(evidence: Evidence, **changes: object) -> Evidence:
    after = Portfolio.model_validate({**dict(evidence.after), **changes})
    report = evidence.risk_after and report_on(after, evidence.risk_after, evidence.snapshot)
    return evidence.model_copy(update={"after": after, "risk_after": report})


def _kept(evidence: Evidence, strategy: str, change: int) -> tuple[Position, ...]:
    return tuple(
        Position(strategy=p.strategy, shares=p.shares + change, amount=p.amount + change)
        if p.strategy == strategy
        else p
        for p in evidence.after.positions
    )


def _reports() -> Iterator[Specimen]:
    report = SUPPLY.evidence
    for name, difference, code, changed in (
        (
            "reverted",
            "it reverted in the simulation",
            "simulation_failed",
            simulated(report, succeeded=False, failure="GS013"),
        ),
        ("other-bytes", "other bytes were simulated", "simulation_digest", simulated(report, batch_digest="0" * 64)),
        (
            "old",
            "it was simulated six blocks ago",
            "simulation_stale",
            report.model_copy(update={"head_block_number": 106}),
        ),
        (
            "ahead",
            "it was simulated on a block that was dropped",
            "simulation_stale",
            simulated(report, block_number=101),
        ),
    ):
        yield _about(SUPPLY, name, difference, code, evidence=changed)
    exiting = simulated(EXIT.evidence, succeeded=False, failure="reverted")
    yield _about(EXIT, "reverted", "it reverted in the simulation", "simulation_failed", evidence=exiting)
    foreign = simulated(EXIT.evidence, batch_digest="0" * 64)
    yield _about(EXIT, "other-bytes", "other bytes were simulated", "simulation_digest", evidence=foreign)


def _about(sample: Specimen, name: str, difference: str, *codes: str, evidence: Evidence) -> Specimen:
    return forbidden(
        sample, f"simulated-{name}", difference, *codes, evidence=evidence, differs_in="evidence", family="simulation"
    )


def _edges() -> Iterator[Specimen]:
    """The tolerance itself is allowed, one base unit beyond it is not."""
    for name, words, sign, code in (
        ("more", "50 USDC more leave", -1, "unplanned_outflow"),
        ("less", "50 USDC less leave", 1, "delta_mismatch"),
    ):
        at, over = (_shifted(SUPPLY.evidence, sign * (TOLERATED + extra)) for extra in (0, 1))
        sample = Specimen(
            id=f"tolerated-{name}",
            sentence=f"Supplies 50,000 USDC, and in the simulation {words} than the calls say",
            family="simulation",
            evidence=at,
            base="treasury",
        )
        yield sample
        yield _about(sample, "one-unit-over", "by one base unit more", code, evidence=over)
    at = SUPPLY.evidence.model_copy(update={"head_block_number": 105})
    sample = Specimen(
        id="simulated-five-blocks-ago",
        sentence="Supplies 50,000 USDC, simulated five blocks ago",
        family="simulation",
        evidence=at,
        base="treasury",
    )
    yield sample
    late = at.model_copy(update={"head_block_number": 106})
    yield _about(sample, "one-block-later", "one block more has passed", "simulation_stale", evidence=late)


def _shifted(evidence: Evidence, amount: int) -> Evidence:
    return _moved(_holding(evidence, "usdc", amount), ACCOUNT, USDC_TOKEN, amount)


def _strangers() -> Iterator[Specimen]:
    for name, difference, holder, token in (
        ("stranger-gains", "a stranger gains one base unit of USDC", STRANGER, USDC_TOKEN),
        ("stranger-gains-dai", "a stranger gains one base unit of DAI", STRANGER, DAI_TOKEN),
        ("stranger-gains-ether", "a stranger gains a wei", STRANGER, NATIVE),
        ("operator-gains", "the operator gains one base unit of USDC", OPERATOR, USDC_TOKEN),
        ("router-gains", "the router keeps one base unit of USDC", CATALOG.contracts.swap_router, USDC_TOKEN),
        ("token-gains", "the token contract keeps a base unit", USDC_TOKEN, USDC_TOKEN),
    ):
        changed = _moved(SUPPLY.evidence, holder, token, 1)
        yield _about(SUPPLY, name, difference, "outflow_to_stranger", evidence=changed)
    leaving = _moved(EXIT.evidence, STRANGER, USDC_TOKEN, 1)
    difference = "a stranger gains one base unit of USDC"
    yield _about(EXIT, "stranger-gains", difference, "outflow_to_stranger", evidence=leaving)


def _outflows() -> Iterator[Specimen]:
    for sample, name, difference, token, amount in (
        (SUPPLY, "ether-leaves", "a wei leaves", NATIVE, -1),
        (SUPPLY, "dai-leaves", "a base unit of DAI leaves", DAI_TOKEN, -1),
        (SUPPLY, "unlisted-leaves", "a base unit of an unlisted token leaves", UNLISTED, -1),
        (SUPPLY, "receipt-missing", "no aToken arrives", RECEIPT, -50_000 * USDC),
        (DEPOSIT, "shares-missing", "a tenth of the shares does not arrive", VAULT, -3_000 * DAI),
        (REDEEM, "paid-short", "a tenth of the DAI does not arrive", DAI_TOKEN, -2_000 * DAI),
        (SWAP, "paid-short", "less DAI arrives than the minimum out", DAI_TOKEN, -100 * DAI),
        (WITHDRAW, "other-token-leaves", "a base unit of USDC leaves too", USDC_TOKEN, -1),
    ):
        changed = _moved(sample.evidence, ACCOUNT, token, amount)
        yield _about(sample, name, difference, "unplanned_outflow", evidence=changed)


def _books() -> Iterator[Specimen]:
    """The book read from the simulated state says something else than the events."""
    evidence = SUPPLY.evidence
    for name, difference, changed in (
        ("cash-missing", "the book after holds 701 USDC less", _holding(evidence, "usdc", -701 * USDC)),
        ("dai-missing", "the book after holds 101 DAI less", _holding(evidence, "dai", -101 * DAI)),
        (
            "position-smaller",
            "the USDX position is 101 smaller",
            _after(evidence, positions=_kept(evidence, "aave-usdx", -101 * DAI)),
        ),
        ("ether-missing", "native money is missing in the book after", _after(evidence, native_wei=9 * 10**17)),
    ):
        yield _about(SUPPLY, name, difference, "delta_mismatch", evidence=changed)
    gone = _after(evidence, positions=evidence.after.positions[1:])
    codes = ("delta_mismatch", "day_loss", "week_loss", "issuer_share")  # a tenth of the book is missing
    yield _about(SUPPLY, "position-missing", "the USDX position is not in the book after", *codes, evidence=gone)


def _leftovers() -> Iterator[Specimen]:
    for sample in (SUPPLY, SWAP, EXIT):
        for name, difference, spender, amount in (
            ("rest-approved", "one base unit stays approved", CATALOG.contracts.aave_pool, 1),
            ("stranger-approved", "a stranger may spend everything afterwards", STRANGER, 2**256 - 1),
        ):
            left = LeftoverApproval(token=USDC_TOKEN, spender=spender, amount=amount)
            changed = simulated(sample.evidence, leftover_approvals=(left,))
            yield _about(sample, name, difference, "leftover_approval", evidence=changed)


def specimens() -> tuple[Specimen, ...]:
    return (*_reports(), *_edges(), *_strangers(), *_outflows(), *_books(), *_leftovers())
