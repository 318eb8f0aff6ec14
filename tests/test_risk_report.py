"""The whole report: what guards read, and what stays unknown."""

from __future__ import annotations

import pytest

from domain.market import MarketHistory
from domain.plan import Candidate, CandidateKind, Weight
from domain.portfolio import Portfolio, value_holdings
from domain.risk import RiskReport
from domain.stress import scenario_set
from tests.builders import make_catalog, make_policy, make_portfolio, make_price, make_snapshot
from tests.builders_history import make_history
from tools.risk_report import assess_portfolio, assess_weights, portfolio_returns


def assess(portfolio: Portfolio | None = None, history: MarketHistory | None = None, **changes: object) -> RiskReport:
    return assess_portfolio(
        portfolio or make_portfolio(),
        snapshot=make_snapshot(**changes),
        history=history or make_history(),
        catalog=make_catalog(),
        policy=make_policy(),
        subject="current",
    )


def candidate(**changes: object) -> Candidate:
    fields: dict[str, object] = {
        "id": "optimal",
        "kind": CandidateKind.OPTIMAL,
        "weights": (Weight(strategy="aave-usdc", weight_bps=3000),),
        "expected_apr": 0.0,
        "lower_apr": 0.0,
        "turnover": 0.0,
        "cost_usd": 0.0,
        "gain_usd": 0.0,
        "lower_gain_usd": 0.0,
        "break_even_days": None,
    }
    return Candidate.model_validate({**fields, **changes})


def test_report_measures_the_treasury() -> None:
    report = assess()

    assert report.net_asset_value_usd == pytest.approx(970_000)
    assert [tail.level for tail in report.tails] == [0.95, 0.99]
    assert report.tail(0.99) is not None
    assert report.volatility is not None
    assert report.volatility.sample_size == 119
    assert report.max_drawdown is not None
    assert report.herfindahl == pytest.approx((49 + 1 + 1 + 0.49) / 9.7**2)
    assert report.stress


def test_report_holds_every_scenario_that_guards_will_ask_for() -> None:
    measured = [(hit.family, hit.subject) for hit in assess().stress]

    assert sorted(measured) == sorted(scenario_set(make_portfolio(), make_catalog()))


def test_policy_says_for_how_many_days_pools_stay_blocked() -> None:
    week, quarter = (
        assess_portfolio(
            make_portfolio(),
            snapshot=make_snapshot(),
            history=make_history(),
            catalog=make_catalog(),
            policy=make_policy(stress={"utilization_days": days}),
            subject="current",
        )
        for days in (7, 90)
    )

    losses = [next(hit.loss for hit in report.stress if hit.family == "utilization") for report in (week, quarter)]
    foregone = 0.055 * 83 / 365  # the best sample rate, for the days in between, on all that is lent
    assert losses[1] - losses[0] == pytest.approx(foregone * 170_000 / 970_000)


def test_returns_are_the_shares_of_today_times_the_returns_of_the_past() -> None:
    history = make_history(days=2, prices={"usdc": [1.0, 0.99], "weth": [3500.0, 3150.0]})
    portfolio = make_portfolio(cash={"usdc": 30_000 * 10**6, "weth": 20 * 10**18}, positions={})
    holdings = value_holdings(portfolio, make_snapshot(), make_catalog())

    returns = portfolio_returns(holdings, history, make_catalog())

    assert returns == pytest.approx([0.3 * -0.01 + 0.7 * -0.10])


def test_day_without_a_reading_of_one_holding_is_unknown_for_the_book() -> None:
    gap: list[float | None] = [1.0] * 60 + [None] * 30 + [1.0] * 30

    report = assess(history=make_history(prices={"dai": gap}))

    assert report.volatility is not None
    assert report.volatility.sample_size == 119 - 30


def test_dust_without_history_does_not_blind_the_report() -> None:
    portfolio = make_portfolio(cash={"usdc": 10**12, "wbtc": 1}, positions={})

    report = assess(portfolio, make_history(prices={"wbtc": [None] * 120}))

    assert report.volatility is not None


def test_unpriced_holding_leaves_everything_unknown() -> None:
    report = assess(prices=(make_price("usdc", "1"),))

    assert report == RiskReport(
        subject="current",
        net_asset_value_usd=None,
        tails=(),
        volatility=None,
        max_drawdown=None,
        stress=(),
        herfindahl=None,
    )


def test_unpriced_gas_leaves_only_the_stress_unknown() -> None:
    portfolio = make_portfolio(cash={"usdc": 10**12}, positions={})

    report = assess(portfolio, prices=(make_price("usdc", "1"),))

    assert report.stress == ()
    assert report.volatility is not None


def test_empty_account_has_no_risk_numbers() -> None:
    assert assess(make_portfolio(cash={}, positions={})).net_asset_value_usd is None


def test_history_of_one_day_gives_no_estimates() -> None:
    report = assess(history=make_history(days=1))

    assert (report.tails, report.volatility, report.max_drawdown) == ((), None, None)


def assess_candidate(chosen: Candidate, **changes: object) -> RiskReport:
    return assess_weights(
        chosen,
        portfolio=make_portfolio(),
        snapshot=make_snapshot(**changes),
        history=make_history(),
        catalog=make_catalog(),
        policy=make_policy(),
    )


def test_candidate_is_judged_on_the_book_that_its_moves_would_leave() -> None:
    report = assess_candidate(candidate())

    exploit = {loss.scenario: loss.loss for loss in report.stress}["exploit aave-v3"]
    assert report.subject == "optimal"
    assert exploit == pytest.approx(0.30, abs=1e-4)


def test_candidate_without_a_price_is_unknown() -> None:
    report = assess_candidate(candidate(), prices=(make_price("usdc", "1"),))

    assert report.net_asset_value_usd is None


@pytest.mark.parametrize(
    ("cash", "method"),
    [
        ({"usdc": 10**12}, "ewma-historical-jumps"),
        ({"usdc": 10**12, "weth": 1}, "ewma-historical-jumps"),
        ({"usdc": 10**12, "weth": 10**20}, "ewma-historical"),
    ],
)
def test_year_of_history_is_filtered_by_what_the_book_holds(cash: dict[str, int], method: str) -> None:
    """Dust of another kind does not turn a pegged book into a volatile one."""
    report = assess(make_portfolio(cash=cash, positions={}), make_history(days=400))

    assert {tail.var.method for tail in report.tails} == {method}


def test_same_inputs_give_the_same_report() -> None:
    assert assess() == assess()
