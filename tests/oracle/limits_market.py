"""What the market says and how much of the book hangs on one thing: freshness, exposure, protocols."""

from __future__ import annotations

from collections.abc import Iterable

from domain.market import Strategy
from tests.oracle.book import Facts, Line
from tests.oracle.exact import BPS, DOLLAR, MICROSECONDS, Rational, age, money, pair_of_statistic, unit_price
from tests.oracle.sheet import Sheet, or_unknown, plus, share


def judge_freshness(facts: Facts, sheet: Sheet) -> None:
    evidence, snapshot = facts.evidence, facts.evidence.snapshot
    lag = evidence.head_block_number - snapshot.block_number
    sheet.at_most("block_lag", (lag, 1) if lag >= 0 else None, "freshness", "max_block_lag_blocks")
    for moment in (snapshot.taken_at, snapshot.block_time):
        sheet.at_most("snapshot_old", _seconds(age(evidence.now, moment)), "freshness", "max_snapshot_age_seconds")
    for token in sorted(facts.live_tokens):
        _judge_prices(facts, sheet, token)
    for line in facts.grown:
        _judge_peg(facts, sheet, line)
    for strategy in sorted(facts.entered):
        _judge_rate(facts, sheet, strategy)
    _judge_sequencer(facts, sheet)


def _seconds(passed: int | None) -> tuple[int, int] | None:
    return None if passed is None else (passed, MICROSECONDS)


def _judge_prices(facts: Facts, sheet: Sheet, token_id: str) -> None:
    prices, token = facts.prices.get(token_id, []), facts.tokens.get(token_id)
    sheet.require("price_missing", bool(prices) and token is not None)
    if not prices or token is None:
        return
    for price in prices:
        passed = age(facts.evidence.now, price.observed_at)
        beyond = None if passed is None else (passed - token.feed_heartbeat_seconds * MICROSECONDS, MICROSECONDS)
        sheet.at_most("price_stale", beyond, "freshness", "max_price_age_over_heartbeat_seconds")
    sources = len({price.source for price in prices})
    sheet.at_least("price_sources_too_few", (sources, 1), "freshness", "min_price_sources_count")
    values: list[Rational] = [unit_price(price.price_usd, 0) for price in prices]
    spread = (max(values) - min(values)) * BPS, min(values)
    sheet.at_most("price_disputed", spread, "freshness", "max_price_disagreement_bps")


def _judge_peg(facts: Facts, sheet: Sheet, line: Line) -> None:
    token = facts.token_of(line)
    if token is None or not token.is_stable:
        return
    for price in or_unknown(facts.prices.get(token.id, [])):
        above = None if price is None else money(price.price_usd) - DOLLAR
        deviation = None if above is None else (max(above, -above) * BPS, DOLLAR)
        sheet.at_most("stable_deviation", deviation, "freshness", "max_stable_deviation_bps")


def _judge_rate(facts: Facts, sheet: Sheet, strategy: str) -> None:
    rate = facts.rate_of(strategy)
    passed = None if rate is None else _seconds(age(facts.evidence.now, rate.observed_at))
    sheet.at_most("rate_stale", passed, "freshness", "max_rate_age_seconds")
    sheet.require("strategy_paused", rate is not None and not rate.is_paused)


def _judge_sequencer(facts: Facts, sheet: Sheet) -> None:
    if facts.evidence.catalog.contracts.sequencer_feed is None:
        return
    reading = facts.evidence.snapshot.sequencer
    uptime = None if reading is None or not reading.is_up else _seconds(age(facts.evidence.now, reading.since))
    sheet.at_least("sequencer_down", uptime, "freshness", "min_sequencer_uptime_seconds")


def judge_exposure(facts: Facts, sheet: Sheet) -> None:
    families: dict[tuple[str, str], list[tuple[Line, int]]] = {}
    for line, amount in facts.after.held:
        for subject in _families(facts, line):
            families.setdefault(subject, []).append((line, amount))
    for (family, _), lines in families.items():
        part = share(facts.value_of_lines(lines), facts.nav_after)
        sheet.at_most(f"{family}_share", part, "exposure", f"max_{family}_share")
    reserve = ("cash", facts.evidence.catalog.reserve_token)
    kept = facts.value_of_lines([(reserve, facts.after.lines[reserve])])
    sheet.at_least("reserve_share", share(kept, facts.nav_after), "exposure", "min_reserve_share")
    for strategy in sorted(facts.entered):
        _judge_pool(facts, sheet, strategy)
    _judge_turnover(facts, sheet)


def _families(facts: Facts, line: Line) -> Iterable[tuple[str, str]]:
    token, strategy = facts.token_of(line), _strategy_of(facts, line)
    if token is not None:
        yield "issuer", token.issuer
        if token.id != facts.evidence.catalog.reserve_token:
            yield "token", token.id
    if strategy is not None:
        yield "strategy", strategy.id
        yield "protocol", strategy.protocol
        yield "chain", "chain"
        yield from (("oracle", name) for name in sorted(set(strategy.oracles)))
        yield from (("collateral", name) for name in sorted(set(strategy.collateral)))
        yield from (("factor", name) for name in sorted(set(strategy.factors)))


def _strategy_of(facts: Facts, line: Line) -> Strategy | None:
    return facts.strategies.get(line[1]) if line[0] == "position" else None


def _judge_pool(facts: Facts, sheet: Sheet, strategy: str) -> None:
    line = ("position", strategy)
    ours, added = facts.after.lines[line], facts.after.lines[line] - facts.before.lines[line]
    rate = facts.rate_of(strategy)
    supplied = None if rate is None else share(ours, rate.supplied + max(0, added))
    withdrawable = None if rate is None else share(ours, rate.withdrawable)
    sheet.at_most("pool_supplied_share", supplied, "exposure", "max_pool_supplied_share")
    sheet.at_most("pool_withdrawable_share", withdrawable, "exposure", "max_pool_withdrawable_share")


def _judge_turnover(facts: Facts, sheet: Sheet) -> None:
    ledger = money(facts.evidence.budget.turnover_day_usd)
    day: Rational | None = plus(facts.moved, ledger)
    sheet.at_most("run_turnover", share(facts.moved, facts.nav_before), "exposure", "max_run_turnover_share")
    sheet.at_most("day_turnover", share(day, facts.nav_before), "exposure", "max_day_turnover_share")


def judge_protocol(facts: Facts, sheet: Sheet) -> None:
    for protocol in sorted({facts.strategies[name].protocol for name in facts.entered if name in facts.strategies}):
        scores = [score for score in facts.evidence.scores if score.protocol == protocol]
        for points in or_unknown([pair_of_statistic(score.score) for score in scores]):
            sheet.at_least("protocol_score", points, "protocol", "min_score_points")
        sheet.require("open_incident", bool(scores) and not any(score.has_open_incident for score in scores))
