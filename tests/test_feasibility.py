"""What is proposed passes: candidates against the real guards, over random books and under every tight limit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.market import MarketHistory, MarketSnapshot
from domain.plan import Candidate, CandidateKind, Move, MoveKind
from domain.policy import Policy
from domain.portfolio import Portfolio
from guards import check
from tests.builders import make_catalog, make_portfolio, make_rate, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    make_estimate,
    make_evidence,
    make_limits,
    make_report,
    make_stress,
    make_tail,
    swap,
)
from tests.builders_history import make_history
from tools.allocation import plan_moves
from tools.candidates import propose_candidates
from tools.feasibility import Outcome, refusals, tail_excess, turnover_share
from tools.forecasting.forecast import forecast_aprs
from tools.market import Market
from tools.risk_report import assess_portfolio
from tools.swap_floors import fair_floor

CATALOG = make_catalog()
HISTORY = make_history()
PERCENT = {"aave-usdc": 3, "aave-dai": 7, "aave-usdx": 3, "aave-weth": 3, "aave-wbtc": 3, "vault-limited-dai": 0}
JUDGED = {"exposure", "risk", "slippage", "budgets", "allowlist", "simulation"}


def market_paying(percent: Mapping[str, int]) -> tuple[MarketSnapshot, MarketHistory]:
    rates = tuple(
        make_rate(s.id, apr=percent[s.id] / 100, decimals=CATALOG.token(s.token).decimals) for s in CATALOG.strategies
    )
    return make_snapshot(rates=rates), make_history(aprs={name: [paid / 100] * 120 for name, paid in percent.items()})


def propose(
    portfolio: Portfolio | None = None,
    *,
    snapshot: MarketSnapshot | None = None,
    history: MarketHistory = HISTORY,
    policy: Policy | None = None,
) -> tuple[Candidate, ...]:
    """All but HOLD."""
    found = propose_candidates(
        portfolio=portfolio or make_portfolio(),
        snapshot=snapshot or make_snapshot(),
        history=history,
        forecasts=forecast_aprs(history, horizon_days=30),
        catalog=CATALOG,
        policy=policy or make_limits(),
    )
    return found[1:]


def refused_by_guards(
    candidate: Candidate,
    portfolio: Portfolio,
    *,
    snapshot: MarketSnapshot | None = None,
    history: MarketHistory = HISTORY,
    policy: Policy | None = None,
) -> set[str]:
    """Codes of the families that judge what an allocation decides, on its exact bytes at fair prices."""
    snapshot, policy = snapshot or make_snapshot(), policy or make_limits()
    moves = [
        move.model_copy(update={"minimum_out": fair_floor(move, snapshot=snapshot, catalog=CATALOG, policy=policy)})
        if move.kind is MoveKind.SWAP
        else move
        for move in plan_moves(candidate, portfolio=portfolio, snapshot=snapshot, catalog=CATALOG, policy=policy)
    ]
    evidence = make_evidence(moves, before=portfolio, snapshot=snapshot, policy=policy, haircut_bps=6)
    report = assess_portfolio(
        evidence.after, snapshot=snapshot, history=history, catalog=CATALOG, policy=policy, subject="after"
    )
    verdict = check(evidence.model_copy(update={"risk_after": report}))
    return {row.code for row in verdict.findings if not row.passed and row.guard in JUDGED}


def in_units(amounts: Mapping[str, int], token_of: Mapping[str, str]) -> dict[str, int]:
    return {name: amount * 10 ** CATALOG.token(token_of[name]).decimals for name, amount in amounts.items()}


TOKEN_OF = {strategy.id: strategy.token for strategy in CATALOG.strategies}
STABLE = ("usdc", "dai", "usdx")
whole = st.integers(5_000, 400_000)


@st.composite
def treasuries(draw: st.DrawFn) -> Portfolio:
    cash = draw(st.dictionaries(st.sampled_from(STABLE), whole, min_size=1))
    held = draw(st.dictionaries(st.sampled_from([s for s, token in TOKEN_OF.items() if token in STABLE]), whole))
    return make_portfolio(cash=in_units(cash, dict(zip(cash, cash, strict=True))), positions=in_units(held, TOKEN_OF))


def test_what_positions_free_pays_for_what_is_entered_and_is_moved_once() -> None:
    # Aave may lose 45 % at most, so USDX in it must make room for DAI; the reserve alone would pay for both.
    snapshot, history = market_paying(PERCENT)
    (optimal,) = (c for c in propose(snapshot=snapshot, history=history) if c.kind is CandidateKind.OPTIMAL)

    moves = plan_moves(optimal, portfolio=make_portfolio(), snapshot=snapshot, catalog=CATALOG, policy=make_limits())

    assert [(move.kind, move.token_in) for move in moves] == [
        (MoveKind.WITHDRAW, "usdx"),
        (MoveKind.SWAP, "usdx"),
        (MoveKind.SWAP, "usdc"),
        (MoveKind.SUPPLY, "dai"),
    ]
    assert 0.34 < optimal.turnover <= 0.35
    assert refused_by_guards(optimal, make_portfolio(), snapshot=snapshot, history=history) == set()


@settings(max_examples=40, deadline=None)
@given(treasuries(), st.fixed_dictionaries({name: st.integers(0, 9) for name in PERCENT}))
def test_no_candidate_is_one_that_guards_must_refuse(portfolio: Portfolio, percent: dict[str, int]) -> None:
    snapshot, history = market_paying(percent)

    for candidate in propose(portfolio, snapshot=snapshot, history=history):
        assert refused_by_guards(candidate, portfolio, snapshot=snapshot, history=history) == set()


# A little below what the boldest candidate would lose without the limit.
TIGHT = [
    ("depeg_3", "0.0200"),
    ("depeg_12", "0.0800"),
    ("depeg_50", "0.3330"),
    ("utilization", "0.0050"),
    ("bad_debt", "0.0220"),
    ("exploit", "0.3300"),
    ("reward", "0.0020"),
    ("combined", "0.3300"),
]


@pytest.mark.parametrize(("family", "limit"), TIGHT)
def test_stress_losses_bind_the_allocation_before_guards_do(family: str, limit: str) -> None:
    policy = make_limits(stress={f"max_{family}_loss_share": Decimal(limit)})

    found = propose(policy=policy)

    assert any(name.startswith(f"stress:{family}") for candidate in found for name in candidate.binding)
    assert [refused_by_guards(candidate, make_portfolio(), policy=policy) for candidate in found] == [set()] * len(
        found
    )


@pytest.mark.parametrize(
    ("family", "limit"), [("gas", "0.0001"), ("volatile_fall", "0.0216"), ("oracle_lag", "0.0082")]
)
def test_stress_that_no_weight_can_lower_leaves_only_hold_with_the_reason(family: str, limit: str) -> None:
    policy = make_limits(stress={f"max_{family}_loss_share": Decimal(limit)})

    assert propose(policy=policy) == ()
    assert all(f"stress:{family}" in reason for reason in reasons_to_hold(policy))


def reasons_to_hold(policy: Policy) -> tuple[str, ...]:
    hold, *_ = propose_candidates(
        portfolio=make_portfolio(),
        snapshot=make_snapshot(),
        history=HISTORY,
        forecasts=forecast_aprs(HISTORY, horizon_days=30),
        catalog=CATALOG,
        policy=policy,
    )
    return hold.binding


# USDX pays 60 % and falls by 40 basis points on an ordinary day: what is bought of it is what the limit leaves.
RISKS = [
    ("max_var_95_share", "0.001"),
    ("max_var_99_share", "0.002"),
    ("max_cvar_95_share", "0.002"),
    ("max_cvar_99_share", "0.002"),
    ("max_volatility_share", "0.02"),
    ("max_drawdown_share", "0.004"),
]


@pytest.mark.parametrize(("key", "limit"), RISKS)
def test_upper_end_of_each_risk_is_what_caps_a_tempting_yield(key: str, limit: str) -> None:
    tempting = {**PERCENT, "aave-usdx": 60}
    snapshot, calm = market_paying(tempting)
    shaky = make_history(
        aprs={series.subject: series.values for series in calm.supply_apr},
        prices={"usdx": [float(1 + 0.004 * noise) for noise in np.random.default_rng(3).standard_normal(120)]},
    )
    book = make_portfolio(cash={"usdc": 700_000 * USDC, "dai": 300_000 * DAI}, positions={})
    policy = make_limits(risk={key: Decimal(limit)})

    (optimal, *_) = propose(book, snapshot=snapshot, history=shaky, policy=policy)

    assert optimal.binding[0] == "cvar-95"
    assert refused_by_guards(optimal, book, snapshot=snapshot, history=shaky, policy=policy) == set()


def market(policy: Policy | None = None) -> Market:
    return Market(
        make_portfolio(), make_snapshot(), HISTORY, (), CATALOG, policy or make_limits(), excluded=frozenset()
    )


def outcome(*moves: Move, **changes: object) -> Outcome:
    """Nothing moved and a calm report, unless told."""
    return Outcome(tuple(moves), make_portfolio(), make_report(**changes))


def test_outcome_that_guards_have_no_reason_to_deny_is_not_refused() -> None:
    assert refusals(market(), outcome()) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"volatility": None}, ("volatility:sample",)),
        ({"volatility": make_estimate(0.05, sample_size=59)}, ("volatility:sample",)),
        (
            {"max_drawdown": make_estimate(0.03).model_copy(update={"confidence": 0.89})},
            ("drawdown:confidence",),
        ),
        ({"max_drawdown": make_estimate(0.126)}, ("drawdown",)),
        ({"tails": (make_tail(0.99, 0.008, 0.011),)}, ("var-95:sample", "cvar-95:sample")),
        ({"stress": make_stress(reward=0.021)}, ("stress:reward",)),
        ({"stress": make_stress()[1:]}, ("stress:bad_debt",)),
    ],
)
def test_risk_above_its_limit_or_unknown_is_refused(changes: dict[str, object], expected: tuple[str, ...]) -> None:
    assert refusals(market(), outcome(**changes)) == expected


def test_sale_there_and_back_is_turnover_although_no_line_falls() -> None:
    moves = (swap("usdc", "dai", 400_000 * USDC, 1), swap("dai", "usdc", 400_000 * DAI, 1))

    assert turnover_share(market(), moves, make_portfolio()) == pytest.approx(400 / 970)
    assert refusals(market(), outcome(*moves)) == ("turnover", "swaps")


def test_transaction_limit_counts_the_value_that_moves() -> None:
    policy = make_limits(budgets={"max_transaction_value_usd": 99_999})

    assert refusals(market(policy), outcome(swap("usdc", "dai", 100_000 * USDC, 1))) == ("transaction-value",)


def test_worst_upper_end_over_its_limit_is_the_excess() -> None:
    report = make_report(max_drawdown=make_estimate(0.15), volatility=None)

    assert tail_excess(report, make_limits()) == pytest.approx(1.2)
    assert tail_excess(report, make_limits(risk={"max_drawdown_share": "unlimited"})) == pytest.approx(
        0.008 * 1.2 / 0.03
    )
