"""The market moves while a human thinks: what is entered right before signing is judged at the prices of then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain.market import MarketSnapshot
from domain.run import RunRecord, RunStatus
from guards import check
from guards.what_if import on_market
from tests.builders import PRICES, make_price, make_snapshot
from tests.builders_evidence import codes, make_approval, make_limits
from tests.corpus.samples import SUPPLY, SWAP
from tests.fakes import CATALOG, Treasury
from tests.test_conduct import answer, break_usdx

ASKING = make_limits(approval={"min_value_without_approval_usd": 1})


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Treasury]:
    with closing(Treasury(tmp_path, policy=ASKING)) as treasury:
        yield treasury


def priced(**prices: str) -> MarketSnapshot:
    """Every source of these tokens says so."""
    known = [(price.token, price.source) for price in make_snapshot(CATALOG).prices]
    changed = tuple(make_price(token, prices.get(token, PRICES[token]), source=source) for token, source in known)
    return make_snapshot(CATALOG, prices=changed)


def rated(strategy: str, **changes: object) -> MarketSnapshot:
    rates = tuple(r.model_copy(update=changes if r.strategy == strategy else {}) for r in make_snapshot(CATALOG).rates)
    return make_snapshot(CATALOG, rates=rates)


def approved_on(treasury: Treasury, market: MarketSnapshot) -> RunRecord:
    """What becomes of a run that was asked about on one market and approved on another."""
    assert treasury.run() is RunStatus.WAITING
    treasury.market.market = market
    answer(treasury, approved=True)
    treasury.conductor.resume("run-1")
    return treasury.runs.record("run-1")


def test_an_unmoved_market_changes_nothing(asking: Treasury) -> None:
    record = approved_on(asking, make_snapshot(CATALOG))

    assert record.status is RunStatus.EXECUTED
    assert {move.strategy for move in record.plan.moves} == {"vault-limited-dai", None}  # DAI is bought and deposited


@pytest.mark.parametrize(
    ("market", "code"),
    [
        (priced(dai="0.97"), "stable_deviation"),
        (priced(dai="1.02"), "stable_deviation"),
        (rated("vault-limited-dai", is_paused=True), "strategy_paused"),
        (
            make_snapshot(CATALOG, prices=tuple(p for p in priced().prices if p.source == "oracle")),
            "price_sources_too_few",
        ),
    ],
)
def test_what_may_not_be_entered_any_more_is_not_entered(asking: Treasury, market: MarketSnapshot, code: str) -> None:
    record = approved_on(asking, market)

    assert record.status is RunStatus.DENIED
    assert record.verdict is not None
    assert code in codes(record.verdict.denials)
    assert asking.market.receipts == {}


def test_a_price_that_only_moves_leaves_the_approved_minimum_outs_as_they_are(asking: Treasury) -> None:
    """Half a percent: more than a trade may lose, less than a peg may stray."""
    assert approved_on(asking, priced(usdc="1.005")).status is RunStatus.EXECUTED


def test_a_way_out_needs_no_second_look(tmp_path: Path) -> None:
    """The market cannot be read any more between the verdict and the transaction."""
    with closing(Treasury(tmp_path)) as treasury:
        break_usdx(treasury)
        treasury.market.on_settle = lambda: go_down(treasury, is_down=False)

        record = treasury.run(on_stage=lambda stage, _: go_down(treasury, is_down=stage == "guard"))

        assert (record.status, record.verdict.is_exit) == (RunStatus.EXECUTED, True)


def go_down(treasury: Treasury, *, is_down: bool) -> None:
    treasury.market.is_down = is_down


def test_an_entry_that_cannot_be_looked_at_again_is_not_made(tmp_path: Path) -> None:
    with closing(Treasury(tmp_path)) as treasury:
        record = treasury.run(on_stage=lambda stage, _: go_down(treasury, is_down=stage == "guard"))

        assert (record.status, treasury.market.receipts) == (RunStatus.HELD, {})


def test_another_market_changes_the_digests_and_nothing_else() -> None:
    moved = make_snapshot(SWAP.evidence.catalog, base_fee_wei=1)

    now = on_market(SWAP.evidence, moved)

    assert check(now).denials == ()
    assert now.plan == SWAP.evidence.plan.model_copy(update={"snapshot_digest": moved.digest()})
    assert now.simulation.batch_digest == now.plan.batch_digest()


def test_a_consent_to_the_batch_goes_along_to_another_market() -> None:
    asked = SWAP.evidence.model_copy(update={"policy": ASKING, "approval": make_approval(SWAP.evidence.plan)})

    now = on_market(asked, make_snapshot(asked.catalog, base_fee_wei=1))

    assert now.approval == asked.approval.model_copy(update={"batch_digest": now.plan.batch_digest()})


def test_a_forged_digest_is_no_better_on_another_market() -> None:
    forged = SUPPLY.evidence.model_copy(
        update={"plan": SUPPLY.evidence.plan.model_copy(update={"snapshot_digest": "0" * 64})}
    )

    now = on_market(forged, make_snapshot(forged.catalog, base_fee_wei=1))

    assert "snapshot_digest" in codes(check(now).denials)
