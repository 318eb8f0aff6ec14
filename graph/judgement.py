"""Judge evidence and keep it: what a verdict was reached on can be judged again under another policy."""

from __future__ import annotations

from domain.digest import canonical_json
from domain.stages import Judgement
from domain.verdict import Evidence
from graph.dependencies import Dependencies
from guards import check


def judge(evidence: Evidence, dependencies: Dependencies) -> Judgement:
    return Judgement(verdict=check(evidence), evidence_digest=_keep(evidence, dependencies))


def _keep(evidence: Evidence, dependencies: Dependencies) -> str | None:
    """Evidence that cannot be written down is denied, and leaves nothing to judge again."""
    try:
        content = canonical_json(evidence)
    except ValueError:
        return None
    return dependencies.artifacts.put(content)
