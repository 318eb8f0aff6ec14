"""The graph's state: one key per node, each written by that node alone."""

from __future__ import annotations

from typing import TypedDict

from domain.run import RunRequest
from domain.stages import Assessment, ChatAnswer, Observation, Outcome, Proposal, Selection, Settlement, SimulatedBook
from domain.verdict import Approval, Verdict


class State(TypedDict, total=False):
    """Values are frozen domain models; anything large is an artifact that they name by digest."""

    request: RunRequest  # the caller
    question: str  # the caller; present only in chat
    answer: ChatAnswer  # router
    observation: Observation  # observe
    selection: Selection  # optimizer
    assessment: Assessment  # risk
    proposal: Proposal  # rebalancer
    simulated: SimulatedBook  # simulate
    verdict: Verdict  # guard
    approval: Approval | None  # approve
    settlement: Settlement  # execute
    outcome: Outcome  # record
