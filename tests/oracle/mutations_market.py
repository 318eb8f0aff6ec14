"""Ways to change what the market says and when: prices, rates, ages, blocks, gas, the sequencer, the catalog."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Final

from domain.market import PriceObservation, SequencerReading
from domain.verdict import Evidence
from tests.oracle.edges import as_decimal, decimal_near, fill_ledger, loosen, move_limit
from tests.oracle.sample import Changes, Mutations, changed, with_plan, with_snapshot, with_stress

JITTER: Final = (timedelta(0), timedelta(0), timedelta(microseconds=1), timedelta(seconds=1))


def near_age(rng: Random, now: datetime, limit_seconds: int) -> datetime:
    """A moment just as old as allowed, a hair younger or older, or in the future by 15 or 16 seconds."""
    if rng.random() < 0.25:
        ahead = timedelta(seconds=rng.choice((1, 15, 15, 16)))
        return now + ahead + rng.choice((0, 0, 1)) * timedelta(microseconds=1)
    return now - timedelta(seconds=min(limit_seconds, 10**9)) + rng.choice((-1, 1)) * rng.choice(JITTER)


def age_price(rng: Random, evidence: Evidence) -> Evidence:
    prices = evidence.snapshot.prices
    if not prices:
        return evidence
    index = rng.randrange(len(prices))
    price = prices[index]
    heartbeat = evidence.catalog.token(price.token).feed_heartbeat_seconds
    allowed = heartbeat + evidence.policy.freshness.max_price_age_over_heartbeat_seconds
    return _with_price(evidence, index, changed(price, observed_at=near_age(rng, evidence.now, allowed)))


def age_snapshot(rng: Random, evidence: Evidence) -> Evidence:
    limit = evidence.policy.freshness.max_snapshot_age_seconds
    name = rng.choice(("taken_at", "taken_at", "block_time"))
    return with_snapshot(evidence, **{name: near_age(rng, evidence.now, limit)})


def age_rate(rng: Random, evidence: Evidence) -> Evidence:
    rates = list(evidence.snapshot.rates)
    index = rng.randrange(len(rates)) if rates else 0
    if not rates:
        return evidence
    moment = near_age(rng, evidence.now, evidence.policy.freshness.max_rate_age_seconds)
    rates[index] = changed(rates[index], observed_at=moment)
    return with_snapshot(evidence, rates=tuple(rates))


def shift_now(rng: Random, evidence: Evidence) -> Evidence:
    """Later or earlier by what one of the clocks allows."""
    edges = (evidence.plan.expires_at, evidence.snapshot.taken_at + timedelta(seconds=900))
    approval = evidence.approval
    edge = rng.choice((*edges, approval.expires_at) if approval is not None else edges)
    return changed(evidence, now=edge + rng.choice((-1, 1)) * rng.choice(JITTER))


def shift_head(rng: Random, evidence: Evidence) -> Evidence:
    lags = (evidence.policy.freshness.max_block_lag_blocks, evidence.policy.simulation.max_age_blocks, 0)
    blocks = (evidence.snapshot.block_number, evidence.simulation.block_number)
    head = rng.choice(blocks) + rng.choice(lags) + rng.choice((-1, 0, 0, 1))
    return changed(evidence, head_block_number=head)


def change_price(rng: Random, evidence: Evidence) -> Evidence:
    """Disputed by just the limit, off the peg by just the limit, next to nothing, or off by decimals."""
    prices, limits = evidence.snapshot.prices, evidence.policy.freshness
    if not prices:
        return evidence
    index = rng.randrange(len(prices))
    price = prices[index]
    others = [p.price_usd for p in prices if p.token == price.token and p is not price]
    other = Fraction(rng.choice(others)) if others else Fraction(price.price_usd)
    disputed = other * (10_000 + limits.max_price_disagreement_bps) / 10_000
    peg = 1 + rng.choice((-1, 1)) * Fraction(Decimal(limits.max_stable_deviation_bps)) / 10_000
    near = as_decimal(decimal_near(rng, rng.choice((disputed, other * other / disputed, peg))))
    extreme = rng.choice((Decimal("1e-18"), price.price_usd * 10**12, Decimal(10**30), price.price_usd * 2))
    chosen = near if rng.random() < 0.75 and near > 0 else extreme
    return _with_price(evidence, index, changed(price, price_usd=chosen))


def change_all_prices(rng: Random, evidence: Evidence) -> Evidence:
    """One token's price at every source: a broken peg, a crash, a boom."""
    token = rng.choice(evidence.catalog.tokens)
    bps = evidence.policy.freshness.max_stable_deviation_bps
    edges = (10_000 - bps, 10_000 + bps, 9_700, 5_000, 1, 10**7)
    chosen = Decimal(rng.choice(edges)).scaleb(-4) + rng.choice((0, 0, 1, -1)) * Decimal("1e-18")
    scale = 1 if token.is_stable else 3_500
    prices = tuple(changed(p, price_usd=chosen * scale) if p.token == token.id else p for p in evidence.snapshot.prices)
    return with_snapshot(evidence, prices=prices)


