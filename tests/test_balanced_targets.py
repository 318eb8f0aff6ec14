"""The diversified candidate's targets: equal risk over stable strategies, everything else untouched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from domain.market import MarketHistory
from domain.portfolio import Portfolio
from tests.builders import make_catalog, make_policy, make_portfolio, make_snapshot
from tests.builders_history import make_history
from tools.balanced_targets import balanced_targets
from tools.forecasting.forecast import forecast_aprs
from tools.market import Market
from tools.rate_impact import EarningCurve
from tools.solvers.risk_parity import risk_contributions, with_least_deviation


def market(
    *, history: MarketHistory | None = None, portfolio: Portfolio | None = None, excluded: frozenset[str] = frozenset()
) -> Market:
    days = history or make_history()
    return Market(
        portfolio or make_portfolio(),
        make_snapshot(),
        days,
        forecast_aprs(days, horizon_days=30),
        make_catalog(),
        make_policy(),
        excluded,
    )


def target(curve: EarningCurve) -> float:
    return float(curve.sizes[np.argmax(curve.earnings)])


def entered(case: Market) -> list[str]:
    stable = {token.id for token in case.catalog.tokens if token.is_stable}
    return [s.id for s in case.catalog.strategies if s.token in stable and case.may_enter(s)]


def test_stable_strategies_share_the_free_value_with_equal_risk() -> None:
    case = market()

    targets = {name: target(curve) for name, curve in balanced_targets(case).items()}

    names = entered(case)
    weights = np.array([targets[name] for name in names])
    returns = np.column_stack([case.returns.column(name) for name in names])
    covariance = with_least_deviation(np.cov(returns[~np.isnan(returns).any(axis=1)].T), 0.005 / 365**0.5)
    assert len(names) >= 3
    assert risk_contributions(covariance, weights) == pytest.approx(np.full(len(names), 1 / len(names)), abs=1e-6)


def test_targets_leave_the_reserve_and_what_is_not_stable() -> None:
    case = market()

    targets = {name: target(curve) for name, curve in balanced_targets(case).items()}

    reserve = float(make_policy().exposure.min_reserve_share)  # type: ignore[arg-type]  # the sample's is a number
    idle = sum(case.cash_share(token.id) for token in case.catalog.tokens if not token.is_stable)
    assert sum(targets.values()) == pytest.approx(1.0 - reserve - idle)
    assert all(targets[s.id] == case.share_of(s) for s in case.catalog.strategies if s.id not in entered(case))


def test_excluded_strategy_gets_no_target() -> None:
    first = entered(market())[0]

    targets = balanced_targets(market(excluded=frozenset({first})))

    assert target(targets[first]) == market().share_of(market().catalog.strategy(first))


@pytest.mark.parametrize("keep", [frozenset, lambda names: frozenset(names[1:])])
def test_none_or_one_strategy_left_is_no_error(keep: Callable[[list[str]], frozenset[str]]) -> None:
    names = entered(market())

    targets = balanced_targets(market(excluded=keep(names)))

    assert set(targets) >= set(names)
