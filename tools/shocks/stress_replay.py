"""What recorded or invented market shocks would cost a book held through them; no probability is claimed.

Beside the stress set that guards judge (tools.stress), which these replays neither change nor replace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.plan import Candidate
from domain.policy import Policy
from domain.portfolio import Portfolio, value_holdings
from domain.risk_facts import RiskFacts
from tools.allocation import plan_moves
from tools.history import FloatArray
from tools.implied import portfolio_after
from tools.shocks.episodes import EPISODES, Episode
from tools.shocks.market_shock import MarketShock, loss_rate
from tools.stress import Line, exit_gas_usd, line_of


@dataclass(frozen=True, slots=True)
class LineLoss:
    """What one line of the book contributes to a loss, as a share of the whole book."""

    subject: str
    """The strategy, or `cash-` and the token."""
    share: float
    loss: float


@dataclass(frozen=True, slots=True)
class ShockLoss:
    """A shock's cost as shares of net asset value. `loss` is `lines` added up and `gas`; at most 1."""

    name: str
    loss: float
    gas: float
    """Leaving every position at the shock's fee, at today's price of ether: it may cost less by then."""
    blocked_share: float
    """In lending pools that would have let nobody out."""
    lines: tuple[LineLoss, ...]
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Book:
    """The held lines with their shares of net asset value, and what leaving all of them costs today."""

    lines: tuple[Line, ...]
    shares: FloatArray
    exit_gas_share: float


def make_book(portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog) -> Book | None:
    """None for a portfolio without value. Raises StaleOrDisputed when a holding, or the gas token, has no price."""
    holdings = value_holdings(portfolio, snapshot, catalog)
    total = float(sum(holding.value_usd for holding in holdings))
    if total <= 0:
        return None
    lines = tuple(line_of(holding.token, holding.strategy, snapshot, catalog) for holding in holdings)
    shares = np.array([float(holding.value_usd) / total for holding in holdings])
    return Book(lines, shares, exit_gas_usd(lines, snapshot, catalog) / total)


def replay_episodes(
    portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog, facts: RiskFacts
) -> tuple[ShockLoss, ...]:
    """Every recorded episode on this book, oldest first; empty for a portfolio without value.

    A token without a role falls like the worst role of its kind. Nothing is sold on the way and nothing recovers.
    Raises StaleOrDisputed when a held token, or the native token that pays gas, has no price.
    """
    book = make_book(portfolio, snapshot, catalog)
    if book is None:
        return ()
    return tuple(_replay(episode, book, facts) for episode in EPISODES)


def replay_candidate(
    candidate: Candidate,
    *,
    portfolio: Portfolio,
    snapshot: MarketSnapshot,
    catalog: Catalog,
    policy: Policy,
    facts: RiskFacts,
) -> tuple[ShockLoss, ...] | None:
    """The same for the book that a candidate's moves would leave; None where a price that it needs is unknown."""
    try:
        moves = plan_moves(candidate, portfolio=portfolio, snapshot=snapshot, catalog=catalog, policy=policy)
        after = portfolio_after(portfolio, moves, snapshot=snapshot, catalog=catalog, policy=policy)
        return replay_episodes(after, snapshot, catalog, facts)
    except StaleOrDisputed:
        return None


def _replay(episode: Episode, book: Book, facts: RiskFacts) -> ShockLoss:
    unknown = sorted({line.token for line in book.lines if facts.role_of(line.token) is None})
    roles = (f"{token}: no role is known, taken as the worst of its kind" for token in unknown)
    return shock_loss(book, episode.shock, facts, name=episode.name, assumptions=(*episode.assumptions, *roles))


def shock_loss(
    book: Book, shock: MarketShock, facts: RiskFacts, *, name: str, assumptions: tuple[str, ...] = ()
) -> ShockLoss:
    """Loss of one shock on one book; lines in the book's order."""
    rates = np.array([loss_rate(line, shock, facts) for line in book.lines])
    blocked = np.array([_is_blocked(line, shock, facts) for line in book.lines])
    gas = book.exit_gas_share * shock.gas_factor
    return ShockLoss(
        name=name,
        loss=min(float(book.shares @ rates) + gas, 1.0),
        gas=gas,
        blocked_share=float(book.shares @ blocked),
        lines=tuple(
            LineLoss(line.strategy.id if line.strategy else f"cash-{line.token}", float(share), float(share * rate))
            for line, share, rate in zip(book.lines, book.shares, rates, strict=True)
        ),
        assumptions=assumptions,
    )


def shock_losses(
    weights: FloatArray, lines: Sequence[Line], shocks: Sequence[MarketShock], facts: RiskFacts
) -> FloatArray:
    """Losses without gas of many books in one product: weights (n_books, n_lines) give (n_books, n_shocks).

    Weights are shares of net asset value, 0 to 1, NaN nowhere; rows need not add up to 1 (the rest loses nothing).
    Raises StaleOrDisputed naming row and line for anything else. No book or no shock gives an empty array.
    """
    if weights.ndim != 2 or weights.shape[1] != len(lines):  # noqa: PLR2004  books by lines
        raise StaleOrDisputed(f"weights must have one column per line ({len(lines)}), got shape {weights.shape}")
    wrong = np.argwhere(~((weights >= 0.0) & (weights <= 1.0)))
    if wrong.size:
        row, column = (int(place) for place in wrong[0])
        value, line = weights[row, column], lines[column]
        name = line.strategy.id if line.strategy else f"cash-{line.token}"
        raise StaleOrDisputed(f"weights column {name}, row {row}: must be a share of 0 to 1, got {value}")
    rates = np.array([[loss_rate(line, shock, facts) for shock in shocks] for line in lines])
    return np.asarray(weights @ rates.reshape(len(lines), len(shocks)))


def _is_blocked(line: Line, shock: MarketShock, facts: RiskFacts) -> bool:
    lends = line.strategy is not None and (line.rate is None or line.rate.borrowed is not None)
    return lends and shock.blocks(line.token, facts, is_stable=line.is_stable)
