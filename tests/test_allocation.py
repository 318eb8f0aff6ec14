"""Weights become integer moves that never spend more than is held, whatever the decimals and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from domain.market import MarketSnapshot, PriceObservation
from domain.plan import Candidate, CandidateKind, Move, MoveKind, Weight
from domain.portfolio import Portfolio, net_asset_value_usd
from tests.builders import PRICES, make_catalog, make_policy, make_portfolio, make_price, make_rate, make_snapshot
from tools.allocation import plan_moves, round_to_weights, with_minimum_outs
from tools.implied import portfolio_after, swap_fee_pips
from tools.swap_floors import fair_amount

CATALOG = make_catalog()
POLICY = make_policy(
    exposure={"min_reserve_share": Decimal("0.10"), "max_token_share": Decimal("0.40")},
    slippage={"max_trade_slippage_bps": 50, "emergency_floor_bps": 100},
)
SWAPPABLE = ("usdc", "dai", "usdx", "weth")


def candidate(weights: Mapping[str, int], **changes: object) -> Candidate:
    fields: dict[str, object] = {
        "id": "optimal",
        "kind": CandidateKind.OPTIMAL,
        "weights": tuple(Weight(strategy=name, weight_bps=bps) for name, bps in weights.items()),
        "expected_apr": 0.0,
        "lower_apr": 0.0,
        "turnover": 0.0,
        "cost_usd": 0.0,
        "gain_usd": 0.0,
        "lower_gain_usd": 0.0,
        "break_even_days": None,
    }
    return Candidate.model_validate({**fields, **changes})


def mitigation(kind: CandidateKind, *exits: str, to_reserve: bool = False) -> Candidate:
    return candidate({}, id="way-out", kind=kind, exits=exits, to_reserve=to_reserve)


def plan(
    chosen: Candidate, portfolio: Portfolio | None = None, snapshot: MarketSnapshot | None = None
) -> tuple[Move, ...]:
    return plan_moves(
        chosen,
        portfolio=portfolio or make_portfolio(),
        snapshot=snapshot or make_snapshot(),
        catalog=CATALOG,
        policy=POLICY,
    )


def steps(moves: tuple[Move, ...]) -> list[tuple[MoveKind, str, str]]:
    return [(move.kind, move.token_in, move.strategy or move.venue or "") for move in moves]


def prices(*changed: PriceObservation) -> tuple[PriceObservation, ...]:
    replaced = {(price.token, price.source) for price in changed}
    kept = [p for p in make_snapshot().prices if (p.token, p.source) not in replaced]
    return (*kept, *changed)


def test_hold_moves_nothing() -> None:
    assert plan(candidate({}, kind=CandidateKind.HOLD)) == ()


def test_cash_of_the_right_token_is_supplied_to_the_base_unit() -> None:
    moves = plan(candidate({"aave-usdx": 1030, "aave-weth": 721, "aave-usdc": 2000}))

    assert steps(moves) == [(MoveKind.SUPPLY, "usdc", "aave-usdc")]
    assert moves[0].amount_in == 194_000 * 10**6  # 20 % of 970,000 USD


def test_exits_come_first_then_swaps_then_deposits() -> None:
    moves = plan(candidate({"aave-weth": 721, "vault-limited-dai": 2500}))

    assert steps(moves) == [
        (MoveKind.WITHDRAW, "usdx", "aave-usdx"),
        (MoveKind.SWAP, "usdx", "usdc-usdx-100"),
        (MoveKind.SWAP, "usdc", "usdc-dai-100"),
        (MoveKind.DEPOSIT, "dai", "vault-limited-dai"),
    ]


def test_left_position_is_withdrawn_whole() -> None:
    moves = plan(candidate({"aave-weth": 721}))

    assert moves[0].is_whole
    assert moves[0].amount_in == 100_000 * 10**18


def test_deposit_after_a_swap_asks_only_for_what_the_swap_guarantees() -> None:
    moves = plan(candidate({"aave-usdx": 1030, "aave-weth": 721, "vault-limited-dai": 2000}))
    swap, deposit = moves

    assert swap.amount_in == 94_000 * 10**6
    assert deposit.amount_in == 100_000 * 10**18 + 94_000 * 10**18 * 9950 // 10_000


def test_idle_stable_cash_is_sold_only_when_the_reserve_is_short() -> None:
    portfolio = make_portfolio(cash={"usdc": 500_000 * 10**6, "dai": 300_000 * 10**18}, positions={})

    untouched = plan(candidate({"vault-limited-dai": 3000}), portfolio)
    sale, supply = plan(candidate({"aave-usdc": 6000}), portfolio)

    assert steps(untouched) == [(MoveKind.DEPOSIT, "dai", "vault-limited-dai")]
    assert sale.amount_in == pytest.approx(60_000 * 10**18)  # 480,000 wanted + 80,000 kept - 500,000 held
    assert supply.amount_in == pytest.approx(479_700 * 10**6)  # the sale guarantees 0.5 % less than it sells


def test_cash_above_its_token_cap_is_sold_to_the_reserve() -> None:
    portfolio = make_portfolio(cash={"usdc": 100_000 * 10**6, "weth": 100 * 10**18}, positions={})

    moves = plan(candidate({}), portfolio)

    assert steps(moves) == [(MoveKind.SWAP, "weth", "usdc-weth-500")]
    assert moves[0].amount_in == pytest.approx((350_000 - 0.4 * 0.995 * 450_000) / 3500 * 10**18)


def test_reserve_keeps_the_policys_minimum() -> None:
    portfolio = make_portfolio(cash={"usdc": 700_000 * 10**6}, positions={})

    moves = plan(candidate({"aave-usdc": 10_000}), portfolio)

    assert 700_000 * 10**6 - moves[0].amount_in == 70_000 * 10**6 + 1


def test_dust_is_not_moved() -> None:
    assert plan(candidate({"aave-usdx": 1025, "aave-weth": 721})) == ()


def test_token_without_a_venue_is_entered_only_from_what_is_held() -> None:
    portfolio = make_portfolio(cash={"usdc": 500_000 * 10**6, "wbtc": 10**8}, positions={})

    moves = plan(candidate({"aave-wbtc": 3000}), portfolio)

    assert steps(moves) == [(MoveKind.SUPPLY, "wbtc", "aave-wbtc")]
    assert moves[0].amount_in == 10**8


@pytest.mark.parametrize("change", ["paused", "unread"])
def test_paused_or_unread_strategy_is_not_entered(change: str) -> None:
    others = [rate for rate in make_snapshot().rates if rate.strategy != "aave-usdc"]
    paused = make_rate("aave-usdc", decimals=6).model_copy(update={"is_paused": True})
    rates = (*others, paused) if change == "paused" else tuple(others)

    moves = plan(candidate({"aave-usdx": 1030, "aave-weth": 721, "aave-usdc": 2000}), None, make_snapshot(rates=rates))

    assert moves == ()


def test_exit_takes_no_more_than_can_leave() -> None:
    tight = make_rate("aave-usdx").model_copy(update={"withdrawable": 30_000 * 10**18})

    moves = plan(mitigation(CandidateKind.EXIT, "aave-usdx"), None, make_snapshot(rates=(tight,)))

    assert moves[0].amount_in == 30_000 * 10**18
    assert not moves[0].is_whole


def test_paused_position_cannot_leave() -> None:
    paused = make_rate("aave-usdx").model_copy(update={"is_paused": True})

    assert plan(mitigation(CandidateKind.EXIT, "aave-usdx"), None, make_snapshot(rates=(paused,))) == ()


def test_exit_from_an_unread_pool_is_tried_in_full() -> None:
    (move,) = plan(mitigation(CandidateKind.EXIT, "aave-usdx"), None, make_snapshot(rates=()))

    assert (move.amount_in, move.is_whole) == (100_000 * 10**18, True)


def test_unlimited_policy_keeps_no_reserve_and_sells_nothing() -> None:
    unlimited = dict.fromkeys(("min_reserve_share", "max_token_share", "max_issuer_share"), "unlimited")
    portfolio = make_portfolio(cash={"usdc": 100_000 * 10**6, "weth": 100 * 10**18}, positions={})

    moves = plan_moves(
        candidate({"aave-usdc": 10_000}),
        portfolio=portfolio,
        snapshot=make_snapshot(),
        catalog=CATALOG,
        policy=make_policy(exposure=unlimited),
    )

    assert steps(moves) == [(MoveKind.SUPPLY, "usdc", "aave-usdc")]
    assert moves[0].amount_in == 100_000 * 10**6


def test_vault_is_left_in_shares() -> None:
    portfolio = make_portfolio(positions={"vault-limited-dai": 101})
    position = portfolio.positions[0].model_copy(update={"shares": 77, "amount": 101})
    portfolio = portfolio.model_copy(update={"positions": (position,)})

    whole = plan(mitigation(CandidateKind.EXIT, "vault-limited-dai"), portfolio)
    half = plan(mitigation(CandidateKind.REDUCE, "vault-limited-dai"), portfolio)

    assert (whole[0].shares, whole[0].amount_in, whole[0].is_whole) == (77, 101, True)
    assert (half[0].shares, half[0].is_whole) == (77 * 51 // 101, False)


def test_exit_to_reserve_swaps_what_was_freed_and_the_broken_tokens_cash() -> None:
    portfolio = make_portfolio(cash={"usdx": 5 * 10**18, "dai": 7 * 10**18}, positions={"aave-usdx": 10**20})
    broken = make_snapshot(prices=prices(make_price("usdx", "0.9")))

    moves = plan(mitigation(CandidateKind.EXIT_TO_RESERVE, "aave-usdx", to_reserve=True), portfolio, broken)

    assert steps(moves) == [(MoveKind.WITHDRAW, "usdx", "aave-usdx"), (MoveKind.SWAP, "usdx", "usdc-usdx-100")]
    assert moves[1].amount_in == 105 * 10**18


def test_exit_needs_no_price_at_all() -> None:
    moves = plan(
        mitigation(CandidateKind.EXIT_TO_RESERVE, "aave-usdx", to_reserve=True), None, make_snapshot(prices=())
    )

    assert [move.kind for move in moves] == [MoveKind.WITHDRAW, MoveKind.SWAP]


def test_allocation_without_a_price_is_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="has no price"):
        plan(candidate({"aave-usdc": 2000}), None, make_snapshot(prices=()))


def swap(amount: int = 1000 * 10**18, venue: str = "usdc-dai-100") -> Move:
    return Move(kind=MoveKind.SWAP, token_in="dai", token_out="usdc", amount_in=amount, venue=venue)


def minimums(quote: int, *, is_exit: bool = False, snapshot: MarketSnapshot | None = None) -> list[int]:
    moves = with_minimum_outs(
        [swap()],
        {0: quote},
        snapshot=snapshot or make_snapshot(),
        catalog=CATALOG,
        policy=POLICY,
        is_exit=is_exit,
    )
    return [move.minimum_out for move in moves]


def minimum(quote: int, *, is_exit: bool = False, snapshot: MarketSnapshot | None = None) -> int:
    (least,) = minimums(quote, is_exit=is_exit, snapshot=snapshot)
    return least


def test_normal_minimum_is_the_oracle_value_less_slippage_rounded_up() -> None:
    odd = make_snapshot(prices=prices(make_price("dai", "0.9999999"), make_price("dai", "1", source="uniswap")))

    assert minimum(999 * 10**6) == 995 * 10**6
    assert minimum(999 * 10**6, snapshot=odd) == 994_999_901  # 994.9999005 rounded up


def test_quote_at_the_floor_passes_and_one_unit_below_is_infeasible() -> None:
    assert minimum(995 * 10**6) == 995 * 10**6
    with pytest.raises(Infeasible, match="usdc-dai-100 quotes 994999999 usdc, below the floor 995000000"):
        minimum(995 * 10**6 - 1)


def test_exit_takes_the_better_of_oracle_and_emergency_floor() -> None:
    assert minimum(1000 * 10**6, is_exit=True) == 995 * 10**6
    assert minimum(1010 * 10**6, is_exit=True) == 999_900_000
    assert minimum(994 * 10**6, is_exit=True) == 990 * 10**6


def test_exit_keeps_a_token_whose_pool_does_not_reach_the_oracle_s_emergency_floor() -> None:
    """100 basis points below a dollar: somebody moved the pool, and waits for us to sell."""
    assert minimums(990 * 10**6, is_exit=True) == [990 * 10**6]
    assert minimums(990 * 10**6 - 1, is_exit=True) == []


def test_exit_sells_beside_a_broken_peg_for_what_the_pool_pays() -> None:
    broken = make_snapshot(prices=prices(make_price("dai", "0.97"), make_price("dai", "0.97", source="uniswap")))

    assert minimums(500 * 10**6, is_exit=True, snapshot=broken) == [495 * 10**6]


STALE = [make_price("dai", "1", age_seconds=86_400 + 601), make_price("dai", "1", source="uniswap")]
DISPUTED = [make_price("dai", "1"), make_price("dai", "0.98", source="uniswap")]


@pytest.mark.parametrize(("distrusted", "least"), [(STALE, 989_010_000), (DISPUTED, 995_000_000)])
def test_untrusted_oracle_stops_a_trade_but_not_an_exit(distrusted: list[PriceObservation], least: int) -> None:
    """A dispute makes the oracle no worse: a pool may not vouch against it."""
    snapshot = make_snapshot(prices=prices(*distrusted))

    assert minimum(999 * 10**6, is_exit=True, snapshot=snapshot) == least
    with pytest.raises(StaleOrDisputed, match="cannot set a floor"):
        minimum(999 * 10**6, snapshot=snapshot)


def test_too_few_sources_or_no_oracle_set_no_floor() -> None:
    one_source = make_snapshot(prices=tuple(make_price(token, price) for token, price in PRICES.items()))
    no_oracle = make_snapshot(prices=tuple(make_price(t, p, source=s) for t, p in PRICES.items() for s in ("a", "b")))

    for snapshot in (one_source, no_oracle):
        with pytest.raises(StaleOrDisputed):
            minimum(999 * 10**6, snapshot=snapshot)


def test_minimum_is_never_zero() -> None:
    unpriced = make_snapshot(prices=())
    free = make_policy(slippage={"max_trade_slippage_bps": 10_000})

    with pytest.raises(Infeasible):
        with_minimum_outs([swap()], {0: 0}, snapshot=make_snapshot(), catalog=CATALOG, policy=free, is_exit=False)
    assert minimums(0, is_exit=True, snapshot=unpriced) == []
    assert minimums(1, is_exit=True, snapshot=unpriced) == [1]


def test_swap_without_a_quote_is_a_broken_invariant() -> None:
    with pytest.raises(InvariantBroken, match="has no quote"):
        with_minimum_outs([swap()], {}, snapshot=make_snapshot(), catalog=CATALOG, policy=POLICY, is_exit=False)


def test_exit_that_deposits_is_a_broken_invariant() -> None:
    deposit = Move(kind=MoveKind.SUPPLY, token_in="usdc", token_out="usdc", amount_in=1, strategy="aave-usdc")

    with pytest.raises(InvariantBroken, match="must not deposit"):
        with_minimum_outs([deposit], {}, snapshot=make_snapshot(), catalog=CATALOG, policy=POLICY, is_exit=True)


def test_fair_amount_is_exact_across_decimals() -> None:
    fair = fair_amount(3 * 10**18, token_in="weth", token_out="wbtc", snapshot=make_snapshot(), catalog=CATALOG)

    assert fair == Decimal("0.175") * 10**8


def test_moves_that_overspend_are_refused() -> None:
    move = Move(kind=MoveKind.SUPPLY, token_in="usdc", token_out="usdc", amount_in=10**30, strategy="aave-usdc")

    with pytest.raises(InvariantBroken, match="base units of usdc"):
        portfolio_after(make_portfolio(), [move], snapshot=make_snapshot(), catalog=CATALOG, policy=POLICY)


def test_unknown_venue_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="unknown venue"):
        swap_fee_pips(swap(venue="nowhere"), CATALOG)


def test_weights_are_floored_and_zeros_left_out() -> None:
    weights = round_to_weights({"b": 0.29999, "a": 0.00009})

    assert weights == (Weight(strategy="b", weight_bps=2999),)


amounts = st.one_of(st.just(0), st.integers(1, 10**12), st.integers(10**18, 10**26), st.integers(10**50, 10**60))
portfolios = st.builds(
    make_portfolio,
    cash=st.dictionaries(st.sampled_from(SWAPPABLE), amounts),
    positions=st.dictionaries(st.sampled_from([s.id for s in CATALOG.strategies]), amounts),
)
targets = st.dictionaries(st.sampled_from([s.id for s in CATALOG.strategies]), st.integers(0, 2500), max_size=4)
WIDE = make_snapshot(
    rates=tuple(
        make_rate(s.id, decimals=CATALOG.token(s.token).decimals).model_copy(update={"withdrawable": 10**61})
        for s in CATALOG.strategies
    )
)


def quote_all(moves: tuple[Move, ...]) -> dict[int, int]:
    """What a fair venue pays, less its smallest fee."""
    fair = {
        index: fair_amount(m.amount_in, token_in=m.token_in, token_out=m.token_out, snapshot=WIDE, catalog=CATALOG)
        for index, m in enumerate(moves)
        if m.kind is MoveKind.SWAP
    }
    return {index: max(int(amount * 9999 / 10_000), 1) for index, amount in fair.items()}


def replay(moves: tuple[Move, ...], portfolio: Portfolio) -> dict[str, int]:
    """Worst case: swaps pay their minimum, vaults a basis point less than asked. Raises on any overdraft."""
    cash = {token.id: portfolio.cash_of(token.id) for token in CATALOG.tokens}
    for move in moves:
        if move.kind in {MoveKind.WITHDRAW, MoveKind.REDEEM}:
            assert move.amount_in <= portfolio.position_of(move.strategy or "")
            cash[move.token_out] += (
                move.amount_in if move.kind is MoveKind.WITHDRAW else move.amount_in * 9999 // 10_000
            )
            continue
        cash[move.token_in] -= move.amount_in
        cash[move.token_out] += move.minimum_out
        assert cash[move.token_in] >= 0
    return cash


@settings(max_examples=150, deadline=None)
@given(portfolios, targets)
def test_no_plan_ever_spends_more_than_is_there(portfolio: Portfolio, weights: dict[str, int]) -> None:
    moves = plan(candidate(weights), portfolio, WIDE)
    quotes = quote_all(moves)
    floored = with_minimum_outs(moves, quotes, snapshot=WIDE, catalog=CATALOG, policy=POLICY, is_exit=False)

    cash = replay(floored, portfolio)

    reserve = Decimal(cash["usdc"]) / 10**6
    is_spent = any(move.token_in == "usdc" and move.kind is not MoveKind.WITHDRAW for move in moves)
    assert not is_spent or reserve >= net_asset_value_usd(portfolio, WIDE, CATALOG) * Decimal("0.0999999")
    assert all(move.amount_in > 0 for move in moves)


@settings(max_examples=100, deadline=None)
@given(portfolios, st.sampled_from([CandidateKind.REDUCE, CandidateKind.EXIT, CandidateKind.EXIT_TO_RESERVE]))
def test_no_exit_ever_asks_for_more_than_is_held(portfolio: Portfolio, kind: CandidateKind) -> None:
    exits = tuple(position.strategy for position in portfolio.positions)
    chosen = mitigation(kind, *exits, to_reserve=kind is CandidateKind.EXIT_TO_RESERVE)

    moves = plan(chosen, portfolio, WIDE)
    floored = with_minimum_outs(moves, quote_all(moves), snapshot=WIDE, catalog=CATALOG, policy=POLICY, is_exit=True)

    replay(floored, portfolio)
    assert all(move.minimum_out > 0 for move in floored if move.kind is MoveKind.SWAP)
