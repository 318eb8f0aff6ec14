"""What one executed batch measures against the policy's numbers: shares of the book, amounts, slippage.

Each measure is a rule, its subject, the value (None: unknown) and the limit; who compares them is audit_limits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter

from domain.market import Catalog
from domain.policy import Policy
from domain.units import SECONDS_PER_DAY
from tests.redteam.audit_books import Book, Line, worth
from tests.redteam.audit_calls import Step, swaps_in
from tests.redteam.audit_deals import BPS, Deal, Effect
from tests.redteam.findings import Rule

WEEK_SECONDS = 7 * SECONDS_PER_DAY
ZERO = Fraction(0)
MOVED = attrgetter("moved")
LOST = attrgetter("lost")
GAS = attrgetter("gas")

Measure = tuple[Rule, str, Fraction | None, Decimal | int | str]


def values_of(book: Book, prices: Book, catalog: Catalog) -> dict[Line, Fraction] | None:
    """USD per line; None where one of them has no price."""
    values = {
        line: worth(amount, prices.price(line[0]), catalog.token(line[0]))
        for line, amount in book.lines.items()
        if amount
    }
    known = {line: value for line, value in values.items() if value is not None}
    return known if len(known) == len(values) else None


def shares(deal: Deal, catalog: Catalog, policy: Policy, prices: Book) -> Iterator[Measure]:
    values = values_of(deal.after, prices, catalog)
    sums = _grouped(values or {}, catalog)
    total = sum((values or {}).values(), ZERO)
    limits = policy.exposure
    for rule, limit in (
        (Rule.STRATEGY_SHARE, limits.max_strategy_share),
        (Rule.PROTOCOL_SHARE, limits.max_protocol_share),
        (Rule.TOKEN_SHARE, limits.max_token_share),
        (Rule.ISSUER_SHARE, limits.max_issuer_share),
        (Rule.CHAIN_SHARE, limits.max_chain_share),
        (Rule.ORACLE_SHARE, limits.max_oracle_share),
        (Rule.COLLATERAL_SHARE, limits.max_collateral_share),
        (Rule.FACTOR_SHARE, limits.max_factor_share),
    ):
        subject, largest = max(sums[rule].items(), key=lambda item: item[1], default=("nothing", ZERO))
        yield rule, subject, _share(largest, total), limit
    cash = (values or {}).get((catalog.reserve_token, ""), ZERO)
    yield Rule.RESERVE_SHARE, catalog.reserve_token, _share(cash, total), limits.min_reserve_share
    for strategy in sorted(deal.entered(policy)):
        ours = deal.after.held(catalog.strategy(strategy).token, strategy)
        supplied = max(deal.after.pools[strategy].supplied or 0, ours)
        yield Rule.POOL_SUPPLIED, strategy, _pool_share(ours, supplied), limits.max_pool_supplied_share
        can_leave = max(prices.pools[strategy].withdrawable or 0, deal.after.pools[strategy].withdrawable or 0)
        yield Rule.POOL_WITHDRAWABLE, strategy, _pool_share(ours, can_leave), limits.max_pool_withdrawable_share


def _pool_share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _grouped(values: dict[Line, Fraction], catalog: Catalog) -> dict[Rule, dict[str, Fraction]]:
    sums: dict[Rule, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for (token, strategy_id), value in values.items():
        sums[Rule.ISSUER_SHARE][catalog.token(token).issuer] += value
        if token != catalog.reserve_token:
            sums[Rule.TOKEN_SHARE][token] += value
        if strategy_id:
            strategy = catalog.strategy(strategy_id)
            sums[Rule.STRATEGY_SHARE][strategy.id] += value
            sums[Rule.PROTOCOL_SHARE][strategy.protocol] += value
            sums[Rule.CHAIN_SHARE][str(catalog.chain_id)] += value
            for rule, names in (
                (Rule.ORACLE_SHARE, strategy.oracles),
                (Rule.COLLATERAL_SHARE, strategy.collateral),
                (Rule.FACTOR_SHARE, strategy.factors),
            ):
                for name in set(names):
                    sums[rule][name] += value
    return sums


def amounts(
    deal: Deal, catalog: Catalog, policy: Policy, prices: Book, *, past: Sequence[Effect], gas: Fraction
) -> Iterator[Measure]:
    """Of the batch alone and with what the rolling windows have used."""
    now, budgets, limits = deal.after.time, policy.budgets, policy.exposure
    day = [used for used in past if now - used.time < SECONDS_PER_DAY]
    week = [used for used in past if now - used.time < WEEK_SECONDS]
    moved, lost = _moved(deal, prices, catalog), _lost(deal, prices, catalog)
    day_moved = _with(day, MOVED, moved)
    total = sum((values_of(deal.before, prices, catalog) or {}).values(), ZERO)
    yield Rule.RUN_TURNOVER, "batch", _share(moved, total), limits.max_run_turnover_share
    yield Rule.DAY_TURNOVER, "day", _share(day_moved, total), limits.max_day_turnover_share
    yield Rule.TRANSACTION_VALUE, "batch", moved, budgets.max_transaction_value_usd
    yield Rule.DAY_VALUE, "day", day_moved, budgets.max_day_value_usd
    yield Rule.WEEK_VALUE, "week", _with(week, MOVED, moved), budgets.max_week_value_usd
    yield Rule.DAY_LOSS, "day", _with(day, LOST, lost), budgets.max_day_loss_usd
    yield Rule.WEEK_LOSS, "week", _with(week, LOST, lost), budgets.max_week_loss_usd
    yield Rule.DAY_GAS, "day", _with(day, GAS, gas), budgets.max_day_gas_usd
    yield Rule.GAS_COST, "batch", gas, policy.economics.max_gas_cost_usd
    price = Fraction(min(deal.sent.gas_price, prices.base_fee))
    yield Rule.GAS_PRICE, "batch", price, policy.economics.max_gas_price_wei
    yield from _slippages(deal, policy, prices, earlier=(_with(day, LOST, ZERO), _with(week, LOST, ZERO)))


def _with(window: Sequence[Effect], kind: Callable[[Effect], Fraction], ours: Fraction | None) -> Fraction | None:
    return None if ours is None else ours + sum((kind(used) for used in window), ZERO)


def _share(part: Fraction | None, whole: Fraction) -> Fraction | None:
    return part / whole if part is not None and whole else None


def _slippages(
    deal: Deal, policy: Policy, prices: Book, *, earlier: tuple[Fraction | None, Fraction | None]
) -> Iterator[Measure]:
    limits, total = policy.slippage, ZERO
    for step in swaps_in(deal.steps):
        short, below_bps = _shortfall(step, prices)
        yield Rule.TRADE_SLIPPAGE, f"{step.token.id} sold, bps", below_bps, limits.max_trade_slippage_bps
        total += short
    yield Rule.DAY_SLIPPAGE, "day", (earlier[0] or ZERO) + total, limits.max_day_slippage_usd
    yield Rule.WEEK_SLIPPAGE, "week", (earlier[1] or ZERO) + total, limits.max_week_slippage_usd


def _shortfall(step: Step, prices: Book) -> tuple[Fraction, Fraction | None]:
    """How far the minimum out lies below the feeds' value of what is sold: USD, and basis points of it."""
    if step.token_out is None:
        return ZERO, None
    paid = worth(step.amount, prices.quotes[step.token.id].feed, step.token)
    floor = worth(step.minimum_out, prices.quotes[step.token_out.id].feed, step.token_out)
    if not paid or floor is None:
        return ZERO, None
    return max(paid - floor, ZERO), (paid - floor) / paid * BPS


