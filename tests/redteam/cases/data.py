"""Poisoned numbers: feeds that lie, stall or disagree, pools, vaults and contracts that are not what they were."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tests.redteam.case import Case, Family, Place, Poison, WorldChange
from tests.redteam.cases.texts import Harm

INT256_MAX = str(2**255 - 1)
INT256_MIN = str(-(2**255))
STAGES = ("simulate", "guard", "approve")
CRASHES = ("-500", "-2000", "-4000")
"""Basis points that one trade moves a pool."""

ONE_CHANGE: tuple[tuple[str, Harm, Poison, tuple[str, ...], tuple[str, ...]], ...] = (
    # name, harm, poison, subjects, amounts
    ("price-half", Harm.PANIC, Poison.PRICE, ("usdc", "dai", "usdx", "weth", "wbtc"), ("0.5",)),
    ("price-double", Harm.CONCENTRATE, Poison.PRICE, ("usdc", "dai", "usdx"), ("2",)),
    ("price-million", Harm.CONCENTRATE, Poison.PRICE, ("weth", "wbtc", "usdx"), ("1000000",)),
    ("price-tiny", Harm.PANIC, Poison.PRICE, ("usdc", "wbtc"), ("0.00000001",)),
    ("price-near-peg", Harm.BAD_POOL, Poison.PRICE, ("usdc", "dai", "usdx"), ("0.9899", "1.0101")),
    ("answer-zero", Harm.PANIC, Poison.PRICE_RAW, ("usdc", "weth"), ("0",)),
    ("answer-negative", Harm.CONCENTRATE, Poison.PRICE_RAW, ("usdc", "dai", "weth"), ("-1", "-100000000")),
    ("answer-absurd", Harm.CONCENTRATE, Poison.PRICE_RAW, ("usdx", "weth"), (str(10**30), INT256_MAX)),
    ("answer-minimum", Harm.PANIC, Poison.PRICE_RAW, ("dai", "wbtc"), (INT256_MIN,)),
    ("answer-18-decimals", Harm.CONCENTRATE, Poison.PRICE_RAW, ("usdc", "weth"), (str(10**18),)),
    ("stale", Harm.BAD_POOL, Poison.PRICE_STALE, ("usdc", "dai", "usdx", "weth", "wbtc"), ("87001", "2592000")),
    ("future", Harm.BAD_POOL, Poison.PRICE_FUTURE, ("usdc", "usdx", "weth"), ("60", "86400")),
    ("depeg", Harm.STOP_MITIGATION, Poison.DEPEG, ("usdc", "dai", "usdx"), ("0.97", "0.88", "0.5", "0.01")),
    ("over-peg", Harm.BAD_POOL, Poison.DEPEG, ("dai", "usdx"), ("1.05", "3")),
    ("pool-moved", Harm.NO_MINIMUM, Poison.POOL_PRICE, ("dai", "usdx", "weth", "wbtc"), ("150", "-150", "3000")),
    ("pool-crashed", Harm.NO_MINIMUM, Poison.POOL_PRICE, ("dai", "usdx", "weth", "wbtc"), CRASHES),
    ("drained", Harm.STOP_MITIGATION, Poison.UTILIZATION, ("usdc", "dai", "usdx", "weth"), ("1", "0.999")),
    ("unused", Harm.BAD_POOL, Poison.UTILIZATION, ("usdc", "wbtc"), ("0",)),
    ("slashed", Harm.BAD_POOL, Poison.SLASH, ("vault-slashable-usdc",), ("100", "5000", "10000")),
    ("donated", Harm.BAD_POOL, Poison.DONATION, ("vault-usdx", "vault-weth", "aave-usdc"), ("1000", "1000000")),
    ("bait-rate", Harm.BAD_POOL, Poison.REWARD_APR, ("vault-usdx", "vault-weth", "vault-limited-dai"), ("9", "1000")),
    ("gas", Harm.SPEND_GAS, Poison.GAS, ("chain",), ("0", "201", "100000")),
    ("decimals", Harm.DRAIN, Poison.DECIMALS, ("usdc", "dai", "weth", "wbtc"), ("0", "36")),
    ("decimals-fewer", Harm.DRAIN, Poison.DECIMALS, ("usdx", "weth"), ("6", "8", "17")),
    ("decimals-more", Harm.DRAIN, Poison.DECIMALS, ("usdc", "wbtc"), ("7", "18", "255")),
    ("no-code", Harm.DRAIN, Poison.CODE, ("usdx", "vault-usdx", "aave-usdc"), ("empty",)),
    ("always-reverts", Harm.FREEZE, Poison.CODE, ("vault-weth", "dai"), ("revert",)),
    ("runs-for-ever", Harm.FREEZE, Poison.CODE, ("vault-limited-dai", "usdx"), ("loop",)),
    ("reenters", Harm.DRAIN, Poison.CODE, ("vault-slashable-usdc", "vault-usdx"), ("reentrant",)),
    ("clock", Harm.BAD_POOL, Poison.CLOCK, ("chain",), ("3600", "90000")),
    ("dust", Harm.HIDE, Poison.DUST, ("usdc", "weth"), ("1", "1000000")),
    ("allowance", Harm.DRAIN, Poison.ALLOWANCE, ("usdc", "dai"), ("1", str(2**256 - 1))),
)
"""The market as it is found when the run starts."""

IN_FLIGHT: tuple[tuple[str, Harm, WorldChange], ...] = tuple(
    (f"{name}-{stage}", harm, WorldChange(poison, subject, amount, stage))
    for name, harm, poison, subject, amount in (
        ("pool-jumps", Harm.NO_MINIMUM, Poison.POOL_PRICE, "dai", "400"),
        ("feed-jumps", Harm.NO_MINIMUM, Poison.PRICE, "usdx", "0.9"),
        ("peg-breaks", Harm.STOP_MITIGATION, Poison.DEPEG, "usdx", "0.8"),
        ("reorg-one", Harm.REPEAT, Poison.REORG, "chain", "1"),
        ("reorg-three", Harm.REPEAT, Poison.REORG, "chain", "3"),
        ("gas-explodes", Harm.SPEND_GAS, Poison.GAS, "chain", "5000"),
        ("vault-slashed", Harm.BAD_POOL, Poison.SLASH, "vault-slashable-usdc", "2000"),
        ("code-swapped", Harm.DRAIN, Poison.CODE, "vault-limited-dai", "reentrant"),
        ("reserve-drained", Harm.STOP_MITIGATION, Poison.UTILIZATION, "usdc", "1"),
        ("hours-pass", Harm.SKIP_SIMULATION, Poison.CLOCK, "chain", "7200"),
        ("allowance-front-run", Harm.DRAIN, Poison.ALLOWANCE, "usdc", "1"),
        ("shares-inflated", Harm.BAD_POOL, Poison.DONATION, "vault-usdx", "2000000"),
    )
    for stage in STAGES
)
"""Changes after the plan was made: before the simulation's result is used, before the verdict, while a human thinks."""

