"""The router's tools: reads over portfolio, markets, policy and past runs; it can answer or propose, never act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.policy import Policy
from domain.ports import Recall
from domain.run import RunRecord
from graph.agent_tools import NoArguments
from graph.briefing import Fact, brief_portfolio
from graph.dependencies import Dependencies
from graph.market_tools import market_reads
from graph.run_facts import brief_run, brief_run_line, run_words, words_of
from graph.tool_arguments import Arguments, Reason
from graph.toolbox import RiskClass, Toolbox, ToolSpec, answer_with

MAX_SEARCHED_RUNS: Final = 200
MAX_LISTED_RUNS: Final = 20
MAX_FOUND_RUNS: Final = 10
MAX_ANSWER_CHARACTERS: Final = 3_000
MAX_SEARCH_CHARACTERS: Final = 200
RATE_DIGITS: Final = 4
RUN_ENTRY: Final = "run"
"""Kind of a run record's journal entry; its subject is the run id."""
SECTIONS: Final = tuple(name for name in Policy.model_fields if name not in {"name", "version"})


class OneRun(Arguments):
    run_id: str


class SearchText(Arguments):
    text: Annotated[str, Field(max_length=MAX_SEARCH_CHARACTERS)]


class PolicySection(Arguments):
    section: str


class ChatReply(Arguments):
    """Base of the router's two ways to finish."""


class AnswerQuestion(ChatReply):
    text: Annotated[str, Field(min_length=1, max_length=MAX_ANSWER_CHARACTERS)]
    citations: Annotated[tuple[str, ...], Field(max_length=MAX_LISTED_RUNS)]


class ProposeRun(ChatReply):
    workflow: Literal["optimize", "mitigate", "rebalance"]
    reason: Reason


def recent_runs(dependencies: Dependencies) -> tuple[RunRecord, ...]:
    """Records of the newest runs, newest first."""
    entries = dependencies.journal.entries(kind=RUN_ENTRY, limit=MAX_SEARCHED_RUNS)
    records = (dependencies.runs.record(entry.subject) for entry in reversed(entries))
    return tuple(record for record in records if record is not None)


def chat_toolbox(dependencies: Dependencies, runs: Sequence[RunRecord]) -> Toolbox[ChatReply]:
    """`show_run` is only offered when there is a run: an empty choice is no choice."""
    reads = (_portfolio_value(dependencies), _market_rates(dependencies), _explain_policy(dependencies.policy))
    past = (_list_runs(runs), _search_decisions(runs, dependencies.recall), _show_run(runs)) if runs else ()
    return Toolbox((*reads, *market_reads(dependencies), *past, *_finals(runs)))


def _finals(runs: Sequence[RunRecord]) -> tuple[ToolSpec[AnswerQuestion], ToolSpec[ProposeRun]]:
    run_ids = tuple(record.request.run_id for record in runs[:MAX_LISTED_RUNS])
    answer = ToolSpec(
        name="answer",
        description="Final answer to the operator in plain text, with the run ids it rests on.",
        risk_class=RiskClass.PROPOSE,
        arguments=AnswerQuestion,
        run=answer_with,
        choices={"citations": run_ids},
    )
    propose = ToolSpec(
        name="propose_run",
        description="Final answer: propose that the operator starts a workflow. Starts nothing.",
        risk_class=RiskClass.PROPOSE,
        arguments=ProposeRun,
        run=answer_with,
    )
    return answer, propose


def _portfolio_value(dependencies: Dependencies) -> ToolSpec[NoArguments]:
    def run(_: NoArguments) -> Fact:
        snapshot = dependencies.market.snapshot()
        portfolio = dependencies.market.portfolio(snapshot.block_number)
        shown = brief_portfolio(portfolio, snapshot, dependencies.catalog)
        return {"block_number": snapshot.block_number, **shown}

    return ToolSpec(
        name="portfolio_value",
        description="Net asset value now and the share of every holding.",
        risk_class=RiskClass.READ,
        arguments=NoArguments,
        run=run,
    )


def _market_rates(dependencies: Dependencies) -> ToolSpec[NoArguments]:
    def run(_: NoArguments) -> Fact:
        return {
            rate.strategy: {
                "token": dependencies.catalog.strategy(rate.strategy).token,
                "apr": round(rate.supply_apr, RATE_DIGITS),
                "utilization": None if rate.utilization is None else round(rate.utilization, RATE_DIGITS),
                "is_paused": rate.is_paused,
            }
            for rate in dependencies.market.snapshot().rates
        }

    return ToolSpec(
        name="market_rates",
        description="Supply rate and utilization of every strategy now.",
        risk_class=RiskClass.READ,
        arguments=NoArguments,
        run=run,
    )


def _explain_policy(policy: Policy) -> ToolSpec[PolicySection]:
    limits = policy.model_dump(mode="json")
    return ToolSpec(
        name="explain_policy",
        description="The limits of one section of the policy.",
        risk_class=RiskClass.READ,
        arguments=PolicySection,
        run=lambda wanted: {wanted.section: limits[wanted.section]},
        choices={"section": SECTIONS},
    )


def _list_runs(runs: Sequence[RunRecord]) -> ToolSpec[NoArguments]:
    return ToolSpec(
        name="list_runs",
        description="The newest runs with status and choice.",
        risk_class=RiskClass.READ,
        arguments=NoArguments,
        run=lambda _: [brief_run_line(record) for record in runs[:MAX_LISTED_RUNS]],
    )


def _search_decisions(runs: Sequence[RunRecord], recall: Recall) -> ToolSpec[SearchText]:
    """Runs that share a code or id with the text, best first; where none does, the likeliest by recall."""
    by_id = {record.request.run_id: record for record in runs}

    def run(wanted: SearchText) -> list[Fact]:
        words = words_of(wanted.text)
        hits = [record for record in runs if words & run_words(record)]
        hits.sort(key=lambda record: -len(words & run_words(record)))
        if not hits:
            hits = [by_id[run_id] for run_id in recall.nearest(wanted.text, runs, limit=MAX_FOUND_RUNS)]
        return [brief_run_line(record) for record in hits[:MAX_FOUND_RUNS]]

    return ToolSpec(
        name="search_decisions",
        description="Past runs by status, workflow, candidate, strategy, event or denial code.",
        risk_class=RiskClass.READ,
        arguments=SearchText,
        run=run,
    )


def _show_run(runs: Sequence[RunRecord]) -> ToolSpec[OneRun]:
    by_id = {record.request.run_id: record for record in runs[:MAX_LISTED_RUNS]}
    return ToolSpec(
        name="show_run",
        description="One run: decisions, denials, costs and effect.",
        risk_class=RiskClass.READ,
        arguments=OneRun,
        run=lambda wanted: brief_run(by_id[wanted.run_id]),
        choices={"run_id": tuple(by_id)},
    )