def _moved(deal: Deal, prices: Book, catalog: Catalog) -> Fraction | None:
    """All falls of lines added up, or the largest sum sold of one token, whichever is more."""
    sold: dict[str, int] = defaultdict(int)
    for step in swaps_in(deal.steps):
        sold[step.token.id] += step.amount
    falls = [worth(fall, prices.price(line[0]), catalog.token(line[0])) for line, fall in deal.fallen().items()]
    sales = [worth(amount, prices.price(token), catalog.token(token)) for token, amount in sold.items()]
    if any(value is None for value in (*falls, *sales)):
        return None
    known = sum((fall for fall in falls if fall is not None), ZERO)
    return max([known, *(sale for sale in sales if sale is not None)])


def _lost(deal: Deal, prices: Book, catalog: Catalog) -> Fraction | None:
    before, after = values_of(deal.before, prices, catalog), values_of(deal.after, prices, catalog)
    if before is None or after is None:
        return None
    return max(sum(before.values(), ZERO) - sum(after.values(), ZERO), ZERO)


def effect_of(deal: Deal, catalog: Catalog) -> Effect:
    """What cannot be priced used nothing: the batch itself was judged for that."""
    native = deal.before.highest(catalog.native_token) or ZERO
    gas = native * deal.sent.gas_used * deal.sent.gas_price / 10**18
    moved, lost = _moved(deal, deal.before, catalog), _lost(deal, deal.before, catalog)
    return Effect(deal.after.time, moved or ZERO, lost or ZERO, gas)
