"""Events in held positions and the ways out, computed before any model is asked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.errors import InvariantBroken
from domain.market import MarketHistory, MarketSnapshot, RateObservation
from domain.plan import Candidate, CandidateKind
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.run import RiskEvent
from tests.builders import make_catalog, make_policy, make_portfolio, make_price, make_rate, make_snapshot
from tests.builders_history import make_history
from tools.mitigation import default_mitigation, detect_events, mitigation_candidates

VAULT = "vault-limited-dai"


def detect(
    *,
    portfolio: Portfolio | None = None,
    snapshot: MarketSnapshot | None = None,
    history: MarketHistory | None = None,
    policy: Policy | None = None,
) -> tuple[RiskEvent, ...]:
    return detect_events(
        portfolio=portfolio or make_portfolio(),
        snapshot=snapshot or make_snapshot(),
        history=history or make_history(),
        catalog=make_catalog(),
        policy=policy or make_policy(),
    )


def priced(token: str, price: str) -> MarketSnapshot:
    kept = [p for p in make_snapshot().prices if p.token != token]
    return make_snapshot(prices=(*kept, make_price(token, price), make_price(token, price, source="uniswap")))


def with_rate(rate: RateObservation) -> MarketSnapshot:
    return make_snapshot(rates=(*(r for r in make_snapshot().rates if r.strategy != rate.strategy), rate))


def offer(
    events: tuple[RiskEvent, ...], *, portfolio: Portfolio | None = None, snapshot: MarketSnapshot | None = None
) -> tuple[Candidate, ...]:
    return mitigation_candidates(
        events,
        portfolio=portfolio or make_portfolio(),
        snapshot=snapshot or make_snapshot(),
        catalog=make_catalog(),
        policy=make_policy(),
    )


def event(subject: str = "aave-usdx", kind: str = "peg_break") -> RiskEvent:
    return RiskEvent(kind=kind, subject=subject, observed="x", limit="y")


def pairs(events: tuple[RiskEvent, ...]) -> list[tuple[str, str]]:
    return [(found.kind, found.subject) for found in events]


def test_calm_market_raises_no_event() -> None:
    assert detect() == ()


@pytest.mark.parametrize("price", ["0.9799", "1.0201"])
def test_held_stable_token_off_its_peg_is_an_event(price: str) -> None:
    (found,) = detect(snapshot=priced("usdx", price))

    assert (found.kind, found.subject) == ("peg_break", "aave-usdx")
    assert found.observed == f"usdx at {price} USD"


def told(token: str, *readings: tuple[str, str, int]) -> MarketSnapshot:
    """Readings of one token: source, price and age in seconds."""
    kept = [p for p in make_snapshot().prices if p.token != token]
    return make_snapshot(prices=(*kept, *(make_price(token, p, source=s, age_seconds=age) for s, p, age in readings)))


FRESH, STALE = 86_400 + 600, 86_400 + 601
"""The heartbeat of the sample feeds and what the policy allows beyond."""


@pytest.mark.parametrize(
    ("readings", "observed"),
    [
        ([("oracle", "1", 0), ("uniswap", "0.6", 0)], None),
        ([("oracle", "1", FRESH), ("uniswap", "0.6", 0)], None),
        ([("oracle", "1", STALE), ("uniswap", "0.6", 0)], "usdx at 0.6 USD"),
        ([("oracle", "0.6", STALE), ("uniswap", "1", 0)], None),
        ([("oracle", "0.97", 0), ("uniswap", "1", 0)], "usdx at 0.97 USD"),
        ([("uniswap", "0.97", 0)], "usdx at 0.97 USD"),
        ([("third", "0.96", 0), ("uniswap", "0.97", 0)], "usdx at 0.96 USD"),
        ([("oracle", "0.6", STALE)], None),
        ([], None),
    ],
)
def test_only_the_oracle_breaks_a_peg_while_it_is_fresh(
    readings: list[tuple[str, str, int]], observed: str | None
) -> None:
    """Anybody moves a pool for a block: that is a dispute, which keeps entries out and nothing more."""
    events = detect(snapshot=told("usdx", *readings))

    assert [event.observed for event in events] == ([observed] if observed else [])


@pytest.mark.parametrize("price", ["0.98", "1.02"])
def test_peg_exactly_at_the_limit_is_no_event(price: str) -> None:
    assert detect(snapshot=priced("usdx", price)) == ()


def test_broken_token_held_as_cash_is_an_event_of_the_token() -> None:
    assert pairs(detect(snapshot=priced("dai", "0.9"))) == [("peg_break", "dai")]


def test_broken_reserve_held_as_cash_has_nowhere_to_go() -> None:
    assert detect(snapshot=priced("usdc", "0.9")) == ()


def test_token_that_nobody_holds_is_no_event() -> None:
    portfolio = make_portfolio(cash={"usdc": 10**12}, positions={})

    assert detect(portfolio=portfolio, snapshot=priced("usdx", "0.5")) == ()


def test_dust_is_no_event() -> None:
    portfolio = make_portfolio(cash={"usdc": 10**12, "dai": 9 * 10**18}, positions={"aave-usdx": 9 * 10**18})

    assert detect(portfolio=portfolio, snapshot=priced("usdx", "0.5")) == ()


def test_volatile_token_has_no_peg_to_break() -> None:
    assert detect(snapshot=priced("weth", "100")) == ()


@pytest.mark.parametrize(("borrowed", "expected"), [(9700, []), (9701, [("utilization", "aave-usdx")])])
def test_utilization_above_the_limit_is_an_event(borrowed: int, expected: list[tuple[str, str]]) -> None:
    rate = make_rate("aave-usdx").model_copy(update={"supplied": 10_000, "borrowed": borrowed})

    assert pairs(detect(snapshot=with_rate(rate))) == expected


def test_unlimited_utilization_is_never_an_event() -> None:
    rate = make_rate("aave-usdx").model_copy(update={"supplied": 1, "borrowed": 1})
    policy = make_policy(mitigation={"max_utilization_share": "unlimited"})

    assert detect(snapshot=with_rate(rate), policy=policy) == ()


@pytest.mark.parametrize(("price", "expected"), [("0.996", []), ("0.994", [("share_price_fall", VAULT)])])
def test_share_price_below_its_peak_of_the_week_is_an_event(price: str, expected: list[tuple[str, str]]) -> None:
    rate = make_rate(VAULT).model_copy(update={"share_price": Decimal(price)})
    history = make_history(share_prices={VAULT: [1.2] * 113 + [1.0] * 7})

    events = detect(portfolio=make_portfolio(positions={VAULT: 10**23}), snapshot=with_rate(rate), history=history)

    assert pairs(events) == expected


def test_vault_without_share_price_history_has_no_peak() -> None:
    history = make_history(share_prices={VAULT: [None] * 120})

    assert detect(portfolio=make_portfolio(positions={VAULT: 10**23}), history=history) == ()


def test_paused_position_is_an_event() -> None:
    rate = make_rate("aave-usdx").model_copy(update={"is_paused": True})

    assert pairs(detect(snapshot=with_rate(rate))) == [("paused", "aave-usdx")]


def test_unread_and_unpriced_positions_raise_nothing_here() -> None:
    prices = tuple(price for price in make_snapshot().prices if price.token != "usdx")

    assert detect(snapshot=make_snapshot(rates=(), prices=prices)) == ()


def test_peg_break_offers_reduce_exit_and_exit_to_reserve() -> None:
    reduce, leave, swap = offer((event(),), snapshot=priced("usdx", "0.95"))

    assert [candidate.id for candidate in (reduce, leave, swap)] == ["reduce", "exit", "exit-to-reserve"]
    assert {weight.strategy: weight.weight_bps for weight in reduce.weights} == {"aave-usdx": 492, "aave-weth": 725}
    assert {weight.strategy for weight in leave.weights} == {"aave-weth"}
    assert swap.to_reserve
    assert swap.exits == ("aave-usdx",)
    assert leave.turnover == pytest.approx(95_000 / 965_000)
    assert swap.cost_usd > leave.cost_usd > 0


def test_broken_cash_offers_only_the_swap() -> None:
    (only,) = offer((event("dai"),), snapshot=priced("dai", "0.9"))

    assert only.kind is CandidateKind.EXIT_TO_RESERVE
    assert only.exits == ()
    assert only.turnover == pytest.approx(90_000 / 960_000)


def test_only_what_can_leave_is_offered() -> None:
    rate = make_rate("aave-usdx").model_copy(update={"withdrawable": 30_000 * 10**18})

    _, leave, _ = offer((event(kind="utilization"),), snapshot=with_rate(rate))

    assert {weight.strategy: weight.weight_bps for weight in leave.weights}["aave-usdx"] == 721


def test_nothing_that_can_leave_offers_only_hold() -> None:
    rate = make_rate("aave-usdx").model_copy(update={"is_paused": True})

    offered = offer((event(kind="paused"),), snapshot=with_rate(rate))

    assert [candidate.id for candidate in offered] == ["hold"]


def test_ways_out_are_offered_without_any_price() -> None:
    offered = offer((event(),), snapshot=make_snapshot(prices=()))

    assert [candidate.id for candidate in offered] == ["reduce", "exit", "exit-to-reserve"]


@pytest.mark.parametrize("action", ["reduce", "exit", "exit_to_reserve"])
def test_default_is_the_policys_action(action: str) -> None:
    policy = make_policy(mitigation={"default_action": action})

    assert default_mitigation(offer((event(),)), policy).kind.value == action


def test_default_is_the_strongest_offer_when_its_action_moves_nothing() -> None:
    policy = make_policy(mitigation={"default_action": "reduce"})

    chosen = default_mitigation(offer((event("dai"),), snapshot=priced("dai", "0.9")), policy)

    assert chosen.id == "exit-to-reserve"


def test_mitigation_without_candidates_is_a_broken_invariant() -> None:
    with pytest.raises(InvariantBroken):
        default_mitigation((), make_policy())
