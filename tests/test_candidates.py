"""Candidates: within every cap after their own moves, honest about costs, silent about what they may not enter."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketHistory, MarketSnapshot
from domain.plan import Candidate, CandidateKind, Move, MoveKind
from domain.policy import Policy
from domain.portfolio import Portfolio, net_asset_value_usd, value_holdings
from domain.stress import StressFamily
from tests.builders import make_catalog, make_policy, make_portfolio, make_price, make_rate, make_snapshot
from tests.builders_history import make_history
from tools.allocation import plan_moves
from tools.candidates import deterministic_choice, propose_candidates
from tools.forecasting.forecast import forecast_aprs
from tools.implied import portfolio_after

CATALOG = make_catalog()
HISTORY = make_history()
FORECASTS = forecast_aprs(HISTORY, horizon_days=30)
UNLIMITED = {"max_run_turnover_share": "unlimited"}


def propose(
    *,
    portfolio: Portfolio | None = None,
    snapshot: MarketSnapshot | None = None,
    history: MarketHistory = HISTORY,
    policy: Policy | None = None,
    excluded: frozenset[str] = frozenset(),
) -> dict[str, Candidate]:
    found = propose_candidates(
        portfolio=portfolio or make_portfolio(),
        snapshot=snapshot or make_snapshot(),
        history=history,
        forecasts=FORECASTS if history is HISTORY else forecast_aprs(history, horizon_days=30),
        catalog=CATALOG,
        policy=policy or make_policy(),
        excluded=excluded,
    )
    return {candidate.id: candidate for candidate in found}


def moves_of(candidate: Candidate, portfolio: Portfolio | None = None) -> tuple[Move, ...]:
    return plan_moves(
        candidate,
        portfolio=portfolio or make_portfolio(),
        snapshot=make_snapshot(),
        catalog=CATALOG,
        policy=make_policy(),
    )


def entered(candidate: Candidate, portfolio: Portfolio | None = None) -> set[str]:
    moves = moves_of(candidate, portfolio)
    return {move.strategy for move in moves if move.strategy and move.kind in {MoveKind.SUPPLY, MoveKind.DEPOSIT}}


def shares_after(candidate: Candidate, portfolio: Portfolio) -> Mapping[tuple[str, str | None], Decimal]:
    moves = moves_of(candidate, portfolio)
    after = portfolio_after(portfolio, moves, snapshot=make_snapshot(), catalog=CATALOG, policy=make_policy())
    total = net_asset_value_usd(after, make_snapshot(), CATALOG)
    return {(h.token, h.strategy): h.value_usd / total for h in value_holdings(after, make_snapshot(), CATALOG)}


def worst_excess(shares: Mapping[tuple[str, str | None], Decimal], catalog: Catalog, policy: Policy) -> Decimal:
    """Largest amount by which a share exceeds its cap or the reserve misses its minimum; measured as guards do."""
    caps = policy.exposure
    totals: dict[tuple[str, str], Decimal] = {}
    limits = {
        "strategy": caps.max_strategy_share,
        "protocol": caps.max_protocol_share,
        "token": caps.max_token_share,
        "issuer": caps.max_issuer_share,
        "factor": caps.max_factor_share,
        "oracle": caps.max_oracle_share,
    }
    for (token, strategy_id), share in shares.items():
        keys = [("issuer", catalog.token(token).issuer)]
        keys += [("token", token)] if token != catalog.reserve_token else []
        if strategy_id:
            strategy = catalog.strategy(strategy_id)
            keys += [("strategy", strategy.id), ("protocol", strategy.protocol)]
            keys += [("factor", factor) for factor in strategy.factors]
            keys += [("oracle", oracle) for oracle in strategy.oracles]
        for key in keys:
            totals[key] = totals.get(key, Decimal(0)) + share
    excess = [share - Decimal(limits[family]) for (family, _), share in totals.items()]
    return max(*excess, Decimal(caps.min_reserve_share) - shares.get((catalog.reserve_token, None), Decimal(0)))


def test_hold_comes_first_costs_nothing_and_shows_the_current_book() -> None:
    hold = next(iter(propose().values()))

    assert (hold.id, hold.kind) == ("hold", CandidateKind.HOLD)
    assert (hold.cost_usd, hold.gain_usd, hold.lower_gain_usd, hold.turnover) == (0.0, 0.0, 0.0, 0.0)
    assert {weight.strategy: weight.weight_bps for weight in hold.weights} == {"aave-usdx": 1030, "aave-weth": 721}


def test_idle_treasury_is_offered_three_ways_to_earn() -> None:
    found = propose()

    assert list(found) == ["hold", "optimal", "cautious", "diversified"]
    assert found["optimal"].lower_gain_usd > found["cautious"].lower_gain_usd > 0
    assert found["optimal"].expected_apr > found["hold"].expected_apr
    assert found["optimal"].lower_apr < found["optimal"].expected_apr


def test_gain_is_what_the_moves_earn_more_over_the_horizon() -> None:
    forecast = next(f for f in FORECASTS if f.strategy == "vault-limited-dai")
    optimal = propose(policy=make_policy(exposure={"max_run_turnover_share": Decimal("0.10")}))["optimal"]

    (deposit,) = moves_of(optimal)

    ideal = deposit.amount_in / 10**18 * forecast.expected_apr * 30 / 365
    assert deposit.strategy == "vault-limited-dai"
    assert 0.95 * ideal < optimal.gain_usd < ideal  # its own size dilutes the rate
    assert optimal.lower_gain_usd == pytest.approx(optimal.gain_usd * forecast.lower_apr / forecast.expected_apr)


def test_cost_is_gas_and_swap_costs_of_the_exact_moves() -> None:
    optimal = propose()["optimal"]
    swap = next(move for move in moves_of(optimal) if move.kind is MoveKind.SWAP)

    gas = (60_000 + 130_000 + 160_000) * 21e-9 * 3500
    assert optimal.cost_usd == pytest.approx(gas + swap.amount_in / 10**6 * 0.0006)
    assert optimal.break_even_days == pytest.approx(optimal.cost_usd / (optimal.lower_gain_usd / 30))


def test_candidate_carries_the_proof_of_its_weights_and_the_price_of_each_limit() -> None:
    found = propose()["optimal"]

    assert found.certificate is not None
    assert found.certificate.gap <= 1e-9
    assert found.certificate.violation <= 1e-9
    assert len(found.shadow_prices) == len(found.binding) > 0
    assert list(found.shadow_prices) == sorted(found.shadow_prices, reverse=True)


def test_turnover_stays_within_the_run_limit_and_binds() -> None:
    policy = make_policy(exposure={"max_run_turnover_share": Decimal("0.20")})
    found = propose(policy=policy)

    assert 0.19 < found["optimal"].turnover <= 0.20
    assert found["cautious"].turnover <= 0.10
    assert "turnover" in found["optimal"].binding


def test_swaps_stay_within_the_days_slippage_budget() -> None:
    policy = make_policy(
        exposure=UNLIMITED, slippage={"max_day_slippage_usd": Decimal(500), "max_trade_slippage_bps": 50}
    )

    optimal = propose(policy=policy)["optimal"]

    swapped = sum(move.amount_in for move in moves_of(optimal) if move.kind is MoveKind.SWAP)
    assert 0 < swapped <= 100_000 * 10**6


def test_moved_value_stays_within_the_transaction_limit() -> None:
    policy = make_policy(exposure=UNLIMITED, budgets={"max_transaction_value_usd": Decimal(50_000)})

    assert propose(policy=policy)["optimal"].turnover <= 50_000 / 970_000


def test_excluded_strategy_is_not_increased() -> None:
    assert "vault-limited-dai" in entered(propose()["optimal"])

    found = propose(excluded=frozenset({"vault-limited-dai"}))

    assert all("vault-limited-dai" not in entered(candidate) for candidate in found.values())


def test_token_off_its_peg_is_not_entered() -> None:
    prices = [p for p in make_snapshot().prices if p.token != "dai"]
    broken = (*prices, make_price("dai", "0.985"), make_price("dai", "0.985", source="uniswap"))

    for candidate in propose(snapshot=make_snapshot(prices=broken)).values():
        assert not entered(candidate) & {"aave-dai", "vault-limited-dai"}


def test_paused_young_or_distrusted_strategies_are_not_entered() -> None:
    paused = make_rate("vault-limited-dai").model_copy(update={"is_paused": True})
    others = tuple(rate for rate in make_snapshot().rates if rate.strategy != "vault-limited-dai")
    young = make_history(share_prices={"vault-limited-dai": [None] * 70 + [1.0] * 50})
    slashed = make_history(share_prices={"vault-limited-dai": [1.1] * 115 + [1.0] * 5})

    for found in (
        propose(snapshot=make_snapshot(rates=(*others, paused))),
        propose(history=young),
        propose(history=slashed),
    ):
        assert "vault-limited-dai" not in entered(found["optimal"])


def test_price_risk_is_never_bought_for_yield() -> None:
    rates = (*make_snapshot().rates[:3], make_rate("aave-weth", apr=0.5))

    found = propose(snapshot=make_snapshot(rates=rates), portfolio=make_portfolio(positions={}))

    assert all("aave-weth" not in entered(candidate, make_portfolio(positions={})) for candidate in found.values())


def test_pool_shares_cap_the_deposit() -> None:
    rates = [rate for rate in make_snapshot().rates if rate.strategy != "vault-limited-dai"]
    small = make_rate("vault-limited-dai", supplied_tokens=500_000)

    optimal = propose(snapshot=make_snapshot(rates=(*rates, small)))["optimal"]

    deposited = sum(m.amount_in for m in moves_of(optimal) if m.strategy == "vault-limited-dai")
    assert deposited <= 0.3 * small.withdrawable
    assert deposited <= 0.1 * small.supplied


def test_unsatisfiable_caps_leave_only_hold_with_the_reason() -> None:
    policy = make_policy(exposure={"max_issuer_share": Decimal("0.10"), "max_run_turnover_share": Decimal("0.05")})

    found = propose(policy=policy)

    assert list(found) == ["hold"]
    assert "issuer:usdc-issuer" in found["hold"].binding[0]


def test_gas_above_the_policys_cap_leaves_only_hold_with_the_reason() -> None:
    found = propose(policy=make_policy(economics={"max_gas_cost_usd": Decimal(1)}))

    assert list(found) == ["hold"]
    assert "limit 1 USD" in found["hold"].binding[0]


def test_without_yield_or_risk_only_diversification_moves_anything() -> None:
    pegged = {token: [1.0] * 120 for token in ("usdc", "dai", "usdx")}
    flat = make_history(aprs={s.id: [0.0] * 120 for s in CATALOG.strategies}, prices=pegged)

    spread = make_portfolio(cash={"usdc": 600_000 * 10**6, "dai": 300_000 * 10**18}, positions={})

    assert list(propose(history=flat, portfolio=spread)) == ["hold", "diversified"]


def test_issuer_above_its_cap_is_brought_below_it() -> None:
    portfolio = make_portfolio(positions={})  # 87.5 % USDC

    for candidate in list(propose(portfolio=portfolio).values())[1:]:
        shares = shares_after(candidate, portfolio)
        assert sum(share for (token, _), share in shares.items() if token == "usdc") < Decimal("0.80")


def test_unlimited_caps_and_budgets_are_no_limits() -> None:
    unlimited = dict.fromkeys(
        ("max_strategy_share", "max_token_share", "max_issuer_share", "max_pool_supplied_share"), "unlimited"
    )
    policy = make_policy(
        exposure={
            **unlimited,
            **UNLIMITED,
            "max_oracle_share": "unlimited",
            "max_collateral_share": "unlimited",
            "max_pool_withdrawable_share": "unlimited",
        },
        budgets={"max_transaction_value_usd": "unlimited"},
        slippage={"max_day_slippage_usd": "unlimited"},
        stress={f"max_{family}_loss_share": "unlimited" for family in StressFamily},
    )

    optimal = propose(policy=policy)["optimal"]

    assert optimal.turnover > propose()["optimal"].turnover


def test_empty_account_is_held() -> None:
    found = propose(portfolio=make_portfolio(cash={}, positions={}))

    assert list(found) == ["hold"]


def test_unpriced_holding_or_gas_is_refused() -> None:
    known = make_snapshot().prices
    portfolio = make_portfolio(positions={})
    for missing in ("dai", "weth"):
        snapshot = make_snapshot(prices=tuple(price for price in known if price.token != missing))
        with pytest.raises(StaleOrDisputed, match=missing):
            propose(snapshot=snapshot, portfolio=portfolio)


def test_position_that_cannot_be_forecast_stays_as_it_is() -> None:
    rates = tuple(rate for rate in make_snapshot().rates if rate.strategy != "aave-usdx")

    optimal = propose(snapshot=make_snapshot(rates=rates))["optimal"]

    assert {weight.strategy: weight.weight_bps for weight in optimal.weights}["aave-usdx"] == 1030


def test_same_inputs_give_the_same_candidates() -> None:
    assert propose() == propose()


def test_optimizer_alone_takes_the_best_net_lower_gain() -> None:
    found = propose()

    assert deterministic_choice(tuple(found.values()), make_policy()).id == "optimal"


def test_optimizer_alone_holds_when_nothing_pays() -> None:
    candidates = tuple(propose().values())
    costly = tuple(c.model_copy(update={"cost_usd": c.lower_gain_usd + 1}) for c in candidates)
    slow = tuple(c.model_copy(update={"break_even_days": 31.0}) for c in candidates)
    never = tuple(c.model_copy(update={"break_even_days": None}) for c in candidates)

    for offered in (costly, slow, never):
        assert deterministic_choice(offered, make_policy()).id == "hold"


def test_unlimited_break_even_asks_only_for_the_gain() -> None:
    slow = tuple(c.model_copy(update={"break_even_days": 31.0}) for c in propose().values())
    policy = make_policy(economics={"max_break_even_days": "unlimited"})

    assert deterministic_choice(slow, policy).id == "optimal"


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["usdc", "dai", "usdx"]), st.integers(10_000, 400_000), min_size=1),
    st.dictionaries(
        st.sampled_from(["aave-usdc", "aave-dai", "aave-usdx", "vault-limited-dai"]), st.integers(10_000, 400_000)
    ),
)
def test_every_candidate_leaves_the_book_within_the_caps(cash: dict[str, int], positions: dict[str, int]) -> None:
    portfolio = make_portfolio(
        cash={token: amount * 10 ** CATALOG.token(token).decimals for token, amount in cash.items()},
        positions={s: n * 10 ** CATALOG.token(CATALOG.strategy(s).token).decimals for s, n in positions.items()},
    )

    for candidate in propose(portfolio=portfolio).values():
        if candidate.kind is not CandidateKind.HOLD:
            assert worst_excess(shares_after(candidate, portfolio), CATALOG, make_policy()) <= 0
