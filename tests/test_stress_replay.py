"""Replays by hand on the sample treasury: 700k USDC, 100k DAI, 100k USDX and 20 WETH in Aave, 970k in all."""

from __future__ import annotations

import numpy as np
import pytest

from domain.errors import StaleOrDisputed
from domain.market import MarketSnapshot
from domain.plan import Candidate, Weight
from domain.risk_facts import RiskFacts, TokenRole
from tests.builders import make_catalog, make_policy, make_portfolio, make_price, make_snapshot
from tests.builders_shocks import make_facts
from tests.fakes_agents import make_candidate, make_hold
from tools.shocks.episodes import EPISODES
from tools.shocks.market_shock import MarketShock
from tools.shocks.stress_replay import ShockLoss, make_book, replay_candidate, replay_episodes, shock_loss, shock_losses

NAV = 970_000.0
GAS_UNITS = 60_000 + 2 * 130_000
EXIT_GAS = GAS_UNITS * 21e-9 * 3500 / NAV
CATALOG = make_catalog()


def replays(facts: RiskFacts | None = None, **book: object) -> dict[str, ShockLoss]:
    found = replay_episodes(make_portfolio(**book), make_snapshot(), CATALOG, facts or make_facts())
    return {loss.name: loss for loss in found}


def test_march_2023_costs_what_each_role_lost_then_and_dear_gas() -> None:
    found = replays()["usdc-2023-03"]

    falls = 0.123 * 700_000 + 0.103 * 100_000 + 0.906 * 100_000 + 0.069 * 70_000
    assert found.loss == pytest.approx(falls / NAV + 2.86 * EXIT_GAS)


def test_line_losses_and_gas_add_up_to_the_loss() -> None:
    for found in replays().values():
        assert sum(line.loss for line in found.lines) + found.gas == pytest.approx(found.loss)


def test_every_episode_is_replayed_oldest_first() -> None:
    assert list(replays()) == [
        "crash-2020-03", "ust-2022-05", "steth-2022-06", "ftx-2022-11", "usdc-2023-03",
    ]  # fmt: skip
    assert [e.first_day for e in EPISODES] == sorted(e.first_day for e in EPISODES)


def test_algorithmic_deposit_is_blocked_in_may_2022_and_nowhere_else() -> None:
    blocked = {name: loss.blocked_share for name, loss in replays().items() if loss.blocked_share}

    assert blocked == {"ust-2022-05": pytest.approx(100_000 / NAV)}


def test_cash_is_never_blocked() -> None:
    assert replays(positions={})["ust-2022-05"].blocked_share == 0.0


def test_unread_deposit_counts_as_lending() -> None:
    book = make_book(make_portfolio(), make_snapshot(rates=()), CATALOG)
    assert book is not None

    found = shock_loss(book, MarketShock({}, blocked=frozenset({TokenRole.ALGORITHMIC})), make_facts(), name="run")

    assert found.blocked_share == pytest.approx(100_000 / NAV)


def test_liquid_staking_falls_with_ether_and_by_its_discount() -> None:
    june = next(episode for episode in EPISODES if episode.name == "steth-2022-06")

    assert june.shock.falls[TokenRole.LIQUID_STAKING] == pytest.approx(1 - (1 - 0.444) * (1 - 0.066))


def test_what_was_not_recorded_is_named_as_assumed() -> None:
    assumptions = " ".join(replays()["crash-2020-03"].assumptions)

    assert "algorithmic: as UST in May 2022" in assumptions
    assert "liquid staking discount: as in June 2022" in assumptions
    assert "utilization: not recorded" in assumptions


def test_token_without_a_role_is_named_and_taken_as_the_worst_of_its_kind() -> None:
    known = replays()["usdc-2023-03"]
    unknown = replays(RiskFacts())["usdc-2023-03"]

    assert unknown.loss > known.loss
    assert "usdx: no role is known, taken as the worst of its kind" in unknown.assumptions