def change_sources(rng: Random, evidence: Evidence) -> Evidence:
    """A price vanishes, is said twice, or comes under another source's or token's name."""
    prices = list(evidence.snapshot.prices)
    if not prices:
        return evidence
    index = rng.randrange(len(prices))
    price = prices[index]
    match rng.randrange(5):
        case 0:
            del prices[index]
        case 1:
            prices = [p for p in prices if p.token != price.token]
        case 2:
            prices.append(changed(price, price_usd=price.price_usd + Decimal("1e-9")))
        case 3:
            prices[index] = changed(price, source=rng.choice(("oracle", "uniswap", "other")))
        case _:
            prices[index] = changed(price, token=rng.choice(evidence.catalog.tokens).id)
    return with_snapshot(evidence, prices=tuple(prices))


def change_rates(rng: Random, evidence: Evidence) -> Evidence:
    """A rate vanishes, repeats, is paused, or its pool is just large enough."""
    rates = list(evidence.snapshot.rates)
    if not rates:
        return evidence
    entered = [i for i, rate in enumerate(rates) if _is_raised(evidence, rate.strategy)]
    index = rng.choice(entered) if entered and rng.random() < 0.7 else rng.randrange(len(rates))
    held = evidence.after.position_of(rates[index].strategy)
    size = max(0, held * rng.choice((1, 2, 3, 4, 5, 10)) + rng.choice((-1, 0, 1)))
    match rng.randrange(6):
        case 0:
            del rates[index]
        case 1:
            rates.append(changed(rates[index], is_paused=rng.random() < 0.5))
        case 2:
            rates[index] = changed(rates[index], is_paused=True)
        case 3:
            rates[index] = changed(rates[index], withdrawable=size)
        case 4:
            rates[index] = changed(rates[index], supplied=size)
        case _:
            rates[index] = changed(rates[index], supplied=0, withdrawable=0)
    return with_snapshot(evidence, rates=tuple(rates))


def _is_raised(evidence: Evidence, strategy: str) -> bool:
    return evidence.after.position_of(strategy) > evidence.before.position_of(strategy)


