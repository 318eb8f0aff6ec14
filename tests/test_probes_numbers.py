"""Probe case 10: numbers that are none, absurd ones, decimals that change, tokens that tax and rebase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import pytest

from collectors.answers import Question
from domain import abi
from domain.errors import StaleOrDisputed
from domain.plan import Move
from domain.portfolio import Balance
from domain.transaction import BalanceDelta
from domain.units import Value
from guards import check
from tests.builders import make_price
from tests.builders_evidence import USDC
from tests.corpus.moves import redeem, swap
from tests.corpus.scene import CATALOG, SNAPSHOT, make_evidence, risk_of
from tests.corpus.specimen import simulated
from tests.test_collectors import CATALOG as READ_CATALOG
from tests.test_collectors import make_reads, reader
from tests.test_probes import ENTRY, denials, shown

BAD_NUMBERS = [math.nan, math.inf, -math.inf, -1, -0.5, 1e400, True, "NaN", "1e400", "", None, Decimal("NaN")]


@pytest.mark.parametrize("bad", BAD_NUMBERS, ids=repr)
@pytest.mark.parametrize("part", ["price", "loss", "budget", "shares"])
def test_probe_10_a_number_that_is_none_denies_and_never_raises(part: str, bad: object) -> None:
    evidence = make_evidence(ENTRY)
    report = evidence.risk_after
    changes: dict[str, dict[str, object]] = {
        "price": {"snapshot": SNAPSHOT.model_copy(update={"prices": _with(SNAPSHOT.prices, price_usd=bad)})},
        "loss": {"risk_after": report and report.model_copy(update={"stress": _with(report.stress, loss=bad)})},
        "budget": {"budget": evidence.budget.model_copy(update={"value_day_usd": bad})},
        "shares": {
            "after": evidence.after.model_copy(update={"positions": _with(evidence.after.positions, amount=bad)})
        },
    }

    assert not check(evidence.model_copy(update=changes[part])).is_pass


def _with(parts: Sequence[Value], **broken: object) -> tuple[Value, ...]:
    """The first of them broken as only code could break it: parsing would refuse."""
    first, *others = parts
    return (first.model_copy(update=broken), *others)


@pytest.mark.parametrize(
    ("oracle", "market", "code"), [(10**12, 1, "price_disputed"), (10**12,) * 2 + ("stable_deviation",)]
)
def test_probe_10_a_price_a_million_million_times_too_high_denies(oracle: int, market: int, code: str) -> None:
    others = tuple(price for price in SNAPSHOT.prices if price.token != "usdc")
    wrong = (make_price("usdc", str(oracle)), make_price("usdc", str(market), source="uniswap"))

    assert code in denials(make_evidence(ENTRY, snapshot=SNAPSHOT.model_copy(update={"prices": others + wrong})))


@pytest.mark.parametrize("decimals", [0, 5, 8, 18, 36])
def test_probe_10_a_token_whose_decimals_changed_is_not_read(decimals: int) -> None:
    reads = make_reads()
    reads.set(Question(READ_CATALOG.token("usdc").address, abi.DECIMALS), decimals)

    with pytest.raises(StaleOrDisputed, match=f"token usdc has {decimals} decimals on chain, expected 6"):
        reader(reads).snapshot()


@pytest.mark.parametrize(
    ("moves", "base", "dollars"),
    [
        ([swap("usdc-wbtc-3000", "usdc", 6_000 * USDC, 9_960_000)], "treasury", "6000"),  # 6 to 8 decimals
        ([swap("usdc-weth-500", "usdc", 7_000 * USDC, 199 * 10**16)], "treasury", "7000"),  # 6 to 18
        ([redeem("vault-weth", 2 * 10**18)], "invested", "7000"),
    ],
)
def test_probe_10_dollars_do_not_depend_on_decimals(moves: list[Move], base: str, dollars: str) -> None:
    assert shown(check(make_evidence(moves, base=base)), "transaction_value") == {dollars}


def test_probe_10_a_token_that_keeps_a_fee_of_each_transfer_denies() -> None:
    evidence = make_evidence(ENTRY)
    receipt = CATALOG.strategy("aave-usdc").receipt
    fee = BalanceDelta(holder=CATALOG.account, token=receipt, amount=-500 * USDC)

    taxed = simulated(evidence, deltas=(*evidence.simulation.deltas, fee))

    assert "unplanned_outflow" in denials(taxed)


@pytest.mark.parametrize(("share", "expected"), [(-1, {"delta_mismatch"}), (1, set())])
def test_probe_10_a_token_that_rebases_down_denies_and_up_does_not(share: int, expected: set[str]) -> None:
    """By a percent, without any transfer: the book read from the chain is what counts."""
    evidence = make_evidence(ENTRY)
    rebased = tuple(
        Balance(token=b.token, amount=b.amount * (100 + share) // 100 if b.token == "dai" else b.amount)
        for b in evidence.after.cash
    )

    after = evidence.after.model_copy(update={"cash": rebased})

    assert denials(evidence.model_copy(update={"after": after, "risk_after": risk_of(after)})) == expected
