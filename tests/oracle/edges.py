"""Limits moved to what was observed, and ledgers filled up to the limit: exactly there, a hair under, a hair over."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Final

from pydantic import BaseModel

from domain.verdict import Evidence
from tests.oracle.book import Facts
from tests.oracle.exact import DOLLAR
from tests.oracle.limits import rows_of
from tests.oracle.remembered import remembering
from tests.oracle.sample import changed, with_policy
from tests.oracle.sheet import Row

DIGITS: Final = (0, 2, 6, 18, 29, 30, 31, 45, 60)
"""Places after the point at which a limit may miss what was observed; 30 is where quotients are easily cut."""
ALWAYS_NUMBERS: Final = frozenset({"min_score_points", "min_net_gain_usd", "min_interval_confidence_share"})
LEDGERS: Final = {
    "day_value": "value_day_usd",
    "week_value": "value_week_usd",
    "day_loss": "loss_day_usd",
    "week_loss": "loss_week_usd",
    "day_gas": "gas_day_usd",
    "day_slippage": "slippage_day_usd",
    "week_slippage": "slippage_week_usd",
    "day_turnover": "turnover_day_usd",
}


def _rows_of(evidence: Evidence) -> list[Row]:
    return rows_of(Facts(evidence))[0]


_rows: Final = remembering(_rows_of)


def move_limit(rng: Random, evidence: Evidence) -> Evidence:
    """One limit becomes what the batch shows, or just misses it, or vanishes."""
    rows = [row for row in _rows(evidence) if row.limit is not None and row.observed is not None]
    if not rows:
        return evidence
    code = rng.choice(sorted({row.code for row in rows}))  # or the many rows of stress would take most turns
    return moved_to(rng, evidence, rng.choice([row for row in rows if row.code == code]))


def moved_to(rng: Random, evidence: Evidence, row: Row) -> Evidence:
    section, key = row.limit or ("", "")
    numerator, denominator = row.observed or (0, 1)
    observed = Fraction(numerator) / (Fraction(denominator) * row.unit)
    current = getattr(getattr(evidence.policy, section), key)
    if type(current) is int:
        limit: object = _near_integer(rng, observed, is_bps=key.endswith("_bps"))
    else:
        is_share = key.endswith("_share") and key != "max_volatility_share"
        limit = _near_decimal(rng, observed, is_share=is_share, has_unlimited=key not in ALWAYS_NUMBERS)
    if key == "min_interval_confidence_share" and limit in {0, 1}:
        return evidence
    return with_policy(evidence, section, **{key: limit})


def _near_integer(rng: Random, observed: Fraction, *, is_bps: bool) -> int:
    floor = observed.numerator // observed.denominator
    near = rng.choice((floor, floor, floor - 1, floor + 1, 0))
    return min(max(near, 0), 10_000 if is_bps else 2**62)


def _near_decimal(rng: Random, observed: Fraction, *, is_share: bool, has_unlimited: bool) -> Decimal | str:
    if rng.random() < 0.1:
        most = Decimal(1) if is_share else Decimal(10**30)
        return rng.choice(("unlimited" if has_unlimited else most, Decimal(0), most))
    near = max(Fraction(0), decimal_near(rng, observed))
    return as_decimal(min(near, Fraction(1)) if is_share else near)


def decimal_near(rng: Random, observed: Fraction) -> Fraction:
    """The number itself where digits allow, else cut below or above it, sometimes one step of a digit away."""
    step = Fraction(1, 10 ** rng.choice(DIGITS))
    floor = observed // step * step
    return floor + step * rng.choice((0, 0, 1, 1, -1, 2))


def as_decimal(number: Fraction) -> Decimal:
    """Exact; `number` has at most 60 places after the point."""
    places = max(DIGITS)
    scaled = number * 10**places
    text = f"{scaled.numerator // scaled.denominator:0{places + 1}d}"
    return Decimal(f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip("."))


def fill_ledger(rng: Random, evidence: Evidence) -> Evidence:
    """What was used before leaves exactly room for this batch, or one unit too little."""
    rows = [row for row in _rows(evidence) if row.code in LEDGERS and row.observed is not None]
    if not rows:
        return evidence
    row = rng.choice(rows)
    field, limit = LEDGERS[row.code], getattr(getattr(evidence.policy, row.limit[0]), row.limit[1]) if row.limit else 0
    if isinstance(limit, str):
        return changed(evidence, budget=changed(evidence.budget, **{field: Decimal(10**12)}))
    numerator, denominator = row.observed or (0, 1)
    is_share = row.unit == 1
    used = Fraction(getattr(evidence.budget, field))
    own = Fraction(numerator, DOLLAR if is_share else row.unit) - used
    room = Fraction(limit) * (Fraction(denominator, DOLLAR) if is_share else 1) - own
    filled = max(Fraction(0), decimal_near(rng, room))
    return changed(evidence, budget=changed(evidence.budget, **{field: as_decimal(filled)}))


def loosen(rng: Random, evidence: Evidence) -> Evidence:
    """A whole section without limits, so that another one decides alone."""
    section = rng.choice(("exposure", "risk", "stress", "economics", "slippage", "budgets"))
    limits: BaseModel = getattr(evidence.policy, section)
    keys = [k for k, v in limits.__dict__.items() if isinstance(v, Decimal) and k.startswith("max_")]
    wide: dict[str, object] = dict.fromkeys(keys, "unlimited")
    if section == "slippage":
        wide |= {"max_trade_slippage_bps": 10_000, "emergency_floor_bps": 10_000}
    return with_policy(evidence, section, **wide)