def change_gas(rng: Random, evidence: Evidence) -> Evidence:
    """Gas price, gas used, or the fee cap: as much as allowed, one wei more, none."""
    snapshot, limit = evidence.snapshot, evidence.policy.economics.max_gas_price_wei
    needed = evidence.simulation.gas_used * (snapshot.base_fee_wei + snapshot.priority_fee_wei)
    match rng.randrange(3):
        case 0 if not isinstance(limit, str):
            base = int(limit) - snapshot.priority_fee_wei + rng.choice((-1, 0, 1))
            cheap = changed(evidence, simulation=changed(evidence.simulation, gas_used=21_000))
            return with_snapshot(cheap, base_fee_wei=max(base, 0))
        case 1:
            return with_plan(
                evidence,
                fee_cap_wei=max(0, rng.choice((needed - 1, needed, needed + 1, 0, 30 * needed, 30 * needed + 1))),
            )
        case _:
            gas = rng.choice((0, evidence.plan.fee_cap_wei // 10**9, 21_000, 30_000_000))
            return changed(evidence, simulation=changed(evidence.simulation, gas_used=gas))


def change_sequencer(rng: Random, evidence: Evidence) -> Evidence:
    since = near_age(rng, evidence.now, evidence.policy.freshness.min_sequencer_uptime_seconds)
    reading = SequencerReading.model_construct(is_up=rng.random() < 0.8, since=since)
    return with_snapshot(evidence, sequencer=rng.choice((None, reading, reading, reading)))


def change_snapshot(rng: Random, evidence: Evidence) -> Evidence:
    changes: Changes = ({"chain_id": 1}, {"prices": ()}, {"rates": ()})
    return with_snapshot(evidence, **rng.choice(changes))


def move_snapshot(rng: Random, evidence: Evidence) -> Evidence:
    """To the edge of the lag, and all that was read with it."""
    head = evidence.head_block_number
    oldest = max(0, head - evidence.policy.freshness.max_block_lag_blocks)
    block = rng.choice((oldest, oldest, max(0, oldest - 1), head, head + 1))
    rates = tuple(changed(rate, block_number=block) for rate in evidence.snapshot.rates)
    moved = changed(evidence, before=changed(evidence.before, block_number=block))
    return with_snapshot(moved, block_number=block, rates=rates)


def mix_blocks(rng: Random, evidence: Evidence) -> Evidence:
    """One reading of another block, fork or chain than the rest."""
    block, other = evidence.snapshot.block_number, "0x" + "cd" * 32
    rates = list(evidence.snapshot.rates)
    match rng.randrange(5):
        case 0:
            return changed(evidence, before=changed(evidence.before, block_number=block + rng.choice((-1, 1))))
        case 1:
            return with_snapshot(evidence, block_hash=other)
        case 2:
            number = block + rng.choice((-1, 0, 0))
            report = changed(evidence.simulation, block_hash=other, block_number=max(0, number))
            return changed(evidence, simulation=report)
        case _ if rates:
            index = rng.randrange(len(rates))
            fields: Changes = ({"chain_id": 1}, {"block_number": block + 1}, {"block_number": max(0, block - 1)})
            rates[index] = changed(rates[index], **rng.choice(fields))
    return with_snapshot(evidence, rates=tuple(rates))


def change_token(rng: Random, evidence: Evidence) -> Evidence:
    """Decimals that change, another issuer, a stable token that is none, another reserve."""
    tokens = list(evidence.catalog.tokens)
    index = rng.randrange(len(tokens))
    token = tokens[index]
    changes: Changes = (
        {"decimals": rng.choice((0, 6, 8, 18, 36))},
        {"issuer": tokens[0].issuer},
        {"is_stable": not token.is_stable},
        {"feed_heartbeat_seconds": rng.choice((1, 60, 10**6))},
    )
    tokens[index] = changed(token, **rng.choice(changes))
    return changed(evidence, catalog=changed(evidence.catalog, tokens=tuple(tokens)))


def change_strategy(rng: Random, evidence: Evidence) -> Evidence:
    strategies = list(evidence.catalog.strategies)
    index = rng.randrange(len(strategies))
    strategy = strategies[index]
    protocols = sorted({each.protocol for each in strategies})
    changes: Changes = (
        {"protocol": rng.choice((*protocols, "other"))},
        {"oracles": ("chainlink", "chainlink")},
        {"oracles": ("chainlink", "redstone")},
        {"collateral": rng.choice((("weth",), ("weth", "wbtc", "usdx")))},
        {"factors": ("vault-owner", "operator")},
        {"factors": (rng.choice(protocols), "operator")},
        {"factors": tuple(protocols)},
        {"oracles": ()},
    )
    strategies[index] = changed(strategy, **rng.choice(changes))
    other = changed(evidence, catalog=changed(evidence.catalog, strategies=tuple(strategies)))
    return with_stress(other) if rng.random() < 0.5 else other


def change_catalog(rng: Random, evidence: Evidence) -> Evidence:
    """Less is listed than was used, or under another account, chain, reserve or native token."""
    catalog = evidence.catalog
    changes: Changes = (
        {"chain_id": 1},
        {"venues": catalog.venues[1:]},
        {"strategies": catalog.strategies[1:]},
        {"reserve_token": rng.choice(catalog.tokens).id},
        {"native_token": rng.choice(catalog.tokens).id},
        {"account": catalog.operator},
        {"operator": catalog.account},
    )
    return changed(evidence, catalog=changed(catalog, **rng.choice(changes)))


def _with_price(evidence: Evidence, index: int, price: PriceObservation) -> Evidence:
    prices = evidence.snapshot.prices
    return with_snapshot(evidence, prices=(*prices[:index], price, *prices[index + 1 :]))


MARKET_MUTATIONS: Final[Mutations] = (
    (move_limit, 30),
    (fill_ledger, 8),
    (loosen, 6),
    (age_price, 4),
    (age_snapshot, 3),
    (age_rate, 2),
    (shift_now, 3),
    (shift_head, 4),
    (change_price, 6),
    (change_all_prices, 3),
    (change_sources, 3),
    (change_rates, 4),
    (change_gas, 4),
    (change_sequencer, 2),
    (change_snapshot, 2),
    (move_snapshot, 2),
    (mix_blocks, 3),
    (change_token, 2),
    (change_strategy, 4),
    (change_catalog, 2),
)
"""Each with its weight."""
