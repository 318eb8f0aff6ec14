"""The graph's state: one key per node, each written by that node alone."""

from __future__ import annotations

from typing import TypedDict

from pydantic import ValidationError

from domain.errors import ConfigurationInvalid
from domain.run import RunRequest
from domain.stages import (
    Assessment,
    ChatAnswer,
    Judgement,
    Observation,
    Outcome,
    Proposal,
    Selection,
    Settlement,
    SimulatedBook,
)
from domain.verdict import Approval


class Entry(TypedDict, total=False):
    """All that a caller may write, whichever host takes the call; other keys of an input are dropped."""

    request: RunRequest  # read it with request_of
    question: str  # present only in chat


class State(Entry, total=False):
    """Values are frozen domain models; anything large is an artifact that they name by digest."""

    answer: ChatAnswer  # router
    observation: Observation  # observe
    selection: Selection  # optimizer
    assessment: Assessment  # risk
    proposal: Proposal  # rebalancer
    simulated: SimulatedBook  # simulate
    judgement: Judgement  # guard
    approval: Approval | None  # approve
    settlement: Settlement  # execute
    outcome: Outcome  # record


def request_of(state: State) -> RunRequest:
    """The caller's request, which is plain JSON where the graph is served by another host than ours."""
    raw: object = state.get("request")
    try:
        return RunRequest.model_validate(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(["request", *map(str, problem["loc"])])
        raise ConfigurationInvalid(f"graph input: {where}: {problem['msg']}") from None
