"""Share price, yield and liquidity of ERC-4626 vaults, valued at what redeeming pays.

The yield is how much the share price grows when the clock alone moves on, which any vault that accrues by time
shows; a vault that books its yield now and then shows it only against an older observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from collectors.answers import Answers, Question, ask
from domain import abi
from domain.market import Catalog, RateObservation, Strategy, StrategyKind
from domain.ports import BlockHeader, ChainReads
from domain.units import SECONDS_PER_DAY, SECONDS_PER_YEAR, divide

SOURCE: Final = "onchain"
EXTRA_PROBE_DIGITS: Final = 12  # one share of a 6-decimal token would show an hour's growth as 0 to 5 units
AHEAD_SECONDS: Final = 3600
MIN_BEHIND_SECONDS: Final = SECONDS_PER_DAY  # over less, one booking would look like a fortune
LOWEST_APR: Final = -1.0  # a loss that would take all within the year, or sooner

Previous = Callable[[str], RateObservation | None]
"""A stored observation of a strategy, if there is one."""


class _VaultQuestions(NamedTuple):
    total_assets: Question
    redemption: Question
    own_cash: Question
    liquidity: Question


def read_vaults(
    reads: ChainReads, catalog: Catalog, header: BlockHeader, *, previous: Previous | None = None
) -> dict[str, RateObservation]:
    """By strategy id; a vault that does not answer is missing. Raises ChainUnavailable."""
    strategies = [strategy for strategy in catalog.strategies if strategy.kind is StrategyKind.ERC4626]
    asked = {strategy.id: _questions(strategy, catalog) for strategy in strategies}
    answers = ask(reads, (question for group in asked.values() for question in group), header)
    later = _ask_later(reads, [group.redemption for group in asked.values()], header)
    found = {}
    for strategy in strategies:
        observation = _observe(strategy, catalog, header, answers, asked[strategy.id])
        if observation is None:
            continue
        ahead = _apr_ahead(answers.integer(asked[strategy.id].redemption), later.integer(asked[strategy.id].redemption))
        apr = ahead or _apr_behind(observation, previous)
        found[strategy.id] = observation.model_copy(update={"supply_apr": apr})
    return found


def probe_shares(strategy: Strategy) -> int:
    """So many shares that the vault's rounding does not show in the price of one."""
    return int(10 ** (strategy.receipt_decimals + EXTRA_PROBE_DIGITS))


def redemption_question(strategy: Strategy) -> Question:
    """What the probe redeems for: unlike convertToAssets, previewRedeem counts exit fees (EIP-4626)."""
    return Question(strategy.contract, abi.VAULT_PREVIEW_REDEEM, (probe_shares(strategy),))


def _questions(strategy: Strategy, catalog: Catalog) -> _VaultQuestions:
    return _VaultQuestions(
        total_assets=Question(strategy.contract, abi.VAULT_TOTAL_ASSETS),
        redemption=redemption_question(strategy),
        own_cash=Question(catalog.token(strategy.token).address, abi.BALANCE_OF, (strategy.contract,)),
        liquidity=Question(strategy.contract, abi.VAULT_AVAILABLE_LIQUIDITY),
    )


def _ask_later(reads: ChainReads, questions: Sequence[Question], header: BlockHeader) -> Answers:
    calls = [question.to_call() for question in questions]
    return Answers(questions, reads.read_ahead(calls, head=header, seconds=AHEAD_SECONDS) if calls else [])


def _observe(
    strategy: Strategy, catalog: Catalog, header: BlockHeader, answers: Answers, asked: _VaultQuestions
) -> RateObservation | None:
    """Everything but the rate."""
    total_assets = answers.integer(asked.total_assets)
    own_cash = answers.integer(asked.own_cash)
    redeemed = answers.integer(asked.redemption)
    if total_assets is None or own_cash is None or not redeemed:
        return None
    published = answers.integer(asked.liquidity)
    return RateObservation(
        strategy=strategy.id,
        source=SOURCE,
        chain_id=header.chain_id,
        block_number=header.number,
        observed_at=header.time,
        supply_apr=0.0,
        supplied=total_assets,
        borrowed=None,
        # EIP-4626 knows only one owner's maximum; a vault that publishes no total is good for its own cash
        withdrawable=min(total_assets, own_cash if published is None else published),
        share_price=_share_price(redeemed, strategy, catalog),
    )


def _share_price(redeemed: int, strategy: Strategy, catalog: Catalog) -> Decimal:
    tokens = Decimal(redeemed).scaleb(-catalog.token(strategy.token).decimals)
    shares = Decimal(probe_shares(strategy)).scaleb(-strategy.receipt_decimals)
    return divide(tokens, shares)


def _apr_ahead(now: int | None, later: int | None) -> float:
    if not now or later is None:
        return 0.0
    return _annual_growth(Decimal(now), Decimal(later), AHEAD_SECONDS)


def _apr_behind(observation: RateObservation, previous: Previous | None) -> float:
    """Zero when nothing old enough is known: no growth was seen, so none is promised."""
    before = previous(observation.strategy) if previous else None
    if before is None:
        return 0.0
    seconds = (observation.observed_at - before.observed_at).total_seconds()
    if seconds < MIN_BEHIND_SECONDS:
        return 0.0
    return _annual_growth(before.share_price, observation.share_price, seconds)


def _annual_growth(before: Decimal, after: Decimal, seconds: float) -> float:
    """Annual simple rate, at least LOWEST_APR."""
    growth = float(divide(after - before, before))
    return max(growth * SECONDS_PER_YEAR / seconds, LOWEST_APR)