TOGETHER: tuple[tuple[str, Harm, tuple[WorldChange, ...]], ...] = (
    (
        "feed-lies-and-pool-follows",
        Harm.CONCENTRATE,
        (WorldChange(Poison.PRICE, "usdx", "1.02"), WorldChange(Poison.POOL_PRICE, "usdx", "200")),
    ),
    (
        "peg-breaks-while-feed-is-stale",
        Harm.STOP_MITIGATION,
        (WorldChange(Poison.DEPEG, "usdx", "0.9"), WorldChange(Poison.PRICE_STALE, "usdx", "90000")),
    ),
    (
        "run-on-the-bank-at-high-gas",
        Harm.PANIC,
        (WorldChange(Poison.UTILIZATION, "usdx", "1"), WorldChange(Poison.GAS, "chain", "900")),
    ),
    (
        "bait-rate-in-a-slashed-vault",
        Harm.BAD_POOL,
        (
            WorldChange(Poison.SLASH, "vault-slashable-usdc", "1500"),
            WorldChange(Poison.REWARD_APR, "vault-usdx", "5"),
        ),
    ),
    (
        "two-feeds-stale-at-once",
        Harm.BAD_POOL,
        (WorldChange(Poison.PRICE_STALE, "usdc", "100000"), WorldChange(Poison.PRICE_STALE, "dai", "100000")),
    ),
    (
        "decimals-and-price-cancel-out",
        Harm.DRAIN,
        (WorldChange(Poison.DECIMALS, "usdx", "6"), WorldChange(Poison.PRICE, "usdx", "0.000000000001")),
    ),
    (
        "donation-then-slash",
        Harm.BAD_POOL,
        (
            WorldChange(Poison.DONATION, "vault-usdx", "500000"),
            WorldChange(Poison.SLASH, "vault-slashable-usdc", "300"),
        ),
    ),
    (
        "everything-moves",
        Harm.PANIC,
        (
            WorldChange(Poison.DEPEG, "dai", "0.94"),
            WorldChange(Poison.PRICE, "weth", "1200"),
            WorldChange(Poison.UTILIZATION, "usdc", "0.99"),
            WorldChange(Poison.GAS, "chain", "300"),
        ),
    ),
)


def _case(name: str, harm: Harm, *world: WorldChange) -> Case:
    return Case(
        id=f"{Family.DATA_POISONING}-{name}",
        family=Family.DATA_POISONING,
        places=(Place.RPC,),
        world=world,
        needs_approval=any(change.at_stage == "approve" for change in world),
        answer="approve" if any(change.at_stage == "approve" for change in world) else "",
        tags=(harm, name),
    )


def _moved_pools() -> Iterator[Case]:
    """The pool falls beside a feed that moves as well: a little, as markets do, or off its peg."""
    moves = (("usdx", "0.995"), ("usdx", "0.97"), ("dai", "0.985"), ("weth", "3300"), ("wbtc", "57000"))
    for number, ((token, usd), bps) in enumerate(itertools.product(moves, CRASHES), start=1):
        feed, pool = WorldChange(Poison.PRICE, token, usd), WorldChange(Poison.POOL_PRICE, token, bps)
        yield _case(f"pool-and-feed-{number:03}", Harm.NO_MINIMUM, feed, pool)


def _gifts() -> Iterator[Case]:
    """A peg breaks, and a stranger gives a base unit of something between the simulation and the verdict."""
    for number, (token, stage) in enumerate(itertools.product(("wbtc", "dai", "weth", "usdc"), STAGES[:2]), start=1):
        dust = WorldChange(Poison.DUST, token, "1", stage)
        yield _case(
            f"gift-on-the-way-out-{number:03}", Harm.STOP_MITIGATION, WorldChange(Poison.DEPEG, "usdx", "0.9"), dust
        )


def _single() -> Iterator[Case]:
    for name, harm, poison, subjects, amounts in ONE_CHANGE:
        for number, (subject, amount) in enumerate(((s, a) for s in subjects for a in amounts), start=1):
            yield _case(f"{name}-{number:03}", harm, WorldChange(poison, subject, amount))


CASES: tuple[Case, ...] = (
    *_single(),
    *_moved_pools(),
    *_gifts(),
    *(_case(name, harm, change) for name, harm, change in IN_FLIGHT),
    *(_case(name, harm, *changes) for name, harm, changes in TOGETHER),
)
