"""Judge evidence and keep it: what a verdict was reached on can be judged again under another policy."""

from __future__ import annotations

from typing import Final

from domain.digest import canonical_json
from domain.stages import Judgement
from domain.verdict import Evidence
from graph.dependencies import Dependencies
from guards import check
from guards.what_if import on_market

FRESHNESS: Final = "freshness"
"""The guard of what only looking again can tell."""


def judge(evidence: Evidence, dependencies: Dependencies) -> Judgement:
    return Judgement(verdict=check(evidence), evidence_digest=_keep(evidence, dependencies))


def judge_now(evidence: Evidence, dependencies: Dependencies) -> Judgement | None:
    """The same batch on the market of this moment, where a price, peg or pause refuses it by now; else None.

    A run may have waited for a human since it observed. Only freshness counts: minimum outs were approved as they are.
    """
    now = on_market(evidence, dependencies.market.snapshot())
    broken = [row for row in check(now).findings if row.guard == FRESHNESS and not row.passed]
    return judge(now, dependencies) if broken else None


def _keep(evidence: Evidence, dependencies: Dependencies) -> str | None:
    """Evidence that cannot be written down is denied, and leaves nothing to judge again."""
    try:
        content = canonical_json(evidence)
    except ValueError:
        return None
    return dependencies.artifacts.put(content)
