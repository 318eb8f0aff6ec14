"""Past runs as facts for chat: codes, ids and numbers; summaries and reasons stay out, they can quote a model."""

from __future__ import annotations

import re
from typing import Final

from domain.run import RunRecord
from graph.briefing import Fact, brief_events, plain

MAX_SHOWN_DENIALS: Final = 8
_WORD: Final = re.compile(r"[a-z0-9_-]+")


def brief_run_line(record: RunRecord) -> Fact:
    """One line of a list of runs."""
    return {
        "run_id": record.request.run_id,
        "workflow": record.request.workflow.value,
        "trigger": record.request.trigger.value,
        "status": record.status.value,
        "chosen": record.chosen,
        "finished_at": record.finished_at.isoformat(timespec="seconds"),
    }


def brief_run(record: RunRecord) -> Fact:
    """What one run decided, what it cost and what came of it."""
    return {
        **brief_run_line(record),
        "block_number": record.block_number,
        "nav_usd": None if record.net_asset_value_usd is None else round(record.net_asset_value_usd, 2),
        "optimizer_alone": record.optimizer_alone,
        "events": brief_events(record.events),
        "decisions": [
            {"agent": decision.agent.value, "choice": decision.choice, "is_by_rule": decision.is_by_rule}
            for decision in record.decisions
        ],
        "model_calls": len(record.model_calls),
        "input_tokens": sum(call.input_tokens for call in record.model_calls),
        "moves": len(record.plan.moves) if record.plan else 0,
        "denials": _brief_denials(record),
        "gas_used": record.receipt.gas_used if record.receipt else None,
    }


def _brief_denials(record: RunRecord) -> list[Fact]:
    denials = record.verdict.denials if record.verdict else ()
    return [
        {
            "code": denial.code,
            "subject": plain(denial.subject),
            "limit": plain(denial.limit),
            "observed": plain(denial.observed),
            "unit": plain(denial.unit),
        }
        for denial in denials[:MAX_SHOWN_DENIALS]
    ]


def words_of(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def run_words(record: RunRecord) -> frozenset[str]:
    """What a run can be found by: its codes, ids and enums."""
    found = {record.request.run_id, record.request.workflow, record.request.trigger, record.status, record.chosen or ""}
    found |= {event.kind for event in record.events} | {event.subject for event in record.events}
    found |= {denial.code for denial in (record.verdict.denials if record.verdict else ())}
    found |= {move.strategy or move.token_out for move in (record.plan.moves if record.plan else ())}
    return frozenset(str(word) for word in found if word)
