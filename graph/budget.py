"""What one decision may spend on models: calls and input tokens, reserved for every agent before the first call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from domain.run import AgentName, ModelCall

MAX_RUN_CALLS: Final = 6
MAX_RUN_INPUT_TOKENS: Final = 10_000
BYTES_PER_TOKEN: Final = 3  # tokenizers average about 4 on English and 3 on dense JSON; rounding up is against us


@dataclass(frozen=True, slots=True)
class Reserve:
    calls: int
    input_tokens: int


RESERVED: Final[Mapping[AgentName, Reserve]] = {
    AgentName.OPTIMIZER: Reserve(1, 3_500),
    AgentName.RISK: Reserve(1, 3_000),
    AgentName.REBALANCER: Reserve(1, 2_000),
}
"""In the order of the graph: what an agent leaves for those after it, so that an early one cannot starve them."""


@dataclass(slots=True)
class ModelBudget:
    """What one agent may still spend. Mutable, because it lives for one node only."""

    calls: int
    input_tokens: int

    def admits(self, input_tokens: int) -> bool:
        return self.calls > 0 and input_tokens <= self.input_tokens

    def charge(self, input_tokens: int) -> None:
        self.calls -= 1
        self.input_tokens -= input_tokens


def remaining_budget(agent: AgentName, spent: Iterable[ModelCall] = ()) -> ModelBudget:
    """The run's budget minus earlier calls and minus the reserve of the agents after this one.

    Computed from the recorded calls, so that a resumed run cannot spend twice.
    """
    calls = tuple(spent)
    order = tuple(RESERVED)
    later = order[order.index(agent) + 1 :] if agent in RESERVED else ()
    return ModelBudget(
        calls=MAX_RUN_CALLS - len(calls) - sum(RESERVED[name].calls for name in later),
        input_tokens=MAX_RUN_INPUT_TOKENS
        - sum(call.input_tokens for call in calls)
        - sum(RESERVED[name].input_tokens for name in later),
    )


def estimate_tokens(size_bytes: int) -> int:
    """Tokens of a text of that many UTF-8 bytes, rounded up."""
    return -(-size_bytes // BYTES_PER_TOKEN)
