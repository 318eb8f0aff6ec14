"""The tools of optimizer, risk and rebalancer: reads over what this run computed, and their final answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from domain.market import Forecast
from domain.plan import Candidate, CandidateKind
from domain.policy import Policy
from domain.risk import RiskReport
from graph.briefing import Fact, brief_candidate, brief_forecast, brief_risk, worst_stress
from graph.tool_arguments import Arguments, Reason, ToolRefusal
from graph.toolbox import RiskClass, Toolbox, ToolSpec, answer_with
from tools.shocks.stress_replay import ShockLoss

MAX_LISTED = 64

Replays = Mapping[str, Callable[[], Sequence[ShockLoss] | None]]
"""Candidate id -> its losses in recorded crashes, computed when somebody asks; None is unknown."""
NO_REPLAYS: Replays = MappingProxyType({})


class NoArguments(Arguments):
    pass


class OneCandidate(Arguments):
    candidate_id: str


class TwoCandidates(Arguments):
    first_id: str
    second_id: str


class StrategyIds(Arguments):
    strategy_ids: Annotated[tuple[str, ...], Field(max_length=MAX_LISTED)]


class ChooseCandidate(Arguments):
    """The optimizer's answer."""

    candidate_id: str
    excluded_strategies: Annotated[tuple[str, ...], Field(max_length=MAX_LISTED)]
    reason: Reason


class JudgeAction(StrEnum):
    ACCEPT = "accept"
    SAFER = "safer"
    VETO = "veto"


class Judge(Arguments):
    """The risk agent's answer about the optimizer's choice."""

    action: JudgeAction
    candidate_id: str
    reason: Reason


class ChooseMitigation(Arguments):
    """The risk agent's answer to a risk event."""

    candidate_id: str
    reason: Reason


class PlanAction(StrEnum):
    PROCEED = "proceed"
    HOLD = "hold"


class ConfirmPlan(Arguments):
    """The rebalancer's answer."""

    action: PlanAction
    reason: Reason


def optimizer_toolbox(
    candidates: Sequence[Candidate], forecasts: Sequence[Forecast], portfolio: Fact
) -> Toolbox[ChooseCandidate]:
    strategies = tuple(forecast.strategy for forecast in forecasts)
    choose = ToolSpec(
        name="choose_candidate",
        description="Final answer: the candidate to propose, strategies to leave out of it, and why.",
        risk_class=RiskClass.PROPOSE,
        arguments=ChooseCandidate,
        run=answer_with,
        choices={"candidate_id": _ids(candidates), "excluded_strategies": strategies},
    )
    return Toolbox(
        (
            _list_candidates(candidates),
            _show_forecasts(forecasts),
            _show_portfolio(portfolio),
            _compare(candidates),
            choose,
        )
    )


def risk_toolbox(
    chosen: Candidate,
    candidates: Sequence[Candidate],
    reports: Mapping[str, RiskReport],
    policy: Policy,
    replays: Replays = NO_REPLAYS,
) -> Toolbox[Judge]:
    offered = tuple(candidate for candidate in candidates if candidate.kind is not CandidateKind.HOLD)

    def judge(answer: Judge) -> Judge | ToolRefusal:
        return _refuse_riskier(answer, chosen.id, reports) or answer

    final = ToolSpec(
        name="judge",
        description="Final answer: accept the chosen candidate, take a safer one, or veto; and why.",
        risk_class=RiskClass.PROPOSE,
        arguments=Judge,
        run=judge,
        choices={"candidate_id": _ids(offered)},
    )
    return Toolbox((_show_risk(reports, policy), _show_stress(reports, replays), _compare(offered), final))


def _refuse_riskier(answer: Judge, chosen: str, reports: Mapping[str, RiskReport]) -> ToolRefusal | None:
    """Accept and veto name the chosen candidate; safer names another one whose tail and stress are no worse."""
    if answer.action is not JudgeAction.SAFER:
        return None if answer.candidate_id == chosen else ToolRefusal("not_the_chosen", "candidate_id", chosen)
    if answer.candidate_id == chosen or not is_no_riskier(reports[answer.candidate_id], reports[chosen]):
        return ToolRefusal("not_safer", "candidate_id", "99 % CVaR and worst stress no higher than the chosen one's")
    return None


