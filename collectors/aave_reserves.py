"""Rates, liquidity and rate curves of Aave v3 reserves, from the data provider and each reserve's rate strategy."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from pydantic import ValidationError

from collectors.answers import Answers, Question, ask
from domain import abi
from domain.market import Catalog, RateCurve, RateObservation, Strategy, StrategyKind
from domain.ports import BlockHeader, ChainReads

SOURCE: Final = "onchain"
RAY: Final = 10**27  # Aave v3 WadRayMath
PERCENTAGE_FACTOR: Final = 10_000  # Aave v3 PercentageMath


class _ReserveQuestions(NamedTuple):
    reserve: Question
    configuration: Question
    paused: Question
    cash: Question
    rate_strategy: Question


class _CurveQuestions(NamedTuple):
    base: Question
    slope_1: Question
    slope_2: Question
    optimal: Question


def read_reserves(reads: ChainReads, catalog: Catalog, header: BlockHeader) -> dict[str, RateObservation]:
    """By strategy id; a reserve that does not answer is missing. Raises ChainUnavailable."""
    strategies = [strategy for strategy in catalog.strategies if strategy.kind is StrategyKind.AAVE_V3]
    asked = {strategy.id: _reserve_questions(strategy, catalog) for strategy in strategies}
    answers = ask(reads, (question for group in asked.values() for question in group), header)
    contracts = {key: answers.address(group.rate_strategy) for key, group in asked.items()}
    curves = {key: _curve_questions(contract) for key, contract in contracts.items() if contract is not None}
    curve_answers = ask(reads, (question for group in curves.values() for question in group), header)
    found = {}
    for strategy in strategies:
        observation = _observe(strategy, header, answers, asked[strategy.id])
        if observation is not None:
            factor = _reserve_factor(answers, asked[strategy.id])
            curve = _rate_curve(curve_answers, curves.get(strategy.id), factor)
            found[strategy.id] = observation.model_copy(update={"curve": curve})
    return found


def _reserve_questions(strategy: Strategy, catalog: Catalog) -> _ReserveQuestions:
    token = catalog.token(strategy.token).address
    provider = catalog.contracts.aave_data_provider
    return _ReserveQuestions(
        reserve=Question(provider, abi.AAVE_RESERVE_DATA, (token,)),
        configuration=Question(provider, abi.AAVE_RESERVE_CONFIGURATION, (token,)),
        paused=Question(provider, abi.AAVE_PAUSED, (token,)),
        cash=Question(token, abi.BALANCE_OF, (strategy.receipt,)),
        rate_strategy=Question(provider, abi.AAVE_RATE_STRATEGY, (token,)),
    )


def _curve_questions(contract: str) -> _CurveQuestions:
    return _CurveQuestions(
        base=Question(contract, abi.AAVE_BASE_RATE),
        slope_1=Question(contract, abi.AAVE_SLOPE_1),
        slope_2=Question(contract, abi.AAVE_SLOPE_2),
        optimal=Question(contract, abi.AAVE_OPTIMAL_USAGE),
    )


def _observe(
    strategy: Strategy, header: BlockHeader, answers: Answers, asked: _ReserveQuestions
) -> RateObservation | None:
    reserve = answers.integers(asked.reserve)
    configuration = answers.integers(asked.configuration)
    is_paused = answers.integer(asked.paused)
    cash = answers.integer(asked.cash)
    if reserve is None or configuration is None or is_paused is None or cash is None:
        return None
    # outputs in the order of AaveProtocolDataProvider
    _, _, supplied, stable_debt, variable_debt, liquidity_rate, *_ = reserve
    *_, is_active, is_frozen = configuration
    return RateObservation(
        strategy=strategy.id,
        source=SOURCE,
        chain_id=header.chain_id,
        block_number=header.number,
        observed_at=header.time,
        supply_apr=liquidity_rate / RAY,
        supplied=supplied,
        borrowed=stable_debt + variable_debt,
        withdrawable=0 if is_paused or not is_active else cash,
        share_price=Decimal(1),
        is_paused=bool(is_paused or is_frozen or not is_active),
    )


def _reserve_factor(answers: Answers, asked: _ReserveQuestions) -> float | None:
    configuration = answers.integers(asked.configuration)
    if configuration is None:
        return None
    _, _, _, _, reserve_factor, *_ = configuration
    return reserve_factor / PERCENTAGE_FACTOR


def _rate_curve(answers: Answers, asked: _CurveQuestions | None, reserve_factor: float | None) -> RateCurve | None:
    """None where the rate strategy has no such curve: other models exist."""
    if asked is None or reserve_factor is None:
        return None
    rates = [rate / RAY for rate in map(answers.integer, asked) if rate is not None]
    if len(rates) != len(asked):
        return None
    base, slope_1, slope_2, optimal = rates
    try:
        return RateCurve(
            base=base,
            slope_1=slope_1,
            slope_2=slope_2,
            optimal_utilization=optimal,
            reserve_factor=reserve_factor,
        )
    except ValidationError:
        return None
