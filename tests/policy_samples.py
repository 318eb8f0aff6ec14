"""Policies at any value that their types allow, by hypothesis, and a book of wishes as it would be stored."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from hypothesis import strategies as st

from domain.change_history import ChangeEvent, Standing, Step, approve, fold, follow, refuse
from domain.documents import POLICY
from domain.policy import Policy
from domain.policy_change import LimitValue, limits_of
from tests.builders import NOW
from tests.builders_evidence import make_limits

BASE = make_limits()
KEYS = tuple(limits_of(BASE))
SHARES = st.sampled_from(["0", "0.001", "0.05", "0.1", "0.25", "0.35", "0.7", "0.9", "1"]).map(Decimal)
AMOUNTS = st.sampled_from(["0", "1", "5", "100", "4000", "49999.99", "50000", "400000", "3000000"]).map(Decimal)


def with_limits(policy: Policy, changes: Mapping[str, object]) -> Policy:
    """`changes` by key with its section; parsed again, so that only what a file could say exists."""
    raw = policy.model_dump(mode="json")
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (raw[section] if section else raw)[name] = str(value) if isinstance(value, Decimal) else value
    return Policy.model_validate(raw)


def values_of(key: str) -> st.SearchStrategy[LimitValue]:
    """Around the pinned limits and far from them; `unlimited` where the policy allows the word."""
    current = limits_of(BASE)[key]
    name = key.rpartition(".")[2]
    if key == "name":
        return st.sampled_from(["demo", "other"])
    if key == "mitigation.default_action":
        return st.sampled_from(["reduce", "exit", "exit_to_reserve"])
    if isinstance(current, bool):
        return st.booleans()
    if isinstance(current, int):
        low, high = (1, 365) if name.endswith("_days") else (0, 10_000)
        return st.integers(low, high)
    if name == "min_interval_confidence_share":
        return st.sampled_from(["0.5", "0.9", "0.95"]).map(Decimal)
    if key in {"protocol.min_score_points", "economics.min_net_gain_usd"}:
        return AMOUNTS
    return st.one_of(SHARES if name.endswith("_share") else AMOUNTS, st.just("unlimited"))


def policies(*, without: frozenset[str] = frozenset({"version"})) -> st.SearchStrategy[Policy]:
    """The base with up to six keys at other values."""
    keys = [key for key in KEYS if key not in without | {"version"}]
    chosen = st.lists(st.sampled_from(keys), max_size=6, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: values_of(name) for name in names})).map(
        lambda changes: with_limits(BASE, changes)
    )


class PolicyBook:
    """Events as they would be stored, and the clock."""

    def __init__(self, first: Policy = BASE) -> None:
        self.events: list[ChangeEvent] = []
        self.now = NOW
        self.follow(first)

    @property
    def standing(self) -> Standing[Policy]:
        return fold(POLICY, self.events)

    @property
    def in_force(self) -> Policy | None:
        return self.standing.in_force

    def follow(self, wish: Policy, by: str = "bob") -> list[Step]:
        new = follow(POLICY, self.standing, wish, by=by, at=self.now)
        self.events.extend(new)
        return [event.step for event in new]

    def approve(self, digest: str, by: str = "alice") -> None:
        self.events.append(approve(POLICY, self.standing, digest, by=by, at=self.now))

    def refuse(self, digest: str, by: str = "alice") -> None:
        self.events.append(refuse(POLICY, self.standing, digest, by=by, at=self.now, reason="too much"))