def is_no_riskier(report: RiskReport, reference: RiskReport) -> bool:
    """Whether 99 % CVaR and worst stress loss are known and at most the reference's."""
    tail, reference_tail = report.tail(0.99), reference.tail(0.99)
    stress, reference_stress = worst_stress(report), worst_stress(reference)
    if tail is None or reference_tail is None or stress is None or reference_stress is None:
        return False
    return tail.cvar.value <= reference_tail.cvar.value and stress <= reference_stress


def mitigation_toolbox(
    candidates: Sequence[Candidate], reports: Mapping[str, RiskReport], policy: Policy
) -> Toolbox[ChooseMitigation]:
    final = ToolSpec(
        name="choose_mitigation",
        description="Final answer: the way out to take, and why.",
        risk_class=RiskClass.PROPOSE,
        arguments=ChooseMitigation,
        run=answer_with,
        choices={"candidate_id": _ids(candidates)},
    )
    return Toolbox((_show_risk(reports, policy), _show_stress(reports), final))


def rebalancer_toolbox(candidates: Sequence[Candidate], portfolio: Fact) -> Toolbox[ConfirmPlan]:
    final = ToolSpec(
        name="confirm_plan",
        description="Final answer: proceed with exactly these moves, or hold; and why.",
        risk_class=RiskClass.PROPOSE,
        arguments=ConfirmPlan,
        run=answer_with,
    )
    return Toolbox((_list_candidates(candidates), _show_portfolio(portfolio), final))


def _ids(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    return tuple(candidate.id for candidate in candidates)


def _list_candidates(candidates: Sequence[Candidate]) -> ToolSpec[Any]:
    return ToolSpec(
        name="list_candidates",
        description="Every candidate with weights, rates, gain and cost.",
        risk_class=RiskClass.READ,
        arguments=NoArguments,
        run=lambda _: [brief_candidate(candidate) for candidate in candidates],
    )


def _show_portfolio(portfolio: Fact) -> ToolSpec[Any]:
    return ToolSpec(
        name="show_portfolio",
        description="Net asset value and the share of every holding.",
        risk_class=RiskClass.READ,
        arguments=NoArguments,
        run=lambda _: portfolio,
    )


def _show_forecasts(forecasts: Sequence[Forecast]) -> ToolSpec[Any]:
    by_strategy = {forecast.strategy: forecast for forecast in forecasts}
    return ToolSpec(
        name="show_forecasts",
        description="Forecasts with interval, confidence and sample size.",
        risk_class=RiskClass.READ,
        arguments=StrategyIds,
        run=lambda wanted: [brief_forecast(by_strategy[strategy]) for strategy in wanted.strategy_ids],
        choices={"strategy_ids": tuple(by_strategy)},
    )


def _compare(candidates: Sequence[Candidate]) -> ToolSpec[Any]:
    by_id = {candidate.id: candidate for candidate in candidates}
    return ToolSpec(
        name="compare_candidates",
        description="Two candidates side by side.",
        risk_class=RiskClass.READ,
        arguments=TwoCandidates,
        run=lambda wanted: [brief_candidate(by_id[wanted.first_id]), brief_candidate(by_id[wanted.second_id])],
        choices={"first_id": tuple(by_id), "second_id": tuple(by_id)},
    )


def _show_risk(reports: Mapping[str, RiskReport], policy: Policy) -> ToolSpec[Any]:
    return ToolSpec(
        name="show_risk",
        description="Tail risk, volatility and drawdown of one portfolio against the limits.",
        risk_class=RiskClass.SIMULATE,
        arguments=OneCandidate,
        run=lambda wanted: brief_risk(reports[wanted.candidate_id], policy),
        choices={"candidate_id": tuple(reports)},
    )


def _show_stress(reports: Mapping[str, RiskReport], replays: Replays = NO_REPLAYS) -> ToolSpec[Any]:
    """One tool for both kinds: every offer costs tokens of every call."""

    def run(wanted: OneCandidate) -> Fact:
        shown: Fact = {loss.scenario: round(loss.loss, 4) for loss in reports[wanted.candidate_id].stress}
        if wanted.candidate_id in replays:
            losses = replays[wanted.candidate_id]()
            shown["replays"] = None if losses is None else {loss.name: round(loss.loss, 4) for loss in losses}
        return shown

    return ToolSpec(
        name="show_stress",
        description="Loss of one portfolio in every stress scenario.",
        risk_class=RiskClass.SIMULATE,
        arguments=OneCandidate,
        run=run,
        choices={"candidate_id": tuple(reports)},
    )