def test_no_shock_takes_more_than_everything() -> None:
    found = replays(cash={}, positions={"aave-usdx": 10**16})

    assert {loss.loss for loss in found.values()} == {1.0}


def test_portfolio_without_value_has_nothing_to_replay() -> None:
    assert replays(cash={}, positions={}) == {}


@pytest.mark.parametrize("missing", ["usdx", "weth"])
def test_missing_price_of_a_holding_or_of_gas_is_unknown(missing: str) -> None:
    prices = tuple(make_price(token, "1") for token in ("usdc", "dai", "usdx", "weth") if token != missing)
    portfolio = make_portfolio(positions={"aave-usdx": 10**23})

    with pytest.raises(StaleOrDisputed, match=missing):
        replay_episodes(portfolio, make_snapshot(prices=prices), CATALOG, make_facts())


def test_many_books_at_once_equal_each_book_alone() -> None:
    book = make_book(make_portfolio(), make_snapshot(), CATALOG)
    assert book is not None
    shocks = [episode.shock for episode in EPISODES]
    weights = np.random.default_rng(3).dirichlet(np.ones(len(book.lines)), size=50)
    weights[0] = book.shares
    weights[1] = [1.0, 0.0, 0.0, 0.0]

    losses = shock_losses(weights, book.lines, shocks, make_facts())

    assert losses.shape == (50, len(EPISODES))
    alone = [loss.loss - loss.gas for loss in replays().values()]
    assert losses[0] == pytest.approx(alone)
    assert losses[1] == pytest.approx([0.101, 0.052, 0.002, 0.018, 0.123])


def test_no_book_or_no_shock_gives_an_empty_table() -> None:
    book = make_book(make_portfolio(), make_snapshot(), CATALOG)
    assert book is not None

    assert shock_losses(np.empty((0, 4)), book.lines, [MarketShock({})], make_facts()).shape == (0, 1)
    assert shock_losses(np.full((2, 4), 0.25), book.lines, [], make_facts()).shape == (2, 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 1.5])
def test_weight_that_is_no_share_is_refused_with_row_and_line(wrong: float) -> None:
    book = make_book(make_portfolio(), make_snapshot(), CATALOG)
    assert book is not None
    weights = np.full((3, 4), 0.25)
    weights[2, 1] = wrong

    with pytest.raises(StaleOrDisputed, match="column cash-dai, row 2: must be a share"):
        shock_losses(weights, book.lines, [MarketShock({})], make_facts())


def test_weights_of_other_lines_are_refused() -> None:
    book = make_book(make_portfolio(), make_snapshot(), CATALOG)
    assert book is not None

    with pytest.raises(StaleOrDisputed, match=r"one column per line \(4\), got shape \(3, 5\)"):
        shock_losses(np.full((3, 5), 0.2), book.lines, [MarketShock({})], make_facts())


def replay_of(candidate: Candidate, snapshot: MarketSnapshot) -> dict[str, float] | None:
    found = replay_candidate(
        candidate,
        portfolio=make_portfolio(),
        snapshot=snapshot,
        catalog=CATALOG,
        policy=make_policy(),
        facts=make_facts(),
    )
    return None if found is None else {loss.name: loss.loss for loss in found}


def test_holding_candidate_is_replayed_like_the_book_itself() -> None:
    assert replay_of(make_hold(), make_snapshot()) == {name: loss.loss for name, loss in replays().items()}


def test_candidate_is_replayed_as_the_book_that_its_moves_leave() -> None:
    """Everything that it moves leaves USDC for USDX in Aave, which takes a fall like UST's."""
    into_usdx = make_candidate().model_copy(update={"weights": (Weight(strategy="aave-usdx", weight_bps=4_000),)})

    moved = replay_of(into_usdx, make_snapshot())

    assert moved is not None
    assert moved["ust-2022-05"] > replays()["ust-2022-05"].loss


def test_candidate_on_a_market_without_prices_is_unknown() -> None:
    assert replay_of(make_hold(), make_snapshot(prices=())) is None
